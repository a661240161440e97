//! Bodies of answers, read within bounds: so much of each, and large ones a few at a time, however many calls there are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memchr::memmem;
use reqwest::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::aside::aside;
use super::escapes::parse;
use super::send::{excerpt, header, shorten, timed_out, unreachable};
use super::{Delivery, Error, Fault};
use crate::weight::holds_more_than;

const LARGEST: usize = 16 * 1024 * 1024;
/// A larger one is read once there is room for it among the others that are read or decoded; the largest takes nearly all.
pub(super) const LARGE: usize = 512 * 1024;
const ROOM: usize = LARGEST + 2 * 1024 * 1024;
/// So large that it matters whether its memory is given back, and a block that is.
const VERY_LARGE: usize = 2 * 1024 * 1024;
pub(super) const GIVEN_BACK: usize = 33 * 1024 * 1024;
/// A slow one gives its room to the next after so long, and may wait for more with so much read, all together.
const TURN: Duration = Duration::from_millis(200);
const MOST_PARKED: usize = 32 * 1024 * 1024;
/// Values that an answer holds at most.
const MOST_VALUES: usize = 300_000;
/// An error is no larger.
const LARGEST_ENVELOPE: usize = 64 * 1024;

/// The body of an answer, and the API's id of its request.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) request_id: Option<String>,
    /// Held until it is decoded.
    _room: Option<OwnedSemaphorePermit>,
}

/// The room for large bodies, in bytes, and how much is kept of those that wait for some.
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    parked: AtomicUsize,
}

impl Bodies {
    pub(super) fn new() -> Bodies {
        Bodies {
            room: Arc::new(Semaphore::new(ROOM)),
            parked: AtomicUsize::new(0),
        }
    }

    /// The whole body of a response.
    pub(super) async fn whole(
        &self,
        response: Response,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let read = timeout_at(deadline, self.read(response)).await;
        read.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn read(&self, mut response: Response) -> Result<Answer, Error> {
        let request_id = header(response.headers(), "request-id");
        let length = response.content_length();
        let length = length.map(|length| usize::try_from(length).unwrap_or(LARGEST).min(LARGEST));
        let is_large = length.is_some_and(|length| length > LARGE);
        let mut body = Vec::with_capacity(length.unwrap_or_default().min(LARGE));
        if !is_large && read(&mut response, &mut body, LARGE).await? {
            return Ok(Answer {
                body,
                request_id,
                _room: None,
            });
        }
        match self.read_in_turns(&mut response, &mut body, length).await? {
            Some(room) => Ok(Answer {
                body,
                request_id,
                _room: Some(room),
            }),
            None => Err(Error::Unreadable {
                reason: "the answer is larger than 16 MiB".to_owned(),
                fault: Fault::TooLarge,
                request_id,
            }),
        }
    }

    /// Reads a large body, of this length if that is known; one that takes its time, or more room than it had, lets others go
    /// first. Its room; `None` where it is too large.
    async fn read_in_turns(
        &self,
        response: &mut Response,
        body: &mut Vec<u8>,
        length: Option<usize>,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        while body.len() <= LARGEST {
            let most = length.unwrap_or_else(|| (2 * body.len()).clamp(VERY_LARGE, LARGEST));
            let parked = Parked::of(self, body.len())?;
            let bytes = u32::try_from(most).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
            drop(parked);
            body.reserve_exact(capacity(most).saturating_sub(body.len()));
            if let Ok(ended) = timeout(TURN, read(response, body, most)).await
                && (ended? || length.is_some())
            {
                // The semaphore is never closed.
                return Ok(room.ok().filter(|_| body.len() <= most));
            }
        }
        Ok(None)
    }
}

/// What a body of at most so many bytes is read into at once: one that grows piece by piece takes twice its size.
///
/// Once glibc has freed a block of 32 MiB or less, it keeps others of that size instead of giving them back. Of a larger block
/// what is not written to takes no memory.
fn capacity(most: usize) -> usize {
    if most > VERY_LARGE { GIVEN_BACK } else { most }
}

/// What was read of a body that waits for room.
struct Parked<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Parked<'_> {
    fn of(bodies: &Bodies, bytes: usize) -> Result<Parked<'_>, Error> {
        let before = bodies.parked.fetch_add(bytes, Ordering::Relaxed);
        // Counted from here on, also where it is refused.
        let parked = Parked { bodies, bytes };
        match before + bytes > MOST_PARKED && bytes > LARGE {
            true => Err(Error::Unreachable {
                reason: "the answer came too slowly, with too many others at once".to_owned(),
                delivery: Delivery::Unknown,
            }),
            false => Ok(parked),
        }
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.bodies.parked.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Answer {
    /// Decodes it; a large one beside the runtime, which has others to serve.
    pub(super) async fn decoded<T: DeserializeOwned + Send + 'static>(self) -> Result<T, Error> {
        if self.body.len() <= LARGE {
            return self.decode();
        }
        let decoded = aside(move || self.decode()).await;
        decoded.unwrap_or_else(|| {
            Err(Error::Unreachable {
                reason: "the answer could not be decoded".to_owned(),
                delivery: Delivery::Unknown,
            })
        })
    }

    /// The same, if it is an object, and no error.
    pub(super) fn object(self) -> Result<Answer, Error> {
        let answer = self.unrefused()?;
        match answer.body.trim_ascii_start().first() {
            None => Err(answer.odd(&"it is empty")),
            Some(b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                Err(answer.odd(&"it is no object"))
            }
            Some(_) => Ok(answer),
        }
    }

    /// The same, if it is no error that came with the status of a success.
    pub(super) fn unrefused(self) -> Result<Answer, Error> {
        if let Some(refusal) = self.refusal() {
            let why =
                format!("the answer says that it failed, with the status of a success: {refusal}");
            return Err(self.unreadable(&why, Fault::Malformed));
        }
        Ok(self)
    }

    /// The message of an error envelope.
    fn refusal(&self) -> Option<String> {
        if self.body.len() > LARGEST_ENVELOPE || memmem::find(&self.body, b"\"error\"").is_none() {
            return None;
        }
        let envelope: Value = parse(&self.body).ok()?;
        let is_error = envelope.get("type").and_then(Value::as_str) == Some("error");
        let error = envelope.get("error").filter(|_| is_error)?;
        let message = error.get("message").or_else(|| error.get("type"));
        Some(
            message
                .and_then(Value::as_str)
                .unwrap_or("it does not say why")
                .to_owned(),
        )
    }

    fn decode<T: DeserializeOwned>(self) -> Result<T, Error> {
        if self.body.len() > LARGE && holds_more_than(&self.body, MOST_VALUES) {
            let why = format!("the answer holds more than {MOST_VALUES} values");
            return Err(self.unreadable(&why, Fault::TooLarge));
        }
        parse(&self.body).map_err(|error| self.odd(&error))
    }

    fn odd(&self, why: &dyn fmt::Display) -> Error {
        let excerpt = excerpt(&self.body);
        let why = format!("the answer is not what this endpoint returns ({why}): {excerpt}");
        self.unreadable(&why, Fault::Malformed)
    }

    fn unreadable(&self, why: &str, fault: Fault) -> Error {
        Error::Unreadable {
            reason: shorten(why),
            fault,
            request_id: self.request_id.clone(),
        }
    }
}

/// The start of a body, or all of it.
pub(super) async fn start(mut response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    read(&mut response, &mut body, most).await?;
    body.truncate(most);
    Ok(body)
}

/// Reads on until there are more than `most` bytes. Whether the body ended before.
async fn read(response: &mut Response, body: &mut Vec<u8>, most: usize) -> Result<bool, Error> {
    while body.len() <= most {
        match response.chunk().await.map_err(unreachable)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(true),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_waits_counts_and_what_is_refused_counts_no_more() {
        let bodies = Bodies::new();
        let half = Parked::of(&bodies, MOST_PARKED / 2).unwrap();
        let rest = Parked::of(&bodies, MOST_PARKED / 2).unwrap();
        assert!(Parked::of(&bodies, LARGE + 1).is_err());
        assert!(Parked::of(&bodies, LARGE).is_ok(), "what is small is kept");
        drop(rest);
        assert!(Parked::of(&bodies, LARGE + 1).is_ok());
        drop(half);
        assert_eq!(bodies.parked.load(Ordering::Relaxed), 0);
    }

    fn answer(body: &str) -> Answer {
        Answer {
            body: body.as_bytes().to_vec(),
            request_id: None,
            _room: None,
        }
    }

    #[test]
    fn only_an_object_that_is_no_error_is_an_answer() {
        let error = r#"{"type":"error","error":{"type":"api_error","message":"boom \ud83d"}}"#;
        for (body, why) in [
            ("", "it is empty"),
            (" [[]]", "it is no object"),
            ("null", "it is no object"),
            (error, "status of a success: boom \u{fffd}"),
        ] {
            let said = answer(body).object().err().unwrap().to_string();
            assert!(said.contains(why), "{body}: {said}");
        }
        for body in [" {}", r#"{"type":"agent","error":{}}"#, r#"{"error":"a"}"#] {
            assert!(answer(body).object().is_ok(), "{body}");
        }
    }

    #[test]
    fn half_a_character_neither_costs_an_answer_nor_hides_how_much_it_holds() {
        let read = answer(r#"{"name":"x \ud83d"}"#).decode::<Value>().unwrap();
        assert_eq!(read["name"], "x \u{fffd}");
        let many = vec!["1"; MOST_VALUES].join(",");
        let long = format!(r#"{{"a":"\ud83d","n":[{many}]}}"#);
        let error = answer(&long).decode::<Value>().unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
