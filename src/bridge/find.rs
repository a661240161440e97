//! One agent or environment, looked for in the API's list by id, by name or by what it holds.

use super::Failure;
use super::search::Search;
use crate::api::agents::{Agent, AgentFilter};
use crate::api::environments::Environment;
use crate::api::{Client, Error, Id, Page};
use crate::seen::Pages;
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Pages that a search reads at most.
pub(super) const SEARCHED_PAGES: usize = 25;
/// Pages on which something is that was made just now.
pub(super) const NEWEST_PAGES: usize = 3;

/// The agent with this id or name, if it may be used.
pub(super) async fn agent(api: &Client, wanted: &str, allowed: &[String]) -> Result<Id, Failure> {
    // The prefix only saves a look-up; an id without it is found like a name.
    if let Ok(id) = Id::parse(wanted)
        && wanted.starts_with("agent_")
        && (allowed.is_empty() || allowed.contains(&id.to_string()))
    {
        return Ok(id);
    }
    let mut search = Search::new(wanted);
    let named = |agent: &Agent| {
        search.see(&agent.id, &agent.name);
        false
    };
    first_agent(api, named)
        .await
        .map_err(Failure::while_trying("look for the agent"))?;
    search.choose("agent", allowed)
}

/// The agent with this id or exactly this name, to be changed or closed: a near miss must not hit another one.
pub(super) async fn very_agent(api: &Client, wanted: &str) -> Result<Id, Failure> {
    let id = agent(api, wanted, &[]).await?;
    if id.as_str() == wanted || wanted.starts_with("agent_") {
        return Ok(id);
    }
    let is_it = |agent: &Agent| agent.id == id.as_str() && agent.name == wanted;
    let exact = first_agent(api, is_it)
        .await
        .map_err(Failure::while_trying("look for the agent"))?;
    exactly("agent", wanted, id, exact.is_some())
}

/// The environment with this id or exactly this name.
pub(super) async fn very_environment(api: &Client, wanted: &str) -> Result<Id, Failure> {
    let id = environment(api, wanted, &[]).await?;
    if id.as_str() == wanted || wanted.starts_with("env_") {
        return Ok(id);
    }
    let is_it =
        |environment: &Environment| environment.id == id.as_str() && environment.name == wanted;
    let exact = first_environment(api, is_it)
        .await
        .map_err(Failure::while_trying("look for the environment"))?;
    exactly("environment", wanted, id, exact.is_some())
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
    let mut search = Search::new(wanted);
    let named = |environment: &Environment| {
        search.see(&environment.id, &environment.name);
        false
    };
    first_environment(api, named)
        .await
        .map_err(Failure::while_trying("look for the environment"))?;
    search.choose("environment", allowed)
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

/// The first item that is looked for, on so many pages of a list.
pub(super) async fn first<T, F: Future<Output = Result<Page<T>, Error>>>(
    pages: usize,
    page: impl Fn(Option<String>) -> F,
    mut is_it: impl FnMut(&T) -> bool,
) -> Result<Option<T>, Error> {
    let (mut next, mut read) = (None, Pages::default());
    for _ in 0..pages {
        let found = page(next.take()).await?;
        let item = found.data.into_iter().find(&mut is_it);
        next = found.next_page.filter(|token| read.goes_on(token));
        if item.is_some() || next.is_none() {
            return Ok(item);
        }
    }
    Ok(None)
}

/// A page of all agents.
pub(super) async fn agents(api: &Client, page: Option<String>) -> Result<Page<Agent>, Error> {
    let filter = AgentFilter {
        limit: Some(100),
        page,
        ..AgentFilter::default()
    };
    api.list_agents(&filter).await
}

/// The first agent that can be used and is looked for.
pub(super) async fn first_agent(
    api: &Client,
    mut is_it: impl FnMut(&Agent) -> bool,
) -> Result<Option<Agent>, Error> {
    let is_it = |agent: &Agent| agent.archived_at.is_none() && is_it(agent);
    first(SEARCHED_PAGES, |page| agents(api, page), is_it).await
}

/// The first environment that can be used and is looked for.
pub(super) async fn first_environment(
    api: &Client,
    mut is_it: impl FnMut(&Environment) -> bool,
) -> Result<Option<Environment>, Error> {
    let page = |page: Option<String>| async move {
        api.list_environments(Some(100), page.as_deref()).await
    };
    let is_it = |found: &Environment| found.archived_at.is_none() && is_it(found);
    first(SEARCHED_PAGES, page, is_it).await
}
