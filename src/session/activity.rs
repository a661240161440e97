//! What an agent did, a line for each thing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::clean::clean_line;
use super::history::is_call;
use super::report::{Anew, cut, tool_name};
use super::summary::{is_known, summary};
use crate::api::events::Event;

/// Longest line of activity, in characters.
const ACTIVITY_LINE: usize = 90;

/// One line for each tool call, with how it ended, and for what else a reader should know of; each text is written `anew` before
/// it is cut.
pub(super) fn activity(events: &[&Event], pending: &[String], anew: Anew) -> Vec<String> {
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
        kind if is_call(kind) => Some(format!(
            "{} ({})",
            tool_line(event, ACTIVITY_LINE, anew),
            outcome(&event.id)
        )),
        kind if is_news(kind) || !is_known(kind) => {
            Some(cut(&(anew.text)(&summary(event)), ACTIVITY_LINE))
        }
        _ => None,
    };
    let lines = events.iter().filter_map(line);
    lines.map(|line| clean_line(&line)).collect()
}

/// What a reader should know of beside calls.
fn is_news(kind: &str) -> bool {
    matches!(
        kind,
        "session.error"
            | "session.status_rescheduled"
            | "session.thread_created"
            | "agent.thread_message_received"
            | "span.outcome_evaluation_end"
    )
}

/// `bash: cargo test`, at most `width` characters, each text written `anew` before it is cut.
pub fn tool_line(event: &Event, width: usize, anew: Anew) -> String {
    let value = event.value();
    let input = value.get("input").unwrap_or(&Value::Null);
    // The one argument that says most, by the names that the built-in tools give it.
    let telling = ["command", "file_path", "path", "pattern", "query", "url"]
        .iter()
        .find_map(|key| input.get(*key).and_then(Value::as_str));
    let argument = match telling {
        Some(text) => (anew.text)(&clean_line(text)),
        None if input.is_null() => String::new(),
        None => clean_line(&(anew.value)(input).to_string()),
    };
    let name = (anew.text)(&tool_name(&value));
    cut(
        &if argument.is_empty() {
            name
        } else {
            format!("{name}: {argument}")
        },
        width,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::report::rewritten;

    #[test]
    fn no_line_shows_the_beginning_of_what_the_whole_hides() {
        let anew = Anew {
            text: |text| text.replace("TOKEN", "[hidden]"),
            value: |value| rewritten(value, &|text| text.replace("TOKEN", "[hidden]")),
        };
        for before in 0..ACTIVITY_LINE {
            let text = format!("{} TOKEN and more", "x".repeat(before));
            for event in [
                json!({"type": "agent.tool_use", "name": "bash", "input": {"command": text}}),
                json!({"type": "agent.tool_use", "name": "bash", "input": {"a": text, "TOKEN": 1}}),
                json!({"type": "agent.tool_use", "name": text, "input": {}}),
                json!({"type": "session.error", "error": {"message": text}}),
                json!({"type": "session.odd", "text": text}),
            ] {
                let event: Event = serde_json::from_value(event).unwrap();
                let lines = activity(&[&event], &[], anew);
                assert!(
                    !lines[0].is_empty() && !lines[0].contains("TO"),
                    "{lines:?}"
                );
            }
        }
    }
}
