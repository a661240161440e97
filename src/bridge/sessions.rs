//! Several sessions at once: how they stand, which exist; and changes to one that start no work.

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::{Duration, Instant};

use super::catalog::{Listed, SIFTED_PAGE};
use super::find::{self, SEARCHED_PAGES};
use super::{Bridge, Failure, MARK};
use crate::api::events::EventFilter;
use crate::api::sessions::{Session, SessionFilter};
use crate::api::{Client, Error, Id};
use crate::seen::Pages;
use crate::session::clean::clean_line;
use crate::session::history::History;
use crate::session::turn::{self, Asked, Lifecycle, State};

/// A session in a list.
#[derive(Debug, Clone, Serialize)]
pub struct SessionRow {
    /// Its id.
    pub session_id: String,
    /// As the caller named it.
    pub title: Option<String>,
    /// How it stands; unknown where its events could not be read.
    pub state: Option<State>,
    /// Name of its agent, or the id where there is none.
    pub agent: String,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// RFC 3339.
    pub updated_at: Option<String>,
    /// Spent so far, US dollars.
    pub cost_usd: Option<f64>,
    /// It is archived.
    pub archived: bool,
}

/// Which sessions to list. Times are RFC 3339.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// Id or name of the agent.
    pub agent: Option<String>,
    /// Only this version of it.
    pub agent_version: Option<u64>,
    /// Any of these of the API's statuses.
    pub statuses: Vec<String>,
    /// Only those this deployment started.
    pub deployment_id: Option<Id>,
    /// Only those with this memory store.
    pub memory_store_id: Option<Id>,
    /// Created at or after.
    pub created_after: Option<String>,
    /// Created at or before.
    pub created_before: Option<String>,
    /// Archived ones too.
    pub include_archived: bool,
    /// Only those started through this product.
    pub mine: bool,
    /// `asc` or `desc`.
    pub order: Option<&'static str>,
    /// Most rows.
    pub limit: u32,
    /// Token of the page.
    pub page: Option<String>,
}

/// A list is not held up by events that do not come.
const LONGEST_GLANCE: Duration = Duration::from_secs(3);
/// So many of a session's newest events are read, and so many where these do not tell.
const GLANCED_AT: [u32; 2] = [50, 1000];
/// Sessions of a list whose events are read.
const GLANCES: usize = 30;

/// What the newest events of a session tell.
#[derive(Debug, Default)]
pub(super) struct Glance {
    /// `None`: these do not tell.
    pub(super) state: Option<State>,
    /// When it last went idle.
    pub(super) idle_at: Option<DateTime<Utc>>,
}

impl Bridge {
    /// One page of sessions. The API cannot search metadata, so for `mine` whole pages are read and sifted.
    pub async fn list_sessions(&self, query: SessionQuery) -> Result<Listed<SessionRow>, Failure> {
        let api = self.api_in_time();
        let agent_id = match &query.agent {
            Some(agent) => Some(find::agent(&api, agent, &[]).await?.to_string()),
            None => None,
        };
        let mut filter = SessionFilter {
            agent_id,
            agent_version: query.agent_version,
            statuses: query.statuses,
            deployment_id: query.deployment_id.map(|id| id.to_string()),
            memory_store_id: query.memory_store_id.map(|id| id.to_string()),
            created_after: query.created_after,
            created_before: query.created_before,
            include_archived: query.include_archived,
            order: query.order,
            limit: Some(query.limit),
            page: query.page,
        };
        let doing = "list sessions";
        let most = query.limit as usize;
        if query.mine {
            filter.limit = Some(SIFTED_PAGE);
        }
        let mut pages = Pages::from(filter.page.as_deref());
        let (mut sessions, mut prev_page, mut next_page) = (Vec::new(), None, None);
        for _ in 0..SEARCHED_PAGES {
            let page = api
                .list_sessions(&filter)
                .await
                .map_err(Failure::while_trying(doing))?;
            next_page = page.next_page.filter(|token| pages.goes_on(token));
            if !query.mine {
                // What is sifted forwards cannot be paged backwards without losing rows.
                prev_page = page.prev_page;
                sessions = page.data;
                break;
            }
            let rows = page.data.len();
            let mut read = 0;
            for session in page.data {
                read += 1;
                if session.metadata.contains_key(MARK) && pages.is_new(&session.id) {
                    sessions.push(session);
                }
                if sessions.len() >= most {
                    break;
                }
            }
            if read < rows {
                // The token of what comes after the last row that is shown.
                filter.limit = Some(read as u32);
                let shown = api.list_sessions(&filter).await;
                next_page = shown.map_err(Failure::while_trying(doing))?.next_page;
            }
            if sessions.len() >= most || next_page.is_none() {
                break;
            }
            filter.page = next_page.clone();
        }
        Ok(Listed {
            items: self.rows(&api, &sessions).await,
            next_page,
            prev_page,
        })
    }

    /// How a session stands is only in its events, and its status lags behind them: what can be glanced at is, and the
    /// status counts for the rest.
    async fn rows(&self, api: &Client, sessions: &[Session]) -> Vec<SessionRow> {
        let soon = api.until((Instant::now() + LONGEST_GLANCE).min(api.deadline()));
        let rows = sessions.iter().enumerate().map(async |(place, session)| {
            let mut row = row(session);
            if row.state != Some(State::Terminated)
                && place < GLANCES
                && let Ok(id) = Id::parse(&row.session_id)
                && let Ok(Glance {
                    state: Some(state), ..
                }) = self.glance(&soon, &id, Lifecycle::of(session)).await
            {
                row.state = Some(state);
            }
            row
        });
        join_all(rows).await
    }

    /// How a session stands by its newest events: more of them where the first do not tell.
    pub(super) async fn glance(
        &self,
        api: &Client,
        id: &Id,
        lifecycle: Lifecycle<'_>,
    ) -> Result<Glance, Error> {
        let mut first = None;
        for limit in GLANCED_AT {
            match (self.glance_at(api, id, lifecycle, limit).await, first) {
                (Ok(glance), _) if glance.state.is_some() => return Ok(glance),
                (Ok(glance), None) => first = Some(glance),
                (Err(error), None) => return Err(error),
                (_, Some(glance)) => return Ok(glance),
            }
        }
        Ok(first.unwrap_or_default())
    }

    async fn glance_at(
        &self,
        api: &Client,
        id: &Id,
        lifecycle: Lifecycle<'_>,
        limit: u32,
    ) -> Result<Glance, Error> {
        let filter = EventFilter {
            newest_first: true,
            limit: Some(limit),
            ..EventFilter::default()
        };
        let page = api.list_events(id, &filter).await?;
        let (mut newest, goes_on) = (page.data, page.next_page.is_some());
        newest.reverse();
        let mut history = History::default();
        history.listed(newest);
        let lifecycle = lifecycle.with(&history, api.now());
        let judge = |asked: &Asked, said| turn::judge(&history, asked, said).state;
        let state = judge(&self.memory.recall(id), lifecycle);
        let of_record = judge(&Asked::default(), lifecycle);
        let of_events = judge(
            &Asked::default(),
            Lifecycle {
                outcomes: &[],
                ..lifecycle
            },
        );
        // Further back may stand what was sent to it, how it stands behind nothing but work, and what became of an outcome.
        let is_told = state == of_record
            && state != State::Ready
            && (state == of_events || limit > GLANCED_AT[0]);
        let mut newest_first = history.events().rev();
        let idle = newest_first.find(|event| event.kind == "session.status_idle");
        Ok(Glance {
            state: (is_told || !goes_on).then_some(state),
            idle_at: idle.and_then(|idle| idle.at),
        })
    }
}

fn row(session: &Session) -> SessionRow {
    let agent = if session.agent.name.is_empty() {
        &session.agent.id
    } else {
        &session.agent.name
    };
    SessionRow {
        session_id: clean_line(&session.id),
        title: session.title.as_deref().map(clean_line),
        state: match Lifecycle::of(session) {
            Lifecycle { over: Some(_), .. } => Some(State::Terminated),
            Lifecycle { running: true, .. } => Some(State::Working),
            _ => None,
        },
        agent: clean_line(agent),
        created_at: session.created_at.as_deref().map(clean_line),
        updated_at: session.updated_at.as_deref().map(clean_line),
        cost_usd: session
            .usage
            .list_cost
            .as_ref()
            .and_then(|cost| cost.dollars()),
        archived: session.archived_at.is_some(),
    }
}
