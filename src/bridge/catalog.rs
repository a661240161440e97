//! Agents, environments, vaults and memory stores: listed by name.

use serde::Serialize;
use serde_json::Value;

use super::find::SEARCHED_PAGES;
use super::{Bridge, Failure};
use crate::api::agents::{Agent, AgentFilter};
use crate::api::environments::Environment;
use crate::api::memory_stores::MemoryStore;
use crate::api::vaults::Vault;
use crate::api::{Error, Page};
use crate::seen::Pages;
use crate::session::clean::clean_line;
use crate::session::report::cut;

/// Rows of a page that is sifted; the API gives no more.
pub(super) const SIFTED_PAGE: u32 = 100;
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

/// A vault or a memory store in a list.
#[derive(Debug, Clone, Serialize)]
pub struct NamedRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it holds, as its owner wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// RFC 3339.
    pub created_at: Option<String>,
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
}

impl Bridge {
    /// Agents, by part of the name.
    pub async fn list_agents(&self, query: &Query) -> Result<Listed<AgentRow>, Failure> {
        let api = self.api_in_time();
        let page = |limit, page| {
            let (api, include_archived) = (api.clone(), query.include_archived);
            async move {
                let filter = AgentFilter {
                    include_archived,
                    limit: Some(limit),
                    page,
                };
                api.list_agents(&filter).await
            }
        };
        collect(query, "list agents", page, |agent| Some(agent_row(agent))).await
    }

    /// Environments, by part of the name.
    pub async fn list_environments(
        &self,
        query: &Query,
    ) -> Result<Listed<EnvironmentRow>, Failure> {
        let api = self.api_in_time();
        let page = |limit, page: Option<String>| {
            let api = api.clone();
            async move { api.list_environments(Some(limit), page.as_deref()).await }
        };
        let row = |found: &Environment| {
            let is_open = found.archived_at.is_none();
            is_open.then(|| environment_row(found))
        };
        collect(query, "list environments", page, row).await
    }

    /// Vaults, by part of the name.
    pub async fn list_vaults(&self, query: &Query) -> Result<Listed<NamedRow>, Failure> {
        let api = self.api_in_time();
        let page = |limit, page: Option<String>| {
            let api = api.clone();
            async move { api.list_vaults(Some(limit), page.as_deref()).await }
        };
        let row = |vault: &Vault| {
            Some(NamedRow {
                id: clean_line(&vault.id),
                name: clean_line(&vault.display_name),
                description: None,
                created_at: vault.created_at.as_deref().map(clean_line),
            })
        };
        collect(query, "list vaults", page, row).await
    }

    /// Memory stores, by part of the name.
    pub async fn list_memory_stores(&self, query: &Query) -> Result<Listed<NamedRow>, Failure> {
        let api = self.api_in_time();
        let page = |limit, page: Option<String>| {
            let api = api.clone();
            async move { api.list_memory_stores(Some(limit), page.as_deref()).await }
        };
        let row = |store: &MemoryStore| {
            Some(NamedRow {
                id: clean_line(&store.id),
                name: clean_line(&store.name),
                description: description(store.description.as_deref()),
                created_at: store.created_at.as_deref().map(clean_line),
            })
        };
        collect(query, "list memory stores", page, row).await
    }
}

/// Reads pages until the list is long enough. The API searches no names, so large pages are read and sifted; where one holds
/// more than is wanted, it is asked for once more up to the last row that is shown, for the token of what comes next.
pub(super) async fn collect<T, R: Named, F: Future<Output = Result<Page<T>, Error>>>(
    query: &Query,
    doing: &str,
    page: impl Fn(u32, Option<String>) -> F,
    row: impl Fn(&T) -> Option<R>,
) -> Result<Listed<R>, Failure> {
    let mut listed = Listed {
        next_page: query.page.clone(),
        ..Listed::default()
    };
    let mut pages = Pages::from(query.page.as_deref());
    let sifts = query.name_contains.is_some();
    let size = if sifts {
        SIFTED_PAGE
    } else {
        query.most() as u32
    };
    for _ in 0..SEARCHED_PAGES {
        let token = listed.next_page.take();
        let found = page(size, token.clone())
            .await
            .map_err(Failure::while_trying(doing))?;
        listed.next_page = found.next_page.filter(|token| pages.goes_on(token));
        for (place, item) in found.data.iter().enumerate() {
            let wanted = row(item).filter(|row| query.wants(row.name()));
            let new = wanted.filter(|row| pages.is_new(row.id()));
            listed.items.extend(new);
            let read = place + 1;
            if sifts && listed.items.len() >= query.most() {
                if read < found.data.len() {
                    let shown = page(read as u32, token).await;
                    listed.next_page = shown.map_err(Failure::while_trying(doing))?.next_page;
                }
                return Ok(listed);
            }
        }
        if !sifts || listed.next_page.is_none() {
            break;
        }
    }
    Ok(listed)
}

/// A row that can be searched by name.
pub(super) trait Named {
    fn id(&self) -> &str;
    fn name(&self) -> &str;
}

impl Named for AgentRow {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for EnvironmentRow {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for NamedRow {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A description as a list shows it.
pub(super) fn description(text: Option<&str>) -> Option<String> {
    text.map(|text| cut(&clean_line(text), DESCRIPTION_CHARS))
        .filter(|text| !text.is_empty())
}

fn agent_row(agent: &Agent) -> AgentRow {
    AgentRow {
        id: clean_line(&agent.id),
        name: clean_line(&agent.name),
        version: agent.version,
        model: agent.model_id().map(clean_line),
        description: description(agent.description.as_deref()),
        archived: agent.archived_at.is_some(),
    }
}

pub(super) fn environment_row(environment: &Environment) -> EnvironmentRow {
    let text = |pointer: &str| {
        environment
            .config
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(clean_line)
    };
    EnvironmentRow {
        id: clean_line(&environment.id),
        name: clean_line(&environment.name),
        description: description(environment.description.as_deref()),
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use serde_json::json;

    async fn agents(name: &str, pages: &[(&[&str], Option<&str>)]) -> (Vec<String>, usize) {
        let query = Query {
            name_contains: Some(name.to_owned()),
            ..Query::default()
        };
        let asked = Cell::new(0);
        let page = |_, _| {
            let (ids, next) = pages[asked.get().min(pages.len() - 1)];
            asked.set(asked.get() + 1);
            let agent = |id: &&str| serde_json::from_value(json!({"id": id, "name": "Reviewer"}));
            let data = ids.iter().map(|id| agent(id).unwrap()).collect();
            let next_page = next.map(str::to_owned);
            let prev_page = None;
            std::future::ready(Ok(Page {
                data,
                next_page,
                prev_page,
            }))
        };
        let listed = collect(&query, "list", page, |agent| Some(agent_row(agent))).await;
        let ids = listed.unwrap().items.into_iter().map(|row| row.id);
        (ids.collect(), asked.get())
    }

    #[tokio::test]
    async fn a_row_that_two_pages_show_is_one_and_a_page_that_names_itself_is_the_last() {
        let overlapping: [(&[&str], _); 2] = [(&["a", "b"], Some("2")), (&["b", "c"], None)];
        let (ids, asked) = agents("rev", &overlapping).await;
        assert_eq!((ids.join(" "), asked), ("a b c".to_owned(), 2));
        let (ids, asked) = agents("rev", &[(&["a"], Some("2"))]).await;
        assert_eq!((ids.join(" "), asked), ("a".to_owned(), 2));
    }
}
