//! `close_session`: archive or delete.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::ending::{Mode, word};
use super::id;
use super::parameters::Parameters;
use crate::bridge::Ending;
use crate::server::Server;
use crate::server::present::{Answer, Shown, number_or_null, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseSession {
    /// The session.
    session_id: String,
    /// archive (default): read-only, the record stays. delete: gone with its record; files stay.
    #[serde(default)]
    mode: Mode,
    /// Stop a running turn first; else a working session is left alone.
    #[serde(default)]
    interrupt: bool,
}

#[tool_router(router = close_session_router, vis = "pub(super)")]
impl Server {
    /// Close a session that is done with. This cannot be undone: collect what you need first; delete only if the user
    /// asked for it.
    #[tool(
        title = "Close a session",
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(json!({
            "type": "object",
            "properties": {
                "session_id": {"type": "string"},
                "closed": {"type": "string", "enum": ["archived", "deleted"]},
                "cost_usd": number_or_null(),
                "next": {"type": "string"},
            },
            "required": ["session_id", "closed", "cost_usd", "next"],
        }))
    )]
    async fn close_session(
        &self,
        Parameters(args): Parameters<CloseSession>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let session = id("session_id", &args.session_id)?;
        let call = self.attend(&context);
        let closed = call
            .run(self.bridge.close(
                &session,
                args.mode.ending(),
                args.interrupt,
                call.attention(),
            ))
            .await?;
        let word = word(closed.ending);
        let next = match closed.ending {
            Ending::Archive => "get_events still reads the record; archiving cannot be undone.",
            Ending::Delete => "nothing more to do: the record is gone, and this cannot be undone.",
        };
        let cost = closed.last.usage.cost_usd;
        let spent = cost
            .map(|cost| format!(" It cost ${cost:.2}."))
            .unwrap_or_default();
        let text = format!("Session {session} is {word}.{spent}\nNext: {next}");
        let facts =
            json!({"session_id": session.as_str(), "closed": word, "cost_usd": cost, "next": next});
        Ok(Shown::new(&facts, text))
    }
}
