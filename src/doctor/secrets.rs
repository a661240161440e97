//! What must never be printed, whoever repeats it: a server, an error, or a setting that holds a key by mistake.

use secrecy::ExposeSecret;

use super::Lookup;
use crate::config::Key;
use crate::key::secret_in;
use crate::session::clean::clean_line;

/// Variables that hold a secret.
const SECRET: [&str; 5] = [
    "ANTHROPIC_MANAGED_AGENTS_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "MANAGED_AGENTS_GITHUB_TOKEN",
    "GITHUB_TOKEN",
];
/// Variables that hold a URL, in which a user name and password may stand.
const URLS: [&str; 7] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "ANTHROPIC_BASE_URL",
];
/// How keys and tokens begin.
pub(super) const BEGINNINGS: [&str; 6] = ["sk-ant-", "ghp_", "gho_", "ghu_", "ghs_", "github_pat_"];
/// Hiding what is shorter would hide words that merely look the same.
const SHORTEST: usize = 6;
/// Longest line, in characters.
const LONGEST: usize = 700;

/// Every secret that is known here.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(lookup: Lookup<'_>) -> Secrets {
        let plain = SECRET.iter().filter_map(|name| lookup(name));
        let plain = plain.filter_map(|text| secret_in(&text).map(str::to_owned));
        let urls = URLS.iter().filter_map(|name| lookup(name));
        let logins = urls.flat_map(|url| login(&url));
        let mut secrets = Secrets(Vec::new());
        plain.chain(logins).for_each(|secret| secrets.add(&secret));
        secrets
    }

    pub(super) fn add_key(&mut self, key: &Key) {
        match key {
            Key::Api(key) | Key::Bearer(key) => self.add(key.expose_secret()),
        }
    }

    fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() >= SHORTEST {
            self.0.push(secret.to_owned());
        }
    }

    /// The text on one line, without escape sequences and without secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = clean_line(text);
        for secret in &self.0 {
            text = text.replace(secret, "[secret]");
        }
        for beginning in BEGINNINGS {
            text = hide_words(&text, beginning);
        }
        text.chars().take(LONGEST).collect()
    }
}

/// User name and password, as they stand in a URL.
fn login(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = rest.rsplit_once('@').map(|(login, _)| login);
    let (user, password) = login.map_or(("", ""), |login| {
        login.split_once(':').unwrap_or((login, ""))
    });
    [user, password].map(str::to_owned).into()
}

fn hide_words(text: &str, beginning: &str) -> String {
    let mut pieces = text.split(beginning);
    let mut hidden = pieces.next().unwrap_or_default().to_owned();
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    for piece in pieces {
        hidden.push_str("[secret]");
        hidden.push_str(piece.trim_start_matches(is_inside));
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_holds_a_secret_is_hidden() {
        let lookup = |name: &str| match name {
            "GITHUB_TOKEN" => Some(" token-canary-1 ".to_owned()),
            "HTTPS_PROXY" => Some("http://someone:pass:word@proxy:1".to_owned()),
            "all_proxy" => Some("nobody:canary-2@proxy:1".to_owned()),
            _ => None,
        };
        let secrets = Secrets::of(&lookup);
        for secret in ["token-canary-1", "someone", "pass:word", "canary-2"] {
            assert_eq!(secrets.hide(&format!("a {secret} b")), "a [secret] b");
        }
        assert_eq!(
            secrets.hide("`sk-ant-api03-x_y`: not\x1b[31m a file"),
            "`[secret]`: not a file"
        );
    }
}
