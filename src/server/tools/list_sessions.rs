//! `list_sessions`: which sessions exist.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::parameters::Parameters;
use super::{ToolError, optional_id};
use crate::api::events::parse_time;
use crate::bridge::{Listed, SessionQuery, SessionRow};
use crate::server::Server;
use crate::server::present::{Answer, Shown, list_schema, number_or_null, schema, text_or_null};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSessions {
    /// Id or name.
    agent: Option<String>,
    /// Version of the agent.
    agent_version: Option<u64>,
    /// Any of these.
    #[serde(default)]
    status: Vec<Status>,
    /// Started by this schedule.
    deployment_id: Option<String>,
    /// With this store.
    memory_store_id: Option<String>,
    /// RFC 3339 time.
    created_after: Option<String>,
    /// RFC 3339 time.
    created_before: Option<String>,
    /// Archived ones too.
    #[serde(default)]
    include_archived: bool,
    /// Only those started through this product.
    #[serde(default)]
    mine: bool,
    /// Default: newest first.
    order: Option<Direction>,
    /// 1 to 100; default 20.
    limit: Option<u32>,
    /// Token of a page.
    page: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Status {
    Idle,
    Running,
    Rescheduling,
    Terminated,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Direction {
    Asc,
    Desc,
}

#[tool_router(router = list_sessions_router, vis = "pub(super)")]
impl Server {
    /// Which sessions exist, and how they stand. get_status tells more about one.
    #[tool(
        title = "List sessions",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(list_schema("sessions", json!({
            "session_id": {"type": "string"},
            "title": text_or_null(),
            "state": text_or_null(),
            "agent": {"type": "string"},
            "created_at": text_or_null(),
            "updated_at": text_or_null(),
            "cost_usd": number_or_null(),
            "archived": {"type": "boolean"},
        }), &["session_id", "state"]))
    )]
    async fn list_sessions(
        &self,
        Parameters(args): Parameters<ListSessions>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let query = query(args)?;
        let call = self.attend(&context);
        let listed = call.run(self.bridge.list_sessions(query)).await?;
        Ok(shown(listed, self.bridge.config().result_chars))
    }
}

fn query(args: ListSessions) -> Result<SessionQuery, ToolError> {
    for (name, time) in [
        ("created_after", &args.created_after),
        ("created_before", &args.created_before),
    ] {
        if time.as_ref().is_some_and(|time| parse_time(time).is_none()) {
            return Err(ToolError::argument(
                format!("`{name}` is not an RFC 3339 time."),
                "pass a time such as 2026-11-01T00:00:00Z.",
            ));
        }
    }
    if args.limit.is_some_and(|limit| !(1..=100).contains(&limit)) {
        return Err(ToolError::argument(
            "`limit` must be 1 to 100.",
            "pass a number from 1 to 100; `page` reads on.",
        ));
    }
    let word = |status: &Status| match status {
        Status::Idle => "idle",
        Status::Running => "running",
        Status::Rescheduling => "rescheduling",
        Status::Terminated => "terminated",
    };
    Ok(SessionQuery {
        agent: args.agent,
        agent_version: args.agent_version,
        statuses: args.status.iter().map(word).map(str::to_owned).collect(),
        deployment_id: optional_id("deployment_id", args.deployment_id.as_deref())?,
        memory_store_id: optional_id("memory_store_id", args.memory_store_id.as_deref())?,
        created_after: args.created_after,
        created_before: args.created_before,
        include_archived: args.include_archived,
        mine: args.mine,
        order: args.order.map(|order| match order {
            Direction::Asc => "asc",
            Direction::Desc => "desc",
        }),
        limit: args.limit.unwrap_or(20),
        page: args.page,
    })
}

fn shown(listed: Listed<SessionRow>, budget: usize) -> Shown {
    Shown::rows("sessions", listed, budget, |row| {
        let title = row
            .title
            .as_ref()
            .map(|title| format!(" “{title}”"))
            .unwrap_or_default();
        let cost = row
            .cost_usd
            .map(|cost| format!(" · ${cost:.2}"))
            .unwrap_or_default();
        let archived = if row.archived { " · archived" } else { "" };
        let state = row.state.map_or("state unknown", |state| state.word());
        let created = row.created_at.as_deref().unwrap_or("?");
        format!(
            "{} {state}{title} · {} · {created}{cost}{archived}",
            row.session_id, row.agent
        )
    })
}
