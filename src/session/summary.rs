//! One event in words.

use serde_json::Value;

use super::clean::{clean, clean_line};
use super::history::is_call;
use super::report::{escaped, tool_name};
use crate::api::events::{Content, Event};

/// The types that this version knows; all others are shown by name wherever they occur.
const KNOWN: &[&str] = &[
    "user.message",
    "user.interrupt",
    "user.tool_confirmation",
    "user.custom_tool_result",
    "user.tool_result",
    "user.define_outcome",
    "system.message",
    "agent.message",
    "agent.thinking",
    "agent.tool_use",
    "agent.tool_result",
    "agent.mcp_tool_use",
    "agent.mcp_tool_result",
    "agent.custom_tool_use",
    "agent.thread_message_sent",
    "agent.thread_message_received",
    "agent.thread_context_compacted",
    "session.status_running",
    "session.status_idle",
    "session.status_rescheduled",
    "session.status_terminated",
    "session.error",
    "session.usage",
    "session.updated",
    "session.deleted",
    "session.thread_created",
    "span.model_request_start",
    "span.model_request_end",
    "span.outcome_evaluation_start",
    "span.outcome_evaluation_ongoing",
    "span.outcome_evaluation_end",
];

pub(super) fn is_known(kind: &str) -> bool {
    KNOWN.contains(&kind)
        || kind.starts_with("session.thread_status_")
        || kind.starts_with("workflow_run.")
}

/// Whether the digest leaves an event out: it has no content of its own.
pub fn is_noise(kind: &str) -> bool {
    matches!(kind, "agent.thinking" | "session.usage") || kind.starts_with("span.model_request")
}

/// An event in words, cleaned but not cut; several lines where the event has them.
pub fn summary(event: &Event) -> String {
    let words = words(event);
    match event.content() {
        Content::Whole | Content::Beginning => words,
        Content::InPart => format!("(cannot be shown whole) {words}"),
    }
}

fn words(event: &Event) -> String {
    let value = event.value();
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(|text| clean(text).text)
    };
    match event.kind.as_str() {
        "agent.message" | "user.message" | "system.message" => clean(&event.text()).text,
        kind if is_call(kind) => {
            let input = escaped(value.get("input").unwrap_or(&Value::Null));
            format!("{} {input}", tool_name(&value))
        }
        kind if kind.ends_with("tool_result") => {
            let failed = value.get("is_error").and_then(Value::as_bool) == Some(true);
            format!(
                "{}{}",
                if failed { "(error) " } else { "" },
                clean(&event.text()).text
            )
        }
        "user.tool_confirmation" => {
            let why = text("/deny_message")
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            format!("{}{why}", text("/result").unwrap_or_default())
        }
        "session.status_idle" => match event.stop_reason() {
            Some(reason) => clean_line(&format!(
                "idle: {} {}",
                reason.kind,
                reason.event_ids.join(" ")
            )),
            None => "idle".to_owned(),
        },
        "session.error" => {
            let part = |pointer| text(pointer).unwrap_or_default();
            let retry = text("/error/retry_status/type")
                .or_else(|| text("/error/retry_status"))
                .map(|retry| format!(" ({retry})"))
                .unwrap_or_default();
            clean_line(&format!(
                "error {}{retry}: {}",
                part("/error/type"),
                part("/error/message")
            ))
        }
        "span.outcome_evaluation_end" => {
            let part = |pointer| text(pointer).unwrap_or_default();
            format!("outcome {}: {}", part("/result"), part("/explanation"))
        }
        "session.status_running" | "session.status_rescheduled" | "session.status_terminated" => {
            event.kind.trim_start_matches("session.status_").to_owned()
        }
        "agent.thread_message_sent" => {
            let to = other_agent(&value, "to_agent_name");
            format!("to {to}: {}", clean(&event.text()).text)
        }
        "agent.thread_message_received" => {
            let from = other_agent(&value, "from_agent_name");
            format!("from {from}: {}", clean(&event.text()).text)
        }
        "session.thread_created" => {
            format!("thread created: {}", other_agent(&value, "agent_name"))
        }
        kind if kind.starts_with("session.thread_status_") => {
            let thread = text("/agent_name")
                .or_else(|| text("/session_thread_id"))
                .unwrap_or_default();
            clean_line(&format!(
                "thread {}: {thread}",
                kind.trim_start_matches("session.thread_status_")
            ))
        }
        kind => rest(kind, &value),
    }
}

/// The name of the agent at the other end; that of the primary thread is not told.
fn other_agent(value: &Value, field: &str) -> String {
    let name = value.get(field).and_then(Value::as_str).map(clean_line);
    name.unwrap_or_else(|| "the primary agent".to_owned())
}

/// An event that has no form of its own: its type, and its fields as they came.
fn rest(kind: &str, value: &Value) -> String {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !matches!(name.as_str(), "id" | "type" | "processed_at"));
    let kind = clean_line(kind);
    if fields.is_empty() {
        kind
    } else {
        format!("{kind} {}", escaped(&Value::Object(fields)))
    }
}
