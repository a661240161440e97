//! `list_vaults`: ids to attach to a session.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use super::{catalog_query, named_row, named_schema};
use crate::server::Server;
use crate::server::present::{Answer, Shown, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListVaults {
    /// Part of the name.
    name_contains: Option<String>,
    /// 1 to 100; default 20.
    limit: Option<u32>,
    /// Token of a page.
    page: Option<String>,
}

#[tool_router(router = list_vaults_router, vis = "pub(super)")]
impl Server {
    /// Vaults of credentials that sessions can use: create_session takes their ids as `vault_ids`. Secrets are never shown.
    #[tool(
        title = "List vaults",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(named_schema("vaults"))
    )]
    async fn list_vaults(
        &self,
        Parameters(args): Parameters<ListVaults>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let query = catalog_query(args.name_contains, false, args.limit, args.page)?;
        let call = self.attend(&context);
        let listed = call.run(self.bridge.list_vaults(&query)).await?;
        let budget = self.bridge.config().result_chars;
        Ok(Shown::rows("vaults", listed, budget, named_row))
    }
}
