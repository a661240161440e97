//! Vaults: credentials that agents may use; the secrets in them are never returned.
//! <https://platform.claude.com/docs/en/api/beta/vaults>

use serde::Deserialize;

use super::call::Call;
use super::{Client, Error, Page};

/// What is read of a vault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Vault {
    /// Opaque id.
    pub id: String,
    /// As its owner named it.
    pub display_name: String,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// RFC 3339; set once the vault is archived.
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
