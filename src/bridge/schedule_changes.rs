//! Schedules: created, run, paused, resumed and archived.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::find::NEWEST_PAGES;
use super::marks::{REQUEST, Stamp};
use super::once::{Second, Write, named};
use super::schedules::{RunRow, ScheduleRow, fill_in_runs, row, run_row};
use super::{Bridge, Failure, MARK, find};
use crate::api::deployments::{Control, Deployment, Run};
use crate::api::sessions::budget;
use crate::api::{Client, Error, Id, with};

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

/// Runs that are compared, to find one that was just begun.
const COMPARED: u32 = 20;

impl Bridge {
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
        let mut body = with(body, "budget", cents.map(budget));
        let (stamp, body) = (&Stamp::on(&mut body), &body);
        let send = |api: Client| async move {
            let created = api.create_deployment(body.clone()).await?;
            named(created, "schedule", |schedule| &schedule.id)
        };
        let look = |api: Client| async move {
            let stamp = stamp.value()?;
            let page = |page: Option<String>| {
                let api = &api;
                async move { api.list_deployments(Some(100), page.as_deref()).await }
            };
            let stamped = |schedule: &Deployment| {
                schedule.metadata.get(REQUEST).is_some_and(|it| it == stamp)
            };
            find::first(NEWEST_PAGES, page, stamped).await
        };
        let next = "list_schedules shows whether it is there; create it again only if it is not.";
        let write = Write::new("create the schedule", Second::Creates, next);
        let created = write.once(&self.api, api.deadline(), send, look).await?;
        Ok(row(&created))
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
        let send = |api: Client| async move { api.control_deployment(id, control).await };
        let look = |api: Client| async move {
            let schedule = api.get_deployment(id).await?;
            Ok(is_so(&schedule, control).then_some(schedule))
        };
        let next = format!(
            "list_schedules shows how {id} stands; make the same call again if it is not as wanted."
        );
        let write = Write::new(doing(), Second::ChangesNothing, next);
        let changed = write.once(&self.api, api.deadline(), send, look).await?;
        let mut row = row(&changed);
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
        let known = runs(api, id).await;
        let known: HashSet<String> = known
            .map_err(Failure::while_trying(doing.clone()))?
            .map(|run| run.id)
            .collect();
        let known = &known;
        let send =
            |api: Client| async move { named(api.run_deployment(id).await?, "run", |run| &run.id) };
        let look = |api: Client| async move {
            let mut runs = runs(&api, id).await?;
            Ok(runs.find(|run| is_by_hand(run) && !known.contains(&run.id)))
        };
        let next =
            "list_schedules shows its last runs; run it again only if this one is not among them.";
        let run = Write::new(doing, Second::Creates, next)
            .once(&self.api, api.deadline(), send, look)
            .await?;
        let mut row = row(&schedule);
        fill_in_runs(api, &mut row).await;
        Ok((row, Some(run_row(&run))))
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

async fn runs(api: &Client, id: &Id) -> Result<impl Iterator<Item = Run> + use<>, Error> {
    Ok(api.list_runs(id, COMPARED).await?.data.into_iter())
}

/// Somebody else may run it by hand at the same moment; what it came to would be the same.
fn is_by_hand(run: &Run) -> bool {
    let trigger = run.trigger_context.get("type").and_then(Value::as_str);
    trigger.is_none_or(|trigger| trigger == "manual")
}

/// Whether a schedule is as it is when this was done.
fn is_so(schedule: &Deployment, done: Control) -> bool {
    let is_archived = schedule.archived_at.is_some();
    match done {
        Control::Archive => is_archived,
        Control::Pause => !is_archived && schedule.status == "paused",
        Control::Unpause => !is_archived && schedule.status == "active",
    }
}

fn unnamed(noun: &str) -> Failure {
    Failure::argument(
        format!("No {noun} was named, and none is configured."),
        format!("pass `{noun}`; list_{noun}s shows which exist."),
    )
}
