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

mod call;
mod pace;
mod send;
mod transfer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::config::{Config, Key, Origin};
use crate::key::KeySource;
pub use error::{Delivery, Error, Fault, Refusal};
pub use id::Id;
use lines::{Lines, Use, Wanted};
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
    headers: OnceCell<HeaderMap>,
    pace: Pace,
    /// The API takes five calls about environments at once.
    environments: Semaphore,
    lines: Lines,
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

/// Some servers say null where there is nothing.
fn null_as_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Client {
    /// Builds no connection and reads no certificate: that waits for the first call.
    pub fn new(config: Arc<Config>) -> Client {
        let shared = Shared {
            config,
            origin: OnceCell::new(),
            http: OnceLock::new(),
            headers: OnceCell::new(),
            pace: Pace::default(),
            environments: Semaphore::new(5),
            lines: Lines::new(),
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
        self.shared.headers.initialized()
            || !matches!(self.shared.config.key, KeySource::Command(_))
    }

    /// Counts somebody who wants a stream.
    pub fn want_stream(&self) -> Wanted {
        self.shared.lines.want()
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

    /// The headers of every request; resolves the key on first use.
    async fn headers(&self) -> Result<&HeaderMap, Error> {
        self.shared
            .headers
            .get_or_try_init(|| headers(&self.shared.config))
            .await
    }
}

impl Client {
    /// A secret that depends on the key and on nothing else but its purpose.
    pub async fn derived_key(&self, purpose: &str) -> Result<Vec<u8>, Error> {
        let late = || Error::Unreachable {
            reason: "the key was not there in time".to_owned(),
            delivery: Delivery::NotSent,
        };
        let headers = timeout_at(self.deadline(), self.headers()).await;
        let headers = headers.map_err(|_| late())??;
        let key = headers
            .get("x-api-key")
            .or_else(|| headers.get(reqwest::header::AUTHORIZATION));
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(key.map_or(&[][..], HeaderValue::as_bytes));
        Ok(hash.finalize().to_vec())
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

async fn headers(config: &Config) -> Result<HeaderMap, Error> {
    let key = config.key.resolve().await.map_err(Error::Keyless)?;
    let mut headers = keyless_headers(config);
    add_key(&mut headers, &key)?;
    Ok(headers)
}

fn add_key(headers: &mut HeaderMap, key: &Key) -> Result<(), Error> {
    let (name, value) = match key {
        Key::Api(key) => (
            HeaderName::from_static("x-api-key"),
            key.expose_secret().to_owned(),
        ),
        Key::Bearer(token) => (
            reqwest::header::AUTHORIZATION,
            format!("Bearer {}", token.expose_secret()),
        ),
    };
    let unusable =
        |_| Error::Keyless("the key holds characters that no HTTP header can carry".to_owned());
    let mut value = HeaderValue::try_from(value).map_err(unusable)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Without the key; the beta is for each call.
fn keyless_headers(config: &Config) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let plain = [
        ("anthropic-version", Some(&config.api_version)),
        ("anthropic-workspace-id", config.workspace.as_ref()),
    ];
    for (name, value) in plain {
        // Settings are checked for header characters when they are read.
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
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
