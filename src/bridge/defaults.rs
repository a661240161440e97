//! The agent and the environment of a new session: named by the caller, configured, or the default pair, which is found
//! by a mark in its metadata or made once.

use std::collections::BTreeMap;
use std::future::Future;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::agents::{self, newest_agent};
use super::environments::{self, newest_environment};
use super::once::{Second, Write};
use super::{Bridge, Failure, MARK, find};
use crate::api::agents::Agent;
use crate::api::environments::Environment;
use crate::api::{Client, Id};

/// Value of the mark on what was made to be the default.
const DEFAULT: &str = "default";
const DEFAULT_NAME: &str = "managed-agents-mcp default";
/// Where nobody can tell whether it was made.
const AGAIN: &str = "make the same call again: it is found by its mark if it is there, and made if not. No session was started.";

/// Agent and environment of sessions that name none, once they are known. Locked while they are looked for, so that
/// two calls do not both create them.
#[derive(Default)]
pub(super) struct Defaults {
    agent: Mutex<Option<Id>>,
    environment: Mutex<Option<Id>>,
}

impl Defaults {
    /// They may have been archived: look again next time.
    pub(super) fn forget(&self) {
        // Whoever holds them is just looking.
        let known = [self.agent.try_lock(), self.environment.try_lock()];
        known
            .into_iter()
            .flatten()
            .for_each(|mut known| *known = None);
    }
}

impl Bridge {
    pub(super) async fn agent_for(
        &self,
        api: &Client,
        wanted: Option<&str>,
    ) -> Result<Chosen, Failure> {
        let allowed = &self.config.allow_agents;
        if let Some(wanted) = wanted {
            return find::agent(api, wanted, allowed)
                .await
                .map(Chosen::by_the_caller);
        }
        if let Some(configured) = &self.config.agent {
            let found = find::agent(api, configured, allowed).await;
            let id = found.map_err(|failure| failure.of_setting("MANAGED_AGENTS_AGENT"))?;
            return Ok(Chosen {
                notes: vec![format!("agent: {configured} ({id}), as configured")],
                id,
            });
        }
        none_named("agent", allowed)?;
        let mut known = in_time(api.deadline(), self.defaults.agent.lock()).await?;
        let mut notes = Vec::new();
        let id = match known.as_ref() {
            Some(id) => id.clone(),
            None => known
                .insert(agent(api, &self.config.model, &mut notes).await?)
                .clone(),
        };
        // What was just made is named already.
        if notes.is_empty() {
            notes.push(format!("agent: {DEFAULT_NAME} ({id})"));
        }
        Ok(Chosen { id, notes })
    }

    pub(super) async fn environment_for(
        &self,
        api: &Client,
        wanted: Option<&str>,
    ) -> Result<Chosen, Failure> {
        let allowed = &self.config.allow_environments;
        if let Some(wanted) = wanted {
            return find::environment(api, wanted, allowed)
                .await
                .map(Chosen::by_the_caller);
        }
        if let Some(configured) = &self.config.environment {
            let found = find::environment(api, configured, allowed).await;
            let id = found.map_err(|failure| failure.of_setting("MANAGED_AGENTS_ENVIRONMENT"))?;
            return Ok(Chosen {
                notes: vec![format!("environment: {configured} ({id}), as configured")],
                id,
            });
        }
        none_named("environment", allowed)?;
        let mut known = in_time(api.deadline(), self.defaults.environment.lock()).await?;
        let mut notes = Vec::new();
        let id = match known.as_ref() {
            Some(id) => id.clone(),
            None => known.insert(environment(api, &mut notes).await?).clone(),
        };
        if notes.is_empty() {
            notes.push(format!("environment: {DEFAULT_NAME} ({id})"));
        }
        Ok(Chosen { id, notes })
    }
}

/// An agent or environment, and what to tell the caller who did not name it.
pub(super) struct Chosen {
    id: Id,
    notes: Vec<String>,
}

impl Chosen {
    fn by_the_caller(id: Id) -> Chosen {
        Chosen {
            id,
            notes: Vec::new(),
        }
    }

    pub(super) fn noted(self, notes: &mut Vec<String>) -> Id {
        notes.extend(self.notes);
        self.id
    }
}

/// Waits for another call that is busy with the same, but not beyond the end of this one.
pub(super) async fn in_time<T>(
    deadline: Instant,
    lock: impl Future<Output = T>,
) -> Result<T, Failure> {
    timeout_at(deadline, lock).await.map_err(|_| {
        Failure::argument(
            "Another call is still busy with the same agent, environment, request_key or session.",
            "make the same call again; nothing was sent.",
        )
    })
}

/// With an allow-list the choice is the caller's.
fn none_named(noun: &str, allowed: &[String]) -> Result<(), Failure> {
    if allowed.is_empty() {
        return Ok(());
    }
    Err(Failure::argument(
        format!("No {noun} was named, and only some may be used here."),
        format!("pass `{noun}`, one of: {}.", allowed.join(", ")),
    ))
}

/// The agent that this product marked as its default, made if there is none.
async fn agent(api: &Client, model: &str, notes: &mut Vec<String>) -> Result<Id, Failure> {
    let doing = "find or create the default agent";
    let is_default = |agent: &Agent| is_marked(&agent.metadata);
    let found = find::first_agent(api, is_default).await;
    let id = match found.map_err(Failure::while_trying(doing))? {
        Some(agent) => agent.id,
        None => {
            let body = &json!({
                "name": DEFAULT_NAME,
                "model": model,
                "description": "Does the work that local assistants delegate.",
                "tools": [{"type": "agent_toolset_20260401"}],
                "metadata": {MARK: DEFAULT},
            });
            let send = |api: Client| async move { agents::create(&api, body).await };
            let look = |api: Client| async move { newest_agent(&api, is_default).await };
            let write = Write::new(doing, Second::Creates, AGAIN);
            let agent = write.once(api, api.deadline(), send, look).await?;
            let id = agents::text(&agent, "id").to_owned();
            notes.push(format!(
                "created the agent \"{DEFAULT_NAME}\" ({id}, {model}); it runs its tools without asking, and later sessions use it \
                 too"
            ));
            id
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this agent id."))
}

/// The environment that this product marked as its default, made if there is none.
async fn environment(api: &Client, notes: &mut Vec<String>) -> Result<Id, Failure> {
    let doing = "find or create the default environment";
    let is_default = |environment: &Environment| {
        is_marked(&environment.metadata) || environment.name == DEFAULT_NAME
    };
    let listed = async || {
        let found = find::first_environment(api, is_default).await;
        found.map_err(Failure::while_trying(doing))
    };
    let id = match listed().await? {
        Some(environment) => environment.id,
        None => {
            let body = &json!({
                "name": DEFAULT_NAME,
                "config": {"type": "cloud", "networking": {"type": "unrestricted"}},
                "metadata": {MARK: DEFAULT},
            });
            let send = |api: Client| async move { environments::create(&api, body).await };
            let look = |api: Client| async move { newest_environment(&api, is_default).await };
            let write = Write::new(doing, Second::Creates, AGAIN);
            match write.once(api, api.deadline(), send, look).await {
                Ok(environment) => {
                    notes.push(format!(
                        "created the environment \"{DEFAULT_NAME}\" ({}); later sessions use it too",
                        environment.id
                    ));
                    environment.id
                }
                // Another server was faster.
                Err(failure) if failure.is_conflict() => listed().await?.ok_or(failure)?.id,
                Err(failure) => return Err(failure),
            }
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this environment id."))
}

fn is_marked(metadata: &BTreeMap<String, String>) -> bool {
    metadata.get(MARK).is_some_and(|mark| mark == DEFAULT)
}
