//! How a session stands, in one word.

use serde::Serialize;

/// How a session stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was asked yet.
    Ready,
    /// The agent works, or something sent has not been taken in yet, or the platform retries.
    Working,
    /// The turn is over and its reply complete.
    Done,
    /// It waits for answers to what is pending.
    NeedsAction,
    /// Paused at its budget.
    BudgetReached,
    /// The model declined.
    Refused,
    /// Retries exhausted, or an error ended the turn; a new message may be sent.
    Failed,
    /// Over for good: an error, archived or deleted.
    Terminated,
}

impl State {
    /// Every state.
    pub const ALL: [State; 8] = [
        State::Ready,
        State::Working,
        State::Done,
        State::NeedsAction,
        State::BudgetReached,
        State::Refused,
        State::Failed,
        State::Terminated,
    ];

    /// The word, as results carry it.
    pub fn word(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Working => "working",
            State::Done => "done",
            State::NeedsAction => "needs_action",
            State::BudgetReached => "budget_reached",
            State::Refused => "refused",
            State::Failed => "failed",
            State::Terminated => "terminated",
        }
    }
}
