//! Agents: shown, created, changed and closed.

use serde_json::{Map, Value, json};

use super::environments::Retired;
use super::{Bridge, Ending, Failure, find};
use crate::api::{Client, Error, Id, with};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// What an agent is to be; what is not given stays as it is, or as the API has it.
#[derive(Debug, Clone, Default)]
pub struct AgentFields {
    /// `name`, `model`, `system`, `description`, `skills`, `metadata`, as the API takes them.
    pub plain: Map<String, Value>,
    /// Its tools and MCP servers.
    pub toolbox: Toolbox,
}

/// What an agent can use.
#[derive(Debug, Clone, Default)]
pub struct Toolbox {
    /// The toolset of built-in tools, as the API takes it.
    pub built_in: Option<Value>,
    /// All tools instead, as the API takes them.
    pub list: Option<Vec<Value>>,
    /// Every MCP server; each brings a toolset.
    pub servers: Option<Vec<McpServer>>,
    /// Every custom tool, as the API takes it.
    pub custom: Option<Vec<Value>>,
}

/// An MCP server that the agent reaches.
#[derive(Debug, Clone)]
pub struct McpServer {
    /// Unique within the agent.
    pub name: String,
    /// Where it is.
    pub url: String,
}

impl Toolbox {
    /// The agent's new tools; `None` where nothing about them changes.
    fn tools(&self, current: &[Value]) -> Option<Vec<Value>> {
        let Toolbox {
            built_in,
            list,
            servers,
            custom,
        } = self;
        if built_in.is_none() && list.is_none() && servers.is_none() && custom.is_none() {
            return None;
        }
        let mut tools = list.clone().unwrap_or_else(|| current.to_vec());
        if let Some(toolset) = built_in {
            tools.retain(|tool| !kind(tool).starts_with("agent_toolset"));
            tools.insert(0, toolset.clone());
        }
        if let Some(servers) = servers {
            let is_kept = |tool: &Value| {
                let of = server_of(tool);
                kind(tool) != "mcp_toolset"
                    || servers.iter().any(|server| Some(&*server.name) == of)
            };
            tools.retain(is_kept);
            for server in servers {
                // The API refuses a server that no toolset names.
                if !tools
                    .iter()
                    .any(|tool| server_of(tool) == Some(&server.name))
                {
                    tools.push(json!({"type": "mcp_toolset", "mcp_server_name": server.name}));
                }
            }
        }
        if let Some(custom) = custom {
            tools.retain(|tool| kind(tool) != "custom");
            tools.extend(custom.iter().cloned());
        }
        Some(tools)
    }

    fn servers(&self) -> Option<Value> {
        let server =
            |server: &McpServer| json!({"type": "url", "name": server.name, "url": server.url});
        let servers = self.servers.as_ref()?;
        Some(servers.iter().map(server).collect())
    }
}

impl AgentFields {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.body(&[]).as_object().is_some_and(Map::is_empty)
    }

    fn body(&self, current_tools: &[Value]) -> Value {
        let body = Value::Object(self.plain.clone());
        let body = with(body, "tools", self.toolbox.tools(current_tools));
        with(body, "mcp_servers", self.toolbox.servers())
    }
}

fn kind(tool: &Value) -> &str {
    tool.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn server_of(tool: &Value) -> Option<&str> {
    tool.get("mcp_server_name").and_then(Value::as_str)
}

fn version_of(agent: &Value) -> u64 {
    agent
        .get("version")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

impl Bridge {
    /// One agent as the API has it, found by id or name; an older version on request.
    pub async fn get_agent(&self, wanted: &str, version: Option<u64>) -> Result<Value, Failure> {
        let api = self.api_in_time();
        let id = find::agent(&api, wanted, &[]).await?;
        read(&api, &id, version).await
    }

    /// Creates an agent. The answer is the API's object.
    pub async fn create_agent(&self, fields: &AgentFields) -> Result<Value, Failure> {
        self.check_name(fields)?;
        let body = fields.body(&[]);
        let lacking = body.get("model").is_none();
        let body = with(body, "model", lacking.then_some(self.config.model.as_str()));
        match self.api_in_time().create_agent(body).await {
            Ok(created) => Ok(created),
            Err(error) if error.is_ambiguous() => Err(Failure::DeliveryUnknown {
                doing: "create the agent".to_owned(),
                error,
                next: "list_agents with name_contains shows whether it is there; create it again only if it is not."
                    .to_owned(),
            }),
            Err(error) => Err(Failure::while_trying("create the agent")(error)),
        }
    }

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
        let doing = format!("update agent {id}");
        let error = match api
            .update_agent(&id, with(body, "version", Some(version)))
            .await
        {
            Ok(updated) => return Ok(updated),
            Err(error) => error,
        };
        let moved_on = async || {
            let current = read(&api, &id, None).await.ok()?;
            (version_of(&current) != version).then_some(current)
        };
        match error.status() {
            Some(409) => match moved_on().await {
                Some(current) => Err(stale(&api, &id, version, &current).await),
                None => Err(Failure::while_trying(doing)(error)),
            },
            _ if error.is_ambiguous() => Err(unknown(&id, version, doing, error)),
            _ => Err(Failure::while_trying(doing)(error)),
        }
    }

    /// Archives or deletes an agent. Where the API does not delete it, it is archived instead, and the note says why.
    pub async fn close_agent(&self, wanted: &str, ending: Ending) -> Result<Retired, Failure> {
        let api = self.api_in_time();
        let id = find::very_agent(&api, wanted).await?;
        let mut retired = Retired {
            id: id.to_string(),
            ending,
            note: None,
        };
        if ending == Ending::Delete {
            match api.delete_agent(&id).await {
                Ok(()) => {}
                Err(error)
                    if error.status() == Some(404) && api.get_agent(&id, None).await.is_err() =>
                {
                    retired.note = Some("it was gone already".to_owned());
                }
                Err(Error::Refused(refusal)) if matches!(refusal.status, 400 | 403 | 404 | 405) => {
                    retired.ending = Ending::Archive;
                    retired.note = Some(format!(
                        "it was archived instead: the API did not delete it ({})",
                        clean_line(&refusal.message)
                    ));
                }
                Err(error) => {
                    return Err(Failure::while_trying(format!("delete agent {id}"))(error));
                }
            }
        }
        if retired.ending == Ending::Archive {
            api.archive_agent(&id)
                .await
                .map_err(Failure::while_trying(format!("archive agent {id}")))?;
        }
        self.defaults.forget();
        Ok(retired)
    }

    fn check_name(&self, fields: &AgentFields) -> Result<(), Failure> {
        let name = fields.plain.get("name").and_then(Value::as_str);
        find::unreserved("agent", name.unwrap_or_default(), &self.config.allow_agents)
    }
}

async fn read(api: &Client, id: &Id, version: Option<u64>) -> Result<Value, Failure> {
    api.get_agent(id, version)
        .await
        .map_err(Failure::while_trying(format!("read agent {id}")))
}

/// The version carried is the guard: a second attempt can never do it twice.
fn unknown(id: &Id, version: u64, doing: String, error: Error) -> Failure {
    Failure::DeliveryUnknown {
        doing,
        error,
        next: format!(
            "get_agent with agent {id}: if its version is still {version}, make the same call again; if not, compare it."
        ),
    }
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
    use super::*;

    fn toolset() -> Value {
        json!({"type": "agent_toolset_20260401"})
    }

    fn current() -> Vec<Value> {
        vec![
            toolset(),
            json!({"type": "mcp_toolset", "mcp_server_name": "github", "configs": ["kept"]}),
            json!({"type": "custom", "name": "old"}),
        ]
    }

    fn server(name: &str) -> McpServer {
        McpServer {
            name: name.to_owned(),
            url: format!("https://{name}.example"),
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        assert_eq!(Toolbox::default().tools(&current()), None);
        let custom = Toolbox {
            custom: Some(vec![json!({"type": "custom", "name": "new"})]),
            ..Toolbox::default()
        };
        let tools = custom.tools(&current()).unwrap();
        assert_eq!(tools.get(..2), current().get(..2));
        assert_eq!(tools[2]["name"], "new");
    }

    #[test]
    fn a_server_brings_its_toolset_and_takes_it_along() {
        let changed = |names: &[&str]| {
            let toolbox = Toolbox {
                servers: Some(names.iter().map(|name| server(name)).collect()),
                ..Toolbox::default()
            };
            toolbox.tools(&current()).unwrap()
        };
        let both = changed(&["github", "linear"]);
        assert_eq!(both[1]["configs"], json!(["kept"]));
        assert_eq!(
            both[3],
            json!({"type": "mcp_toolset", "mcp_server_name": "linear"})
        );
        assert!(!changed(&[]).iter().any(|tool| kind(tool) == "mcp_toolset"));
    }

    #[test]
    fn a_preset_replaces_the_built_in_toolset_only() {
        let ask = json!({"type": "agent_toolset_20260401", "default_config": {}});
        let toolbox = Toolbox {
            built_in: Some(ask.clone()),
            ..Toolbox::default()
        };
        let tools = toolbox.tools(&current()).unwrap();
        assert_eq!((&tools[0], tools.len()), (&ask, 3));
    }

    #[test]
    fn only_fields_that_differ_are_told() {
        let old = json!({"name": "a", "system": "s", "version": 1});
        let new = json!({"name": "b", "system": "s", "version": 2});
        assert_eq!(differences(&old, &new), ["name was \"a\" and is \"b\""]);
    }
}
