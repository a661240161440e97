//! `/v1/deployments`: agents with all they need to be run on their own.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, set, text};
use super::shelf::{new_metadata, patch_metadata};
use super::state::{Call, State};
use super::{budget, resources, schedule, sent, session_agent, stamp, tools, vaults};

const FIELDS: [&str; 10] = [
    "agent",
    "budget",
    "description",
    "environment_id",
    "initial_events",
    "metadata",
    "name",
    "resources",
    "schedule",
    "vault_ids",
];
const FILTERS: [&str; 7] = [
    "agent_id",
    "created_at[gte]",
    "created_at[lte]",
    "include_archived",
    "limit",
    "page",
    "status",
];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    for key in ["name", "agent", "environment_id", "initial_events"] {
        fields.need(key)?;
    }
    let now = stamp::now();
    let mut deployment = json!({
        "id": stamp::id("depl"), "type": "deployment", "status": "active", "paused_reason": null,
        "description": null, "resources": [], "vault_ids": [], "schedule": null, "budget": null,
        "metadata": new_metadata(&fields)?, "created_at": now, "updated_at": now, "archived_at": null,
    });
    apply(state, &fields, &mut deployment)?;
    let key = state.next();
    Ok(schedule::shown(&state.deployments.put(key, deployment)))
}

/// Checks what was sent, and puts it into the deployment. Null clears what may be missing.
fn apply(state: &State, fields: &Fields<'_>, deployment: &mut Value) -> Result<(), Refusal> {
    for key in ["name", "agent", "environment_id", "initial_events"] {
        if fields.has(key) {
            fields.need(key)?;
        }
    }
    if let Some(name) = fields.text("name", 1..=256)? {
        set(deployment, "name", name);
    }
    if fields.has("description") {
        let words = fields.text("description", 0..=2048)?;
        set(
            deployment,
            "description",
            words.filter(|words| !words.is_empty()),
        );
    }
    if let Some(agent) = fields.get("agent") {
        set(deployment, "agent", pinned(state, agent)?);
    }
    if let Some(id) = fields.text("environment_id", 1..=256)? {
        state.environments.usable(id, "environment_id")?;
        set(deployment, "environment_id", id);
    }
    if fields.has("initial_events") {
        set(deployment, "initial_events", initial_events(state, fields)?);
    }
    if fields.has("resources") {
        let kept = tools::each(fields, "resources", 500, |value, path| {
            resources::checked(state, value, path)?;
            Ok(without_token(value))
        })?;
        set(deployment, "resources", kept);
    }
    if fields.has("vault_ids") {
        vaults::check_usable(state, fields, 50)?;
        set(deployment, "vault_ids", fields.texts("vault_ids", 50)?);
    }
    if fields.has("schedule") {
        let schedule = fields.get("schedule").map(schedule::checked).transpose()?;
        set(deployment, "schedule", schedule);
    }
    apply_budget(state, fields, deployment)
}

fn apply_budget(state: &State, fields: &Fields<'_>, deployment: &mut Value) -> Result<(), Refusal> {
    if fields.has("budget") {
        let agent = session_agent::resolved(state, at(deployment, "/agent"))?;
        let checked = |value| budget::checked(value, &agent);
        set(
            deployment,
            "budget",
            fields.get("budget").map(checked).transpose()?,
        );
    }
    Ok(())
}

/// An agent by id or reference, pinned to a version.
fn pinned(state: &State, value: &Value) -> Answer {
    if !value.is_string() {
        Fields::of(value, "agent", &["type", "id", "version"])?;
    }
    let agent = session_agent::resolved(state, value)?;
    Ok(json!({"type": "agent", "id": at(&agent, "/id"), "version": at(&agent, "/version")}))
}

fn initial_events(state: &State, fields: &Fields<'_>) -> Result<Vec<Value>, Refusal> {
    let kept = tools::each(fields, "initial_events", 50, |value, path| {
        sent::initial(value, path, &sent::OF_DEPLOYMENTS)?;
        sent::check_files(state, value)?;
        Ok(value.clone())
    })?;
    if kept.is_empty() {
        return Err(fields.wrong("initial_events", "At least one event is required"));
    }
    Ok(kept)
}

fn without_token(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(fields) = resource.as_object_mut() {
        fields.remove("authorization_token");
    }
    resource
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let query = &call.query;
    query.only(&FILTERS)?;
    let status = query.one("status");
    if let Some(odd) = status.filter(|status| !matches!(*status, "active" | "paused")) {
        let why = format!("status: Input should be 'active' or 'paused', got '{odd}'");
        return Err(Refusal::invalid(why));
    }
    if status.is_some() && query.flag("include_archived")? {
        let why = "status: cannot be combined with include_archived";
        return Err(Refusal::invalid(why));
    }
    let fits = |path: &str, wanted: Option<&str>, one: &Value| {
        wanted.is_none_or(|wanted| text(one, path) == wanted)
    };
    let pass =
        |one: &Value| fits("/status", status, one) && fits("/agent/id", query.one("agent_id"), one);
    state.deployments.list_as(call, &pass, schedule::shown)
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.deployments.get(call.id(0)).map(schedule::shown)
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let mut deployment = state.deployments.changeable(call.id(0))?.clone();
    apply(state, &fields, &mut deployment)?;
    patch_metadata(&mut deployment, &fields)?;
    state
        .deployments
        .replace(deployment)
        .map(|one| schedule::shown(&one))
}

pub(super) fn pause(state: &mut State, call: &Call) -> Answer {
    turn(state, call, "paused", json!({"type": "manual"}))
}

pub(super) fn unpause(state: &mut State, call: &Call) -> Answer {
    turn(state, call, "active", Value::Null)
}

fn turn(state: &mut State, call: &Call, status: &str, reason: Value) -> Answer {
    Fields::of(&call.body, "", &[])?;
    let mut deployment = state.deployments.changeable(call.id(0))?.clone();
    set(&mut deployment, "status", status);
    set(&mut deployment, "paused_reason", reason);
    state
        .deployments
        .replace(deployment)
        .map(|one| schedule::shown(&one))
}

/// Archived deployments report that they are active.
pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    state.deployments.archive(call.id(0))?;
    let deployment = state.deployments.get_mut(call.id(0))?;
    set(deployment, "status", "active");
    set(deployment, "paused_reason", Value::Null);
    Ok(schedule::shown(deployment))
}
