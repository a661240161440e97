//! Faults: what can be made to go wrong, for which requests, and how often.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{at, text};
use super::struck::Struck;

/// Something that goes wrong for requests that match.
#[derive(Clone, Debug)]
pub struct Fault {
    on: String,
    skip: usize,
    times: Option<usize>,
    kind: Kind,
}

/// Whether a failing call was carried out before it failed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Acting {
    /// It fails and nothing happened.
    Before,
    /// It was carried out, only the answer fails.
    After,
}

/// What goes wrong. As JSON the name stands in `kind`, the fields beside it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// The connection is dropped after so many bytes of the body; 0 sends only the headers.
    CutAfterBytes {
        /// How many bytes of the body still arrive.
        bytes: usize,
    },
    /// After so many bytes of the body nothing comes any more, not even heartbeats; the connection stays open.
    Silence {
        /// How many bytes of the body still arrive.
        #[serde(default)]
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
        #[serde(default)]
        retry_after: Option<String>,
        /// Whether the call is carried out all the same.
        #[serde(default = "before")]
        acting: Acting,
        /// The body instead of the API's envelope.
        #[serde(default)]
        body: Option<Value>,
    },
    /// The connection is closed without a response.
    Drop {
        /// Whether the call is carried out all the same.
        #[serde(default = "before")]
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
        #[serde(default)]
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

fn before() -> Acting {
    Acting::Before
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

    /// Reads a fault from JSON: `{"on", "kind", "skip"?, "times"?: N or "always", …fields of the kind}`.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let on = text(value, "/on");
        if on.split_once(' ').is_none() {
            return Err(
                "on: a method and a path pattern are required, such as \"POST /v1/sessions\""
                    .into(),
            );
        }
        let whole = |path: &str| {
            at(value, path)
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
        };
        let times = match at(value, "/times") {
            Value::Null => Some(1),
            Value::String(word) if word == "always" => None,
            _ => Some(whole("/times").ok_or("times: a number or \"always\" is required")?),
        };
        let mut kind: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
        kind.retain(|key, _| !matches!(key.as_str(), "on" | "skip" | "times"));
        let kind = read_kind(kind)?;
        Ok(Self {
            on: on.to_owned(),
            skip: whole("/skip").unwrap_or(0),
            times,
            kind,
        })
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let (wanted, pattern) = self.on.split_once(' ').unwrap_or(("*", &self.on));
        (wanted == "*" || wanted.eq_ignore_ascii_case(method)) && fits(pattern, path)
    }
}

fn read_kind(mut fields: Map<String, Value>) -> Result<Kind, String> {
    let read = |fields: &Map<_, _>| serde_json::from_value(Value::Object(fields.clone()));
    let (kind, count) = (
        read(&fields).map_err(|error| error.to_string())?,
        fields.len(),
    );
    // serde lets a variant without fields ignore whatever stands beside its name.
    fields.insert("no such field".into(), Value::Null);
    if count > 1 && read(&fields).is_ok() {
        return Err("this kind has no fields".into());
    }
    Ok(kind)
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
    use serde_json::json;

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

    #[test]
    fn json_says_the_same_and_nothing_unknown() {
        let fault = json!({"on": "POST /v1/sessions", "kind": "status", "code": 529, "acting": "after", "times": "always"});
        let fault = Fault::read(&fault).unwrap();
        let kind = Kind::Status {
            code: 529,
            retry_after: None,
            acting: Acting::After,
            body: None,
        };
        assert_eq!((fault.kind, fault.times), (kind, None));
        assert!(Fault::read(&json!({"on": "GET *", "kind": "garbage", "bites": 3})).is_err());
        assert!(Fault::read(&json!({"on": "GET", "kind": "garbage"})).is_err());
    }
}
