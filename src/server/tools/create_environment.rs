//! `create_environment`: a container for sessions.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use super::{ToolError, text};
use crate::api::Id;
use crate::api::with;
use crate::server::Server;
use crate::server::present::{Answer, Shown, schema, text_or_null};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEnvironment {
    /// Unique name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Default unrestricted.
    networking: Option<Networking>,
    /// If limited.
    allowed_hosts: Option<Vec<String>>,
    /// If limited.
    allow_package_managers: Option<bool>,
    /// If limited.
    allow_mcp_servers: Option<bool>,
    /// Such as {"pip": ["pandas"]}; pip, npm, apt, cargo, gem, go.
    #[schemars(with = "Option<Map<String, Value>>")]
    packages: Option<Packages>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Networking {
    Unrestricted,
    Limited,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Packages {
    #[serde(skip_serializing_if = "Option::is_none")]
    pip: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    npm: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apt: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cargo: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gem: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    go: Option<Vec<String>>,
}

#[tool_router(router = create_environment_router, vis = "pub(super)")]
impl Server {
    /// Create a container template. A name that exists returns that environment unchanged.
    #[tool(
        title = "Create an environment",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(json!({
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "description": text_or_null(),
                "kind": text_or_null(),
                "networking": text_or_null(),
                "archived": {"type": "boolean"},
                "note": text_or_null(),
                "next": {"type": "string"},
            },
            "required": ["id", "name", "note", "next"],
        }))
    )]
    async fn create_environment(
        &self,
        Parameters(args): Parameters<CreateEnvironment>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let body = body(args)?;
        let call = self.attend(&context);
        let (row, note) = call.run(self.bridge.create_environment(body)).await?;
        let next = if Id::is_id(&row.id) {
            format!("create_session with environment {}.", row.id)
        } else {
            "list_environments shows those that can be used.".to_owned()
        };
        let noted = note
            .as_ref()
            .map(|note| format!("\nNote: {note}"))
            .unwrap_or_default();
        let text = format!(
            "Environment {} “{}”.{noted}\nNext: {next}",
            row.id, row.name
        );
        let facts = with(json!(row), "note", Some(json!(note)));
        let facts = with(facts, "next", Some(next));
        Ok(Shown::new(&facts, text))
    }
}

fn body(args: CreateEnvironment) -> Result<Value, ToolError> {
    text("name", &args.name, 256)?;
    let config = json!({"type": "cloud", "networking": networking(&args)?});
    let config = with(
        config,
        "packages",
        args.packages.map(|packages| json!(packages)),
    );
    let body = json!({"name": args.name, "config": config});
    Ok(with(body, "description", args.description))
}

fn networking(args: &CreateEnvironment) -> Result<Value, ToolError> {
    let limits = with(json!({}), "allowed_hosts", args.allowed_hosts.clone());
    let limits = with(
        limits,
        "allow_package_managers",
        args.allow_package_managers,
    );
    let limits = with(limits, "allow_mcp_servers", args.allow_mcp_servers);
    if args.networking == Some(Networking::Limited) {
        return Ok(with(limits, "type", Some("limited")));
    }
    if limits != json!({}) {
        return Err(ToolError::argument(
            "Limits were given, but the networking is not `limited`.",
            "pass `networking` limited with them, or leave them out.",
        ));
    }
    Ok(json!({"type": "unrestricted"}))
}
