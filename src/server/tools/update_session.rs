//! `update_session`: title, metadata, budget.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::parameters::Parameters;
use super::{ToolError, budget_cents, id};
use crate::bridge::Changes;
use crate::server::Server;
use crate::server::present::{Answer, Shown, report_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateSession {
    /// The session.
    session_id: String,
    /// New title.
    title: Option<String>,
    /// Pairs to set; null deletes one.
    metadata: Option<Map<String, Value>>,
    /// New ceiling, above what is spent; a session paused at its budget goes on.
    budget_usd: Option<f64>,
    /// No ceiling any more, for good.
    #[serde(default)]
    remove_budget: bool,
}

#[tool_router(router = update_session_router, vis = "pub(super)")]
impl Server {
    /// Change a session's title, metadata or budget; raise a budget only if the user agreed. Returns a report.
    #[tool(
        title = "Change a session",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema(report_schema())
    )]
    async fn update_session(
        &self,
        Parameters(args): Parameters<UpdateSession>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let session = id("session_id", &args.session_id)?;
        if args.budget_usd.is_some() && args.remove_budget {
            return Err(ToolError::argument(
                "`budget_usd` and `remove_budget` exclude each other.",
                "pass one of them.",
            ));
        }
        if args
            .metadata
            .iter()
            .flat_map(Map::keys)
            .any(|key| key.starts_with(crate::bridge::MARK))
        {
            return Err(ToolError::argument(
                "`metadata` keys must not start with managed-agents-mcp.",
                "leave out the keys that begin with managed-agents-mcp.",
            ));
        }
        let changes = Changes {
            title: args.title,
            metadata: args.metadata,
            budget_cents: args.budget_usd.map(budget_cents).transpose()?,
            remove_budget: args.remove_budget,
        };
        if changes.is_empty() {
            return Err(ToolError::argument(
                "Nothing to change was given.",
                "pass title, metadata, budget_usd or remove_budget.",
            ));
        }
        let call = self.attend(&context);
        let report = call.run(self.bridge.update(&session, changes)).await?;
        Ok(Shown::report(report, self.bridge.config().result_chars))
    }
}
