//! Walking through a session's list, page by page, from either end: for what the newest events do not hold.

use std::borrow::Cow;
use std::collections::HashSet;

use super::bookmarks::Place;
use super::read::{Order, Reading};
use crate::api::events::{Event, EventFilter, Taken};
use crate::api::{Client, Error, Fault, Id};
pub(super) use crate::seen::Seen;
use crate::session::history::History;

/// Events on a page of a list that is searched.
const PAGE: u32 = 1000;
/// A cursor is looked for among so many of the newest events before the record is read from its start.
const NEAR: usize = 2000;
/// Most bytes of events that one page is made of.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Most pages that one call reads.
const MOST_PAGES: usize = 1200;
/// A cursor that has moved since it was handed out is not far away.
const NEXT_PAGES: usize = 2;
/// Most pages in a row that hold nothing new.
const MOST_BARREN: usize = 3;

/// A run of events, in the order asked for.
#[derive(Default)]
pub(super) struct Run {
    pub(super) events: Vec<Event>,
    /// Nothing more can be read in this direction now.
    pub(super) ended: bool,
    /// The list gave out before its end.
    pub(super) note: Option<String>,
    /// The pages that the events stood on, each with its first event.
    pages: Vec<(usize, Place)>,
}

impl Run {
    /// The page of one of its events.
    pub(super) fn place(&self, event_id: &str) -> Option<&Place> {
        let at = self.events.iter().rposition(|event| event.id == event_id)?;
        let mut pages = self.pages.iter().rev();
        pages
            .find(|(first, _)| *first <= at)
            .map(|(_, place)| place)
    }

    /// Leaves out queued messages that the list shows once more, with a time, where they were taken in: that is their place.
    pub(super) async fn leave_out_copies(
        &mut self,
        api: &Client,
        session: &Id,
        reading: &Reading,
        known: &History,
    ) {
        let is_taken_in = |event: &Event| event.taken != Taken::NotYet;
        let queued = self
            .events
            .iter()
            .filter(|event| !is_taken_in(event) && event.is_named());
        let (mut doubtful, mut types) = (HashSet::new(), HashSet::new());
        for event in queued {
            doubtful.insert(event.id.clone());
            types.insert(event.kind.clone());
        }
        let mut copied = HashSet::new();
        let here = self.events.iter().filter(|event| is_taken_in(event));
        let known = known.events().filter(|_| reading.thread.is_none());
        for event in here.chain(known) {
            if doubtful.remove(&event.id) && is_taken_in(event) {
                copied.insert(event.id.clone());
            }
        }
        if !doubtful.is_empty() {
            let first = Place {
                token: None,
                limit: PAGE,
            };
            let mut scan = Scan::new(api, session, reading, Order::Newest, first);
            scan.filter.types = types.into_iter().collect();
            // Of what cannot be told the page waits, as for any that is queued.
            while !doubtful.is_empty()
                && let Ok(Some(event)) = scan.next().await
            {
                if doubtful.remove(&event.id) && is_taken_in(&event) {
                    copied.insert(event.id);
                }
            }
        }
        if reading.order == Order::Newest {
            // What was shown where it was taken in is not shown again.
            let unclear = |event: &Event| !is_taken_in(event) && doubtful.contains(&event.id);
            if let Some(at) = self.events.iter().position(unclear) {
                self.events.truncate(at);
                self.ended = false;
            }
        }
        let is_copy = |event: &Event| !is_taken_in(event) && copied.contains(&event.id);
        let mut left_out = Vec::new();
        let mut at = 0;
        self.events.retain(|event| {
            let is_copy = is_copy(event);
            left_out.extend(is_copy.then_some(at));
            at += 1;
            !is_copy
        });
        for (first, _) in &mut self.pages {
            *first -= left_out.partition_point(|at| at < first);
        }
    }
}

/// Reads on after a cursor from the page on which it stood when it was handed out. `None`: it is not there any more.
pub(super) async fn go_on(
    api: &Client,
    session: &Id,
    reading: &Reading,
    place: Place,
) -> Result<Option<Run>, Error> {
    let after = reading.after.as_deref().unwrap_or_default();
    let mut scan = Scan::new(api, session, reading, reading.order, place);
    match scan.skip_to(after, NEXT_PAGES).await {
        Ok(true) => scan.take_page(reading).await.map(Some),
        Ok(false) => Ok(None),
        // The token is too old.
        Err(error) if error.is_final() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads as many events as a page may need; `None`: the cursor is not in the record.
pub(super) async fn fetch(
    api: &Client,
    session: &Id,
    reading: &Reading,
) -> Result<Option<Run>, Error> {
    // Without a cursor the first page will do.
    let limit = match reading.after {
        Some(_) => PAGE,
        None => (2 * reading.limit as u32).clamp(100, PAGE),
    };
    let first = Place { token: None, limit };
    let mut scan = Scan::new(api, session, reading, reading.order, first.clone());
    if let Some(after) = &reading.after {
        if reading.order == Order::Oldest {
            let mut back = Scan::new(api, session, reading, Order::Newest, first);
            if let Some(mut events) = back.take_until(after, NEAR).await? {
                events.reverse();
                return Ok(Some(Run {
                    events,
                    ended: true,
                    ..Run::default()
                }));
            }
        }
        if !scan.skip_to(after, MOST_PAGES).await? {
            return Ok(None);
        }
    }
    scan.take_page(reading).await.map(Some)
}

pub(super) async fn find(
    api: &Client,
    session: &Id,
    event_id: &str,
) -> Result<Option<Event>, Error> {
    let first = Place {
        token: None,
        limit: PAGE,
    };
    let mut scan = Scan::of(api, session, None, Order::Newest, first);
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
    tokens: Seen,
    /// So many pages in a row held nothing new.
    barren: usize,
}

impl Circle {
    /// Whether the next page is worth asking for. One page without anything new proves nothing: events that came
    /// meanwhile may have moved it.
    pub(super) fn goes_on(&mut self, next_page: &str, is_new: bool) -> bool {
        self.barren = if is_new { 0 } else { self.barren + 1 };
        let is_unknown = self.tokens.insert(next_page);
        is_new || (is_unknown && self.barren < MOST_BARREN)
    }
}

/// The events of a page that were not seen before. A list that turns in a circle begins anew with its first event, and with
/// what came meanwhile ahead of that, which does not belong where the page stands.
pub(super) fn unseen(mut page: Vec<Event>, seen: &mut Seen, order: Order) -> Vec<Event> {
    if page.iter().any(|event| seen.is_first(&key(event, order))) {
        let last = page
            .iter()
            .rposition(|event| seen.contains(&key(event, order)));
        page.drain(..last.map_or(0, |at| at + 1));
    }
    page.retain(|event| {
        let is_old_copy = event.taken == Taken::NotYet && seen.contains(&event.id);
        event.id.is_empty() || (!is_old_copy && seen.insert(&key(event, order)))
    });
    page
}

/// Whether any of what is left of a page was surely not seen before: what has no id can be told from nothing.
pub(super) fn are_news(page: &[Event]) -> bool {
    page.iter().any(|event| !event.id.is_empty())
}

/// What tells an event from others. A queued message may be listed where it was sent, and later in the record once more, where
/// it was taken in.
fn key(event: &Event, order: Order) -> Cow<'_, str> {
    match (event.taken, order) {
        (Taken::NotYet, Order::Oldest) => format!("{} queued", event.id).into(),
        _ => (&event.id).into(),
    }
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
    /// The page that is read.
    place: Place,
    started: bool,
    pages: usize,
    /// Pages that held something new.
    fruitful: usize,
    circle: Circle,
    /// Ids of the events so far: a list that turns in a circle shows them again.
    seen: Seen,
    /// The list named a next page that was not asked for any more, or that held nothing new.
    note: Option<String>,
}

impl<'a> Scan<'a> {
    /// The list that is read, from a page on.
    fn new(
        api: &'a Client,
        session: &'a Id,
        reading: &Reading,
        order: Order,
        from: Place,
    ) -> Scan<'a> {
        Scan::of(api, session, reading.thread.clone(), order, from)
    }

    fn of(
        api: &'a Client,
        session: &'a Id,
        thread_id: Option<Id>,
        order: Order,
        from: Place,
    ) -> Scan<'a> {
        let filter = EventFilter {
            newest_first: order == Order::Newest,
            thread_id,
            limit: Some(from.limit),
            page: from.token.clone(),
            ..EventFilter::default()
        };
        Scan {
            api,
            session,
            filter,
            page: Vec::new().into_iter(),
            place: from,
            started: false,
            pages: 0,
            fruitful: 0,
            circle: Circle::default(),
            seen: Seen::default(),
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
            self.place = Place {
                token: self.filter.page.take(),
                limit: self.filter.limit.unwrap_or(PAGE),
            };
            let order = match self.filter.newest_first {
                true => Order::Newest,
                false => Order::Oldest,
            };
            let new = unseen(page.data, &mut self.seen, order);
            let is_new = are_news(&new);
            self.fruitful += usize::from(is_new);
            let next = page.next_page;
            self.filter.page = next
                .clone()
                .filter(|token| self.pages < MOST_PAGES && self.circle.goes_on(token, is_new));
            // A single page that names itself as the next one is a list of one page.
            if next.is_some() && self.filter.page.is_none() && self.fruitful > 1 {
                self.note = Some(self.left(!is_new));
            }
            self.page = new.into_iter();
        }
    }

    fn left(&self, is_circle: bool) -> String {
        let count = self.seen.count();
        match is_circle {
            true => in_a_circle(count),
            false => format!("{count} events were read; the record is longer than one call reads."),
        }
    }

    /// Skips what comes before an event and itself, on so many pages.
    async fn skip_to(&mut self, id: &str, pages: usize) -> Result<bool, Error> {
        while self.pages < pages || !self.page.as_slice().is_empty() {
            match self.next().await? {
                // The copy of a message that was queued is not where a cursor stands.
                Some(event)
                    if event.id == id
                        && (event.taken != Taken::NotYet || self.filter.newest_first) =>
                {
                    return Ok(true);
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(false)
    }

    async fn take_until(&mut self, id: &str, most: usize) -> Result<Option<Vec<Event>>, Error> {
        let mut events = Vec::new();
        let mut bytes = 0;
        while let Some(event) = self.next().await? {
            if event.id == id {
                return Ok(Some(events));
            }
            bytes += event.raw().len();
            if events.len() >= most || bytes > MOST_BYTES {
                return Ok(None);
            }
            events.push(event);
        }
        Ok(None)
    }

    /// Events until there are surely more than one page shows.
    async fn take_page(&mut self, reading: &Reading) -> Result<Run, Error> {
        let mut run = Run::default();
        let (mut shown, mut bytes) = (0, 0);
        while shown <= reading.limit && bytes <= MOST_BYTES {
            let event = match self.next().await {
                Ok(Some(event)) => event,
                Ok(None) => {
                    run.ended = true;
                    run.note = self.note.take();
                    break;
                }
                // What was read moves the cursor on, and the next call reads the rest.
                Err(error) if !run.events.is_empty() && !error.is_final() => break,
                Err(error) => return Err(error),
            };
            bytes += event.raw().len();
            if run
                .pages
                .last()
                .is_none_or(|(_, place)| *place != self.place)
            {
                run.pages.push((run.events.len(), self.place.clone()));
            }
            // What is queued may turn out to stand somewhere else.
            shown += usize::from(event.taken != Taken::NotYet && reading.shows(&event));
            run.events.push(event);
        }
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &str) -> Vec<Event> {
        let event = |name: char| format!(r#"{{"id":"{name}","type":"x"}}"#);
        let events = names.chars().map(event);
        events
            .map(|event| serde_json::from_str(&event).unwrap())
            .collect()
    }

    #[test]
    fn of_a_message_that_is_listed_twice_the_copy_with_a_time_is_kept() {
        let copy = |time: &str| -> Event {
            let event = format!(r#"{{"id":"a","type":"user.message","processed_at":{time}}}"#);
            serde_json::from_str(&event).unwrap()
        };
        let (queued, taken) = (copy("null"), copy("\"2026-11-01T10:00:00Z\""));
        let kept = |pages: [&Event; 3], order| {
            let mut seen = Seen::default();
            let pages = pages.map(|event| unseen(vec![event.clone()], &mut seen, order).pop());
            pages.map(|event| event.map(|event| event.taken))
        };
        let (queued_once, taken_once) = (Some(Taken::NotYet), Some(Taken::In));
        let both = kept([&queued, &taken, &queued], Order::Oldest);
        assert_eq!(both, [queued_once, taken_once, None]);
        for order in [Order::Oldest, Order::Newest] {
            let taken_first = kept([&taken, &queued, &taken], order);
            assert_eq!(taken_first, [taken_once, None, None]);
        }
    }

    #[test]
    fn what_a_list_shows_again_takes_nothing_new_with_it() {
        for (first, next, new) in [
            ("abc", "defc", "def"),
            ("abc", "dcef", "def"),
            ("abc", "bcde", "de"),
            ("abc", "abc", ""),
            // The list turned in a circle, and `n` came ahead of its first page meanwhile.
            ("abc", "nab", ""),
            ("abc", "nmloabc", ""),
        ] {
            let mut seen = Seen::default();
            unseen(page(first), &mut seen, Order::Oldest);
            let shown = unseen(page(next), &mut seen, Order::Oldest).into_iter();
            let shown: String = shown.map(|event| event.id).collect();
            assert_eq!(shown, new, "{first} {next}");
        }
    }
}
