//! Failures → words that a model can act on.

use std::fmt;

use rmcp::ErrorData;
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};

use super::advice::{advice, first_reach_the_api, is_foreign, reference, why};
use crate::api::Error;
use crate::bridge::Failure;
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Most characters of each part of an error, so that no part can push out another.
const ERROR_PART_CHARS: usize = 1300;

/// A failure in words: what failed, why in the API's own words, what to do next, and the request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolError {
    /// To be shown to the model.
    Failed {
        /// What could not be done.
        what: String,
        /// Why.
        why: Option<String>,
        /// What to do now.
        next: String,
        /// Status, kind and request id.
        reference: Option<String>,
    },
    /// The client brought back a state that is not of this call; for the client, not for the model.
    State(String),
    /// The client cancelled the call: nobody reads an answer.
    Cancelled,
}

impl ToolError {
    /// An argument that cannot be used.
    pub(in crate::server) fn argument(
        what: impl Into<String>,
        next: impl Into<String>,
    ) -> ToolError {
        ToolError::Failed {
            what: what.into(),
            why: None,
            next: next.into(),
            reference: None,
        }
    }
}

impl ToolError {
    /// In at most so many characters: the API's words are cut, so that they cannot push out what to do.
    pub(in crate::server) fn within(mut self, most: usize) -> String {
        let over = self.to_string().chars().count().saturating_sub(most);
        if let ToolError::Failed { why: Some(why), .. } = &mut self {
            *why = cut(why, why.chars().count().saturating_sub(over).max(40));
        }
        cut(&self.to_string(), most)
    }

    fn shortened(self) -> ToolError {
        let part = |text: String| cut(&text, ERROR_PART_CHARS);
        match self {
            ToolError::Cancelled => ToolError::Cancelled,
            ToolError::State(why) => ToolError::State(part(why)),
            ToolError::Failed {
                what,
                why,
                next,
                reference,
            } => ToolError::Failed {
                what: part(what),
                why: why.map(part),
                next: part(next),
                reference,
            },
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why, next, reference) = match self {
            ToolError::Cancelled => return f.write_str("cancelled"),
            ToolError::State(why) => return f.write_str(why),
            ToolError::Failed {
                what,
                why,
                next,
                reference,
            } => (what, why, next, reference),
        };
        // Each part is a line, whatever was put into it.
        f.write_str(&clean_line(what))?;
        if let Some(why) = why {
            write!(f, " {}", clean_line(why))?;
        }
        write!(f, "\nNext: {}", clean_line(next))?;
        if let Some(reference) = reference {
            write!(f, "\n({})", clean_line(reference))?;
        }
        Ok(())
    }
}

impl IntoCallToolResult for ToolError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        if self == ToolError::Cancelled {
            return Err(ErrorData::internal_error("cancelled", None));
        }
        if let ToolError::State(why) = self {
            return Err(ErrorData::invalid_params(why, None));
        }
        let text = self.shortened().to_string();
        tracing::info!(error = %text, "a call failed");
        Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
    }
}

/// What was being done, without the ids that the reason names again.
fn without_what_is_in(why: &str, doing: &str) -> String {
    let is_named = |word: &&str| word.contains('_') && why.contains(word);
    let words: Vec<&str> = doing.split(' ').filter(|word| !is_named(word)).collect();
    words.join(" ")
}

impl From<Failure> for ToolError {
    fn from(failure: Failure) -> ToolError {
        match failure {
            Failure::Argument { what, next } => ToolError::argument(what, next),
            Failure::Api { doing, error } => ToolError::Failed {
                what: format!("Could not {}:", without_what_is_in(&why(&error), &doing)),
                next: advice(&error),
                reference: reference(&error),
                why: Some(why(&error)),
            },
            Failure::DeliveryUnknown { doing, error, next } => ToolError::Failed {
                what: match error {
                    Error::Unreadable { .. } => format!(
                        "Answered with the status of a success, but not seen in the record yet, so it is not known whether \
                         this arrived (tried to {doing}):"
                    ),
                    _ => format!("It is not known whether this arrived (tried to {doing}):"),
                },
                why: Some(why(&error)),
                next: match is_foreign(&error) {
                    true => first_reach_the_api(&next),
                    false => next,
                },
                reference: reference(&error),
            },
        }
    }
}
