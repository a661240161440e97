//! `close_agent`: archive or delete.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::ending::{Mode, retired, retired_schema};
use super::parameters::Parameters;
use crate::server::Server;
use crate::server::present::{Answer, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseAgent {
    /// Id or name.
    agent: String,
    /// archive (default): it stays readable. delete: gone.
    #[serde(default)]
    mode: Mode,
}

#[tool_router(router = close_agent_router, vis = "pub(super)")]
impl Server {
    /// Retire an agent: no new session can use it. This cannot be undone; delete only if the user asked for it, and if
    /// the API does not delete it, it is archived.
    #[tool(
        title = "Close an agent",
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(retired_schema())
    )]
    async fn close_agent(
        &self,
        Parameters(args): Parameters<CloseAgent>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let call = self.attend(&context);
        let close = self.bridge.close_agent(&args.agent, args.mode.ending());
        Ok(retired("agent", &call.run(close).await?))
    }
}
