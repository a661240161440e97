//! `create_agent`: a reusable agent.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use super::{ToolError, text};
use crate::api::with;
use crate::server::Server;
use crate::server::present::{Answer, Shown, agent_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateAgent {
    /// Up to 256 characters.
    name: String,
    /// Default: as configured.
    model: Option<String>,
    /// System prompt.
    system: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Built-in tools: all (default), only the reading ones, or all with each call asking.
    tools: Option<Preset>,
    /// Or the API's own tools array.
    tool_list: Option<Vec<Map<String, Value>>>,
    /// [{name, url}]; their tools ask before each call.
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    mcp_servers: Vec<McpServer>,
    /// As the API takes them.
    #[serde(default)]
    skills: Vec<Map<String, Value>>,
    /// [{name, description, input_schema}]: the caller runs them, the session waits for the result.
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    custom_tools: Vec<CustomTool>,
    /// Up to 16 pairs of text.
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Preset {
    All,
    ReadOnly,
    Ask,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct McpServer {
    name: String,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomTool {
    name: String,
    description: String,
    input_schema: Map<String, Value>,
}

#[tool_router(router = create_agent_router, vis = "pub(super)")]
impl Server {
    /// Create an agent for many sessions. Look with list_agents first: each call makes another one.
    #[tool(
        title = "Create an agent",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = false),
        output_schema = schema(agent_schema())
    )]
    async fn create_agent(
        &self,
        Parameters(args): Parameters<CreateAgent>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let body = body(args)?;
        let call = self.attend(&context);
        let agent = call.run(self.bridge.create_agent(body)).await?;
        Ok(Shown::agent(&agent, self.bridge.config().result_chars))
    }
}

fn body(args: CreateAgent) -> Result<Value, ToolError> {
    text("name", &args.name, 256)?;
    let own_list = args.tool_list.is_some();
    if own_list && args.tools.is_some() {
        return Err(ToolError::argument(
            "`tools` and `tool_list` exclude each other.",
            "pass one of them.",
        ));
    }
    let mut tools: Vec<Value> = match args.tool_list {
        Some(list) => list.into_iter().map(Value::Object).collect(),
        None => vec![toolset(args.tools.unwrap_or(Preset::All))],
    };
    for server in &args.mcp_servers {
        // The API refuses a server that no toolset names.
        let named = |tool: &Value| {
            tool.get("mcp_server_name").and_then(Value::as_str) == Some(&server.name)
        };
        if !tools.iter().any(named) {
            tools.push(json!({"type": "mcp_toolset", "mcp_server_name": server.name}));
        }
    }
    for tool in &args.custom_tools {
        let CustomTool {
            name,
            description,
            input_schema,
        } = tool;
        tools.push(json!({"type": "custom", "name": name, "description": description, "input_schema": input_schema}));
    }
    let server =
        |server: &McpServer| json!({"type": "url", "name": server.name, "url": server.url});
    let servers: Vec<Value> = args.mcp_servers.iter().map(server).collect();
    let body = json!({"name": args.name, "tools": tools});
    let body = with(body, "model", args.model);
    let body = with(body, "system", args.system);
    let body = with(body, "description", args.description);
    let body = with(
        body,
        "mcp_servers",
        (!servers.is_empty()).then_some(servers),
    );
    let body = with(
        body,
        "skills",
        (!args.skills.is_empty()).then(|| json!(args.skills)),
    );
    Ok(with(body, "metadata", args.metadata))
}

fn toolset(preset: Preset) -> Value {
    let kind = "agent_toolset_20260401";
    match preset {
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
