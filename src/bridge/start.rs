//! One idempotent start: defaults, resources, budget and the first event in a single request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant};

use super::defaults::in_time;
use super::find::{NEWEST_PAGES, SEARCHED_PAGES};
use super::follow::Follow;
use super::locks::{Locks, lock};
use super::marks::{REQUEST, bears};
use super::once::{Second, Write, may_still_run, named};
use super::{Attention, Bridge, Failure, MARK, Patience, Question, find};
use crate::api::sessions::{Session, SessionFilter, budget};
use crate::api::{Client, Error, Id, with};
use crate::session::report::Report;
use crate::session::turn::{State, Unnamed};

/// Starts that are remembered by their request_key; others are looked up.
const MOST_STARTED: usize = 1000;

/// A create that nobody waits for any more is not taken to be at work for longer.
const LONGEST_UNSEEN: Duration = Duration::from_secs(120);

/// A look at a session that was started before takes no longer, so that the rest of the call has time.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The first event, `user.message` or `user.define_outcome`; without one the session is only created.
    pub question: Option<Question>,
    /// Id or name.
    pub agent: Option<String>,
    /// Instead of the newest version.
    pub agent_version: Option<u64>,
    /// Id or name.
    pub environment: Option<String>,
    /// For lists.
    pub title: Option<String>,
    /// Repositories, files and memory stores, as the API takes them.
    pub resources: Vec<Value>,
    /// Vaults whose credentials the agent may use.
    pub vault_ids: Vec<String>,
    /// Its ceiling.
    pub budget: Budget,
    /// The caller's own pairs.
    pub metadata: Map<String, Value>,
    /// Model of this session alone.
    pub model: Option<String>,
    /// System prompt of this session alone.
    pub system: Option<String>,
    /// The same key again returns the same session.
    pub request_key: Option<String>,
}

/// The ceiling of a new session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Budget {
    /// As configured.
    #[default]
    Configured,
    /// So many cents.
    Cents(u64),
}

const DOING: &str = "start the session";

impl Bridge {
    /// Starts a session and waits for its first turn.
    pub async fn start(
        &self,
        start: Start,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let api = self.api.until(patience.deadline);
        let mut notes: Vec<String> = patience.note.clone().into_iter().collect();
        // Held while the key is looked for and used, so that two calls with the same key cannot both start something.
        let keyed = match &start.request_key {
            Some(key) => Some(in_time(patience.deadline, self.started.keys.lock(key)).await?),
            None => None,
        };
        if let Some(key) = &start.request_key {
            if let Some(id) = self.started_by(&api, key).await? {
                drop(keyed);
                notes.push(
                    "this request_key has already started this session: nothing new was started, and no message was sent"
                        .to_owned(),
                );
                return self.rejoin(&id, patience, attention, notes).await;
            }
            if let Some(since) = self.started.under_way(key) {
                return Err(Failure::argument(
                    format!(
                        "A create_session with this request_key was sent {} s ago and may still be at work; its session is \
                         not listed yet. Nothing was sent now.",
                        since.as_secs()
                    ),
                    "make the same call again in a minute: it returns the session once it is there.",
                ));
            }
        }
        let (agent, environment) = tokio::join!(
            self.agent_for(&api, start.agent.as_deref()),
            self.environment_for(&api, start.environment.as_deref()),
        );
        let (agent, environment) = (agent?.noted(&mut notes), environment?.noted(&mut notes));
        let key = start
            .request_key
            .clone()
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let question = match &start.question {
            Some(question) => Some(question.assembled(&api).await?),
            None => None,
        };
        let body = body(&start, &agent, &environment, &key, self.config.budget_cents);
        let first = question.map(|question| json!([question]));
        let body = with(body, "initial_events", first);
        let session = match self.create(body, &key, patience.deadline).await {
            Ok(session) => session,
            Err(failure) => {
                self.defaults.forget();
                return Err(failure);
            }
        };
        if keyed.is_some() {
            self.started.remember(key, session.id.clone());
        }
        drop(keyed);
        let id = session_id(&session.id)?;
        let asked = match start.question {
            Some(_) => self
                .memory
                .update(&id, |asked| asked.unnamed = Some(Unnamed::default())),
            None => self.memory.recall(&id),
        };
        let report = self
            .follow(&id, asked, &without_note(patience), attention)
            .await?;
        Ok(noted(report, notes))
    }

    /// The session that a key has started, unless somebody closed it.
    async fn started_by(&self, api: &Client, key: &str) -> Result<Option<Id>, Failure> {
        if let Some((id, since)) = self.started.by(key) {
            let id = session_id(&id)?;
            if !is_closed(api, &id, since).await {
                return Ok(Some(id));
            }
            self.started.forget(id.as_str());
        }
        let found = find_session(api, key, SEARCHED_PAGES).await;
        let found = found.map_err(Failure::while_trying(DOING))?;
        found.map(|found| session_id(&found.id)).transpose()
    }

    /// How a session stands that was started before. That it was is said also where it cannot be read.
    async fn rejoin(
        &self,
        id: &Id,
        patience: &Patience,
        attention: &Attention,
        mut notes: Vec<String>,
    ) -> Result<Report, Failure> {
        match self.stand(id, &without_note(patience), attention).await {
            Ok(report) => {
                if report.state == State::Terminated {
                    notes.push("it is over: another request_key starts a new one".to_owned());
                }
                Ok(noted(report, notes))
            }
            Err(Failure::Api { error, .. }) if !error.is_final() || error.is_not_found() => {
                notes.push(match error.is_not_found() {
                    true => "it is not found yet, or deleted: in two minutes the same call starts anew if no list shows it".to_owned(),
                    false => format!("the session could not be read: {error}"),
                });
                let asked = self.memory.recall(id);
                let unread = Follow::new(&self.api, patience.deadline, id, asked);
                Ok(self.conclude(id, &unread, notes))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Creates the session, which is found by its key where its creation is in doubt.
    async fn create(&self, body: Value, key: &str, deadline: Instant) -> Result<Session, Failure> {
        let next = format!(
            "create_session with the same arguments and request_key \"{key}\": it returns the session if it was started, \
             and starts it if not."
        );
        let write = Write::new(DOING, Second::Creates, next);
        let body = &body;
        let send = |api: Client| async move {
            let created = api.create_session(body.clone()).await?;
            named(created, "session", |session| &session.id)
        };
        let look = |api: Client| async move { find_session(&api, key, NEWEST_PAGES).await };
        // Whoever is cancelled here does not stop what was sent.
        self.started.begins(key);
        let created = write.once(&self.api, deadline, send, look).await;
        match &created {
            Err(Failure::DeliveryUnknown { error, .. }) if may_still_run(error) => {}
            _ => self.started.ends(key),
        }
        created
    }
}

fn session_id(id: &str) -> Result<Id, Failure> {
    Id::parse(id).map_err(|why| Failure::argument(why, "the API returned this session id."))
}

/// Whose note is among those of the call already.
fn without_note(patience: &Patience) -> Patience {
    Patience {
        note: None,
        ..patience.clone()
    }
}

/// With what is to be said first.
fn noted(report: Report, notes: Vec<String>) -> Report {
    Report {
        notes: notes.into_iter().chain(report.notes).collect(),
        ..report
    }
}

/// Whether a session that this process started `since` was archived or deleted, by whomever: its key may start something new.
/// That one is not found says so only later: what was just created may be missing for a while.
async fn is_closed(api: &Client, session: &Id, since: Instant) -> bool {
    match read(api, session).await {
        Ok(session) => session.archived_at.is_some(),
        Err(error) => error.is_not_found() && since.elapsed() >= LONGEST_UNSEEN,
    }
}

/// A session, if it is read at once.
async fn read(api: &Client, session: &Id) -> Result<Session, Error> {
    let soon = Instant::now() + LONGEST_LOOK;
    Box::pin(api.until(soon.min(api.deadline())).get_session(session)).await
}

/// Sessions of this process by their request_key.
#[derive(Default)]
pub(super) struct Started {
    ids: Mutex<HashMap<String, (String, Instant)>>,
    /// Held by whoever is starting something with a key.
    keys: Locks,
    /// Keys whose create may still be at work though nobody waits for its answer, and since when.
    under_way: Mutex<HashMap<String, Instant>>,
}

impl Started {
    fn begins(&self, key: &str) {
        let mut known = lock(&self.under_way);
        known.retain(|_, since| since.elapsed() < LONGEST_UNSEEN);
        known.insert(key.to_owned(), Instant::now());
    }

    fn ends(&self, key: &str) {
        lock(&self.under_way).remove(key);
    }

    fn under_way(&self, key: &str) -> Option<Duration> {
        let since = lock(&self.under_way).get(key)?.elapsed();
        (since < LONGEST_UNSEEN).then_some(since)
    }

    /// The session, and since when.
    fn by(&self, key: &str) -> Option<(String, Instant)> {
        self.ids().get(key).cloned()
    }

    fn remember(&self, key: String, session: String) {
        let mut ids = self.ids();
        if ids.len() >= MOST_STARTED {
            ids.clear();
        }
        ids.insert(key, (session, Instant::now()));
    }

    /// A session is over: its key may start something new.
    pub(super) fn forget(&self, session: &str) {
        self.ids().retain(|_, (id, _)| id != session);
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        lock(&self.ids)
    }
}

/// The newest session that was started with this key, among those on so many pages.
async fn find_session(api: &Client, key: &str, pages: usize) -> Result<Option<Session>, Error> {
    let page = |page| async move {
        let filter = SessionFilter {
            limit: Some(100),
            page,
            ..SessionFilter::default()
        };
        api.list_sessions(&filter).await
    };
    let is_it = |session: &Session| bears(&session.metadata, key) && session.archived_at.is_none();
    let found = find::first(pages, page, is_it).await?;
    // A list that lags behind may show one that is archived by now.
    let Some(Ok(id)) = found.as_ref().map(|found| Id::parse(&found.id)) else {
        return Ok(found);
    };
    let is_archived = read(api, &id)
        .await
        .is_ok_and(|session| session.archived_at.is_some());
    Ok(found.filter(|_| !is_archived))
}

fn body(start: &Start, agent: &Id, environment: &Id, key: &str, configured: Option<u64>) -> Value {
    let mut metadata = start.metadata.clone();
    metadata.insert(MARK.to_owned(), json!(env!("CARGO_PKG_VERSION")));
    metadata.insert(REQUEST.to_owned(), json!(key));
    let cents = match start.budget {
        Budget::Configured => configured,
        Budget::Cents(cents) => Some(cents),
    };
    let body = json!({
        "agent": agent_reference(start, agent),
        "environment_id": environment.as_str(),
        "metadata": metadata,
    });
    let body = with(body, "title", start.title.as_deref());
    let body = with(
        body,
        "resources",
        (!start.resources.is_empty()).then(|| json!(start.resources)),
    );
    let body = with(
        body,
        "vault_ids",
        (!start.vault_ids.is_empty()).then(|| json!(start.vault_ids)),
    );
    with(body, "budget", cents.map(budget))
}

/// The shortest of the API's three forms that says what is wanted.
fn agent_reference(start: &Start, agent: &Id) -> Value {
    let kind = match (&start.model, &start.system, start.agent_version) {
        (None, None, None) => return json!(agent.as_str()),
        (None, None, Some(_)) => "agent",
        _ => "agent_with_overrides",
    };
    let reference = json!({"type": kind, "id": agent.as_str()});
    let reference = with(reference, "version", start.agent_version);
    let reference = with(reference, "model", start.model.as_deref());
    with(reference, "system", start.system.as_deref())
}
