//! Grading within a turn: the rounds of an outcome.

use serde_json::json;

use super::json::{at, set};
use super::session::Session;
use super::stamp;
use super::turn::{End, Turn, model_usage};

impl Turn<'_> {
    /// One round, from its start to its verdict.
    pub(super) async fn evaluate(&mut self, iteration: u64, verdict: &str) -> Result<(), End> {
        let (outcome, usage) = (self.outcome, model_usage());
        let span =
            |kind: &str| json!({"type": kind, "iteration": iteration, "outcome_id": outcome});
        let start = self.act(|turn, session| {
            turn.note_outcome(session, iteration, "evaluating", None);
            session.log.record(span("span.outcome_evaluation_start"))
        })?;
        self.rest(self.gap).await?;
        self.record(span("span.outcome_evaluation_ongoing"))?;
        self.rest(self.gap).await?;
        let explanation = format!("Simulated verdict: {verdict}.");
        let mut end = span("span.outcome_evaluation_end");
        set(&mut end, "outcome_evaluation_start_id", start);
        set(&mut end, "result", verdict);
        set(&mut end, "explanation", explanation.as_str());
        set(&mut end, "usage", usage);
        self.act(|turn, session| {
            let state = if verdict == "needs_revision" {
                "running"
            } else {
                verdict
            };
            turn.note_outcome(session, iteration, state, Some(&explanation));
            session.log.record(end);
        })
    }

    fn note_outcome(
        &self,
        session: &mut Session,
        iteration: u64,
        result: &str,
        explanation: Option<&str>,
    ) {
        let Some(outcome) = session.outcome(self.outcome) else {
            return;
        };
        set(outcome, "iteration", iteration);
        set(outcome, "result", result);
        if explanation.is_some() {
            set(outcome, "explanation", explanation);
        }
        if !matches!(result, "evaluating" | "running") {
            set(outcome, "completed_at", stamp::now());
        }
    }

    /// An outcome that an interrupt left unfinished.
    pub(super) fn interrupt_outcome(&self, session: &mut Session) {
        let Some(outcome) = session.outcome(self.outcome) else {
            return;
        };
        if at(outcome, "/completed_at").is_null() {
            set(outcome, "result", "interrupted");
            set(outcome, "completed_at", stamp::now());
        }
    }
}
