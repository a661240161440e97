//! What can be checked without the network: settings, files, tokens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::Check;
use super::secrets::BEGINNINGS;
use super::{Lookup, Surroundings};
use crate::config::{Config, Toolset};
use crate::key::{UNREPLACED, is_unreplaced};
use crate::settings;

/// A folder on a dead network drive may never answer.
const FOLDERS_TIMEOUT: Duration = Duration::from_secs(5);
/// A configuration file is not larger.
const LARGEST_FILE: u64 = 1 << 20;
/// Configuration files of clients that lie in a project, where they are shared.
const SHARED_FILES: [&str; 8] = [
    ".mcp.json",
    ".cursor/mcp.json",
    ".vscode/mcp.json",
    ".codex/config.toml",
    ".gemini/settings.json",
    ".junie/mcp/mcp.json",
    ".zed/settings.json",
    "opencode.json",
];

/// The settings as far as they make sense.
pub(super) struct Settings {
    /// With the default where a value is refused.
    pub(super) config: Option<Config>,
    /// Names of what is refused, and why.
    refused: Vec<(String, String)>,
}

impl Settings {
    /// Reads them again without each value that is refused, so that one mistake does not hide the next.
    pub(super) fn read(lookup: Lookup<'_>) -> Settings {
        let mut refused: Vec<(String, String)> = Vec::new();
        loop {
            let is_refused = |name: &str| refused.iter().any(|(known, _)| known == name);
            let accepted = |name: &str| lookup(name).filter(|_| !is_refused(name));
            let sentence = match Config::read(&accepted) {
                Ok(config) => {
                    return Settings {
                        config: Some(config),
                        refused,
                    };
                }
                Err(error) => error.to_string(),
            };
            let name = name_in(&sentence);
            let is_known = is_refused(&name);
            refused.push((name, sentence));
            if is_known {
                return Settings {
                    config: None,
                    refused,
                };
            }
        }
    }

    /// Why a setting is refused, if it is.
    pub(super) fn refusal(&self, name: &str) -> Option<&str> {
        let found = self.refused.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    pub(super) fn check(&self, around: &Surroundings<'_>) -> Check {
        let name = "settings";
        let log = around.log_error.iter().cloned();
        let refused = self.refused.iter().map(|(_, sentence)| sentence.clone());
        let refused: Vec<String> = refused.chain(log).collect();
        let unknown = settings::unknown(around.variables.iter().cloned());
        let meant = unknown.iter().filter_map(|unknown| {
            let meant = unknown.meant?;
            Some(format!("{meant} for {}", unknown.name))
        });
        let meant: Vec<String> = meant.collect();
        let unknown: Vec<String> = unknown.iter().map(settings::Unknown::to_string).collect();
        let meant = match meant.as_slice() {
            [] => "--help lists the settings.".to_owned(),
            meant => format!("probably meant: {}.", meant.join(", ")),
        };
        if !refused.is_empty() {
            let found = [refused, unknown.clone()].concat().join("; ");
            let fix = "Correct it or unset it, or else the server does not start";
            return match unknown.as_slice() {
                [] => Check::failed(name, found, format!("{fix}.")),
                _ => Check::failed(name, found, format!("{fix}; {meant}")),
            };
        }
        if !unknown.is_empty() {
            let fix = format!("Correct its name or unset it; {meant}");
            return Check::warning(name, unknown.join("; "), fix);
        }
        let doubts = self.config.iter().flat_map(Config::doubts);
        let doubts: Vec<String> = doubts.collect();
        if !doubts.is_empty() {
            return Check::warning(name, doubts.join("; "), "Correct it or unset it.");
        }
        let offers = |toolset| {
            self.config
                .as_ref()
                .is_none_or(|config| config.toolsets.contains(&toolset))
        };
        if !offers(Toolset::Core) {
            let found = "MANAGED_AGENTS_TOOLSETS leaves `core` out: nothing can be delegated";
            return Check::warning(
                name,
                found,
                "Begin its list with `core,` unless that is meant.",
            );
        }
        let set: Vec<&str> = settings::names()
            .filter(|name| (around.lookup)(name).is_some())
            .collect();
        match set.as_slice() {
            [] => Check::ok(name, "none is set; the defaults hold"),
            set => Check::ok(name, format!("{} set: {}", set.len(), set.join(", "))),
        }
    }
}

/// The setting that a sentence begins with.
fn name_in(sentence: &str) -> String {
    let letters = sentence.chars();
    letters
        .take_while(|c| c.is_ascii_uppercase() || *c == '_')
        .collect()
}

/// Keys and tokens where others can read them.
pub(super) fn exposure(lookup: Lookup<'_>, folder: &Path) -> Check {
    let name = "exposure";
    let file = lookup("MANAGED_AGENTS_KEY_FILE").map(PathBuf::from);
    if let Some(file) = file.filter(|file| is_open(file)) {
        return Check::warning(
            name,
            format!("others can read the key file {}", file.display()),
            "Make it private (chmod 600), and the key a new one if this machine has other users.",
        );
    }
    let holding: Vec<&str> = SHARED_FILES
        .into_iter()
        .filter(|file| holds_secret(&folder.join(file)))
        .collect();
    if holding.is_empty() {
        return Check::ok(name, "no key in a file that others can read");
    }
    Check::warning(
        name,
        format!("a key or token stands in {}", holding.join(", ")),
        "Take it out (`managed-agents-mcp config CLIENT` shows how to refer to it), and make a new one if the file was ever shared.",
    )
}

#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|facts| facts.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

fn holds_secret(file: &Path) -> bool {
    let is_small =
        std::fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.len() <= LARGEST_FILE);
    let text = is_small
        .then(|| std::fs::read_to_string(file).ok())
        .flatten();
    let text = text.unwrap_or_default();
    BEGINNINGS.iter().any(|beginning| {
        let mut pieces = text.split(beginning).skip(1);
        // A real one goes on; an example ends in dots.
        pieces.any(|rest| {
            rest.chars()
                .take(8)
                .filter(char::is_ascii_alphanumeric)
                .count()
                >= 6
        })
    })
}

/// The folders that file tools may use.
pub(super) async fn file_roots(settings: &Settings) -> Check {
    let name = "file-roots";
    let fix = "Make the folder, correct its permissions, or correct MANAGED_AGENTS_FILE_ROOTS.";
    if let Some(sentence) = settings.refusal("MANAGED_AGENTS_FILE_ROOTS") {
        return Check::failed(name, sentence, fix);
    }
    let roots = settings
        .config
        .as_ref()
        .map(|config| config.file_roots.clone());
    let roots = roots.unwrap_or_default();
    if roots.is_empty() {
        return Check::skipped(
            name,
            "none is set, so no local file is read or written",
            "To allow a folder, name it in MANAGED_AGENTS_FILE_ROOTS.",
        );
    }
    let count = roots.len();
    let looked = tokio::task::spawn_blocking(move || {
        let troubles = roots.iter().filter_map(|root| trouble(root));
        troubles.collect::<Vec<String>>()
    });
    let troubles = match tokio::time::timeout(FOLDERS_TIMEOUT, looked).await {
        Ok(troubles) => troubles.unwrap_or_default(),
        Err(_) => vec!["a folder gives no answer".to_owned()],
    };
    if troubles.is_empty() {
        let noun = if count == 1 { "folder" } else { "folders" };
        return Check::ok(name, format!("{count} {noun}, readable and writable"));
    }
    Check::failed(name, troubles.join("; "), fix)
}

fn trouble(root: &Path) -> Option<String> {
    let told = |why: &str| Some(format!("{} {why}", root.display()));
    match std::fs::metadata(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => told("does not exist"),
        Err(error) => told(&format!("cannot be looked at: {error}")),
        Ok(facts) if !facts.is_dir() => told("is not a folder"),
        Ok(_) if std::fs::read_dir(root).is_err() => told("cannot be read"),
        Ok(facts) if !is_writable(root, &facts) => told("cannot be written to"),
        Ok(_) => None,
    }
}

#[cfg(unix)]
fn is_writable(root: &Path, _: &std::fs::Metadata) -> bool {
    rustix::fs::access(root, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(_: &Path, facts: &std::fs::Metadata) -> bool {
    !facts.permissions().readonly()
}

pub(super) fn github_token(lookup: Lookup<'_>) -> Check {
    let name = "github-token";
    let names = ["MANAGED_AGENTS_GITHUB_TOKEN", "GITHUB_TOKEN"];
    let found = names
        .into_iter()
        .find_map(|name| Some((name, lookup(name)?)));
    match found {
        Some((from, value)) if is_unreplaced(&value) => Check::warning(
            name,
            format!("{from} {UNREPLACED}"),
            "Write the token itself there, or take the setting out.",
        ),
        Some((from, _)) => Check::ok(name, format!("from {from}")),
        None => Check::skipped(
            name,
            "none is set, so public repositories only",
            "For private ones set MANAGED_AGENTS_GITHUB_TOKEN to a fine-grained token.",
        ),
    }
}
