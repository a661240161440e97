//! `/v1/sessions`: create, read, list, update, archive, delete.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::body::{Fields, Nulls, check_pairs};
use super::json::{at, merge_metadata, set, text};
use super::page::{Page, Query};
use super::session::{Phase, Session};
use super::state::{Call, State};
use super::{budget, events, resources, sent, session_agent, stamp, tools, vaults};

const FIELDS: [&str; 8] = [
    "agent",
    "environment_id",
    "initial_events",
    "title",
    "metadata",
    "resources",
    "vault_ids",
    "budget",
];
/// A deployment may hand over as many.
const MOST_VAULTS: usize = 50;
const MOST_RESOURCES: usize = 500;
/// What the status of a session or a thread may be.
pub(super) const STATUSES: [&str; 4] = ["idle", "running", "rescheduling", "terminated"];
const FILTERS: [&str; 13] = [
    "agent_id",
    "agent_version",
    "statuses[]",
    "created_at[gt]",
    "created_at[gte]",
    "created_at[lt]",
    "created_at[lte]",
    "deployment_id",
    "memory_store_id",
    "include_archived",
    "order",
    "limit",
    "page",
];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    start(state, &call.body, None)
}

/// A new session, by a caller's request or by a deployment's run.
pub(super) fn start(state: &mut State, body: &Value, deployment: Option<&str>) -> Answer {
    let fields = Fields::of(body, "", &FIELDS)?;
    let agent = session_agent::resolved(state, fields.need("agent")?)?;
    let environment = fields.need_text("environment_id", 1..=256)?;
    state.environments.usable(environment, "environment_id")?;
    vaults::check_usable(state, &fields, MOST_VAULTS)?;
    fields.metadata("metadata", Nulls::Refuse)?;
    let budget = fields
        .get("budget")
        .map(|value| budget::checked(value, &agent))
        .transpose()?;
    let kinds: &[&str] = match deployment {
        Some(_) => &sent::OF_DEPLOYMENTS,
        None => &sent::OF_SESSIONS,
    };
    let first = tools::each(&fields, "initial_events", 50, |value, path| {
        let event = sent::initial(value, path, kinds)?;
        sent::check_files(state, value)?;
        Ok(event)
    })?;
    let resources = tools::each(&fields, "resources", MOST_RESOURCES, |value, path| {
        resources::checked(state, value, path)
    })?;
    let (now, id) = (stamp::now(), stamp::id("sesn"));
    let mut object = json!({
        "id": id, "type": "session", "agent": agent, "environment_id": environment,
        "title": fields.text("title", 0..=500)?,
        "metadata": fields.get("metadata").cloned().unwrap_or_else(|| json!({})),
        "resources": [],
        "vault_ids": fields.texts("vault_ids", MOST_VAULTS)?,
        "budget": budget, "outcome_evaluations": [], "deployment_id": deployment,
        "created_at": now, "updated_at": now, "archived_at": null,
    });
    let mounted: Result<Vec<Value>, Refusal> = resources
        .into_iter()
        .map(|resource| resources::mount(state, resource, &id))
        .collect();
    set(&mut object, "resources", mounted?);
    let mut session = Session::new(state.next(), object);
    if events::accept(&mut session, first).1 {
        state.woken.push(id.clone());
    }
    let shown = session.show();
    state.sessions.insert(id, session);
    Ok(shown)
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&FILTERS)?;
    let page = Page::read(&call.query, "desc", 20, 100)?;
    let kept = filter(&call.query)?;
    let mut sessions: Vec<&Session> = state.sessions.values().filter(|one| kept(one)).collect();
    sessions.sort_by_key(|session| session.key);
    let shown = sessions
        .into_iter()
        .map(|session| (session.key, session.show()));
    Ok(page.cut(shown).both_ways())
}

/// Whether a session is in the list that a query asks for.
fn filter(query: &Query) -> Result<impl Fn(&Session) -> bool, Refusal> {
    let (archived, within) = (query.flag("include_archived")?, query.window()?);
    let (version, statuses) = (query.whole("agent_version")?, query.all("statuses[]"));
    if let Some(odd) = statuses.iter().find(|status| !STATUSES.contains(status)) {
        return Err(Refusal::invalid(format!(
            "statuses: `{odd}` is not a status"
        )));
    }
    let fits = |key: &str, fits: &dyn Fn(&str) -> bool| query.one(key).is_none_or(fits);
    Ok(move |session: &Session| {
        let object = &session.object;
        let in_version = |n| at(object, "/agent/version").as_u64() == Some(n);
        let of_agent = |id: &str| text(object, "/agent/id") == id && version.is_none_or(in_version);
        (archived || at(object, "/archived_at").is_null())
            && (statuses.is_empty() || statuses.contains(&session.status()))
            && fits("agent_id", &of_agent)
            && fits("deployment_id", &|id| text(object, "/deployment_id") == id)
            && fits("memory_store_id", &|id| session.has_memory_store(id))
            && within(text(object, "/created_at"))
    })
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    Ok(state.session(call.id(0))?.show())
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(
        &call.body,
        "",
        &["title", "metadata", "budget", "agent", "vault_ids"],
    )?;
    let session = state.session(call.id(0))?;
    if session.over() {
        return Err(Refusal::conflict(format!(
            "Session `{}` is archived or terminated.",
            call.id(0)
        )));
    }
    if fields.has("vault_ids") {
        return Err(fields.wrong("vault_ids", "Not supported yet"));
    }
    let (mut object, event) = changed(session, &fields)?;
    if object != session.object {
        set(&mut object, "updated_at", stamp::now());
        session.object = object;
        session.log.record(event);
        session.wake.notify_one();
    }
    Ok(session.show())
}

/// The object after an update, and the event that tells what changed.
fn changed(session: &Session, fields: &Fields<'_>) -> Result<(Value, Value), Refusal> {
    let mut object = session.object.clone();
    let mut event = json!({"type": "session.updated"});
    let mut change = |object: &mut Value, key: &str, new: Value| {
        set(&mut event, key, new.clone());
        set(object, key, new);
    };
    if fields.has("title") {
        change(&mut object, "title", fields.text("title", 0..=500)?.into());
    }
    if let Some(patch) = fields.metadata("metadata", Nulls::Delete)? {
        merge_metadata(&mut object, patch);
        let merged = at(&object, "/metadata").clone();
        check_pairs(merged.as_object().map_or(0, Map::len))
            .map_err(|why| fields.wrong("metadata", &why))?;
        change(&mut object, "metadata", merged);
    }
    if let Some(agent) = fields.get("agent") {
        change(
            &mut object,
            "agent",
            session_agent::updated(session, agent)?,
        );
    }
    if fields.has("budget") {
        change(
            &mut object,
            "budget",
            budget::updated(session, fields.get("budget"))?,
        );
    }
    Ok((object, event))
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    let session = state.session(call.id(0))?;
    refuse_busy(session, "archived")?;
    if at(&session.object, "/archived_at").is_null() {
        set(&mut session.object, "archived_at", stamp::now());
        session.pending.clear();
        session.interrupts.push(String::new());
        session.wake.notify_one();
    }
    Ok(session.show())
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let session = state.session(call.id(0))?;
    refuse_busy(session, "deleted")?;
    session.log.record(json!({"type": "session.deleted"}));
    session.wake.notify_one();
    state.sessions.remove(call.id(0));
    Ok(json!({"id": call.id(0), "type": "session_deleted"}))
}

fn refuse_busy(session: &Session, verb: &str) -> Result<(), Refusal> {
    match session.busy() {
        Some(status) if session.phase() != Phase::Terminated => Err(Refusal::invalid(format!(
            "Session `{}` is {status} and cannot be {verb}. Interrupt it and wait until it is idle.",
            text(&session.object, "/id")
        ))),
        _ => Ok(()),
    }
}
