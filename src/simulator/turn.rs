//! One turn of the scripted agent, step by step, with everything it may have to wait for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::plan::{Cost, Plan, Step, Use};
use super::session::{Pending, Session, model_usage};
use super::state::World;
use super::waiting::result;

/// What a model request costs.
pub(super) const CENTS: u64 = 3;

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
    /// The round of grading that has begun: the id of its start, and its number.
    pub(super) evaluating: Option<(String, u64)>,
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
            evaluating: None,
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
            Step::Delegate { count, time } => self.delegate(*count, *time).await?,
            Step::Gap(time) => self.pause_before_grading(*time).await?,
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
        let go_on = |_: &mut Self, session: &mut Session| {
            session.stop_interrupted_threads();
            session.interrupts.is_empty()
        };
        if self.act(go_on)? {
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
        let cents = match cost {
            Cost::Usual => CENTS,
            Cost::Rest => session
                .cap()
                .unwrap_or_default()
                .saturating_sub(session.usage.cents),
            Cost::Failed => 0,
        };
        self.close_request(session, cost, cents);
    }

    /// Ends a request that an interrupt left open.
    pub(super) fn end_request(&mut self, session: &mut Session) {
        if self.request.is_some() {
            self.close_request(session, Cost::Usual, 0);
        }
    }

    fn close_request(&mut self, session: &mut Session, cost: Cost, cents: u64) {
        let Some(start) = self.request.take() else {
            return;
        };
        session.usage.add(cents);
        session.log.record(json!({
            "type": "span.model_request_end", "model_request_start_id": start, "is_error": cost == Cost::Failed,
            "model_usage": model_usage(),
        }));
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
        self.record(result(&id, call, Ok(&call.result)))?;
        self.deliver(call);
        Ok(())
    }

    /// Puts what a call wrote among the session's files.
    pub(super) fn deliver(&self, call: &Use) {
        let mut state = self.world.state();
        for output in &call.outputs {
            state.deliver_file(self.id, output);
        }
    }
}
