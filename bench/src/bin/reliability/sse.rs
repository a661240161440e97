//! Random streams, whole and broken, in pieces of random size: what the product's decoder makes of them against another
//! decoder, written from the standard alone, which sees the whole text at once.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use anyhow::{Result, bail};
use bytes::Bytes;
use fastrand::Rng;
use futures_util::{FutureExt, stream};
use managed_agents_mcp::api::stream::{EventStream, Frame};
use serde_json::Value;

use crate::{Row, Run};

/// What came of a stream: the ids of its events, and whether an error ended it.
#[derive(Debug, PartialEq)]
struct Outcome {
    ids: Vec<String>,
    failed: bool,
}

/// What may come of a stream: that, or an error as early as the first bytes that are no UTF-8.
struct Expected {
    outcome: Outcome,
    /// So many events come before these bytes.
    odd_after: Option<usize>,
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(10_000_000);
    let (mut wrong, mut failed, mut events) = (0_u64, 0_u64, 0);
    for number in 0..count {
        let mut rng = Rng::with_seed(run.seed.wrapping_add(number));
        let text = draw(&mut rng);
        let outcome = decode(&text, &mut rng)?;
        events += outcome.ids.len();
        failed += u64::from(outcome.failed);
        if !is_right(&outcome, &read(&text)) {
            wrong += 1;
            if wrong <= 5 {
                eprintln!("seed {}: {outcome:?} of {:?}", run.seed.wrapping_add(number), String::from_utf8_lossy(&text));
            }
        }
    }
    Ok(vec![Row {
        figure: format!("random streams decoded: {events} events, {failed} ended by an explicit error"),
        target: "10,000,000, wrong 0",
        measured: format!("{count}, wrong {wrong}"),
        reached: wrong == 0 && failed > 0 && events > 0,
    }])
}

fn is_right(outcome: &Outcome, expected: &Expected) -> bool {
    let early = expected.odd_after.is_some_and(|count| outcome.failed && expected.outcome.ids.get(..count) == Some(&outcome.ids[..]));
    early || *outcome == expected.outcome
}

/// A stream of a few frames in any dialect; one in three is damaged.
fn draw(rng: &mut Rng) -> Vec<u8> {
    let mut text = Vec::new();
    if rng.u8(..8) == 0 {
        text.extend_from_slice(b"\xef\xbb\xbf");
    }
    let ends: &[&str] = match rng.u8(..5) {
        0 => &["\r\n"],
        1 => &["\r"],
        2 => &["\n", "\r\n", "\r"],
        _ => &["\n"],
    };
    for number in 0..rng.u32(..6) {
        let mut line = |rng: &mut Rng, parts: &[&str]| {
            parts.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
            let end = ends[rng.usize(..ends.len())];
            text.extend_from_slice(end.as_bytes());
        };
        let kinds = ["agent.message", "session.status_idle", "x", "ping", "event_delta", "", "ü.é"];
        let kind = kinds[rng.usize(..kinds.len())];
        for _ in 0..rng.u32(..3) {
            let odd = [": a comment", "id: 7", "retry: 3000", "event", "foo: bar", ":", "data2: x", " data: y"];
            let odd = odd[rng.usize(..odd.len())];
            line(rng, &[odd]);
        }
        match rng.u8(..12) {
            0..6 => line(rng, &["event: ", kind]),
            6 => line(rng, &["event:message"]),
            7 => line(rng, &["event:  ping"]),
            8 if rng.u8(..6) == 0 => line(rng, &["event: error"]),
            _ => {}
        }
        let json = format!("{{\"id\":\"e{number}\",|\"type\":\"{kind}\",|\"text\":\"wörds\"}}");
        match rng.u8(..10) {
            0 => {}
            1 => line(rng, &["data:"]),
            2 => line(rng, &["data"]),
            3 => json.split('|').for_each(|part| line(rng, &["data: ", part])),
            4 => line(rng, &["data:", &json.replace('|', "")]),
            _ => line(rng, &["data: ", &json.replace('|', "")]),
        }
        line(rng, &[""]);
    }
    damage(rng, &mut text);
    text
}

fn damage(rng: &mut Rng, text: &mut Vec<u8>) {
    if text.is_empty() || rng.u8(..3) > 0 {
        return;
    }
    let at = rng.usize(..text.len());
    let odd = [b'\n', b'\r', b':', b' ', b'{', b'"', 0, 0xff, 0xc3, b'x'];
    let byte = odd[rng.usize(..odd.len())];
    match rng.u8(..4) {
        0 => text.truncate(at),
        1 => text[at] = byte,
        2 => drop(text.remove(at)),
        _ => text.insert(at, byte),
    }
}

/// The product's decoder, fed in pieces.
fn decode(text: &[u8], rng: &mut Rng) -> Result<Outcome> {
    let most = [1, 3, 8, 64, 4096][rng.usize(..5)];
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rng.usize(1..=most).min(rest.len()));
        pieces.push(Ok(Bytes::copy_from_slice(piece)));
        rest = more;
    }
    let mut stream = EventStream::of(stream::iter(pieces));
    let mut outcome = Outcome { ids: Vec::new(), failed: false };
    loop {
        match stream.next().now_or_never() {
            None => bail!("the decoder waits for something"),
            Some(None) => return Ok(outcome),
            Some(Some(Ok(Frame::Event(event)))) => outcome.ids.push(event.id),
            Some(Some(Ok(Frame::Alive))) => {}
            Some(Some(Err(_))) => outcome.failed = true,
        }
    }
}

/// The other decoder.
fn read(text: &[u8]) -> Expected {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut expected = Expected { outcome: Outcome { ids: Vec::new(), failed: false }, odd_after: None };
    let (mut name, mut data): (String, Option<String>) = (String::new(), None);
    for line in lines(text) {
        if std::str::from_utf8(line).is_err() {
            let so_far = expected.outcome.ids.len();
            expected.odd_after.get_or_insert(so_far);
        }
        if line.is_empty() {
            match dispatch(&name, data.as_deref()) {
                Some(Ok(id)) => expected.outcome.ids.push(id),
                Some(Err(())) => {
                    expected.outcome.failed = true;
                    return expected;
                }
                None => {}
            }
            (name, data) = (String::new(), None);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        // What is no UTF-8 must not come through as if it were.
        let Ok(value) = std::str::from_utf8(value) else {
            if matches!(field, b"event" | b"data") {
                expected.outcome.failed = true;
                return expected;
            }
            continue;
        };
        match field {
            b"event" => name = value.to_owned(),
            b"data" => {
                data = Some(match data {
                    Some(data) => format!("{data}\n{value}"),
                    None => value.to_owned(),
                });
            }
            _ => {}
        }
    }
    expected
}

/// The lines that are over: each ends in CR LF, LF or CR.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let width = match text[at] {
            b'\r' if text.get(at + 1) == Some(&b'\n') => 2,
            b'\r' | b'\n' => 1,
            _ => 0,
        };
        if width == 0 {
            at += 1;
            continue;
        }
        lines.push(&text[start..at]);
        at += width;
        start = at;
    }
    lines
}

/// What a frame means to a reader of session events; nothing for heartbeats and previews.
fn dispatch(name: &str, data: Option<&str>) -> Option<Result<String, ()>> {
    let data = data.filter(|data| !data.trim().is_empty())?;
    if name == "ping" {
        return None;
    }
    let Ok(event) = serde_json::from_str::<Value>(data) else {
        return Some(Err(()));
    };
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    match (name, text("type")) {
        ("error", _) | (_, "error") => Some(Err(())),
        (_, "ping" | "event_start" | "event_delta") => None,
        _ => Some(Ok(text("id").to_owned())),
    }
}
