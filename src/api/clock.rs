//! The server's clock, as its answers tell it: whether an event is young is judged by the clock that dated it, also where the
//! clock of this machine is wrong or is set.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap};

use super::Client;

/// Clocks that differ by less agree: a date has whole seconds, and took its time to come.
const AGREEING: TimeDelta = TimeDelta::seconds(1);
/// In the middle of the second that a date names.
const HALF_A_SECOND: TimeDelta = TimeDelta::milliseconds(500);

/// How far the server's clock is ahead of ours, in milliseconds.
#[derive(Default)]
pub(super) struct Clock {
    ahead: AtomicI64,
    /// Some answer told it.
    told: AtomicBool,
}

impl Clock {
    /// Learns from an answer that has just come. One without a date says nothing.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        if let Some(date) = date(headers) {
            let ahead = date + HALF_A_SECOND - Utc::now();
            let ahead = if ahead.abs() < AGREEING {
                TimeDelta::zero()
            } else {
                ahead
            };
            self.ahead
                .store(ahead.num_milliseconds(), Ordering::Relaxed);
            self.told.store(true, Ordering::Relaxed);
        }
    }

    fn now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::milliseconds(self.ahead.load(Ordering::Relaxed));
        let now = Utc::now();
        now.checked_add_signed(ahead).unwrap_or(now)
    }
}

/// The header `date`.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}

impl Client {
    /// The time at the server, as far as its answers told it; else ours.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The time at the server, if its answers told it.
    pub fn told_now(&self) -> Option<DateTime<Utc>> {
        let clock = &self.shared.clock;
        clock.told.load(Ordering::Relaxed).then(|| clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_an_answer_of(date: &str) -> TimeDelta {
        let (clock, mut headers) = (Clock::default(), HeaderMap::new());
        headers.insert(DATE, date.parse().unwrap());
        clock.learn(&headers);
        clock.now() - Utc::now()
    }

    #[test]
    fn a_clock_that_is_far_off_is_followed_and_any_other_is_ours() {
        for hours in [-9000, -1, 1, 9000] {
            let skew = TimeDelta::hours(hours);
            let off = after_an_answer_of(&(Utc::now() + skew).to_rfc2822()) - skew;
            assert!(off.abs() < TimeDelta::seconds(1), "{hours} h: {off}");
        }
        for date in [&*Utc::now().to_rfc2822(), "soon", ""] {
            let off = after_an_answer_of(date);
            assert!(off.abs() < TimeDelta::milliseconds(100), "{date}: {off}");
        }
    }
}
