//! `resolve_action`: answer what an agent waits for.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use super::{ToolError, id};
use crate::bridge::{Decider, Decision, Verdict};
use crate::server::Server;
use crate::server::approvals::Round;
use crate::server::present::{report_schema, schema};
use crate::server::reply::Waited;

/// Longest reason, in characters, as the API has it.
const REASON_CHARS: usize = 10_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveAction {
    /// The session.
    session_id: String,
    /// One per entry of `pending` that is decided.
    decisions: Vec<Given>,
    /// For what follows; 0: return at once.
    wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Given {
    /// Of the pending entry.
    event_id: String,
    /// On a tool_confirmation: what the user said.
    decision: Option<Choice>,
    /// With deny: why.
    reason: Option<String>,
    /// For custom_tool_result and tool_result: what the tool returned.
    result: Option<String>,
    /// The tool failed.
    is_error: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Choice {
    Allow,
    Deny,
}

#[tool_router(router = resolve_action_router, vis = "pub(super)")]
impl Server {
    /// Answer what a session in `needs_action` waits for, after the user decided: show the tool and its input first,
    /// never allow on your own account. What is not answered stays pending. Returns a report.
    #[tool(
        title = "Allow, deny or answer",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema(report_schema())
    )]
    async fn resolve_action(
        &self,
        round: Round,
        Parameters(args): Parameters<ResolveAction>,
        context: RequestContext<RoleServer>,
    ) -> Waited {
        let session = id("session_id", &args.session_id)?;
        let decisions: Vec<Decision> = args
            .decisions
            .into_iter()
            .map(Given::decision)
            .collect::<Result<_, _>>()?;
        let mut ids: Vec<&str> = decisions
            .iter()
            .map(|decision| decision.event_id.as_str())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(ToolError::argument(
                "`decisions` is empty.",
                "pass an entry for each call that the user decided; what is left out stays pending.",
            ));
        }
        if ids.len() != decisions.len() {
            return Err(ToolError::argument(
                "`decisions` names an event_id twice.",
                "decide each pending entry once.",
            ));
        }
        let patience = self.bridge.patience(args.wait_seconds);
        let call = self.attend(&context);
        let resolved = self.bridge.resolve(
            &session,
            &decisions,
            Decider::Assistant,
            None,
            &patience,
            call.attention(),
        );
        self.waited(&context, &round, &patience, &call, resolved)
            .await
    }
}

impl Given {
    fn decision(self) -> Result<Decision, ToolError> {
        let event_id = id("event_id", &self.event_id)?.to_string();
        let length = self.reason.iter().flat_map(|reason| reason.chars()).count();
        if length > REASON_CHARS {
            return Err(ToolError::argument(
                format!(
                    "`reason` on {event_id} has {length} characters; at most {REASON_CHARS} are taken."
                ),
                "shorten it; send_message says more once nothing is pending.",
            ));
        }
        let verdict = match (self.decision, self.result) {
            (Some(Choice::Allow), None) if self.reason.is_none() && self.is_error.is_none() => {
                Verdict::Allow
            }
            (Some(Choice::Deny), None) if self.is_error.is_none() => Verdict::Deny(self.reason),
            (None, Some(text)) if self.reason.is_none() => Verdict::Result {
                text,
                is_error: self.is_error.unwrap_or(false),
            },
            (Some(Choice::Allow), None) if self.reason.is_some() => {
                return Err(ToolError::argument(
                    format!("`reason` goes only with deny, so nothing was sent about {event_id}."),
                    "an allow takes no conditions: leave `reason` out, or deny and say what to do instead.",
                ));
            }
            _ => {
                return Err(ToolError::argument(
                    format!("The decision on {event_id} is not clear, so nothing was sent."),
                    "pass `decision` allow; or `decision` deny with an optional `reason` (an allow takes no conditions); or `result` with an optional `is_error`.",
                ));
            }
        };
        Ok(Decision { event_id, verdict })
    }
}
