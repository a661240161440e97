//! `list_files`: what an agent produced.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::id;
use super::parameters::Parameters;
use crate::server::Server;
use crate::server::present::files::files_schema;
use crate::server::present::{Answer, Shown, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFiles {
    /// The session.
    session_id: String,
}

#[tool_router(router = list_files_router, vis = "pub(super)")]
impl Server {
    /// What an agent produced, and what was mounted.
    #[tool(
        title = "List files",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(files_schema())
    )]
    async fn list_files(
        &self,
        Parameters(args): Parameters<ListFiles>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let session = id("session_id", &args.session_id)?;
        let call = self.attend(&context);
        let found = call
            .run(self.bridge.list_files(&session, call.attention()))
            .await?;
        Ok(Shown::files(found, self.bridge.config()))
    }
}
