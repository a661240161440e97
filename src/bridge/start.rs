//! One idempotent start: defaults, resources, budget and the first event in a single request.

use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::defaults::in_time;
use super::deliver::first_attempt;
use super::{Attention, Bridge, Failure, MARK, Patience, Question};
use crate::api::sessions::{Session, budget};
use crate::api::{Client, Delivery, Error, Id, with};
use crate::session::report::Report;
use crate::session::turn::Unnamed;

/// Metadata key of a session that holds the caller's `request_key`, or the one made for it.
const REQUEST_KEY: &str = "managed-agents-mcp-request";
/// A create clones repositories before it answers.
const LONGEST_CREATE: Duration = Duration::from_secs(60);
/// Two looks for a session that may have been created are so far apart.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2000);

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
    /// Ceiling in cents instead of the configured one.
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

/// How a call comes to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// It was just created with a question.
    Asked,
    /// It was there already, or was asked nothing.
    Found,
}

impl Bridge {
    /// Starts a session and waits for its first turn.
    pub async fn start(
        &self,
        start: Start,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let doing = "start the session";
        let api = self.api.until(patience.deadline);
        let mut notes: Vec<String> = patience.note.clone().into_iter().collect();
        // Held while the key is looked for and used, so that two calls with the same key cannot both start something.
        let mut keyed = match &start.request_key {
            Some(_) => Some(in_time(patience.deadline, self.started.lock()).await?),
            None => None,
        };
        if let (Some(key), Some(started)) = (&start.request_key, &keyed) {
            let found = match started.get(key) {
                Some(id) => Some(id.clone()),
                None => self
                    .find_session(&api, REQUEST_KEY, key)
                    .await
                    .map_err(Failure::while_trying(doing))?
                    .map(|session| session.id),
            };
            if let Some(id) = found {
                drop(keyed);
                notes.push(
                    "this request_key has already started this session; nothing new was started"
                        .to_owned(),
                );
                return self
                    .join(&id, Joining::Found, patience, attention, notes)
                    .await;
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
        let session = match self.create(&api, body, &key, patience.deadline).await {
            Ok(session) => session,
            Err(failure) => {
                self.defaults.forget();
                return Err(failure);
            }
        };
        if let Some(started) = &mut keyed {
            if started.len() >= super::MOST_STARTED {
                started.clear();
            }
            started.insert(key, session.id.clone());
        }
        drop(keyed);
        let joining = match start.question {
            Some(_) => Joining::Asked,
            None => Joining::Found,
        };
        self.join(&session.id, joining, patience, attention, notes)
            .await
    }

    async fn join(
        &self,
        session: &str,
        joining: Joining,
        patience: &Patience,
        attention: &Attention,
        notes: Vec<String>,
    ) -> Result<Report, Failure> {
        let id = Id::parse(session)
            .map_err(|why| Failure::argument(why, "the API returned this session id."))?;
        let asked = match joining {
            Joining::Found => self.memory.recall(&id),
            Joining::Asked => self
                .memory
                .update(&id, |asked| asked.unnamed = Some(Unnamed::default())),
        };
        let patience = Patience {
            note: None,
            ..patience.clone()
        };
        let report = self.follow(&id, asked, &patience, attention).await?;
        Ok(Report {
            notes: notes.into_iter().chain(report.notes).collect(),
            ..report
        })
    }

    /// Creates the session once: after a failure that leaves it open, its key is looked for before a second attempt.
    async fn create(
        &self,
        api: &Client,
        body: Value,
        key: &str,
        deadline: Instant,
    ) -> Result<Session, Failure> {
        let doing = "start the session";
        let error = match named(
            self.api
                .until(first_attempt(deadline, LONGEST_CREATE))
                .create_session(body.clone())
                .await,
        ) {
            Ok(session) => return Ok(session),
            Err(error) if !error.is_ambiguous() && !error.is_transient() => {
                return Err(Failure::while_trying(doing)(error));
            }
            Err(error) => error,
        };
        tracing::warn!(%error, "looking whether the session was created");
        let unknown = |error| Failure::DeliveryUnknown {
            doing: doing.to_owned(),
            error,
            next: format!(
                "create_session with the same arguments and request_key \"{key}\": it returns the session if it was \
                 started, and starts it if not."
            ),
        };
        // A refusal as well may have come after the act.
        if !matches!(
            error,
            Error::Unreachable {
                delivery: Delivery::NotSent,
                ..
            }
        ) {
            match self.created(api, key).await {
                Ok(Some(session)) => return Ok(session),
                Ok(None) => {}
                Err(_) => return Err(unknown(error)),
            }
        }
        let open = |error: Error| match error.is_ambiguous() {
            true => unknown(error),
            false => Failure::while_trying(doing)(error),
        };
        // A create may take long. While the first may still succeed, a second would be one too many.
        if matches!(
            error,
            Error::Unreachable {
                delivery: Delivery::Late,
                ..
            }
        ) {
            return Err(unknown(error));
        }
        let (forbidden, pause) = match &error {
            Error::Refused(refusal) => (
                refusal.should_retry == Some(false),
                refusal.retry_after.unwrap_or(BETWEEN_LOOKS / 2),
            ),
            _ => (false, BETWEEN_LOOKS / 2),
        };
        if forbidden || Instant::now() + pause >= deadline {
            return Err(open(error));
        }
        sleep(pause).await;
        match named(api.create_session(body).await) {
            Ok(session) => Ok(session),
            Err(again) if again.is_ambiguous() => match self.created(api, key).await {
                Ok(Some(session)) => Ok(session),
                Ok(None) | Err(_) => Err(unknown(again)),
            },
            // Not sent the second time: what became of the first is as open as before.
            Err(Error::Unreachable { .. }) => Err(open(error)),
            // A limit is said before anything is done; but a gateway's word for that is not the API's.
            Err(again) if again.is_transient() => match self.created(api, key).await {
                Ok(Some(session)) => Ok(session),
                Ok(None) | Err(_) => Err(open(error)),
            },
            Err(again) => Err(Failure::while_trying(doing)(again)),
        }
    }

    /// Looks for the session with this key, twice if need be.
    async fn created(&self, api: &Client, key: &str) -> Result<Option<Session>, Error> {
        if let Some(session) = self.find_session(api, REQUEST_KEY, key).await? {
            return Ok(Some(session));
        }
        sleep_until((Instant::now() + BETWEEN_LOOKS).min(api.deadline())).await;
        self.find_session(api, REQUEST_KEY, key).await
    }
}

/// A session without an id is no answer.
fn named(answer: Result<Session, Error>) -> Result<Session, Error> {
    let nameless = || Error::Unreadable {
        reason: "the answer has no session id".to_owned(),
        fault: crate::api::Fault::Malformed,
        request_id: None,
    };
    answer.and_then(|session| {
        if session.id.is_empty() {
            Err(nameless())
        } else {
            Ok(session)
        }
    })
}

fn body(start: &Start, agent: &Id, environment: &Id, key: &str, configured: Option<u64>) -> Value {
    let mut metadata = start.metadata.clone();
    metadata.insert(MARK.to_owned(), json!(env!("CARGO_PKG_VERSION")));
    metadata.insert(REQUEST_KEY.to_owned(), json!(key));
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
