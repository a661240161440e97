//! Memory stores: what agents remember from session to session.
//! <https://platform.claude.com/docs/en/api/beta/memory_stores>

use serde::Deserialize;

use super::call::{Beta, Call};
use super::rows::odd_as_nothing;
use super::{Client, Error, Page};

/// What is read of a memory store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MemoryStore {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// As its owner named it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub name: String,
    /// What it holds; the agent reads this too.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub description: Option<String>,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub created_at: Option<String>,
    /// RFC 3339; set once the store is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
}

impl Client {
    /// `GET /v1/memory_stores`, one page of those that are not archived.
    pub async fn list_memory_stores(
        &self,
        limit: Option<u32>,
        page: Option<&str>,
    ) -> Result<Page<MemoryStore>, Error> {
        let call = Call::get(&["memory_stores"])
            .query_some("limit", limit)
            .query_some("page", page);
        self.send(call.with_beta(Beta::MemoryStores)).await
    }
}
