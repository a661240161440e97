//! Files: uploaded to be mounted or shown, or produced by an agent. <https://platform.claude.com/docs/en/api/beta/files>

use serde::Deserialize;

use super::beta::Beta;
use super::send::Call;
use super::{Client, Error, Id, Page};

/// What is read of a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct File {
    /// Opaque id.
    pub id: String,
    /// As it was uploaded or written; may be anything.
    pub filename: String,
    /// Media type.
    pub mime_type: String,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// Whether its content can be had: not that of an upload.
    pub downloadable: Option<bool>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

impl Client {
    /// `GET /v1/files/{id}`
    pub async fn get_file(&self, id: &Id) -> Result<File, Error> {
        self.send(Call::get(&["files", id.as_str()]).with_beta(Beta::Files))
            .await
    }

    /// `GET /v1/files?scope_id=…`, one page of a session's files.
    pub async fn list_session_files(
        &self,
        session: &Id,
        limit: u32,
        page: Option<&str>,
    ) -> Result<Page<File>, Error> {
        let call = Call::get(&["files"])
            .query("scope_id", session)
            .query("limit", limit)
            .query_some("page", page);
        self.send(call.with_beta(Beta::SessionFiles)).await
    }
}
