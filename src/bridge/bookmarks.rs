//! On which page of a list the cursors stood that were handed out last: the next page is read from there. A cache: a cursor
//! that is not in it is looked for.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::locks::lock;
use super::read::{Order, Reading};
use crate::api::Id;

/// Cursors that are remembered, and the longest token that is.
const MOST: usize = 256;
const LONGEST_TOKEN: usize = 1024;

/// The pages of the cursors that were handed out last.
#[derive(Default)]
pub(super) struct Bookmarks(Mutex<VecDeque<(Key, Place)>>);

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its token; the first page has none.
    pub(super) token: Option<String>,
    /// Events on it, which the token may depend on.
    pub(super) limit: u32,
}

/// A list, and an event in it.
#[derive(PartialEq, Eq)]
struct Key {
    session: Id,
    thread: Option<Id>,
    order: Order,
    event: String,
}

impl Key {
    fn new(session: &Id, reading: &Reading, event: &str) -> Key {
        Key {
            session: session.clone(),
            thread: reading.thread.clone(),
            order: reading.order,
            event: event.to_owned(),
        }
    }
}

impl Bookmarks {
    /// The page on which an event of the list that is read stood.
    pub(super) fn find(&self, session: &Id, reading: &Reading, event: &str) -> Option<Place> {
        let key = Key::new(session, reading, event);
        let known = lock(&self.0);
        let found = known.iter().find(|(marked, _)| *marked == key);
        found.map(|(_, place)| place.clone())
    }

    /// Remembers the page of an event; the oldest bookmark gives way.
    pub(super) fn put(&self, session: &Id, reading: &Reading, event: &str, place: &Place) {
        if place
            .token
            .as_ref()
            .is_some_and(|token| token.len() > LONGEST_TOKEN)
        {
            return;
        }
        let key = Key::new(session, reading, event);
        let mut known = lock(&self.0);
        known.retain(|(marked, _)| *marked != key);
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back((key, place.clone()));
    }
}
