//! What an answer turns out to be, and what it says about access to the beta.

use serde_json::Value;

use super::report::Check;
use crate::api::probe::Answer;

/// What the answer turned out to be, in the order in which the API checks: route, key, beta, version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The list that was asked for.
    List,
    /// 401
    KeyRefused,
    /// 403, with the API's words.
    Forbidden(String),
    /// The API's words for a path that it does not have.
    NoRoute,
    /// The API's words for a beta that is not open.
    NoBeta,
    /// The version header is refused, with the API's words.
    Version(String),
    /// Another refusal of the API, with its words.
    Refused(String),
    /// The API is there but cannot answer now.
    Busy(String),
    /// A redirect, to this host.
    Redirect(String),
    /// Somebody else answered; what it was.
    Foreign(String),
}

impl Seen {
    pub(super) fn of(answer: &Answer) -> Seen {
        let status = answer.status;
        if let Some(target) = &answer.redirect {
            return Seen::Redirect(target.clone());
        }
        let json = answer.json.as_ref();
        if (200..300).contains(&status) && json.is_some_and(|json| json.get("data").is_some()) {
            return Seen::List;
        }
        if status == 401 && json.is_some() {
            return Seen::KeyRefused;
        }
        let words = json
            .and_then(words)
            .filter(|_| !(200..300).contains(&status));
        let Some(words) = words else {
            let kind = match &answer.media_type {
                Some(kind) => kind.as_str(),
                None => "something without a type",
            };
            return Seen::Foreign(format!("{status} with {kind}"));
        };
        let says = |word: &str| words.to_ascii_lowercase().contains(word);
        match status {
            403 => Seen::Forbidden(words),
            404 if words == "not found" => Seen::NoBeta,
            404 => Seen::NoRoute,
            400 if says("version") => Seen::Version(words),
            429 | 500.. => Seen::Busy(format!("{words} ({status})")),
            _ => Seen::Refused(format!("{words} ({status})")),
        }
    }

    /// The API checks the key before all that follows.
    pub(super) fn knows_the_key(&self) -> bool {
        matches!(self, Seen::List | Seen::NoBeta | Seen::Version(_))
    }
}

/// The message of an error, in the API's envelope or what other servers use.
fn words(json: &Value) -> Option<String> {
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places
        .iter()
        .find_map(|place| json.pointer(place)?.as_str());
    found.map(str::to_owned)
}

pub(super) fn beta(seen: Option<&Seen>, beta: &str, version: &str, is_default: bool) -> Check {
    let name = "beta";
    match seen {
        Some(Seen::List) => Check::ok(name, format!("{beta}, version {version}")),
        Some(Seen::NoBeta) => {
            let fix = if is_default {
                "Ask for access to Managed Agents for the workspace of this key, or use a key of a workspace that has it."
            } else {
                "Unset MANAGED_AGENTS_BETA; if it stays, ask for access to Managed Agents for this key's workspace."
            };
            let found =
                format!("the address and the key are right, but {beta} is not open to it (404)");
            Check::failed(name, found, fix)
        }
        Some(Seen::Version(words)) => Check::failed(
            name,
            format!("version {version} is refused (400): {words}"),
            "Unset ANTHROPIC_VERSION.",
        ),
        Some(Seen::Refused(words)) => Check::failed(
            name,
            format!("the API refuses: {words}"),
            "Read what the API says; a newer managed-agents-mcp may be needed.",
        ),
        _ => Check::skipped(
            name,
            "not checked: that takes an accepted key",
            "Fix the failures above first.",
        ),
    }
}
