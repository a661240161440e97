//! Agents and environments: found by id or name, listed, and created.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Bridge, Failure, MARK, matches};
use crate::api::agents::{Agent, AgentFilter};
use crate::api::environments::Environment;
use crate::api::{Client, Error, Id, with};
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Value of the mark on what was made to be the default.
const DEFAULT: &str = "default";
pub(super) const DEFAULT_NAME: &str = "managed-agents-mcp default";
/// Pages of 100 that a search reads at most.
const SEARCHED_PAGES: usize = 10;
/// Names offered when one was not found.
const NEAR_NAMES: usize = 5;

/// An agent in a list.
#[derive(Debug, Clone, Serialize)]
pub struct AgentRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its current version.
    pub version: u64,
    /// Id of its model.
    pub model: Option<String>,
    /// As its owner wrote it.
    pub description: Option<String>,
    /// It is archived.
    pub archived: bool,
}

/// An environment in a list.
#[derive(Debug, Clone, Serialize)]
pub struct EnvironmentRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// As its owner wrote it.
    pub description: Option<String>,
    /// `cloud` or `self_hosted`.
    pub kind: Option<String>,
    /// `unrestricted` or `limited`.
    pub networking: Option<String>,
    /// It is archived.
    pub archived: bool,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Token of the next page.
    pub next_page: Option<String>,
    /// Token of the page before; sessions only.
    pub prev_page: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Part of the name, case aside.
    pub name_contains: Option<String>,
    /// Archived ones too.
    pub include_archived: bool,
    /// Most rows.
    pub limit: Option<u32>,
    /// Token of the page.
    pub page: Option<String>,
}

impl Query {
    fn wants(&self, name: &str) -> bool {
        let part = self.name_contains.as_ref().map(|part| part.to_lowercase());
        part.is_none_or(|part| name.to_lowercase().contains(&part))
    }

    fn filter(&self) -> AgentFilter {
        // A search by name looks at whole pages, since the API cannot search.
        let limit = if self.name_contains.is_some() {
            Some(100)
        } else {
            self.limit.or(Some(20))
        };
        AgentFilter {
            include_archived: self.include_archived,
            limit,
            page: self.page.clone(),
        }
    }
}

impl Bridge {
    /// Agents, by part of the name.
    pub async fn list_agents(&self, query: &Query) -> Result<Listed<AgentRow>, Failure> {
        let mut filter = query.filter();
        let mut listed = Listed::default();
        for _ in 0..SEARCHED_PAGES {
            let page = self
                .api
                .list_agents(&filter)
                .await
                .map_err(Failure::while_trying("list agents"))?;
            let wanted = page.data.iter().filter(|agent| query.wants(&agent.name));
            if listed.is_enough(query, wanted.map(agent_row), page.next_page) {
                break;
            }
            filter.page = listed.next_page.clone();
        }
        Ok(listed)
    }

    /// Environments, by part of the name.
    pub async fn list_environments(
        &self,
        query: &Query,
    ) -> Result<Listed<EnvironmentRow>, Failure> {
        let mut filter = query.filter();
        let mut listed = Listed::default();
        for _ in 0..SEARCHED_PAGES {
            let page = self
                .api
                .list_environments(filter.limit, filter.page.as_deref())
                .await;
            let page = page.map_err(Failure::while_trying("list environments"))?;
            let wanted = page
                .data
                .iter()
                .filter(|found| found.archived_at.is_none() && query.wants(&found.name));
            if listed.is_enough(query, wanted.map(environment_row), page.next_page) {
                break;
            }
            filter.page = listed.next_page.clone();
        }
        Ok(listed)
    }

    /// One agent as the API has it, found by id or name.
    pub async fn get_agent(&self, wanted: &str, version: Option<u64>) -> Result<Value, Failure> {
        let id = agent(&self.api, wanted, &[]).await?;
        self.api
            .get_agent(&id, version)
            .await
            .map_err(Failure::while_trying(format!("read agent {id}")))
    }

    /// Creates an agent. The answer is the API's object.
    pub async fn create_agent(&self, body: Value) -> Result<Value, Failure> {
        let lacking = body.get("model").is_none();
        let body = with(body, "model", lacking.then_some(self.config.model.as_str()));
        self.api
            .create_agent(body)
            .await
            .map_err(Failure::while_trying("create the agent"))
    }

    /// Creates an environment; a taken name is answered with the id that has it.
    pub async fn create_environment(
        &self,
        body: Value,
    ) -> Result<(EnvironmentRow, Option<String>), Failure> {
        let name = body
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        match self.api.create_environment(body).await {
            Ok(created) => Ok((environment_row(&created), None)),
            Err(error) if error.status() == Some(409) => {
                let doing = "create the environment";
                let all = environments(&self.api)
                    .await
                    .map_err(Failure::while_trying(doing))?;
                match all.iter().find(|environment| environment.name == name) {
                    Some(taken) => {
                        let note = "an environment of this name existed and was left as it is: check that it fits";
                        Ok((environment_row(taken), Some(note.to_owned())))
                    }
                    None => Err(Failure::while_trying(doing)(error)),
                }
            }
            Err(error) => Err(Failure::while_trying("create the environment")(error)),
        }
    }
}

fn agent_row(agent: &Agent) -> AgentRow {
    AgentRow {
        id: agent.id.clone(),
        name: clean_line(&agent.name),
        version: agent.version,
        model: agent.model_id().map(clean_line),
        description: agent
            .description
            .as_deref()
            .map(clean_line)
            .filter(|text| !text.is_empty()),
        archived: agent.archived_at.is_some(),
    }
}

fn environment_row(environment: &Environment) -> EnvironmentRow {
    let text = |pointer: &str| {
        environment
            .config
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(clean_line)
    };
    EnvironmentRow {
        id: environment.id.clone(),
        name: clean_line(&environment.name),
        description: environment
            .description
            .as_deref()
            .map(clean_line)
            .filter(|text| !text.is_empty()),
        kind: text("/type"),
        networking: text("/networking/type"),
        archived: environment.archived_at.is_some(),
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Listed<T> {
        Listed {
            items: Vec::new(),
            next_page: None,
            prev_page: None,
        }
    }
}

impl<T> Listed<T> {
    /// Adds a page; whether no further one needs to be read.
    fn is_enough(
        &mut self,
        query: &Query,
        rows: impl Iterator<Item = T>,
        next_page: Option<String>,
    ) -> bool {
        self.items.extend(rows);
        self.next_page = next_page;
        let most = query.limit.unwrap_or(20) as usize;
        query.name_contains.is_none() || self.items.len() >= most || self.next_page.is_none()
    }
}

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

fn choose(
    noun: &str,
    wanted: &str,
    all: Vec<(&str, &str)>,
    allowed: &[String],
) -> Result<Id, Failure> {
    let shown = cut(&clean_line(wanted), 100);
    let by_id = all.iter().filter(|(id, _)| *id == wanted);
    let exact = all.iter().filter(|(_, name)| *name == wanted);
    let folded = all.iter().filter(|(_, name)| matches(name, wanted));
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
            let ids: Vec<&str> = several.iter().map(|(id, _)| *id).take(NEAR_NAMES).collect();
            Err(Failure::argument(
                format!("{} {noun}s are named `{shown}`.", several.len()),
                format!("pass the id instead of the name: {}.", ids.join(", ")),
            ))
        }
    }
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
    near.sort();
    let names: Vec<String> = near
        .iter()
        .take(NEAR_NAMES)
        .map(|(_, (id, name))| format!("`{}` ({id})", clean_line(name)))
        .collect();
    let what = format!("No {noun} has the id or name `{wanted}`.");
    if names.is_empty() {
        return Failure::argument(
            what,
            format!("create_{noun} makes one; this key can see none."),
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

async fn agents(api: &Client) -> Result<Vec<Agent>, Error> {
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

async fn environments(api: &Client) -> Result<Vec<Environment>, Error> {
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

/// The agent that this product marked as its default, made if there is none.
pub(super) async fn default_agent(
    api: &Client,
    model: &str,
    notes: &mut Vec<String>,
) -> Result<Id, Failure> {
    let doing = "find or create the default agent";
    let all = agents(api).await.map_err(Failure::while_trying(doing))?;
    let marked = all
        .iter()
        .find(|agent| agent.metadata.get(MARK).is_some_and(|mark| mark == DEFAULT));
    let id = match marked {
        Some(agent) => agent.id.clone(),
        None => {
            let body = json!({
                "name": DEFAULT_NAME,
                "model": model,
                "description": "Does the work that local assistants delegate.",
                "tools": [{"type": "agent_toolset_20260401"}],
                "metadata": {MARK: DEFAULT},
            });
            let agent = api
                .create_agent(body)
                .await
                .map_err(Failure::while_trying(doing))?;
            notes.push(format!(
                "created the agent \"{DEFAULT_NAME}\" ({model}); later sessions use it too"
            ));
            agent
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this agent id."))
}

/// The environment that this product marked as its default, made if there is none.
pub(super) async fn default_environment(
    api: &Client,
    notes: &mut Vec<String>,
) -> Result<Id, Failure> {
    let doing = "find or create the default environment";
    let find = |all: Vec<Environment>| {
        let marked = |environment: &Environment| {
            environment
                .metadata
                .get(MARK)
                .is_some_and(|mark| mark == DEFAULT)
                || environment.name == DEFAULT_NAME
        };
        all.into_iter()
            .find(marked)
            .map(|environment| environment.id)
    };
    let listed = environments(api)
        .await
        .map_err(Failure::while_trying(doing))?;
    let id = match find(listed) {
        Some(id) => id,
        None => {
            let body = json!({
                "name": DEFAULT_NAME,
                "config": {"type": "cloud", "networking": {"type": "unrestricted"}},
                "metadata": {MARK: DEFAULT},
            });
            match api.create_environment(body).await {
                Ok(environment) => {
                    notes.push(format!(
                        "created the environment \"{DEFAULT_NAME}\"; later sessions use it too"
                    ));
                    environment.id
                }
                // Another server was faster.
                Err(error) if error.status() == Some(409) => {
                    let listed = environments(api)
                        .await
                        .map_err(Failure::while_trying(doing))?;
                    find(listed).ok_or_else(|| Failure::while_trying(doing)(error))?
                }
                Err(error) => return Err(Failure::while_trying(doing)(error)),
            }
        }
    };
    Id::parse(&id).map_err(|why| Failure::argument(why, "the API returned this environment id."))
}
