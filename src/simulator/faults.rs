//! Faults: what can be made to go wrong, for which requests, and how often.

use serde_json::Value;

use super::struck::Struck;

/// Something that goes wrong for requests that match.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    on: String,
    skip: usize,
    times: Option<usize>,
    kind: Kind,
}

/// Whether a failing call was carried out before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// It fails and nothing happened.
    Before,
    /// It was carried out, only the answer fails.
    After,
}

/// What goes wrong. As JSON the name stands in `kind`, the fields beside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The connection is dropped after so many bytes of the body; 0 sends only the headers.
    CutAfterBytes {
        /// How many bytes of the body still arrive.
        bytes: usize,
    },
    /// After so many bytes of the body nothing comes any more, not even heartbeats; the connection stays open.
    Silence {
        /// How many bytes of the body still arrive.
        after_bytes: usize,
    },
    /// The headers of the answer take their time.
    SlowHeaders {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// An error status instead of the answer.
    Status {
        /// The HTTP status.
        code: u16,
        /// The header `retry-after`, in seconds or as a date.
        retry_after: Option<String>,
        /// Whether the call is carried out all the same.
        acting: Acting,
        /// The body instead of the API's envelope.
        body: Option<Value>,
    },
    /// The connection is closed without a response.
    Drop {
        /// Whether the call is carried out all the same.
        acting: Acting,
    },
    /// Every frame of the stream comes twice.
    DuplicateFrames,
    /// Frames of the stream come in swapped pairs.
    ReorderFrames,
    /// Events are listed only so long after they were recorded and streamed.
    ListLag {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Streams begin with a byte order mark, invalid UTF-8 and half frames; other calls answer HTML.
    Garbage,
    /// The stream sends the whole log first, with `id:` and `retry:` fields.
    Replay,
    /// Every frame of the stream is named `message`.
    MessageFrames,
    /// Frames of the stream are bare `data:` lines.
    BareFrames,
    /// Lines of the stream end in CR LF.
    Crlf,
    /// The body comes one byte at a time.
    Trickle,
    /// A list always names the same next page.
    EndlessPage,
    /// An accepted `POST …/events` is answered without `data`.
    NoData,
    /// The stream sends `event: error` with an envelope, and ends.
    ErrorFrame {
        /// The error's type, such as `overloaded_error`.
        error: String,
        /// How many frames come before it.
        after_frames: usize,
    },
    /// Accepted posts are answered with this status instead of 200.
    ExtraStatus {
        /// 201 or 202.
        code: u16,
    },
    /// Times carry no zone.
    Zoneless,
}

impl Fault {
    /// A fault for the next request that matches. `on` is a method and a path pattern, `*` standing for anything in
    /// either: `"POST /v1/sessions"`, `"GET */events/stream"`, `"* *"`.
    pub fn new(on: &str, kind: Kind) -> Self {
        Self {
            on: on.to_owned(),
            skip: 0,
            times: Some(1),
            kind,
        }
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so many times instead of once.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes every time, until faults are cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let (wanted, pattern) = self.on.split_once(' ').unwrap_or(("*", &self.on));
        (wanted == "*" || wanted.eq_ignore_ascii_case(method)) && fits(pattern, path)
    }
}

/// Whether a path fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            let starts = rest
                .char_indices()
                .map(|(start, _)| start)
                .chain([rest.len()]);
            starts
                .into_iter()
                .any(|start| rest.get(start..).is_some_and(|rest| fits(tail, rest)))
        }),
    }
}

/// The faults that wait for their request.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub(super) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What strikes this request; counts it.
    pub(super) fn strike(&mut self, method: &str, path: &str) -> Struck {
        let mut struck = Vec::new();
        for fault in self
            .0
            .iter_mut()
            .filter(|fault| fault.matches(method, path))
        {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            struck.push(fault.kind.clone());
        }
        self.0.retain(|fault| fault.times != Some(0));
        Struck::by(struck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        assert!(fits("*/events", "/v1/sessions/s/events"));
        assert!(!fits("*/events", "/v1/sessions/s/events/stream"));
        assert!(fits("/v1/sessions/*", "/v1/sessions/s/archive"));
        assert!(!fits("/v1/sessions", "/v1/sessions/s"));
        assert!(fits("*", "/anything"));
    }

    #[test]
    fn a_fault_strikes_after_its_skips_and_as_often_as_told() {
        let mut faults = Faults::default();
        faults.inject(Fault::new("GET *", Kind::Garbage).skip(1).times(2));
        let hits: Vec<bool> = (0..5)
            .map(|_| faults.strike("GET", "/v1/agents").has(&Kind::Garbage))
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }
}
