//! `get_agent`: one agent whole.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use crate::server::Server;
use crate::server::present::{Answer, Shown, agent_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetAgent {
    /// Id or name.
    agent: String,
    /// Older version.
    version: Option<u64>,
}

#[tool_router(router = get_agent_router, vis = "pub(super)")]
impl Server {
    /// Show one agent: model, system prompt, tools and permissions, MCP servers.
    #[tool(
        title = "Show an agent",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(agent_schema())
    )]
    async fn get_agent(
        &self,
        Parameters(args): Parameters<GetAgent>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let call = self.attend(&context);
        let agent = call
            .run(self.bridge.get_agent(&args.agent, args.version))
            .await?;
        Ok(Shown::agent(&agent, self.bridge.config().result_chars))
    }
}
