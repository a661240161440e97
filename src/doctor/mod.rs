//! Is everything in place, and how to fix what is not. It changes nothing, and prints no secret.

mod catalog;
mod clock;
mod key;
mod local;
mod reach;
mod report;
mod secrets;
mod seen;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::api::Client;
use crate::api::probe;
use crate::config::{Config, Origin, Starter, counts_for_simulator};
use crate::key::{KEY_SOURCES, KeySource};
use local::Settings;
use reach::Place;
pub use report::{Check, Report, Status};
use secrets::Secrets;
use seen::Seen;

/// How long the one raw request may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(7);
/// When the raw request must have ended, a slow key command before it included, and when all must have.
const DEADLINES: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(15));

/// Looks an environment variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is examined.
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub lookup: Lookup<'a>,
    /// The names of all environment variables.
    pub variables: Vec<String>,
    /// Where the configuration of a project would lie.
    pub folder: PathBuf,
    /// What is wrong with MANAGED_AGENTS_LOG.
    pub log_error: Option<String>,
    /// What to examine instead of the API.
    pub simulator: Option<Starter>,
}

/// Makes all checks, within 15 seconds.
pub async fn examine(around: Surroundings<'_>) -> Report {
    let given = around.lookup;
    let lookup = |name: &str| given(name).map(|value| value.trim().to_owned());
    let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let mut secrets = Secrets::of(&lookup);
    let is_simulated = around.simulator.is_some();
    let counts = |name: &str| !is_simulated || counts_for_simulator(name);
    let lookup = |name: &str| lookup(name).filter(|_| counts(name));
    let around = Surroundings {
        lookup: &lookup,
        ..around
    };
    let settings = Settings::read(&lookup);
    let mut checks = vec![settings.check(&around)];
    let (remote, roots) = tokio::join!(
        remote(&around, &settings, &mut secrets),
        local::file_roots(&settings)
    );
    checks.extend(remote);
    checks.push(roots);
    checks.push(local::github_token(&lookup));
    checks.push(local::exposure(&lookup, &around.folder));
    Report::new(checks, &secrets)
}

/// The checks that need the key or the network.
async fn remote(
    around: &Surroundings<'_>,
    settings: &Settings,
    secrets: &mut Secrets,
) -> Vec<Check> {
    let began = Instant::now();
    let Some(config) = &settings.config else {
        return Vec::new();
    };
    let config = match &around.simulator {
        Some(starter) => config.clone().simulated(Arc::clone(starter)),
        None => config.clone(),
    };
    let refused = KEY_SOURCES.iter().find_map(|name| settings.refusal(name));
    let key = key::find(around.lookup, &config.key, refused.map(str::to_owned)).await;
    if let Ok(key) = &key.key
        && !config.is_simulated()
    {
        secrets.add_key(key);
    }
    let url = match settings.refusal("ANTHROPIC_BASE_URL") {
        Some(sentence) => Err(sentence.to_owned()),
        None => address(&config).await,
    };
    match url {
        Ok(url) => reached(around, &config, &url, &key, began).await,
        Err(why) => nowhere(&config, &key, &why).await,
    }
}

async fn address(config: &Config) -> Result<Url, String> {
    match &config.origin {
        Origin::At(url) => Ok(url.clone()),
        Origin::Started(start) => start()
            .await
            .map_err(|error| format!("the simulator could not start: {error}")),
    }
}

/// There is no address to ask at.
async fn nowhere(config: &Config, key: &key::Found, why: &str) -> Vec<Check> {
    let unknown = |name| Check::skipped(name, "there is no address to ask", "Fix base-url first.");
    let mut checks = vec![
        key.check(None),
        unknown("proxy"),
        Check::failed("base-url", why, "Correct ANTHROPIC_BASE_URL."),
        unknown("beta"),
        unknown("clock"),
    ];
    checks.extend(catalog::checks(config, None).await);
    checks
}

async fn reached(
    around: &Surroundings<'_>,
    config: &Config,
    url: &Url,
    key: &key::Found,
    began: Instant,
) -> Vec<Check> {
    let (probe_end, end) = (began + DEADLINES.0, began + DEADLINES.1);
    let deadline = (Instant::now() + PROBE_TIMEOUT).min(probe_end);
    let place = place(around, config, url, deadline);
    let known = key.key.as_ref().ok();
    let result = probe::probe(config, url, known, deadline).await;
    let seen = result.as_ref().ok().map(Seen::of);
    let key_check = match config.is_simulated() {
        true => Check::ok("key", "none is needed: the simulator takes any"),
        false => key.check(seen.as_ref()),
    };
    let mut checks = vec![
        key_check,
        reach::proxy(&place, &result),
        reach::base_url(&place, &result),
        seen::beta(seen.as_ref(), config, around.lookup),
        clock::check(&result),
    ];
    let client = client(config, url, key, &seen, end);
    checks.extend(catalog::checks(config, client.as_ref()).await);
    checks
}

/// A client for the lists, if the raw request came through. It has the key already: a key command may ask a person.
fn client(
    config: &Config,
    url: &Url,
    key: &key::Found,
    seen: &Option<Seen>,
    end: Instant,
) -> Option<Client> {
    let key = key.key.as_ref().ok()?.clone();
    let mut config = config.clone();
    config.key = KeySource::Given(key);
    config.origin = Origin::At(url.clone());
    matches!(seen, Some(Seen::List)).then(|| Client::new(Arc::new(config)).until(end))
}

fn place(around: &Surroundings<'_>, config: &Config, url: &Url, deadline: Instant) -> Place {
    let proxy = probe::proxy_of(config, url);
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let named = names
        .into_iter()
        .find(|name| (around.lookup)(name).is_some());
    let proxy_setting = match (named, &proxy) {
        (Some(name), _) => name,
        (None, Some(_)) => "the system's settings",
        (None, None) => "",
    };
    Place {
        url: probe::shown(url),
        is_named: (around.lookup)("ANTHROPIC_BASE_URL").is_some(),
        is_simulated: config.is_simulated(),
        has_ca_file: config.ca_pem.is_some(),
        proxy,
        proxy_setting,
        patience: deadline
            .saturating_duration_since(Instant::now())
            .as_secs_f64()
            .round(),
        ignored_proxy: named.filter(|name| !names_proxy(around, name)),
    }
}

fn names_proxy(around: &Surroundings<'_>, name: &str) -> bool {
    (around.lookup)(name).is_some_and(|value| probe::is_proxy(&value))
}
