//! Archive or delete: what close_session, close_agent and close_environment take and return.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bridge::{Ending, Retired};
use crate::server::present::{Shown, text_or_null};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Mode {
    #[default]
    Archive,
    Delete,
}

impl Mode {
    pub(super) fn ending(self) -> Ending {
        match self {
            Mode::Archive => Ending::Archive,
            Mode::Delete => Ending::Delete,
        }
    }
}

/// The word for what became of it.
pub(super) fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Archive => "archived",
        Ending::Delete => "deleted",
    }
}

/// Shape of [`retired`].
pub(super) fn retired_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "closed": {"type": "string", "enum": ["archived", "deleted"]},
            "note": text_or_null(),
            "next": {"type": "string"},
        },
        "required": ["id", "closed", "note", "next"],
    })
}

/// An agent or environment that is no more.
pub(super) fn retired(noun: &str, retired: &Retired) -> Shown {
    let word = word(retired.ending);
    let next = format!(
        "no new session can use it, and this cannot be undone. Sessions that use the {noun} continue."
    );
    let note = retired
        .note
        .as_ref()
        .map(|note| format!("\nNote: {note}"))
        .unwrap_or_default();
    let text = format!("The {noun} {} is {word}.{note}\nNext: {next}", retired.id);
    let facts = json!({"id": retired.id, "closed": word, "note": retired.note, "next": next});
    Shown::new(&facts, text)
}
