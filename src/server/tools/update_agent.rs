//! `update_agent`: a new version of an agent.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::agent_fields::{CustomTool, Given, McpServer, Preset};
use super::parameters::Parameters;
use super::{ToolError, text};
use crate::server::Server;
use crate::server::present::{Answer, Shown, agent_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateAgent {
    /// Id or name.
    agent: String,
    /// The version you read and change: get_agent shows it.
    version: u64,
    /// New name.
    name: Option<String>,
    /// New model.
    model: Option<String>,
    /// New system prompt; empty: none.
    system: Option<String>,
    /// New description; empty: none.
    description: Option<String>,
    /// Built-in tools: all, only the reading ones, or all with each call asking. Other tools stay.
    tools: Option<Preset>,
    /// Instead of all its tools: the API's own array.
    tool_list: Option<Vec<Map<String, Value>>>,
    /// [{name, url}] instead of its servers; their tools ask before each call.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    mcp_servers: Option<Vec<McpServer>>,
    /// Instead of its skills, as the API takes them.
    skills: Option<Vec<Map<String, Value>>>,
    /// [{name, description, input_schema}] instead of its custom tools.
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    custom_tools: Option<Vec<CustomTool>>,
    /// Pairs to set; null deletes one.
    metadata: Option<Map<String, Value>>,
}

#[tool_router(router = update_agent_router, vis = "pub(super)")]
impl Server {
    /// Change an agent: makes a new version of it for sessions to come; running ones keep theirs. What is left out stays.
    /// If somebody changed it since you read it, nothing happens and the answer says what differs.
    #[tool(
        title = "Change an agent",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = false),
        output_schema = schema(agent_schema())
    )]
    async fn update_agent(
        &self,
        Parameters(args): Parameters<UpdateAgent>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        if let Some(name) = &args.name {
            text("name", name, 256)?;
        }
        // What get_agent had to cut must not become the prompt.
        if args
            .system
            .as_deref()
            .is_some_and(|system| system.ends_with('…'))
        {
            return Err(ToolError::argument(
                "`system` ends in `…`, as a text does that was cut to fit; nothing was changed.",
                "pass the whole prompt: a larger MANAGED_AGENTS_RESULT_CHARS lets get_agent show it.",
            ));
        }
        let given = Given {
            name: args.name,
            model: args.model,
            system: args.system,
            description: args.description,
            tools: args.tools,
            tool_list: args.tool_list,
            mcp_servers: args.mcp_servers,
            skills: args.skills,
            custom_tools: args.custom_tools,
            metadata: args.metadata,
        };
        let fields = given.fields()?;
        if fields.is_empty() {
            return Err(ToolError::argument(
                "Nothing to change was given.",
                "pass the fields that are to be different.",
            ));
        }
        let call = self.attend(&context);
        let update = self.bridge.update_agent(&args.agent, args.version, &fields);
        let agent = call.run(update).await?;
        Ok(Shown::agent(&agent, self.bridge.config().result_chars))
    }
}
