//! One session as it is remembered: its object, its log, and how it stands with its agent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::files::Settled;
use super::json::{at, items, set, text};
use super::log::Log;
use super::stamp;
use super::thread::Thread;

/// A status read right after sending can still say `idle`; the real service is no quicker.
const RUNNING_SHOWS_AFTER: Duration = Duration::from_millis(10);
const INPUT_TOKENS: u64 = 1200;
const OUTPUT_TOKENS: u64 = 150;
/// After the idle event the status still says `running` for a moment.
const IDLE_SHOWS_AFTER: Duration = Duration::from_millis(50);

/// A session and everything the agent needs to go on with it.
pub(super) struct Session {
    pub(super) key: u64,
    /// The API's object, without what `show` computes.
    pub(super) object: Value,
    pub(super) thread: String,
    pub(super) log: Log,
    /// The threads the agent handed work to.
    pub(super) children: Vec<Thread>,
    /// Accepted events the agent has not taken up yet.
    pub(super) queue: VecDeque<Value>,
    /// What the agent waits for.
    pub(super) pending: Vec<Pending>,
    /// Accepted confirmations and results the agent has not seen yet.
    pub(super) answers: VecDeque<Value>,
    /// Ids of accepted interrupts.
    pub(super) interrupts: Vec<String>,
    /// Rings whenever one of the fields above changed.
    pub(super) wake: Arc<Notify>,
    /// Whether a task plays the agent.
    pub(super) playing: bool,
    /// Whether a turn has begun that is not over, be it paused.
    pub(super) in_turn: bool,
    pub(super) turns: u64,
    /// Set at the next idle event; the files written until then wait for it.
    pub(super) settled: Settled,
    pub(super) usage: Usage,
    phase: Phase,
    before: Phase,
    since: Instant,
    created: Instant,
    active: Duration,
}

/// A tool use that waits for the client.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The id of its event.
    pub(super) id: String,
    /// The types of events that answer it, one after the other.
    pub(super) answers: &'static [&'static str],
}

/// What the session has consumed.
#[derive(Default)]
pub(super) struct Usage {
    pub(super) cents: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl Usage {
    /// The usage as the API returns it.
    pub(super) fn show(&self, active_seconds: f64) -> Value {
        json!({
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
            "server_tool_use": {"web_fetch_requests": 0, "web_search_requests": 0},
            "active_seconds": active_seconds,
            "list_cost": {"amount": self.cents.to_string(), "currency": "USD"},
        })
    }

    /// Adds one model request.
    pub(super) fn add(&mut self, cents: u64) {
        self.cents += cents;
        self.input_tokens += INPUT_TOKENS;
        self.output_tokens += OUTPUT_TOKENS;
    }
}

/// Where the session stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Running,
    Rescheduling,
    Terminated,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Rescheduling => "rescheduling",
            Self::Terminated => "terminated",
        }
    }
}

impl Session {
    /// A new session that nothing was asked of yet.
    pub(super) fn new(key: u64, object: Value) -> Self {
        Self {
            key,
            object,
            thread: stamp::id("sthr"),
            log: Log::default(),
            children: Vec::new(),
            queue: VecDeque::new(),
            pending: Vec::new(),
            answers: VecDeque::new(),
            interrupts: Vec::new(),
            wake: Arc::default(),
            playing: false,
            in_turn: false,
            turns: 0,
            settled: Settled::default(),
            usage: Usage::default(),
            phase: Phase::Idle,
            before: Phase::Idle,
            since: Instant::now(),
            created: Instant::now(),
            active: Duration::ZERO,
        }
    }

    /// The session's status as the API shows it, a little behind its events.
    pub(super) fn status(&self) -> &'static str {
        let shown = match self.phase {
            Phase::Idle if self.since.elapsed() < IDLE_SHOWS_AFTER => self.before,
            Phase::Running if self.since.elapsed() < RUNNING_SHOWS_AFTER => self.before,
            phase => phase,
        };
        shown.word()
    }

    /// Where the session stands by its events.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Why archive and delete are refused at the moment, if they are.
    pub(super) fn busy(&self) -> Option<&'static str> {
        let status = match self.phase {
            Phase::Running | Phase::Rescheduling => self.phase.word(),
            _ => self.status(),
        };
        matches!(status, "running" | "rescheduling").then_some(status)
    }

    /// Whether it takes no events any more.
    pub(super) fn over(&self) -> bool {
        self.phase == Phase::Terminated || !at(&self.object, "/archived_at").is_null()
    }

    fn enter(&mut self, phase: Phase) {
        if matches!(self.phase, Phase::Running | Phase::Rescheduling) {
            self.active += self.since.elapsed();
        }
        self.before = self.phase;
        self.phase = phase;
        self.since = Instant::now();
        set(&mut self.object, "updated_at", stamp::now());
    }

    /// Announces that the agent works.
    pub(super) fn run(&mut self) {
        self.enter(Phase::Running);
        self.log.record(json!({"type": "session.status_running"}));
        self.thread_status("session.thread_status_running", json!({}));
    }

    /// Announces that the session goes on while its primary thread still rests.
    pub(super) fn go_on(&mut self) {
        self.enter(Phase::Running);
        self.log.record(json!({"type": "session.status_running"}));
    }

    /// Announces that the platform starts again after an error.
    pub(super) fn reschedule(&mut self) {
        self.enter(Phase::Rescheduling);
        self.log
            .record(json!({"type": "session.status_rescheduled"}));
        self.thread_status("session.thread_status_rescheduled", json!({}));
    }

    /// Announces that the session is over for good.
    pub(super) fn terminate(&mut self) {
        self.enter(Phase::Terminated);
        self.settle();
        self.thread_status("session.thread_status_terminated", json!({}));
        self.log
            .record(json!({"type": "session.status_terminated"}));
    }

    /// Announces that the agent stopped. `stop` holds `stop_reason` and, for a refusal, `stop_details`.
    pub(super) fn idle(&mut self, stop: &Value) {
        self.enter(Phase::Idle);
        self.settle();
        self.thread_status("session.thread_status_idle", stop.clone());
        let usage = self.usage();
        let budget = at(&self.object, "/budget");
        self.log
            .record(json!({"type": "session.usage", "usage": usage, "budget": budget}));
        let mut event = stop.clone();
        set(&mut event, "type", "session.status_idle");
        self.log.record(event);
    }

    fn settle(&mut self) {
        std::mem::take(&mut self.settled).settle();
    }

    /// Takes a confirmation or result in: what it answers is no longer pending, or waits for the next kind of answer.
    pub(super) fn resolve(&mut self, answer: &Value) {
        let uses = [
            text(answer, "/tool_use_id"),
            text(answer, "/custom_tool_use_id"),
        ];
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| uses.contains(&pending.id.as_str()))
        {
            let denied = text(answer, "/result") == "deny";
            pending.answers = pending
                .answers
                .get(1..)
                .filter(|_| !denied)
                .unwrap_or_default();
        }
        self.pending.retain(|pending| !pending.answers.is_empty());
        self.answers.push_back(answer.clone());
    }

    /// Announces what the agent waits for.
    pub(super) fn ask(&mut self) {
        let ids: Vec<&str> = self
            .pending
            .iter()
            .map(|pending| pending.id.as_str())
            .collect();
        let stop = json!({"stop_reason": {"type": "requires_action", "event_ids": ids}});
        self.idle(&stop);
    }

    /// The budget in cents, if there is one.
    pub(super) fn cap(&self) -> Option<u64> {
        text(&self.object, "/budget/max_list_cost/amount")
            .parse()
            .ok()
    }

    /// Whether the budget is used up.
    pub(super) fn capped(&self) -> bool {
        self.cap().is_some_and(|cap| self.usage.cents >= cap)
    }

    /// Whether one of its resources is this memory store.
    pub(super) fn has_memory_store(&self, id: &str) -> bool {
        items(&self.object, "/resources")
            .iter()
            .any(|resource| text(resource, "/memory_store_id") == id)
    }

    fn active_seconds(&self) -> f64 {
        let running = matches!(self.phase, Phase::Running | Phase::Rescheduling);
        let active = if running {
            self.active + self.since.elapsed()
        } else {
            self.active
        };
        (active.as_secs_f64() * 1000.0).round() / 1000.0
    }

    /// Usage so far, as in the session and in `session.usage`.
    pub(super) fn usage(&self) -> Value {
        self.usage.show(self.active_seconds())
    }

    /// The session as the API returns it.
    pub(super) fn show(&self) -> Value {
        let mut shown = self.object.clone();
        set(&mut shown, "status", self.status());
        set(&mut shown, "usage", self.usage());
        let duration = (self.created.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        set(
            &mut shown,
            "stats",
            json!({"active_seconds": self.active_seconds(), "duration_seconds": duration}),
        );
        shown
    }
}

/// What every model request uses.
pub(super) fn model_usage() -> Value {
    json!({
        "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "speed": "standard",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_trails_the_events_a_little() {
        let mut session = Session::new(1, json!({"agent": {"name": "a"}}));
        session.run();
        assert_eq!(
            (session.status(), session.busy()),
            ("idle", Some("running"))
        );
        session.since -= RUNNING_SHOWS_AFTER;
        assert_eq!(session.status(), "running");
        session.idle(&json!({"stop_reason": {"type": "end_turn"}}));
        assert_eq!(
            (session.status(), session.busy()),
            ("running", Some("running"))
        );
        session.since -= IDLE_SHOWS_AFTER;
        assert_eq!((session.status(), session.busy()), ("idle", None));
    }
}
