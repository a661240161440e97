//! The shapes of results, as `outputSchema` declares them: what a program reads of them.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::session::turn::State;

/// A schema for a tool's result, from its JSON.
pub(in crate::server) fn schema(schema: Value) -> Arc<JsonObject> {
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

fn nullable(kind: &str) -> Value {
    json!({"anyOf": [{"type": kind}, {"type": "null"}]})
}

pub(in crate::server) fn strings() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn states() -> Value {
    json!({"type": "string", "enum": State::ALL.map(State::word)})
}

/// Shape of a [`Report`](crate::session::report::Report). It stands in six tools, so it names what a program reads and leaves out the rest.
pub(in crate::server) fn report_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "session_id": {"type": "string"},
            "state": states(),
            "reason": nullable("string"),
            "reply": nullable("string"),
            "activity": strings(),
            "pending": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "event_id": {"type": "string"},
                    "kind": {"type": "string"},
                    "tool": {"type": "string"},
                },
            }},
            "outcome": {"type": "object"},
            "cursor": nullable("string"),
            "usage": {"type": "object"},
            "url": {"type": "string"},
            "omitted": nullable("string"),
            "next": {"type": "string"},
        },
        "required": ["session_id", "state", "reply", "pending", "cursor", "next"],
    })
}

/// Shape of a [`Page`](crate::session::digest::Page).
pub(in crate::server) fn page_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "session_id": {"type": "string"},
            "state": states(),
            "events": {"type": "array", "items": {"type": "object"}},
            "cursor": nullable("string"),
            "more": {"type": "boolean"},
            "omitted": nullable("string"),
            "next": {"type": "string"},
        },
        "required": ["session_id", "state", "events", "cursor", "more", "omitted", "next"],
    })
}

/// Shape of a list: rows with these fields, and page tokens.
pub(in crate::server) fn list_schema(name: &str, fields: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": {
            name: {"type": "array", "items": {"type": "object", "properties": fields, "required": required}},
            "next_page": nullable("string"),
            "next": {"type": "string"},
        },
        "required": [name, "next_page", "next"],
    })
}

/// Shape of an agent.
pub(in crate::server) fn agent_schema() -> Value {
    json!({
        "type": "object",
        "properties": {"agent": {"type": "object"}, "omitted": nullable("string"), "next": {"type": "string"}},
        "required": ["agent", "omitted", "next"],
    })
}

/// `anyOf` string and null.
pub(in crate::server) fn text_or_null() -> Value {
    nullable("string")
}

/// `anyOf` number and null.
pub(in crate::server) fn number_or_null() -> Value {
    nullable("number")
}
