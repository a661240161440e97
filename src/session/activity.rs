//! What an agent did, a line for each thing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::clean::clean_line;
use super::report::{cut, tool_name};
use super::summary::{is_known, summary};
use crate::api::events::Event;

/// Longest line of activity, in characters.
const ACTIVITY_LINE: usize = 90;

/// One line for each tool call, with how it ended, and for what else a reader should know of.
pub(super) fn activity(events: &[&Event], pending: &[String]) -> Vec<String> {
    let results: HashMap<String, bool> = events
        .iter()
        .filter(|event| event.kind.ends_with("tool_result"))
        .filter_map(|event| Some((event.answers()?, event.is_error())))
        .collect();
    let denied: HashSet<String> = events
        .iter()
        .filter(|event| event.kind == "user.tool_confirmation")
        .filter(|event| event.value().get("result").and_then(Value::as_str) == Some("deny"))
        .filter_map(|event| event.answers())
        .collect();
    let outcome = |id: &str| match results.get(id) {
        _ if denied.contains(id) => "denied",
        Some(true) => "error",
        Some(false) => "ok",
        None if pending.iter().any(|waits| waits == id) => "waits for an answer",
        None => "no result yet",
    };
    let line = |event: &&Event| match event.kind.as_str() {
        "agent.tool_use" | "agent.mcp_tool_use" | "agent.custom_tool_use" => Some(format!(
            "{} ({})",
            tool_line(event, ACTIVITY_LINE),
            outcome(&event.id)
        )),
        "session.error" | "session.status_rescheduled" | "span.outcome_evaluation_end" => {
            Some(cut(&summary(event), ACTIVITY_LINE))
        }
        "session.thread_created" | "agent.thread_message_received" => {
            Some(cut(&summary(event), ACTIVITY_LINE))
        }
        kind if !is_known(kind) => Some(cut(&summary(event), ACTIVITY_LINE)),
        _ => None,
    };
    let lines = events.iter().filter_map(line);
    lines.map(|line| clean_line(&line)).collect()
}

/// `bash: cargo test`, at most `width` characters.
pub fn tool_line(event: &Event, width: usize) -> String {
    let value = event.value();
    let input = value.get("input").unwrap_or(&Value::Null);
    // The one argument that says most, by the names that the built-in tools give it.
    let telling = ["command", "file_path", "path", "pattern", "query", "url"]
        .iter()
        .find_map(|key| input.get(*key).and_then(Value::as_str));
    let argument = match telling {
        Some(text) => clean_line(text),
        None if input.is_null() => String::new(),
        None => clean_line(&input.to_string()),
    };
    let name = tool_name(&value);
    cut(
        &if argument.is_empty() {
            name
        } else {
            format!("{name}: {argument}")
        },
        width,
    )
}
