//! What a call is answered with: an object, or a refusal in the API's envelope.

use serde_json::{Value, json};

use super::json::set;

/// The answer to a call that routes and headers let through.
pub(super) type Answer = Result<Value, Refusal>;

/// An error of the API: a status and the two fields of its envelope.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) message: String,
    /// The error code in `details`, where the API gives one.
    pub(super) code: Option<&'static str>,
}

impl Refusal {
    /// 400: the request itself is wrong.
    #[inline(never)]
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            message: message.into(),
            code: None,
        }
    }

    /// 404: nothing has this id.
    #[inline(never)]
    pub(super) fn unknown(noun: &str, id: &str) -> Self {
        Self {
            status: 404,
            kind: "not_found_error",
            message: format!("{noun} `{id}` was not found."),
            code: None,
        }
    }

    /// 409: the request is fine, the state is not.
    #[inline(never)]
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self {
            status: 409,
            kind: "invalid_request_error",
            message: message.into(),
            code: None,
        }
    }

    /// Any status with the error type that belongs to it.
    #[inline(never)]
    pub(super) fn of_status(status: u16, message: impl Into<String>) -> Self {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        };
        Self {
            status,
            kind,
            message: message.into(),
            code: None,
        }
    }

    /// The same with an error code for programs to read.
    pub(super) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The envelope on the wire.
    pub(super) fn envelope(&self, request_id: &str) -> Value {
        let mut envelope = envelope(self.kind, &self.message, request_id);
        if let (Some(code), Some(error)) = (self.code, envelope.get_mut("error")) {
            set(error, "details", json!({"error_code": code}));
        }
        envelope
    }
}

/// The error envelope of the API.
pub(super) fn envelope(kind: &str, message: &str, request_id: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})
}
