//! `/v1/sessions/{id}/threads`, the threads of a session: its primary one, and those the agent hands work to, each with its own log.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::json::{at, items, set, text};
use super::log::Log;
use super::page::Page;
use super::session::{Phase, Session, model_usage};
use super::sessions::STATUSES;
use super::state::{Call, State};
use super::thread::Thread;
use super::turn::CENTS;
use super::{events, script, session_agent, stamp};

/// An event with an id and a time, so that two logs can tell of it alike.
pub(super) fn stamped(mut event: Value) -> Value {
    set(&mut event, "id", stamp::id("sevt"));
    set(&mut event, "processed_at", stamp::processed_at());
    event
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page", "statuses[]"])?;
    let page = Page::read(&call.query, "asc", 1000, 1000)?;
    let statuses = call.query.all("statuses[]");
    if let Some(odd) = statuses.iter().find(|status| !STATUSES.contains(status)) {
        let why = format!("statuses: `{odd}` is not a status");
        return Err(Refusal::invalid(why));
    }
    let threads = state.session(call.id(0))?.show_threads().into_iter();
    let kept = threads
        .enumerate()
        .filter(|(_, thread)| statuses.is_empty() || statuses.contains(&text(thread, "/status")));
    let kept: Vec<_> = kept.map(|(key, thread)| (key as u64, thread)).collect();
    Ok(page.cut(kept.into_iter()).one_way())
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.session(call.id(0))?.show_thread(call.id(1))
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    state.session(call.id(0))?.archive_thread(call.id(1))
}

pub(super) fn events(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page"])?;
    let log = state.session(call.id(0))?.log_of(call.id(1))?;
    events::listed(log, call)
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

    /// A child thread, for change.
    pub(super) fn child(&mut self, id: &str) -> Option<&mut Thread> {
        self.children.iter_mut().find(|thread| thread.id == id)
    }

    /// A log by the id of its thread, or 404.
    pub(super) fn log_of(&mut self, id: &str) -> Result<&mut Log, Refusal> {
        if id == self.thread {
            return Ok(&mut self.log);
        }
        let child = self.children.iter_mut().find(|thread| thread.id == id);
        child
            .map(|thread| &mut thread.log)
            .ok_or_else(|| Refusal::unknown("Thread", id))
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

    /// A child's thread as the API returns it, or the primary one.
    pub(super) fn show_thread(&self, id: &str) -> Result<Value, Refusal> {
        if id == self.thread {
            return Ok(self.show_primary());
        }
        let found = self.children.iter().find(|thread| thread.id == id);
        found
            .map(|thread| thread.show(self))
            .ok_or_else(|| Refusal::unknown("Thread", id))
    }

    /// Every thread as the API returns it, in the order of their beginning.
    pub(super) fn show_threads(&self) -> Vec<Value> {
        let children = self.children.iter().map(|thread| thread.show(self));
        [self.show_primary()].into_iter().chain(children).collect()
    }

    fn show_primary(&self) -> Value {
        let (object, shown) = (&self.object, self.show());
        json!({
            "id": self.thread, "type": "session_thread", "session_id": at(object, "/id"),
            "agent": session_agent::snapshot_alone(at(object, "/agent")), "parent_thread_id": null,
            "workflow_run_id": null, "status": self.status(), "created_at": at(object, "/created_at"),
            "updated_at": at(object, "/updated_at"), "archived_at": null, "usage": self.usage(),
            "stats": at(&shown, "/stats"),
        })
    }

    /// Archives a child that rests.
    pub(super) fn archive_thread(&mut self, id: &str) -> Result<Value, Refusal> {
        if id == self.thread {
            let why = "The primary thread cannot be archived; archive the session";
            return Err(Refusal::invalid(why));
        }
        let thread = self
            .child(id)
            .ok_or_else(|| Refusal::unknown("Thread", id))?;
        if thread.busy() {
            let why =
                format!("Thread `{id}` is running and cannot be archived. Interrupt it first.");
            return Err(Refusal::invalid(why));
        }
        thread.archive();
        self.show_thread(id)
    }
}
