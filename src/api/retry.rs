//! Whether a call is made again, and when. What is safe to repeat is decided here; that nothing is sent twice, by the bridge.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, header::HeaderMap};

use super::call::Call;
use super::send::header;
use super::{Error, Fault};

/// Attempts after the first.
const MAX_RETRIES: u32 = 2;
/// A longer `retry-after` is reported at once instead of waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// No server is taken at its word for longer.
const A_DAY: Duration = Duration::from_secs(86_400);

/// How long to wait before making the call again; `None`: not again.
pub(super) fn retry_delay(call: &Call, error: &Error, attempt: u32) -> Option<Duration> {
    let unsent = error.is_unsent() && error.is_transient();
    // A conflict of a read is a race inside the API; of a write it is an answer.
    let forbidden = matches!(error, Error::Refused(refusal) if refusal.should_retry == Some(false));
    let raced = error.status() == Some(409) && !forbidden;
    // So it is with an answer that was garbled on its way; one that is always so is not what we take it for.
    let garbled = matches!(
        error,
        Error::Unreadable {
            fault: Fault::Malformed,
            ..
        }
    );
    let is_read = call.method == Method::GET;
    let once_more = attempt == 0 && (raced || garbled);
    // What became of a write is for the bridge to find out: the API has no idempotency key.
    let repeatable = unsent || (is_read && (error.is_transient() || once_more));
    if attempt >= MAX_RETRIES || !repeatable {
        return None;
    }
    match error {
        Error::Refused(refusal) if refusal.retry_after.is_some() => refusal
            .retry_after
            .filter(|wait| *wait <= LONGEST_RETRY_AFTER),
        _ => Some(backoff(attempt)),
    }
}

/// 0.5 s doubled with each attempt up to 8 s, less up to a quarter at random.
fn backoff(attempt: u32) -> Duration {
    let full = (0.5 * f64::from(2_u32.saturating_pow(attempt.min(8)))).min(8.0);
    Duration::from_secs_f64(full * (1.0 - 0.25 * fastrand::f64()))
}

/// `retry-after-ms`, or `retry-after` in seconds or as a date; nothing when it is not in the future.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| header(headers, name).and_then(|value| value.trim().parse::<f64>().ok());
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or_else(|| number("retry-after"))
        .or_else(|| {
            let date = DateTime::parse_from_rfc2822(&header(headers, "retry-after")?).ok()?;
            // The server's own clock is right for its own dates.
            let now = super::clock::date(headers).unwrap_or_else(Utc::now);
            Some((date.to_utc() - now).as_seconds_f64())
        })?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    (!wait.is_zero()).then_some(wait.min(A_DAY))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::Refusal;
    use super::*;
    use crate::api::Delivery;

    #[test]
    fn retry_after_is_read_in_each_form_and_ignored_when_past() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(
            read("retry-after-ms", "1500"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            read("retry-after", "0.25"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(read("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(read("retry-after", "-3"), None);
        assert_eq!(read("retry-after", "soon"), None);
        let later = (Utc::now() + chrono::TimeDelta::seconds(30)).to_rfc2822();
        assert!(read("retry-after", &later).is_some_and(|wait| wait <= Duration::from_secs(30)));
    }

    #[test]
    fn a_write_is_repeated_only_when_it_was_not_sent() {
        let refused = |status| {
            Error::Refused(Box::new(Refusal {
                status,
                kind: String::new(),
                message: String::new(),
                request_id: None,
                retry_after: None,
                should_retry: None,
            }))
        };
        let lost = |delivery| Error::Unreachable {
            reason: String::new(),
            delivery,
        };
        let write = Call::create(&["sessions"], Value::Null);
        let read = Call::get(&["sessions"]);
        for status in [429, 500, 503, 529] {
            assert_eq!(retry_delay(&write, &refused(status), 0), None);
            assert!(retry_delay(&read, &refused(status), 1).is_some());
            assert_eq!(retry_delay(&read, &refused(status), 2), None);
        }
        assert!(retry_delay(&write, &lost(Delivery::NotSent), 0).is_some());
        assert_eq!(retry_delay(&write, &lost(Delivery::Unknown), 0), None);
        assert!(retry_delay(&read, &lost(Delivery::Unknown), 0).is_some());
        assert_eq!(retry_delay(&read, &refused(404), 0), None);
        assert!(retry_delay(&read, &refused(409), 0).is_some());
        assert_eq!(retry_delay(&read, &refused(409), 1), None);
        let garbled = Error::Unreadable {
            reason: String::new(),
            fault: Fault::Malformed,
            request_id: None,
        };
        assert!(retry_delay(&read, &garbled, 0).is_some());
        assert_eq!(retry_delay(&read, &garbled, 1), None);
        assert_eq!(retry_delay(&write, &garbled, 0), None);
        let asked_to_wait_long = Error::Refused(Box::new(Refusal {
            retry_after: Some(Duration::from_secs(61)),
            ..match refused(429) {
                Error::Refused(refusal) => *refusal,
                _ => unreachable!(),
            }
        }));
        assert_eq!(retry_delay(&read, &asked_to_wait_long, 0), None);
    }
}
