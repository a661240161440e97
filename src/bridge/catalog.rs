//! Agents and environments: listed, shown and created.

use serde::Serialize;
use serde_json::Value;

use super::find::{self, SEARCHED_PAGES};
use super::{Bridge, Failure};
use crate::api::agents::{Agent, AgentFilter};
use crate::api::environments::Environment;
use crate::api::with;
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Of a description in a list.
const DESCRIPTION_CHARS: usize = 200;

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

    fn most(&self) -> usize {
        self.limit.unwrap_or(20) as usize
    }

    fn filter(&self) -> AgentFilter {
        let limit = Some(self.most() as u32);
        AgentFilter {
            include_archived: self.include_archived,
            limit,
            page: self.page.clone(),
        }
    }

    /// The next page of a search: no more rows than are still wanted, so that none has to be left out.
    fn rest_of<T>(&self, listed: &Listed<T>) -> AgentFilter {
        let limit = Some(self.most().saturating_sub(listed.items.len()).max(1) as u32);
        AgentFilter {
            limit,
            page: listed.next_page.clone(),
            ..self.filter()
        }
    }
}

impl Bridge {
    /// Agents, by part of the name.
    pub async fn list_agents(&self, query: &Query) -> Result<Listed<AgentRow>, Failure> {
        let api = self.api_in_time();
        let mut filter = query.filter();
        let mut listed = Listed::default();
        for _ in 0..SEARCHED_PAGES {
            let page = api
                .list_agents(&filter)
                .await
                .map_err(Failure::while_trying("list agents"))?;
            let wanted = page.data.iter().filter(|agent| query.wants(&agent.name));
            if listed.is_enough(query, wanted.map(agent_row), page.next_page) {
                break;
            }
            filter = query.rest_of(&listed);
        }
        Ok(listed)
    }

    /// Environments, by part of the name.
    pub async fn list_environments(
        &self,
        query: &Query,
    ) -> Result<Listed<EnvironmentRow>, Failure> {
        let api = self.api_in_time();
        let mut filter = query.filter();
        let mut listed = Listed::default();
        for _ in 0..SEARCHED_PAGES {
            let page = api
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
            filter = query.rest_of(&listed);
        }
        Ok(listed)
    }

    /// One agent as the API has it, found by id or name.
    pub async fn get_agent(&self, wanted: &str, version: Option<u64>) -> Result<Value, Failure> {
        let api = self.api_in_time();
        let id = find::agent(&api, wanted, &[]).await?;
        api.get_agent(&id, version)
            .await
            .map_err(Failure::while_trying(format!("read agent {id}")))
    }

    /// Creates an agent. The answer is the API's object.
    pub async fn create_agent(&self, body: Value) -> Result<Value, Failure> {
        let lacking = body.get("model").is_none();
        let body = with(body, "model", lacking.then_some(self.config.model.as_str()));
        self.api_in_time()
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
        let api = self.api_in_time();
        match api.create_environment(body).await {
            Ok(created) => Ok((environment_row(&created), None)),
            Err(error) if error.status() == Some(409) => {
                let doing = "create the environment";
                let all = find::environments(&api)
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
            .map(|text| cut(&clean_line(text), DESCRIPTION_CHARS))
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
            .map(|text| cut(&clean_line(text), DESCRIPTION_CHARS))
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
