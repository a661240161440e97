//! Why the API, or the way to it, failed, and what to do about it: every hint there is, on one screen.

use crate::api::{Delivery, Error, Fault, Refusal, Subject, Trouble};
use crate::key::UNREPLACED;

const STRANGER: &str = "this is not the API's answer: a proxy, a firewall or a login page gave it, or ANTHROPIC_BASE_URL is wrong. Ask the user to \
     look; `managed-agents-mcp doctor` tells more.";

pub(super) fn why(error: &Error) -> String {
    let words = match error {
        Error::Refused(refusal) => refusal.message.clone(),
        other => other.to_string(),
    };
    let ends = words.ends_with(['.', '!', '?']);
    format!("{words}{}", if ends { "" } else { "." })
}

pub(super) fn reference(error: &Error) -> Option<String> {
    let id = |id: &Option<String>| id.as_ref().map(|id| format!("request {id}"));
    match error {
        Error::Refused(refusal) => {
            let Refusal {
                status,
                kind,
                request_id,
                ..
            } = refusal.as_ref();
            let id = id(request_id)
                .map(|id| format!(", {id}"))
                .unwrap_or_default();
            Some(format!("{status} {kind}{id}"))
        }
        Error::Unreadable { request_id, .. } => id(request_id),
        Error::Unreachable { .. } | Error::HeldBack(_) | Error::Blocked(_) | Error::Keyless(_) => {
            None
        }
    }
}

/// Every hint there is, on one screen.
pub(super) fn advice(error: &Error) -> String {
    let text = match error {
        Error::Keyless(why) if why.starts_with("MANAGED_AGENTS_KEY") => {
            "this setting overrides every other source of a key: ask the user to fix or unset it, and to restart this server."
        }
        Error::Keyless(why) if why.contains(UNREPLACED) => {
            "ask the user to set that variable where the client is started, or to replace it in this server's configuration by \
             MANAGED_AGENTS_KEY_FILE, the path of a file that only they can read, and to restart it. Never ask for the key itself."
        }
        Error::Keyless(_) => {
            "ask the user to set ANTHROPIC_API_KEY (or MANAGED_AGENTS_KEY_FILE, MANAGED_AGENTS_KEY_COMMAND) in this \
             server's configuration and to restart it. Never ask for the key itself."
        }
        Error::Blocked(trouble) => blocked(*trouble),
        Error::HeldBack(_) => {
            "nothing was sent. Make the same call again after that time, with fewer calls at once."
        }
        Error::Unreachable {
            delivery: Delivery::NotSent,
            ..
        } => {
            "nothing was sent. Check ANTHROPIC_BASE_URL, the network and HTTPS_PROXY, then make the same call again."
        }
        Error::Unreachable {
            delivery: Delivery::Unknown | Delivery::Late,
            ..
        } => {
            "make the same call again, with a larger wait_seconds where it has one; before repeating something that was sent, \
             look with get_status or list_sessions."
        }
        Error::Unreadable {
            fault: Fault::TooLarge,
            ..
        } => {
            "it is larger than what is read at once; ask for less with `limit` where the tool has one, else the session's page shows it."
        }
        Error::Refused(refusal) if refusal.status == 401 && refusal.is_foreign() => {
            return format!("{STRANGER} It may also be the key that is refused.");
        }
        error if is_foreign(error) => STRANGER,
        Error::Unreadable { .. } => {
            "check that ANTHROPIC_BASE_URL is the address of the Managed Agents API."
        }
        Error::Refused(refusal) => return refused(refusal),
    };
    text.to_owned()
}

/// Whether somebody else than the API seems to have answered, and would again. Too much and too often are the same wherever they are said.
pub(super) fn is_foreign(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => {
            refusal.is_foreign()
                && (400..500).contains(&refusal.status)
                && !matches!(refusal.status, 408 | 413 | 429)
        }
        Error::Unreadable {
            fault, request_id, ..
        } => *fault == Fault::Malformed && request_id.is_none(),
        _ => false,
    }
}

/// What is to be done before what is advised after an answer of somebody else; repeated as it is, it would fail for ever.
pub(super) fn first_reach_the_api(next: &str) -> String {
    format!("{STRANGER} Once it is put right: {next}")
}

fn blocked(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Unresolved => {
            "nothing was sent. Check ANTHROPIC_BASE_URL, the network and HTTPS_PROXY, then make the same call again."
        }
        Trouble::Socks => {
            "ask the user to name an HTTP proxy in HTTPS_PROXY, and to restart this server."
        }
        Trouble::ProxyLogin => {
            "ask the user to correct HTTPS_PROXY, or to have the proxy let this host through; `managed-agents-mcp doctor` tells more."
        }
        Trouble::ProxyDenied => {
            "it may be passing: make the same call again. If it stays, ask the user to correct HTTPS_PROXY, or to have the proxy let \
             this host through; `managed-agents-mcp doctor` tells more."
        }
        Trouble::NoAuthorities => {
            "ask the user to correct SSL_CERT_FILE and SSL_CERT_DIR, or to install the package ca-certificates, and to restart this server."
        }
        Trouble::Untrusted => {
            "ask the user: where the network inspects TLS, MANAGED_AGENTS_CA_FILE names a PEM file with its root certificate; \
             `managed-agents-mcp doctor` tells more."
        }
        _ => {
            "ask the user to check ANTHROPIC_BASE_URL and this machine's clock; `managed-agents-mcp doctor` tells more."
        }
    }
}

/// What only the user can put right.
fn about_settings(subject: Subject) -> &'static str {
    match subject {
        Subject::Money => {
            "ask the user to add credit, or to raise the spend limit, in the Console (platform.claude.com). Do not repeat the call before."
        }
        Subject::Beta => {
            "ask the user to correct or unset MANAGED_AGENTS_BETA; where it is not set, a newer managed-agents-mcp is needed."
        }
        Subject::Version => {
            "ask the user to unset ANTHROPIC_VERSION; where it is not set, a newer managed-agents-mcp is needed."
        }
        Subject::Workspace => {
            "ask the user to correct or unset ANTHROPIC_WORKSPACE_ID, and to restart this server."
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let says = |word: &str| refusal.message.to_lowercase().contains(word);
    let has_word = |word: &str| {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = refusal.message.split(|c| !is_of_word(c));
        words.any(|it| it.eq_ignore_ascii_case(word))
    };
    let subject = refusal.subject();
    let field = refusal.message.trim_start_matches(['`', '\'', '"']);
    let about_page = field.starts_with("page") || says("invalid page") || says("parameter");
    let text = match refusal.status {
        408 | 500.. if refusal.is_foreign() => {
            return format!("make the same call again; if it stays, {STRANGER}");
        }
        400 if says("list price") || says("model_not_budgetable") => {
            "this model has no list price, so it cannot have a budget: name another agent or model, or ask the user to set \
             MANAGED_AGENTS_BUDGET_USD to `none`."
        }
        400 | 409 if says("budget_create_only") => {
            "a session that was created without a budget cannot get one: go on without, or start a new one with create_session."
        }
        400 | 409 if says("budget_not_raised") => {
            "the API counts in cents; get_status shows in dollars what is spent. If the user agrees, update_session with a \
             budget_usd above that."
        }
        400 | 409 if (says("budget") && !says("budget_tokens")) || says("max_list_cost") => {
            "get_status shows the budget and what is spent; if the user agrees, update_session with a budget_usd above that."
        }
        400 | 409 if says("archived") || has_word("terminated") => {
            let maker = about(&refusal.message).map_or("create_session", |(_, maker)| maker);
            return format!("this cannot be undone; {maker} makes a new one.");
        }
        // The API's words for a path or a beta that it does not know, not for an id.
        404 if refusal.message.eq_ignore_ascii_case("not found") => {
            "check ANTHROPIC_BASE_URL, and that the key has access to Managed Agents."
        }
        300..=303 | 307 | 308 => {
            "set ANTHROPIC_BASE_URL to the address that serves the API itself; the key is never sent along a redirect."
        }
        400 | 422 if has_word("page") && (says("cursor") || says("token") || about_page) => {
            "pass the `page` that the list before returned, to the same call with the same filter; without `page` it begins anew."
        }
        400 if subject == Some(Subject::Beta) && (says("require") || says("model:")) => {
            "this takes a beta that this server does not send: name another model, or have the user add it to MANAGED_AGENTS_BETA, \
             a comma list in which the default must stay."
        }
        400..=499 if subject.is_some() => subject.map_or("", about_settings),
        400 | 422 => "correct the argument that the API names and call again.",
        401 => {
            "ask the user to check the key in this server's configuration (ANTHROPIC_API_KEY or what replaces it) and to restart it."
        }
        403 if has_word("disabled") => {
            "ask the user to look into the Console (platform.claude.com), or to ask the API's support. Do not repeat the call before."
        }
        403 => {
            "ask the user whether this key's workspace may use it; ANTHROPIC_WORKSPACE_ID chooses the workspace."
        }
        404 if says("has no version") => {
            "leave the version out for the newest, or use one from 1 to that; get_agent shows it."
        }
        // Files are listed only of a session.
        404 if about(&refusal.message).is_some_and(|(list, _)| list == "list_files") => {
            "check the id: list_files shows the files of a session, and upload_file returns the id of what it uploads."
        }
        404 => {
            let lists = "list_sessions, list_agents, list_environments and list_files show";
            let lists = about(&refusal.message)
                .map_or(lists.to_owned(), |(list, _)| format!("{list} shows"));
            return format!("check the id: {lists} what this key can use.");
        }
        409 => {
            "read it again (get_status, get_agent): it changed meanwhile, or its state does not allow this."
        }
        413 => "send less: put long material into a repository or a file that is mounted.",
        429 => return limited(refusal),
        529 => "the API is overloaded; make the same call again in a minute.",
        _ if refusal.request_id.is_none() => {
            "make the same call again; if it stays, tell the user what was answered, and check ANTHROPIC_BASE_URL."
        }
        _ => "make the same call again; if it stays, give the user the request id below.",
    };
    text.to_owned()
}

/// The tools that list and make what a refusal is about. It names the thing before what that belongs to.
fn about(message: &str) -> Option<(&'static str, &'static str)> {
    let tools = [
        ("session", "list_sessions", "create_session"),
        ("agent", "list_agents", "create_agent"),
        ("environment", "list_environments", "create_environment"),
        ("file", "list_files", "upload_file"),
        ("vault", "list_vaults (toolset admin)", "create_session"),
        (
            "memory",
            "list_memory_stores (toolset admin)",
            "create_session",
        ),
        ("deployment", "list_schedules", "create_schedule"),
        ("schedule", "list_schedules", "create_schedule"),
    ];
    let message = message.to_lowercase();
    let named = tools
        .iter()
        .filter_map(|(word, list, maker)| Some((message.find(word)?, *list, *maker)));
    named.min().map(|(_, list, maker)| (list, maker))
}

fn limited(refusal: &Refusal) -> String {
    match refusal.retry_after {
        Some(wait) => format!(
            "make the same call again after {} s.",
            wait.as_secs().max(1)
        ),
        None => "make the same call again in a minute, and fewer of them.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised_on(status: u16, kind: &str, message: &str, request_id: Option<&str>) -> String {
        advice(&Error::Refused(Box::new(Refusal {
            status,
            kind: kind.to_owned(),
            message: message.to_owned(),
            request_id: request_id.map(str::to_owned),
            retry_after: None,
            should_retry: None,
        })))
    }

    fn advised(status: u16, request_id: Option<&str>) -> String {
        advised_on(status, "http_error", "no explanation was given", request_id)
    }

    #[test]
    fn what_no_argument_mends_names_the_setting_and_is_not_to_be_repeated() {
        for (status, message, named) in [
            (400, "Your credit balance is too low.", "add credit"),
            (402, "Too low.", "add credit"),
            (
                403,
                "You have reached your API usage limits.",
                "spend limit",
            ),
            (
                400,
                "Unexpected value(s) `x` for the `anthropic-beta` header.",
                "MANAGED_AGENTS_BETA",
            ),
            (
                400,
                "anthropic-version: not a valid version",
                "ANTHROPIC_VERSION",
            ),
            (
                400,
                "anthropic-workspace-id: no such workspace",
                "ANTHROPIC_WORKSPACE_ID",
            ),
        ] {
            let text = advised_on(status, "invalid_request_error", message, Some("req_1"));
            assert!(text.contains(named), "{message}: {text}");
            assert!(!text.contains("call again"), "{message}: {text}");
        }
        let text = advised_on(
            400,
            "invalid_request_error",
            "mount_path: not in /workspace",
            Some("req_1"),
        );
        assert!(text.contains("correct the argument"), "{text}");
    }

    #[test]
    fn the_status_goes_before_a_word_in_the_message_and_a_beta_of_a_model_before_the_setting() {
        let kind = "invalid_request_error";
        for (status, message, named) in [
            (
                401,
                "API key has no anthropic-workspace-id",
                "check the key",
            ),
            (
                404,
                "Vault vlt_1 not found in anthropic-workspace-id w",
                "list_vaults",
            ),
            (
                422,
                "anthropic-version is not allowed",
                "correct the argument",
            ),
            (
                400,
                "stores.0: workspace_id mismatch",
                "correct the argument",
            ),
            (
                400,
                "mount_path: not under workspace id",
                "correct the argument",
            ),
            (
                403,
                "not permitted to use workspace_id w",
                "whether this key's workspace",
            ),
            (
                400,
                "model: m requires anthropic-beta b",
                "name another model",
            ),
            (
                400,
                "model: m requires anthropic-beta b",
                "MANAGED_AGENTS_BETA",
            ),
            (
                429,
                "You have reached your API usage limits.",
                "spend limit",
            ),
        ] {
            let text = advised_on(status, kind, message, Some("req_1"));
            assert!(text.contains(named), "{status} {message}: {text}");
        }
    }

    #[test]
    fn advice_fits_what_was_said() {
        for (status, message, named) in [
            (
                429,
                "You have reached your monthly spend limit.",
                "add credit",
            ),
            (403, "Your organization has been disabled.", "Console"),
            (400, "page: not one of ours", "the list before"),
            (400, "Invalid page token", "the list before"),
            (
                400,
                "Unsupported language in web page",
                "correct the argument",
            ),
            (400, "landing page must be set", "correct the argument"),
        ] {
            let text = advised_on(status, "invalid_request_error", message, Some("req_1"));
            assert!(text.contains(named), "{message}: {text}");
        }
        let held_back = Error::HeldBack(std::time::Duration::from_secs(2));
        assert!(advice(&held_back).contains("after that time"));
    }

    #[test]
    fn too_much_and_too_often_are_the_same_whoever_says_so() {
        for (status, named) in [(413, "send less"), (429, "in a minute")] {
            let text = advised(status, None);
            assert!(text.contains(named) && !text.contains(STRANGER), "{text}");
            assert_eq!(text, advised(status, Some("req_1")));
        }
        assert!(advised(401, None).contains("key that is refused"));
        assert!(!advised(403, None).contains("key that is refused"));
    }

    #[test]
    fn what_somebody_else_answers_is_not_taken_for_the_api() {
        for status in [400, 401, 403, 404, 405, 407, 451, 502, 503] {
            let text = advised(status, None);
            assert!(text.contains(STRANGER), "{status}: {text}");
            assert_eq!(
                text.starts_with("make the same call"),
                status > 500,
                "{status}"
            );
            assert!(
                !advised(status, Some("req_1")).contains(STRANGER),
                "{status}"
            );
        }
        let unreadable = |request_id: Option<&str>| Error::Unreadable {
            reason: String::new(),
            fault: Fault::Malformed,
            request_id: request_id.map(str::to_owned),
        };
        assert!(is_foreign(&unreadable(None)) && !is_foreign(&unreadable(Some("req_1"))));
    }

    #[test]
    fn what_stands_in_the_way_is_named_with_the_setting_that_removes_it() {
        for (trouble, named) in [
            (Trouble::Untrusted, "MANAGED_AGENTS_CA_FILE"),
            (Trouble::NoAuthorities, "SSL_CERT_FILE"),
            (Trouble::Socks, "HTTPS_PROXY"),
            (Trouble::ProxyLogin, "HTTPS_PROXY"),
            (Trouble::ProxyDenied, "make the same call again"),
            (Trouble::OtherHost, "ANTHROPIC_BASE_URL"),
        ] {
            let error = Error::Blocked(trouble);
            assert!(advice(&error).contains(named), "{trouble:?}");
            assert!(why(&error).len() > 20, "{trouble:?}");
        }
    }

    #[test]
    fn a_request_id_is_named_only_where_there_is_one() {
        for status in [101, 304, 500, 599, 999] {
            assert!(advised(status, Some("req_1")).contains("request id"));
            assert!(!advised(status, None).contains("request id"), "{status}");
        }
    }

    #[test]
    fn only_what_redirects_is_called_a_redirect() {
        for status in [301, 302, 303, 307, 308] {
            assert!(advised(status, None).contains("redirect"), "{status}");
        }
        assert!(!advised(304, None).contains("redirect"));
    }
}
