//! What the wire did when a call failed. What the user should do about it is decided in `server/present.rs`.

use std::fmt;
use std::time::Duration;

use super::probe::Trouble;

/// The kind of a refusal that is not in the API's envelope.
pub(super) const NO_ENVELOPE: &str = "http_error";

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The API answered with a status other than 2xx.
    Refused(Box<Refusal>),
    /// No complete answer came.
    Unreachable {
        /// What failed, without any URL or secret.
        reason: String,
        /// Whether the request may have been acted on.
        delivery: Delivery,
    },
    /// This process sends nothing before so long, to stay within the API's rate limit.
    HeldBack(Duration),
    /// Something stands in the way that is known by its kind; nothing was sent.
    Blocked(Trouble),
    /// An answer came that is not what this endpoint returns.
    Unreadable {
        /// What was wrong with it, with a short excerpt.
        reason: String,
        /// Whether it was malformed or only too much.
        fault: Fault,
        /// The `request-id` header of the answer.
        request_id: Option<String>,
    },
    /// There is no usable key; nothing was sent.
    Keyless(String),
}

/// An answer with an error status, with the vendor's words kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The API's `error.type`, or `http_error` where the body is not the API's.
    pub kind: String,
    /// The API's `error.message`, or the start of the body.
    pub message: String,
    /// The API's id of this request.
    pub request_id: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The server's own word on whether to try again (`x-should-retry`).
    pub should_retry: Option<bool>,
}

/// What a refusal is about that no argument mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Credit or a spend limit.
    Money,
    /// The header `anthropic-beta`.
    Beta,
    /// The header `anthropic-version`.
    Version,
    /// The header `anthropic-workspace-id`.
    Workspace,
}

impl Subject {
    /// The subject of the API's words.
    pub fn of(message: &str) -> Option<Subject> {
        let message = message.to_ascii_lowercase();
        let words = [
            ("credit balance", Subject::Money),
            ("usage limit", Subject::Money),
            ("spend limit", Subject::Money),
            ("anthropic-beta", Subject::Beta),
            ("unsupported beta", Subject::Beta),
            ("anthropic-version", Subject::Version),
            ("anthropic-workspace-id", Subject::Workspace),
        ];
        let found = words.iter().find(|(word, _)| message.contains(word));
        found.map(|(_, subject)| *subject)
    }
}

impl Refusal {
    /// What it is about, if that is no argument. A status that says more than the words, 401 or 404, has none.
    pub fn subject(&self) -> Option<Subject> {
        if self.status == 402 || self.kind == "billing_error" {
            return Some(Subject::Money);
        }
        let subject = Subject::of(&self.message);
        subject.filter(|subject| match subject {
            Subject::Money => matches!(self.status, 400 | 403 | 429),
            _ => matches!(self.status, 400 | 403),
        })
    }

    /// Whether somebody else than the API gave this answer.
    pub fn is_foreign(&self) -> bool {
        self.kind == NO_ENVELOPE && self.request_id.is_none()
    }
}

/// What was wrong with an answer that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not the JSON of this endpoint.
    Malformed,
    /// It is larger than what is read at most: ask for less.
    TooLarge,
}

/// What is known about a request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing was sent: the request surely was not acted on.
    NotSent,
    /// The request left; whether it was acted on is not known.
    Unknown,
    /// The request left, and may still be acted on: the answer did not come in time.
    Late,
}

impl Error {
    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether the API itself says that it does not know what was asked for; a gateway's 404 says nothing of the kind.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Refused(refusal) if refusal.status == 404 && refusal.kind == "not_found_error")
    }

    /// Whether the same request may succeed when it is made again.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Refused(refusal) => refusal.should_retry.unwrap_or(matches!(
                refusal.status,
                408 | 429 | 500 | 502 | 503 | 504 | 529
            )),
            Error::Unreachable { .. } | Error::HeldBack(_) => true,
            Error::Blocked(trouble) => {
                matches!(trouble, Trouble::Unresolved | Trouble::ProxyDenied)
            }
            Error::Unreadable { .. } | Error::Keyless(_) => false,
        }
    }

    /// Whether a write that ended so may have been acted on all the same.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            // A gateway may answer 503 or 529 for a request that went through: looking costs one call.
            Error::Refused(refusal) => refusal.status == 408 || refusal.status >= 500,
            Error::Unreachable { delivery, .. } => *delivery != Delivery::NotSent,
            Error::Unreadable { .. } => true,
            Error::Keyless(_) | Error::Blocked(_) | Error::HeldBack(_) => false,
        }
    }

    /// Whether nothing was sent, though it may be another time.
    pub fn is_unsent(&self) -> bool {
        match self {
            Error::Unreachable { delivery, .. } => *delivery == Delivery::NotSent,
            error => matches!(error, Error::HeldBack(_) | Error::Blocked(_)),
        }
    }

    /// Whether asking again can never help: the key, the id or the request itself is wrong.
    pub fn is_final(&self) -> bool {
        match self {
            Error::Refused(refusal) => {
                (300..500).contains(&refusal.status) && !matches!(refusal.status, 408 | 409 | 429)
            }
            Error::Keyless(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => {
                let Refusal {
                    status,
                    kind,
                    message,
                    ..
                } = refusal.as_ref();
                write!(f, "{message} ({status} {kind})")
            }
            Error::Unreachable { reason, .. } | Error::Unreadable { reason, .. } => {
                f.write_str(reason)
            }
            Error::HeldBack(wait) => {
                let seconds = wait.as_secs().max(1);
                write!(
                    f,
                    "held back for {seconds} s to stay within the API's rate limit"
                )
            }
            Error::Blocked(trouble) => f.write_str(trouble.words()),
            Error::Keyless(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
