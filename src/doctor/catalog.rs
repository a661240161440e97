//! The agents and environments that the key can see, and whether the settings name some of them.

use crate::api::agents::AgentFilter;
use crate::api::{Client, Error};
use crate::config::Config;

use super::report::Check;

/// Pages of a hundred that are read at most.
const MOST_PAGES: usize = 25;

/// An agent or an environment: id and name.
type Named = (String, String);

/// What the settings say about agents, or about environments.
struct Wanted<'a> {
    check: &'static str,
    noun: &'static str,
    default: Option<&'a str>,
    default_setting: &'static str,
    allowed: &'a [String],
    allowed_setting: &'static str,
}

/// Both checks; without a client both are skipped.
pub(super) async fn checks(config: &Config, client: Option<&Client>) -> [Check; 2] {
    let agents = Wanted {
        check: "agents",
        noun: "agent",
        default: config.agent.as_deref(),
        default_setting: "MANAGED_AGENTS_AGENT",
        allowed: &config.allow_agents,
        allowed_setting: "MANAGED_AGENTS_ALLOW_AGENTS",
    };
    let environments = Wanted {
        check: "environments",
        noun: "environment",
        default: config.environment.as_deref(),
        default_setting: "MANAGED_AGENTS_ENVIRONMENT",
        allowed: &config.allow_environments,
        allowed_setting: "MANAGED_AGENTS_ALLOW_ENVIRONMENTS",
    };
    let Some(client) = client else {
        return [agents.unknown(), environments.unknown()];
    };
    let (found_agents, found_environments) =
        tokio::join!(list_agents(client), list_environments(client));
    [
        agents.check(found_agents),
        environments.check(found_environments),
    ]
}

async fn list_agents(client: &Client) -> Result<Vec<Named>, Error> {
    let mut filter = AgentFilter {
        limit: Some(100),
        ..AgentFilter::default()
    };
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = client.list_agents(&filter).await?;
        let kept = page
            .data
            .into_iter()
            .filter(|one| one.archived_at.is_none());
        all.extend(kept.map(|one| (one.id, one.name)));
        filter.page = page.next_page;
        if filter.page.is_none() {
            break;
        }
    }
    Ok(all)
}

async fn list_environments(client: &Client) -> Result<Vec<Named>, Error> {
    let mut next: Option<String> = None;
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = client.list_environments(Some(100), next.as_deref()).await?;
        let kept = page
            .data
            .into_iter()
            .filter(|one| one.archived_at.is_none());
        all.extend(kept.map(|one| (one.id, one.name)));
        next = page.next_page;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

impl Wanted<'_> {
    fn unknown(&self) -> Check {
        let found = "not asked for, since the API does not answer";
        Check::skipped(self.check, found, "Fix the failures above first.")
    }

    fn check(&self, listed: Result<Vec<Named>, Error>) -> Check {
        let all = match listed {
            Ok(all) => all,
            Err(error) => {
                let fix = "Run this again; if it stays, ask who runs the workspace what this key may see.";
                return Check::failed(self.check, format!("not listed: {error}"), fix);
            }
        };
        self.default_trouble(&all)
            .or_else(|| self.allowed_trouble(&all))
            .unwrap_or_else(|| Check::ok(self.check, self.seen(&all)))
    }

    fn seen(&self, all: &[Named]) -> String {
        let default = self
            .default
            .map(|wanted| format!("; {} is {wanted}", self.default_setting));
        match all.len() {
            0 => format!("no {} yet; the first create_session makes one", self.noun),
            count => format!("{count} visible{}", default.unwrap_or_default()),
        }
    }

    /// The configured one must be one, and a permitted one.
    fn default_trouble(&self, all: &[Named]) -> Option<Check> {
        let (setting, noun) = (self.default_setting, self.noun);
        let wanted = self.default?;
        let found = matching(all, wanted);
        let named = format!("{setting} names `{wanted}`");
        match found.as_slice() {
            [] => Some(Check::failed(
                self.check,
                format!("{named}, but no {noun} that this key sees has this id or name"),
                format!("Correct {setting}, or unset it to use the default {noun}."),
            )),
            [one] if !self.allows(one) => Some(Check::failed(
                self.check,
                format!("{named}, which {} leaves out", self.allowed_setting),
                format!("Add it to {}, or correct {setting}.", self.allowed_setting),
            )),
            [_] => None,
            several => Some(Check::failed(
                self.check,
                format!("{named}, which {} {noun}s are called", several.len()),
                format!("Put the id of one of them into {setting}."),
            )),
        }
    }

    fn allows(&self, (id, name): &Named) -> bool {
        let is_it = |entry: &String| entry == id || entry == name;
        self.allowed.is_empty() || self.allowed.iter().any(is_it)
    }

    fn allowed_trouble(&self, all: &[Named]) -> Option<Check> {
        let is_there = |entry: &str| all.iter().any(|(id, name)| entry == id || entry == name);
        let missing: Vec<&str> = self
            .allowed
            .iter()
            .map(String::as_str)
            .filter(|entry| !is_there(entry))
            .collect();
        let (setting, noun) = (self.allowed_setting, self.noun);
        let fix = format!("Correct {setting}: ids or exact names, separated by commas.");
        let names = missing.join("`, `");
        match missing.len() {
            0 => None,
            count if count == self.allowed.len() => Some(Check::failed(
                self.check,
                format!("{setting} names no {noun} that this key sees: `{names}`"),
                fix,
            )),
            _ => Some(Check::warning(
                self.check,
                format!("{setting} names what this key does not see: `{names}`"),
                fix,
            )),
        }
    }
}

/// By id, else by exact name, else by the name in other letters: as a session looks for it.
fn matching<'a>(all: &'a [Named], wanted: &str) -> Vec<&'a Named> {
    let by = |is_it: &dyn Fn(&Named) -> bool| -> Vec<&'a Named> {
        all.iter().filter(|one| is_it(one)).collect()
    };
    [
        by(&|(id, _)| id == wanted),
        by(&|(_, name)| name == wanted),
        by(&|(_, name)| name.eq_ignore_ascii_case(wanted)),
    ]
    .into_iter()
    .find(|found| !found.is_empty())
    .unwrap_or_default()
}
