//! Waiting for the client within a turn: confirmations, and results of tools the client runs.

use serde_json::{Value, json};

use super::json::{items, set, text};
use super::plan::{Cost, Use};
use super::session::Phase;
use super::turn::{End, Turn};

impl Turn<'_> {
    /// Announces what is pending, and goes on when the client has answered all of it.
    pub(super) async fn wait_for_answers(&mut self, spurious: bool) -> Result<(), End> {
        let gated = std::mem::take(&mut self.gated);
        self.act(|turn, session| {
            turn.pay(session, Cost::Usual);
            if !session.pending.is_empty() {
                session.ask();
            }
        })?;
        let results = self.collect(&gated, spurious).await?;
        self.act(|_, session| {
            if session.phase() == Phase::Idle {
                session.run();
            }
        })?;
        for result in results {
            self.rest(self.gap).await?;
            self.record(result)?;
        }
        self.begin_request().await
    }

    /// Takes answers until nothing is pending; returns the results of the tools that were allowed or denied.
    pub(super) async fn collect(
        &mut self,
        gated: &[(String, Use)],
        spurious: bool,
    ) -> Result<Vec<Value>, End> {
        let mut results = Vec::new();
        loop {
            self.heed_interrupts()?;
            let (answers, open) = self.act(|_, session| {
                (
                    session.answers.drain(..).collect::<Vec<_>>(),
                    !session.pending.is_empty(),
                )
            })?;
            if answers.is_empty() && open {
                self.wake.notified().await;
                continue;
            }
            if spurious {
                let ids: Vec<&str> = gated.iter().map(|(id, _)| id.as_str()).collect();
                let again = json!({"stop_reason": {"type": "requires_action", "event_ids": ids}});
                self.act(|_, session| session.idle(&again))?;
            }
            for answer in &answers {
                self.act(|_, session| session.log.process(text(answer, "/id")))?;
                results.extend(self.heed(answer, gated));
            }
            if !open {
                return Ok(results);
            }
            self.act(|_, session| {
                if !session.pending.is_empty() {
                    session.ask();
                }
            })?;
        }
    }

    /// What follows from one answer: the result of the tool, and a note for the last message.
    fn heed(&mut self, answer: &Value, gated: &[(String, Use)]) -> Option<Value> {
        let used = [
            text(answer, "/tool_use_id"),
            text(answer, "/custom_tool_use_id"),
        ];
        let (id, call) = gated.iter().find(|(id, _)| used.contains(&id.as_str()))?;
        let name = text(&call.event, "/name");
        if text(answer, "/type") != "user.tool_confirmation" {
            let said = items(answer, "/content")
                .iter()
                .map(|block| text(block, "/text"))
                .collect::<Vec<_>>()
                .join(" ");
            self.notes.push(format!("The result of {name} was: {said}"));
            return None;
        }
        if text(answer, "/result") == "allow" {
            // With another gate the client runs the tool itself and sends the result.
            if call.gates.len() > 1 {
                return None;
            }
            self.deliver(call);
            return Some(result(id, call, Ok(&call.result)));
        }
        let why = text(answer, "/deny_message");
        self.notes
            .push(format!("The call of {name} was denied: {why}"));
        Some(result(id, call, Err(&format!("Denied by the user: {why}"))))
    }
}

/// The result of a tool: what it returned, or why it did not run.
pub(super) fn result(id: &str, call: &Use, outcome: Result<&str, &str>) -> Value {
    let (Ok(words) | Err(words)) = outcome;
    let content = json!([{"type": "text", "text": words}]);
    let mut event = json!({"content": content, "is_error": outcome.is_err()});
    let (kind, key) = match text(&call.event, "/type") {
        "agent.mcp_tool_use" => ("agent.mcp_tool_result", "mcp_tool_use_id"),
        _ => ("agent.tool_result", "tool_use_id"),
    };
    set(&mut event, "type", kind);
    set(&mut event, key, id);
    event
}
