//! `send_message`: say the next thing in a session.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::outcome::{Outcome, attachments, question};
use super::parameters::Parameters;
use super::{ToolError, id};
use crate::bridge::Question;
use crate::server::Server;
use crate::server::approvals::Round;
use crate::server::present::{report_schema, schema};
use crate::server::reply::{Turn, Waited};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMessage {
    /// The session.
    session_id: String,
    /// What to say.
    message: Option<String>,
    /// As in create_session, instead of message.
    #[schemars(with = "Option<Map<String, Value>>")]
    outcome: Option<Outcome>,
    /// As in create_session.
    #[serde(default)]
    attachments: Vec<String>,
    /// Stop the current turn first.
    #[serde(default)]
    interrupt: bool,
    /// For the reply; 0: return at once.
    wait_seconds: Option<u64>,
}

#[tool_router(router = send_message_router, vis = "pub(super)")]
impl Server {
    /// Say the next thing to a session and wait for the reply to it; it keeps its files and the conversation. What the
    /// agent asks permission for is answered with resolve_action instead. Returns a report.
    #[tool(
        title = "Send a message",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema(report_schema())
    )]
    async fn send_message(
        &self,
        round: Round,
        Parameters(args): Parameters<SendMessage>,
        context: RequestContext<RoleServer>,
    ) -> Waited {
        let session = id("session_id", &args.session_id)?;
        let question =
            question(args.message.as_deref(), args.outcome.as_ref())?.ok_or_else(|| {
                ToolError::argument(
                    "Neither `message` nor `outcome` was given.",
                    "pass one of them.",
                )
            })?;
        let attachments = attachments(&args.attachments, args.outcome.is_some())?;
        let delegating = self.delegating(&context, &round, args.wait_seconds, Turn::Later);
        let call = self.attend(&context);
        let sent = self.bridge.send(
            &session,
            Question {
                event: question,
                attachments,
            },
            args.interrupt,
            &delegating.patience,
            call.attention(),
        );
        self.delegated(&context, &round, &delegating, &call, sent)
            .await
    }
}
