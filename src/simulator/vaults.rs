//! `/v1/vaults`: collections of credentials that sessions may use.

use serde_json::json;

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{set, text};
use super::shelf::{new_metadata, patch_metadata};
use super::stamp;
use super::state::{Call, State};

const FIELDS: [&str; 2] = ["display_name", "metadata"];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let now = stamp::now();
    let vault = json!({
        "id": stamp::id("vlt"), "type": "vault", "display_name": fields.need_text("display_name", 1..=255)?,
        "metadata": new_metadata(&fields)?, "created_at": now, "updated_at": now, "archived_at": null,
    });
    let key = state.next();
    Ok(state.vaults.put(key, vault))
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page", "include_archived"])?;
    state.vaults.list(call, &|_| true)
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.vaults.get(call.id(0)).cloned()
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let mut vault = state.vaults.changeable(call.id(0))?.clone();
    if let Some(name) = fields.text("display_name", 1..=255)? {
        set(&mut vault, "display_name", name);
    }
    patch_metadata(&mut vault, &fields)?;
    state.vaults.replace(vault)
}

/// Archives a vault with all its credentials.
pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    let vault = state.vaults.archive(call.id(0))?;
    for credential in state.credentials.values_mut() {
        if text(credential, "/vault_id") == call.id(0) && !super::shelf::archived(credential) {
            set(credential, "archived_at", stamp::now());
        }
    }
    Ok(vault)
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let deleted = state.vaults.remove(call.id(0), "vault_deleted")?;
    state
        .credentials
        .retain(&|credential| text(credential, "/vault_id") != call.id(0));
    Ok(deleted)
}

/// Refuses vaults that are not there or archived.
pub(super) fn check_usable(state: &State, fields: &Fields<'_>, most: usize) -> Result<(), Refusal> {
    let ids = fields.array("vault_ids", most)?;
    ids.iter()
        .filter_map(|id| id.as_str())
        .try_for_each(|id| state.vaults.usable(id, "vault_ids").map(|_| ()))
}
