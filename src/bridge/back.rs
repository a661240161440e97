//! Reading a session's list back from its newest event: until it meets what is known, or holds the turn from its question
//! on.

use std::collections::HashSet;

use tokio::time::Instant;

use super::follow::{Follow, LAST_LOOK};
use super::read::Order;
use super::scan::{Circle, Seen, are_news, in_a_circle, unseen};
use crate::api::events::{Event, EventFilter, Taken};
use crate::api::{Error, Fault};
use crate::session::history::{OVERLAP, is_call, is_question};
use crate::session::outline;
use crate::session::queue;
use crate::session::sieve::Sieve;
use crate::session::turn::{Beginning, State};

/// Events on the first page of a look; of a later look, which mostly finds little that is new.
const PAGE: u32 = 200;
const LATER_PAGE: u32 = 100;
/// Events on the pages after the first.
const LARGE_PAGE: u32 = 1000;
/// Most pages that one look reads: a server whose list never ends is left there, and the result says so.
const MOST_PAGES: usize = 600;
/// Most of a record that is kept, what is kept beside each event included.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// All that those who keep one at the same time share; each has at least so much. What decides and what the agent said is
/// kept all the same.
const SHARED_BYTES: usize = 16 * 1024 * 1024;
const LEAST_BYTES: usize = 16 * 1024;
const BESIDE_EVENT: usize = 220;
/// Most pages that are read for a call that the session waits for.
const MOST_AWAITING: usize = 4;
/// Pages of an outline; a longer one is no shortcut.
const OUTLINE_PAGES: usize = 3;

/// How far a look reads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// One page of the newest events.
    Page,
    /// To what is known, or to the beginning of the turn.
    Turn,
}

impl Follow {
    /// How the session stands. Of a long turn only the newest events are read, and those further back that decide.
    pub(super) async fn glance(&mut self) -> Result<State, Error> {
        if self.look_back(Depth::Page).await? {
            return Ok(self.turn().state);
        }
        if let Some(state) = self.outlined().await {
            return Ok(state);
        }
        self.listed_at = None;
        self.look_back(Depth::Turn).await?;
        Ok(self.turn().state)
    }

    /// The word on the newest events and an outline of what came before, where these tell for certain.
    async fn outlined(&self) -> Option<State> {
        // Late words may belong before the first of them.
        if self.final_places() == 0 {
            return None;
        }
        let mut filter = EventFilter {
            newest_first: true,
            types: outline::KINDS.map(str::to_owned).to_vec(),
            limit: Some(LARGE_PAGE),
            ..EventFilter::default()
        };
        let (mut outline, mut beginning) = (Vec::new(), Beginning::default());
        for _ in 0..OUTLINE_PAGES {
            // A server that does not know these types is asked for all of them.
            let page = self.api.list_briefly(&self.id, &filter).await.ok()?;
            for event in page.data {
                beginning.see(&event, &self.asked);
                outline.push(event);
                if beginning.is_found(&self.asked) {
                    break;
                }
            }
            filter.page = page.next_page;
            if filter.page.is_none() || beginning.is_found(&self.asked) {
                return outline::state(&self.history, &outline, &self.asked, self.lifecycle());
            }
        }
        None
    }

    /// Reads the list from its newest event back, and merges it. Whether it leaves no gap to what is known, or holds the
    /// whole turn.
    pub(super) async fn list(&mut self, depth: Depth) -> Result<bool, Error> {
        let first_page = match self.listed_at {
            None => PAGE,
            Some(_) => LATER_PAGE,
        };
        let mut filter = EventFilter {
            newest_first: true,
            limit: Some(first_page),
            ..EventFilter::default()
        };
        let mut circle = Circle::default();
        let mut run = Back::new(self.share());
        let mut is_enough = false;
        for _ in 0..MOST_PAGES {
            let page = match self.api.list_briefly(&self.id, &filter).await {
                Err(Error::Unreadable {
                    fault: Fault::TooLarge,
                    ..
                }) if filter.limit > Some(1) => {
                    filter.limit = filter.limit.map(|limit| (limit / 8).max(1));
                    continue;
                }
                // What was read tells more than that the rest was not.
                Err(error) if self.is_out_of_time(&run) && !error.is_final() => {
                    self.left = Some(run.cut_short());
                    break;
                }
                page => page?,
            };
            let is_new = run.add(page.data, self);
            let is_whole = page.next_page.is_none() && !run.is_full;
            self.complete |= is_whole;
            is_enough = is_whole || (!run.is_full && self.reaches_back(&run));
            match page.next_page {
                None if is_whole => break,
                Some(_) if is_enough || depth == Depth::Page => break,
                Some(_) if self.is_out_of_time(&run) => {
                    self.left = Some(run.cut_short());
                    break;
                }
                Some(token) if !run.is_too_large() && circle.goes_on(&token, is_new) => {
                    filter.page = Some(token);
                    filter.limit = filter.limit.map(|limit| {
                        if limit == first_page {
                            LARGE_PAGE
                        } else {
                            limit
                        }
                    });
                }
                _ => {
                    self.left = self.left.take().or(run.left());
                    break;
                }
            }
        }
        self.merge(run);
        Ok(is_enough)
    }

    /// Takes in a run of the list.
    fn merge(&mut self, back: Back) {
        self.has_holes |= back.dropped > 0;
        if !back.fallen.is_empty() {
            // What is let fall of the list is not kept for having been streamed.
            self.history
                .retain(|event| !back.fallen.contains(&event.id));
        }
        let mut run = back.events;
        run.reverse();
        for event in &run {
            if self.history.get(&event.id).is_none() {
                self.kept += weight(event);
                if !self.let_go.contains(&event.id) {
                    self.progress.see(event);
                }
            }
        }
        self.progress.count(back.calls);
        self.history.listed(run);
        self.asked.behind |= queue::is_behind(&self.history, &self.asked);
        self.listed_at = Some(Instant::now());
        self.trouble = None;
        if self.has_holes {
            self.kept = self.history.events().map(weight).sum();
        }
        self.stay_small();
    }

    /// Takes in an event of the stream. Whether it says anything new.
    pub(super) fn add(&mut self, event: Event) -> bool {
        let bytes = weight(&event);
        if self.let_go.contains(&event.id)
            || self.is_replayed(&event)
            || !self.history.streamed(event)
        {
            return false;
        }
        if let Some(event) = self.history.newest() {
            self.progress.see(event);
        }
        self.kept += bytes;
        self.stay_small();
        true
    }

    /// Whether a stream shows again what was before the part of the record that is known, as some servers do. What is new but
    /// has such a time, or none where no event has one, is found in the list.
    pub(super) fn is_replayed(&self, event: &Event) -> bool {
        let is_known_whole = self.complete && !self.has_holes;
        if is_known_whole || self.history.get(&event.id).is_some() {
            return false;
        }
        let newest_first = self.history.events().rev();
        let listed = newest_first.filter(|event| self.history.is_listed(&event.id));
        may_be_older(event, listed.take(OVERLAP))
    }

    /// How much of the record may be kept before it is sifted.
    fn share(&self) -> usize {
        (SHARED_BYTES / self.keeper.count().max(1)).clamp(LEAST_BYTES, MOST_BYTES)
    }

    /// Of a history that has grown too large the newest events stay, and what decides.
    fn stay_small(&mut self) {
        let share = self.share();
        // What stayed last time will stay again.
        if self.kept <= share.max(self.stays + share / 4) {
            return;
        }
        self.has_holes = true;
        let mut sieve = Sieve::new(recent(share));
        let (mut kept, asked, let_go) = (0, &self.asked, &mut self.let_go);
        self.history.retain(|event| {
            let bytes = weight(event);
            // What is read for its words alone may be too much as well.
            let is_kept = sieve.keeps(event, bytes, asked) && kept + bytes <= MOST_BYTES * 3 / 4;
            kept += if is_kept { bytes } else { 0 };
            let stays = is_kept || kept == 0;
            if !stays && !event.id.is_empty() && event.taken != Taken::NotYet {
                let_go.insert(&event.id);
            }
            stays
        });
        self.stays = kept;
        self.kept = kept;
    }

    /// Whether the first look at a record takes as long as the call may last.
    fn is_out_of_time(&self, run: &Back) -> bool {
        let is_first = self.listed_at.is_none() && !run.events.is_empty();
        is_first && Instant::now() + LAST_LOOK >= self.api.deadline()
    }

    /// Whether a run leaves no gap to what is known, or holds the turn from its question on.
    fn reaches_back(&self, run: &Back) -> bool {
        match self.listed_at {
            Some(_) => run.known >= OVERLAP && run.shows_what_waits(),
            None => run.beginning.is_found(&self.asked),
        }
    }
}

/// Whether an event may be one from before the newest of a record.
fn may_be_older<'a>(event: &Event, newest: impl Iterator<Item = &'a Event>) -> bool {
    let mut newest = newest.peekable();
    let is_known = newest.peek().is_some();
    match (newest.filter_map(|event| event.at).min(), event.at) {
        (Some(begin), Some(at)) => at <= begin,
        // Nothing tells.
        (None, None) => is_known,
        _ => false,
    }
}

/// So much of the newest events is kept whole.
fn recent(share: usize) -> usize {
    share / 2
}

/// About what an event takes.
fn weight(event: &Event) -> usize {
    event.raw().len() + BESIDE_EVENT
}

/// A run of the list, read back from its newest event.
struct Back {
    events: Vec<Event>,
    sieve: Sieve,
    /// Events that the sieve let fall.
    dropped: usize,
    /// The ids of those among them that were known.
    fallen: HashSet<String>,
    /// So many of them are new calls of the newest turn, whose question was not met yet.
    calls: usize,
    is_newest_turn: bool,
    seen: Seen,
    /// What is kept of it.
    bytes: usize,
    /// What was read first is as much as may be kept; what came after it was let fall.
    is_full: bool,
    pages: usize,
    /// So many of the events were known before, at their final places.
    known: usize,
    beginning: Beginning,
    /// Calls that the newest status waits for and nothing has shown yet; nothing before that status was met.
    awaited: Option<HashSet<String>>,
}

impl Back {
    fn new(share: usize) -> Back {
        Back {
            events: Vec::new(),
            sieve: Sieve::new(recent(share)),
            dropped: 0,
            fallen: HashSet::new(),
            calls: 0,
            is_newest_turn: true,
            seen: Seen::default(),
            bytes: 0,
            is_full: false,
            pages: 0,
            known: 0,
            beginning: Beginning::default(),
            awaited: None,
        }
    }

    /// Takes in what is new on a page. Whether there was anything.
    fn add(&mut self, page: Vec<Event>, follow: &mut Follow) -> bool {
        let page = unseen(page, &mut self.seen, Order::Newest);
        let is_new = are_news(&page);
        self.pages += usize::from(is_new);
        for event in page {
            self.known += usize::from(follow.history.is_settled(&event.id));
            self.beginning.see(&event, &follow.asked);
            self.is_newest_turn &= !is_question(&event.kind);
            self.await_calls(&event, follow);
            let bytes = weight(&event);
            if !self.sieve.keeps(&event, bytes, &follow.asked) {
                self.dropped += 1;
                if follow.history.get(&event.id).is_some() {
                    self.fallen.insert(event.id);
                } else if self.is_newest_turn
                    && is_call(&event.kind)
                    && follow.let_go.insert(&event.id)
                {
                    self.calls += 1;
                }
                continue;
            }
            self.is_full |= self.bytes + bytes > MOST_BYTES && !self.events.is_empty();
            if !self.is_full {
                self.bytes += bytes;
                self.events.push(event);
            }
        }
        is_new
    }

    fn await_calls(&mut self, event: &Event, follow: &Follow) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&event.id);
        } else if event.kind.starts_with("session.status_") {
            let reason = event.stop_reason();
            let ids = reason.into_iter().flat_map(|reason| reason.event_ids);
            self.awaited = Some(ids.filter(|id| follow.history.get(id).is_none()).collect());
        }
    }

    /// Whether what the session waits for is known, or was looked for long enough.
    fn shows_what_waits(&self) -> bool {
        self.pages >= MOST_AWAITING || self.awaited.as_ref().is_none_or(HashSet::is_empty)
    }

    fn count(&self) -> usize {
        self.events.len() + self.dropped
    }

    fn cut_short(&self) -> String {
        format!(
            "The newest {} events of the record were read in the time there was; it goes further back. A call with wait_seconds reads more.",
            self.count()
        )
    }

    fn is_too_large(&self) -> bool {
        self.is_full || self.pages >= MOST_PAGES
    }

    /// Why it goes on no further. A single page that names a next one, which is the same, says nothing of the kind.
    fn left(&self) -> Option<String> {
        let count = self.count();
        match self.is_too_large() {
            true => Some(format!(
                "The newest {count} events of the record were read; it goes further back than one call reads."
            )),
            false if self.pages > 1 => Some(in_a_circle(count)),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_time_tells_from_older_events_may_be_one() {
        let event = |time: &str| -> Event {
            serde_json::from_str(&format!(r#"{{"id":"a","type":"x"{time}}}"#)).unwrap()
        };
        let (early, late, bare) = (
            event(r#","processed_at":"2026-11-01T10:00:00Z""#),
            event(r#","processed_at":"2026-11-01T10:00:09Z""#),
            event(""),
        );
        for (event, newest, is_older) in [
            (&early, vec![&late], true),
            (&late, vec![&late, &early], false),
            (&bare, vec![&bare], true),
            (&bare, vec![&bare, &late], false),
            (&late, vec![&bare], false),
            (&bare, vec![], false),
        ] {
            assert_eq!(
                may_be_older(event, newest.iter().copied()),
                is_older,
                "{newest:?}"
            );
        }
    }
}
