//! `list_agents`: agents by name.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::catalog_query;
use super::parameters::Parameters;
use crate::server::Server;
use crate::server::present::{Answer, Shown, list_schema, schema, text_or_null};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAgents {
    /// Part of the name.
    name_contains: Option<String>,
    /// Archived ones too.
    #[serde(default)]
    include_archived: bool,
    /// 1 to 100; default 20.
    limit: Option<u32>,
    /// Token of a page.
    page: Option<String>,
}

#[tool_router(router = list_agents_router, vis = "pub(super)")]
impl Server {
    /// Agents that sessions can run. get_agent shows details.
    #[tool(
        title = "List agents",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(list_schema("agents", json!({
            "id": {"type": "string"},
            "name": {"type": "string"},
            "version": {"type": "integer"},
            "model": text_or_null(),
            "description": text_or_null(),
            "archived": {"type": "boolean"},
        }), &["id", "name"]))
    )]
    async fn list_agents(
        &self,
        Parameters(args): Parameters<ListAgents>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let query = catalog_query(
            args.name_contains,
            args.include_archived,
            args.limit,
            args.page,
        )?;
        let call = self.attend(&context);
        let listed = call.run(self.bridge.list_agents(&query)).await?;
        Ok(Shown::rows(
            "agents",
            listed,
            self.bridge.config().result_chars,
            |row| {
                let model = row.model.as_deref().unwrap_or("?");
                let description = row
                    .description
                    .as_ref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                let archived = if row.archived { " (archived)" } else { "" };
                format!(
                    "{} {} v{} {model}{archived}{description}",
                    row.id, row.name, row.version
                )
            },
        ))
    }
}
