//! `/v1/sessions/{id}/events`: the list, and what happens to events that are sent.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, text};
use super::log::Log;
use super::page::Page;
use super::session::{Phase, Session};
use super::state::{Call, State};
use super::{sent, tools};

const FILTERS: [&str; 8] = [
    "limit",
    "page",
    "order",
    "types[]",
    "created_at[gt]",
    "created_at[gte]",
    "created_at[lt]",
    "created_at[lte]",
];

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&FILTERS)?;
    listed(&state.session(call.id(0))?.log, call)
}

/// The page of a log that a call asks for.
pub(super) fn listed(log: &Log, call: &Call) -> Answer {
    let page = Page::read(&call.query, "asc", 1000, 1000)?;
    let (within, kinds) = (call.query.window()?, call.query.all("types[]"));
    let listed = log.list(call.list_lag).filter(|(_, event)| {
        (kinds.is_empty() || kinds.contains(&text(event, "/type")))
            && within(text(event, "/processed_at"))
    });
    let leaf = page.cut(listed);
    let data: Vec<&Value> = leaf.data.iter().map(|event| event.as_ref()).collect();
    Ok(json!({"data": data, "next_page": leaf.next}))
}

pub(super) fn send(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &["events"])?;
    state.session(call.id(0))?;
    if fields.array("events", 100)?.is_empty() {
        return Err(fields.wrong("events", "Field required: at least one event"));
    }
    let events = tools::each(&fields, "events", 100, |value, path| {
        let event = sent::checked(value, path)?;
        sent::check_files(state, value)?;
        Ok(event)
    })?;
    let session = state.session(call.id(0))?;
    if session.over() {
        let state = if session.phase() == Phase::Terminated {
            "terminated"
        } else {
            "archived"
        };
        return Err(Refusal::conflict(format!(
            "Session `{}` is {state} and accepts no events.",
            call.id(0)
        )));
    }
    check_state(session, &events)?;
    let (data, wakes) = accept(session, events);
    if wakes {
        state.woken.push(call.id(0).to_owned());
    }
    Ok(json!({"data": data}))
}

/// Refuses answers to what is not pending, and new work at the budget's end.
fn check_state(session: &Session, events: &[Value]) -> Result<(), Refusal> {
    let mut open = session.pending.clone();
    for (place, event) in events.iter().enumerate() {
        let kind = text(event, "/type");
        let key = match kind {
            "user.tool_confirmation" | "user.tool_result" => "tool_use_id",
            "user.custom_tool_result" => "custom_tool_use_id",
            "user.interrupt" => {
                let thread = text(event, "/session_thread_id");
                if !thread.is_empty() {
                    session.show_thread(thread)?;
                }
                continue;
            }
            _ if session.capped() => {
                return Err(Refusal::invalid(format!(
                    "events.{place}: the session has reached its budget; raise or remove the budget first, only \
                     confirmations, results and interrupts are accepted"
                )));
            }
            _ => continue,
        };
        let id = text(event, &format!("/{key}"));
        let Some(found) = open
            .iter()
            .position(|pending| pending.id == id && pending.answers.first() == Some(&kind))
        else {
            let use_kind = if key == "tool_use_id" {
                "agent.tool_use"
            } else {
                "agent.custom_tool_use"
            };
            return Err(Refusal::invalid(format!(
                "events.{place}: `{key}` \"{id}\" does not match any `{use_kind}` event awaiting a {kind} in this session"
            )));
        };
        open.remove(found);
    }
    Ok(())
}

/// Takes events in; returns them as the API answers, and whether the agent must be started.
pub(super) fn accept(session: &mut Session, mut events: Vec<Value>) -> (Vec<Value>, bool) {
    for event in &mut events {
        let id = text(event, "/id").to_owned();
        match text(event, "/type") {
            "user.interrupt" => {
                session.log.queue(event.clone());
                let thread = text(event, "/session_thread_id");
                if let Some(child) = session.child(thread) {
                    child.log.queue(event.clone());
                    child.interrupts.push(id);
                    // A child that rests has nothing to stop; without a turn nobody else would say so.
                    if !session.in_turn {
                        session.stop_interrupted_threads();
                    }
                } else if session.in_turn || session.phase() == Phase::Running {
                    session.interrupts.push(id);
                } else {
                    session.log.process(&id);
                }
            }
            "user.message" | "user.define_outcome" | "system.message" => enqueue(session, event),
            _ => {
                session.route(event);
                session.log.queue(event.clone());
                session.resolve(event);
            }
        }
    }
    session.wake.notify_one();
    let wakes = !session.playing && !session.queue.is_empty();
    session.playing |= wakes;
    (events, wakes)
}

fn enqueue(session: &mut Session, event: &Value) {
    let asks_for_work = text(event, "/type") != "system.message";
    // The running events come before the message they are about, in the list as on the stream.
    if asks_for_work && !session.in_turn && session.phase() == Phase::Idle {
        session.run();
    }
    if at(event, "/processed_at").is_null() {
        session.log.queue(event.clone());
    } else {
        session.log.record(event.clone());
    }
    if text(event, "/type") == "user.define_outcome" {
        session.define_outcome(text(event, "/outcome_id"), text(event, "/description"));
    }
    session.queue.push_back(event.clone());
}
