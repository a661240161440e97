//! What the session object says of the session as a whole.

use chrono::{DateTime, Utc};

use super::grading;
use super::history::History;
use crate::api::sessions::{OutcomeEvaluation, Session};

/// What the session object says beside its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifecycle<'a> {
    /// It is over for good.
    pub over: Option<Over>,
    /// Its `status` is one of work; used only where no event tells.
    pub running: bool,
    /// How its outcomes stand; used only where no event tells.
    pub outcomes: &'a [OutcomeEvaluation],
    /// The end of its newest turn is no longer fresh.
    pub rests: bool,
}

impl<'a> Lifecycle<'a> {
    /// What the session object says; whether it rests only its events tell, in [`with`](Lifecycle::with).
    pub fn of(session: &'a Session) -> Lifecycle<'a> {
        let over = match session.status.as_str() {
            _ if session.archived_at.is_some() => Some(Over::Archived),
            "terminated" => Some(Over::Terminated),
            _ => None,
        };
        Lifecycle {
            over,
            running: matches!(session.status.as_str(), "running" | "rescheduling"),
            outcomes: &session.outcome_evaluations,
            rests: false,
        }
    }

    /// The same, where these are its events.
    pub fn with(self, history: &History, now: DateTime<Utc>) -> Lifecycle<'a> {
        let outcomes = grading::believed(history, self.outcomes, now);
        Lifecycle {
            rests: history.rests(now) && !grading::awaits_grading(history, outcomes),
            outcomes,
            ..self
        }
    }

    /// Whether an outcome has no last verdict yet.
    pub fn is_graded(&self) -> bool {
        self.outcomes.iter().any(grading::is_open)
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Someone archived it.
    Archived,
    /// The API does not know it any more.
    Deleted,
    /// The platform ended it.
    Terminated,
}
