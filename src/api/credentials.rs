//! The headers that every request carries, the key among them; and another key once the first is not taken any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{Client, Delivery, Error};
use crate::config::{Config, Key};
use crate::key::KeySource;

/// A key is fetched again so often at most: one that was revoked would start a command for every call.
const BETWEEN_FETCHES: Duration = Duration::from_secs(10);

/// The headers with the key, once it was fetched.
#[derive(Default)]
pub(super) struct Credentials {
    held: Mutex<Option<Held>>,
    are_known: AtomicBool,
}

struct Held {
    headers: HeaderMap,
    /// When it was looked last whether there is another key.
    checked: Option<Instant>,
    /// When there was.
    renewed: Option<Instant>,
}

impl Credentials {
    /// Whether the key was fetched.
    pub(super) fn are_known(&self) -> bool {
        self.are_known.load(Ordering::Relaxed)
    }

    /// The headers of every request; fetches the key on first use.
    async fn headers(&self, config: &Config) -> Result<HeaderMap, Error> {
        let mut held = self.held.lock().await;
        if let Some(held) = &*held {
            return Ok(held.headers.clone());
        }
        let headers = fetch(config).await?;
        *held = Some(Held {
            headers: headers.clone(),
            checked: None,
            renewed: None,
        });
        self.are_known.store(true, Ordering::Relaxed);
        Ok(headers)
    }

    /// Whether there is another key than the one that a request was refused for that began then.
    async fn renew(&self, config: &Config, began: Instant) -> bool {
        if !matches!(config.key, KeySource::File(_) | KeySource::Command(_)) {
            return false;
        }
        let mut held = self.held.lock().await;
        let Some(held) = &mut *held else {
            return false;
        };
        if held.renewed.is_some_and(|renewed| renewed > began) {
            return true;
        }
        let now = Instant::now();
        if held
            .checked
            .is_some_and(|checked| now - checked < BETWEEN_FETCHES)
        {
            return false;
        }
        held.checked = Some(now);
        match fetch(config).await {
            Ok(headers) if headers != held.headers => {
                tracing::warn!("the API refused the key; another one was found in its place");
                held.headers = headers;
                held.renewed = Some(Instant::now());
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "the API refused the key, and no other was found");
                false
            }
        }
    }
}

impl Client {
    /// The headers of every request.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Error> {
        let shared = &self.shared;
        shared.credentials.headers(&shared.config).await
    }

    /// Whether a request that began then was refused for its key, and there is another one by now.
    pub(super) async fn has_other_key(&self, error: &Error, began: Instant) -> bool {
        let shared = &self.shared;
        error.status() == Some(401) && shared.credentials.renew(&shared.config, began).await
    }

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
            .or_else(|| headers.get(AUTHORIZATION));
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(key.map_or(&[][..], HeaderValue::as_bytes));
        Ok(hash.finalize().to_vec())
    }
}

async fn fetch(config: &Config) -> Result<HeaderMap, Error> {
    let key = config.key.resolve().await.map_err(Error::Keyless)?;
    let mut headers = keyless(config);
    add_key(&mut headers, &key)?;
    Ok(headers)
}

pub(super) fn add_key(headers: &mut HeaderMap, key: &Key) -> Result<(), Error> {
    let (name, value) = match key {
        Key::Api(key) => (
            HeaderName::from_static("x-api-key"),
            key.expose_secret().to_owned(),
        ),
        Key::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose_secret())),
    };
    let unusable =
        |_| Error::Keyless("the key holds characters that no HTTP header can carry".to_owned());
    let mut value = HeaderValue::try_from(value).map_err(unusable)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Without the key; the beta is for each call.
pub(super) fn keyless(config: &Config) -> HeaderMap {
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
