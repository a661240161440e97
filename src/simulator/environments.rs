//! `/v1/environments`: the containers sessions run in.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{set, text};
use super::shelf::{archived, new_metadata, patch_metadata};
use super::stamp;
use super::state::{Call, State};

const FIELDS: [&str; 5] = ["name", "description", "config", "metadata", "scope"];
const MANAGERS: [&str; 6] = ["apt", "cargo", "gem", "go", "npm", "pip"];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let name = fields.need_text("name", 1..=256)?;
    free_name(state, name, "")?;
    let now = stamp::now();
    let environment = json!({
        "id": stamp::id("env"), "type": "environment", "name": name,
        "description": fields.text("description", 0..=2048)?,
        "config": config(&fields)?.unwrap_or_else(cloud),
        "metadata": new_metadata(&fields)?,
        "scope": fields.choice("scope", &["organization"])?.unwrap_or("organization"),
        "created_at": now, "updated_at": now, "archived_at": null,
    });
    let key = state.next();
    Ok(state.environments.put(key, environment))
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page", "include_archived"])?;
    state.environments.list(call, &|_| true)
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.environments.get(call.id(0)).cloned()
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let mut environment = state.environments.changeable(call.id(0))?.clone();
    if let Some(name) = fields.text("name", 1..=256)? {
        free_name(state, name, call.id(0))?;
        set(&mut environment, "name", name);
    }
    if fields.has("description") {
        set(
            &mut environment,
            "description",
            fields.text("description", 0..=2048)?,
        );
    }
    if let Some(config) = config(&fields)? {
        if text(&config, "/type") != text(&environment, "/config/type") {
            return Err(fields.wrong(
                "config.type",
                "The type of an environment cannot be changed",
            ));
        }
        set(&mut environment, "config", config);
    }
    patch_metadata(&mut environment, &fields)?;
    state.environments.replace(environment)
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    state.environments.archive(call.id(0))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    state.environments.remove(call.id(0), "environment_deleted")
}

fn free_name(state: &State, name: &str, own: &str) -> Result<(), Refusal> {
    let taken =
        |one: &Value| text(one, "/name") == name && text(one, "/id") != own && !archived(one);
    if state.environments.iter().any(|(_, one)| taken(one)) {
        return Err(Refusal::conflict(format!(
            "An environment named `{name}` already exists."
        )));
    }
    Ok(())
}

fn cloud() -> Value {
    json!({"type": "cloud", "networking": {"type": "unrestricted"}, "packages": no_packages()})
}

fn no_packages() -> Value {
    json!({"type": "packages", "apt": [], "cargo": [], "gem": [], "go": [], "npm": [], "pip": []})
}

fn config(fields: &Fields<'_>) -> Result<Option<Value>, Refusal> {
    let Some(value) = fields.get("config") else {
        return Ok(None);
    };
    let config = Fields::of(value, "config", &["type", "networking", "packages"])?;
    config.need("type")?;
    if config.choice("type", &["cloud", "self_hosted"])? == Some("self_hosted") {
        Fields::of(value, "config", &["type"])?;
        return Ok(Some(json!({"type": "self_hosted"})));
    }
    let mut resolved = cloud();
    if let Some(networking) = config.get("networking") {
        set(&mut resolved, "networking", network(networking)?);
    }
    if let Some(packages) = config.get("packages") {
        set(&mut resolved, "packages", package_lists(packages)?);
    }
    Ok(Some(resolved))
}

fn network(value: &Value) -> Answer {
    let allowed = [
        "type",
        "allowed_hosts",
        "allow_package_managers",
        "allow_mcp_servers",
    ];
    let fields = Fields::of(value, "config.networking", &allowed)?;
    fields.need("type")?;
    if fields.choice("type", &["unrestricted", "limited"])? == Some("unrestricted") {
        Fields::of(value, "config.networking", &["type"])?;
        return Ok(json!({"type": "unrestricted"}));
    }
    Ok(json!({
        "type": "limited",
        "allowed_hosts": fields.texts("allowed_hosts", 1000)?,
        "allow_package_managers": fields.flag("allow_package_managers")?.unwrap_or(false),
        "allow_mcp_servers": fields.flag("allow_mcp_servers")?.unwrap_or(false),
    }))
}

fn package_lists(value: &Value) -> Answer {
    let mut allowed = MANAGERS.to_vec();
    allowed.push("type");
    let fields = Fields::of(value, "config.packages", &allowed)?;
    fields.choice("type", &["packages"])?;
    let mut lists = no_packages();
    for manager in MANAGERS {
        set(&mut lists, manager, fields.texts(manager, 1000)?);
    }
    Ok(lists)
}
