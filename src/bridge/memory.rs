//! What was sent to each session by this process and may not be in its record yet. A cache: losing it costs nothing
//! that a later look at the record does not bring back.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::locks::lock;
use crate::api::Id;
use crate::session::turn::{Asked, State};

/// Sessions that are remembered.
const MOST: usize = 1000;
/// Ids of sent events that are remembered of each.
const MOST_POSTED: usize = 50;
/// By then everything that was sent is in the record.
const LONGEST: Duration = Duration::from_secs(300);

/// The questions and answers that are on their way.
#[derive(Default)]
pub(super) struct Memory {
    sent: Mutex<HashMap<String, (Instant, Asked)>>,
    told: Mutex<HashMap<String, Told>>,
    posted: Mutex<HashMap<String, VecDeque<String>>>,
}

/// How a session stood when a caller was told last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `None`: it could not be read.
    pub(super) state: Option<State>,
    pub(super) cursor: Option<String>,
}

impl Memory {
    /// What was sent to a session.
    pub(super) fn recall(&self, session: &Id) -> Asked {
        let sent = lock(&self.sent);
        let known = sent
            .get(session.as_str())
            .filter(|(at, _)| at.elapsed() < LONGEST);
        known.map(|(_, asked)| asked.clone()).unwrap_or_default()
    }

    /// Changes what is remembered of a session, and returns it.
    pub(super) fn update(&self, session: &Id, change: impl FnOnce(&mut Asked)) -> Asked {
        let mut sent = lock(&self.sent);
        let known = sent
            .get(session.as_str())
            .filter(|(at, _)| at.elapsed() < LONGEST);
        let mut asked = known.map(|(_, asked)| asked.clone()).unwrap_or_default();
        change(&mut asked);
        if sent.len() >= MOST && !sent.contains_key(session.as_str()) {
            let oldest = sent
                .iter()
                .min_by_key(|(_, (at, _))| *at)
                .map(|(session, _)| session.clone());
            oldest.and_then(|oldest| sent.remove(&oldest));
        }
        let kept = no_longer_new(&asked);
        sent.insert(session.as_str().to_owned(), (Instant::now(), kept));
        asked
    }

    /// What the caller was told last of a session.
    pub(super) fn told(&self, session: &Id) -> Option<Told> {
        lock(&self.told).get(session.as_str()).cloned()
    }

    /// Remembers what the caller is told.
    pub(super) fn tell(&self, session: &Id, now: Told) {
        let mut told = lock(&self.told);
        // Forgotten, a session is only news once more.
        if told.len() >= MOST && !told.contains_key(session.as_str()) {
            told.clear();
        }
        told.insert(session.as_str().to_owned(), now);
    }

    /// Ids of the events that this process sent to a session: a list that lags behind does not show them yet.
    pub(super) fn posted(&self, session: &Id) -> Vec<String> {
        let posted = lock(&self.posted);
        let ids = posted.get(session.as_str()).into_iter().flatten();
        ids.cloned().collect()
    }

    /// Remembers the ids of events that were sent.
    pub(super) fn post(&self, session: &Id, ids: &[String]) {
        let mut posted = lock(&self.posted);
        if posted.len() >= MOST && !posted.contains_key(session.as_str()) {
            posted.clear();
        }
        let of_session = posted.entry(session.as_str().to_owned()).or_default();
        of_session.extend(ids.iter().filter(|id| !id.is_empty()).cloned());
        of_session.drain(..of_session.len().saturating_sub(MOST_POSTED));
    }

    /// Forgets what the record shows by now, unless more was sent meanwhile.
    pub(super) fn settle(&self, session: &Id, shown: &Asked) {
        let mut sent = lock(&self.sent);
        let is_settled = |(_, asked): &(Instant, Asked)| *asked == no_longer_new(shown);
        if sent.get(session.as_str()).is_some_and(is_settled) {
            sent.remove(session.as_str());
        }
    }
}

/// As later calls recall it: only the one that sends does so a moment ago.
fn no_longer_new(asked: &Asked) -> Asked {
    Asked {
        just_sent: false,
        ..asked.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ids_that_were_sent_are_remembered() {
        let (memory, session) = (Memory::default(), Id::parse("sesn_1").unwrap());
        for at in 0..MOST_POSTED + 2 {
            memory.post(&session, &[String::new(), format!("sevt_{at}")]);
        }
        let posted = memory.posted(&session);
        assert_eq!((posted.len(), posted[0].as_str()), (MOST_POSTED, "sevt_2"));
        assert!(memory.posted(&Id::parse("sesn_2").unwrap()).is_empty());
    }

    #[test]
    fn only_what_was_shown_is_forgotten() {
        let (memory, session) = (Memory::default(), Id::parse("sesn_1").unwrap());
        let first = memory.update(&session, |asked| asked.question = Some("a".to_owned()));
        let second = memory.update(&session, |asked| asked.question = Some("b".to_owned()));
        memory.settle(&session, &first);
        assert_eq!(memory.recall(&session), second);
        memory.settle(&session, &second);
        assert_eq!(memory.recall(&session), Asked::default());
    }

    #[test]
    fn a_later_call_that_shows_what_was_sent_forgets_it() {
        let (memory, session) = (Memory::default(), Id::parse("sesn_1").unwrap());
        let sent = memory.update(&session, |asked| {
            (asked.question, asked.just_sent) = (Some("a".to_owned()), true);
        });
        assert!(sent.just_sent);
        let later = memory.recall(&session);
        assert!(!later.just_sent);
        memory.settle(&session, &later);
        assert_eq!(memory.recall(&session), Asked::default());
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let memory = Memory::default();
        let id = |number: usize| Id::parse(&format!("sesn_{number}")).unwrap();
        for number in 0..=MOST {
            memory.update(&id(number), |asked| asked.question = Some("q".to_owned()));
        }
        assert_eq!(memory.recall(&id(0)), Asked::default());
        assert!(memory.recall(&id(1)).question.is_some());
    }
}
