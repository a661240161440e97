//! What an answer turns out to be, and what it says about access to the beta.

use serde_json::Value;

use super::Lookup;
use super::report::Check;
use crate::api::Subject;
use crate::api::probe::Answer;
use crate::config::Config;

const BETA: &str = "MANAGED_AGENTS_BETA";
const MONEY: &str = "Add credit, or raise the spend limit, in the Console (platform.claude.com).";

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
    /// Another refusal of the API, with its words and what it is about.
    Refused(String, Option<Subject>),
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
        let kind = json.and_then(|json| json.get("type")?.as_str());
        let is_envelope = kind == Some("error");
        // A path that is not there, and an overload, are told in other words as well.
        let may_say = match status {
            200..300 => false,
            404 | 429 | 500.. => true,
            _ => is_envelope,
        };
        let words = json.and_then(words).filter(|_| may_say);
        let Some(words) = words else {
            let kind = match &answer.media_type {
                Some(kind) => kind.as_str(),
                None => "something without a type",
            };
            return Seen::Foreign(format!("{status} with {kind}"));
        };
        let subject = Subject::of(&words);
        match status {
            403 | 429 if subject == Some(Subject::Money) => {
                Seen::Refused(format!("{words} ({status})"), subject)
            }
            403 => Seen::Forbidden(words),
            404 if words == "not found" && is_envelope => Seen::NoBeta,
            404 => Seen::NoRoute,
            429 | 500.. => Seen::Busy(format!("{words} ({status})")),
            402 => Seen::Refused(format!("{words} (402)"), Some(Subject::Money)),
            _ => Seen::Refused(format!("{words} ({status})"), subject),
        }
    }

    /// The API checks the key before all that follows.
    pub(super) fn knows_the_key(&self) -> bool {
        matches!(
            self,
            Seen::List | Seen::NoBeta | Seen::Refused(_, Some(Subject::Version))
        )
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

/// Whether the API takes what is asked for.
pub(super) fn beta(seen: Option<&Seen>, config: &Config, lookup: Lookup<'_>) -> Check {
    let name = "beta";
    let (beta, version) = (&config.beta, &config.api_version);
    let is_set = |name: &str| lookup(name).is_some();
    let found = |words: &str| format!("the API refuses: {words}");
    match seen {
        Some(Seen::List) => Check::ok(name, format!("{beta}, version {version}")),
        Some(Seen::NoBeta) => {
            let fix = match is_set(BETA) {
                true => {
                    "Unset MANAGED_AGENTS_BETA; if it stays, ask for access to Managed Agents for this key's workspace."
                }
                false => {
                    "Ask for access to Managed Agents for the workspace of this key, or use a key of a workspace that has it."
                }
            };
            let found =
                format!("the address and the key are right, but {beta} is not open to it (404)");
            Check::failed(name, found, fix)
        }
        Some(Seen::Refused(words, subject)) => {
            let setting = match subject {
                Some(Subject::Money) => return Check::failed(name, found(words), MONEY),
                Some(Subject::Beta) => BETA,
                Some(Subject::Version) => "ANTHROPIC_VERSION",
                Some(Subject::Workspace) => "ANTHROPIC_WORKSPACE_ID",
                None => "",
            };
            let fix = match is_set(setting) {
                true => format!("Correct {setting}, or unset it."),
                false => {
                    "Read what the API says; a newer managed-agents-mcp may be needed.".to_owned()
                }
            };
            Check::failed(name, found(words), fix)
        }
        _ => Check::skipped(
            name,
            "not checked: that takes an accepted key",
            "Fix the failures above first.",
        ),
    }
}
