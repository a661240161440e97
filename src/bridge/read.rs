//! Reading the record: a page before or after a cursor, or one event whole.

use std::collections::HashSet;

use chrono::Utc;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::follow::Follow;
use super::line::{Line, News};
use super::{Attention, Bridge, Failure, Patience};
use crate::api::events::{Event, EventFilter};
use crate::api::{Client, Error, Fault, Id};
use crate::session::digest::{Detail, Page, fill, slice};
use crate::session::turn::{self, Asked, State};

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

/// Events on a page of a list that is searched.
const PAGE: u32 = 1000;
/// A cursor is looked for among so many of the newest events before the record is read from its start.
const NEAR: usize = 2000;
/// Most pages that one call reads.
const MOST_PAGES: usize = 1200;
/// The end of a turn may be followed by late words for so long.
const LATE_WORDS: i64 = 3;
/// News that come close together are read together.
const GATHERING: Duration = Duration::from_millis(500);
/// Silence is checked against the list after so long; without a line, more often.
const AUDIT: Duration = Duration::from_secs(5);
const LINELESS_LOOK: Duration = Duration::from_millis(1500);
/// Events whose place is not final are looked at again so soon.
const HELD_LOOK: Duration = Duration::from_millis(500);

/// A run of events, in the order asked for.
struct Run {
    events: Vec<Event>,
    /// Nothing more can be read in this direction now.
    ended: bool,
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
        loop {
            let (page, held) = match (self.page(&api, session, reading, patience).await, last) {
                (Ok(Some(read)), _) => read,
                // What was read before is still true.
                (Err(_) | Ok(None), Some(page)) => return Ok(page),
                (Err(failure), None) => return Err(failure),
                // The list may lag behind the one that the cursor is from.
                (Ok(None), None) if Instant::now() + 2 * HELD_LOOK < patience.deadline => {
                    last = None;
                    sleep(HELD_LOOK).await;
                    continue;
                }
                (Ok(None), None) => return Err(lost(session, reading)),
            };
            let complete = held == 0 && (page.more || page.state != State::Working);
            // What is held back is worth the rest of the call's time, also for a caller who does not wait.
            let end = if held > 0 {
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
            let look = match line.is_open() {
                _ if held > 0 => HELD_LOOK,
                true => AUDIT,
                false => LINELESS_LOOK,
            };
            tokio::select! {
                () = something_new(&mut line) => {}
                () = sleep(look) => {}
                () = sleep_until(end) => {}
                () = attention.stop.cancelled() => {}
            }
        }
    }

    /// One page, and how many events wait for their final place.
    async fn page(
        &self,
        api: &Client,
        session: &Id,
        reading: &Reading,
        patience: &Patience,
    ) -> Result<Option<(Page, usize)>, Failure> {
        let doing = format!("read the events of session {session}");
        let mut follow = Follow::new(api, patience.deadline, session, self.memory.recall(session));
        follow
            .look()
            .await
            .map_err(Failure::while_trying(doing.as_str()))?;
        let run = match from_window(&follow, reading) {
            Some(run) => run,
            None => match fetch(api, session, reading).await {
                Ok(Some(run)) => run,
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::while_trying(doing)(error)),
            },
        };
        let events: Vec<&Event> = run.events.iter().collect();
        let moving = match reading.order {
            Order::Oldest => moving(&follow),
            Order::Newest => HashSet::new(),
        };
        let stable = events
            .iter()
            .position(|event| moving.contains(event.id.as_str()))
            .unwrap_or(events.len());
        // What has no id cannot be a cursor: it waits for what follows it.
        let stable = events
            .iter()
            .take(stable)
            .rposition(|event| !event.id.is_empty())
            .map_or(0, |at| at + 1);
        let shown = |event: &Event| reading.types.is_empty() || reading.types.contains(&event.kind);
        let available = events.get(..stable).unwrap_or_default();
        let fitted = fill(
            available,
            &shown,
            reading.detail,
            reading.limit,
            self.config.result_chars,
        );
        let rest = available.get(fitted.used..).unwrap_or_default();
        let held = events.len() - stable;
        let notes = (held > 0).then(|| {
            format!("{held} newest events follow once their place in the record is final")
        });
        let more =
            rest.iter().any(|event| shown(event)) || (!run.ended && fitted.used == available.len());
        let omitted = fitted.cut.first().map(|first| {
            format!(
                "the ends of {} long events: get_events {{\"session_id\":\"{session}\",\"event_id\":\"{first}\"}}, and so for each",
                fitted.cut.len()
            )
        });
        let cursor = fitted.cursor.or_else(|| reading.after.clone());
        let page = Page {
            session_id: session.as_str().to_owned(),
            state: follow.turn().state,
            events: fitted.entries,
            cursor,
            more,
            untrusted: true,
            omitted,
            next: String::new(),
            notes: notes.into_iter().chain(patience.note.clone()).collect(),
            simulated: self.config.is_simulated(),
        };
        let next = next(&page, reading, held);
        Ok(Some((Page { next, ..page }, held)))
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
        let mut follow = Follow::new(&self.api, patience.deadline, session, Asked::default());
        follow
            .look()
            .await
            .map_err(Failure::while_trying(doing.as_str()))?;
        let found = match follow.history.get(event_id.as_str()) {
            Some(event) => Some(event.clone()),
            None => find(
                &self.api.until(patience.deadline),
                session,
                event_id.as_str(),
            )
            .await
            .map_err(Failure::while_trying(doing))?,
        };
        let event = found.ok_or_else(|| unknown_event(session, event_id.as_str()))?;
        let slice = slice(&event, detail, offset, self.config.result_chars);
        let omitted = slice.next_offset.map(|next| {
            format!(
                "characters {next} to {} of this event: get_events {{\"session_id\":\"{session}\",\"event_id\":\"{event_id}\",\"offset\":{next}}}",
                slice.whole
            )
        });
        Ok(Page {
            session_id: session.as_str().to_owned(),
            state: follow.turn().state,
            events: vec![slice.entry],
            cursor: Some(event.id.clone()),
            more: slice.next_offset.is_some(),
            untrusted: true,
            next: if omitted.is_some() {
                "the call in omitted reads on.".to_owned()
            } else {
                "this event is complete.".to_owned()
            },
            omitted,
            notes: Vec::new(),
            simulated: self.config.is_simulated(),
        })
    }
}

fn next(page: &Page, reading: &Reading, held: usize) -> String {
    if held > 0 {
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

/// Ids of the newest events that do not have their final place yet. The newest events are always in the window.
fn moving(follow: &Follow) -> HashSet<&str> {
    let now = Utc::now();
    let fresh = |event: &Event| {
        event
            .at
            .is_some_and(|at| (now - at).num_seconds().abs() < LATE_WORDS)
    };
    let places = turn::final_events(&follow.history, &fresh);
    follow
        .history
        .events()
        .skip(places)
        .map(|event| event.id.as_str())
        .collect()
}

async fn something_new(line: &mut Line) {
    loop {
        match line.next().await {
            News::Opened => return,
            News::Event(_) => return sleep(GATHERING).await,
            News::Alive | News::Cut => {}
        }
    }
}

/// The newest events are read anyway, to judge the state; most readings need no others.
fn from_window(follow: &Follow, reading: &Reading) -> Option<Run> {
    if reading.thread.is_some() {
        return None;
    }
    let window: Vec<&Event> = match reading.order {
        Order::Oldest => follow.history.events().collect(),
        Order::Newest => follow.history.events().rev().collect(),
    };
    let start = match &reading.after {
        Some(after) => window.iter().position(|event| event.id == *after)? + 1,
        None if reading.order == Order::Newest || follow.is_complete() => 0,
        None => return None,
    };
    let events: Vec<Event> = window.into_iter().skip(start).cloned().collect();
    let ended = reading.order == Order::Oldest || follow.is_complete();
    (ended || events.len() > reading.limit).then_some(Run { events, ended })
}

/// Reads as many events as a page may need; `None`: the cursor is not in the record.
async fn fetch(api: &Client, session: &Id, reading: &Reading) -> Result<Option<Run>, Error> {
    let thread = reading.thread.clone();
    // Without a cursor the first page will do.
    let page = if reading.after.is_some() {
        PAGE
    } else {
        (2 * reading.limit as u32).clamp(100, PAGE)
    };
    let mut scan = Scan::new(api, session, thread.clone(), reading.order, page);
    match (&reading.after, reading.order) {
        (None, _) => {}
        (Some(after), Order::Newest) => {
            if !scan.skip_to(after).await? {
                return Ok(None);
            }
        }
        (Some(after), Order::Oldest) => {
            let mut back = Scan::new(api, session, thread, Order::Newest, PAGE);
            if let Some(mut events) = back.take_until(after, NEAR).await? {
                events.reverse();
                return Ok(Some(Run {
                    events,
                    ended: true,
                }));
            }
            if !scan.skip_to(after).await? {
                return Ok(None);
            }
        }
    }
    scan.take_page(reading).await.map(Some)
}

async fn find(api: &Client, session: &Id, event_id: &str) -> Result<Option<Event>, Error> {
    let mut scan = Scan::new(api, session, None, Order::Newest, PAGE);
    while let Some(event) = scan.next().await? {
        if event.id == event_id {
            return Ok(Some(event));
        }
    }
    Ok(None)
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

/// The pages of a list, one event after the other.
struct Scan<'a> {
    api: &'a Client,
    session: &'a Id,
    filter: EventFilter,
    page: std::vec::IntoIter<Event>,
    started: bool,
    pages: usize,
    /// Ids of all events so far: a list that turns in a circle shows them again.
    seen: HashSet<String>,
}

impl<'a> Scan<'a> {
    fn new(
        api: &'a Client,
        session: &'a Id,
        thread_id: Option<Id>,
        order: Order,
        page: u32,
    ) -> Scan<'a> {
        let newest_first = order == Order::Newest;
        let filter = EventFilter {
            newest_first,
            thread_id,
            limit: Some(page),
            ..EventFilter::default()
        };
        Scan {
            api,
            session,
            filter,
            page: Vec::new().into_iter(),
            started: false,
            pages: 0,
            seen: HashSet::new(),
        }
    }

    async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.page.next() {
                return Ok(Some(event));
            }
            if self.started && self.filter.page.is_none() {
                return Ok(None);
            }
            let page = match self.api.list_events(self.session, &self.filter).await {
                Err(Error::Unreadable {
                    fault: Fault::TooLarge,
                    ..
                }) if self.filter.limit > Some(1) => {
                    self.filter.limit = self.filter.limit.map(|limit| (limit / 8).max(1));
                    continue;
                }
                page => page?,
            };
            self.started = true;
            self.pages += 1;
            let mut new = page.data;
            new.retain(|event| event.id.is_empty() || self.seen.insert(event.id.clone()));
            let goes_on = !new.is_empty() && self.pages < MOST_PAGES;
            self.filter.page = page.next_page.filter(|_| goes_on);
            self.page = new.into_iter();
        }
    }

    async fn skip_to(&mut self, id: &str) -> Result<bool, Error> {
        while let Some(event) = self.next().await? {
            if event.id == id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn take_until(&mut self, id: &str, most: usize) -> Result<Option<Vec<Event>>, Error> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            if event.id == id {
                return Ok(Some(events));
            }
            if events.len() >= most {
                return Ok(None);
            }
            events.push(event);
        }
        Ok(None)
    }

    /// Events until there are surely more than one page shows.
    async fn take_page(&mut self, reading: &Reading) -> Result<Run, Error> {
        let mut events = Vec::new();
        let mut shown = 0;
        while shown <= reading.limit {
            let Some(event) = self.next().await? else {
                return Ok(Run {
                    events,
                    ended: true,
                });
            };
            let is_shown = reading.types.is_empty() || reading.types.contains(&event.kind);
            shown += usize::from(is_shown && !crate::session::report::is_noise(&event.kind));
            events.push(event);
        }
        Ok(Run {
            events,
            ended: false,
        })
    }
}
