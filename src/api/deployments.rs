//! Deployments: an agent that runs by a schedule, or when told to. <https://platform.claude.com/docs/en/api/beta/deployments>

use serde::Deserialize;
use serde_json::{Value, json};

use super::agents::Agent;
use super::call::Call;
use super::rows::odd_as_nothing;
use super::sessions::{Budget, agent_or_id};
use super::{Client, Error, Id, Page};

/// What is read of a deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// As its owner named it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub name: String,
    /// What it runs: id and version.
    #[serde(deserialize_with = "agent_or_id")]
    pub agent: Agent,
    /// Where its sessions run.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub environment_id: String,
    /// `active` or `paused`.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub status: String,
    /// Why it is paused: a `type`, and an `error` where one did it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub paused_reason: Option<Value>,
    /// None: it runs only when told to.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub schedule: Option<Schedule>,
    /// Up to 16 pairs.
    pub metadata: Value,
    /// Ceiling of each session it starts.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub budget: Option<Budget>,
    /// RFC 3339; set once the deployment is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
}

/// When a deployment runs by itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Cron expression of five fields.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub expression: String,
    /// IANA time zone.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub timezone: String,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub last_run_at: Option<String>,
    /// Up to five of the next times, RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub upcoming_runs_at: Option<Vec<String>>,
}

/// One run of a deployment: it started a session, or failed to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// The session it started.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub session_id: Option<String>,
    /// Why it started none.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub error: Option<RunError>,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub created_at: Option<String>,
    /// What set it off: a `type`, `schedule` or `manual`.
    pub trigger_context: Value,
}

/// Why a run started no session.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunError {
    /// Such as `environment_archived_error`.
    #[serde(rename = "type", deserialize_with = "odd_as_nothing")]
    pub kind: String,
    /// In the vendor's words.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub message: String,
}

/// What can be done with a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Its schedule rests.
    Pause,
    /// Its schedule goes on.
    Unpause,
    /// It never runs again.
    Archive,
}

impl Client {
    /// `POST /v1/deployments`
    pub async fn create_deployment(&self, body: Value) -> Result<Deployment, Error> {
        self.send(Call::create(&["deployments"], body)).await
    }

    /// `GET /v1/deployments`, one page of those that are not archived.
    pub async fn list_deployments(
        &self,
        limit: Option<u32>,
        page: Option<&str>,
    ) -> Result<Page<Deployment>, Error> {
        let call = Call::get(&["deployments"])
            .query_some("limit", limit)
            .query_some("page", page);
        self.send(call).await
    }

    /// `GET /v1/deployments/{id}`
    pub async fn get_deployment(&self, id: &Id) -> Result<Deployment, Error> {
        self.send(Call::get(&["deployments", id.as_str()])).await
    }

    /// `POST /v1/deployments/{id}/run`: starts a session now.
    pub async fn run_deployment(&self, id: &Id) -> Result<Run, Error> {
        self.send(Call::create(
            &["deployments", id.as_str(), "run"],
            json!({}),
        ))
        .await
    }

    /// `POST /v1/deployments/{id}/pause`, `…/unpause`, `…/archive`
    pub async fn control_deployment(&self, id: &Id, control: Control) -> Result<Deployment, Error> {
        let action = match control {
            Control::Pause => "pause",
            Control::Unpause => "unpause",
            Control::Archive => "archive",
        };
        self.send(Call::set(&["deployments", id.as_str(), action], json!({})))
            .await
    }

    /// `GET /v1/deployment_runs?deployment_id=…`, the newest.
    pub async fn list_runs(&self, deployment: &Id, limit: u32) -> Result<Page<Run>, Error> {
        let call = Call::get(&["deployment_runs"])
            .query("deployment_id", deployment)
            .query("limit", limit);
        self.send(call).await
    }
}
