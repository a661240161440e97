//! A new version of an agent. The version that the caller read guards it: made twice, the second one is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::agents::{AgentFields, read};
use super::once::{Second, Write};
use super::{Bridge, Failure, find};
use crate::api::{Client, Error, Fault, Id, Refusal, with};
use crate::session::clean::clean_line;
use crate::session::report::cut;

impl Bridge {
    /// Makes a new version of an agent out of `version`, which must be its newest. The answer is the API's object.
    pub async fn update_agent(
        &self,
        wanted: &str,
        version: u64,
        fields: &AgentFields,
    ) -> Result<Value, Failure> {
        let api = self.api_in_time();
        let id = find::very_agent(&api, wanted).await?;
        let current = read(&api, &id, None).await?;
        if current.get("name") != fields.plain.get("name") {
            self.check_name(fields)?;
        }
        if version_of(&current) != version {
            return Err(stale(&api, &id, version, &current).await);
        }
        let tools = current.get("tools").and_then(Value::as_array);
        let body = fields.body(tools.map_or(&[], Vec::as_slice));
        let made = self.new_version(&api, &id, version, body);
        match made.await {
            Err(Failure::Api { doing, error }) if error.status() == Some(409) => {
                let current = read(&api, &id, None).await;
                match current
                    .ok()
                    .filter(|current| version_of(current) != version)
                {
                    Some(current) => Err(stale(&api, &id, version, &current).await),
                    None => Err(Failure::Api { doing, error }),
                }
            }
            made => made,
        }
    }

    async fn new_version(
        &self,
        api: &Client,
        id: &Id,
        version: u64,
        fields: Value,
    ) -> Result<Value, Failure> {
        let doing = format!("update agent {id}");
        let next = format!(
            "get_agent with agent {id}: if its version is still {version}, make the same call again; if not, compare it."
        );
        let body = &with(fields.clone(), "version", Some(version));
        let (fields, is_open) = (&fields, &AtomicBool::new(false));
        let send = |api: Client| async move {
            let error = match api.update_agent(id, body.clone()).await {
                Ok(updated) => return Ok(updated),
                Err(error) => error,
            };
            let was_open = is_open.fetch_or(error.is_ambiguous(), Ordering::Relaxed);
            match error {
                // Whose version stands there now, nobody can tell: the look did not recognise it as ours.
                Error::Refused(refusal) if was_open && refusal.status == 409 => {
                    Err(raced(*refusal))
                }
                error => Err(error),
            }
        };
        let look = |api: Client| async move { made(&api, id, version, fields).await };
        Write::new(doing, Second::ChangesNothing, next)
            .once(&self.api, api.deadline(), send, look)
            .await
    }
}

/// The version that came of an update, once it is there and as wanted.
async fn made(api: &Client, id: &Id, from: u64, fields: &Value) -> Result<Option<Value>, Error> {
    let newest = api.get_agent(id, None).await?;
    let next = if version_of(&newest) > from + 1 {
        api.get_agent(id, Some(from + 1)).await?
    } else {
        newest
    };
    // What was only taken away is not there before either.
    let is_new = version_of(&next) > from;
    Ok((is_new && shows(&next, fields)).then_some(next))
}

/// A conflict with what may be our own first attempt.
fn raced(conflict: Refusal) -> Error {
    Error::Unreadable {
        reason: conflict.message,
        fault: Fault::Malformed,
        request_id: conflict.request_id,
    }
}

/// Whether an agent shows what was sent: the API fills in defaults, and has objects where words may be sent.
fn shows(agent: &Value, fields: &Value) -> bool {
    let sent = fields.as_object().into_iter().flatten();
    sent.into_iter().all(|(name, sent)| {
        let shown = agent.get(name).unwrap_or(&Value::Null);
        let is_whole = match (sent, shown) {
            (Value::Array(sent), Value::Array(shown)) => sent.len() == shown.len(),
            _ => true,
        };
        is_whole && covers(shown, sent)
    })
}

fn covers(shown: &Value, sent: &Value) -> bool {
    match (sent, shown) {
        (Value::Null, shown) => shown.is_null(),
        (Value::Object(sent), Value::Object(shown)) => sent
            .iter()
            .all(|(name, sent)| covers(shown.get(name).unwrap_or(&Value::Null), sent)),
        (Value::Array(sent), Value::Array(shown)) => {
            let mut shown = shown.iter();
            sent.iter()
                .all(|sent| shown.any(|shown| covers(shown, sent)))
        }
        (Value::Array(sent), Value::Null) => sent.is_empty(),
        (Value::String(sent), Value::Null) => sent.is_empty(),
        (Value::String(_), Value::Object(shown)) => ["id", "type"]
            .into_iter()
            .any(|name| shown.get(name) == Some(sent)),
        (sent, shown) => sent == shown,
    }
}

fn version_of(agent: &Value) -> u64 {
    agent
        .get("version")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// What changed since the version that the caller read.
async fn stale(api: &Client, id: &Id, version: u64, current: &Value) -> Failure {
    let newest = version_of(current);
    let what = format!("Agent {id} is at version {newest}, not {version}; nothing was changed.");
    let next = format!("get_agent with agent {id}, then decide again; pass version {newest}.");
    match api.get_agent(id, Some(version)).await {
        Ok(old) => {
            let changes = differences(&old, current);
            let since = if changes.is_empty() {
                "no field that can be changed differs".to_owned()
            } else {
                changes.join("; ")
            };
            Failure::argument(format!("{what} Since version {version}: {since}."), next)
        }
        Err(_) => Failure::argument(
            format!("{what} It has no version {version} to compare."),
            next,
        ),
    }
}

/// Longest value of a field that is shown.
const SHOWN: usize = 120;
const FIELDS: [&str; 9] = [
    "name",
    "model",
    "system",
    "description",
    "tools",
    "mcp_servers",
    "skills",
    "multiagent",
    "metadata",
];

fn differences(old: &Value, new: &Value) -> Vec<String> {
    let field = |agent: &Value, name: &str| agent.get(name).cloned().unwrap_or_default();
    let changed = FIELDS
        .into_iter()
        .map(|name| (name, field(old, name), field(new, name)))
        .filter(|(_, old, new)| old != new);
    changed
        .map(|(name, old, new)| format!("{name} was {} and is {}", shown(&old), shown(&new)))
        .collect()
}

fn shown(value: &Value) -> String {
    cut(&clean_line(&value.to_string()), SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_fields_that_differ_are_told() {
        let old = json!({"name": "a", "system": "s", "version": 1});
        let new = json!({"name": "b", "system": "s", "version": 2});
        assert_eq!(differences(&old, &new), ["name was \"a\" and is \"b\""]);
    }

    #[test]
    fn an_agent_shows_what_was_sent_whatever_the_api_fills_in() {
        let agent = json!({
            "version": 2, "name": "a", "model": {"id": "m", "speed": "standard"}, "system": "s", "description": null,
            "metadata": {"kept": "1"}, "mcp_servers": [],
            "tools": [{"type": "t", "default_config": {"enabled": true}, "configs": [{"name": "bash", "enabled": true}, {"name": "edit", "enabled": false}]}],
        });
        for sent in [
            json!({"name": "a", "model": "m"}),
            json!({"metadata": {"gone": null, "kept": "1"}, "description": "", "mcp_servers": []}),
            json!({"tools": [{"type": "t", "configs": [{"name": "edit", "enabled": false}]}]}),
        ] {
            assert!(shows(&agent, &sent), "{sent}");
        }
        for sent in [
            json!({"name": "b"}),
            json!({"model": "n"}),
            json!({"metadata": {"kept": null}}),
            json!({"tools": []}),
            json!({"tools": [{"type": "t", "configs": [{"name": "bash", "enabled": false}]}]}),
        ] {
            assert!(!shows(&agent, &sent), "{sent}");
        }
    }
}
