//! Vaults: credentials that agents may use; the secrets in them are never returned.
//! <https://platform.claude.com/docs/en/api/beta/vaults>

use serde::Deserialize;

use super::call::Call;
use super::rows::odd_as_nothing;
use super::{Client, Error, Page};

/// What is read of a vault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Vault {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// As its owner named it.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub display_name: String,
    /// RFC 3339.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub created_at: Option<String>,
    /// RFC 3339; set once the vault is archived.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub archived_at: Option<String>,
}

impl Client {
    /// `GET /v1/vaults`, one page of those that are not archived.
    pub async fn list_vaults(
        &self,
        limit: Option<u32>,
        page: Option<&str>,
    ) -> Result<Page<Vault>, Error> {
        let call = Call::get(&["vaults"])
            .query_some("limit", limit)
            .query_some("page", page);
        self.send(call).await
    }
}
