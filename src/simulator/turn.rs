//! One turn of the scripted agent, step by step, with everything it may have to wait for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::json::text;
use super::player::words;
use super::script::{Cost, Plan, Step, Use};
use super::session::{Pending, Session};
use super::stamp;
use super::state::World;
use super::waiting::result;

const CENTS: u64 = 3;
const INPUT_TOKENS: u64 = 1200;
const OUTPUT_TOKENS: u64 = 150;

/// Why a turn ends before its last step.
pub(super) enum End {
    /// The client interrupted it, or archived the session.
    Interrupted,
    /// The session was deleted.
    Gone,
}

/// A turn in progress.
pub(super) struct Turn<'a> {
    world: &'a World,
    id: &'a str,
    pub(super) wake: Arc<Notify>,
    pub(super) gap: Duration,
    pub(super) outcome: &'a str,
    /// The id of the model request that has begun and not ended.
    request: Option<String>,
    /// Calls that wait for the client's answer, with the ids of their events.
    pub(super) gated: Vec<(String, Use)>,
    /// What the last message will add: denials, the client's results, messages answered along.
    pub(super) notes: Vec<String>,
    /// The id of the last message, when it is to appear late.
    pub(super) late: Option<String>,
}

impl<'a> Turn<'a> {
    /// A turn that has not begun.
    pub(super) fn new(world: &'a World, id: &'a str, plan: &Plan, outcome: &'a str) -> Self {
        let pauses = u32::try_from(plan.pauses().max(1)).unwrap_or(u32::MAX);
        Self {
            world,
            id,
            wake: world
                .session(id, |session| Arc::clone(&session.wake))
                .unwrap_or_default(),
            gap: world.options.pace.max(plan.lasts / pauses),
            outcome,
            request: None,
            gated: Vec::new(),
            notes: Vec::new(),
            late: None,
        }
    }

    /// Goes through the steps.
    pub(super) async fn run(&mut self, plan: &Plan) -> Result<(), End> {
        for step in &plan.steps {
            self.rest(self.gap).await?;
            self.take(step, plan).await?;
        }
        self.afford().await
    }

    async fn take(&mut self, step: &Step, plan: &Plan) -> Result<(), End> {
        match step {
            Step::Request => self.begin_request().await?,
            Step::Answered(cost) => self.act(|turn, session| turn.pay(session, *cost))?,
            Step::Think => self.think()?,
            Step::Say(words) => self.say(words).await?,
            Step::Conclude(words) => self.conclude(words, plan).await?,
            Step::Use(call) => self.call(call).await?,
            Step::Await => self.wait_for_answers(plan.spurious).await?,
            Step::Event(event) => {
                self.record(event.clone())?;
            }
            Step::Quiet(time) => self.rest(*time).await?,
            Step::Reschedule => {
                self.act(|_, session| session.reschedule())?;
                self.rest(self.gap).await?;
                self.act(|_, session| session.run())?;
            }
            Step::Evaluate { iteration, result } => self.evaluate(*iteration, result).await?,
        }
        Ok(())
    }

    /// Does something with the session, if it still exists.
    pub(super) fn act<T>(
        &mut self,
        act: impl FnOnce(&mut Self, &mut Session) -> T,
    ) -> Result<T, End> {
        let world = self.world;
        world
            .session(self.id, |session| act(self, session))
            .ok_or(End::Gone)
    }

    /// Records an event; returns its id.
    pub(super) fn record(&mut self, event: Value) -> Result<String, End> {
        self.act(|_, session| session.log.record(event))
    }

    /// Ends the turn if an interrupt came.
    pub(super) fn heed_interrupts(&mut self) -> Result<(), End> {
        if self.act(|_, session| session.interrupts.is_empty())? {
            Ok(())
        } else {
            Err(End::Interrupted)
        }
    }

    /// Waits; an interrupt ends the turn.
    pub(super) async fn rest(&mut self, time: Duration) -> Result<(), End> {
        let until = Instant::now() + time;
        loop {
            self.heed_interrupts()?;
            if time.is_zero() {
                tokio::task::yield_now().await;
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = self.wake.notified() => {}
            }
        }
    }

    /// With the budget used up, pauses until it is raised or removed.
    async fn afford(&mut self) -> Result<(), End> {
        let capped = |_: &mut Self, session: &mut Session| session.capped();
        if !self.act(capped)? {
            return Ok(());
        }
        self.act(|_, session| session.idle(&json!({"stop_reason": {"type": "budget_reached"}})))?;
        while self.act(capped)? {
            self.heed_interrupts()?;
            self.wake.notified().await;
        }
        self.act(|_, session| session.run())
    }

    /// A model request begins, if the budget allows.
    pub(super) async fn begin_request(&mut self) -> Result<(), End> {
        self.afford().await?;
        self.request = Some(self.record(json!({"type": "span.model_request_start"}))?);
        Ok(())
    }

    /// A model request ends and is paid for.
    pub(super) fn pay(&mut self, session: &mut Session, cost: Cost) {
        session.usage.cents += match cost {
            Cost::Usual => CENTS,
            Cost::Rest => session
                .cap()
                .unwrap_or_default()
                .saturating_sub(session.usage.cents),
            Cost::Failed => 0,
        };
        self.close_request(session, cost);
    }

    /// Ends a request that an interrupt left open.
    pub(super) fn end_request(&mut self, session: &mut Session) {
        if self.request.is_some() {
            self.close_request(session, Cost::Usual);
        }
    }

    fn close_request(&mut self, session: &mut Session, cost: Cost) {
        let Some(start) = self.request.take() else {
            return;
        };
        session.usage.input_tokens += INPUT_TOKENS;
        session.usage.output_tokens += OUTPUT_TOKENS;
        session.log.record(json!({
            "type": "span.model_request_end", "model_request_start_id": start, "is_error": cost == Cost::Failed,
            "model_usage": model_usage(),
        }));
    }

    fn think(&mut self) -> Result<(), End> {
        let id = stamp::id("sevt");
        self.act(|_, session| {
            if session.log.previewed("agent.thinking") {
                let start =
                    json!({"type": "event_start", "event": {"type": "agent.thinking", "id": id}});
                session.log.preview("agent.thinking", start);
            }
            session
                .log
                .record(json!({"type": "agent.thinking", "id": id}));
        })
    }

    /// A message: its preview for those who asked, then the event itself.
    async fn say(&mut self, words: &str) -> Result<(), End> {
        let id = stamp::id("sevt");
        if self.act(|_, session| session.log.previewed("agent.message"))? {
            self.preview(&id, words).await?;
        }
        self.record(message(&id, words)).map(|_| ())
    }

    async fn preview(&mut self, id: &str, words: &str) -> Result<(), End> {
        let piece = |piece: Value| {
            move |_: &mut Self, session: &mut Session| session.log.preview("agent.message", piece)
        };
        self.act(piece(
            json!({"type": "event_start", "event": {"type": "agent.message", "id": id}}),
        ))?;
        // Previews may stop early; those of an enormous message do.
        let letters: Vec<char> = words.chars().take(100_000).collect();
        for part in letters.chunks(letters.len().div_ceil(4).max(1)) {
            self.rest(self.gap / 4).await?;
            let part: String = part.iter().collect();
            let delta = json!({"type": "content_delta", "index": 0, "content": {"type": "text", "text": part}});
            self.act(piece(
                json!({"type": "event_delta", "event_id": id, "delta": delta}),
            ))?;
        }
        Ok(())
    }

    /// The last message, after whatever else is to be answered in this turn.
    async fn conclude(&mut self, words: &str, plan: &Plan) -> Result<(), End> {
        if plan.batch {
            self.act(Self::absorb)?;
        }
        let mut said = words.to_owned();
        for note in self.notes.drain(..) {
            said.push('\n');
            said.push_str(&note);
        }
        match plan.late {
            None => self.say(&said).await,
            Some(_) => {
                let late = message(&stamp::id("sevt"), &said);
                self.late = Some(self.act(|_, session| session.log.record_hidden(late))?);
                Ok(())
            }
        }
    }

    fn absorb(&mut self, session: &mut Session) {
        let (messages, rest) = session
            .queue
            .drain(..)
            .partition(|event| text(event, "/type") == "user.message");
        session.queue = rest;
        let messages: VecDeque<Value> = messages;
        for message in messages {
            session.log.process(text(&message, "/id"));
            let said: String = words(&message).chars().take(200).collect();
            self.notes.push(format!("Also answered: \"{said}\"."));
        }
    }

    async fn call(&mut self, call: &Use) -> Result<(), End> {
        let id = self.record(call.event.clone())?;
        if !call.gates.is_empty() {
            self.gated.push((id.clone(), call.clone()));
            // It can be answered as soon as it is seen; clients do not wait for the idle event.
            let answers = call.gates;
            return self.act(|_, session| session.pending.push(Pending { id, answers }));
        }
        self.rest(self.gap).await?;
        self.record(result(&id, call, Ok(&call.result))).map(|_| ())
    }
}

fn message(id: &str, words: &str) -> Value {
    json!({"type": "agent.message", "id": id, "content": [{"type": "text", "text": words}]})
}

/// What every model request uses.
pub(super) fn model_usage() -> Value {
    json!({
        "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "speed": "standard",
    })
}
