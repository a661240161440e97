//! `get_events`: read a session's record.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use super::{ToolError, id, optional_id};
use crate::bridge::{Order, Reading};
use crate::server::Server;
use crate::server::present::{Answer, Shown, page_schema, schema};
use crate::session::digest::Detail;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetEvents {
    /// The session.
    session_id: String,
    /// Cursor: an event id to go on from.
    after: Option<String>,
    /// For something new. Default 0.
    #[serde(default)]
    wait_seconds: u64,
    /// Only these, such as agent.message.
    #[serde(default)]
    types: Vec<String>,
    /// Only this thread.
    thread_id: Option<String>,
    /// Cleaned text (default), or the API's objects.
    #[serde(default)]
    detail: Shape,
    /// One event, whole.
    event_id: Option<String>,
    /// With event_id: from this character.
    #[serde(default)]
    offset: usize,
    /// Up to 1000; default 50.
    limit: Option<usize>,
    /// Oldest (default) or newest first.
    #[serde(default)]
    order: Direction,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Shape {
    #[default]
    Digest,
    Full,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Direction {
    #[default]
    Asc,
    Desc,
}

#[tool_router(router = get_events_router, vis = "pub(super)")]
impl Server {
    /// Read what happened in a session, page by page: pass `cursor` back as `after`, and no event is lost or shown
    /// twice. For the answer and the state get_status is shorter. Returns `events`, `cursor`, `more`.
    #[tool(
        title = "Read a session's events",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(page_schema())
    )]
    async fn get_events(
        &self,
        Parameters(args): Parameters<GetEvents>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let session = id("session_id", &args.session_id)?;
        let detail = match args.detail {
            Shape::Digest => Detail::Digest,
            Shape::Full => Detail::Full,
        };
        let patience = self.bridge.patience(Some(args.wait_seconds));
        let call = self.attend(&context);
        if let Some(event) = optional_id("event_id", args.event_id.as_deref())? {
            let page = call
                .run(
                    self.bridge
                        .read_one(&session, &event, detail, args.offset, &patience),
                )
                .await?;
            return Ok(Shown::page(&page));
        }
        let limit = args.limit.unwrap_or(50);
        if !(1..=1000).contains(&limit) {
            return Err(ToolError::argument(
                "`limit` must be 1 to 1000.",
                "pass a number from 1 to 1000; `after` reads on.",
            ));
        }
        let reading = Reading {
            after: optional_id("after", args.after.as_deref())?.map(|id| id.to_string()),
            types: args.types,
            thread: optional_id("thread_id", args.thread_id.as_deref())?,
            detail,
            limit,
            order: if args.order == Direction::Asc {
                Order::Oldest
            } else {
                Order::Newest
            },
        };
        let page = call
            .run(
                self.bridge
                    .read(&session, &reading, &patience, call.attention()),
            )
            .await?;
        Ok(Shown::page(&page))
    }
}
