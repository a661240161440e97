//! One request whose answer, or whose failure, is told raw: for `doctor`, which explains what a tool's error only names.

use std::error::Error as _;
use std::io;

use chrono::{DateTime, Utc};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use rustls::CertificateError;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::body::start;
use super::call::Call;
use super::credentials::{add_key, keyless};
use super::send::{header, reasons};
use super::{Error, Http};
use crate::config::{Config, Key, Origin};

/// More is no answer to a list of one.
const LARGEST_BODY: usize = 256 * 1024;

/// What came back, whoever sent it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, if it is JSON.
    pub json: Option<Value>,
    /// `content-type`, without parameters.
    pub media_type: Option<String>,
    /// Scheme and host of where a redirect leads.
    pub redirect: Option<String>,
    /// The server's clock (`date`) when it answered.
    pub server_time: Option<DateTime<Utc>>,
    /// This machine's clock when the answer came.
    pub local_time: DateTime<Utc>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The kind of failure.
    pub trouble: Trouble,
    /// The chain of causes, without any URL.
    pub reason: String,
}

/// Where a request got stuck. With a proxy, the first three are the proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The host's name has no address.
    Unresolved,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The proxy wants a user name and password (407).
    ProxyLogin,
    /// The proxy does not let this host through.
    ProxyDenied,
    /// The certificate is signed by nobody who is trusted here.
    Untrusted,
    /// The certificate is not valid yet or any more, by this machine's clock.
    Outdated,
    /// The certificate belongs to another host.
    OtherHost,
    /// This machine's trusted certificates could not be loaded; nothing was sent.
    NoAuthorities,
    /// TLS failed in another way.
    Tls,
    /// The proxy is of a kind that is not supported.
    Socks,
    /// The key cannot be put into a header.
    BadKey,
    /// Anything else.
    Other,
}

impl Trouble {
    /// What a failed call says of it; empty where the chain of causes says more.
    pub fn words(self) -> &'static str {
        match self {
            Trouble::Unresolved => {
                "the host of ANTHROPIC_BASE_URL, or of the proxy, has no address (DNS)"
            }
            Trouble::ProxyLogin => "the proxy wants a user name and password (407)",
            Trouble::ProxyDenied => "the proxy does not let the host of ANTHROPIC_BASE_URL through",
            Trouble::Socks => "the proxy is a SOCKS proxy, which is not supported",
            Trouble::Untrusted => {
                "the certificate that the host of ANTHROPIC_BASE_URL shows is not trusted here"
            }
            Trouble::Outdated => {
                "the certificate of the host of ANTHROPIC_BASE_URL does not fit this machine's date"
            }
            Trouble::OtherHost => {
                "the certificate that the host of ANTHROPIC_BASE_URL shows belongs to another host"
            }
            Trouble::NoAuthorities => "no certificates that this machine trusts could be loaded",
            Trouble::Tls => "what answers at ANTHROPIC_BASE_URL does not speak https as it should",
            Trouble::Refused | Trouble::TimedOut | Trouble::BadKey | Trouble::Other => "",
        }
    }
}

/// A proxy that requests go through. Its credentials stay behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `host:port`
    pub address: String,
    /// `http` or another scheme.
    pub scheme: String,
    /// Whether it is told a user name and password.
    pub has_login: bool,
}

/// `GET /v1/agents?limit=1`, once. Without a key the API answers 401, which shows as well that it is there.
pub async fn probe(
    config: &Config,
    origin: &Url,
    key: Option<&Key>,
    deadline: Instant,
) -> Result<Answer, Silence> {
    let mut headers = keyless(config);
    if let Some(key) = key {
        add_key(&mut headers, key).map_err(|error| silence(Trouble::BadKey, &error))?;
    }
    let http = Http::builder(config).map_err(|error| silence(Trouble::Other, &error))?;
    let http = http.build().map_err(|error| Silence {
        trouble: Trouble::NoAuthorities,
        reason: reasons(&error.without_url()),
    })?;
    let call = Call::get(&["agents"]).query("limit", 1);
    let request = http
        .get(call.url(origin))
        .headers(headers)
        .header("anthropic-beta", call.beta.value(&config.beta).as_ref());
    let asked = async {
        let response = request.send().await;
        let response = response.map_err(explain)?;
        let mut answer = answer(&response);
        if let Ok(body) = start(response, LARGEST_BODY).await {
            answer.json = serde_json::from_slice(&body).ok();
        }
        Ok(answer)
    };
    timeout_at(deadline, asked)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

/// The proxy that a request to this URL goes through: the same rules as the HTTP client's, being its own.
pub fn proxy_of(config: &Config, url: &Url) -> Option<Proxy> {
    if config.is_local() {
        return None;
    }
    let target = url.as_str().parse().ok()?;
    let chosen = Matcher::from_system().intercept(&target)?;
    let uri = chosen.uri();
    let scheme = uri.scheme_str().unwrap_or("http").to_owned();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some(Proxy {
        address: format!("{}:{port}", uri.host()?),
        scheme,
        has_login: chosen.basic_auth().is_some() || chosen.raw_auth().is_some(),
    })
}

/// Whether every request would end at a proxy of a kind that is not supported.
pub fn meets_socks(config: &Config) -> bool {
    let Origin::At(url) = &config.origin else {
        return false;
    };
    proxy_of(config, url).is_some_and(|proxy| proxy.scheme.starts_with("socks"))
}

/// Whether the HTTP client can read this as the URL of a proxy; what it cannot read it ignores.
pub fn is_proxy(value: &str) -> bool {
    let matcher = Matcher::builder().all(value.to_owned()).build();
    let target = "https://host".parse();
    target.is_ok_and(|target| matcher.intercept(&target).is_some())
}

/// Scheme, host and port of a URL: what may be shown of it.
pub fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn answer(response: &reqwest::Response) -> Answer {
    let local_time = Utc::now();
    let header = |name| header(response.headers(), name);
    let media_type = header("content-type").map(|value| {
        let kind = value.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    });
    let target = header("location").and_then(|target| response.url().join(&target).ok());
    Answer {
        status: response.status().as_u16(),
        json: None,
        media_type,
        redirect: target
            .filter(|_| response.status().is_redirection())
            .map(|url| shown(&url)),
        server_time: header("date")
            .and_then(|date| DateTime::parse_from_rfc2822(&date).ok())
            .map(|date| date.to_utc()),
        local_time,
    }
}

fn silence(trouble: Trouble, error: &Error) -> Silence {
    Silence {
        trouble,
        reason: error.to_string(),
    }
}

fn timed_out() -> Silence {
    Silence {
        trouble: Trouble::TimedOut,
        reason: "no answer in time".to_owned(),
    }
}

pub(super) fn explain(error: reqwest::Error) -> Silence {
    let error = error.without_url();
    let reason = reasons(&error);
    let trouble = match trouble(&error) {
        _ if reason.contains("proxy authorization required") => Trouble::ProxyLogin,
        Trouble::Other if reason.contains("tunnel error: unsuccessful") => Trouble::ProxyDenied,
        Trouble::Other if reason.contains("tunnel error: unexpected end") => Trouble::ProxyDenied,
        Trouble::Other if reason.contains("unsupported scheme socks") => Trouble::Socks,
        Trouble::Other if reason.contains("dns error") => Trouble::Unresolved,
        Trouble::Other if error.is_timeout() => Trouble::TimedOut,
        found => found,
    };
    Silence { trouble, reason }
}

/// What the innermost cause of a known type says.
fn trouble(error: &reqwest::Error) -> Trouble {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return tls_trouble(error);
        }
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return Trouble::Refused;
        }
        // An I/O error skips what it wraps when it is asked for its source.
        let wrapped = io.and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    Trouble::Other
}

fn tls_trouble(error: &rustls::Error) -> Trouble {
    let error = match error {
        rustls::Error::InvalidCertificate(error) => error,
        // Whoever is overloaded or restarts may say so; about a certificate it says the same again.
        rustls::Error::AlertReceived(alert) if !is_about_certificates(*alert) => {
            return Trouble::Other;
        }
        _ => return Trouble::Tls,
    };
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Trouble::Outdated,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Trouble::OtherHost
        }
        _ => Trouble::Untrusted,
    }
}

/// By the numbers of TLS: bad, revoked, expired, unknown, of an unknown authority, missing.
fn is_about_certificates(alert: rustls::AlertDescription) -> bool {
    matches!(u8::from(alert), 41..=46 | 48 | 111..=114 | 116)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;

    #[test]
    fn an_alert_is_tried_again_unless_it_is_about_certificates() {
        for (alert, trouble) in [
            (AlertDescription::InternalError, Trouble::Other),
            (AlertDescription::HandshakeFailure, Trouble::Other),
            (AlertDescription::UnknownCA, Trouble::Tls),
            (AlertDescription::CertificateExpired, Trouble::Tls),
            (AlertDescription::CertificateRequired, Trouble::Tls),
        ] {
            let error = rustls::Error::AlertReceived(alert);
            assert_eq!(tls_trouble(&error), trouble, "{alert:?}");
        }
    }
}
