//! The events of which a page is made, and how many of them have their final place.

use std::collections::HashSet;

use super::follow::Follow;
use super::read::{Order, Reading};
use super::scan::Run;
use crate::api::events::{Event, Taken};
use crate::session::history::{History, is_question};
use crate::session::turn::State;

/// Ids of the newest events that do not have their final place yet. The newest events are always in the window. What has no id
/// waits with what follows it.
pub(super) fn moving(follow: &Follow) -> HashSet<&str> {
    let places = follow.final_places();
    let events = follow.history.events().skip(places);
    let named = events.filter(|event| event.is_named());
    named.map(|event| event.id.as_str()).collect()
}

/// Which events a page can end on, as its cursor.
pub(super) fn ends(order: Order) -> fn(&Event) -> bool {
    match order {
        Order::Oldest => Event::can_be_cursor,
        Order::Newest => Event::is_named,
    }
}

/// Events to make a page of, in the order asked for.
pub(super) struct Read<'a> {
    pub(super) events: Vec<&'a Event>,
    /// Nothing more can be read in this direction now.
    pub(super) ended: bool,
    /// Where they were read, unless they are of the newest events.
    pub(super) run: Option<&'a Run>,
}

/// The newest events are read anyway, to judge the state; most readings need no others.
pub(super) fn from_window<'a>(follow: &'a Follow, reading: &Reading) -> Option<Read<'a>> {
    if reading.thread.is_some() || follow.has_holes {
        return None;
    }
    let mut events: Vec<&Event> = match reading.order {
        Order::Oldest => follow.history.events().collect(),
        Order::Newest => follow.history.events().rev().collect(),
    };
    let start = match &reading.after {
        Some(after) => events.iter().position(|event| event.id == *after)? + 1,
        None if reading.order == Order::Newest || follow.complete => 0,
        None => return None,
    };
    events.drain(..start);
    let ended = reading.order == Order::Oldest || follow.complete;
    (ended || events.len() > reading.limit).then_some(Read {
        events,
        ended,
        run: None,
    })
}

/// Whether the newest events show that nothing older waits any more: the session rested behind them, or ended.
fn nothing_older_waits(follow: &Follow) -> bool {
    follow.rests() || follow.history.answered(false).is_some()
}

/// Whether what never got a time is passed over, and holds up nothing.
pub(super) fn is_passed(event: &Event, follow: &Follow, reading: &Reading) -> bool {
    let (history, rests) = (&follow.history, follow.rests());
    let is_over = || follow.turn().state == State::Terminated;
    match (history.position(&event.id), &reading.thread) {
        // While the session is not over the newest events tell it themselves.
        (Some(place), None) => is_over() && !history.is_queued(place),
        (None, None) => nothing_older_waits(follow),
        (_, Some(_)) if is_over() => true,
        // What is no question belongs to its thread, which works on while the session takes in others.
        (Some(place), Some(_)) => {
            let is_told = is_question(&event.kind) || rests || history.has_ended_since(place);
            is_told && !history.waits(place, rests)
        }
        // Of a question that the newest events do not show, in a thread, nothing is known.
        (None, Some(_)) => rests && !is_question(&event.kind),
    }
}

impl<'a> Read<'a> {
    /// What was read of the list.
    pub(super) fn of(run: &'a Run) -> Read<'a> {
        Read {
            events: run.events.iter().collect(),
            ended: run.ended,
            run: Some(run),
        }
    }

    /// Whether what came after the look at the newest events has its final place is not known: it is left for the next
    /// page.
    pub(super) fn until_known(mut self, follow: &Follow, reading: &Reading) -> Self {
        // The newest event of a session need not be of the thread: a page of that ends where the next one can begin.
        let is_end = |event: &Event| reading.thread.is_none() || event.can_be_cursor();
        let is_known = |event: &&Event| follow.history.get(&event.id).is_some() && is_end(event);
        // What has no id may look like another far before it.
        let is_next = |event: &&&Event| !event.is_named() && follow.history.holds(event);
        let newest = self.events.iter().rposition(is_known).map(|newest| {
            let behind = self.events.iter().skip(newest + 1);
            newest + behind.take_while(is_next).count()
        });
        if let (Some(newest), Some(_)) = (newest, self.run)
            && newest + 1 < self.events.len()
        {
            self.events.truncate(newest + 1);
            self.ended = false;
        }
        self.ended &= !self.lags_behind(follow, reading);
        self
    }

    /// Whether the list ended before an event that was read already: the end is still to come.
    fn lags_behind(&self, follow: &Follow, reading: &Reading) -> bool {
        let is_whole = |run: &Run| run.note.is_none() && reading.thread.is_none();
        let mut known = follow.history.events().rev();
        let newest = known.find(|event| event.is_named() && follow.history.is_listed(&event.id));
        let is_read = |newest: &Event| {
            self.events.iter().any(|event| event.id == newest.id)
                || reading.after.as_ref() == Some(&newest.id)
        };
        self.run.is_some_and(is_whole) && newest.is_some_and(|newest| !is_read(newest))
    }

    /// How many of them have their final place by what else was read here.
    fn final_places(&self, follow: &Follow, reading: &Reading) -> usize {
        if self.run.is_none() {
            return self.events.len();
        }
        let events = self.events.iter().enumerate();
        let kept: Vec<_> = events
            .filter(|(_, event)| event.taken != Taken::NotYet || !is_passed(event, follow, reading))
            .collect();
        let mut record = History::default();
        record.listed(kept.iter().map(|(_, event)| (**event).clone()).collect());
        // Behind a page that is not the last one the session may have gone on at once.
        let held = kept.get(follow.final_places_in(&record, self.ended));
        held.map_or(self.events.len(), |(at, _)| *at)
    }

    /// How many of them, from the first on, have their final place and end on one that can be a cursor.
    pub(super) fn stable(&self, follow: &Follow, reading: &Reading) -> usize {
        let final_places = match (reading.order, &reading.thread) {
            (Order::Newest, _) => self.events.len(),
            (Order::Oldest, None) => {
                let moving = moving(follow);
                let moves = |event: &&Event| moving.contains(event.id.as_str());
                let first = self.events.iter().position(moves);
                first
                    .unwrap_or(self.events.len())
                    .min(self.final_places(follow, reading))
            }
            (Order::Oldest, Some(_)) => self.final_places(follow, reading),
        };
        let may_end = ends(reading.order);
        // What cannot be a cursor waits for what follows it.
        let mut stable = self.events.iter().take(final_places);
        stable
            .rposition(|event| may_end(event))
            .map_or(0, |at| at + 1)
    }
}
