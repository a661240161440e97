//! What must not be said: the secrets this process was given, and whatever looks like one. They are masked in everything that
//! leaves for the client or the log, and refused in arguments, since a message stays readable in the record for good.
//!
//! The secrets belong to the process, as the environment does that they come from.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands in the place of a secret.
pub const MASK: &str = "[secret]";
/// So many bytes of a known secret in a row are masked, so that a cut secret is masked as well.
const PIECE: usize = 12;
/// A known secret shorter than this is masked nowhere: it would be a word.
const SHORTEST: usize = 8;
/// Characters of a token after its beginning.
const SHORTEST_TAIL: usize = 16;
/// A tail of fewer different characters is a placeholder.
const FEWEST_DIFFERENT: usize = 6;

/// How tokens begin.
const BEGINNINGS: [&str; 8] = [
    "sk-ant-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "Bearer ",
];

static KNOWN: RwLock<Known> = RwLock::new(Known {
    pieces: Vec::new(),
    beginnings: Vec::new(),
    short: Vec::new(),
});

#[derive(Default)]
struct Known {
    /// Every piece of every secret, sorted.
    pieces: Vec<[u8; PIECE]>,
    /// For each pair of bytes whether a piece begins with it; empty without pieces.
    beginnings: Vec<bool>,
    /// Secrets of fewer bytes than a piece has.
    short: Vec<String>,
}

/// From here on this secret is masked.
pub fn learn(secret: &SecretString) {
    let secret = secret.expose_secret();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.add(secret);
}

/// The text without secrets.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    without(text, spans(text, &known))
}

/// Whether some text in a value holds a secret.
pub fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(mask(text), Cow::Owned(_)),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| matches!(mask(name), Cow::Owned(_)) || holds_secret(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Known {
    fn add(&mut self, secret: &str) {
        match secret.len() {
            0..SHORTEST => {}
            SHORTEST..PIECE => self.short.push(secret.to_owned()),
            _ => {
                let pieces = secret.as_bytes().windows(PIECE);
                self.pieces
                    .extend(pieces.filter_map(|piece| <[u8; PIECE]>::try_from(piece).ok()));
                self.pieces.sort_unstable();
                self.pieces.dedup();
                self.beginnings = vec![false; 1 << 16];
                for piece in &self.pieces {
                    if let Some(known) = self.beginnings.get_mut(pair(piece)) {
                        *known = true;
                    }
                }
            }
        }
    }

    /// Where it stands in a text, in pieces that may overlap.
    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        if !self.pieces.is_empty() {
            for (at, piece) in text.as_bytes().windows(PIECE).enumerate() {
                let may_be = self
                    .beginnings
                    .get(pair(piece))
                    .copied()
                    .unwrap_or_default();
                let find = |known: &[u8; PIECE]| known.as_slice().cmp(piece);
                if may_be && self.pieces.binary_search_by(find).is_ok() {
                    spans.push(at..at + PIECE);
                }
            }
        }
        for secret in &self.short {
            let found = text.match_indices(secret.as_str());
            spans.extend(found.map(|(at, secret)| at..at + secret.len()));
        }
        spans
    }
}

/// The first two bytes as a number.
fn pair(piece: &[u8]) -> usize {
    match piece {
        [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
        _ => 0,
    }
}

fn spans(text: &str, known: &Known) -> Vec<Range<usize>> {
    let mut spans = known.spans(text);
    for beginning in BEGINNINGS {
        let found = text.match_indices(beginning);
        spans.extend(found.filter_map(|(at, _)| token(text, at, beginning)));
    }
    spans.extend(private_keys(text));
    spans.sort_unstable_by_key(|span| span.start);
    spans
}

/// The token that begins here, if it is one.
fn token(text: &str, at: usize, beginning: &str) -> Option<Range<usize>> {
    let is_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/' | '=' | '~');
    let before = text.get(..at)?.chars().next_back();
    // In the middle of a longer word it is none: an opaque page token may hold anything.
    if before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return None;
    }
    let is_bearer = beginning == "Bearer ";
    let from = at + beginning.len();
    let tail: &str = text.get(from..)?;
    let length = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
    let tail = tail.get(..length)?.trim_end_matches('.');
    let mut different: Vec<u8> = tail.bytes().collect();
    different.sort_unstable();
    different.dedup();
    let is_word = is_bearer && !tail.bytes().any(|byte| byte.is_ascii_digit());
    if tail.len() < SHORTEST_TAIL || different.len() < FEWEST_DIFFERENT || is_word {
        return None;
    }
    Some(if is_bearer { from } else { at }..from + tail.len())
}

/// Private keys in PEM form, also such as are cut.
fn private_keys(text: &str) -> impl Iterator<Item = Range<usize>> {
    let found = text.match_indices("-----BEGIN ");
    found.filter_map(|(at, _)| {
        let key = text.get(at..)?;
        let label = key.get(.."-----BEGIN ".len() + 40).unwrap_or(key);
        let title = label.find("PRIVATE KEY-----")?;
        let body = title + "PRIVATE KEY-----".len();
        let rest = key.get(body..)?;
        let end = match rest.find("-----END ") {
            Some(end) => {
                let last = rest.get(end + "-----END ".len()..)?;
                let line = last.find("-----").map_or(last.len(), |dashes| dashes + 5);
                end + "-----END ".len() + line
            }
            None => rest.len(),
        };
        Some(at..at + body + end)
    })
}

/// The text with each span replaced; they are sorted by where they begin.
fn without(text: &str, spans: Vec<Range<usize>>) -> Cow<'_, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for span in merged {
        let start = floor_boundary(text, span.start);
        masked.push_str(text.get(done..start).unwrap_or_default());
        masked.push_str(MASK);
        done = ceil_boundary(text, span.end);
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(masked)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn ceil_boundary(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str, secrets: &[&str]) -> String {
        let mut known = Known::default();
        secrets.iter().for_each(|secret| known.add(secret));
        without(text, spans(text, &known)).into_owned()
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_wherever_it_stands() {
        let tail = "a1B2c3D4e5F6g7H8i9";
        for beginning in BEGINNINGS
            .iter()
            .filter(|beginning| **beginning != "Bearer ")
        {
            let token = format!("{beginning}{tail}");
            for (around, expected) in [
                (token.clone(), MASK.to_owned()),
                (format!("see {token}."), format!("see {MASK}.")),
                (
                    format!("\"{token}\", {token}\n"),
                    format!("\"{MASK}\", {MASK}\n"),
                ),
                (
                    format!("https://x:{token}@host"),
                    format!("https://x:{MASK}@host"),
                ),
            ] {
                assert_eq!(masked(&around, &[]), expected);
            }
        }
        assert_eq!(
            masked(&format!("Authorization: Bearer {tail}xyz"), &[]),
            "Authorization: Bearer [secret]"
        );
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----";
        assert_eq!(masked(&format!("a\n{key}\nb"), &[]), "a\n[secret]\nb");
        assert_eq!(masked(key.split_at(45).0, &[]), MASK);
    }

    #[test]
    fn ordinary_words_are_left_alone() {
        for text in [
            "",
            "Bearer authentication-is-required-here",
            "the prefix sk-ant- and ghp_",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxx",
            "sk-ant-...",
            "my_ghp_a1B2c3D4e5F6g7H8i9",
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
            "Grüße, 世界",
            "sesn_01AbCdEfGhIjKlMnOpQrStUv",
        ] {
            assert_eq!(masked(text, &["short"]), text);
        }
    }

    #[test]
    fn a_known_secret_is_masked_also_in_part() {
        let secret = "correct-horse-battery-staple";
        assert_eq!(masked(&format!("a {secret} b"), &[secret]), "a [secret] b");
        assert_eq!(masked("é correct-horse-b", &[secret]), "é [secret]");
        assert_eq!(masked("tery-staple é", &[secret]), "tery-staple é");
        assert_eq!(masked("attery-staple é", &[secret]), "[secret] é");
        assert_eq!(
            masked("hunter22 hunter2", &["hunter22"]),
            "[secret] hunter2"
        );
    }

    proptest! {
        #[test]
        fn no_piece_of_a_known_secret_ever_leaves(
            before in ".{0,30}", secret in "[!-~é]{12,60}", cut in 0usize..60, after in ".{0,30}"
        ) {
            let (first, second) = secret.split_at(floor_boundary(&secret, cut.min(secret.len())));
            for text in [format!("{before}{secret}{after}"), format!("{before}{first}"), format!("{second}{after}")] {
                let left = masked(&text, &[&secret]);
                for piece in secret.as_bytes().windows(PIECE) {
                    prop_assert!(!left.as_bytes().windows(PIECE).any(|there| there == piece), "{left}");
                }
            }
        }

        #[test]
        fn only_secrets_are_touched(text in "\\PC{0,80}") {
            prop_assume!(spans(&text, &Known::default()).is_empty());
            prop_assert_eq!(masked(&text, &["correct-horse-battery"]), text);
        }
    }
}
