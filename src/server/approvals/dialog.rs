//! The dialog: what it shows, and what its answer says.

use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema};
use serde_json::{Value, json};

use crate::bridge::Verdict;
use crate::secrets;
use crate::session::report::{Pending, PendingKind, Report, Seen};

/// Nobody decides on more than can be read; what is longer stays for the session's page.
const LONGEST_INPUT: usize = 20_000;

/// Whether the whole call is known and can be shown: nobody shall decide on a part of it.
pub(in crate::server) fn fits(pending: &Pending) -> bool {
    let shown = pretty(&pending.input);
    pending.seen == Seen::Whole && shown.chars().count() <= LONGEST_INPUT
}

/// The dialog about a pending call. It is made of structured fields only, cleaned where the report was made.
pub(in crate::server) fn form(report: &Report, pending: &Pending) -> ElicitRequestParams {
    let title = report
        .title
        .as_ref()
        .map(|title| format!(" “{}”", title.replace(['“', '”'], "\"")))
        .unwrap_or_default();
    let agent = if report.simulated {
        "simulated"
    } else {
        "cloud"
    };
    let who = format!("The {agent} agent of session {}{title}", report.session_id);
    let what = match pending.kind {
        PendingKind::ToolConfirmation => "wants to run",
        PendingKind::CustomToolResult | PendingKind::ToolResult => "waits for the result of",
    };
    let message = format!("{who} {what} {}", pending.form());
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: schema(pending.kind),
    }
}

fn pretty(input: &Value) -> String {
    serde_json::to_string_pretty(input).unwrap_or_default()
}

fn schema(kind: PendingKind) -> ElicitationSchema {
    let schema = match kind {
        PendingKind::ToolConfirmation => json!({
            "type": "object",
            "properties": {
                "decision": {
                    "type": "string", "title": "Decision", "enum": ["allow", "deny"],
                    "description": "Allow or deny this one call; to decline this form decides nothing",
                },
                "reason": {
                    "type": "string", "title": "Reason",
                    "description": "With deny: what the agent is told; may be left empty",
                },
            },
            "required": ["decision"],
        }),
        PendingKind::CustomToolResult | PendingKind::ToolResult => json!({
            "type": "object",
            "properties": {
                "result": {
                    "type": "string", "title": "Result",
                    "description": "What the agent is told; decline to let the assistant answer",
                },
            },
            "required": ["result"],
        }),
    };
    // The literals above are of this form.
    serde_json::from_value(schema).unwrap_or_else(|_| ElicitationSchema::new(Default::default()))
}

/// What an answer says, as it came over the wire.
pub(in crate::server) fn verdict(answer: &Value, kind: Option<PendingKind>) -> Option<Verdict> {
    let answer = serde_json::from_value(answer.clone()).ok()?;
    match kind {
        Some(kind) => read(&answer, kind),
        // Of which kind the call is, the bridge knows.
        None => read(&answer, PendingKind::ToolConfirmation)
            .or_else(|| read(&answer, PendingKind::CustomToolResult)),
    }
}

/// Whether the host answered at all, though it may have said nothing.
pub(in crate::server) fn is_answer(answer: &Value) -> bool {
    serde_json::from_value::<ElicitResult>(answer.clone()).is_ok()
}

/// What an answer says: only what was accepted, is complete and fits the question says anything.
pub(in crate::server) fn read(answer: &ElicitResult, kind: PendingKind) -> Option<Verdict> {
    if answer.action != ElicitationAction::Accept {
        return None;
    }
    let content = answer.content.as_ref()?;
    let text = |name: &str| {
        // What is sent stays readable in the record.
        let text = secrets::mask(content.get(name)?.as_str()?);
        (!text.trim().is_empty()).then(|| text.into_owned())
    };
    match (kind, text("decision").as_deref(), text("result")) {
        (PendingKind::ToolConfirmation, Some("allow"), None) => Some(Verdict::Allow),
        (PendingKind::ToolConfirmation, Some("deny"), None) => Some(Verdict::Deny(text("reason"))),
        (PendingKind::CustomToolResult | PendingKind::ToolResult, None, Some(text)) => {
            Some(Verdict::Result {
                text,
                is_error: false,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_answer_decides() {
        let accepted =
            |content: Value| verdict(&json!({"action": "accept", "content": content}), None);
        assert!(matches!(
            accepted(json!({"decision": "allow"})),
            Some(Verdict::Allow)
        ));
        assert!(matches!(
            accepted(json!({"decision": "deny", "reason": "no"})),
            Some(Verdict::Deny(Some(reason))) if reason == "no"
        ));
        assert!(matches!(
            accepted(json!({"decision": "deny", "reason": " "})),
            Some(Verdict::Deny(None))
        ));
        for nothing in [
            json!({}),
            json!({"decision": "yes"}),
            json!({"decision": true}),
            json!({"decision": ""}),
            json!({"result": ""}),
            json!({"decision": "allow", "result": "both"}),
            json!(null),
            json!("allow"),
        ] {
            assert!(accepted(nothing.clone()).is_none(), "{nothing}");
        }
        for action in ["decline", "cancel"] {
            let answer = json!({"action": action, "content": {"decision": "allow"}});
            assert!(verdict(&answer, None).is_none(), "{action}");
        }
        assert!(verdict(&json!({"content": {"decision": "allow"}}), None).is_none());
    }

    #[test]
    fn each_form_is_one_that_hosts_can_show() {
        for kind in [PendingKind::ToolConfirmation, PendingKind::CustomToolResult] {
            let shown = serde_json::to_value(schema(kind)).unwrap();
            assert_eq!(shown["required"].as_array().unwrap().len(), 1);
            assert!(!shown["properties"].as_object().unwrap().is_empty());
        }
    }
}
