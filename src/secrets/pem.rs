//! Private keys in PEM form: where one begins, and how far it goes. Who writes the beginning of one must not have what others
//! wrote after it masked as well, least of all the rest of a command: a key ends where nothing more of it can stand.

use std::ops::Range;

use super::floor_boundary;

const BEGIN: &str = "-----BEGIN ";
const TITLE: &str = "PRIVATE KEY-----";
const END: &str = "-----END";
/// A run of so many characters of base64 is more than a word.
const LONG: usize = 16;
/// One of so many, with letters of both sizes and a digit, is of a key wherever it stands.
const TELLING: usize = 32;

/// The private keys in a text, also such as are cut. One ends before the next, so that each part of the text is looked at once.
pub(super) fn private_keys(text: &str) -> Vec<Range<usize>> {
    let starts: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut keys = Vec::new();
    for (at, end) in starts.iter().copied().zip(ends) {
        let label = at..floor_boundary(text, text.len().min(at + BEGIN.len() + 40));
        let found = text.get(label).and_then(|label| label.find(TITLE));
        let Some(body) = found.map(|found| at + found + TITLE.len()) else {
            continue;
        };
        keys.push(at..body);
        let parts = parts(text.get(body..end).unwrap_or_default()).into_iter();
        let parts = parts.filter(|part| !part.is_empty());
        keys.extend(parts.map(|part| body + part.start..body + part.end));
    }
    keys
}

/// What of a key stands behind the title of its first line.
fn parts(rest: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut at, mut from, mut until) = (0, 0, 0);
    // Behind a first line with other words, a short line may be one of them.
    let (mut is_after_blank, mut is_sure) = (false, true);
    for line in rest.split_inclusive('\n') {
        let (shown, is_first) = (line.trim_end(), at == 0);
        let scan = Scan::of(shown, is_first);
        let is_words = is_after_blank && shown.trim().contains(' ');
        let is_part = scan.is_whole && !is_words && (is_sure || scan.has_long);
        if is_part || scan.is_closed {
            if scan.length > 0 {
                until = at + scan.length;
            }
            if scan.is_closed {
                break;
            }
            is_sure |= scan.has_long;
        } else {
            if is_first {
                until = scan.length;
            }
            // What is written around a line of a key stays, such as the words of a program.
            parts.push(from..until);
            let pieces = telling(shown, until.saturating_sub(at), is_first);
            is_sure = !pieces.is_empty();
            if !is_sure && !is_first {
                return parts;
            }
            parts.extend(
                pieces
                    .into_iter()
                    .map(|piece| at + piece.start..at + piece.end),
            );
            from = at + line.len();
            until = from;
        }
        at += line.len();
        is_after_blank = !is_first && shown.trim().is_empty();
    }
    parts.push(from..until);
    parts
}

/// The runs in a line that are of a key whatever stands around them. On the first line those of the same string only.
fn telling(line: &str, from: usize, is_first: bool) -> Vec<Range<usize>> {
    let first = line.split(' ').next().unwrap_or_default();
    let is_labelled = first.len() < line.len() && first.ends_with(':');
    if !is_first && (is_labelled || line.starts_with("------")) {
        return Vec::new();
    }
    let rest = line.get(from..).unwrap_or_default();
    let mut end = rest.len();
    if is_first {
        let is_end = |at: usize| !rest.get(..at).is_some_and(|before| before.ends_with('\\'));
        let mut quotes = rest.match_indices('"').map(|(at, _)| at);
        end = quotes.find(|at| is_end(*at)).unwrap_or(end);
    }
    let (mut runs, mut at) = (Vec::new(), from);
    for run in rest.get(..end).unwrap_or_default().split(|c| !is_base64(c)) {
        let start = at;
        at += run.len();
        let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
        let is_mixed =
            has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        if run.len() >= TELLING && is_mixed {
            runs.push(start..at);
        }
        at += line
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(0, char::len_utf8);
    }
    runs
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

/// How far a line can be of a key: base64, perhaps numbered or quoted, with line ends written as escapes, or a header.
#[derive(Default)]
struct Scan {
    /// Bytes of it that are.
    length: usize,
    /// Nothing else stands there.
    is_whole: bool,
    /// The key ends there.
    is_closed: bool,
    /// A run longer than a word was met.
    has_long: bool,
}

impl Scan {
    fn of(line: &str, is_first: bool) -> Scan {
        let mut scan = Scan::default();
        // Whether a line just began, and whether what comes next stands apart from the run before.
        let (mut is_new, mut is_apart, mut at) = (!is_first, false, 0);
        loop {
            let rest = line.get(at..).unwrap_or_default();
            let skipped = if is_new { mark(rest) } else { spaces(rest) };
            let before = at;
            at += skipped;
            let rest = line.get(at..).unwrap_or_default();
            let quote = if is_new {
                rest.len() - rest.trim_start_matches(['"', '\'']).len()
            } else {
                0
            };
            is_apart |= quote > 0 || (!is_new && skipped > 0);
            at += quote;
            let rest = line.get(at..).unwrap_or_default();
            let run = rest.len() - rest.trim_start_matches(is_base64).len();
            if let Some(end) = closing(rest) {
                scan.is_closed = true;
                scan.length = at + end;
                return scan;
            } else if let Some(escape) = escape(rest) {
                at += escape;
                (is_new, is_apart) = (true, false);
            } else if let Some(header) = header(rest).filter(|_| is_new) {
                at += header;
                scan.length = at;
                is_new = false;
            } else if run > 0 && scan.takes(rest, run, is_apart) {
                at += run;
                scan.length = at;
                (is_new, is_apart) = (false, false);
            } else {
                let left = line
                    .get(if run > 0 { before } else { at }..)
                    .unwrap_or_default();
                scan.is_whole = left
                    .trim_end_matches(|c: char| c.is_whitespace() || "\"',;+\\()".contains(c))
                    .is_empty();
                return scan;
            }
        }
    }

    /// Whether a run belongs to the key. One that stands apart may be a word unless it is long or ends a line of the key.
    fn takes(&mut self, rest: &str, run: usize, is_apart: bool) -> bool {
        let (text, after) = rest.split_at_checked(run).unwrap_or_default();
        let ends_line = escape(after).is_some()
            || closing(after.trim_start()).is_some()
            || text.ends_with('=')
            || (self.has_long && after.is_empty());
        let takes = run >= LONG || !is_apart || ends_line;
        self.has_long |= run >= LONG;
        takes
    }
}

fn spaces(rest: &str) -> usize {
    rest.len() - rest.trim_start().len()
}

/// Bytes of what may stand before a line of a key: blanks, a number, a sign of quotation, of a difference.
fn mark(rest: &str) -> usize {
    let is_mark = |c: char| c.is_ascii_whitespace() || c.is_ascii_digit() || ">|#*:".contains(c);
    let after = rest.trim_start_matches(is_mark);
    let line = after
        .strip_prefix('-')
        .filter(|line| line.starts_with(is_base64) || line.starts_with(END));
    rest.len() - line.unwrap_or(after).len()
}

/// Bytes of the line that ends a key, perhaps cut.
fn closing(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(END)?;
    let label = after.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == ' ');
    let end = label
        .strip_prefix("-----")
        .unwrap_or_else(|| label.trim_start_matches('-'));
    Some(rest.len() - end.len())
}

/// Bytes of a line end or another character that is written as an escape: `\n`, `\\n`, `\u000a`, `%0A`.
fn escape(rest: &str) -> Option<usize> {
    let hex = |rest: &str, digits: usize| {
        let written = rest.get(..digits)?;
        written
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then_some(digits)
    };
    if let Some(rest) = rest.strip_prefix('%') {
        return hex(rest, 2).map(|digits| 1 + digits);
    }
    let after = rest.trim_start_matches('\\');
    let slashes = rest.len() - after.len();
    let more = match after.bytes().next().filter(|_| slashes > 0)? {
        b'n' | b'r' | b't' | b'/' | b'"' => 1,
        b'u' => 1 + hex(after.get(1..)?, 4)?,
        b'x' => 1 + hex(after.get(1..)?, 2)?,
        _ => return None,
    };
    Some(slashes + more)
}

/// Bytes of a header of an encrypted key.
fn header(rest: &str) -> Option<usize> {
    let names = ["Proc-Type: ", "DEK-Info: "];
    names.iter().find(|name| rest.starts_with(**name))?;
    let is_header = |c: char| c.is_ascii_alphanumeric() || " :,-".contains(c);
    Some(rest.find(|c| !is_header(c)).unwrap_or(rest.len()))
}
