//! Every setting, read once from the environment. A nonsense value ends the process with a sentence that names it.

mod lookup;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use crate::key::Key;
use crate::key::{KEY_SOURCES, KeySource};
use crate::session::render::SMALLEST_BUDGET;
use lookup::Lookup;

/// What starts the built-in simulator and returns its base URL.
pub type Starter =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = std::io::Result<Url>> + Send>> + Send + Sync>;

/// Where the API is.
#[derive(Clone)]
pub enum Origin {
    /// At this base URL, which may carry a path prefix.
    At(Url),
    /// Inside this process, started by the first call.
    Started(Starter),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::At(url) => write!(f, "At({url})"),
            Origin::Started(_) => f.write_str("Started"),
        }
    }
}

/// Who may allow what an agent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approvals {
    /// The host's dialog first, else `resolve_action`.
    Any,
    /// Only the host's dialog may allow.
    Human,
    /// Never ask; only `resolve_action`.
    Tool,
}

/// How the audit log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// A line of words.
    Text,
    /// A line of JSON.
    Json,
    /// Not at all.
    Off,
}

/// A group of tools that is offered or left out as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolset {
    /// To delegate.
    Core,
    /// To look after agents and environments.
    Admin,
    /// To let agents run by the clock.
    Schedules,
}

impl Toolset {
    const ALL: [Toolset; 3] = [Toolset::Core, Toolset::Admin, Toolset::Schedules];
}

/// All settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the key comes from.
    pub key: KeySource,
    /// Where the API is.
    pub origin: Origin,
    /// `anthropic-version`
    pub api_version: String,
    /// `anthropic-beta`
    pub beta: String,
    /// `anthropic-workspace-id`
    pub workspace: Option<String>,
    /// Agent of sessions that name none: id or name.
    pub agent: Option<String>,
    /// Environment of sessions that name none: id or name.
    pub environment: Option<String>,
    /// Model of agents created without one.
    pub model: String,
    /// Ids or names of the agents that sessions may use; empty: all.
    pub allow_agents: Vec<String>,
    /// Ids or names of the environments that sessions may use; empty: all.
    pub allow_environments: Vec<String>,
    /// Budget of new sessions in cents.
    pub budget_cents: Option<u64>,
    /// Default wait of the calls that wait.
    pub wait: Duration,
    /// The wait that was set, where it is longer than the longest.
    cut_wait: Option<Duration>,
    /// Sentences on secrets that are set without effect.
    idle_secrets: Vec<String>,
    /// Longest wait.
    pub max_wait: Duration,
    /// Characters of one result.
    pub result_chars: usize,
    /// Who may allow.
    pub approvals: Approvals,
    /// The tools that are offered.
    pub toolsets: Vec<Toolset>,
    /// Of these only the tools that read.
    pub read_only: bool,
    /// How the audit log is written.
    pub audit: Audit,
    /// Folders that file tools may read and write; none: they refuse.
    pub file_roots: Vec<PathBuf>,
    /// For private repositories on github.com.
    github_token: Option<SecretString>,
    /// Certificates to trust beside the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// A setting that cannot be used: a sentence that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError(String);

impl SettingError {
    /// A sentence that names the setting.
    pub fn new(sentence: String) -> SettingError {
        SettingError(sentence)
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingError {}

impl Config {
    /// Reads all settings. `lookup` returns the value of an environment variable; an empty one counts as unset.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Config, SettingError> {
        let env = Lookup(lookup);
        env.learn_secrets();
        env.learn_proxy_passwords();
        let max_wait = env.seconds("MANAGED_AGENTS_MAX_WAIT_SECONDS", 45, 1..=3600)?;
        let wait = env.seconds("MANAGED_AGENTS_WAIT_SECONDS", 25, 0..=3600)?;
        let url = env.base_url()?;
        env.system_certificates(&url)?;
        Ok(Config {
            key: env.key()?,
            origin: Origin::At(url),
            api_version: env.version("ANTHROPIC_VERSION", "2023-06-01")?,
            beta: env.betas("MANAGED_AGENTS_BETA", "managed-agents-2026-04-01")?,
            workspace: env.id("ANTHROPIC_WORKSPACE_ID")?,
            agent: env.get("MANAGED_AGENTS_AGENT"),
            environment: env.get("MANAGED_AGENTS_ENVIRONMENT"),
            model: env.word("MANAGED_AGENTS_MODEL", "claude-sonnet-5-5")?,
            allow_agents: env.allowed("MANAGED_AGENTS_ALLOW_AGENTS")?,
            allow_environments: env.allowed("MANAGED_AGENTS_ALLOW_ENVIRONMENTS")?,
            budget_cents: env.budget()?,
            cut_wait: env
                .get("MANAGED_AGENTS_WAIT_SECONDS")
                .and(Some(wait).filter(|wait| *wait > max_wait)),
            idle_secrets: env.idle_secrets(),
            wait: wait.min(max_wait),
            max_wait,
            result_chars: env.number(
                "MANAGED_AGENTS_RESULT_CHARS",
                16_000,
                SMALLEST_BUDGET..=500_000,
            )?,
            approvals: env.choice(
                "MANAGED_AGENTS_APPROVALS",
                [
                    ("any", Approvals::Any),
                    ("human", Approvals::Human),
                    ("tool", Approvals::Tool),
                ],
            )?,
            toolsets: env.toolsets()?,
            read_only: env.switch("MANAGED_AGENTS_READ_ONLY")?,
            audit: env.choice(
                "MANAGED_AGENTS_AUDIT",
                [
                    ("text", Audit::Text),
                    ("json", Audit::Json),
                    ("off", Audit::Off),
                ],
            )?,
            file_roots: env.folders("MANAGED_AGENTS_FILE_ROOTS")?,
            github_token: match env.filled("MANAGED_AGENTS_GITHUB_TOKEN")? {
                Some(token) => Some(token),
                None => env.filled("GITHUB_TOKEN")?,
            },
            ca_pem: env.certificates("MANAGED_AGENTS_CA_FILE")?,
        })
    }

    /// Reads what counts for the built-in simulator: it is on no network and takes any key, but no secret is to be said all the same.
    pub fn read_for_simulator(
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, SettingError> {
        Lookup(lookup).learn_secrets();
        Config::read(&|name| lookup(name).filter(|_| counts_for_simulator(name)))
    }

    /// The same settings against the built-in simulator: any key will do, and no proxy is asked.
    pub fn simulated(self, starter: Starter) -> Config {
        let key = KeySource::Given(Key::Api(SecretString::from("simulated")));
        Config {
            origin: Origin::Started(starter),
            key,
            ..self
        }
    }

    /// What was set and has no effect, or not yet: a sentence that names each.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(wait) = self.cut_wait {
            let (wait, most) = (wait.as_secs(), self.max_wait.as_secs());
            doubts.push(format!(
                "MANAGED_AGENTS_WAIT_SECONDS is {wait}, but the longest wait is {most}, which holds: MANAGED_AGENTS_MAX_WAIT_SECONDS raises it"
            ));
        }
        doubts
    }

    /// Keys and tokens that are set and have no effect: a sentence that names each.
    pub fn idle_secrets(&self) -> &[String] {
        &self.idle_secrets
    }

    /// The token for private repositories, to be put into a request.
    pub fn github_token(&self) -> Option<&str> {
        self.github_token.as_ref().map(SecretString::expose_secret)
    }

    /// Whether the API is on this machine, where no proxy has a place.
    pub fn is_local(&self) -> bool {
        match &self.origin {
            Origin::At(url) => is_loopback(url),
            Origin::Started(_) => true,
        }
    }

    /// Whether the API is spoken to without TLS, as on loopback it may be.
    pub fn is_plain(&self) -> bool {
        match &self.origin {
            Origin::At(url) => url.scheme() == "http",
            Origin::Started(_) => true,
        }
    }

    /// Whether answers come from the built-in simulator.
    pub fn is_simulated(&self) -> bool {
        matches!(self.origin, Origin::Started(_))
    }
}

/// Whether a setting matters where the built-in simulator answers.
pub fn counts_for_simulator(name: &str) -> bool {
    let network = [
        "ANTHROPIC_BASE_URL",
        "MANAGED_AGENTS_CA_FILE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];
    !network.contains(&name) && !KEY_SOURCES.contains(&name)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Dollars as whole cents: the API takes no parts of a cent.
pub fn cents(dollars: f64) -> Option<u64> {
    let cents = (dollars * 100.0).round();
    let exact = (dollars * 100.0 - cents).abs() < 1e-6;
    (exact && (1.0..1e12).contains(&cents)).then_some(cents as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, SettingError> {
        let lookup = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::read(&lookup)
    }

    #[test]
    fn without_any_setting_the_defaults_hold() {
        let config = read(&[]).unwrap();
        assert!(matches!(config.key, KeySource::Missing));
        assert_eq!(config.budget_cents, Some(1000));
        assert_eq!(
            (
                config.wait.as_secs(),
                config.max_wait.as_secs(),
                config.result_chars
            ),
            (25, 45, 16_000)
        );
    }

    #[test]
    fn each_nonsense_value_is_refused_with_its_name() {
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", "http://example.com"),
            ("ANTHROPIC_BASE_URL", "ftp://localhost"),
            ("ANTHROPIC_BASE_URL", "https://user:pw@host"),
            ("ANTHROPIC_BASE_URL", "https://host/?a=b"),
            ("ANTHROPIC_BASE_URL", "nonsense"),
            ("ANTHROPIC_BASE_URL", "https://host/prefix/v1/"),
            ("MANAGED_AGENTS_KEY_FILE", "~/key"),
            ("MANAGED_AGENTS_KEY_FILE", "${HOME}/key"),
            ("ANTHROPIC_VERSION", "a\nb"),
            ("ANTHROPIC_VERSION", "2023 06 01"),
            ("ANTHROPIC_VERSION", "yesterday"),
            ("MANAGED_AGENTS_BETA", "foo bar,"),
            ("MANAGED_AGENTS_BETA", "foo,,bar"),
            ("ANTHROPIC_WORKSPACE_ID", "not an id"),
            ("ANTHROPIC_API_KEY", "sk-ant key"),
            ("ANTHROPIC_MANAGED_AGENTS_TOKEN", "tok\ntok"),
            ("ANTHROPIC_AUTH_TOKEN", "schlüssel"),
            ("GITHUB_TOKEN", "bad token"),
            ("MANAGED_AGENTS_MODEL", "bad model!"),
            ("MANAGED_AGENTS_ALLOW_AGENTS", ","),
            ("MANAGED_AGENTS_ALLOW_ENVIRONMENTS", " , "),
            ("MANAGED_AGENTS_BUDGET_USD", "-1"),
            ("MANAGED_AGENTS_BUDGET_USD", "1.234"),
            ("MANAGED_AGENTS_BUDGET_USD", "nan"),
            ("MANAGED_AGENTS_WAIT_SECONDS", "soon"),
            ("MANAGED_AGENTS_MAX_WAIT_SECONDS", "0"),
            ("MANAGED_AGENTS_RESULT_CHARS", "10"),
            ("MANAGED_AGENTS_APPROVALS", "maybe"),
            ("MANAGED_AGENTS_READ_ONLY", "perhaps"),
            ("MANAGED_AGENTS_TOOLSETS", "core,everything"),
            ("MANAGED_AGENTS_CA_FILE", "/no/such/file"),
            ("MANAGED_AGENTS_FILE_ROOTS", "work"),
            ("MANAGED_AGENTS_FILE_ROOTS", "~/work"),
            ("MANAGED_AGENTS_FILE_ROOTS", "${HOME}/work"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{name}={value}: {error}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only_and_a_prefix_may_follow() {
        for good in [
            "http://127.0.0.1:8080",
            "http://localhost/prefix",
            "http://[::1]:1",
            "https://host/a/b",
            "https://host/v1/b",
        ] {
            assert!(read(&[("ANTHROPIC_BASE_URL", good)]).is_ok(), "{good}");
        }
    }

    #[test]
    fn file_roots_are_a_path_list_and_need_not_exist() {
        let all = ["/no/such/folder", "/srv/a b"];
        let list = std::env::join_paths(all).unwrap().into_string().unwrap();
        let config = read(&[("MANAGED_AGENTS_FILE_ROOTS", &list)]).unwrap();
        assert_eq!(config.file_roots, all.map(PathBuf::from));
        assert!(read(&[]).unwrap().file_roots.is_empty());
    }

    #[test]
    fn the_default_wait_never_exceeds_the_longest() {
        let config = read(&[("MANAGED_AGENTS_MAX_WAIT_SECONDS", "10")]).unwrap();
        assert_eq!(config.wait.as_secs(), 10);
        assert!(config.doubts().is_empty());
        let config = read(&[("MANAGED_AGENTS_WAIT_SECONDS", "100")]).unwrap();
        assert_eq!(config.wait.as_secs(), 45);
        assert!(config.doubts().concat().contains("100"));
    }

    #[test]
    fn a_source_that_the_client_did_not_fill_is_no_nonsense_and_the_next_one_counts() {
        for name in KEY_SOURCES {
            let config = read(&[(name, "${user_config.x}")]).unwrap();
            assert!(matches!(config.key, KeySource::Unreplaced(said) if said == name));
            let other = KEY_SOURCES.iter().rev().find(|other| **other != name);
            let other = (*other.unwrap(), "sk-ant-other");
            let config = read(&[(name, "${user_config.x}"), other]).unwrap();
            assert!(matches!(config.key, KeySource::Given(_)), "{name}");
            let said = config.idle_secrets().join("\n");
            assert_eq!(
                said,
                format!("{name} holds a placeholder that was not replaced, and is ignored")
            );
        }
    }

    #[test]
    fn a_line_that_was_pasted_is_refused_without_its_key_which_is_a_secret_from_then_on() {
        for (at, line) in [
            "ANTHROPIC_API_KEY=gwkey-canary51",
            "gwkey-canary ANTHROPIC_API_KEY=gwkey-canary52",
            "$env:ANTHROPIC_API_KEY=\"gwkey-canary53\"",
            "ANTHROPIC_API_KEY: gwkey-canary54",
            "export ANTHROPIC_API_KEY = 'gwkey-canary55'",
            "{\"ANTHROPIC_API_KEY\": \"gwkey-canary56\"},",
            "ANTHROPIC_API_KEY:gwkey-canary57",
        ]
        .into_iter()
        .enumerate()
        {
            let key = format!("gwkey-canary5{}", at + 1);
            let said = read(&[("ANTHROPIC_API_KEY", line)])
                .unwrap_err()
                .to_string();
            assert!(
                said.starts_with("ANTHROPIC_API_KEY") && said.contains("remove `"),
                "{said}"
            );
            assert!(!said.contains("canary"), "{said}");
            assert!(!crate::secrets::mask(&key).contains("canary5"), "{line}");
        }
        let idle = [
            ("MANAGED_AGENTS_KEY_FILE", "/k"),
            ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY=other-idle61"),
        ];
        assert!(read(&idle).is_ok());
        assert!(!crate::secrets::mask("other-idle61").contains("idle61"));
        assert_eq!(
            crate::secrets::mask("ANTHROPIC_API_KEY"),
            "ANTHROPIC_API_KEY"
        );
    }

    #[test]
    fn all_alone_allows_all() {
        let names = [
            "MANAGED_AGENTS_ALLOW_AGENTS",
            "MANAGED_AGENTS_ALLOW_ENVIRONMENTS",
        ];
        let config = read(&names.map(|name| (name, " all "))).unwrap();
        assert!(config.allow_agents.is_empty() && config.allow_environments.is_empty());
        let config = read(&names.map(|name| (name, "all,one"))).unwrap();
        assert_eq!(config.allow_agents, ["all", "one"]);
    }

    #[test]
    fn secrets_without_effect_are_named_and_not_said() {
        let config = read(&[
            ("ANTHROPIC_MANAGED_AGENTS_TOKEN", "canary-1"),
            ("ANTHROPIC_API_KEY", "canary-2"),
            ("GITHUB_TOKEN", "$GITHUB_TOKEN"),
        ])
        .unwrap();
        let said = config.idle_secrets().join("\n");
        for part in [
            "ANTHROPIC_API_KEY has no effect: ANTHROPIC_MANAGED_AGENTS_TOKEN goes before it",
            "GITHUB_TOKEN holds a placeholder",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("canary"), "{said}");
        assert!(config.github_token().is_none());
        let alone = read(&[("ANTHROPIC_API_KEY", "canary-2")]).unwrap();
        assert!(alone.idle_secrets().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn certificates_that_are_not_there_are_named() {
        for (name, path) in [
            ("SSL_CERT_FILE", "/no/such/file"),
            ("SSL_CERT_FILE", "/tmp"),
            ("SSL_CERT_FILE", "/proc/self/cmdline"),
            ("SSL_CERT_FILE", "/dev/null"),
            ("SSL_CERT_DIR", "/no/such/folder"),
        ] {
            let error = read(&[(name, path)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: {path} ")), "{error}");
        }
        let both = [("SSL_CERT_FILE", "/no"), ("SSL_CERT_DIR", "/no")];
        assert!(read(&both).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn certificates_that_are_not_there_do_not_matter_without_https_or_beside_a_folder_of_them() {
        let missing = ("SSL_CERT_FILE", "/no/such/file");
        for other in [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080"),
            ("SSL_CERT_DIR", "/etc/ssl/certs"),
        ] {
            assert!(read(&[missing, other]).is_ok(), "{other:?}");
        }
        assert!(read(&[missing, ("ANTHROPIC_BASE_URL", "https://host")]).is_err());
    }

    #[test]
    fn what_may_be_a_key_by_mistake_is_not_said_when_it_is_refused() {
        let error = read(&[("MANAGED_AGENTS_KEY_FILE", "canary")]).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        for name in ["ANTHROPIC_WORKSPACE_ID", "MANAGED_AGENTS_BETA"] {
            for value in ["canary key", "x canary", "canary\u{e9},", "canary,,"] {
                if let Err(error) = read(&[(name, value)]) {
                    let error = error.to_string();
                    assert!(error.starts_with(&format!("{name} must be ")), "{error}");
                    assert!(!error.contains("canary"), "{error}");
                }
            }
            assert!(read(&[(name, "canary key")]).is_err());
        }
    }

    #[test]
    fn no_secret_shows_in_debug() {
        let canary = "sk-ant-canary";
        let names = [
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_MANAGED_AGENTS_TOKEN",
            "GITHUB_TOKEN",
        ];
        for name in names {
            let config = read(&[(name, canary)]).unwrap();
            assert!(!format!("{config:?}").contains(canary), "{name}");
        }
    }
}
