//! The bracketed words in a message that choose a script; words nobody knows are left alone.

/// Every directive there is, in the order of the help text.
pub(super) const KNOWN: [&str; 31] = [
    "work",
    "big",
    "seconds",
    "quiet",
    "approve",
    "mcp",
    "custom",
    "tool_result",
    "outcome",
    "budget",
    "refuse",
    "retries",
    "error",
    "retrying",
    "terminate",
    "batch",
    "late",
    "spurious",
    "unknown",
    "unknown_stop",
    "hostile",
    "huge",
    "thinking",
    "silent",
    "two",
    "deliver",
    "deliver_hostile",
    "delegate",
    "outcome_fails",
    "outcome_max",
    "outcome_gap",
];

/// The directives of one message.
pub(super) struct Directives(Vec<(String, Vec<f64>)>);

impl Directives {
    /// Reads `[word]`, `[word 3]` and `[word 3 20]` anywhere in a text.
    pub(super) fn read(text: &str) -> Self {
        let inner = text
            .split('[')
            .skip(1)
            .filter_map(|rest| rest.split_once(']'))
            .map(|(inner, _)| inner);
        Self(inner.filter_map(read_one).collect())
    }

    /// Whether a directive is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// One of the numbers of a directive.
    pub(super) fn number(&self, name: &str, place: usize) -> Option<f64> {
        let (_, numbers) = self.0.iter().find(|(found, _)| found == name)?;
        numbers.get(place).copied()
    }

    /// The first number of a directive as a count.
    pub(super) fn count(&self, name: &str, usual: usize, most: usize) -> usize {
        let Some(number) = self.number(name, 0) else {
            return usual;
        };
        let whole = std::time::Duration::from_secs_f64(number).as_secs();
        usize::try_from(whole).unwrap_or(most).min(most)
    }
}

fn read_one(inner: &str) -> Option<(String, Vec<f64>)> {
    let mut words = inner.split_ascii_whitespace();
    let name = words.next().filter(|name| KNOWN.contains(name))?;
    let numbers: Option<Vec<f64>> = words
        .map(|word| word.parse().ok().filter(|n| (0.0..=1e9).contains(n)))
        .collect();
    Some((name.to_owned(), numbers?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_anywhere_and_others_left_alone() {
        let found =
            Directives::read("see [RFC 1] and [work 3], [big 2 40] [late] [seconds x] [hostile");
        assert_eq!(found.0.len(), 3);
        assert_eq!(
            (found.count("work", 0, 99), found.number("big", 1)),
            (3, Some(40.0))
        );
        assert!(found.has("late") && !found.has("seconds") && !found.has("hostile"));
    }

    #[test]
    fn absurd_numbers_are_no_directive() {
        assert!(!Directives::read("[seconds -1] [work inf] [quiet nan]").has("seconds"));
    }
}
