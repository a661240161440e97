//! Ids as the API takes them: opaque, any prefix, but nothing that could change the shape of a URL.

use std::fmt;

/// Longest id that is accepted, in characters.
const LONGEST: usize = 128;

/// An id that is safe to stand in a path: letters, digits, `_` and `-`, 1 to 128 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// Checks an id that came from outside. The error is a sentence for the caller.
    pub fn parse(text: &str) -> Result<Id, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let safe = !text.is_empty()
            && text.len() <= LONGEST
            && !text.starts_with('-')
            && text.chars().all(allowed);
        // What a template leaves behind when a variable was never filled.
        let unfilled = matches!(text, "null" | "undefined");
        if safe && !unfilled {
            return Ok(Id(text.to_owned()));
        }
        let shown: String = text.chars().take(60).filter(|c| !c.is_control()).collect();
        Err(format!(
            "`{shown}` is not an id: ids are 1 to {LONGEST} letters, digits, `_` or `-`"
        ))
    }

    /// Whether a text of the API's is an id that can be passed back.
    pub fn is_id(text: &str) -> bool {
        Id::parse(text).is_ok()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_prefix_are_accepted_and_nothing_that_bends_a_path() {
        for good in ["sesn_01AbC", "session_1", "7", "a-b_c"] {
            assert!(Id::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(129);
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a?x",
            "a#f",
            "%2e%2e",
            "a b",
            "-rf",
            "null",
            "undefined",
            "é",
            "a\n",
            &long,
            " a",
        ] {
            assert!(Id::parse(bad).is_err(), "{bad}");
        }
    }
}
