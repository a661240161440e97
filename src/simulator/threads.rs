//! `/v1/sessions/{id}/threads`: the primary thread of a session, and those its agent hands work to.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::json::{at, text};
use super::log::Log;
use super::page::Page;
use super::session::Session;
use super::sessions::STATUSES;
use super::state::{Call, State};
use super::thread::Thread;
use super::{events, session_agent};

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
