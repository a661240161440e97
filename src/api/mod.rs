//! The Managed Agents API, typed. It has never heard of MCP.
//!
//! [`Client`] is the one send path: headers, encoded paths, deadlines, retries, decoding. One file per resource adds
//! its calls to it.

pub mod agents;
pub mod deployments;
pub mod environments;
pub mod error;
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

mod body;
mod call;
mod clock;
mod credentials;
mod pace;
mod retry;
mod send;
mod stub;
mod transfer;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::config::{Config, Origin};
use crate::key::KeySource;
use body::Bodies;
use clock::Clock;
use credentials::Credentials;
pub use error::{Delivery, Error, Fault, Refusal};
pub use id::Id;
use lines::{Keeper, Lines, Use, Wanted};
use pace::Pace;

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

/// One page of a list: `next_page` is an opaque token, absent at the end.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Page<T> {
    /// The items, in the order that was asked for.
    #[serde(default = "Vec::new", deserialize_with = "null_as_none")]
    pub data: Vec<T>,
    /// Where the next page starts.
    #[serde(default)]
    pub next_page: Option<String>,
    /// Where the page before this one starts; sessions only.
    #[serde(default)]
    pub prev_page: Option<String>,
}

/// Most items of a list; no page of the API has more than a thousand.
const MOST_ITEMS: usize = 10_000;

/// Some servers say null where there is nothing.
fn null_as_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Items<T>>::deserialize(deserializer)?.map_or_else(Vec::new, |items| items.0))
}

/// A list that ends somewhere: an item that says nothing takes a few bytes to send, and hundreds to keep.
struct Items<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Items<T>, D::Error> {
        deserializer.deserialize_seq(Items(Vec::new()))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Items<T>, A::Error> {
        while let Some(item) = items.next_element()? {
            if self.0.len() >= MOST_ITEMS {
                let why = format!("a list of more than {MOST_ITEMS} items");
                return Err(serde::de::Error::custom(why));
            }
            self.0.push(item);
        }
        Ok(self)
    }
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
        let broken = |error: reqwest::Error| Error::Unreachable {
            reason: format!(
                "the HTTP client could not be set up: {}",
                send::reasons(&error.without_url())
            ),
            delivery: Delivery::NotSent,
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
