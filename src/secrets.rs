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
const FEWEST_DIFFERENT: u32 = 6;
/// A secret that only shows once another one is gone is rare, and one behind that even more so.
const MOST_LOOKS: usize = 4;

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
    hidden(text, &known)
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
        spans.extend(tokens(text, beginning));
    }
    spans.extend(private_keys(text));
    spans.sort_unstable_by_key(|span| span.start);
    spans
}

/// The tokens that begin so. Each part of the text is looked at once, since somebody else may have written it.
fn tokens(text: &str, beginning: &str) -> Vec<Range<usize>> {
    let is_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/' | '=' | '~');
    let mut tokens = Vec::new();
    let mut done = 0;
    for (at, _) in text.match_indices(beginning) {
        let before = text.get(..at).unwrap_or_default().chars().next_back();
        let from = at + beginning.len();
        // In the middle of a longer word it is none: an opaque page token may hold anything. Within a tail it shares its end.
        let is_inside = before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if is_inside || from <= done {
            continue;
        }
        let tail = text.get(from..).unwrap_or_default();
        let length = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
        let tail = tail.get(..length).unwrap_or_default();
        done = from + length;
        let tail = tail.trim_end_matches('.');
        let is_bearer = beginning == "Bearer ";
        let is_word = is_bearer && !tail.bytes().any(|byte| byte.is_ascii_digit());
        if tail.len() >= SHORTEST_TAIL && different(tail) >= FEWEST_DIFFERENT && !is_word {
            tokens.push(if is_bearer { from } else { at }..from + tail.len());
        }
    }
    tokens
}

/// How many different characters an ASCII text has.
fn different(text: &str) -> u32 {
    let seen = text
        .bytes()
        .fold(0_u128, |seen, byte| seen | 1 << (byte & 127));
    seen.count_ones()
}

/// Private keys in PEM form, also such as are cut.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    let (begin, title) = ("-----BEGIN ", "PRIVATE KEY-----");
    let mut keys = Vec::new();
    // The last end that was found: keys that begin before it share it.
    let mut end = 0;
    for (at, _) in text.match_indices(begin) {
        let label = at..floor_boundary(text, text.len().min(at + begin.len() + 40));
        let found = text.get(label).and_then(|label| label.find(title));
        let Some(body) = found.map(|found| at + found + title.len()) else {
            continue;
        };
        if body >= end {
            end = body + key_length(text.get(body..).unwrap_or_default());
        }
        keys.push(at..end);
    }
    keys
}

/// Bytes of a private key after its first line's title. Who writes a key that never ends must not have what others wrote after it
/// masked as well, least of all the delimiter of their own words: a key ends where its lines do.
fn key_length(rest: &str) -> usize {
    let close = "-----END ";
    let (mut at, mut length) = (0, 0);
    for line in rest.split_inclusive('\n') {
        let shown = line.trim_end();
        let (is_first, is_after_blank) = (at == 0, at > length + 1);
        if let Some(found) = shown.find(close)
            && (is_first || is_key_line(shown.get(..found).unwrap_or_default()))
        {
            let title = found + close.len();
            let end = shown.get(title..).and_then(|title| title.find("-----"));
            return at + end.map_or(shown.len(), |end| title + end + "-----".len());
        }
        let is_part = is_key_line(shown) && !(is_after_blank && shown.trim().contains(' '));
        if !is_part {
            return if is_first { shown.len() } else { length };
        }
        at += line.len();
        if !shown.trim().is_empty() {
            length = at - (line.len() - shown.len());
        }
    }
    length
}

/// Whether a line can be one of a key: base64, perhaps numbered or quoted, or a header. What begins with another label cannot.
fn is_key_line(line: &str) -> bool {
    let line = line
        .trim_start_matches(|c: char| {
            c.is_ascii_whitespace() || c.is_ascii_digit() || ">|#*:".contains(c)
        })
        .trim_end();
    let is_header = ["Proc-Type: ", "DEK-Info: "]
        .iter()
        .any(|header| line.starts_with(header));
    let first = line.split(' ').next().unwrap_or_default();
    let is_labelled = first.len() < line.len() && first.ends_with(':');
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut runs = line.split(|c| !is_base64(c));
    is_header
        || (!line.starts_with("------")
            && !is_labelled
            && (!line.contains(' ') || runs.any(|run| run.len() >= SHORTEST_TAIL)))
}

/// The text without secrets. It is looked at again while there were some, since what stood directly behind a secret may be one
/// itself.
fn hidden<'a>(text: &'a str, known: &Known) -> Cow<'a, str> {
    let mut shown = without(text, spans(text, known));
    for _ in 1..MOST_LOOKS {
        let Cow::Owned(before) = &shown else { break };
        let after = without(before, spans(before, known)).into_owned();
        if after == *before {
            break;
        }
        shown = Cow::Owned(after);
    }
    shown
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
        hidden(text, &known).into_owned()
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
        assert_eq!(
            masked(&format!("Bearer Bearer {tail}"), &[]),
            "Bearer Bearer [secret]"
        );
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----";
        assert_eq!(masked(&format!("a\n{key}\nb"), &[]), "a\n[secret]\nb");
        assert_eq!(masked(key.split_at(45).0, &[]), MASK);
    }

    #[test]
    fn a_private_key_ends_where_its_lines_do() {
        let begin = "-----BEGIN PRIVATE KEY-----";
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
        let end = "-----END PRIVATE KEY-----";
        for (text, expected) in [
            // Whole, cut, indented, numbered, quoted, escaped, on one line, with headers, with wide lines.
            (format!("{begin}\n{body}\nAb=\n{end}\nb"), "[secret]\nb"),
            (format!("{begin}\n{body}\nAb="), MASK),
            (format!("  {begin}\n  {body}\n  {end}\nb"), "  [secret]\nb"),
            (
                format!("1\t{begin}\n2\t{body}\n3\tAb=\n4\t{end}\nb"),
                "1\t[secret]\nb",
            ),
            (
                format!("> {begin}\n> {body}\n> Ab=\n> {end}\nb"),
                "> [secret]\nb",
            ),
            (
                format!("\"{begin}\\n{body}\\n{end}\\n\", b"),
                "\"[secret]\\n\", b",
            ),
            (format!("a {begin} {body} {end} b"), "a [secret] b"),
            (
                format!("{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,1\n\n{body}\n{end}b"),
                "[secret]b",
            ),
            (format!("{begin}\n\n{body}\n\nAb=\n\n{end}b"), "[secret]b"),
            (format!("{begin}{begin}\n{body}\n{end}b"), "[secret]b"),
            // What follows stays, whoever wrote it.
            (
                format!("{begin}\n------ end\n\nNext: go on"),
                "[secret]\n------ end\n\nNext: go on",
            ),
            (
                format!("{begin}\n{body}\n------ end\nNext: go on"),
                "[secret]\n------ end\nNext: go on",
            ),
            (
                format!("“{begin}”\n\n$0.41 of $10"),
                "“[secret]\n\n$0.41 of $10",
            ),
            (
                format!("{begin} (round 1)\n--- words"),
                "[secret]\n--- words",
            ),
            (format!("{begin}.\nNext: go on"), "[secret]\nNext: go on"),
            (
                format!("{begin}\n- echo {end}\nNext: go on"),
                "[secret]\n- echo -----END PRIVATE KEY-----\nNext: go on",
            ),
        ] {
            assert_eq!(masked(&text, &[]), expected, "{text:?}");
        }
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

    #[test]
    fn a_token_directly_behind_a_secret_is_masked_as_well() {
        let known = "correct-horse-battery-staple";
        let token = "ghp_a1B2c3D4e5F6g7H8i9";
        let key = "-----BEGIN PRIVATE KEY-----\nMHc\n-----END PRIVATE KEY-----";
        for before in [known, key] {
            let left = masked(&format!("{before}{token}"), &[known]);
            assert_eq!(left, format!("{MASK}{MASK}"));
        }
    }

    #[test]
    fn a_hostile_text_takes_no_more_time_than_its_length_allows() {
        let parts = [
            "ghp_.",
            "Bearer a1/",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n",
            "-----BEGIN PRIVATE KEY-----\n\n",
            "-----BEGIN \u{e9}---------------------------------------\u{e9}",
        ];
        for part in parts {
            let text = part.repeat(200_000 / part.len());
            let began = std::time::Instant::now();
            masked(&text, &["correct-horse-battery-staple"]);
            let took = began.elapsed();
            assert!(took.as_secs() < 3, "{part}: {took:?}");
        }
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
