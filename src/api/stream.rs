//! A session's live events: SSE bytes → [`Event`]. The only file that names the SSE crate.
//!
//! The stream replays nothing; closing the gap after a cut belongs to `bridge/follow.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use memchr::memchr2;
use serde_json::Value;
use serde_json::value::RawValue;
use sse_stream::{Sse, SseByteStream};
use tokio::sync::OwnedSemaphorePermit;

use super::aside::aside;
use super::body::LARGE;
use super::call::Call;
use super::events::Event;
use super::send::{shorten, unreachable, word};
use super::{Client, Error, Fault, Id, Refusal};

/// Bytes that may arrive without a finished frame: of one stream, and beyond the first of each of all streams together.
const LARGEST_FRAME: usize = 16 * 1024 * 1024;
const MOST_UNFINISHED: usize = 64 * 1024 * 1024;
const FREE: usize = 1024 * 1024;

/// The bytes of frames that are not finished, of all streams of a process.
#[derive(Default)]
pub(super) struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    fn share(&self) -> Share {
        Share {
            total: Arc::clone(&self.0),
            bytes: 0,
        }
    }
}

/// One stream's part of it.
struct Share {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl Share {
    /// So many bytes wait for the end of their frame. Whether there is room for them.
    fn set(&mut self, pending: usize) -> bool {
        let bytes = pending.saturating_sub(FREE);
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
        let has_grown = bytes > self.bytes;
        let others = before - self.bytes;
        self.bytes = bytes;
        !has_grown || others + bytes <= MOST_UNFINISHED
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What came over the line.
#[derive(Debug)]
pub enum Frame {
    /// An event of the session; a very long one as [`Event::brief`] leaves it.
    Event(Event),
    /// The line is alive: a heartbeat, or a preview that is never stored.
    Alive,
}

/// An open stream of frames. It ends with an error or with `None`; both mean a cut.
pub struct EventStream {
    frames: Pin<Box<dyn Stream<Item = Result<Frame, Error>> + Send>>,
    /// Its place among the streams of this process.
    _place: Option<OwnedSemaphorePermit>,
}

impl EventStream {
    /// Decodes bytes, wherever they come from.
    pub fn of<S>(bytes: S) -> EventStream
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        EventStream::sharing(bytes, &Unfinished::default())
    }

    fn sharing<S>(bytes: S, unfinished: &Unfinished) -> EventStream
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        EventStream {
            frames: Box::pin(frames(bytes, unfinished.share())),
            _place: None,
        }
    }

    /// The next frame. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Frame, Error>> {
        self.frames.next().await
    }
}

impl Client {
    /// `GET /v1/sessions/{id}/events/stream`. Delivers what is emitted after it opened. Waits while as many streams are open
    /// as this process may hold.
    pub async fn stream_events(
        &self,
        session: &Id,
        open_within: Duration,
    ) -> Result<EventStream, Error> {
        let place = self.shared.lines.place().await?;
        let call = Call::get(&["sessions", session.as_str(), "events", "stream"]);
        let response = self.open(call, open_within).await?;
        let bytes = response
            .bytes_stream()
            .map(|chunk| chunk.map_err(unreachable));
        Ok(EventStream {
            _place: Some(place),
            ..EventStream::sharing(bytes, &self.shared.unfinished)
        })
    }
}

/// Decodes bytes to frames; ends after the first error.
fn frames<S>(bytes: S, share: Share) -> impl Stream<Item = Result<Frame, Error>> + Send
where
    S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
{
    let decoder = SseByteStream::new(Box::pin(capped(bytes, share)));
    stream::unfold(Some(decoder), |decoder| async move {
        let mut decoder = decoder?;
        let frame = match decoder.next().await? {
            Ok(sse) => decoded(sse).await,
            Err(sse_stream::Error::Body(error)) => match error.downcast::<Error>() {
                Ok(error) => Err(*error),
                Err(error) => Err(malformed(&error.to_string())),
            },
            Err(error) => Err(malformed(&error.to_string())),
        };
        let rest = frame.is_ok().then_some(decoder);
        Some((frame, rest))
    })
}

/// Fails once more than [`LARGEST_FRAME`] bytes came without a blank line, so that no sender can fill the memory.
fn capped<S>(bytes: S, mut share: Share) -> impl Stream<Item = Result<Bytes, Error>> + Send
where
    S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
{
    let mut pending = 0;
    let (mut at_line_start, mut after_cr) = (false, false);
    bytes.map(move |chunk| {
        let chunk = chunk?;
        let mut rest: &[u8] = &chunk;
        while let Some(line) = memchr2(b'\n', b'\r', rest) {
            let (text, end) = rest.split_at(line);
            let Some((byte, after)) = end.split_first() else {
                break;
            };
            if !text.is_empty() {
                (at_line_start, after_cr) = (false, false);
            }
            let second_half_of_crlf = *byte == b'\n' && after_cr;
            after_cr = *byte == b'\r';
            pending += text.len();
            if second_half_of_crlf {
                pending += usize::from(pending > 0);
            } else {
                pending = if at_line_start { 0 } else { pending + 1 };
                at_line_start = true;
            }
            rest = after;
        }
        if !rest.is_empty() {
            pending += rest.len();
            (at_line_start, after_cr) = (false, false);
        }
        let has_room = share.set(pending);
        if pending <= LARGEST_FRAME && has_room {
            return Ok(chunk);
        }
        let reason = match pending > LARGEST_FRAME {
            true => "an event of the stream is larger than 16 MiB",
            false => "the unfinished events of all streams are larger than 64 MiB",
        };
        Err(Error::Unreadable {
            reason: reason.to_owned(),
            fault: Fault::TooLarge,
            request_id: None,
        })
    })
}

/// Decodes a frame; a large one beside the runtime, which has others to serve.
async fn decoded(sse: Sse) -> Result<Frame, Error> {
    let is_large = sse.data.as_ref().is_some_and(|data| data.len() > LARGE);
    let decode = move || decode(sse.event.as_deref(), sse.data.as_deref());
    if !is_large {
        return decode();
    }
    let decoded = aside(decode).await;
    decoded.unwrap_or_else(|| Err(malformed("an event could not be decoded")))
}

/// The type is read from the JSON, since some servers name every frame `message` or none at all.
fn decode(name: Option<&str>, data: Option<&str>) -> Result<Frame, Error> {
    let Some(data) = data.filter(|data| !data.trim().is_empty()) else {
        return Ok(Frame::Alive);
    };
    if name == Some("ping") {
        return Ok(Frame::Alive);
    }
    let raw: &RawValue =
        serde_json::from_str(data).map_err(|error| malformed(&error.to_string()))?;
    let event = Event::brief_of(raw);
    match (name, event.kind.as_str()) {
        (Some("error"), _) | (_, "error") => Err(reported(&event.value())),
        (_, "ping" | "event_start" | "event_delta") => Ok(Frame::Alive),
        _ => Ok(Frame::Event(event)),
    }
}

/// The error envelope of an `error` frame, as the refusal that a call would have met.
fn reported(envelope: &Value) -> Error {
    let text = |pointer: &str| {
        envelope
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let kind = text("/error/type").unwrap_or_else(|| "api_error".to_owned());
    let status = match kind.as_str() {
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => 500,
    };
    Error::Refused(Box::new(Refusal {
        status,
        kind: word(&kind),
        message: text("/error/message").map_or_else(
            || "the stream reported an error".to_owned(),
            |text| shorten(&text),
        ),
        request_id: text("/request_id").map(|id| word(&id)),
        retry_after: None,
        should_retry: None,
    }))
}

fn malformed(reason: &str) -> Error {
    Error::Unreadable {
        reason: shorten(&format!("the stream is not valid: {reason}")),
        fault: Fault::Malformed,
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    /// Feeds `text` in pieces and returns what came out: ids of events, `.` for a sign of life, `!` for an error.
    fn outcome(text: &[u8], piece: usize) -> Vec<String> {
        let chunks: Vec<_> = text
            .chunks(piece.max(1))
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let frames =
            frames(stream::iter(chunks), Unfinished::default().share()).map(|frame| match frame {
                Ok(Frame::Event(event)) => event.id,
                Ok(Frame::Alive) => ".".to_owned(),
                Err(_) => "!".to_owned(),
            });
        frames.collect::<Vec<_>>().now_or_never().unwrap()
    }

    fn events(text: &str) -> Vec<String> {
        outcome(text.as_bytes(), 1000)
            .into_iter()
            .filter(|id| id != ".")
            .collect()
    }

    #[test]
    fn each_dialect_of_the_stream_is_read() {
        let data = r#"{"id":"a","type":"agent.message"}"#;
        for frame in [
            format!("event: agent.message\ndata: {data}\n\n"),
            format!("event: message\ndata: {data}\n\n"),
            format!("data: {data}\n\n"),
            format!("id: 7\nretry: 3000\r\nevent: agent.message\r\ndata:{data}\r\n\r\n"),
            format!("\u{feff}: hello\n\nevent: ping\ndata: {{}}\n\ndata: {data}\n\n"),
        ] {
            assert_eq!(events(&frame), ["a"], "{frame}");
        }
    }

    #[test]
    fn previews_and_heartbeats_are_signs_of_life_only() {
        let text = "event: ping\ndata: {\"type\":\"ping\"}\n\ndata: {\"type\":\"event_delta\",\"event_id\":\"a\"}\n\n";
        assert_eq!(outcome(text.as_bytes(), 9), [".", "."]);
    }

    #[test]
    fn an_error_frame_and_a_broken_frame_end_the_stream() {
        let good = "data: {\"id\":\"a\",\"type\":\"x\"}\n\n";
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        assert_eq!(events(&format!("{good}{error}{good}")), ["a", "!"]);
        assert_eq!(events(&format!("{good}data: {{\"id\n\n{good}")), ["a", "!"]);
        assert_eq!(outcome(b"data: {\"id\":\"\xff\"}\n\n", 1000), ["!"]);
    }

    #[test]
    fn a_cut_frame_is_never_half_delivered() {
        let text = "data: {\"id\":\"a\",\"type\":\"x\"}\n\n";
        for cut in 0..text.len() {
            assert!(outcome(&text.as_bytes()[..cut], 7).is_empty(), "{cut}");
        }
    }

    #[tokio::test]
    async fn a_large_frame_keeps_its_place_and_nobody_waiting() {
        let words = "x".repeat(4 * LARGE);
        let large = format!(r#"{{"id":"b","type":"agent.message","content":"{words}"}}"#);
        let small = |id: &str| format!("data: {{\"id\":\"{id}\",\"type\":\"x\"}}\n\n");
        let text = format!("{}data: {large}\n\n{}", small("a"), small("c"));
        let mut stream = EventStream::of(stream::iter([Ok(Bytes::from(text))]));
        let mut next = async || match stream.next().await {
            Some(Ok(Frame::Event(event))) => event,
            other => panic!("{other:?}"),
        };
        assert_eq!(next().await.id, "a");
        let (go_on, busy) = std::sync::mpsc::channel::<()>();
        assert!(aside(move || busy.recv()).now_or_never().is_none());
        assert!(next().now_or_never().is_none(), "decoded aside");
        drop(go_on);
        let event = next().await;
        assert_eq!((event.id.as_str(), event.is_whole()), ("b", false));
        assert!(event.text().starts_with("xxx") && event.raw().len() < LARGE + 1000);
        assert_eq!(next().await.id, "c");
    }

    #[test]
    fn a_sender_without_end_is_stopped() {
        for line in ["data: 0123456789\n", "data: 0123456789\r\n"] {
            let endless = line.repeat(LARGEST_FRAME / line.len() + 1000);
            assert_eq!(outcome(endless.as_bytes(), 65536), ["!"]);
        }
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_changes_nothing(ids in prop::collection::vec("[a-z]{1,8}", 0..20), piece in 1usize..64) {
            let frame = |id: &String| format!("event: x\ndata: {{\"id\":\"{id}\",\ndata: \"type\":\"x\"}}\n\n");
            let text: String = ids.iter().map(frame).collect();
            prop_assert_eq!(outcome(text.as_bytes(), piece), ids);
        }
    }

    #[test]
    fn unfinished_frames_share_what_there_is_beyond_a_little_each() {
        let unfinished = Unfinished::default();
        let mut streams: Vec<Share> = (0..5).map(|_| unfinished.share()).collect();
        let [first, rest @ ..] = streams.as_mut_slice() else {
            unreachable!()
        };
        assert!(rest.iter_mut().all(|share| share.set(LARGEST_FRAME)));
        assert!(first.set(FREE) && !first.set(LARGEST_FRAME));
        rest[0].set(0);
        assert!(first.set(LARGEST_FRAME - FREE));
        drop(streams);
        assert_eq!(unfinished.0.load(Ordering::Relaxed), 0);
    }
}
