//! The agent and the environment of sessions that name none: found by a mark in their metadata, or made once.

use serde_json::{Value, json};

use super::{Failure, MARK, find};
use crate::api::environments::Environment;
use crate::api::{Client, Id};

/// Value of the mark on what was made to be the default.
const DEFAULT: &str = "default";
pub(super) const DEFAULT_NAME: &str = "managed-agents-mcp default";

/// The agent that this product marked as its default, made if there is none.
pub(super) async fn agent(
    api: &Client,
    model: &str,
    notes: &mut Vec<String>,
) -> Result<Id, Failure> {
    let doing = "find or create the default agent";
    let all = find::agents(api)
        .await
        .map_err(Failure::while_trying(doing))?;
    let marked = all
        .iter()
        .find(|agent| agent.metadata.get(MARK).is_some_and(|mark| mark == DEFAULT));
    let id = match marked {
        Some(agent) => agent.id.clone(),
        None => {
            let body = json!({
                "name": DEFAULT_NAME,
                "model": model,
                "description": "Does the work that local assistants delegate.",
                "tools": [{"type": "agent_toolset_20260401"}],
                "metadata": {MARK: DEFAULT},
            });
            let agent = api
                .create_agent(body)
                .await
                .map_err(Failure::while_trying(doing))?;
            notes.push(format!(
                "created the agent \"{DEFAULT_NAME}\" ({model}); later sessions use it too"
            ));
            agent
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this agent id."))
}

/// The environment that this product marked as its default, made if there is none.
pub(super) async fn environment(api: &Client, notes: &mut Vec<String>) -> Result<Id, Failure> {
    let doing = "find or create the default environment";
    let marked_one = |all: Vec<Environment>| {
        let marked = |environment: &Environment| {
            environment
                .metadata
                .get(MARK)
                .is_some_and(|mark| mark == DEFAULT)
                || environment.name == DEFAULT_NAME
        };
        all.into_iter()
            .find(marked)
            .map(|environment| environment.id)
    };
    let listed = find::environments(api)
        .await
        .map_err(Failure::while_trying(doing))?;
    let id = match marked_one(listed) {
        Some(id) => id,
        None => {
            let body = json!({
                "name": DEFAULT_NAME,
                "config": {"type": "cloud", "networking": {"type": "unrestricted"}},
                "metadata": {MARK: DEFAULT},
            });
            match api.create_environment(body).await {
                Ok(environment) => {
                    notes.push(format!(
                        "created the environment \"{DEFAULT_NAME}\"; later sessions use it too"
                    ));
                    environment.id
                }
                // Another server was faster.
                Err(error) if error.status() == Some(409) => {
                    let listed = find::environments(api)
                        .await
                        .map_err(Failure::while_trying(doing))?;
                    marked_one(listed).ok_or_else(|| Failure::while_trying(doing)(error))?
                }
                Err(error) => return Err(Failure::while_trying(doing)(error)),
            }
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this environment id."))
}
