//! The schedule of a deployment: checked as sent, and with its times to come as returned.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::answer::Answer;
use super::body::Fields;
use super::cron::Cron;
use super::json::{at, set, text};
use super::shelf::archived;

const SHOWN: usize = 5;

/// A schedule as sent.
pub(super) fn checked(value: &Value) -> Answer {
    let fields = Fields::of(value, "schedule", &["type", "expression", "timezone"])?;
    fields.need("type")?;
    fields.choice("type", &["cron"])?;
    let expression = fields.need_text("expression", 1..=256)?;
    Cron::read(expression).map_err(|why| fields.wrong("expression", &why))?;
    let zone = fields.need_text("timezone", 1..=128)?;
    TimeZone::get(zone).map_err(|_| {
        let why = format!("`{zone}` is not in the IANA time zone database of this machine");
        fields.wrong("timezone", &why)
    })?;
    Ok(json!({"type": "cron", "expression": expression, "timezone": zone, "last_run_at": null}))
}

/// A deployment as the API returns it: an archived one has no times to come, a paused one has.
pub(super) fn shown(deployment: &Value) -> Value {
    let mut deployment = deployment.clone();
    let schedule = at(&deployment, "/schedule");
    if schedule.is_null() {
        return deployment;
    }
    let zone = TimeZone::get(text(schedule, "/timezone")).unwrap_or(TimeZone::UTC);
    let times = match Cron::read(text(schedule, "/expression")) {
        Ok(cron) if !archived(&deployment) => cron.upcoming(&zone, Timestamp::now(), SHOWN),
        _ => Vec::new(),
    };
    let times: Vec<String> = times.iter().map(ToString::to_string).collect();
    if let Some(schedule) = deployment.get_mut("schedule") {
        set(schedule, "upcoming_runs_at", times);
    }
    deployment
}
