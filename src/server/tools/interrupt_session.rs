//! `interrupt_session`: stop the current turn.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use super::{id, optional_id};
use crate::server::Server;
use crate::server::present::{Answer, Shown, report_schema, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InterruptSession {
    /// The session.
    session_id: String,
    /// Only this thread.
    thread_id: Option<String>,
    /// Until it stopped; 0: return at once.
    wait_seconds: Option<u64>,
}

#[tool_router(router = interrupt_session_router, vis = "pub(super)")]
impl Server {
    /// Stop the current turn and its cost. The session stays: send_message goes on. Cancelling a call does not stop
    /// the agent; this does. Returns a report.
    #[tool(
        title = "Stop the turn",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(report_schema())
    )]
    async fn interrupt_session(
        &self,
        Parameters(args): Parameters<InterruptSession>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let session = id("session_id", &args.session_id)?;
        let thread = optional_id("thread_id", args.thread_id.as_deref())?;
        let patience = self.bridge.patience(args.wait_seconds);
        let call = self.attend(&context);
        let report = call
            .run(
                self.bridge
                    .interrupt(&session, thread.as_ref(), &patience, call.attention()),
            )
            .await?;
        Ok(Shown::report(report, self.bridge.config().result_chars))
    }
}
