//! One agent or environment, found by id or name; where there is none of that name, the nearest names.

use std::collections::HashSet;

use super::Failure;
use crate::api::agents::{Agent, AgentFilter};
use crate::api::environments::Environment;
use crate::api::{Client, Error, Id, Page};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Pages that a search reads at most.
pub(super) const SEARCHED_PAGES: usize = 25;
/// Pages on which something is that was made just now.
pub(super) const NEWEST_PAGES: usize = 3;
/// A name farther away than this is no likely misspelling: fewer than half of the pairs of letters agree.
const FAR: usize = 550;
/// Names offered when one was not found.
const NEAR_NAMES: usize = 5;

/// The agent with this id or name, if it may be used.
pub(super) async fn agent(api: &Client, wanted: &str, allowed: &[String]) -> Result<Id, Failure> {
    // The prefix only saves a look-up; an id without it is found like a name.
    if let Ok(id) = Id::parse(wanted)
        && wanted.starts_with("agent_")
        && (allowed.is_empty() || allowed.contains(&id.to_string()))
    {
        return Ok(id);
    }
    let all = agents(api)
        .await
        .map_err(Failure::while_trying("look for the agent"))?;
    let named = all
        .iter()
        .map(|agent| (agent.id.as_str(), agent.name.as_str()));
    choose("agent", wanted, named.collect(), allowed)
}

/// The agent with this id or exactly this name, to be changed or closed: a near miss must not hit another one.
pub(super) async fn very_agent(api: &Client, wanted: &str) -> Result<Id, Failure> {
    let id = agent(api, wanted, &[]).await?;
    if id.as_str() == wanted || wanted.starts_with("agent_") {
        return Ok(id);
    }
    let all = agents(api)
        .await
        .map_err(Failure::while_trying("look for the agent"))?;
    let is_exact = all
        .iter()
        .any(|agent| agent.id == id.as_str() && agent.name == wanted);
    exactly("agent", wanted, id, is_exact)
}

/// The environment with this id or exactly this name.
pub(super) async fn very_environment(api: &Client, wanted: &str) -> Result<Id, Failure> {
    let id = environment(api, wanted, &[]).await?;
    if id.as_str() == wanted || wanted.starts_with("env_") {
        return Ok(id);
    }
    let all = environments(api)
        .await
        .map_err(Failure::while_trying("look for the environment"))?;
    let is_exact = all
        .iter()
        .any(|environment| environment.id == id.as_str() && environment.name == wanted);
    exactly("environment", wanted, id, is_exact)
}

fn exactly(noun: &str, wanted: &str, id: Id, is_exact: bool) -> Result<Id, Failure> {
    if is_exact {
        return Ok(id);
    }
    Err(Failure::argument(
        format!(
            "No {noun} is named exactly `{}`; nothing was changed.",
            cut(&clean_line(wanted), 100)
        ),
        format!("if {id} is meant, pass this id."),
    ))
}

/// The environment with this id or name, if it may be used.
pub(super) async fn environment(
    api: &Client,
    wanted: &str,
    allowed: &[String],
) -> Result<Id, Failure> {
    if let Ok(id) = Id::parse(wanted)
        && wanted.starts_with("env_")
        && (allowed.is_empty() || allowed.contains(&id.to_string()))
    {
        return Ok(id);
    }
    let all = environments(api)
        .await
        .map_err(Failure::while_trying("look for the environment"))?;
    let named = all
        .iter()
        .map(|environment| (environment.id.as_str(), environment.name.as_str()));
    choose("environment", wanted, named.collect(), allowed)
}

/// Refuses to give a new agent or environment a name by which it would pass for one that may be used.
pub(super) fn unreserved(noun: &str, name: &str, allowed: &[String]) -> Result<(), Failure> {
    if !allowed.iter().any(|entry| entry.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Failure::argument(
        format!(
            "The name `{}` is on this server's list of allowed {noun}s, so nothing new may take it.",
            cut(&clean_line(name), 100)
        ),
        "choose another name.",
    ))
}

fn choose(
    noun: &str,
    wanted: &str,
    all: Vec<(&str, &str)>,
    allowed: &[String],
) -> Result<Id, Failure> {
    let shown = cut(&clean_line(wanted), 100);
    let by_id = all.iter().filter(|(id, _)| *id == wanted);
    let exact = all.iter().filter(|(_, name)| *name == wanted);
    let folded = all
        .iter()
        .filter(|(_, name)| name.eq_ignore_ascii_case(wanted));
    let candidates: Vec<&(&str, &str)> =
        [by_id.collect(), exact.collect::<Vec<_>>(), folded.collect()]
            .into_iter()
            .find(|found: &Vec<_>| !found.is_empty())
            .unwrap_or_default();
    match candidates.as_slice() {
        [] => Err(unknown(noun, &shown, &all)),
        [(id, name)] => {
            let permitted =
                allowed.is_empty() || allowed.iter().any(|entry| entry == id || entry == name);
            if !permitted {
                return Err(Failure::argument(
                    format!("The {noun} `{shown}` may not be used here."),
                    format!("use one of those that may: {}.", allowed.join(", ")),
                ));
            }
            Id::parse(id)
                .map_err(|why| Failure::argument(why, format!("the API returned this {noun} id.")))
        }
        several => {
            let ids = several.iter().map(|(id, _)| *id);
            let ids: Vec<&str> = ids.filter(|id| Id::is_id(id)).take(NEAR_NAMES).collect();
            Err(Failure::argument(
                format!("{} {noun}s are named `{shown}`.", several.len()),
                format!("pass the id instead of the name: {}.", ids.join(", ")),
            ))
        }
    }
}

/// A name in a sentence of ours, between marks that it cannot close.
fn quoted(name: &str) -> String {
    format!("`{}`", cut(&clean_line(name), 100).replace('`', "'"))
}

fn unknown(noun: &str, wanted: &str, all: &[(&str, &str)]) -> Failure {
    let mut near: Vec<(usize, &(&str, &str))> = all
        .iter()
        .map(|named| {
            (
                distance(&wanted.to_lowercase(), &named.1.to_lowercase()),
                named,
            )
        })
        .collect();
    near.retain(|(distance, _)| *distance <= FAR);
    near.sort();
    let names: Vec<String> = near
        .iter()
        .take(NEAR_NAMES)
        .filter(|(_, (id, _))| Id::is_id(id))
        .map(|(_, (id, name))| format!("{} ({id})", quoted(name)))
        .collect();
    let what = format!("No {noun} has the id or name `{wanted}`.");
    if names.is_empty() {
        return Failure::argument(
            what,
            format!("list_{noun}s shows which there are, create_{noun} makes one."),
        );
    }
    Failure::argument(
        what,
        format!(
            "use one of the nearest names: {}; or list_{noun}s for all.",
            names.join(", ")
        ),
    )
}

/// How far two names are apart: pairs of letters that only one of them has, so that a name's part is near to it.
fn distance(a: &str, b: &str) -> usize {
    let pairs = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        letters
            .windows(2)
            .map(<[char]>::to_vec)
            .collect::<HashSet<_>>()
    };
    let (a, b) = (pairs(a), pairs(b));
    let shared = a.intersection(&b).count();
    1000 - 1000 * shared / a.len().min(b.len()).max(1) + a.len().abs_diff(b.len())
}

/// The first item that is looked for, on so many pages of a list.
pub(super) async fn first<T, F: Future<Output = Result<Page<T>, Error>>>(
    pages: usize,
    page: impl Fn(Option<String>) -> F,
    is_it: impl Fn(&T) -> bool,
) -> Result<Option<T>, Error> {
    let mut next = None;
    for _ in 0..pages {
        let found = page(next.take()).await?;
        let item = found.data.into_iter().find(&is_it);
        next = found.next_page;
        if item.is_some() || next.is_none() {
            return Ok(item);
        }
    }
    Ok(None)
}

pub(super) async fn agents(api: &Client) -> Result<Vec<Agent>, Error> {
    let mut filter = AgentFilter {
        limit: Some(100),
        ..AgentFilter::default()
    };
    let mut all = Vec::new();
    for _ in 0..SEARCHED_PAGES {
        let page = api.list_agents(&filter).await?;
        all.extend(
            page.data
                .into_iter()
                .filter(|agent| agent.archived_at.is_none()),
        );
        filter.page = page.next_page;
        if filter.page.is_none() {
            break;
        }
    }
    Ok(all)
}

pub(super) async fn environments(api: &Client) -> Result<Vec<Environment>, Error> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..SEARCHED_PAGES {
        let page = api.list_environments(Some(100), next.as_deref()).await?;
        all.extend(
            page.data
                .into_iter()
                .filter(|environment| environment.archived_at.is_none()),
        );
        next = page.next_page;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}
