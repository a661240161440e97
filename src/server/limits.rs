//! How much an argument may hold, whatever tool it is for: what is beyond is refused before anything is done with it.

use rmcp::model::JsonObject;
use serde_json::Value;

use super::present::ToolError;

/// Longest text of an argument that nothing else is said of.
const TEXT_CHARS: usize = 1_000_000;
/// Entries of a list, and fields of an object.
const MOST_ENTRIES: usize = 1000;
/// Types of events that are asked for, of which there are a few dozen.
const MOST_TYPES: usize = 50;
/// Lists and objects within each other.
const DEEPEST: usize = 32;

/// Longest text of what is a word or a line.
fn longest(name: &str) -> usize {
    match name {
        "agent" | "environment" | "title" | "name" | "name_contains" | "request_key" | "cron"
        | "timezone" | "branch" | "commit" | "model" | "status" | "created_after"
        | "created_before" => 300,
        "types" => 100,
        "page" | "url" | "path" | "directory" | "mount_path" => 4096,
        _ => TEXT_CHARS,
    }
}

/// Most entries of a list.
fn most_entries(name: &str) -> usize {
    if name == "types" {
        MOST_TYPES
    } else {
        MOST_ENTRIES
    }
}

/// What means nothing when it is blank.
fn must_say_something(name: &str) -> bool {
    matches!(
        name,
        "agent"
            | "environment"
            | "name"
            | "request_key"
            | "cron"
            | "timezone"
            | "branch"
            | "commit"
            | "model"
            | "status"
            | "created_after"
            | "created_before"
            | "page"
            | "url"
            | "path"
            | "mount_path"
    )
}

/// Refuses what is too long, too many, too deep or blank.
pub(super) fn check(arguments: &JsonObject) -> Result<(), ToolError> {
    for (name, value) in arguments {
        within(name, value, 1).map_err(|why| {
            // A name that the client made up may be anything.
            let shown: String = name.chars().take(60).collect();
            ToolError::argument(format!("`{shown}` {why}. Nothing was sent."), advice(name))
        })?;
    }
    Ok(())
}

/// What to do about it: only where long texts are asked for, they have a better place.
fn advice(name: &str) -> &'static str {
    if longest(name) < TEXT_CHARS {
        "correct it and make the call again."
    } else {
        "correct it and make the call again; long material belongs in a repository or a mounted file."
    }
}

fn within(name: &str, value: &Value, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("is nested deeper than {DEEPEST} levels"));
    }
    match value {
        Value::String(text) => {
            if text.trim().is_empty() && must_say_something(name) {
                return Err("is empty".to_owned());
            }
            let most = longest(name);
            let is_long = text.len() > most && text.chars().count() > most;
            if is_long {
                return Err(format!("has more than {most} characters"));
            }
            Ok(())
        }
        Value::Array(items) => {
            few(items.len(), most_entries(name))?;
            items
                .iter()
                .try_for_each(|item| within(name, item, depth + 1))
        }
        Value::Object(fields) => {
            few(fields.len(), MOST_ENTRIES)?;
            let mut fields = fields.iter();
            fields.try_for_each(|(name, value)| within(name, value, depth + 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn few(count: usize, most: usize) -> Result<(), String> {
    if count > most {
        return Err(format!("has more than {most} entries"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(arguments: Value) -> Option<String> {
        let refused = check(arguments.as_object().unwrap()).err();
        refused.map(|error| error.to_string())
    }

    #[test]
    fn what_is_too_long_too_many_or_too_deep_is_refused_by_name() {
        let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
        for (arguments, word) in [
            (json!({"title": "x".repeat(301)}), "300"),
            (json!({"message": "x".repeat(TEXT_CHARS + 1)}), "1000000"),
            (json!({"repositories": [{"url": "x".repeat(5000)}]}), "4096"),
            (json!({"vault_ids": vec!["x"; 1001]}), "1000 entries"),
            (json!({"types": vec!["x"; 51]}), "50 entries"),
            (json!({"types": ["x".repeat(101)]}), "100 characters"),
            (json!({"tool_list": [deep]}), "deeper"),
            (json!({"agent": " "}), "empty"),
        ] {
            let is_text = arguments.get("message").is_some();
            let said = verdict(arguments).unwrap();
            assert!(said.contains(word) && said.contains("Next:"), "{said}");
            assert!(!is_text || said.contains("mounted file"), "{said}");
            assert!(!said.contains("`types`") || !said.contains("mounted file"));
        }
        for fine in [
            json!({"title": "ü".repeat(300), "message": "ü".repeat(TEXT_CHARS)}),
            json!({"metadata": {"a": "b"}, "vault_ids": vec!["x"; 1000], "wait_seconds": 1, "agent": null}),
        ] {
            assert_eq!(verdict(fine), None);
        }
    }
}
