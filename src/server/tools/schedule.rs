//! A schedule as its three tools return it.

use serde_json::{Value, json};

use crate::bridge::schedules::{RunRow, ScheduleRow};
use crate::server::present::{number_or_null, strings, text_or_null};

/// The fields of a [`ScheduleRow`].
pub(super) fn row_schema() -> Value {
    json!({
        "schedule_id": {"type": "string"},
        "name": {"type": "string"},
        "status": {"type": "string"},
        "paused_reason": {"type": "string"},
        "agent_id": {"type": "string"},
        "environment_id": {"type": "string"},
        "cron": text_or_null(),
        "timezone": text_or_null(),
        "next_runs": strings(),
        "budget_usd": number_or_null(),
        "last_runs": {"type": "array", "items": run_schema()},
    })
}

/// Shape of a [`RunRow`].
pub(super) fn run_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "at": text_or_null(),
            "trigger": text_or_null(),
            "session_id": text_or_null(),
            "error": text_or_null(),
        },
    })
}

/// A schedule in a few lines of text.
pub(super) fn line(row: &ScheduleRow) -> String {
    line_but(row, None)
}

/// The same without one of its runs, which is told of elsewhere.
pub(super) fn line_but(row: &ScheduleRow, told: Option<&RunRow>) -> String {
    let when = match (&row.cron, &row.timezone) {
        (Some(cron), Some(zone)) => format!("{cron} ({zone})"),
        _ => "only when told to".to_owned(),
    };
    let paused = row
        .paused_reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let budget = row.budget_usd.map_or("no budget".to_owned(), |budget| {
        format!("${budget:.2} a run")
    });
    let mut lines = vec![format!(
        "{} {} · {}{paused} · {when} · {} in {} · {budget}",
        row.schedule_id, row.name, row.status, row.agent_id, row.environment_id
    )];
    if !row.next_runs.is_empty() {
        let when = if row.status == "paused" {
            "next, once resumed"
        } else {
            "next"
        };
        lines.push(format!("  {when}: {}", row.next_runs.join(", ")));
    }
    lines.extend(
        row.last_runs
            .iter()
            .filter(|run| told.is_none_or(|told| told.session_id != run.session_id))
            .map(|run| format!("  ran {}", run_line(run))),
    );
    lines.join("\n")
}

/// A run on a line.
pub(super) fn run_line(run: &RunRow) -> String {
    let at = run.at.as_deref().unwrap_or("?");
    let trigger = run.trigger.as_deref().unwrap_or("?");
    let what = match (&run.session_id, &run.error) {
        (Some(session), _) => format!("session {session}"),
        (None, Some(error)) => format!("failed: {error}"),
        (None, None) => "no session".to_owned(),
    };
    format!("{at} ({trigger}): {what}")
}
