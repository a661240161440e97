//! How a session stands, by its newest events and an outline of what came before them: a long turn need not be read back
//! event by event.

use std::collections::HashSet;

use super::history::{History, is_question};
use super::turn::{Asked, Lifecycle, State, Status, is_work, judge, last_status};
use crate::api::events::{Event, Taken};

/// The events of an outline. What is not among them changes how a session stands only near its end, or not at all.
pub const KINDS: [&str; 12] = [
    "user.message",
    "user.define_outcome",
    "user.interrupt",
    "user.tool_confirmation",
    "user.custom_tool_result",
    "user.tool_result",
    "session.status_running",
    "session.status_idle",
    "session.status_rescheduled",
    "session.status_terminated",
    "session.error",
    "session.deleted",
];

/// How the session stands, from two runs of its list: the newest events, without a gap, and, read after these and newest
/// first, all events of [`KINDS`] back to the beginning of the turn. `None` where they do not tell for certain.
pub fn state(
    newest: &History,
    outline: &[Event],
    asked: &Asked,
    lifecycle: Lifecycle<'_>,
) -> Option<State> {
    if lifecycle.over.is_some() {
        return Some(State::Terminated);
    }
    let newest: Vec<&Event> = newest.events().collect();
    let older = older(&newest, outline)?;
    let (at, status) = last_status(&newest, asked);
    let is_told = match &status {
        Status::Over => true,
        // Without names they are looked for among all events of the turn.
        Status::Idle { kind, event_ids } if kind == "requires_action" => !event_ids.is_empty(),
        Status::Idle { .. } => rules_out_errors(&newest, at),
        Status::Running => rules_out_errors(&newest, end_of_work(&newest, at)),
        Status::None => {
            let older: Vec<&Event> = older.iter().rev().collect();
            let (at, status) = last_status(&older, asked);
            let is_running = matches!(status, Status::Running)
                && older.get(at).is_some_and(|event| !is_idle(event));
            is_running && rules_out_errors(&newest, newest.len())
        }
    };
    let is_seen = |id: &String| {
        let mut events = newest.iter().copied().chain(older);
        events.any(|event| event.id == *id)
    };
    if !is_told
        || older.iter().any(is_hard_to_judge)
        || asked.stale_status.as_ref().is_some_and(|id| !is_seen(id))
    {
        return None;
    }
    let mut history = History::default();
    let events = older.iter().rev().chain(newest.iter().copied());
    history.listed(events.cloned().collect());
    Some(judge(&history, asked, lifecycle).state)
}

/// What the outline holds beyond the newest events, which it must agree with.
fn older<'a>(newest: &[&Event], outline: &'a [Event]) -> Option<&'a [Event]> {
    let is_of_outline = |event: &&Event| KINDS.contains(&event.kind.as_str());
    // A server that knows no types lists everything.
    if !outline.iter().all(|event| is_of_outline(&event)) {
        return None;
    }
    let newest_first = newest.iter().rev().copied();
    let shared: Vec<&Event> = newest_first.filter(is_of_outline).collect();
    let (same, older) = outline.split_at_checked(shared.len())?;
    let is_same = |(a, b): (&&Event, &Event)| a.raw() == b.raw();
    if !shared.iter().zip(same).all(is_same) {
        return None;
    }
    // What happened between the two looks does not belong behind the newest events.
    let known: HashSet<&str> = newest.iter().map(|event| event.id.as_str()).collect();
    let is_apart = older.iter().all(|event| !known.contains(event.id.as_str()));
    is_apart.then_some(older)
}

/// Where what may hold the error of a turn ends: before the idle that ended it, or at the end.
fn end_of_work(events: &[&Event], at: usize) -> usize {
    match events.get(at) {
        Some(event) if is_idle(event) => at,
        _ => events.len(),
    }
}

fn is_idle(event: &Event) -> bool {
    event.kind == "session.status_idle"
}

/// Whether the search for the error that ended a turn goes no further back than these events.
fn rules_out_errors(newest: &[&Event], until: usize) -> bool {
    let ends_search = |event: &&Event| {
        is_question(&event.kind) || event.kind == "session.status_running" || is_work(&event.kind)
    };
    let until = newest.get(..until).unwrap_or_default();
    until.iter().any(ends_search)
}

/// What is queued, or graded, is judged by what stands around it.
fn is_hard_to_judge(event: &Event) -> bool {
    let is_queued = match event.taken {
        Taken::In => false,
        Taken::NotYet => true,
        Taken::Unstated => is_question(&event.kind),
    };
    is_queued || event.kind == "user.define_outcome"
}
