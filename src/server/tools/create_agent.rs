//! `create_agent`: a reusable agent.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::agent_fields::{CustomTool, Given, McpServer, Preset};
use super::parameters::Parameters;
use super::text;
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
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    mcp_servers: Option<Vec<McpServer>>,
    /// As the API takes them.
    skills: Option<Vec<Map<String, Value>>>,
    /// [{name, description, input_schema}]: the caller runs them, the session waits for the result.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    custom_tools: Option<Vec<CustomTool>>,
    /// Up to 16 pairs of text.
    metadata: Option<Map<String, Value>>,
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
        text("name", &args.name, 256)?;
        let given = Given {
            name: Some(args.name),
            model: args.model,
            system: args.system,
            description: args.description,
            // A list of the caller's own stands instead.
            tools: args
                .tools
                .or(args.tool_list.is_none().then_some(Preset::All)),
            tool_list: args.tool_list,
            mcp_servers: args.mcp_servers,
            skills: args.skills,
            custom_tools: args.custom_tools,
            metadata: args.metadata,
        };
        let fields = given.fields()?;
        let call = self.attend(&context);
        let agent = call.run(self.bridge.create_agent(&fields)).await?;
        Ok(Shown::agent(&agent, self.bridge.config().result_chars))
    }
}
