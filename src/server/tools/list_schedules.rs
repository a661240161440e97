//! `list_schedules`: when agents run, and how the last runs went.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::catalog_query;
use super::parameters::Parameters;
use super::schedule::{line, row_schema};
use crate::server::Server;
use crate::server::present::{Answer, Shown, list_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSchedules {
    /// Part of the name.
    name_contains: Option<String>,
    /// 1 to 100; default 20.
    limit: Option<u32>,
    /// Token of a page.
    page: Option<String>,
}

#[tool_router(router = list_schedules_router, vis = "pub(super)")]
impl Server {
    /// Schedules: which agent runs when, the next times, and the last runs with their sessions or errors. get_status tells
    /// more of a session; list_sessions with `deployment_id` has all that a schedule started.
    #[tool(
        title = "List schedules",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(list_schema("schedules", json!(row_schema()), &["schedule_id", "name", "status"]))
    )]
    async fn list_schedules(
        &self,
        Parameters(args): Parameters<ListSchedules>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let query = catalog_query(args.name_contains, false, args.limit, args.page)?;
        let call = self.attend(&context);
        let listed = call.run(self.bridge.list_schedules(&query)).await?;
        let budget = self.bridge.config().result_chars;
        Ok(Shown::rows("schedules", listed, budget, line))
    }
}
