//! The blocks themselves: JSON, TOML and YAML.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Client, Launch, SERVER, Secret};

/// How Codex and Goose name a variable to pass on.
const KEY: &str = "ANTHROPIC_API_KEY";
/// Longer than the longest wait, for the clients whose default was shorter at some time.
const CALL_SECONDS: u32 = 120;
/// The default of Goose, written out.
const GOOSE_SECONDS: u32 = 300;

type Environment = BTreeMap<&'static str, String>;

/// A server in a JSON file. The order is the one that people write.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    command: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: Environment,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: Environment,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
}

/// `mcp.json` of VS Code.
#[derive(Debug, Serialize)]
struct VsCode {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Value>,
    servers: BTreeMap<&'static str, Server>,
}

pub(super) fn of(client: Client, launch: &Launch) -> String {
    let server = || BTreeMap::from([(SERVER, Server::of(client, launch))]);
    let under = |name: &str| pretty(&BTreeMap::from([(name, server())]));
    match client {
        Client::VsCode => pretty(&VsCode {
            inputs: if launch.simulate {
                Vec::new()
            } else {
                vec![question()]
            },
            servers: server(),
        }),
        Client::Zed => under("context_servers"),
        Client::OpenCode => under("mcp"),
        Client::Codex => codex(launch),
        Client::Goose => goose(launch),
        Client::ClaudeDesktop
        | Client::ClaudeCode
        | Client::Cursor
        | Client::Windsurf
        | Client::Gemini
        | Client::JetBrains => under("mcpServers"),
    }
}

impl Server {
    /// The server as the client's file has it.
    pub(super) fn of(client: Client, launch: &Launch) -> Server {
        let plain = Server::new(launch, environment(client, launch));
        match client {
            Client::ClaudeCode | Client::Cursor | Client::VsCode => Server {
                kind: Some("stdio"),
                ..plain
            },
            Client::Zed => Server {
                source: Some("custom"),
                ..plain
            },
            Client::OpenCode => {
                let mut command = vec![launch.command.as_str()];
                command.extend(launch.arguments());
                Server {
                    kind: Some("local"),
                    command: json!(command),
                    args: None,
                    environment: plain.env,
                    env: Environment::new(),
                    enabled: Some(true),
                    timeout: Some(CALL_SECONDS * 1000),
                    ..plain
                }
            }
            _ => plain,
        }
    }

    /// The server as a link or a command carries it: with its name, and the key in a file.
    pub(super) fn named(launch: &Launch) -> Server {
        Server {
            name: Some(SERVER),
            kind: Some("stdio"),
            ..Server::new(launch, key_file(launch))
        }
    }

    fn new(launch: &Launch, env: Environment) -> Server {
        Server {
            name: None,
            kind: None,
            source: None,
            command: json!(launch.command),
            args: Some(launch.arguments()),
            env,
            environment: Environment::new(),
            enabled: None,
            timeout: None,
        }
    }

    /// On one line.
    pub(super) fn compact(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn environment(client: Client, launch: &Launch) -> Environment {
    let key = |value: &str| Environment::from([(KEY, value.to_owned())]);
    match client.secret() {
        _ if launch.simulate => Environment::new(),
        Secret::File => key_file(launch),
        Secret::Variable(reference) => key(reference),
        Secret::Asked => key("${input:anthropic-api-key}"),
        Secret::Named => Environment::new(),
    }
}

fn key_file(launch: &Launch) -> Environment {
    if launch.simulate {
        return Environment::new();
    }
    Environment::from([("MANAGED_AGENTS_KEY_FILE", launch.key_file.clone())])
}

/// What VS Code asks once, and keeps encrypted.
fn question() -> Value {
    json!({
        "type": "promptString",
        "id": "anthropic-api-key",
        "description": "Anthropic API key",
        "password": true,
    })
}

fn codex(launch: &Launch) -> String {
    let mut lines = vec![
        format!("[mcp_servers.{SERVER}]"),
        format!("command = {}", quoted(&launch.command)),
        format!("args = {}", json!(launch.arguments())),
    ];
    if !launch.simulate {
        lines.push(format!("env_vars = [{}]", quoted(KEY)));
    }
    lines.push(format!("tool_timeout_sec = {CALL_SECONDS}"));
    lines.join("\n") + "\n"
}

fn goose(launch: &Launch) -> String {
    let keys = if launch.simulate { vec![] } else { vec![KEY] };
    format!(
        "extensions:\n  {SERVER}:\n    name: {SERVER}\n    type: stdio\n    enabled: true\n    cmd: {}\n    args: {}\n    \
         envs: {{}}\n    env_keys: {}\n    timeout: {GOOSE_SECONDS}\n",
        quoted(&launch.command),
        json!(launch.arguments()),
        json!(keys),
    )
}

/// A string of JSON is one of TOML and of YAML as well.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

fn pretty(block: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(block).unwrap_or_default();
    text + "\n"
}
