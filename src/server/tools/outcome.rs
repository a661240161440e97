//! What create_session and send_message both take: a message or a graded outcome.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{MESSAGE_CHARS, ToolError, id, text};
use crate::api::{Id, with};

/// Files that one message shows at most.
const MOST_ATTACHMENTS: usize = 20;

/// Work that a grader judges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    description: String,
    rubric: Option<String>,
    rubric_file_id: Option<String>,
    max_iterations: Option<u32>,
}

/// The event that asks for what was given: a message, an outcome, or neither.
pub(super) fn question(
    message: Option<&str>,
    outcome: Option<&Outcome>,
) -> Result<Option<Value>, ToolError> {
    match (message, outcome) {
        (Some(_), Some(_)) => Err(ToolError::argument(
            "Both `message` and `outcome` were given, but an outcome starts the work itself.",
            "put the whole task into `outcome.description`, or pass `message` alone.",
        )),
        (Some(message), None) => {
            text("message", message, MESSAGE_CHARS)?;
            Ok(Some(self::message(message)))
        }
        (None, Some(outcome)) => outcome.event().map(Some),
        (None, None) => Ok(None),
    }
}

/// Checks the ids of files that go with a message.
pub(super) fn attachments(files: &[String], to_outcome: bool) -> Result<Vec<Id>, ToolError> {
    if to_outcome && !files.is_empty() {
        return Err(ToolError::argument(
            "`attachments` go with a message, not with an outcome or without either.",
            "pass `message`, or mount them with `files`.",
        ));
    }
    if files.len() > MOST_ATTACHMENTS {
        return Err(ToolError::argument(
            format!("`attachments` takes at most {MOST_ATTACHMENTS} files."),
            "mount more with `files` of create_session.",
        ));
    }
    files.iter().map(|file| id("attachments", file)).collect()
}

/// A text to the agent.
pub(super) fn message(text: &str) -> Value {
    json!({"type": "user.message", "content": [{"type": "text", "text": text}]})
}

impl Outcome {
    fn event(&self) -> Result<Value, ToolError> {
        text("outcome.description", &self.description, MESSAGE_CHARS)?;
        let rubric = match (&self.rubric, &self.rubric_file_id) {
            (Some(rubric), None) => json!({"type": "text", "content": rubric}),
            (None, Some(file)) => {
                json!({"type": "file", "file_id": id("outcome.rubric_file_id", file)?.as_str()})
            }
            _ => {
                return Err(ToolError::argument(
                    "An outcome needs one rubric.",
                    "pass `outcome.rubric` (text) or `outcome.rubric_file_id`.",
                ));
            }
        };
        if !self
            .max_iterations
            .is_none_or(|most| (1..=20).contains(&most))
        {
            return Err(ToolError::argument(
                "`outcome.max_iterations` must be 1 to 20.",
                "pass a number from 1 to 20.",
            ));
        }
        let event = json!({"type": "user.define_outcome", "description": self.description, "rubric": rubric});
        Ok(with(event, "max_iterations", self.max_iterations))
    }
}
