//! Walking through a session's list, page by page, from either end: for what the newest events do not hold.

use std::collections::HashSet;

use super::read::{Order, Reading};
use crate::api::events::{Event, EventFilter};
use crate::api::{Client, Error, Fault, Id};

/// Events on a page of a list that is searched.
const PAGE: u32 = 1000;
/// A cursor is looked for among so many of the newest events before the record is read from its start.
const NEAR: usize = 2000;
/// Most pages that one call reads.
const MOST_PAGES: usize = 1200;

/// Most pages in a row that hold nothing new.
const MOST_BARREN: usize = 3;

/// A run of events, in the order asked for.
pub(super) struct Run {
    pub(super) events: Vec<Event>,
    /// Nothing more can be read in this direction now.
    pub(super) ended: bool,
    /// The list gave out before its end.
    pub(super) note: Option<String>,
}

/// Reads as many events as a page may need; `None`: the cursor is not in the record.
pub(super) async fn fetch(
    api: &Client,
    session: &Id,
    reading: &Reading,
) -> Result<Option<Run>, Error> {
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
                    note: None,
                }));
            }
            if !scan.skip_to(after).await? {
                return Ok(None);
            }
        }
    }
    scan.take_page(reading).await.map(Some)
}

pub(super) async fn find(
    api: &Client,
    session: &Id,
    event_id: &str,
) -> Result<Option<Event>, Error> {
    let mut scan = Scan::new(api, session, None, Order::Newest, PAGE);
    while let Some(event) = scan.next().await? {
        if event.id == event_id {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

/// Tells a list that turns in a circle from one that goes on.
#[derive(Default)]
pub(super) struct Circle {
    tokens: HashSet<String>,
    /// So many pages in a row held nothing new.
    barren: usize,
}

impl Circle {
    /// Whether the next page is worth asking for. One page without anything new proves nothing: events that came
    /// meanwhile may have moved it.
    pub(super) fn goes_on(&mut self, next_page: &str, is_new: bool) -> bool {
        self.barren = if is_new { 0 } else { self.barren + 1 };
        let is_unknown = self.tokens.insert(next_page.to_owned());
        is_new || (is_unknown && self.barren < MOST_BARREN)
    }
}

/// The events of a page that follow what was seen before. A list that turns in a circle shows its first events again, and
/// what came meanwhile ahead of them: that does not belong where the page stands.
pub(super) fn unseen(mut page: Vec<Event>, seen: &mut HashSet<String>) -> Vec<Event> {
    let known = page.iter().rposition(|event| seen.contains(&event.id));
    page.drain(..known.map_or(0, |at| at + 1));
    page.retain(|event| event.id.is_empty() || seen.insert(event.id.clone()));
    page
}

/// What is said of a list that names a next page again and again, on which there is nothing new.
pub(super) fn in_a_circle(count: usize) -> String {
    format!(
        "The API's list of events turned in a circle after {count} events; what it did not show could not be read."
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
    /// Pages that held something new.
    fruitful: usize,
    circle: Circle,
    /// Ids of all events so far: a list that turns in a circle shows them again.
    seen: HashSet<String>,
    /// The list named a next page that was not asked for any more, or that held nothing new.
    note: Option<String>,
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
            fruitful: 0,
            circle: Circle::default(),
            seen: HashSet::new(),
            note: None,
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
            let new = unseen(page.data, &mut self.seen);
            self.fruitful += usize::from(!new.is_empty());
            let next = page.next_page;
            self.filter.page = next.clone().filter(|token| {
                self.pages < MOST_PAGES && self.circle.goes_on(token, !new.is_empty())
            });
            // A single page that names itself as the next one is a list of one page.
            if next.is_some() && self.filter.page.is_none() && self.fruitful > 1 {
                self.note = Some(self.left(new.is_empty()));
            }
            self.page = new.into_iter();
        }
    }

    fn left(&self, is_circle: bool) -> String {
        let count = self.seen.len();
        match is_circle {
            true => in_a_circle(count),
            false => format!("{count} events were read; the record is longer than one call reads."),
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
                    note: self.note.take(),
                });
            };
            shown += usize::from(reading.shows(&event));
            events.push(event);
        }
        Ok(Run {
            events,
            ended: false,
            note: None,
        })
    }
}
