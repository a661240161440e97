//! Environments: the containers that sessions run in. <https://platform.claude.com/docs/en/api/beta/environments>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::pace::Group;
use super::rows::{odd_as_nothing, pairs};
use super::{Client, Error, Id, Page};

/// What is read of an environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// Unique among the environments of a workspace.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub name: String,
    /// As the owner wrote it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub description: Option<String>,
    /// `type`, `networking`, `packages`, as the API has them.
    pub config: Value,
    /// Up to 16 pairs.
    #[serde(deserialize_with = "pairs")]
    pub metadata: BTreeMap<String, String>,
    /// RFC 3339; set once the environment is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
}

impl Client {
    /// `GET /v1/environments`, one page.
    pub async fn list_environments(
        &self,
        limit: Option<u32>,
        page: Option<&str>,
    ) -> Result<Page<Environment>, Error> {
        let call = Call::get(&["environments"])
            .query_some("limit", limit)
            .query_some("page", page);
        self.send(call.in_group(Group::Environment)).await
    }

    /// `GET /v1/environments/{id}`
    pub async fn get_environment(&self, id: &Id) -> Result<Environment, Error> {
        let call = Call::get(&["environments", id.as_str()]);
        self.send(call.in_group(Group::Environment)).await
    }

    /// `POST /v1/environments`. A taken name is refused with 409.
    pub async fn create_environment(&self, body: Value) -> Result<Environment, Error> {
        self.send(Call::create(&["environments"], body).in_group(Group::Environment))
            .await
    }

    /// `POST /v1/environments/{id}/archive`: for good. Its sessions go on.
    pub async fn archive_environment(&self, id: &Id) -> Result<(), Error> {
        let call = Call::set(&["environments", id.as_str(), "archive"], json!({}));
        self.send_for_status(call.in_group(Group::Environment))
            .await
    }

    /// `DELETE /v1/environments/{id}`. Refused while sessions use it.
    pub async fn delete_environment(&self, id: &Id) -> Result<(), Error> {
        let call = Call::delete(&["environments", id.as_str()]);
        self.send_for_status(call.in_group(Group::Environment))
            .await
    }
}
