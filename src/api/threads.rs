//! Threads: the agents at work side by side in one session. <https://platform.claude.com/docs/en/api/beta/sessions/threads>

use serde::Deserialize;

use super::agents::Agent;
use super::call::Call;
use super::rows::odd_as_nothing;
use super::sessions::agent_or_id;
use super::{Client, Error, Id, Page};

/// What is read of a thread.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Opaque id.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub id: String,
    /// The agent that it runs.
    #[serde(deserialize_with = "agent_or_id")]
    pub agent: Agent,
    /// `idle`, `running`, `rescheduling` or `terminated`.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub status: String,
    /// Null for the primary thread.
    #[serde(deserialize_with = "odd_as_nothing")]
    pub parent_thread_id: Option<String>,
}

impl Client {
    /// `GET /v1/sessions/{id}/threads`, the first hundred.
    pub async fn list_threads(&self, session: &Id) -> Result<Page<Thread>, Error> {
        let call = Call::get(&["sessions", session.as_str(), "threads"]).query("limit", 100);
        self.send(call).await
    }
}
