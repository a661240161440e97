//! What a process has sent to a session and not yet seen taken in.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::history::{LATENESS, is_question};
use crate::api::events::Event;

/// What this process has sent to a session and not yet seen taken in: a state read in between would be an old one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The question; its turn cannot be over before it is taken in.
    pub question: Option<String>,
    /// When it was sent, by the server's clock, if that is known.
    pub sent: Option<DateTime<Utc>>,
    /// Answers that must be taken in as well.
    pub answers: Vec<String>,
    /// Tool events that were answered, whatever the record says yet.
    pub answered: HashSet<String>,
    /// A question was sent whose event is not known by id.
    pub unnamed: Option<Unnamed>,
    /// The question was sent a moment ago and may not be listed yet, however long the record is.
    pub just_sent: bool,
    /// It was sent while another turn was at work, whose own reply comes before.
    pub behind: bool,
    /// A status event with this id is from before the interrupt that was sent.
    pub stale_status: Option<String>,
}

impl Asked {
    /// The same, for the turn of another question or of this one.
    pub fn about(self, question: String) -> Asked {
        let is_same = self.question.as_ref() == Some(&question);
        Asked {
            behind: self.behind && is_same,
            sent: self.sent.filter(|_| is_same),
            question: Some(question),
            unnamed: None,
            ..self
        }
    }

    /// Whether it was sent long after this, and not only about the same time.
    pub(super) fn is_sent_after(&self, event: &Event) -> bool {
        let times = self.sent.zip(event.at);
        times.is_some_and(|(sent, at)| sent - at >= LATENESS)
    }
}

/// What is known of a question that was accepted without a word about its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unnamed {
    /// Events that were there before.
    pub before: HashSet<String>,
    /// Its words; empty where any question must be it.
    pub text: String,
}

impl Unnamed {
    /// Whether this event may be the question.
    pub fn may_be(&self, event: &Event) -> bool {
        // Some servers keep a text without the space around it.
        let same = || self.text.is_empty() || event.text().trim() == self.text.trim();
        is_question(&event.kind) && !self.before.contains(&event.id) && same()
    }
}
