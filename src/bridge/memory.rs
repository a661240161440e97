//! What was sent to each session by this process and may not be in its record yet. A cache: losing it costs nothing
//! that a later look at the record does not bring back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::Id;
use crate::session::turn::Asked;

/// Sessions that are remembered.
const MOST: usize = 1000;
/// By then everything that was sent is in the record.
const LONGEST: Duration = Duration::from_secs(300);

/// The questions and answers that are on their way.
#[derive(Default)]
pub(super) struct Memory {
    sent: Mutex<HashMap<String, (Instant, Asked)>>,
}

impl Memory {
    /// What was sent to a session.
    pub(super) fn recall(&self, session: &Id) -> Asked {
        let sent = self.lock();
        let known = sent
            .get(session.as_str())
            .filter(|(at, _)| at.elapsed() < LONGEST);
        known.map(|(_, asked)| asked.clone()).unwrap_or_default()
    }

    /// Changes what is remembered of a session, and returns it.
    pub(super) fn update(&self, session: &Id, change: impl FnOnce(&mut Asked)) -> Asked {
        let mut sent = self.lock();
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
        sent.insert(session.as_str().to_owned(), (Instant::now(), asked.clone()));
        asked
    }

    /// Forgets what the record shows by now, unless more was sent meanwhile.
    pub(super) fn settle(&self, session: &Id, shown: &Asked) {
        let mut sent = self.lock();
        if sent
            .get(session.as_str())
            .is_some_and(|(_, asked)| asked == shown)
        {
            sent.remove(session.as_str());
        }
    }

    /// The map is whole whatever a panicking holder was doing.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Asked)>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
