//! Schedules, which the API calls deployments: agents that run by the clock, or when told to.

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::catalog::{Listed, Named, Query, collect};
use super::{Bridge, Failure, MARK, find};
use crate::api::deployments::{Control, Deployment, Run};
use crate::api::sessions::budget;
use crate::api::{Client, Id, with};
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

/// What to run, and when.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// Id or name; as configured where there is none.
    pub agent: Option<String>,
    /// Id or name; as configured where there is none.
    pub environment: Option<String>,
    /// The first event of each session.
    pub question: Value,
    /// Cron expression and IANA time zone.
    pub cron: Option<(String, String)>,
    /// Ceiling of each session in cents, instead of the configured one.
    pub budget_cents: Option<u64>,
}

/// What can be done with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start a session now.
    Run,
    /// Do not run by the clock.
    Pause,
    /// Run by the clock again.
    Resume,
    /// Never run again.
    Archive,
}

/// Runs that a list shows of each schedule.
const LAST_RUNS: u32 = 3;

impl Named for ScheduleRow {
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

    /// Creates a schedule. Its sessions carry a budget like any other.
    pub async fn create_schedule(&self, schedule: &NewSchedule) -> Result<ScheduleRow, Failure> {
        let api = self.api_in_time();
        let (agent, environment) = tokio::join!(
            self.scheduled_agent(&api, schedule),
            self.scheduled_environment(&api, schedule)
        );
        let (agent, environment) = (agent?, environment?);
        let cents = schedule.budget_cents.or(self.config.budget_cents);
        let cron = schedule.cron.as_ref().map(|(expression, timezone)| {
            json!({"type": "cron", "expression": expression, "timezone": timezone})
        });
        let body = json!({
            "name": schedule.name,
            "agent": agent.as_str(),
            "environment_id": environment.as_str(),
            "initial_events": [schedule.question],
            "metadata": {MARK: env!("CARGO_PKG_VERSION")},
        });
        let body = with(body, "schedule", cron);
        let body = with(body, "budget", cents.map(budget));
        match api.create_deployment(body).await {
            Ok(created) => Ok(row(&created)),
            Err(error) if error.is_ambiguous() => Err(Failure::DeliveryUnknown {
                doing: "create the schedule".to_owned(),
                error,
                next:
                    "list_schedules shows whether it is there; create it again only if it is not."
                        .to_owned(),
            }),
            Err(error) => Err(Failure::while_trying("create the schedule")(error)),
        }
    }

    /// Runs, pauses, resumes or archives a schedule; returns how it stands, and the run if there was one.
    pub async fn control_schedule(
        &self,
        id: &Id,
        action: Action,
    ) -> Result<(ScheduleRow, Option<RunRow>), Failure> {
        let api = self.api_in_time();
        let control = match action {
            Action::Run => return self.run_schedule(&api, id).await,
            Action::Pause => Control::Pause,
            Action::Resume => Control::Unpause,
            Action::Archive => Control::Archive,
        };
        let doing = || format!("change schedule {id}");
        if action == Action::Resume {
            let schedule = api.get_deployment(id).await;
            let schedule = schedule.map_err(Failure::while_trying(doing()))?;
            self.check_scheduled(&api, &schedule).await?;
        }
        let changed = api.control_deployment(id, control).await;
        let mut row = row(&changed.map_err(Failure::while_trying(doing()))?);
        fill_in_runs(&api, &mut row).await;
        Ok((row, None))
    }

    async fn run_schedule(
        &self,
        api: &Client,
        id: &Id,
    ) -> Result<(ScheduleRow, Option<RunRow>), Failure> {
        let doing = format!("run schedule {id}");
        let schedule = api
            .get_deployment(id)
            .await
            .map_err(Failure::while_trying(doing.clone()))?;
        self.check_scheduled(api, &schedule).await?;
        match api.run_deployment(id).await {
            Ok(run) => {
                let mut row = row(&schedule);
                fill_in_runs(api, &mut row).await;
                Ok((row, Some(run_row(&run))))
            }
            Err(error) if error.is_ambiguous() => Err(Failure::DeliveryUnknown {
                doing,
                error,
                next: "list_schedules shows its last runs; run it again only if this one is not among them."
                    .to_owned(),
            }),
            Err(error) => Err(Failure::while_trying(doing)(error)),
        }
    }

    /// What sessions may not use, a schedule must not run for them.
    async fn check_scheduled(&self, api: &Client, schedule: &Deployment) -> Result<(), Failure> {
        let (agents, environments) = (&self.config.allow_agents, &self.config.allow_environments);
        if !agents.is_empty() {
            find::agent(api, &schedule.agent.id, agents).await?;
        }
        if !environments.is_empty() {
            find::environment(api, &schedule.environment_id, environments).await?;
        }
        Ok(())
    }

    async fn scheduled_agent(&self, api: &Client, schedule: &NewSchedule) -> Result<Id, Failure> {
        let wanted = schedule.agent.as_ref().or(self.config.agent.as_ref());
        let wanted = wanted.ok_or_else(|| unnamed("agent"))?;
        find::agent(api, wanted, &self.config.allow_agents).await
    }

    async fn scheduled_environment(
        &self,
        api: &Client,
        schedule: &NewSchedule,
    ) -> Result<Id, Failure> {
        let configured = self.config.environment.as_ref();
        let wanted = schedule.environment.as_ref().or(configured);
        let wanted = wanted.ok_or_else(|| unnamed("environment"))?;
        find::environment(api, wanted, &self.config.allow_environments).await
    }
}

/// A row without its runs is still a row.
async fn fill_in_runs(api: &Client, row: &mut ScheduleRow) {
    if let Ok(id) = Id::parse(&row.schedule_id)
        && let Ok(runs) = api.list_runs(&id, LAST_RUNS).await
    {
        row.last_runs = runs.data.iter().map(run_row).collect();
    }
}

fn unnamed(noun: &str) -> Failure {
    Failure::argument(
        format!("No {noun} was named, and none is configured."),
        format!("pass `{noun}`; list_{noun}s shows which exist."),
    )
}

fn row(schedule: &Deployment) -> ScheduleRow {
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

fn run_row(run: &Run) -> RunRow {
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
