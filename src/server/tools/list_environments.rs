//! `list_environments`: containers by name.

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
pub(super) struct ListEnvironments {
    /// Part of the name.
    name_contains: Option<String>,
    /// 1 to 100; default 20.
    limit: Option<u32>,
    /// Token of a page.
    page: Option<String>,
}

#[tool_router(router = list_environments_router, vis = "pub(super)")]
impl Server {
    /// Containers that sessions can run in.
    #[tool(
        title = "List environments",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(list_schema("environments", json!({
            "id": {"type": "string"},
            "name": {"type": "string"},
            "description": text_or_null(),
            "kind": text_or_null(),
            "networking": text_or_null(),
            "archived": {"type": "boolean"},
        }), &["id", "name"]))
    )]
    async fn list_environments(
        &self,
        Parameters(args): Parameters<ListEnvironments>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let query = catalog_query(args.name_contains, false, args.limit, args.page)?;
        let call = self.attend(&context);
        let listed = call.run(self.bridge.list_environments(&query)).await?;
        Ok(Shown::rows(
            "environments",
            listed,
            self.bridge.config().result_chars,
            |row| {
                let description = row
                    .description
                    .as_ref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                let kind = row.kind.as_deref().unwrap_or("?");
                let networking = row
                    .networking
                    .as_ref()
                    .map(|word| format!(", {word} network"))
                    .unwrap_or_default();
                format!("{} {} ({kind}{networking}){description}", row.id, row.name)
            },
        ))
    }
}
