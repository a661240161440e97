//! `/v1/vaults/{id}/credentials`: secrets that are taken and never given back.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, set, text};
use super::shelf::{archived, new_metadata, patch_metadata};
use super::state::{Call, State};
use super::{secrets, stamp};

const FIELDS: [&str; 3] = ["auth", "display_name", "metadata"];
const MOST: usize = 20;

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let vault = call.id(0);
    state.vaults.changeable(vault)?;
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let auth = secrets::taken(fields.need("auth")?)?;
    let living = |one: &Value| text(one, "/vault_id") == vault && !archived(one);
    let same = |one: &Value| {
        ["/mcp_server_url", "/secret_name"].iter().any(|key| {
            let own = text(&auth, key);
            !own.is_empty() && text(at(one, "/auth"), key) == own
        })
    };
    let others = || state.credentials.iter().filter(|(_, one)| living(one));
    if others().any(|(_, one)| same(one)) {
        let why = format!("Vault `{vault}` already has a credential for this server or name.");
        return Err(Refusal::conflict(why));
    }
    if others().count() >= MOST {
        let why = format!("A vault holds at most {MOST} credentials");
        return Err(Refusal::invalid(why));
    }
    let now = stamp::now();
    let credential = json!({
        "id": stamp::id("vcrd"), "type": "vault_credential", "vault_id": vault, "auth": auth,
        "display_name": fields.text("display_name", 1..=255)?, "metadata": new_metadata(&fields)?,
        "created_at": now, "updated_at": now, "archived_at": null,
    });
    let key = state.next();
    Ok(state.credentials.put(key, credential))
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page", "include_archived"])?;
    state.vaults.get(call.id(0))?;
    state
        .credentials
        .list(call, &|one| text(one, "/vault_id") == call.id(0))
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    find(state, call).cloned()
}

/// The credential of a path, or 404.
fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Value, Refusal> {
    state.vaults.get(call.id(0))?;
    let found = state.credentials.get(call.id(1))?;
    if text(found, "/vault_id") != call.id(0) {
        return Err(Refusal::unknown("Credential", call.id(1)));
    }
    Ok(found)
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let mut credential = find(state, call)?.clone();
    state.credentials.changeable(call.id(1))?;
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    if let Some(auth) = fields.get("auth") {
        let auth = secrets::changed(at(&credential, "/auth"), auth)?;
        set(&mut credential, "auth", auth);
    }
    if fields.has("display_name") {
        let name = fields.text("display_name", 1..=255)?;
        set(&mut credential, "display_name", name);
    }
    patch_metadata(&mut credential, &fields)?;
    state.credentials.replace(credential)
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    find(state, call)?;
    state.credentials.archive(call.id(1))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    find(state, call)?;
    state
        .credentials
        .remove(call.id(1), "vault_credential_deleted")
}

/// A probe of a credential; here every server is content.
pub(super) fn validate(state: &mut State, call: &Call) -> Answer {
    let credential = find(state, call)?;
    if text(credential, "/auth/type") != "mcp_oauth" {
        let why = "Only credentials of type mcp_oauth can be validated";
        return Err(Refusal::invalid(why));
    }
    Ok(json!({
        "type": "vault_credential_validation", "credential_id": call.id(1), "vault_id": call.id(0),
        "has_refresh_token": at(credential, "/auth/refresh").is_object(), "mcp_probe": null, "refresh": null,
        "status": "valid", "validated_at": stamp::now(),
    }))
}
