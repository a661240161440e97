//! The key: where it comes from, never what it is.

use std::path::Path;

use secrecy::ExposeSecret;

use super::Lookup;
use super::report::Check;
use super::seen::Seen;
use crate::config::Key;
use crate::key::{
    KEY_SOURCES, KeySource, NO_KEY, UNREPLACED, is_unreplaced, named_program, pasted, sources,
};

const NAME: &str = "key";
/// The key, or why there is none, and where it was looked for.
pub(super) struct Found {
    pub(super) key: Result<Key, String>,
    place: String,
    /// What is wrong with what the settings refused.
    flaw: Option<&'static str>,
}

/// Fetches the key. `refused` is what the settings say about a key that is no key.
pub(super) async fn find(lookup: Lookup<'_>, source: &KeySource, refused: Option<String>) -> Found {
    let is_refused = refused
        .as_ref()
        .is_some_and(|why| !why.starts_with("MANAGED_AGENTS_KEY"));
    let key = match refused {
        Some(sentence) => Err(sentence),
        None => source.resolve().await,
    };
    let given = sources(lookup).into_iter().next().map(|(_, text)| text);
    let flaw = given
        .filter(|_| is_refused)
        .and_then(|text| unusable(&Key::Api(text.into())));
    Found {
        key,
        place: place(lookup),
        flaw,
    }
}

fn place(lookup: Lookup<'_>) -> String {
    let mut set = sources(lookup).into_iter();
    let Some((first, value)) = set.next() else {
        return "none is set".to_owned();
    };
    let place = match first {
        // Another value may be a key, put in the wrong place.
        "MANAGED_AGENTS_KEY_FILE" if Path::new(&value).is_absolute() => {
            format!("from {first} {value}{}", mode(Path::new(&value)))
        }
        "MANAGED_AGENTS_KEY_COMMAND" => {
            let program = value.split_whitespace().next().unwrap_or_default();
            match named_program(program) {
                named if named.starts_with('`') => format!("from {first} {named}"),
                _ => format!("from {first}"),
            }
        }
        "ANTHROPIC_AUTH_TOKEN" => format!("from {first}, sent as a bearer token"),
        _ => format!("from {first}"),
    };
    let others = set.filter(|(_, text)| !is_unreplaced(text));
    let others: Vec<&str> = others.map(|(name, _)| name).collect();
    if others.is_empty() {
        return place;
    }
    format!("{place}, which goes before {}", others.join(", "))
}

#[cfg(unix)]
fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).map_or_else(
        |_| String::new(),
        |facts| format!(" (mode {:04o})", facts.permissions().mode() & 0o7777),
    )
}

#[cfg(not(unix))]
fn mode(_: &Path) -> String {
    String::new()
}

impl Found {
    /// The check, once it is known what the API said.
    pub(super) fn check(&self, seen: Option<&Seen>) -> Check {
        let place = &self.place;
        let key = match &self.key {
            Ok(key) => key,
            Err(why) => return self.missing(why),
        };
        match seen {
            Some(Seen::KeyRefused) => Check::failed(
                NAME,
                format!("{place}; the API refuses it (401)"),
                advice(key),
            ),
            Some(Seen::Forbidden(words)) => Check::failed(
                NAME,
                format!("{place}; the API knows it but does not allow this (403): {words}"),
                "Ask who runs the workspace for access to Managed Agents; ANTHROPIC_WORKSPACE_ID chooses another workspace.",
            ),
            Some(seen) if seen.knows_the_key() => {
                Check::ok(NAME, format!("{place}; the API accepts it"))
            }
            _ => match unusable(key) {
                Some(why) => Check::failed(NAME, format!("{place}; it is no key"), why),
                None => Check::skipped(
                    NAME,
                    format!("{place}; the API could not be asked about it"),
                    match seen {
                        Some(Seen::Refused(..)) => "Fix beta first.",
                        _ => "Fix base-url first.",
                    },
                ),
            },
        }
    }

    fn missing(&self, why: &str) -> Check {
        let place = &self.place;
        if place == "none is set" {
            return Check::failed(
                NAME,
                place,
                "Set ANTHROPIC_API_KEY, or name a private file that holds the key in MANAGED_AGENTS_KEY_FILE.",
            );
        }
        let fix = if let Some(flaw) = self.flaw {
            flaw
        } else if why.contains("chmod") {
            "Make the file private (chmod 600), and the key a new one if this machine has other users."
        } else if why.contains(UNREPLACED) && !why.contains(": ") {
            "Set that variable where the client is started, or put MANAGED_AGENTS_KEY_FILE with the path of a private file in its place in the client's configuration."
        } else if why.contains(NO_KEY) {
            "Put the key there alone, on one line: copy it again."
        } else {
            "Correct what this setting names, or unset it to use another source."
        };
        // The place has named the setting already.
        let named = KEY_SOURCES.iter().find(|name| why.starts_with(**name));
        let rest = why.split_once(": ").filter(|_| named.is_some());
        let found = match (named, rest) {
            (_, Some((_, rest))) => format!("{place}; {rest}"),
            (Some(name), None) => format!("{place}, which{}", why.trim_start_matches(name)),
            (None, None) => format!("{place}; {why}"),
        };
        Check::failed(NAME, found, fix)
    }
}

/// Why this cannot be a key, whatever the API says.
fn unusable(key: &Key) -> Option<&'static str> {
    let (Key::Api(secret) | Key::Bearer(secret)) = key;
    let text = secret.expose_secret();
    let quoted = ['"', '\'', '`'];
    if text.starts_with(quoted) || text.ends_with(quoted) {
        Some("Remove the quotation marks around the key.")
    } else if pasted(text).is_some() {
        Some("Put the key there alone, without the name before it.")
    } else if text.contains('…') || text.contains("...") {
        Some("This is the placeholder of an example: put the key itself there.")
    } else if !text.chars().all(|c| c.is_ascii_graphic()) {
        Some("It holds spaces or other characters that no key has: copy it again.")
    } else {
        None
    }
}

fn advice(key: &Key) -> &'static str {
    if let Some(why) = unusable(key) {
        return why;
    }
    match key {
        Key::Api(key) if key.expose_secret().starts_with("sk-ant-oat") => {
            "This is an OAuth token: set it as ANTHROPIC_AUTH_TOKEN instead."
        }
        Key::Api(key) if key.expose_secret().starts_with("sk-ant-admin") => {
            "This is an Admin key, which runs nothing: take an API key of a workspace."
        }
        _ => {
            "Copy the key again, or make a new one on platform.claude.com; a key for another service belongs to another ANTHROPIC_BASE_URL."
        }
    }
}
