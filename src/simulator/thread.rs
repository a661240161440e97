//! One child thread: the agent that works in it, its log and its status.

use std::time::Instant;

use serde_json::{Value, json};

use super::json::at;
use super::log::Log;
use super::session::{Session, Usage};
use super::stamp;

/// A child thread.
pub(super) struct Thread {
    pub(super) id: String,
    /// The agent that works in it, as it was when the thread began.
    pub(super) agent: Value,
    pub(super) log: Log,
    pub(super) usage: Usage,
    /// Ids of accepted interrupts of this thread alone.
    pub(super) interrupts: Vec<String>,
    /// The id of its model request that has begun and not ended.
    pub(super) request: Option<String>,
    /// Ids of its calls.
    pub(super) calls: Vec<String>,
    /// Ids of its calls that wait for the client.
    pub(super) gated: Vec<String>,
    /// Whether it has answered the primary thread.
    pub(super) concluded: bool,
    created_at: String,
    updated_at: String,
    archived_at: Option<String>,
    status: &'static str,
    created: Instant,
    since: Instant,
    active: f64,
    /// Usage is told from the first idle event on.
    rested: bool,
}

impl Thread {
    /// A new one that has not begun.
    pub(super) fn new(agent: Value) -> Self {
        let now = stamp::now();
        Self {
            id: stamp::id("sthr"),
            agent,
            log: Log::default(),
            usage: Usage::default(),
            interrupts: Vec::new(),
            request: None,
            calls: Vec::new(),
            gated: Vec::new(),
            concluded: false,
            created_at: now.clone(),
            updated_at: now,
            archived_at: None,
            status: "idle",
            created: Instant::now(),
            since: Instant::now(),
            active: 0.0,
            rested: false,
        }
    }

    /// Whether it works at the moment, or waits for the client in its work.
    pub(super) fn busy(&self) -> bool {
        self.status == "running" || !self.gated.is_empty()
    }

    /// Takes a status on.
    pub(super) fn enter(&mut self, status: &'static str) {
        if self.status == "running" {
            self.active += self.since.elapsed().as_secs_f64();
        }
        self.rested |= status == "idle";
        self.status = status;
        self.since = Instant::now();
        self.updated_at = stamp::now();
    }

    /// Archives it, once.
    pub(super) fn archive(&mut self) {
        if self.archived_at.is_none() {
            let now = stamp::now();
            self.updated_at.clone_from(&now);
            self.archived_at = Some(now);
        }
    }

    /// The thread as the API returns it.
    pub(super) fn show(&self, session: &Session) -> Value {
        let running = match self.status {
            "running" => self.since.elapsed().as_secs_f64(),
            _ => 0.0,
        };
        let seconds = |time: f64| (time * 1000.0).round() / 1000.0;
        let active = seconds(self.active + running);
        let duration = seconds(self.created.elapsed().as_secs_f64());
        json!({
            "id": self.id, "type": "session_thread", "session_id": at(&session.object, "/id"), "agent": self.agent,
            "parent_thread_id": session.thread, "workflow_run_id": null, "status": self.status,
            "created_at": self.created_at, "updated_at": self.updated_at, "archived_at": self.archived_at,
            "usage": self.rested.then(|| self.usage.show(active)),
            "stats": {"active_seconds": active, "duration_seconds": duration, "startup_seconds": 0.0},
        })
    }
}
