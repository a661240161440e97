//! The Managed Agents API, typed. It has never heard of MCP.
//!
//! [`Client`] is the one send path: headers, encoded paths, deadlines, retries, decoding. One file per resource adds
//! its calls to it.

pub mod agents;
pub mod deployments;
pub mod environments;
pub mod error;
pub(crate) mod escapes;
pub mod events;
pub mod files;
pub mod id;
pub mod lines;
pub mod memory_stores;
pub mod probe;
pub mod sessions;
pub mod stream;
pub mod tally;
pub mod threads;
pub mod vaults;

mod aside;
mod body;
mod brief;
mod call;
mod clock;
mod credentials;
mod exact;
mod head;
mod pace;
mod retry;
mod rows;
mod send;
mod stub;
mod transfer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::config::{Config, Origin};
use crate::key::KeySource;
use body::Bodies;
use clock::Clock;
use credentials::Credentials;
pub use error::{Delivery, Error, Fault, Refusal, Subject};
pub use id::Id;
use lines::{Keeper, Lines, Use, Wanted};
use pace::Pace;
pub use probe::Trouble;
pub use rows::{Page, Row};

/// Longest time a call without a tighter deadline may take, retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream that is silent for longer than this, heartbeats included, is taken for dead.
const STREAM_READ_TIMEOUT: Duration = Duration::from_secs(90);

/// The API as one caller sees it. Cloning is cheap; [`Client::until`] makes a clone with a deadline.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
}

struct Shared {
    config: Arc<Config>,
    origin: OnceCell<Url>,
    http: OnceLock<Http>,
    credentials: Credentials,
    clock: Clock,
    pace: Pace,
    /// The API takes five calls about environments at once.
    environments: Semaphore,
    lines: Lines,
    bodies: Bodies,
    unfinished: stream::Unfinished,
}

/// Two clients, so that held streams never stand in the way of calls.
struct Http {
    calls: reqwest::Client,
    streams: reqwest::Client,
}

impl Client {
    /// Builds no connection and reads no certificate: that waits for the first call.
    pub fn new(config: Arc<Config>) -> Client {
        let shared = Shared {
            config,
            origin: OnceCell::new(),
            http: OnceLock::new(),
            credentials: Credentials::default(),
            clock: Clock::default(),
            pace: Pace::default(),
            environments: Semaphore::new(5),
            lines: Lines::new(),
            bodies: Bodies::new(),
            unfinished: stream::Unfinished::default(),
        };
        Client {
            shared: Arc::new(shared),
            deadline: None,
        }
    }

    /// The same client, whose calls all end by `deadline`, retries included.
    pub fn until(&self, deadline: Instant) -> Client {
        Client {
            shared: Arc::clone(&self.shared),
            deadline: Some(deadline),
        }
    }

    /// When a call made now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        let latest = Instant::now() + CALL_TIMEOUT;
        self.deadline
            .map_or(latest, |deadline| deadline.min(latest))
    }

    /// Whether a call needs no command to fetch the key first.
    pub fn has_key_at_hand(&self) -> bool {
        self.shared.credentials.are_known()
            || !matches!(self.shared.config.key, KeySource::Command(_))
    }

    /// Counts somebody who wants a stream.
    pub fn want_stream(&self) -> Wanted {
        self.shared.lines.want()
    }

    /// Counts somebody who keeps the record of a session in memory.
    pub fn keep_record(&self) -> Keeper {
        self.shared.lines.keeper()
    }

    /// How the streams of this process are used.
    pub fn streams(&self) -> Use {
        self.shared.lines.use_of()
    }

    fn http(&self) -> Result<&Http, Error> {
        if let Some(http) = self.shared.http.get() {
            return Ok(http);
        }
        let http = Http::build(&self.shared.config)?;
        Ok(self.shared.http.get_or_init(|| http))
    }

    async fn origin(&self) -> Result<&Url, Error> {
        self.shared
            .origin
            .get_or_try_init(|| start(&self.shared.config.origin))
            .await
    }
}

/// A request body with one more field, if there is a value for it.
pub fn with(mut body: Value, name: &str, value: Option<impl Into<Value>>) -> Value {
    if let (Some(fields), Some(value)) = (body.as_object_mut(), value) {
        fields.insert(name.to_owned(), value.into());
    }
    body
}

async fn start(origin: &Origin) -> Result<Url, Error> {
    match origin {
        Origin::At(url) => Ok(url.clone()),
        Origin::Started(start) => start().await.map_err(|error| Error::Unreachable {
            reason: format!("the simulator could not start: {error}"),
            delivery: Delivery::NotSent,
        }),
    }
}

impl Http {
    fn build(config: &Config) -> Result<Http, Error> {
        let broken = |error: reqwest::Error| {
            tracing::warn!(error = %send::reasons(&error), "the HTTP client could not be set up");
            Error::Blocked(Trouble::NoAuthorities)
        };
        let streams = Http::builder(config)?
            .http1_only()
            .read_timeout(STREAM_READ_TIMEOUT);
        Ok(Http {
            calls: Http::builder(config)?.build().map_err(broken)?,
            streams: streams.build().map_err(broken)?,
        })
    }

    /// No redirects: the key would follow them to another host.
    fn builder(config: &Config) -> Result<reqwest::ClientBuilder, Error> {
        // An error means that a provider is already installed, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ));
        if config.is_local() {
            builder = builder.no_proxy();
        }
        if !config.is_plain() {
            builder = builder.https_only(true);
        }
        if config.is_plain() {
            // Reading the system's certificates is most of the time that a first call takes.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pem) = &config.ca_pem {
            let unreadable = |error: reqwest::Error| {
                let reason = format!(
                    "MANAGED_AGENTS_CA_FILE holds no certificate that can be read: {error}"
                );
                Error::Unreachable {
                    reason,
                    delivery: Delivery::NotSent,
                }
            };
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(unreadable)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(builder)
    }
}
