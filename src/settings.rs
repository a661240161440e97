//! The table of settings, as the README and `--help` print it, and what is none of them. `config.rs` reads them.

use std::fmt;

/// What every setting of our own begins with, and what one begins with that was meant to be one.
const PREFIX: &str = "MANAGED_AGENTS_";
const NEARLY: &str = "MANAGED_AGENT";
/// Names of the product, not settings: the tests use them.
const NOT_SETTINGS: &str = "MANAGED_AGENTS_MCP_";
/// Edits between a misspelled name and the one that was meant.
const MOST_EDITS: usize = 4;

/// One row of the table of settings: name, default, meaning.
pub struct Setting {
    /// The variable or variables.
    pub names: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Every setting, as the README prints it.
pub const SETTINGS: &[Setting] = &[
    setting(
        "ANTHROPIC_MANAGED_AGENTS_TOKEN`, or else `ANTHROPIC_API_KEY",
        "",
        "the key, sent as `x-api-key`",
    ),
    setting(
        "ANTHROPIC_AUTH_TOKEN",
        "",
        "a token, sent as `Authorization: Bearer` instead",
    ),
    setting(
        "MANAGED_AGENTS_KEY_FILE",
        "",
        "absolute path of a file that only you can read (0600) and that holds the key; goes before all others; read again when the API refuses the key",
    ),
    setting(
        "MANAGED_AGENTS_KEY_COMMAND",
        "",
        "a command whose output is the key (no shell: words are split at spaces; 10 s at most); goes before the variables; run again when the API refuses the key",
    ),
    setting(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "https, or http on loopback; may carry a path prefix; without `/v1`",
    ),
    setting(
        "ANTHROPIC_VERSION",
        "2023-06-01",
        "header `anthropic-version`",
    ),
    setting(
        "MANAGED_AGENTS_BETA",
        "managed-agents-2026-04-01",
        "header `anthropic-beta`",
    ),
    setting(
        "ANTHROPIC_WORKSPACE_ID",
        "",
        "header `anthropic-workspace-id`",
    ),
    setting(
        "MANAGED_AGENTS_AGENT",
        "",
        "agent of sessions that name none: id or name",
    ),
    setting(
        "MANAGED_AGENTS_ENVIRONMENT",
        "",
        "environment of sessions that name none: id or name",
    ),
    setting(
        "MANAGED_AGENTS_MODEL",
        "claude-sonnet-5-5",
        "model of agents created without one",
    ),
    setting(
        "MANAGED_AGENTS_ALLOW_AGENTS",
        "all",
        "`all`, or a comma list of ids or names that sessions may use",
    ),
    setting(
        "MANAGED_AGENTS_ALLOW_ENVIRONMENTS",
        "all",
        "the same for environments",
    ),
    setting(
        "MANAGED_AGENTS_BUDGET_USD",
        "10",
        "budget of new sessions in dollars; `none` for no budget",
    ),
    setting(
        "MANAGED_AGENTS_WAIT_SECONDS",
        "25",
        "default wait of create_session, send_message, resolve_action and interrupt_session",
    ),
    setting(
        "MANAGED_AGENTS_MAX_WAIT_SECONDS",
        "45",
        "longest wait; many hosts end a call after 60 s",
    ),
    setting(
        "MANAGED_AGENTS_RESULT_CHARS",
        "16000",
        "most characters of one result",
    ),
    setting(
        "MANAGED_AGENTS_APPROVALS",
        "any",
        "who may allow: `any`: a dialog of the host, or `resolve_action`; `human`: only a dialog or the session's page (`url` in its report), `resolve_action` may deny; `tool`: no dialog opens, only `resolve_action`",
    ),
    setting(
        "MANAGED_AGENTS_TOOLSETS",
        "core",
        "which tools are offered: `all`, or a comma list of `core`, `admin` (change and close agents, close environments, list vaults and memory stores) and `schedules`",
    ),
    setting(
        "MANAGED_AGENTS_READ_ONLY",
        "off",
        "`1`: only the tools that read",
    ),
    setting(
        "MANAGED_AGENTS_FILE_ROOTS",
        "",
        "folders that file tools may read and write: absolute paths, separated as in `PATH`; without it nothing on this machine is \
         touched",
    ),
    setting(
        "MANAGED_AGENTS_GITHUB_TOKEN` or `GITHUB_TOKEN",
        "",
        "for private repositories on github.com",
    ),
    setting(
        "MANAGED_AGENTS_CA_FILE",
        "",
        "PEM file of certificates to trust beside the system's",
    ),
    setting(
        "HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE",
        "",
        "as everywhere; the proxy must be an HTTP proxy",
    ),
    setting(
        "MANAGED_AGENTS_AUDIT",
        "text",
        "a line on stderr for each tool call: tool, ids, outcome, requests; never what was said. `json`, or `off`",
    ),
    setting(
        "MANAGED_AGENTS_LOG",
        "warn",
        "filter of the log on stderr: `info`, `managed_agents_mcp=debug`, …",
    ),
];

const fn setting(names: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting {
        names,
        default,
        meaning,
    }
}

impl Setting {
    /// The names of the variables, one by one.
    pub fn each_name(&self) -> impl Iterator<Item = &'static str> {
        let words = self
            .names
            .split(|c: char| !c.is_ascii_uppercase() && c != '_');
        words.filter(|word| word.len() > 2)
    }
}

/// The names of all settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(Setting::each_name)
}

/// A variable that looks like a setting and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// The setting that was probably meant.
    pub meant: Option<&'static str>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a setting and is ignored", self.name)
    }
}

/// Those of these variables that begin like a setting and are none: most likely misspelled.
pub fn unknown(variables: impl Iterator<Item = String>) -> Vec<Unknown> {
    let mut unknown: Vec<Unknown> = variables
        .filter(|name| name.starts_with(NEARLY) && !name.starts_with(NOT_SETTINGS))
        .filter(|name| names().all(|known| known != name))
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .map(|name| Unknown {
            meant: nearest(&name),
            name,
        })
        .collect();
    unknown.sort_by(|a, b| a.name.cmp(&b.name));
    unknown
}

fn nearest(name: &str) -> Option<&'static str> {
    let ours = names().filter(|known| known.starts_with(PREFIX));
    // A short word is near many others.
    let most = MOST_EDITS.min(name.len().saturating_sub(PREFIX.len()) / 2);
    let nearest = ours
        .map(|known| (edits(name, known), known))
        .filter(|(edits, known)| *edits <= most || known.starts_with(name))
        // A name that was cut short is more likely than one with other letters.
        .min_by_key(|(edits, known)| (!known.starts_with(name), *edits));
    nearest.map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed to make one word the other.
pub(crate) fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (taken, a) in from.bytes().enumerate() {
        let mut diagonal = taken;
        let mut left = taken + 1;
        let mut next = vec![left];
        for (b, above) in to.bytes().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            left = changed.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// The table as `--help` prints it.
pub fn help() -> String {
    let mut text =
        "Settings, all environment variables; an empty one counts as unset:\n".to_owned();
    for setting in SETTINGS {
        let plain = |text: &str| text.replace('`', "");
        let default = match setting.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        text.push_str(&format!(
            "\n  {}{default}\n          {}",
            plain(setting.names),
            plain(setting.meaning)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[&str]) -> Vec<(String, Option<&'static str>)> {
        let variables = variables.iter().map(|name| (*name).to_owned());
        let unknown = unknown(variables).into_iter();
        unknown
            .map(|unknown| (unknown.name, unknown.meant))
            .collect()
    }

    #[test]
    fn a_misspelled_setting_is_found_with_the_one_that_was_meant() {
        let meant = |name| said(&[name]).pop().and_then(|(_, meant)| meant);
        for (name, real) in [
            ("MANAGED_AGENTS_READONLY", "MANAGED_AGENTS_READ_ONLY"),
            ("MANAGED_AGENTS_BUGDET_USD", "MANAGED_AGENTS_BUDGET_USD"),
            ("MANAGED_AGENTS_BUDGET", "MANAGED_AGENTS_BUDGET_USD"),
            ("MANAGED_AGENTS_KEYFILE", "MANAGED_AGENTS_KEY_FILE"),
            ("MANAGED_AGENT_BUDGET_USD", "MANAGED_AGENTS_BUDGET_USD"),
        ] {
            assert_eq!(meant(name), Some(real), "{name}");
        }
        for name in ["MANAGED_AGENTS_SOMETHING_ELSE", "MANAGED_AGENTS_FOO"] {
            assert_eq!(said(&[name]), [(name.to_owned(), None)]);
        }
    }

    #[test]
    fn what_is_a_setting_or_somebody_elses_is_not_unknown() {
        let all: Vec<&str> = names().chain(["PATH", "MANAGED_AGENTS_MCP_BIN"]).collect();
        assert!(all.contains(&"MANAGED_AGENTS_GITHUB_TOKEN") && all.contains(&"GITHUB_TOKEN"));
        assert_eq!(said(&all), []);
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, count) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!((edits(a, b), edits(b, a)), (count, count));
        }
    }
}
