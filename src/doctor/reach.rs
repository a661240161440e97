//! What one answer, or none, says about the address and the proxy.

use super::clock::now;
use super::report::Check;
use super::seen::Seen;
use crate::api::probe::{Answer, Proxy, Silence, Trouble};

/// Where was asked, and through what.
pub(super) struct Place {
    /// Scheme, host and port.
    pub(super) url: String,
    /// Whether ANTHROPIC_BASE_URL names it.
    pub(super) is_named: bool,
    /// In this process.
    pub(super) is_simulated: bool,
    /// Whether there are certificates beside the system's.
    pub(super) has_ca_file: bool,
    pub(super) proxy: Option<Proxy>,
    /// The setting that names the proxy.
    pub(super) proxy_setting: &'static str,
    /// A setting that names a proxy in a way that cannot be read.
    pub(super) ignored_proxy: Option<&'static str>,
    /// Seconds.
    pub(super) patience: f64,
}

pub(super) fn base_url(place: &Place, result: &Result<Answer, Silence>) -> Check {
    let name = "base-url";
    let url = &place.url;
    if place.is_simulated {
        return Check::ok(name, "the built-in simulator");
    }
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return unreached(name, place, silence),
    };
    match Seen::of(answer) {
        Seen::Redirect(target) => Check::failed(
            name,
            format!("{url} redirects to {target}, which is never followed"),
            "Set ANTHROPIC_BASE_URL to the address that serves the API itself.",
        ),
        Seen::Foreign(what) => Check::failed(
            name,
            format!("{url} answers {what}, which is not the API"),
            place.other_address(),
        ),
        Seen::NoRoute => Check::failed(
            name,
            format!("{url} answers, but has no /v1/agents at this address (404)"),
            place.other_address(),
        ),
        // Neither the key nor the beta can be told then.
        Seen::Busy(words) => Check::failed(
            name,
            format!("{url} is reached, but says: {words}"),
            "Run this again in a minute.",
        ),
        _ => Check::ok(name, format!("{url} answers as the API")),
    }
}

impl Place {
    fn other_address(&self) -> &'static str {
        if self.is_named {
            "Correct ANTHROPIC_BASE_URL (the address before /v1), or unset it for the vendor's own."
        } else {
            "Something between here and the API answers in its place: log in to the network, or set HTTPS_PROXY."
        }
    }
}

fn unreached(name: &'static str, place: &Place, silence: &Silence) -> Check {
    let url = &place.url;
    let network = "Check the network and its firewall; behind a company proxy set HTTPS_PROXY.";
    let address = if place.is_named {
        "Correct the host or port in ANTHROPIC_BASE_URL, or start the server that it names."
    } else {
        network
    };
    let (found, fix) = match silence.trouble {
        _ if place.proxy.is_some() && silence.is_of_proxy() => {
            return Check::skipped(
                name,
                format!("{url} was not reached: the proxy stands in the way"),
                "Fix the proxy first.",
            );
        }
        Trouble::Unresolved => (
            format!("the host of {url} has no address (DNS)"),
            if place.is_named {
                "Correct the host in ANTHROPIC_BASE_URL; if it is right, check the network, or set HTTPS_PROXY behind a company proxy."
            } else {
                network
            },
        ),
        Trouble::Refused => (format!("{url} refuses connections"), address),
        Trouble::TimedOut => (
            format!("{url} gave no answer within {} s", place.patience),
            network,
        ),
        Trouble::Untrusted if place.has_ca_file => (
            format!(
                "the certificate of {url} is not trusted, not even with MANAGED_AGENTS_CA_FILE"
            ),
            "Put the root certificate that signed it into that PEM file.",
        ),
        Trouble::Untrusted => (
            format!("the certificate of {url} is not trusted"),
            "If your network inspects TLS, save its root certificate as a PEM file and name that in MANAGED_AGENTS_CA_FILE (on Linux SSL_CERT_FILE does it too).",
        ),
        Trouble::Outdated => (
            format!(
                "the certificate of {url} does not fit this machine's date, {}",
                now()
            ),
            "Set the clock if that date is wrong; otherwise the server needs a new certificate.",
        ),
        Trouble::OtherHost => (
            format!("the certificate of {url} belongs to another host"),
            "Write the host in ANTHROPIC_BASE_URL as the certificate has it.",
        ),
        Trouble::NoAuthorities => (
            format!(
                "the certificates that this machine trusts could not be loaded: {}",
                silence.reason
            ),
            "Install them (package ca-certificates), or correct SSL_CERT_FILE and SSL_CERT_DIR.",
        ),
        Trouble::Tls => (
            format!("{url}: TLS failed: {}", silence.reason),
            "Check that this port speaks https, and that nothing in between breaks it.",
        ),
        _ => (
            format!("{url} could not be asked: {}", silence.reason),
            network,
        ),
    };
    Check::failed(name, found, fix)
}

impl Silence {
    /// Whether the request got no further than a proxy, if there is one.
    fn is_of_proxy(&self) -> bool {
        matches!(
            self.trouble,
            Trouble::Unresolved
                | Trouble::Refused
                | Trouble::TimedOut
                | Trouble::ProxyLogin
                | Trouble::ProxyDenied
                | Trouble::Socks
        )
    }
}

pub(super) fn proxy(place: &Place, result: &Result<Answer, Silence>) -> Check {
    let name = "proxy";
    if let Some(setting) = place.ignored_proxy {
        return Check::warning(
            name,
            format!("{setting} cannot be read as the URL of a proxy, and is ignored"),
            "Write it as http://host:port, or http://user:password@host:port with % escapes.",
        );
    }
    let Some(proxy) = &place.proxy else {
        let why = match place.proxy_setting {
            "" => "none; the connection is direct",
            _ => "none for this host: it is local, or NO_PROXY excepts it",
        };
        return Check::ok(name, why);
    };
    let setting = place.proxy_setting;
    let address = format!("{} ({setting})", proxy.address);
    let (found, fix) = match result.as_ref().map_err(|silence| silence.trouble) {
        _ if proxy.scheme.starts_with("socks") => (
            format!("{address} is a SOCKS proxy, which is not supported"),
            format!("Name an HTTP proxy in {setting}."),
        ),
        Err(Trouble::ProxyLogin) if proxy.has_login => (
            format!("{address} refuses the user name and password in {setting} (407)"),
            format!("Correct them in {setting}; special characters are written as % escapes."),
        ),
        Err(Trouble::ProxyLogin) => (
            format!("{address} wants a user name and password (407)"),
            format!("Write {setting} as http://user:password@host:port."),
        ),
        Err(Trouble::ProxyDenied) => (
            format!("{address} does not let {} through", place.url),
            "Ask who runs the proxy to allow this host, or put the host into NO_PROXY if it can be reached without.".to_owned(),
        ),
        Err(Trouble::Unresolved) => (
            format!("{address} has no address (DNS)"),
            format!("Correct the host in {setting}."),
        ),
        Err(Trouble::Refused) => (
            format!("{address} refuses connections"),
            format!("Correct the host and port in {setting}, or start the proxy."),
        ),
        Err(Trouble::TimedOut) => (
            format!("no answer through {address} within {} s", place.patience),
            format!("Check the host and port in {setting}, and that the proxy allows this host."),
        ),
        _ => return Check::ok(name, address),
    };
    Check::failed(name, found, fix)
}
