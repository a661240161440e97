//! Schedules, which the API calls deployments: agents that run by the clock, or when told to.

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;

use super::catalog::{Listed, Named, Query, collect};
pub use super::schedule_changes::{Action, NewSchedule};
use super::{Bridge, Failure};
use crate::api::deployments::{Deployment, Run};
use crate::api::{Client, Id};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// A schedule in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ScheduleRow {
    /// Its id.
    pub schedule_id: String,
    /// Its name.
    pub name: String,
    /// `active`, `paused` or `archived`.
    pub status: String,
    /// Why it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
    /// Id of its agent.
    pub agent_id: String,
    /// Where its sessions run.
    pub environment_id: String,
    /// When it runs; null: only when told to.
    pub cron: Option<String>,
    /// IANA time zone of `cron`.
    pub timezone: Option<String>,
    /// The next times, RFC 3339.
    pub next_runs: Vec<String>,
    /// Ceiling of each session it starts, US dollars.
    pub budget_usd: Option<f64>,
    /// The newest runs, newest first.
    pub last_runs: Vec<RunRow>,
}

/// One run of a schedule.
#[derive(Debug, Clone, Serialize)]
pub struct RunRow {
    /// RFC 3339.
    pub at: Option<String>,
    /// `schedule` or `manual`.
    pub trigger: Option<String>,
    /// The session it started.
    pub session_id: Option<String>,
    /// Why it started none.
    pub error: Option<String>,
}

/// Runs that a list shows of each schedule.
const LAST_RUNS: u32 = 3;

impl Named for ScheduleRow {
    fn id(&self) -> &str {
        &self.schedule_id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Bridge {
    /// Schedules with their next and last runs, by part of the name.
    pub async fn list_schedules(&self, query: &Query) -> Result<Listed<ScheduleRow>, Failure> {
        let api = self.api_in_time();
        let page = |limit, page: Option<String>| {
            let api = api.clone();
            async move { api.list_deployments(Some(limit), page.as_deref()).await }
        };
        let mut listed = collect(query, "list schedules", page, |found| Some(row(found))).await?;
        join_all(listed.items.iter_mut().map(|row| fill_in_runs(&api, row))).await;
        Ok(listed)
    }
}

/// A row without its runs is still a row.
pub(super) async fn fill_in_runs(api: &Client, row: &mut ScheduleRow) {
    if let Ok(id) = Id::parse(&row.schedule_id)
        && let Ok(runs) = api.list_runs(&id, LAST_RUNS).await
    {
        row.last_runs = runs.data.iter().map(run_row).collect();
    }
}

pub(super) fn row(schedule: &Deployment) -> ScheduleRow {
    let reason = schedule.paused_reason.as_ref();
    let words = |pointer: &str| {
        let words = reason?.pointer(pointer)?.as_str()?;
        Some(cut(&clean_line(words), 200))
    };
    let cron = schedule.schedule.as_ref();
    ScheduleRow {
        schedule_id: clean_line(&schedule.id),
        name: clean_line(&schedule.name),
        status: match &schedule.archived_at {
            Some(_) => "archived".to_owned(),
            None => clean_line(&schedule.status),
        },
        paused_reason: words("/error/message")
            .or_else(|| words("/error/type"))
            .or_else(|| words("/type")),
        agent_id: clean_line(&schedule.agent.id),
        environment_id: clean_line(&schedule.environment_id),
        cron: cron.map(|cron| clean_line(&cron.expression)),
        timezone: cron.map(|cron| clean_line(&cron.timezone)),
        next_runs: cron
            .and_then(|cron| cron.upcoming_runs_at.clone())
            .unwrap_or_default()
            .iter()
            .take(3)
            .map(|time| clean_line(time))
            .collect(),
        budget_usd: schedule
            .budget
            .as_ref()
            .and_then(|budget| budget.max_list_cost.dollars()),
        last_runs: Vec::new(),
    }
}

pub(super) fn run_row(run: &Run) -> RunRow {
    let trigger = run.trigger_context.get("type").and_then(Value::as_str);
    RunRow {
        at: run.created_at.as_deref().map(clean_line),
        trigger: trigger.map(clean_line),
        session_id: run.session_id.as_deref().map(clean_line),
        error: run.error.as_ref().map(|error| {
            let words = format!("{}: {}", error.kind, error.message);
            cut(&clean_line(&words), 300)
        }),
    }
}
