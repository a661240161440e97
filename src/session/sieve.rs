//! What is kept of a turn that is too long to be kept whole: its newest events, and of those before them the agent's words
//! and what decides how it stands.

use std::collections::HashSet;

use super::outline::KINDS;
use super::turn::{Asked, Status, is_answer, is_work, last_status, speaks};
use crate::api::events::{Event, Taken};

/// Goes through a record from its newest event back.
#[derive(Debug)]
pub struct Sieve {
    /// So much of the newest events is still kept whole.
    left: usize,
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
            awaited: Awaited::Unknown,
            spoke: false,
            worked: false,
        }
    }

    /// Whether the next event, which takes so many bytes, is kept.
    pub fn keeps(&mut self, event: &Event, bytes: usize, asked: &Asked) -> bool {
        let is_kept =
            self.is_recent() || event.taken == Taken::NotYet || self.matters(event, asked);
        self.left = self.left.saturating_sub(bytes);
        if event.kind.starts_with("session.status_") {
            // How a turn ended is told by what stands right before its end.
            (self.spoke, self.worked) = (false, false);
        }
        if matches!(self.awaited, Awaited::Unknown) {
            self.await_as(event, asked);
        }
        self.spoke |= speaks(event);
        self.worked |= is_work(&event.kind);
        is_kept
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
            || event.kind == "agent.message"
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
            Status::Idle { kind, event_ids } if kind == "requires_action" => {
                match event_ids.is_empty() {
                    true => Awaited::Any,
                    false => Awaited::These(event_ids.into_iter().collect()),
                }
            }
            _ => Awaited::These(HashSet::new()),
        };
    }
}
