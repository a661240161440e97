//! What happens between a session and its child threads, told in the logs of both.

use serde_json::{Value, json};

use super::json::{at, items, set, text};
use super::session::{Phase, Session, model_usage};
use super::thread::Thread;
use super::turn::CENTS;
use super::{script, session_agent, stamp};

/// An event with an id and a time, so that two logs can tell of it alike.
pub(super) fn stamped(mut event: Value) -> Value {
    set(&mut event, "id", stamp::id("sevt"));
    set(&mut event, "processed_at", stamp::processed_at());
    event
}

impl Session {
    /// Announces the status of the primary thread.
    pub(super) fn thread_status(&mut self, kind: &str, mut event: Value) {
        set(&mut event, "type", kind);
        set(&mut event, "session_thread_id", self.thread.as_str());
        set(
            &mut event,
            "agent_name",
            at(&self.object, "/agent/name").clone(),
        );
        self.log.record(event);
    }

    /// Begins a thread for a member of the agent's team, or, without one, for a copy of the agent. Returns its id.
    pub(super) fn begin_thread(&mut self, place: usize) -> String {
        let team = items(&self.object, "/agent/multiagent/agents").iter();
        let team: Vec<&Value> = team.filter(|one| text(one, "/type") == "agent").collect();
        let agent = match team.get(place % team.len().max(1)) {
            Some(member) => (*member).clone(),
            None => session_agent::snapshot_alone(at(&self.object, "/agent")),
        };
        let thread = Thread::new(agent);
        let id = thread.id.clone();
        self.log.record(json!({
            "type": "session.thread_created", "session_thread_id": id, "agent_name": text(&thread.agent, "/name"),
            "workflow_run_id": null,
        }));
        self.children.push(thread);
        self.child_status(&id, "running", json!({}));
        id
    }

    /// Announces the status of a child thread, in its own log and in that of the session.
    pub(super) fn child_status(&mut self, id: &str, status: &'static str, mut event: Value) {
        let Some(thread) = self.child(id) else { return };
        thread.enter(status);
        let kind = format!("session.thread_status_{status}");
        set(&mut event, "type", kind);
        set(&mut event, "session_thread_id", id);
        set(&mut event, "agent_name", text(&thread.agent, "/name"));
        let event = stamped(event);
        thread.log.record(event.clone());
        self.log.record(event);
    }

    /// A message from the primary thread to a child, told in both logs.
    pub(super) fn message_child(&mut self, id: &str, words: &str) {
        let primary = self.thread.clone();
        let content = json!([{"type": "text", "text": words}]);
        let Some(thread) = self.child(id) else { return };
        thread.log.record(json!({
            "type": "agent.thread_message_received", "from_session_thread_id": primary, "content": content,
        }));
        let name = text(&thread.agent, "/name").to_owned();
        self.log.record(json!({
            "type": "agent.thread_message_sent", "to_session_thread_id": id, "to_agent_name": name, "content": content,
        }));
    }

    /// A child's answer to the primary thread, told in both logs.
    pub(super) fn message_primary(&mut self, id: &str, words: &str) {
        let primary = self.thread.clone();
        let content = json!([{"type": "text", "text": words}]);
        let Some(thread) = self.child(id) else { return };
        thread.log.record(json!({
            "type": "agent.thread_message_sent", "to_session_thread_id": primary, "content": content,
        }));
        let name = text(&thread.agent, "/name").to_owned();
        self.log.record(json!({
            "type": "agent.thread_message_received", "from_session_thread_id": id, "from_agent_name": name,
            "content": content,
        }));
    }

    /// Begins a model request in a child thread.
    pub(super) fn request_for_child(&mut self, id: &str) {
        if let Some(thread) = self.child(id) {
            let start = thread
                .log
                .record(json!({"type": "span.model_request_start"}));
            thread.request = Some(start);
        }
    }

    /// Ends the model request of a child thread, if one has begun, and pays for it.
    pub(super) fn pay_for_child(&mut self, id: &str) {
        let Some(thread) = self.child(id) else { return };
        let Some(start) = thread.request.take() else {
            return;
        };
        thread.usage.add(CENTS);
        thread.log.record(json!({
            "type": "span.model_request_end", "model_request_start_id": start, "is_error": false,
            "model_usage": model_usage(),
        }));
        self.usage.add(CENTS);
    }

    /// The child that made a call.
    pub(super) fn child_that_called(&self, call: &str) -> Option<String> {
        let mut children = self.children.iter();
        let found = children.find(|thread| thread.calls.iter().any(|id| id == call));
        found.map(|thread| thread.id.clone())
    }

    /// Names the thread in the client's answer to a call of a child, as the API does.
    pub(super) fn route(&self, answer: &mut Value) {
        if let Some(child) = self.child_that_called(text(answer, "/tool_use_id")) {
            set(answer, "session_thread_id", child);
        }
    }

    /// Announces what the children wait for, thread by thread and for the session.
    pub(super) fn ask_for_children(&mut self) {
        for (id, gated) in self.gated_children() {
            let reason = json!({"type": "requires_action", "event_ids": gated});
            self.child_status(&id, "idle", json!({"stop_reason": reason}));
        }
        if !self.pending.is_empty() {
            self.ask();
        }
    }

    /// Announces that the children go on after the client's answers.
    pub(super) fn go_on_with_children(&mut self) {
        if self.phase() == Phase::Idle {
            self.go_on();
        }
        for (id, _) in self.gated_children() {
            if let Some(thread) = self.child(&id) {
                thread.gated.clear();
            }
            self.child_status(&id, "running", json!({}));
        }
    }

    fn gated_children(&self) -> Vec<(String, Vec<String>)> {
        let gated = self
            .children
            .iter()
            .filter(|thread| !thread.gated.is_empty());
        gated
            .map(|thread| (thread.id.clone(), thread.gated.clone()))
            .collect()
    }

    /// Stops the threads whose interrupt was accepted.
    pub(super) fn stop_interrupted_threads(&mut self) {
        let mut stopped = Vec::new();
        for thread in &mut self.children {
            for interrupt in std::mem::take(&mut thread.interrupts) {
                stopped.push((thread.id.clone(), interrupt));
            }
        }
        for (id, interrupt) in stopped {
            let now = stamp::processed_at();
            self.log.process_at(&interrupt, &now);
            if let Some(thread) = self.child(&id) {
                thread.log.process_at(&interrupt, &now);
            }
            self.stop_thread(&id);
        }
    }

    /// Stops whatever child still works.
    pub(super) fn stop_threads(&mut self) {
        let ids = self.children.iter().map(|thread| thread.id.clone());
        for id in ids.collect::<Vec<_>>() {
            self.stop_thread(&id);
        }
    }

    fn stop_thread(&mut self, id: &str) {
        let Some(thread) = self.child(id).filter(|thread| thread.busy()) else {
            return;
        };
        let gated = std::mem::take(&mut thread.gated);
        self.pay_for_child(id);
        self.child_status(id, "idle", script::end_turn());
        if !gated.is_empty() {
            self.pending.retain(|pending| !gated.contains(&pending.id));
            if self.phase() == Phase::Idle && !self.pending.is_empty() {
                self.ask();
            }
        }
    }
}
