//! Reading the record: a page before or after a cursor, or one event whole.

use serde_json::Value;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::follow::Follow;
use super::line::{Line, News};
use super::scan::{Run, fetch, find, go_on};
use super::window::{Read, ends, from_window, is_passed};
use super::{Attention, Bridge, Failure, Patience, hidden};
use crate::api::events::{Event, Taken};
use crate::api::{Client, Error, Id};
use crate::session::clean::clean_line;
use crate::session::digest::{Detail, Page, fill, slice};
use crate::session::render::call;
use crate::session::report::cut;
use crate::session::summary::is_noise;
use crate::session::turn::State;

/// In which direction a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Oldest,
    /// Newest first.
    Newest,
}

/// What to read of the record.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Event id: read what comes after it, in the order asked for.
    pub after: Option<String>,
    /// Only these types; empty: all.
    pub types: Vec<String>,
    /// Only this thread.
    pub thread: Option<Id>,
    /// How events are shown.
    pub detail: Detail,
    /// Most entries.
    pub limit: usize,
    /// Direction.
    pub order: Order,
}

impl Reading {
    /// Without types named, the digest leaves out what has no content.
    pub(super) fn shows(&self, event: &Event) -> bool {
        match self.types.is_empty() {
            true => self.detail == Detail::Full || !is_noise(&event.kind),
            false => self.types.contains(&event.kind),
        }
    }
}

/// News that come close together are read together.
const GATHERING: Duration = Duration::from_millis(500);
/// Silence is checked against the list after so long; without a line, more often.
const AUDIT: Duration = Duration::from_secs(5);
const LINELESS_LOOK: Duration = Duration::from_millis(1500);
/// A cursor may be listed so late.
const LISTED_WITHIN: Duration = Duration::from_secs(2);
/// Events whose place is not final are looked at again so soon.
const HELD_LOOK: Duration = Duration::from_millis(500);
/// Types that are named where none of those that were asked for is there, and most of each name.
const MOST_KINDS: usize = 15;
const KIND_CHARS: usize = 60;

/// What is left for a later page, since its place in the record may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    /// Events that follow within seconds.
    Settling,
    /// A queued event, which may wait for hours, and what comes after it.
    Queued,
    /// What has no id, and nothing follows it by whose id one could go on.
    Unnamed,
    /// What was passed over, and nothing follows it: it never gets the place behind which one could go on.
    Passed,
}

impl Held {
    fn of(events: &[&Event], follow: &Follow, reading: &Reading) -> Held {
        let history = &follow.history;
        let is_queued = |event: &Event| match history.position(&event.id) {
            Some(place) if reading.thread.is_none() => history.is_queued(place),
            _ => event.taken == Taken::NotYet,
        };
        let is_passed =
            |event: &Event| event.taken == Taken::NotYet && is_passed(event, follow, reading);
        let is_young = |event: &&Event| event.at.is_some_and(|at| follow.is_young(at));
        // What has no id waits with what follows it.
        let mut named = events.iter().filter(|event| event.is_named()).peekable();
        let has_named = named.peek().is_some();
        match named.find(|event| !is_passed(event)) {
            Some(event) if is_queued(event) => Held::Queued,
            Some(_) => Held::Settling,
            None if has_named => Held::Passed,
            None if events.is_empty() => Held::Nothing,
            None if events.iter().any(is_young) => Held::Settling,
            None => Held::Unnamed,
        }
    }

    fn note(self, count: usize) -> Option<String> {
        match self {
            Held::Nothing => None,
            Held::Settling => Some(format!(
                "{count} newest events follow once their place in the record is final"
            )),
            Held::Unnamed => Some(
                "what came last has no id (an interrupt): it follows with what comes after it"
                    .to_owned(),
            ),
            Held::Passed => {
                Some("what came last was never taken in; order desc shows it".to_owned())
            }
            Held::Queued if count == 1 => {
                Some("1 queued event follows once it is taken in".to_owned())
            }
            Held::Queued => Some(format!(
                "{count} newest events, the first of them queued, follow once that is taken in"
            )),
        }
    }
}

impl Bridge {
    /// One page of the record; waits for something to show if it is asked to and the session is working.
    pub async fn read(
        &self,
        session: &Id,
        reading: &Reading,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Page, Failure> {
        let api = self.api.until(patience.deadline);
        let mut line = Line::new(&api, session);
        let mut last: Option<Page> = None;
        let started = Instant::now();
        let mut look = HELD_LOOK;
        loop {
            let (page, held) = match (self.page(&api, session, reading, patience).await, last) {
                (Ok(Some(read)), _) => read,
                // What was read before is still true.
                (Err(_) | Ok(None), Some(page)) => return Ok(page),
                (Err(failure), None) => return Err(failure),
                // The list may lag behind the one that the cursor is from.
                (Ok(None), None)
                    if started.elapsed() < LISTED_WITHIN
                        && Instant::now() + 2 * HELD_LOOK < patience.deadline =>
                {
                    last = None;
                    sleep(HELD_LOOK).await;
                    continue;
                }
                (Ok(None), None) => return Err(lost(session, reading)),
            };
            let complete = held != Held::Settling && (page.more || page.state != State::Working);
            // What is held back is worth the rest of the call's time, also for a caller who does not wait.
            let end = if held == Held::Settling {
                patience.deadline - 2 * HELD_LOOK
            } else {
                patience.until
            };
            let late = Instant::now() >= end || attention.stop.is_cancelled();
            if !page.events.is_empty() || complete || late {
                return Ok(page);
            }
            last = Some(page);
            attention.tell("waiting for new events".to_owned());
            let audit = if line.is_open() { AUDIT } else { LINELESS_LOOK };
            look = match held {
                Held::Nothing => audit,
                Held::Settling => HELD_LOOK,
                // The list may show late that it was taken in.
                Held::Queued | Held::Unnamed | Held::Passed => audit.min(look * 2),
            };
            tokio::select! {
                () = something_new(&mut line) => look = HELD_LOOK,
                () = sleep(look) => {}
                () = sleep_until(end) => {}
                () = attention.stop.cancelled() => {}
            }
        }
    }

    /// One page, and what waits behind it for its final place.
    async fn page(
        &self,
        api: &Client,
        session: &Id,
        reading: &Reading,
        patience: &Patience,
    ) -> Result<Option<(Page, Held)>, Failure> {
        let doing = || Failure::while_trying(format!("read the events of session {session}"));
        let mut follow = Follow::new(api, patience.deadline, session, self.memory.recall(session));
        let state = follow.glance().await.map_err(doing())?;
        let fetched;
        let read = match from_window(&follow, reading) {
            Some(read) => read,
            None => {
                let mut run = self.read_on(api, session, reading, &follow).await;
                if let Ok(Some(run)) = &mut run {
                    let known = &follow.history;
                    run.leave_out_copies(api, session, reading, known).await;
                }
                fetched = run.map_err(doing())?;
                match &fetched {
                    Some(run) => Read::of(run),
                    None => return Ok(None),
                }
            }
        };
        let read = match reading.order {
            Order::Oldest => read.until_known(&follow, reading),
            Order::Newest => read,
        };
        let (events, stable) = (&read.events, read.stable(&follow, reading));
        let shown = |event: &Event| reading.shows(event);
        let available = events.get(..stable).unwrap_or_default();
        let fitted = fill(
            available,
            &shown,
            ends(reading.order),
            reading.detail,
            reading.limit,
            self.config.result_chars,
            hidden::MASKED,
        );
        if let (Some(run), Some(cursor)) = (read.run, &fitted.cursor)
            && let Some(place) = run.place(cursor)
        {
            self.bookmarks.put(session, reading, cursor, place);
        }
        let rest = available.get(fitted.used..).unwrap_or_default();
        let rest_of_record = events.get(stable..).unwrap_or_default();
        let held = Held::of(rest_of_record, &follow, reading);
        let more = (held == Held::Settling && state != State::Working)
            || rest.iter().any(|event| shown(event))
            // Behind what is queued, or never taken in, nothing can be read.
            || (!read.ended && fitted.used == available.len() && !matches!(held, Held::Queued | Held::Passed));
        // What is held back may have those that were asked for; what was passed over, only if it is one of them.
        let is_all = match held {
            Held::Nothing => true,
            Held::Passed => !rest_of_record.iter().any(|event| shown(event)),
            _ => false,
        };
        let note = match is_all {
            true => absent(reading, &fitted.entries, events),
            false => held.note(rest_of_record.len()),
        };
        let notes = note.into_iter();
        let notes = notes.chain(read.run.and_then(|run| run.note.clone()));
        let page = Page {
            session_id: session.as_str().to_owned(),
            state,
            events: fitted.entries,
            cursor: fitted.cursor.or_else(|| reading.after.clone()),
            more,
            untrusted: true,
            omitted: cut_events(session, &fitted.cut),
            next: String::new(),
            notes: notes.chain(patience.note.clone()).collect(),
            simulated: self.config.is_simulated(),
        };
        let next = next(&page, reading, held);
        Ok(Some((Page { next, ..page }, held)))
    }

    /// What the newest events do not hold, from the page on which the cursor stood, if that is known.
    async fn read_on(
        &self,
        api: &Client,
        session: &Id,
        reading: &Reading,
        follow: &Follow,
    ) -> Result<Option<Run>, Error> {
        let after = reading.after.as_deref();
        let place = after.and_then(|after| self.bookmarks.find(session, reading, after));
        if let Some(place) = place
            && let Some(run) = go_on(api, session, reading, place).await?
        {
            // A list that ends before the newest events is not the one that there is now.
            let is_current = |event: &Event| follow.history.get(&event.id).is_some();
            if !run.ended || reading.order == Order::Newest || run.events.iter().any(is_current) {
                return Ok(Some(run));
            }
        }
        fetch(api, session, reading).await
    }

    /// One event, whole or in slices of its text from `offset` on.
    pub async fn read_one(
        &self,
        session: &Id,
        event_id: &Id,
        detail: Detail,
        offset: usize,
        patience: &Patience,
    ) -> Result<Page, Failure> {
        let doing = format!("read event {event_id}");
        let asked = self.memory.recall(session);
        let mut follow = Follow::new(&self.api, patience.deadline, session, asked);
        let state = follow.glance().await;
        let state = state.map_err(Failure::while_trying(doing.as_str()))?;
        let found = match follow.history.get(event_id.as_str()) {
            Some(event) if event.is_whole() => Some(event.clone()),
            _ => find(
                &self.api.until(patience.deadline),
                session,
                event_id.as_str(),
            )
            .await
            .map_err(Failure::while_trying(doing))?,
        };
        let event = found.ok_or_else(|| unknown_event(session, event_id.as_str()))?;
        let chars = self.config.result_chars;
        let slice = slice(&event, detail, offset, chars, hidden::MASKED);
        let omitted = slice.next_offset.map(|next| {
            format!(
                "characters {next} to {} of this event: get_events {{\"session_id\":\"{session}\",\"event_id\":\"{event_id}\",\"offset\":{next}}}",
                slice.whole
            )
        });
        Ok(Page {
            session_id: session.as_str().to_owned(),
            state,
            events: vec![slice.entry],
            cursor: Some(event.id.clone()),
            more: slice.next_offset.is_some(),
            untrusted: true,
            next: match (&omitted, event.is_whole()) {
                (Some(_), _) => "the call in omitted reads on.",
                (None, true) => "this event is complete.",
                (None, false) => "this is all that can be shown of this event; it has more.",
            }
            .to_owned(),
            omitted,
            notes: Vec::new(),
            simulated: self.config.is_simulated(),
        })
    }
}

/// How to read the events whole whose ends were cut.
pub(super) fn cut_events(session: &Id, cut: &[String]) -> Option<String> {
    let first = cut.first()?;
    Some(format!(
        "the ends of {} long events: {}, and so for each",
        cut.len(),
        call(session.as_str(), first, 0)
    ))
}

fn next(page: &Page, reading: &Reading, held: Held) -> String {
    if held == Held::Settling {
        let after = page
            .cursor
            .as_ref()
            .map(|cursor| format!("after {cursor} and "))
            .unwrap_or_default();
        return format!("get_events with {after}wait_seconds 5 reads on.");
    }
    let order = if reading.order == Order::Newest {
        " and order desc"
    } else {
        ""
    };
    match (&page.cursor, page.more) {
        (Some(cursor), true) => format!("get_events with after {cursor}{order} reads on."),
        (Some(cursor), false) if page.state == State::Working && reading.order == Order::Oldest => {
            format!("get_events with after {cursor} and wait_seconds waits for more.")
        }
        _ => format!(
            "this is all for now; get_status shows how session {} stands.",
            page.session_id
        ),
    }
}

pub(super) async fn something_new(line: &mut Line) {
    loop {
        match line.next().await {
            News::Opened => return,
            News::Event(_) => return sleep(GATHERING).await,
            News::Alive | News::Cut => {}
        }
    }
}

/// What there is instead of the types that were asked for.
fn absent(reading: &Reading, entries: &[Value], events: &[&Event]) -> Option<String> {
    if reading.types.is_empty() || !entries.is_empty() || events.is_empty() {
        return None;
    }
    let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kinds = kinds.into_iter().take(MOST_KINDS);
    let kinds: Vec<String> = kinds
        .map(|kind| cut(&clean_line(kind), KIND_CHARS))
        .collect();
    Some(format!(
        "no event here has one of the types that were asked for; there are: {}",
        kinds.join(", ")
    ))
}

fn lost(session: &Id, reading: &Reading) -> Failure {
    unknown_event(session, reading.after.as_deref().unwrap_or_default())
}

fn unknown_event(session: &Id, event_id: &str) -> Failure {
    let shown: String = event_id
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(128)
        .collect();
    Failure::argument(
        format!("Event `{shown}` is not in the record of session {session}."),
        "use an id or cursor that get_events or get_status returned for this session; without `after` the record is read from its start.",
    )
}
