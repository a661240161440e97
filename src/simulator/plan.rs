//! What a turn is made of.

use std::time::Duration;

use serde_json::Value;

use super::delegate::BEATS;
use super::json::text;
use super::outputs::Output;

/// One step of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A model request begins; with the budget used up the agent pauses here.
    Request,
    /// The model request ends and costs something.
    Answered(Cost),
    /// Thinking.
    Think,
    /// A message as it stands.
    Say(String),
    /// The last message; what was denied and what the client answered is added to it.
    Conclude(String),
    /// A tool call; a gated one is carried out after the next `Await`.
    Use(Use),
    /// Waits until every gated call was answered.
    Await,
    /// Any other event, as it stands.
    Event(Value),
    /// Nothing for a while.
    Quiet(Duration),
    /// The platform starts the session again.
    Reschedule,
    /// Hands work to threads and waits for all of them.
    Delegate {
        /// How many.
        count: usize,
        /// How long they work.
        time: Duration,
    },
    /// The session rests for a while although grading is to come.
    Gap(Duration),
    /// A round of grading.
    Evaluate {
        /// 0 for the first.
        iteration: u64,
        /// The verdict.
        result: &'static str,
    },
}

/// What a model request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// A few cents.
    Usual,
    /// All that is left of the budget.
    Rest,
    /// Nothing: it failed.
    Failed,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Use {
    /// Its event, without id and time.
    pub(super) event: Value,
    /// What the tool returns when the agent runs it.
    pub(super) result: String,
    /// The types of events the client must answer with, one after the other.
    pub(super) gates: &'static [&'static str],
    /// The files it leaves in the session's outputs, if it is carried out there.
    pub(super) outputs: Vec<Output>,
}

/// How a turn ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    /// Idle: `stop_reason` and, for a refusal, `stop_details`.
    Idle(Value),
    /// The session is over.
    Terminated,
}

/// A whole turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) stop: Stop,
    /// How long the steps take altogether.
    pub(super) lasts: Duration,
    /// Messages that arrive meanwhile are answered in the same turn.
    pub(super) batch: bool,
    /// How long after the idle event the last message appears.
    pub(super) late: Option<Duration>,
    /// What was just answered is asked for once more.
    pub(super) spurious: bool,
}

impl Plan {
    /// How often the agent pauses in it.
    pub(super) fn pauses(&self) -> usize {
        let of = |step: &Step| match step {
            Step::Use(call) if call.gates.is_empty() => 2,
            Step::Evaluate { .. } => 3,
            Step::Delegate { count, .. } => 2 * count + BEATS,
            _ => 1,
        };
        self.steps.iter().map(of).sum()
    }
}

impl Stop {
    /// Whether the turn ends without an answer.
    pub(super) fn is_failure(&self) -> bool {
        let reasons = ["refusal", "retries_exhausted"];
        match self {
            Self::Idle(stop) => reasons.contains(&text(stop, "/stop_reason/type")),
            Self::Terminated => true,
        }
    }
}
