//! Why an operation failed, as far as the bridge knows. The words for the user are in `server/present.rs`.

use crate::api;

/// A failed operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The API, or the way to it, failed.
    Api {
        /// What was being done: "start the session".
        doing: String,
        /// What the wire did.
        error: api::Error,
    },
    /// The request cannot be carried out as it is; nothing was sent.
    Argument {
        /// What is wrong with it.
        what: String,
        /// What to do instead.
        next: String,
    },
    /// Something was sent, and nobody can tell whether it arrived.
    DeliveryUnknown {
        /// What was being done.
        doing: String,
        /// What the wire did.
        error: api::Error,
        /// How to find out.
        next: String,
    },
}

impl Failure {
    /// For `map_err`: what was being done when the API failed.
    pub fn while_trying(doing: impl Into<String>) -> impl FnOnce(api::Error) -> Failure {
        let doing = doing.into();
        move |error| Failure::Api { doing, error }
    }

    /// What failed, in a sentence.
    pub fn what(&self) -> String {
        match self {
            Failure::Argument { what, .. } => what.clone(),
            Failure::Api { doing, error } => format!("Could not {doing}: {error}"),
            Failure::DeliveryUnknown { doing, error, .. } => {
                format!("It is not known whether it arrived (tried to {doing}): {error}")
            }
        }
    }

    /// Whether the API does not know what was asked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Failure::Api { error, .. } if error.is_not_found())
    }

    /// Whether the API refused it because of how things stand.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Failure::Api { error, .. } if error.status() == Some(409))
    }

    /// The same failure, where a setting and not the caller named what is wrong.
    pub(super) fn of_setting(self, name: &str) -> Failure {
        match self {
            Failure::Argument { what, next } => Failure::argument(
                format!("The setting {name} cannot be used: {what}"),
                format!("{next} Or ask the user to correct the setting."),
            ),
            other => other,
        }
    }

    /// A request that cannot be carried out.
    pub fn argument(what: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure::Argument {
            what: what.into(),
            next: next.into(),
        }
    }
}
