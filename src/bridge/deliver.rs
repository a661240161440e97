//! Events into a session, each once: what was recorded before is compared with what is recorded after, since two messages
//! may be the same on purpose.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::defaults::in_time;
use super::memory::Memory;
use super::newest::{Before, INTERRUPT, List, Mark, kind, matched};
use super::once::{Second, Write};
use super::{Bridge, Failure};
use crate::api::events::{Event, content_text};
use crate::api::{Client, Error, Id, with};
use crate::session::turn::{Asked, Unnamed};

/// What the server accepted without a word may be listed so late.
const LISTED_WITHIN: Duration = Duration::from_secs(2);

/// What was sent.
pub(super) struct Sent {
    /// Ids of the events; none where the server accepted them without a word and does not list them yet.
    pub(super) ids: Vec<String>,
    /// Ids of the events that were there before.
    before: HashSet<String>,
    /// When the first attempt began, by the server's clock, if that is known.
    begun: Option<DateTime<Utc>>,
}

impl Sent {
    /// What to wait for when the last of the events is a question.
    pub(super) fn question(self, question: &Value, known: &mut Asked) -> Asked {
        let text = content_text(question.get("content").unwrap_or(&Value::Null));
        let unnamed = self.ids.is_empty().then_some(Unnamed {
            before: self.before,
            text,
        });
        // An interrupt that went ahead may have no id and never be taken in.
        Asked {
            question: self.ids.into_iter().next_back(),
            sent: self.begun,
            unnamed,
            answered: std::mem::take(&mut known.answered),
            just_sent: true,
            stale_status: known.stale_status.take(),
            ..Asked::default()
        }
    }
}

/// Events that are about to be sent.
pub(super) struct Parcel<'a> {
    api: &'a Client,
    memory: &'a Memory,
    session: &'a Id,
    deadline: Instant,
    write: Write,
    pub(super) events: Vec<Value>,
    /// What was listed just before.
    pub(super) before: Before,
}

impl Bridge {
    /// Sends events and returns what to look for in the record.
    pub(super) async fn deliver(
        &self,
        session: &Id,
        events: Vec<Value>,
        doing: &str,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        // Two that say the same are told apart by what was there before each.
        let _turn = in_time(deadline, self.sending.lock(session.as_str())).await?;
        let parcel = self.parcel(session, events, doing, any, deadline).await?;
        parcel.send().await
    }

    /// Looks at the record, back to an event that is known, and sends nothing yet.
    pub(super) async fn parcel<'a>(
        &'a self,
        session: &'a Id,
        events: Vec<Value>,
        doing: &str,
        is_known: impl Fn(&Mark) -> bool,
        deadline: Instant,
    ) -> Result<Parcel<'a>, Failure> {
        let list = List::of(session, &events);
        let before = list.before(&self.api.until(deadline), is_known).await;
        let before = before.map_err(Failure::while_trying(doing))?;
        let next = format!(
            "get_events with session_id {session} and order desc shows whether it arrived; send it again only if it did not."
        );
        Ok(Parcel {
            api: &self.api,
            memory: &self.memory,
            session,
            deadline,
            write: Write::new(doing, Second::Repeats, next),
            events,
            before,
        })
    }

    /// Stops the turn of a session or of one of its threads.
    pub(super) async fn send_interrupt(
        &self,
        session: &Id,
        thread: Option<&Id>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let event = json!({"type": INTERRUPT});
        let event = with(event, "session_thread_id", thread.map(Id::as_str));
        let doing = "interrupt the session";
        let next = format!(
            "get_status with session_ids [\"{session}\"]: where it still works, make the same call again."
        );
        // It waits for no message that is on its way: that may take long, and it is found by its type.
        let own = format!("{session} {INTERRUPT}");
        let _turn = in_time(deadline, self.sending.lock(&own)).await?;
        let parcel = self.parcel(session, vec![event], doing, any, deadline);
        let parcel = Parcel {
            write: Write::new(doing, Second::Repeats, next),
            ..parcel.await?
        };
        parcel.send().await?;
        Ok(())
    }
}

/// The newest event will do.
fn any(_: &Mark) -> bool {
    true
}

impl Parcel<'_> {
    /// Sends them once.
    pub(super) async fn send(self) -> Result<Sent, Failure> {
        let listed_before = self.before.ids().map(str::to_owned);
        let known: HashSet<String> = listed_before
            .chain(self.memory.posted(self.session))
            .collect();
        let (parcel, known_ids) = (&self, &known);
        let send = |api: Client| async move { parcel.post(&api, known_ids).await };
        let look = |api: Client| async move { parcel.arrived(&api, known_ids).await };
        let begun = self.api.told_now();
        let ids = self.write.once(self.api, self.deadline, send, look).await?;
        self.memory.post(self.session, &ids);
        Ok(Sent {
            ids,
            before: known,
            begun,
        })
    }

    async fn post(&self, api: &Client, known: &HashSet<String>) -> Result<Vec<String>, Error> {
        let recorded = api.send_events(self.session, &self.events).await?;
        let is_whole = recorded.len() == self.events.len();
        let is_named = |event: &Event| !event.id.is_empty() || event.kind == INTERRUPT;
        // An accepted interrupt need not be known by an id.
        let is_interrupt = self
            .events
            .iter()
            .all(|event| kind(event) == Some(INTERRUPT));
        if is_interrupt || is_whole && recorded.iter().all(is_named) {
            return Ok(recorded.into_iter().map(|event| event.id).collect());
        }
        // Some servers accept without saying what they recorded.
        let begun = Instant::now();
        loop {
            let is_last = begun.elapsed() >= LISTED_WITHIN;
            match self.arrived(api, known).await {
                Ok(Some(ids)) => return Ok(ids),
                Ok(None) if !is_last && Instant::now() < api.deadline() => {}
                _ => return Ok(Vec::new()),
            }
            sleep_until((Instant::now() + LISTED_WITHIN / 4).min(api.deadline())).await;
        }
    }

    /// Ids of the events, once all are listed.
    async fn arrived(
        &self,
        api: &Client,
        known: &HashSet<String>,
    ) -> Result<Option<Vec<String>>, Error> {
        let list = List::of(self.session, &self.events);
        let new = list.since(api, &self.before, known).await?;
        Ok(matched(&self.events, new))
    }
}
