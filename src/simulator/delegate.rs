//! Handing work to child threads within a turn, and waiting until each has answered or was stopped.

use std::time::Duration;

use serde_json::{Value, json};

use super::calls::chore;
use super::children::stamped;
use super::json::{set, text};
use super::plan::{Cost, Use};
use super::script::end_turn;
use super::session::{Pending, Session};
use super::turn::{End, Turn};
use super::waiting::result;
use super::{calls, tools};

/// The moments a child's work is divided into.
pub(super) const BEATS: usize = 5;

impl Turn<'_> {
    /// Begins so many threads, lets them work side by side, and takes their answers.
    pub(super) async fn delegate(&mut self, count: usize, time: Duration) -> Result<(), End> {
        let mut children = Vec::new();
        for place in 0..count {
            self.rest(self.gap).await?;
            let id = self.act(|_, session| session.begin_thread(place))?;
            self.rest(self.gap).await?;
            let words = format!("Simulated task {} for you.", place + 1);
            self.act(|_, session| session.message_child(&id, &words))?;
            children.push(id);
        }
        self.act(|turn, session| {
            turn.pay(session, Cost::Usual);
            // The primary thread rests while the session goes on.
            session.thread_status("session.thread_status_idle", end_turn());
        })?;
        let gap = self.gap.max(time / u32::try_from(BEATS).unwrap_or(1));
        self.work_in_threads(&children, gap).await?;
        self.act(|_, session| {
            session.thread_status("session.thread_status_running", json!({}));
        })?;
        self.begin_request().await
    }

    async fn work_in_threads(&mut self, children: &[String], gap: Duration) -> Result<(), End> {
        self.rest(gap).await?;
        self.each(children, |session, id, _| session.request_for_child(id))?;
        self.rest(gap).await?;
        self.each(children, |session, id, _| {
            if let Some(thread) = session.child(id) {
                thread.log.record(json!({"type": "agent.thinking"}));
            }
        })?;
        self.rest(gap).await?;
        let calls = self.call_in_threads(children)?;
        self.rest(gap).await?;
        self.settle_calls(calls).await?;
        self.rest(gap).await?;
        self.each(children, conclude)?;
        for id in children {
            let answered =
                |session: &mut Session| session.child(id).is_some_and(|one| one.concluded);
            let note = match self.act(|_, session| answered(session))? {
                true => format!("Thread {id} has answered."),
                false => format!("Thread {id} was stopped before it answered."),
            };
            self.notes.push(note);
        }
        Ok(())
    }

    /// Does something for every child that has not been stopped; the number is its place.
    fn each(
        &mut self,
        children: &[String],
        act: impl Fn(&mut Session, &str, usize),
    ) -> Result<(), End> {
        self.act(|_, session| {
            for (place, id) in children.iter().enumerate() {
                if session.child(id).is_some_and(|thread| thread.busy()) {
                    act(session, id, place);
                }
            }
        })
    }

    /// One tool call in every child; returns those that need nobody's answer, and gates the others.
    fn call_in_threads(&mut self, children: &[String]) -> Result<Vec<(String, String, Use)>, End> {
        let mut free = Vec::new();
        for (place, child) in children.iter().enumerate() {
            let begun = self.act(|_, session| begin_call(session, child, place))?;
            match begun {
                Some((id, call)) if call.gates.is_empty() => free.push((child.clone(), id, call)),
                Some(gated) => self.gated.push(gated),
                None => {}
            }
        }
        Ok(free)
    }

    /// Records the results of calls, after the client has answered those that wait for it.
    async fn settle_calls(&mut self, free: Vec<(String, String, Use)>) -> Result<(), End> {
        for (child, id, call) in free {
            let event = result(&id, &call, Ok(&call.result));
            self.act(|_, session| record_result(session, &child, event))?;
        }
        let gated = std::mem::take(&mut self.gated);
        if gated.is_empty() {
            return Ok(());
        }
        self.act(|_, session| session.ask_for_children())?;
        let results = self.collect(&gated, false).await?;
        self.act(|_, session| {
            session.go_on_with_children();
            for event in results {
                let used = text(&event, "/tool_use_id").to_owned();
                let child = session.child_that_called(&used);
                if let Some(child) = child {
                    record_result(session, &child, event);
                }
            }
        })
    }
}

fn begin_call(session: &mut Session, child: &str, place: usize) -> Option<(String, Use)> {
    let thread = session.child(child).filter(|thread| thread.busy())?;
    let (name, input, output) = chore(place);
    let policy = tools::policy(&thread.agent, name);
    let call = calls::once(name, input, &output, policy);
    let event = stamped(call.event.clone());
    let id = thread.log.record(event.clone());
    thread.calls.push(id.clone());
    if call.gates.is_empty() {
        return Some((id, call));
    }
    thread.gated.push(id.clone());
    // The request for permission shows on the primary thread's log as well, under the same id.
    let mut shown = event;
    set(&mut shown, "session_thread_id", child);
    session.log.record(shown);
    let answers = call.gates;
    session.pending.push(Pending {
        id: id.clone(),
        answers,
    });
    Some((id, call))
}

fn record_result(session: &mut Session, child: &str, event: Value) {
    if let Some(thread) = session.child(child).filter(|thread| thread.busy()) {
        thread.log.record(event);
    }
}

/// A child's last words, to itself and to the primary thread.
fn conclude(session: &mut Session, id: &str, place: usize) {
    let words = format!("Simulated answer of thread {}: done.", place + 1);
    if let Some(thread) = session.child(id) {
        let content = json!([{"type": "text", "text": words}]);
        thread
            .log
            .record(json!({"type": "agent.message", "content": content}));
        thread.concluded = true;
    }
    session.pay_for_child(id);
    session.child_status(id, "idle", end_turn());
    session.message_primary(id, &words);
}
