//! `/v1/deployment_runs`: what became of each run of a deployment.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::json::{at, items, text};
use super::page::Page;
use super::shelf::{Shelf, archived};
use super::state::{Call, State};
use super::{agents, sent, sessions, stamp};

const FILTERS: [&str; 9] = [
    "created_at[gt]",
    "created_at[gte]",
    "created_at[lt]",
    "created_at[lte]",
    "deployment_id",
    "has_error",
    "limit",
    "page",
    "trigger_type",
];

/// Runs a deployment: makes its session, or notes why there is none.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let deployment = state.deployments.changeable(call.id(0))?.clone();
    let outcome = match trouble(state, &deployment) {
        Some(error) => Err(error),
        None => start(state, &deployment),
    };
    let (session, error) = match outcome {
        Ok(session) => (at(&session, "/id").clone(), Value::Null),
        Err((kind, message)) => (Value::Null, json!({"type": kind, "message": message})),
    };
    let run = json!({
        "id": stamp::id("drun"), "type": "deployment_run", "deployment_id": call.id(0), "agent": at(&deployment, "/agent"),
        "session_id": session, "error": error, "trigger_context": {"type": "manual"}, "created_at": stamp::now(),
    });
    let key = state.next();
    Ok(state.runs.put(key, run))
}

/// The type of a run's error, and what it says.
type Trouble = (&'static str, String);

fn start(state: &mut State, deployment: &Value) -> Result<Value, Trouble> {
    let body = json!({
        "agent": at(deployment, "/agent"), "environment_id": at(deployment, "/environment_id"),
        "initial_events": at(deployment, "/initial_events"), "resources": at(deployment, "/resources"),
        "vault_ids": at(deployment, "/vault_ids"), "budget": at(deployment, "/budget"),
    });
    sessions::start(state, &body, Some(text(deployment, "/id")))
        .map_err(|refusal| ("session_creation_rejected_error", refusal.message))
}

/// What has gone wrong since the deployment was made.
fn trouble(state: &State, deployment: &Value) -> Option<Trouble> {
    let agent = text(deployment, "/agent/id");
    if agents::find(state, agent, None).is_ok_and(archived) {
        return Some((
            "agent_archived_error",
            format!("Agent `{agent}` is archived"),
        ));
    }
    let environment = text(deployment, "/environment_id");
    let kinds = ["environment_not_found_error", "environment_archived_error"];
    let vaults = items(deployment, "/vault_ids").iter();
    let resources = items(deployment, "/resources").iter();
    let events = items(deployment, "/initial_events").iter();
    lack(&state.environments, environment, kinds)
        .or_else(|| {
            let kinds = ["vault_not_found_error", "vault_archived_error"];
            vaults
                .filter_map(Value::as_str)
                .find_map(|id| lack(&state.vaults, id, kinds))
        })
        .or_else(|| resources.filter_map(|one| lost(state, one)).next())
        .or_else(|| {
            let missing = events.filter_map(|event| sent::check_files(state, event).err());
            missing.map(file_lost).next()
        })
}

fn lack(shelf: &Shelf, id: &str, [unknown, archived]: [&'static str; 2]) -> Option<Trouble> {
    match (shelf.get(id), shelf.usable(id, "deployment")) {
        (Err(refusal), _) => Some((unknown, refusal.message)),
        (_, Err(refusal)) => Some((archived, refusal.message)),
        _ => None,
    }
}

fn lost(state: &State, resource: &Value) -> Option<Trouble> {
    match text(resource, "/type") {
        "file" => {
            let missing = state.files.check(text(resource, "/file_id"));
            missing.err().map(file_lost)
        }
        "memory_store" => {
            let kinds = [
                "session_resource_not_found_error",
                "memory_store_archived_error",
            ];
            lack(
                &state.memory_stores,
                text(resource, "/memory_store_id"),
                kinds,
            )
        }
        _ => None,
    }
}

fn file_lost(refusal: Refusal) -> Trouble {
    ("file_not_found_error", refusal.message)
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let query = &call.query;
    query.only(&FILTERS)?;
    let page = Page::read(query, "desc", 20, 1000)?;
    let (within, failed) = (query.window()?, query.flag("has_error")?);
    let trigger = query.one("trigger_type");
    if trigger.is_some_and(|trigger| !matches!(trigger, "schedule" | "manual")) {
        let why = "trigger_type: Input should be 'schedule' or 'manual'";
        return Err(Refusal::invalid(why));
    }
    let kept = state.runs.iter().filter(|(_, run)| {
        let by_error = query.one("has_error").is_none() || at(run, "/error").is_object() == failed;
        let fits = |path: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| text(run, path) == wanted)
        };
        by_error
            && fits("/deployment_id", query.one("deployment_id"))
            && fits("/trigger_context/type", trigger)
            && within(text(run, "/created_at"))
    });
    Ok(page
        .cut(kept.map(|(key, run)| (key, run.clone())))
        .one_way())
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.runs.get(call.id(0)).cloned()
}
