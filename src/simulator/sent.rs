//! The events a client may send, and the rules for each.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, items, set, text};
use super::stamp;
use super::state::State;

const KINDS: [&str; 7] = [
    "user.message",
    "user.interrupt",
    "user.tool_confirmation",
    "user.custom_tool_result",
    "user.tool_result",
    "user.define_outcome",
    "system.message",
];

/// What a session may begin with.
pub(super) const OF_SESSIONS: [&str; 2] = ["user.message", "user.define_outcome"];
/// What a deployment's sessions may begin with.
pub(super) const OF_DEPLOYMENTS: [&str; 3] =
    ["user.message", "user.define_outcome", "system.message"];

/// One of a session's initial events, of one of these kinds.
pub(super) fn initial(value: &Value, path: &str, kinds: &[&str]) -> Answer {
    if !kinds.contains(&text(value, "/type")) {
        return Err(Refusal::invalid(format!(
            "{path}.type: initial events are one of: {}",
            kinds.join(", ")
        )));
    }
    checked(value, path)
}

/// Refuses an event that refers to a file which is not there.
pub(super) fn check_files(state: &State, event: &Value) -> Result<(), Refusal> {
    let blocks = items(event, "/content").iter();
    let sources = blocks.map(|block| at(block, "/source"));
    sources
        .chain([at(event, "/rubric")])
        .filter(|source| text(source, "/type") == "file")
        .try_for_each(|source| state.files.check(text(source, "/file_id")))
}

/// An event as sent, checked, and as the API keeps it: with an id and no time yet.
pub(super) fn checked(value: &Value, path: &str) -> Answer {
    match text(value, "/type") {
        "user.message" => {
            let fields = Fields::of(value, path, &["type", "content"])?;
            content(&fields, &["text", "image", "document", "redacted"], 1)?;
        }
        "user.interrupt" => {
            Fields::of(value, path, &["type", "session_thread_id"])?
                .text("session_thread_id", 1..=256)?;
        }
        "user.tool_confirmation" => confirmation(value, path)?,
        "user.custom_tool_result" => result(value, path, "custom_tool_use_id")?,
        "user.tool_result" => result(value, path, "tool_use_id")?,
        "user.define_outcome" => return outcome(value, path),
        "system.message" => {
            content(
                &Fields::of(value, path, &["type", "content"])?,
                &["text"],
                1,
            )?;
        }
        kind => {
            return Err(Refusal::invalid(format!(
                "{path}.type: Input tag '{kind}' found using 'type' does not match any of the expected tags: {}",
                KINDS.join(", ")
            )));
        }
    }
    let mut event = value.clone();
    set(&mut event, "id", stamp::id("sevt"));
    set(&mut event, "processed_at", Value::Null);
    Ok(event)
}

fn confirmation(value: &Value, path: &str) -> Result<(), Refusal> {
    let fields = Fields::of(
        value,
        path,
        &["type", "tool_use_id", "result", "deny_message"],
    )?;
    fields.need_text("tool_use_id", 1..=256)?;
    fields.need("result")?;
    let result = fields.choice("result", &["allow", "deny"])?;
    if fields.text("deny_message", 0..=10_000)?.is_some() && result != Some("deny") {
        return Err(fields.wrong("deny_message", "Only allowed when result is 'deny'"));
    }
    Ok(())
}

fn result(value: &Value, path: &str, key: &str) -> Result<(), Refusal> {
    let fields = Fields::of(value, path, &["type", key, "content", "is_error"])?;
    fields.need_text(key, 1..=256)?;
    fields.flag("is_error")?;
    content(&fields, &["text", "image", "document", "search_result"], 0)
}

/// The API accepts an outcome at once, so it never has an empty time.
fn outcome(value: &Value, path: &str) -> Answer {
    let fields = Fields::of(
        value,
        path,
        &["type", "description", "rubric", "max_iterations"],
    )?;
    fields.need_text("description", 1..=100_000)?;
    let rubric = Fields::of(
        fields.need("rubric")?,
        &fields.path("rubric"),
        &["type", "content", "file_id"],
    )?;
    rubric.need("type")?;
    let of_text = rubric.choice("type", &["text", "file"])? == Some("text");
    let (key, other) = if of_text {
        ("content", "file_id")
    } else {
        ("file_id", "content")
    };
    rubric.need_text(key, 1..=100_000)?;
    if rubric.has(other) {
        return Err(rubric.wrong(other, "Extra inputs are not permitted"));
    }
    let most = fields.whole("max_iterations", 1..=20)?.unwrap_or(3);
    Ok(json!({
        "id": stamp::id("sevt"), "type": "user.define_outcome", "outcome_id": stamp::id("outc"),
        "description": fields.need("description")?, "rubric": fields.need("rubric")?, "max_iterations": most,
        "processed_at": stamp::processed_at(),
    }))
}

fn content(fields: &Fields<'_>, kinds: &[&str], least: usize) -> Result<(), Refusal> {
    let blocks = fields.array("content", 100)?;
    if blocks.len() < least {
        return Err(fields.wrong("content", "Field required: at least one content block"));
    }
    for (place, block) in blocks.iter().enumerate() {
        let path = format!("{}.{place}", fields.path("content"));
        let kind = text(block, "/type");
        if !kinds.contains(&kind) {
            return Err(Refusal::invalid(format!(
                "{path}.type: Input tag '{kind}' does not match any of: {}",
                kinds.join(", ")
            )));
        }
        match kind {
            "text" => {
                Fields::of(block, &path, &["type", "text"])?.need_text("text", 1..=usize::MAX)?;
            }
            "image" | "document" => source(block, &path)?,
            "search_result" => {
                let found = Fields::of(
                    block,
                    &path,
                    &["type", "citations", "content", "source", "title"],
                )?;
                for key in ["citations", "content", "source", "title"] {
                    found.need(key)?;
                }
            }
            _ => {
                Fields::of(block, &path, &["type"])?;
            }
        }
    }
    Ok(())
}

fn source(block: &Value, path: &str) -> Result<(), Refusal> {
    let allowed: &[&str] = if text(block, "/type") == "image" {
        &["type", "source"]
    } else {
        &["type", "source", "title", "context"]
    };
    let fields = Fields::of(block, path, allowed)?;
    let source = fields.need("source")?;
    let keys: &[&str] = match (text(source, "/type"), text(block, "/type")) {
        ("base64", _) | ("text", "document") => &["type", "media_type", "data"],
        ("url", _) => &["type", "url"],
        ("file", _) => &["type", "file_id"],
        (_, "image") => {
            return Err(fields.wrong("source.type", "Input should be base64, url or file"));
        }
        _ => return Err(fields.wrong("source.type", "Input should be base64, text, url or file")),
    };
    let source = Fields::of(source, &fields.path("source"), keys)?;
    keys.iter()
        .try_for_each(|key| source.need_text(key, 1..=usize::MAX).map(|_| ()))
}
