//! Choosing among very many by id or name, one after the other; where there is none of that name, the nearest names.

use std::collections::HashSet;

use super::Failure;
use crate::api::Id;
use crate::seen::Pages;
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// A name farther away than this is no likely misspelling: fewer than half of the pairs of letters agree.
const FAR: usize = 550;
/// Names offered when one was not found, or when several fit.
const MOST_OFFERED: usize = 5;
/// A longer name is near to none that can be asked for.
const LONGEST_NAME: usize = 4096;

/// How well a name or id fits; the better the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Near,
    Folded,
    Name,
    Id,
}

/// What was found so far, in little memory however many were seen.
pub(super) struct Search<'a> {
    wanted: &'a str,
    fit: Fit,
    /// So many fit like this; the first of them with an id, and a name where that need not be the one that is wanted.
    count: usize,
    found: Vec<(String, String)>,
    /// The nearest names.
    near: Vec<(usize, String, String)>,
    pages: Pages,
}

impl<'a> Search<'a> {
    pub(super) fn new(wanted: &'a str) -> Search<'a> {
        Search {
            wanted,
            fit: Fit::Near,
            count: 0,
            found: Vec::new(),
            near: Vec::new(),
            pages: Pages::default(),
        }
    }

    /// Takes in the next one, which may be one that was seen.
    pub(super) fn see(&mut self, id: &str, name: &str) {
        if !self.pages.is_new(id) {
            return;
        }
        let fit = match () {
            () if id == self.wanted => Fit::Id,
            () if name == self.wanted => Fit::Name,
            () if name.eq_ignore_ascii_case(self.wanted) => Fit::Folded,
            () => Fit::Near,
        };
        if fit == Fit::Near {
            self.keep_near(id, name);
        }
        if fit > self.fit {
            (self.fit, self.count) = (fit, 0);
            self.found.clear();
        }
        if fit == Fit::Near || fit < self.fit {
            return;
        }
        self.count += 1;
        if self.count == 1 || (self.found.len() < MOST_OFFERED && Id::is_id(id)) {
            self.found.push((cut(id, 200), cut(name, LONGEST_NAME)));
        }
    }

    fn keep_near(&mut self, id: &str, name: &str) {
        if self.fit > Fit::Near || name.len() > LONGEST_NAME || !Id::is_id(id) {
            return;
        }
        let distance = distance(&self.wanted.to_lowercase(), &name.to_lowercase());
        if distance <= FAR {
            self.near.push((distance, id.to_owned(), name.to_owned()));
            self.near.sort();
            self.near.truncate(MOST_OFFERED);
        }
    }

    /// The one that is meant, if it may be used.
    pub(super) fn choose(self, noun: &str, allowed: &[String]) -> Result<Id, Failure> {
        let shown = cut(&clean_line(self.wanted), 100);
        let Some((id, name)) = self.found.first() else {
            return Err(self.unknown(noun, &shown));
        };
        if self.count > 1 {
            let ids = self.found.iter().map(|(id, _)| id.as_str());
            let ids: Vec<&str> = ids.filter(|id| Id::is_id(id)).collect();
            return Err(Failure::argument(
                format!("{} {noun}s are named `{shown}`.", self.count),
                format!("pass the id instead of the name: {}.", ids.join(", ")),
            ));
        }
        let permitted =
            allowed.is_empty() || allowed.iter().any(|entry| entry == id || entry == name);
        if !permitted {
            return Err(Failure::argument(
                format!("The {noun} `{shown}` may not be used here."),
                format!("use one of those that may: {}.", allowed.join(", ")),
            ));
        }
        Id::parse(id)
            .map_err(|why| Failure::argument(why, format!("the API returned this {noun} id.")))
    }

    fn unknown(&self, noun: &str, wanted: &str) -> Failure {
        let near = self.near.iter();
        let names: Vec<String> = near
            .map(|(_, id, name)| format!("{} ({id})", quoted(name)))
            .collect();
        let what = format!("No {noun} has the id or name `{wanted}`.");
        if names.is_empty() {
            return Failure::argument(
                what,
                format!("list_{noun}s shows which there are, create_{noun} makes one."),
            );
        }
        Failure::argument(
            what,
            format!(
                "use one of the nearest names: {}; or list_{noun}s for all.",
                names.join(", ")
            ),
        )
    }
}

/// A name in a sentence of ours, between marks that it cannot close.
fn quoted(name: &str) -> String {
    format!("`{}`", cut(&clean_line(name), 100).replace('`', "'"))
}

/// How far two names are apart: pairs of letters that only one of them has, so that a name's part is near to it.
fn distance(a: &str, b: &str) -> usize {
    let pairs = |text: &str| {
        let next = text.chars().skip(1);
        text.chars().zip(next).collect::<HashSet<_>>()
    };
    let (a, b) = (pairs(a), pairs(b));
    let shared = a.intersection(&b).count();
    1000 - 1000 * shared / a.len().min(b.len()).max(1) + a.len().abs_diff(b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: &str, all: &[(&str, &str)]) -> Result<String, String> {
        let mut search = Search::new(wanted);
        all.iter().for_each(|(id, name)| search.see(id, name));
        let found = search.choose("agent", &[]);
        found
            .map(|id| id.to_string())
            .map_err(|failure| match failure {
                Failure::Argument { what, next } => format!("{what} {next}"),
                other => other.what(),
            })
    }

    #[test]
    fn an_id_counts_more_than_a_name_and_a_name_more_than_one_in_other_letters() {
        let all = [("a1", "work"), ("a2", "Work"), ("a3", "WORK"), ("a4", "a3")];
        assert_eq!(chosen("Work", &all).unwrap(), "a2");
        assert_eq!(chosen("a3", &all).unwrap(), "a3");
        let several = chosen("wORK", &all).unwrap_err();
        assert!(
            several.contains("3 agents") && several.contains("a1, a2, a3"),
            "{several}"
        );
    }

    #[test]
    fn one_that_is_shown_twice_is_one() {
        let again = [("a1", "work"), ("a2", "rest"), ("a1", "work")];
        assert_eq!(chosen("work", &again).unwrap(), "a1");
    }

    #[test]
    fn of_very_many_names_the_nearest_are_offered_and_few_are_kept() {
        let names: Vec<(String, String)> = (0..5_000)
            .map(|number| (format!("agent_{number}"), format!("reviewer {number}")))
            .collect();
        let mut search = Search::new("reviewer 4999 b");
        names.iter().for_each(|(id, name)| search.see(id, name));
        search.see("agent_long", &"reviewer ".repeat(1_000_000));
        search.see(&"x".repeat(1_000_000), "reviewer 4999 bb");
        assert!(search.near.len() <= MOST_OFFERED && search.found.is_empty());
        let said = search.choose("agent", &[]).unwrap_err().what();
        assert!(said.contains("No agent has"), "{said}");
        let mut same = Search::new("same");
        (0..5_000).for_each(|at| same.see(&format!("{at}{}", "y".repeat(10_000)), "same"));
        assert!(
            same.found
                .iter()
                .all(|(id, name)| id.len() + name.len() < 300)
        );
        assert!(
            same.choose("agent", &[])
                .unwrap_err()
                .what()
                .contains("5000 agents")
        );
    }
}
