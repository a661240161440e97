//! One request as data, before it has an origin, a key or a deadline.

use std::borrow::Cow;

use reqwest::{Method, Url};
use serde_json::Value;

use super::pace::Group;

const FILES_BETA: &str = "files-api-2025-04-14";

/// A request before it has an origin, a key or a deadline.
pub(super) struct Call {
    pub(super) method: Method,
    /// Segments after the base URL; each is percent-encoded on its own.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) group: Group,
    pub(super) beta: Beta,
}

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

impl Call {
    pub(super) fn get(path: &[&str]) -> Call {
        Call::new(Method::GET, path, Group::Read)
    }

    pub(super) fn delete(path: &[&str]) -> Call {
        Call::new(Method::DELETE, path, Group::Read)
    }

    /// A POST that changes what is there.
    pub(super) fn set(path: &[&str], body: Value) -> Call {
        let call = Call::new(Method::POST, path, Group::Read);
        Call {
            body: Some(body),
            ..call
        }
    }

    /// A POST that makes something or starts work.
    pub(super) fn create(path: &[&str], body: Value) -> Call {
        let call = Call::new(Method::POST, path, Group::Write);
        Call {
            body: Some(body),
            ..call
        }
    }

    pub(super) fn new(method: Method, path: &[&str], group: Group) -> Call {
        let path = std::iter::once("v1")
            .chain(path.iter().copied())
            .map(str::to_owned)
            .collect();
        Call {
            method,
            path,
            query: Vec::new(),
            body: None,
            group,
            beta: Beta::ManagedAgents,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Call {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn query_some(self, name: &'static str, value: Option<impl ToString>) -> Call {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(super) fn in_group(self, group: Group) -> Call {
        Call { group, ..self }
    }

    pub(super) fn with_beta(self, beta: Beta) -> Call {
        Call { beta, ..self }
    }

    pub(super) fn url(&self, origin: &Url) -> Url {
        let mut url = origin.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// For logs: no query, which may hold what a user typed.
    pub(super) fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(base: &str, call: &Call) -> String {
        call.url(&Url::parse(base).unwrap()).to_string()
    }

    #[test]
    fn a_path_prefix_is_kept_and_segments_are_encoded() {
        let call = Call::get(&["sessions", "a/b?c"]).query("types[]", "agent.message");
        assert_eq!(
            url_of("https://host/prefix/", &call),
            "https://host/prefix/v1/sessions/a%2Fb%3Fc?types%5B%5D=agent.message"
        );
        assert_eq!(
            url_of("https://host", &Call::get(&["agents"])),
            "https://host/v1/agents"
        );
    }
}
