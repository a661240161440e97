//! The values of `anthropic-beta`: which API a call is made of.

use std::borrow::Cow;

const FILES_BETA: &str = "files-api-2025-04-14";

/// Which value of `anthropic-beta` a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beta {
    /// The configured one.
    ManagedAgents,
    /// That of the Files API.
    Files,
    /// Both: files are looked up by the session they belong to.
    SessionFiles,
    /// That of memory stores, alone.
    MemoryStores,
    /// That of an older API of agents, which refuses any other beside it.
    OlderAgents,
}

impl Beta {
    pub(super) fn value(self, configured: &str) -> Cow<'_, str> {
        match self {
            Beta::ManagedAgents => configured.into(),
            Beta::Files => FILES_BETA.into(),
            Beta::SessionFiles => format!("{FILES_BETA},{configured}").into(),
            Beta::MemoryStores => "agent-memory-2026-07-22".into(),
            Beta::OlderAgents => "agent-api-2026-03-01".into(),
        }
    }
}
