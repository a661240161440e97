//! Which words were met, in little memory however long they are and however many there are.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// So many of the newest words are remembered, and at most twice as many.
const MOST: usize = 100_000;

/// The words that were met last, each as a number of 64 bits under a key of its own.
#[derive(Debug, Default)]
pub struct Seen {
    newest: HashSet<u64>,
    before: HashSet<u64>,
    first: Option<u64>,
    count: usize,
    key: RandomState,
}

impl Seen {
    /// How many different words were met, also those that were forgotten.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether it is remembered.
    pub fn contains(&self, word: &str) -> bool {
        self.holds(self.key.hash_one(word))
    }

    /// Whether it is new.
    pub fn insert(&mut self, word: &str) -> bool {
        let hash = self.key.hash_one(word);
        self.first.get_or_insert(hash);
        if self.holds(hash) {
            return false;
        }
        if self.newest.len() >= MOST {
            self.before = std::mem::take(&mut self.newest);
        }
        self.newest.insert(hash);
        self.count += 1;
        true
    }

    /// Forgets a word.
    pub fn remove(&mut self, word: &str) {
        let hash = self.key.hash_one(word);
        if !self.newest.remove(&hash) {
            self.before.remove(&hash);
        }
    }

    /// Whether nothing was met before it.
    pub fn is_first(&self, word: &str) -> bool {
        self.first
            .is_some_and(|first| first == self.key.hash_one(word))
    }

    fn holds(&self, hash: u64) -> bool {
        self.newest.contains(&hash) || self.before.contains(&hash)
    }
}

/// A list that is read page by page: a broken one, or one that moves meanwhile, shows the same again.
#[derive(Debug, Default)]
pub struct Pages {
    ids: Seen,
    tokens: Seen,
}

impl Pages {
    /// Those from the page with this token on.
    pub fn from(token: Option<&str>) -> Pages {
        let mut pages = Pages::default();
        if let Some(token) = token {
            pages.tokens.insert(token);
        }
        pages
    }

    /// Whether a row was not shown before. One without an id always counts.
    pub fn is_new(&mut self, id: &str) -> bool {
        id.is_empty() || self.ids.insert(id)
    }

    /// Whether the page with this token was not asked for before.
    pub fn goes_on(&mut self, token: &str) -> bool {
        self.tokens.insert(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_words_the_newest_and_the_first_are_remembered() {
        let mut seen = Seen::default();
        let word = |number: usize| format!("sevt_{number}");
        let all = 5 * MOST;
        for number in 0..all {
            assert!(seen.insert(&word(number)));
            assert!(!seen.insert(&word(number)));
        }
        assert!((all - MOST..all).all(|number| seen.contains(&word(number))));
        assert!(!seen.contains(&word(MOST)), "what is old is forgotten");
        assert!(seen.is_first(&word(0)) && !seen.is_first(&word(1)));
        assert_eq!(seen.count(), all);
        assert!(seen.newest.len() + seen.before.len() <= 2 * MOST);
    }

    #[test]
    fn what_was_removed_is_new_again() {
        let mut seen = Seen::default();
        seen.insert("a");
        seen.remove("a");
        assert!(!seen.contains("a"));
        assert!(seen.insert("a"));
    }

    #[test]
    fn a_page_is_asked_for_once_and_a_row_counts_once() {
        let mut pages = Pages::from(Some("p1"));
        assert!(!pages.goes_on("p1"));
        assert!(pages.goes_on("p2"));
        assert!(!pages.goes_on("p2"));
        assert!(pages.is_new("p1") && !pages.is_new("p1"));
        assert!(pages.is_new("") && pages.is_new(""));
    }
}
