//! How fast calls leave: one token bucket for each rate group of the API, and one retry quota for the process.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// The vendor limits each organisation by these groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Creating and sending: 300 a minute.
    Write,
    /// Everything else about agents and sessions: 600 a minute.
    Read,
    /// Environments: 60 a minute.
    Environment,
}

/// A retry costs this many tokens of the quota; a success gives one back.
const RETRY_COST: u32 = 14;
const RETRY_QUOTA: u32 = 500;

/// The state of all buckets.
pub(super) struct Pace {
    write: Mutex<Bucket>,
    read: Mutex<Bucket>,
    environment: Mutex<Bucket>,
    retries: Mutex<u32>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            write: Mutex::new(Bucket::new(300)),
            read: Mutex::new(Bucket::new(600)),
            environment: Mutex::new(Bucket::new(60)),
            retries: Mutex::new(RETRY_QUOTA),
        }
    }
}

impl Pace {
    /// Takes a place in the group's queue; the call may leave when the returned time has passed. Where that is longer than
    /// `most`, no place is taken.
    pub(super) fn reserve(&self, group: Group, most: Duration) -> Result<Duration, Duration> {
        let bucket = match group {
            Group::Write => &self.write,
            Group::Read => &self.read,
            Group::Environment => &self.environment,
        };
        lock(bucket).reserve(Instant::now(), most)
    }

    /// Pays for one retry; `false` once so many calls failed lately that retrying only adds load.
    pub(super) fn may_retry(&self) -> bool {
        let mut quota = lock(&self.retries);
        match quota.checked_sub(RETRY_COST) {
            Some(rest) => {
                *quota = rest;
                true
            }
            None => false,
        }
    }

    /// A call succeeded.
    pub(super) fn succeeded(&self) {
        let mut quota = lock(&self.retries);
        *quota = (*quota + 1).min(RETRY_QUOTA);
    }
}

/// The values are plain numbers, valid whatever a panicking holder left behind.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Holds a minute's allowance and refills evenly, so that short bursts are not slowed.
struct Bucket {
    per_minute: f64,
    tokens: f64,
    filled_at: Option<Instant>,
}

impl Bucket {
    fn new(per_minute: u32) -> Bucket {
        let per_minute = f64::from(per_minute);
        Bucket {
            per_minute,
            tokens: per_minute,
            filled_at: None,
        }
    }

    fn reserve(&mut self, now: Instant, most: Duration) -> Result<Duration, Duration> {
        let elapsed = self
            .filled_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let per_second = self.per_minute / 60.0;
        self.tokens = (self.tokens + elapsed.as_secs_f64() * per_second).min(self.per_minute);
        self.filled_at = Some(now);
        let wait = Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / per_second);
        if wait > most {
            return Err(wait);
        }
        self.tokens -= 1.0;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_a_minute_leaves_at_once_and_the_next_call_waits_its_turn() {
        let mut bucket = Bucket::new(60);
        let now = Instant::now();
        let most = Duration::from_secs(10);
        for _ in 0..60 {
            assert_eq!(bucket.reserve(now, most), Ok(Duration::ZERO));
        }
        assert_eq!(bucket.reserve(now, most), Ok(Duration::from_secs(1)));
        assert_eq!(bucket.reserve(now, most), Ok(Duration::from_secs(2)));
        // A call that cannot wait takes no place.
        assert_eq!(
            bucket.reserve(now, Duration::ZERO),
            Err(Duration::from_secs(3))
        );
        assert_eq!(bucket.reserve(now, most), Ok(Duration::from_secs(3)));
        assert_eq!(
            bucket.reserve(now + Duration::from_secs(10), most),
            Ok(Duration::ZERO)
        );
    }

    #[test]
    fn the_retry_quota_runs_dry_and_successes_refill_it() {
        let pace = Pace::default();
        let paid = (0..1000).filter(|_| pace.may_retry()).count();
        assert_eq!(paid, 35);
        (0..14).for_each(|_| pace.succeeded());
        assert!(pace.may_retry());
    }
}
