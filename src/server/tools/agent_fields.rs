//! What create_agent and update_agent both take, and its form for the API.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ToolError;
use crate::bridge::agents::{self, AgentFields, Toolbox};

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Preset {
    All,
    ReadOnly,
    Ask,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct McpServer {
    name: String,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomTool {
    name: String,
    description: String,
    input_schema: Map<String, Value>,
}

/// The arguments that both tools share.
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tools: Option<Preset>,
    pub(super) tool_list: Option<Vec<Map<String, Value>>>,
    pub(super) mcp_servers: Option<Vec<McpServer>>,
    pub(super) skills: Option<Vec<Map<String, Value>>>,
    pub(super) custom_tools: Option<Vec<CustomTool>>,
    pub(super) metadata: Option<Map<String, Value>>,
}

impl Given {
    /// Checks them and brings them into the API's form.
    pub(super) fn fields(self) -> Result<AgentFields, ToolError> {
        if self.tool_list.is_some() && self.tools.is_some() {
            return Err(ToolError::argument(
                "`tools` and `tool_list` exclude each other.",
                "pass one of them.",
            ));
        }
        let marks = |pairs: &Map<String, Value>| {
            pairs.keys().any(|key| key.starts_with(crate::bridge::MARK))
        };
        if self.metadata.as_ref().is_some_and(marks) {
            return Err(ToolError::argument(
                "`metadata` keys must not start with managed-agents-mcp.",
                "leave those keys out.",
            ));
        }
        let secret = |server: &McpServer| {
            url::Url::parse(&server.url)
                .is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
        };
        if self.mcp_servers.iter().flatten().any(secret) {
            return Err(ToolError::argument(
                "`mcp_servers[].url` must not hold credentials.",
                "attach them as a vault: list_vaults shows which exist.",
            ));
        }
        let texts = [
            ("name", self.name),
            ("model", self.model),
            ("system", self.system),
            ("description", self.description),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(field, text)| Some((field, json!(text?))));
        let others = [
            ("skills", self.skills.map(|skills| json!(skills))),
            ("metadata", self.metadata.map(Value::Object)),
        ];
        let others = others
            .into_iter()
            .filter_map(|(field, value)| Some((field, value?)));
        let plain = texts
            .chain(others)
            .map(|(field, value)| (field.to_owned(), value))
            .collect();
        Ok(AgentFields {
            plain,
            toolbox: Toolbox {
                built_in: self.tools.map(Preset::toolset),
                list: self
                    .tool_list
                    .map(|list| list.into_iter().map(Value::Object).collect()),
                servers: self
                    .mcp_servers
                    .map(|servers| servers.into_iter().map(McpServer::known).collect()),
                custom: self
                    .custom_tools
                    .map(|tools| tools.into_iter().map(CustomTool::tool).collect()),
            },
        })
    }
}

impl McpServer {
    fn known(self) -> agents::McpServer {
        agents::McpServer {
            name: self.name,
            url: self.url,
        }
    }
}

impl CustomTool {
    fn tool(self) -> Value {
        let CustomTool {
            name,
            description,
            input_schema,
        } = self;
        json!({"type": "custom", "name": name, "description": description, "input_schema": input_schema})
    }
}

impl Preset {
    fn toolset(self) -> Value {
        let kind = "agent_toolset_20260401";
        match self {
            Preset::All => json!({"type": kind}),
            Preset::Ask => {
                json!({"type": kind, "default_config": {"permission_policy": {"type": "always_ask"}}})
            }
            Preset::ReadOnly => {
                let writing =
                    ["bash", "edit", "write"].map(|name| json!({"name": name, "enabled": false}));
                json!({"type": kind, "configs": writing})
            }
        }
    }
}
