//! What a waiting caller is shown.

use super::hidden;
use crate::api::events::Event;
use crate::session::activity::tool_line;
use crate::session::grading;
use crate::session::history::{is_call, is_question};
use crate::session::report;
use crate::session::turn::State;

/// What a waiting caller is shown.
#[derive(Default)]
pub(super) struct Progress {
    calls: usize,
    latest: Option<String>,
    cost: Option<f64>,
}

impl Progress {
    pub(super) fn see(&mut self, event: &Event) {
        match event.kind.as_str() {
            kind if is_call(kind) => {
                self.calls += 1;
                let call = tool_line(event, 100, hidden::MASKED);
                self.latest = Some(match event.permission().as_deref() {
                    Some("ask") => format!("asks for permission: {call}"),
                    _ => call,
                });
            }
            kind if is_question(kind) => self.calls = 0,
            "agent.message" => self.latest = Some("writing".to_owned()),
            "session.status_running" => self.latest = Some("thinking".to_owned()),
            "session.status_rescheduled" => self.latest = Some("the platform retries".to_owned()),
            "span.outcome_evaluation_start" => self.latest = Some("the grader reads".to_owned()),
            "span.outcome_evaluation_end" => {
                self.latest =
                    grading::verdict(&[event]).map(|verdict| format!("graded: {}", verdict.result));
            }
            "session.usage" => self.cost = report::cost_of(event).or(self.cost),
            _ => {}
        }
    }

    /// Counts calls that were seen and not kept.
    pub(super) fn count(&mut self, calls: usize) {
        self.calls += calls;
    }

    /// At most 180 characters.
    pub(super) fn line(&self, state: State) -> String {
        let latest = self.latest.as_deref().unwrap_or("waiting for the agent");
        let mut line = match state {
            State::Working => format!("running: {latest}"),
            other => format!("{}: reading the last events", other.word()),
        };
        if self.calls > 0 {
            let plural = if self.calls == 1 { "" } else { "s" };
            line.push_str(&format!(" · {} tool call{plural}", self.calls));
        }
        if let Some(cost) = self.cost {
            line.push_str(&format!(" · ${cost:.2}"));
        }
        report::cut(&line, 180)
    }
}
