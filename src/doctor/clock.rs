//! This machine's clock against the server's.

use chrono::{TimeDelta, Utc};

use super::report::Check;
use crate::api::probe::{Answer, Silence, Trouble};

/// More than this between two clocks is worth a word.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

pub(super) fn check(result: &Result<Answer, Silence>) -> Check {
    let name = "clock";
    let fix = "Let this machine set its clock from the network: TLS and the order of the newest events depend on it.";
    let times = match result {
        Ok(answer) => answer.server_time.map(|time| (time, answer.local_time)),
        Err(silence) if silence.trouble == Trouble::Outdated => {
            let found = format!("here it is {}, which the certificate denies", now());
            return Check::warning(name, found, fix);
        }
        Err(_) => None,
    };
    let Some((server, local)) = times else {
        return Check::skipped(
            name,
            "not checked: no answer told the time",
            "Nothing to fix here.",
        );
    };
    let ahead = local - server;
    if ahead.abs() <= TOLERANCE {
        return Check::ok(name, "agrees with the server's");
    }
    let side = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let minutes = ahead.abs().num_minutes();
    let found = format!(
        "{} h {} min {side} the server's",
        minutes / 60,
        minutes % 60
    );
    Check::warning(name, found, fix)
}

/// This machine's date.
pub(super) fn now() -> String {
    Utc::now().format("%Y-%m-%d %H:%M UTC").to_string()
}
