//! Server-sent events on the wire: how events are framed, and how faults disfigure them.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::envelope;
use super::faults::Kind;
use super::json::text;
use super::stamp;
use super::struck::{Struck, strip_zones};

/// Turns the events of one stream into bytes.
pub(super) struct Frames {
    ready: VecDeque<Bytes>,
    style: Style,
    newline: &'static str,
    /// With `id:` and `retry:` fields.
    resumable: bool,
    duplicate: bool,
    reorder: bool,
    zoneless: bool,
    held: Option<Bytes>,
    error: Option<(String, usize)>,
    over: bool,
}

/// How frames are named.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Typed,
    Message,
    Bare,
}

impl Frames {
    /// Frames as the faults of the request want them.
    pub(super) fn new(struck: &Struck) -> Self {
        let style = match (
            struck.has(&Kind::MessageFrames),
            struck.has(&Kind::BareFrames),
        ) {
            (true, _) => Style::Message,
            (_, true) => Style::Bare,
            _ => Style::Typed,
        };
        let error = struck.find(|kind| match kind {
            Kind::ErrorFrame {
                error,
                after_frames,
            } => Some((error.clone(), *after_frames)),
            _ => None,
        });
        let mut frames = Self {
            ready: VecDeque::new(),
            style,
            newline: if struck.has(&Kind::Crlf) {
                "\r\n"
            } else {
                "\n"
            },
            resumable: struck.has(&Kind::Replay),
            duplicate: struck.has(&Kind::DuplicateFrames),
            reorder: struck.has(&Kind::ReorderFrames),
            zoneless: struck.has(&Kind::Zoneless),
            held: None,
            error,
            over: false,
        };
        if struck.has(&Kind::Garbage) {
            frames.ready.push_back(Bytes::from_static(GARBAGE));
        }
        frames.fail_when_due();
        frames
    }

    /// The next bytes to send, if there are any.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Whether nothing will follow.
    pub(super) fn over(&self) -> bool {
        self.over && self.ready.is_empty()
    }

    /// Whether a frame is held back until another overtakes it.
    pub(super) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Sends what is held back.
    pub(super) fn flush(&mut self) {
        self.ready.extend(self.held.take());
    }

    /// Sends an event.
    pub(super) fn push(&mut self, event: &Value) {
        if self.over {
            return;
        }
        let frame = if self.zoneless {
            let mut event = event.clone();
            strip_zones(&mut event);
            self.frame(text(&event, "/type"), &event)
        } else {
            self.frame(text(event, "/type"), event)
        };
        match self.held.take() {
            None if self.reorder => self.held = Some(frame),
            earlier => {
                let copies = if self.duplicate { 2 } else { 1 };
                self.ready.extend(std::iter::repeat_n(frame, copies));
                self.ready.extend(earlier);
            }
        }
        if let Some((_, after)) = &mut self.error {
            *after = after.saturating_sub(1);
        }
        self.fail_when_due();
    }

    /// Sends a heartbeat.
    pub(super) fn ping(&mut self) {
        let ping = self.frame("ping", &json!({"type": "ping"}));
        self.ready.push_back(ping);
    }

    fn fail_when_due(&mut self) {
        let due = self.error.take_if(|(_, after)| *after == 0);
        if let Some((kind, _)) = due {
            self.flush();
            let error = envelope(&kind, "Simulated: the stream failed.", &stamp::request_id());
            let frame = self.frame("error", &error);
            self.ready.push_back(frame);
            self.over = true;
        }
    }

    fn frame(&self, kind: &str, event: &Value) -> Bytes {
        let end = self.newline;
        let mut frame = match self.style {
            Style::Typed => format!("event: {kind}{end}"),
            Style::Message => format!("event: message{end}"),
            Style::Bare => String::new(),
        };
        if self.resumable {
            frame.push_str(&format!("id: {}{end}retry: 3000{end}", text(event, "/id")));
        }
        frame.push_str(&format!("data: {event}{end}{end}"));
        Bytes::from(frame)
    }
}

/// A byte order mark, invalid UTF-8, a frame that breaks off within its JSON, a field nobody knows, zero bytes.
const GARBAGE: &[u8] = b"\xef\xbb\xbf: comment\n\nevent: agent.message\ndata: \xff\xfe\x80 not UTF-8\n\n\
    event: agent.message\ndata: {\"type\":\"agent.mess\n\nfoo: bar\nevent\n\n\0\0\0\n\ndata: null\n\ndata: [1]\n\n";
