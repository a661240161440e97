//! Private keys in PEM form: where one begins, and how far it goes. Who writes the beginning of one must not have what others
//! wrote after it masked as well, least of all the rest of a command: a key ends where nothing more of it can stand.

use std::ops::Range;

use super::{floor_boundary, turns};

const BEGIN: &str = "-----BEGIN ";
const TITLE: &str = "PRIVATE KEY-----";
const END: &str = "-----END";
/// A run of so many characters of base64 is more than a word.
const LONG: usize = 16;
/// One of so many can be told from words and paths by its letters and digits, wherever it stands.
const TELLING: usize = 20;

/// So many lines with other words may stand between two of a key.
const NEAR: usize = 2;
/// How keys begin in base64, which have many letters of one kind there.
const HEADS: [&str; 7] = ["MII", "MIG", "MIH", "MHc", "MHQ", "MC4", "b3Blbn"];

/// How far behind its title a key is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// As far as its lines follow one another: what comes then may be somebody else's.
    Lines,
    /// To the end of the text, which one writer wrote: other things may stand between its lines and around them.
    Field,
}

/// The private keys in a text, also such as are cut. One ends before the next, so that each part of the text is looked at once.
pub(super) fn private_keys(text: &str, reach: Reach) -> Vec<Range<usize>> {
    let starts: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut keys = Vec::new();
    for (at, end) in starts.iter().copied().zip(ends) {
        let label = at..floor_boundary(text, text.len().min(at + BEGIN.len() + 40));
        let found = text.get(label).and_then(|label| label.find(TITLE));
        let Some(body) = found.map(|found| at + found + TITLE.len()) else {
            continue;
        };
        let rest = text.get(body..end).unwrap_or_default();
        let mut parts = parts(rest, reach);
        parts.retain(|part| !part.is_empty());
        if !is_key(parts.iter().filter_map(|part| rest.get(part.clone()))) {
            continue;
        }
        keys.push(at..body);
        keys.extend(parts.iter().map(|part| body + part.start..body + part.end));
    }
    keys
}

/// Whether there is anything of a key behind its title. A title with a word or two is what somebody looks for, or writes about.
fn is_key<'a>(mut parts: impl Iterator<Item = &'a str> + Clone) -> bool {
    let signs = parts.clone().flat_map(str::chars).filter(|c| is_base64(*c));
    let has_capital = signs.clone().any(|c| c.is_ascii_uppercase());
    let count = signs.count();
    count >= LONG || (count >= 4 && has_capital) || parts.any(|part| part.contains(END))
}

/// What of a key stands behind the title of its first line.
fn parts(rest: &str, reach: Reach) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut at, mut part) = (0, 0..0);
    // Behind a line with other words, a short line may be one of them.
    let (mut is_after_blank, mut is_sure) = (false, true);
    // For so many lines more what tells nothing is taken for the key's.
    let mut near = 0;
    for line in rest.split_inclusive('\n') {
        let (shown, is_first) = (line.trim_end(), at == 0);
        let scan = Scan::of(shown, is_first);
        let is_words = is_after_blank && shown.trim().contains(' ');
        let is_part = scan.is_whole && !is_words && (is_sure || scan.is_telling);
        let is_closed = scan.is_closed && (is_sure || near > 0 || is_first);
        if scan.length > 0 && (is_part || is_closed || is_first) {
            part.end = at + scan.length;
        }
        if scan.is_closed {
            break;
        }
        if is_part {
            is_sure |= scan.has_long;
            near = if scan.has_long { NEAR } else { near };
        } else if reach == Reach::Field {
            // What is written around a line of a key stays, such as the words of a program.
            let from = if is_first { scan.length } else { 0 };
            let pieces = pieces(shown, from, near > 0);
            is_sure = !pieces.is_empty();
            near = if is_sure {
                NEAR
            } else {
                near.saturating_sub(1)
            };
            parts.push(part);
            parts.extend(pieces.iter().map(|piece| at + piece.start..at + piece.end));
            part = at + line.len()..at + line.len();
        } else if is_first {
            is_sure = false;
            parts.push(part);
            part = at + line.len()..at + line.len();
        } else {
            break;
        }
        at += line.len();
        is_after_blank = !is_first && shown.trim().is_empty();
    }
    parts.push(part);
    parts
}

/// The runs of base64 from a place on in a line around which other things stand: those that tell, and near a line of the key also
/// others.
fn pieces(line: &str, from: usize, mut is_within: bool) -> Vec<Range<usize>> {
    let (mut pieces, mut at) = (Vec::new(), from);
    let runs = line.get(from..).unwrap_or_default();
    for run in runs.split(|c| !is_base64(c)) {
        let start = at;
        at += run.len();
        let is_last = at == line.len() && !run.is_empty() && !line.contains(' ');
        let is_rest = run.len() >= LONG || is_last || run.len() >= LONG / 2 && is_mixed(run);
        let is_telling = is_telling(run);
        let is_piece = is_telling || is_within && is_rest;
        is_within |= is_telling;
        if is_piece {
            pieces.push(start..at);
        }
        let between = line.get(at..).and_then(|rest| rest.chars().next());
        at += between.map_or(0, char::len_utf8);
    }
    pieces
}

fn is_mixed(run: &str) -> bool {
    let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

/// Whether a run can hardly be words or a path: in those, fewer letters and digits follow on one of another kind.
fn is_telling(run: &str) -> bool {
    let (turns, signs) = turns(run);
    // What a colour of a terminal or a name left before it is of the run as well.
    let is_head = HEADS.iter().any(|head| run.contains(head));
    run.len() >= TELLING && is_mixed(run) && (is_head || turns * 9 >= signs * 4)
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
    /// So was one that is no word at all.
    is_telling: bool,
}

impl Scan {
    fn of(line: &str, is_first: bool) -> Scan {
        let mut scan = Scan::default();
        // Whether a line of the key just began, and whether what comes next stands apart from the run before.
        let (mut is_new, mut is_apart, mut rest) = (!is_first, false, line);
        loop {
            let before = rest;
            let bare = if is_new {
                after_mark(rest)
            } else {
                rest.trim_start()
            };
            is_apart |= !is_new && bare.len() < rest.len();
            rest = bare;
            if is_new {
                rest = bare.trim_start_matches(['"', '\'']);
                is_apart |= rest.len() < bare.len();
            }
            let run = rest.len() - rest.trim_start_matches(is_base64).len();
            let header = header(rest).filter(|_| is_new);
            let (length, is_text) = match (closing(rest), escape(rest), header) {
                (Some(end), ..) => {
                    scan.is_closed = true;
                    scan.length = line.len() - rest.len() + end;
                    return scan;
                }
                (_, Some(escape), _) => (escape, false),
                (.., Some(header)) => (header, true),
                _ if run > 0 && scan.takes(rest, run, is_apart) => (run, true),
                _ => {
                    let left = if run > 0 { before } else { rest };
                    scan.is_whole = left.trim_end_matches(is_around).is_empty();
                    return scan;
                }
            };
            rest = rest.get(length..).unwrap_or_default();
            (is_new, is_apart) = (!is_text, false);
            if is_text {
                scan.length = line.len() - rest.len();
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
        // `YOUR_KEY` and `MIIE...` stand in the place of one.
        let is_placeholder = run < LONG && after.starts_with(['_', '.', '…']);
        let takes = !is_placeholder && (run >= LONG || !is_apart || ends_line);
        self.has_long |= run >= LONG;
        self.is_telling |= is_telling(text);
        takes
    }
}

/// What may stand behind a line of a key in a program.
fn is_around(c: char) -> bool {
    c.is_whitespace() || "\"',;+\\()".contains(c)
}

/// What follows on what may stand before a line of a key: blanks, a number, a sign of quotation, of a difference.
fn after_mark(rest: &str) -> &str {
    let is_mark = |c: char| c.is_ascii_whitespace() || c.is_ascii_digit() || ">|#*:".contains(c);
    let after = rest.trim_start_matches(is_mark);
    let line = after.strip_prefix('-');
    let line = line.filter(|line| line.starts_with(is_base64) || line.starts_with(END));
    line.unwrap_or(after)
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
