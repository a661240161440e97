//! Agents: shown, created, changed and closed.

use serde_json::{Map, Value, json};

use super::environments::Retired;
use super::marks::{Stamp, bears};
use super::once::{Second, Write, named};
use super::{Bridge, Ending, Failure, find};
use crate::api::agents::Agent;
use crate::api::{Client, Error, Id, with};
use crate::session::clean::clean_line;

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

    pub(super) fn body(&self, current_tools: &[Value]) -> Value {
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

/// An agent as the API has it.
pub(super) async fn read(api: &Client, id: &Id, version: Option<u64>) -> Result<Value, Failure> {
    api.get_agent(id, version)
        .await
        .map_err(Failure::while_trying(format!("read agent {id}")))
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
        let mut body = with(body, "model", lacking.then_some(self.config.model.as_str()));
        let (stamp, api) = (&Stamp::on(&mut body), self.api_in_time());
        let look = |api: Client| async move {
            let stamp = stamp.value()?;
            let stamped = |agent: &Agent| bears(&agent.metadata, stamp);
            newest_agent(&api, stamped).await
        };
        let next = "list_agents with name_contains shows whether it is there; create it again only if it is not.";
        let body = &body;
        let send = |api: Client| async move { create(&api, body).await };
        Write::new("create the agent", Second::Creates, next)
            .once(&self.api, api.deadline(), send, look)
            .await
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
            match self.end_agent(&api, &id, ending).await {
                Ok(()) => {}
                Err(Failure::Api { error, .. })
                    if error.status() == Some(404) && api.get_agent(&id, None).await.is_err() =>
                {
                    retired.note = Some("it was gone already".to_owned());
                }
                Err(Failure::Api {
                    error: Error::Refused(refusal),
                    ..
                }) if matches!(refusal.status, 400 | 403 | 404 | 405) => {
                    retired.ending = Ending::Archive;
                    retired.note = Some(format!(
                        "it was archived instead: the API did not delete it ({})",
                        clean_line(&refusal.message)
                    ));
                }
                Err(failure) => return Err(failure),
            }
        }
        if retired.ending == Ending::Archive {
            self.end_agent(&api, &id, Ending::Archive).await?;
        }
        self.defaults.forget();
        Ok(retired)
    }

    async fn end_agent(&self, api: &Client, id: &Id, ending: Ending) -> Result<(), Failure> {
        let send = |api: Client| async move {
            match ending {
                Ending::Archive => api.archive_agent(id).await,
                Ending::Delete => api.delete_agent(id).await,
            }
        };
        let look = |api: Client| async move {
            let read = api.get_agent(id, None).await;
            ending.is_reached(
                read.map(|agent| agent.get("archived_at").is_some_and(Value::is_string)),
            )
        };
        let next = format!(
            "get_agent with agent {id} shows whether it is there; then make the same call again."
        );
        ending
            .write(&format!("agent {id}"), next)
            .once(&self.api, api.deadline(), send, look)
            .await
    }

    pub(super) fn check_name(&self, fields: &AgentFields) -> Result<(), Failure> {
        let name = fields.plain.get("name").and_then(Value::as_str);
        find::unreserved("agent", name.unwrap_or_default(), &self.config.allow_agents)
    }
}

/// Sends a new agent.
pub(super) async fn create(api: &Client, body: &Value) -> Result<Value, Error> {
    let created = api.create_agent(body.clone()).await?;
    named(created, "agent", |agent| text(agent, "id"))
}

/// The newest agent that is looked for, whole.
pub(super) async fn newest_agent(
    api: &Client,
    is_it: impl Fn(&Agent) -> bool,
) -> Result<Option<Value>, Error> {
    let found = find::first(find::NEWEST_PAGES, |page| find::agents(api, page), is_it).await?;
    match found.and_then(|agent| Id::parse(&agent.id).ok()) {
        Some(id) => api.get_agent(&id, None).await.map(Some),
        None => Ok(None),
    }
}

pub(super) fn text<'a>(agent: &'a Value, field: &str) -> &'a str {
    agent.get(field).and_then(Value::as_str).unwrap_or_default()
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
}
