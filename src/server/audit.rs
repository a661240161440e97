//! The audit log: a line on standard error for each tool call and each decision of the user. It says which tool, on what,
//! and what came of it; never what was said.

use chrono::{SecondsFormat, Utc};
use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::api::Id;
use crate::api::tally::Tally;
use crate::bridge::{Decision, Failure, Verdict};
use crate::config::Audit;
use crate::log;

/// Arguments that name what a call is about.
const IDS: [&str; 10] = [
    "session_id",
    "session_ids",
    "agent",
    "environment",
    "file_id",
    "event_id",
    "thread_id",
    "schedule_id",
    "deployment_id",
    "memory_store_id",
];

/// A fact of a line, in the order in which it is read.
type Field = (&'static str, Value);

/// A call that is under way.
pub(super) struct Entry {
    fields: Vec<Field>,
    began: Instant,
}

impl Entry {
    /// What there is to say of a call before it is made.
    pub(super) fn of(request: &CallToolRequestParams) -> Entry {
        let mut fields = vec![("tool", word(&request.name))];
        let argument = |name: &&'static str| {
            let value = request.arguments.as_ref()?.get(*name)?;
            Some((*name, ids(value)?))
        };
        fields.extend(IDS.iter().filter_map(argument));
        let decisions = request
            .arguments
            .as_ref()
            .map(decisions)
            .unwrap_or_default();
        if !decisions.is_empty() {
            fields.push(("decisions", decisions.into()));
        }
        Entry {
            fields,
            began: Instant::now(),
        }
    }

    /// Writes the line; no answer means that the client cancelled the call.
    pub(super) fn log(
        mut self,
        audit: Audit,
        answer: Option<&Result<CallToolResponse, ErrorData>>,
        tally: &Tally,
    ) {
        let is_named = self.fields.iter().any(|(name, _)| *name == "session_id");
        if let Some(session) = answer.and_then(session).filter(|_| !is_named) {
            self.fields.push(("session_id", session));
        }
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.fields.extend([
            ("outcome", outcome(answer)),
            ("milliseconds", json!(milliseconds)),
            ("requests", json!(tally.requests)),
            ("retries", json!(tally.retries)),
            ("request_id", json!(tally.request_id)),
        ]);
        write(audit, "call", self.fields);
    }
}

/// The user decided in a dialog, and what came of it.
pub(super) fn decided<T>(
    audit: Audit,
    session: &Id,
    decisions: &[Decision],
    sent: &Result<T, Failure>,
) {
    for Decision { event_id, verdict } in decisions {
        let decision = match verdict {
            Verdict::Allow => "allow",
            Verdict::Deny(_) => "deny",
            Verdict::Result { .. } => "result",
        };
        let fields = vec![
            ("session_id", json!(session.as_str())),
            ("event_id", word(event_id)),
            ("decision", json!(decision)),
            ("outcome", json!(outcome_of(sent))),
        ];
        write(audit, "dialog", fields);
    }
}

/// The client cancelled a task, and what came of it.
pub(super) fn cancelled_task(audit: Audit, session: &Id, outcome: &str) {
    let fields = vec![
        ("session_id", json!(session.as_str())),
        ("outcome", json!(outcome)),
    ];
    write(audit, "cancel_task", fields);
}

/// How sending something ended, in a word.
pub(super) fn outcome_of<T>(sent: &Result<T, Failure>) -> &'static str {
    match sent {
        Ok(_) => "ok",
        Err(Failure::DeliveryUnknown { .. }) => "unknown",
        Err(Failure::Argument { .. }) => "refused",
        Err(Failure::Api { .. }) => "error",
    }
}

fn write(audit: Audit, event: &'static str, fields: Vec<Field>) {
    let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    match audit {
        Audit::Off => {}
        Audit::Json => {
            let head = [("at", json!(at)), ("audit", json!(event))];
            let all = head.into_iter().chain(fields);
            let line: Map<String, Value> =
                all.map(|(name, value)| (name.to_owned(), value)).collect();
            log::line(&Value::Object(line).to_string());
        }
        Audit::Text => {
            let fields = fields.map(|(name, value)| format!(" {name}={}", in_words(&value)));
            log::line(&format!("{at} AUDIT {event}{}", fields.collect::<String>()));
        }
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A word that came from the client, if it can only be one.
fn word(text: &str) -> Value {
    match Id::parse(text) {
        Ok(id) => json!(id.as_str()),
        Err(_) => json!("?"),
    }
}

/// An id or a list of them. A name with blanks is none, and may say something.
fn ids(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(word(text)),
        Value::Array(items) => {
            let ids = items
                .iter()
                .map(|item| word(item.as_str().unwrap_or_default()));
            Some(ids.collect())
        }
        _ => None,
    }
}

/// `allow:sevt_…` (or `deny`, `result`, `invalid`) for each answer of resolve_action.
fn decisions(arguments: &JsonObject) -> Vec<String> {
    let decisions = arguments.get("decisions").and_then(Value::as_array);
    let text = |decision: &Value, name| {
        decision
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let said = |decision: &Value| match &*text(decision, "decision") {
        word @ ("allow" | "deny") => word.to_owned(),
        _ if decision.get("result").is_some() => "result".to_owned(),
        _ => "invalid".to_owned(),
    };
    let line = |decision: &Value| {
        let event = word(&text(decision, "event_id"));
        format!("{}:{}", said(decision), event.as_str().unwrap_or_default())
    };
    decisions.into_iter().flatten().map(line).collect()
}

/// The session that a result is about.
fn session(answer: &Result<CallToolResponse, ErrorData>) -> Option<Value> {
    let Ok(CallToolResponse::Complete(result)) = answer else {
        return None;
    };
    let facts = result.structured_content.as_ref()?;
    facts.get("session_id").and_then(Value::as_str).map(word)
}

/// How a session stands after the call, or how else it ended.
fn outcome(answer: Option<&Result<CallToolResponse, ErrorData>>) -> Value {
    let state = |facts: &Value| facts.get("state").and_then(Value::as_str).map(word);
    match answer {
        None => json!("cancelled"),
        Some(Err(_)) => json!("refused"),
        Some(Ok(CallToolResponse::Complete(result))) if result.is_error == Some(true) => {
            json!("error")
        }
        Some(Ok(CallToolResponse::Complete(result))) => {
            let facts = result.structured_content.as_ref();
            facts.and_then(state).unwrap_or_else(|| json!("ok"))
        }
        Some(Ok(CallToolResponse::InputRequired(_))) => json!("input_required"),
        Some(Ok(CallToolResponse::Task(_))) => json!("task"),
        Some(Ok(_)) => json!("ok"),
    }
}
