//! Agents: reusable definitions that sessions run. <https://platform.claude.com/docs/en/api/beta/agents>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Beta, Call};
use super::rows::{odd_as_nothing, pairs};
use super::{Client, Error, Id, Page};

/// What is read of an agent. `get_agent` shows the API's object itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Agent {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// Display name; not unique.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub name: String,
    /// Grows with each update.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub version: u64,
    /// A string, or an object with an `id`.
    pub model: Value,
    /// One or two sentences, as the owner wrote them.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub description: Option<String>,
    /// Up to 16 pairs.
    #[serde(deserialize_with = "pairs")]
    pub metadata: BTreeMap<String, String>,
    /// RFC 3339; set once the agent is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
}

impl Agent {
    /// The model's id, in either form the API has returned it.
    pub fn model_id(&self) -> Option<&str> {
        self.model
            .as_str()
            .or_else(|| self.model.get("id")?.as_str())
    }
}

/// Which agents to list.
#[derive(Debug, Clone, Default)]
pub struct AgentFilter {
    /// Archived ones too.
    pub include_archived: bool,
    /// Items on a page.
    pub limit: Option<u32>,
    /// Token of the page.
    pub page: Option<String>,
}

impl Client {
    /// `GET /v1/agents`
    pub async fn list_agents(&self, filter: &AgentFilter) -> Result<Page<Agent>, Error> {
        let call = Call::get(&["agents"])
            .query_some("limit", filter.limit)
            .query_some("page", filter.page.as_ref())
            .query_some("include_archived", filter.include_archived.then_some(true));
        self.send(call).await
    }

    /// `GET /v1/agents/{id}`, whole; an older version on request.
    pub async fn get_agent(&self, id: &Id, version: Option<u64>) -> Result<Value, Error> {
        self.send(Call::get(&["agents", id.as_str()]).query_some("version", version))
            .await
    }

    /// `POST /v1/agents`. The answer is the agent, whole.
    pub async fn create_agent(&self, body: Value) -> Result<Value, Error> {
        self.send(Call::create(&["agents"], body)).await
    }

    /// `POST /v1/agents/{id}`. `body` carries the version it changes; any other than the current one is refused with 409.
    pub async fn update_agent(&self, id: &Id, body: Value) -> Result<Value, Error> {
        self.send(Call::create(&["agents", id.as_str()], body))
            .await
    }

    /// `POST /v1/agents/{id}/archive`: for good. Its sessions go on.
    pub async fn archive_agent(&self, id: &Id) -> Result<(), Error> {
        self.send_for_status(Call::set(&["agents", id.as_str(), "archive"], json!({})))
            .await
    }

    /// `DELETE /v1/agents/{id}`, which only an older API has.
    pub async fn delete_agent(&self, id: &Id) -> Result<(), Error> {
        let call = Call::delete(&["agents", id.as_str()]);
        self.send_for_status(call.with_beta(Beta::OlderAgents))
            .await
    }
}
