//! What is kept of a turn that is too long to be kept whole: its newest events, and of those before them the agent's words
//! and what decides how it stands.

use std::collections::HashSet;

use super::history::is_call;
use super::outline::KINDS;
use super::turn::{Asked, Status, is_answer, is_work, last_status, speaks};
use crate::api::events::{Event, Taken};
use crate::seen::Seen;

/// So much of the agent's words is kept however little room there is: more than a result shows.
const LEAST_WORDS: usize = 1024 * 1024;

/// Goes through a record from its newest event back.
#[derive(Debug)]
pub struct Sieve {
    /// So much of the newest events is still kept whole, and so much of the agent's words.
    left: usize,
    words_left: usize,
    /// Calls that have a result, and were not met yet.
    resolved: Seen,
    awaited: Awaited,
    /// Somebody spoke, and worked, since the last status that ended something.
    spoke: bool,
    worked: bool,
}

/// The calls for whose answers the session waits.
#[derive(Debug)]
enum Awaited {
    /// The newest status was not met yet.
    Unknown,
    /// It names none.
    Any,
    These(HashSet<String>),
}

impl Sieve {
    /// Keeps so many bytes of the newest events whole.
    pub fn new(recent: usize) -> Sieve {
        Sieve {
            left: recent,
            words_left: (2 * recent).max(LEAST_WORDS),
            resolved: Seen::default(),
            awaited: Awaited::Unknown,
            spoke: false,
            worked: false,
        }
    }

    /// Whether the next event, which takes so many bytes, is kept.
    pub fn keeps(&mut self, event: &Event, bytes: usize, asked: &Asked) -> bool {
        let is_kept = self.is_recent()
            || event.taken == Taken::NotYet
            || self.is_unresolved(event)
            || self.matters(event, asked);
        self.left = self.left.saturating_sub(bytes);
        if event.kind == "agent.message" {
            self.words_left = self.words_left.saturating_sub(bytes);
        }
        if event.kind.ends_with("tool_result")
            && let Some(call) = event.answers()
        {
            self.resolved.insert(&call);
        }
        if event.kind.starts_with("session.status_") {
            // How a turn ended is told by what stands right before its end.
            (self.spoke, self.worked) = (false, false);
        }
        if matches!(self.awaited, Awaited::Unknown) {
            self.await_as(event, asked);
        }
        self.resolved.remove(&event.id);
        self.spoke |= speaks(event);
        self.worked |= is_work(&event.kind);
        is_kept
    }

    /// Whether it is a call without a result: the session may come to wait for it.
    fn is_unresolved(&self, event: &Event) -> bool {
        is_call(&event.kind) && !self.resolved.contains(&event.id)
    }

    fn is_recent(&self) -> bool {
        self.left > 0 || !self.spoke || !self.worked
    }

    fn matters(&self, event: &Event, asked: &Asked) -> bool {
        let named = [&asked.question, &asked.stale_status].into_iter().flatten();
        let is_ours = named.chain(&asked.answers).any(|id| *id == event.id);
        let is_awaited = match self.awaited {
            Awaited::Unknown => false,
            _ => self.awaits(Some(&event.id)),
        };
        if is_ours || is_awaited {
            return true;
        }
        if is_answer(&event.kind) {
            return self.awaits(event.answers().as_deref());
        }
        KINDS.contains(&event.kind.as_str())
            || (event.kind == "agent.message" && self.words_left > 0)
            || event.kind.starts_with("session.status_")
            || event.kind.starts_with("span.outcome_evaluation_")
    }

    fn awaits(&self, call: Option<&str>) -> bool {
        match &self.awaited {
            Awaited::Unknown | Awaited::Any => true,
            Awaited::These(these) => call.is_some_and(|call| these.contains(call)),
        }
    }

    fn await_as(&mut self, event: &Event, asked: &Asked) {
        self.awaited = match last_status(&[event], asked).1 {
            Status::None => return,
            Status::Awaits(event_ids) if event_ids.is_empty() => Awaited::Any,
            Status::Awaits(event_ids) => Awaited::These(event_ids.into_iter().collect()),
            _ => Awaited::These(HashSet::new()),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kept(newest_first: Vec<Value>) -> Vec<String> {
        let mut sieve = Sieve::new(0);
        let events = newest_first.into_iter().enumerate().map(|(at, mut event)| {
            event["id"] = event.get("id").cloned().unwrap_or(json!(format!("e{at}")));
            event["processed_at"] = json!("2026-11-01T10:00:00Z");
            serde_json::from_value::<Event>(event).unwrap()
        });
        let kept = events.filter(|event| sieve.keeps(event, 1, &Asked::default()));
        kept.map(|event| event.id).collect()
    }

    #[test]
    fn a_call_is_kept_until_it_has_a_result() {
        let call = |id: &str| json!({"type": "agent.tool_use", "id": id, "name": "bash", "evaluated_permission": "ask"});
        let result = |id: &str| json!({"type": "agent.tool_result", "tool_use_id": id});
        let message = json!({"type": "agent.message"});
        let record = vec![
            message,
            result("b"),
            call("b"),
            result("a"),
            call("open"),
            call("a"),
        ];
        let kept = kept(record);
        assert!(kept.contains(&"open".to_owned()), "{kept:?}");
        assert!(!kept.contains(&"a".to_owned()), "{kept:?}");
    }

    #[test]
    fn of_very_many_words_the_newest_are_kept() {
        let mut sieve = Sieve::new(0);
        let words = |at: usize| {
            let event = json!({"type": "agent.message", "id": format!("m{at}"), "processed_at": "2026-11-01T10:00:00Z"});
            serde_json::from_value::<Event>(event).unwrap()
        };
        let size = LEAST_WORDS / 4;
        // Before the first work everything is recent.
        let work =
            json!({"type": "agent.tool_use", "id": "w", "processed_at": "2026-11-01T10:00:00Z"});
        sieve.keeps(&serde_json::from_value(work).unwrap(), 1, &Asked::default());
        let kept = (0..10).filter(|at| sieve.keeps(&words(*at), size, &Asked::default()));
        assert_eq!(kept.collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
