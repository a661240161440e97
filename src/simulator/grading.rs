//! Grading within a turn: the rounds of an outcome.

use std::time::Duration;

use serde_json::{Value, json};

use super::json::{at, set, text};
use super::script::end_turn;
use super::session::{Session, model_usage};
use super::stamp;
use super::turn::{End, Turn};

impl Turn<'_> {
    /// Rests although grading is to come, as some compatible servers do.
    pub(super) async fn pause_before_grading(&mut self, time: Duration) -> Result<(), End> {
        self.act(|_, session| session.idle(&end_turn()))?;
        self.rest(time).await?;
        self.act(|_, session| session.run())
    }

    /// One round, from its start to its verdict.
    pub(super) async fn evaluate(&mut self, iteration: u64, verdict: &str) -> Result<(), End> {
        let start = self.span("start", iteration);
        self.act(|turn, session| {
            turn.note_outcome(session, iteration, "evaluating", None);
            turn.evaluating = Some((session.log.record(start), iteration));
        })?;
        self.rest(self.gap).await?;
        self.record(self.span("ongoing", iteration))?;
        self.rest(self.gap).await?;
        self.act(|turn, session| turn.judge(session, verdict))
    }

    fn span(&self, moment: &str, iteration: u64) -> Value {
        let kind = format!("span.outcome_evaluation_{moment}");
        json!({"type": kind, "iteration": iteration, "outcome_id": self.outcome})
    }

    /// Ends the round that has begun, if one has.
    fn judge(&mut self, session: &mut Session, verdict: &str) {
        let Some((start, iteration)) = self.evaluating.take() else {
            return;
        };
        let explanation = format!("Simulated verdict: {verdict}.");
        let mut end = self.span("end", iteration);
        set(&mut end, "outcome_evaluation_start_id", start);
        set(&mut end, "result", verdict);
        set(&mut end, "explanation", explanation.as_str());
        set(&mut end, "usage", model_usage());
        let state = match verdict {
            "needs_revision" => "running",
            last => last,
        };
        self.note_outcome(session, iteration, state, Some(&explanation));
        session.log.record(end);
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
    pub(super) fn interrupt_outcome(&mut self, session: &mut Session) {
        self.judge(session, "interrupted");
        let Some(outcome) = session.outcome(self.outcome) else {
            return;
        };
        if at(outcome, "/completed_at").is_null() {
            set(outcome, "result", "interrupted");
            set(outcome, "completed_at", stamp::now());
        }
    }
}

impl Session {
    /// The state of an outcome, for change.
    pub(super) fn outcome(&mut self, id: &str) -> Option<&mut Value> {
        let outcomes = self.object.get_mut("outcome_evaluations")?.as_array_mut()?;
        outcomes
            .iter_mut()
            .find(|outcome| text(outcome, "/outcome_id") == id)
    }

    /// Remembers an outcome that work begins for.
    pub(super) fn define_outcome(&mut self, id: &str, description: &str) {
        let outcome = json!({
            "type": "outcome_evaluation", "outcome_id": id, "description": description,
            "iteration": 0, "result": "pending", "explanation": null, "completed_at": null,
        });
        if let Some(Value::Array(outcomes)) = self.object.get_mut("outcome_evaluations") {
            outcomes.push(outcome);
        }
    }
}
