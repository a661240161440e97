//! `config CLIENT`: each block is valid in its own format, has the shape its client reads, starts this binary, and holds no secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Parser};
use serde_json::{Value, json};

use crate::rig::{KEY, Rig};

const CLIENTS: [&str; 11] = [
    "claude-desktop",
    "claude-code",
    "cursor",
    "vscode",
    "codex",
    "zed",
    "windsurf",
    "gemini",
    "goose",
    "jetbrains",
    "opencode",
];
const BINARY: &str = env!("CARGO_BIN_EXE_managed-agents-mcp");

/// What `config` prints with canaries in the environment: exit code, block, notes.
async fn config(arguments: &[&str]) -> (Option<i32>, String, String) {
    let rig = Rig::start().await;
    let rig = rig
        .set("HOME", "/home/you")
        .set("APPDATA", r"C:\Users\you\AppData\Roaming")
        .set("ANTHROPIC_AUTH_TOKEN", KEY)
        .set("GITHUB_TOKEN", "ghp_canary5d20b8");
    let mut command = rig.command();
    let output = command
        .arg("config")
        .args(arguments)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !format!("{stdout}{stderr}").contains("canary"),
        "{stdout}{stderr}"
    );
    assert!(rig.requests().is_empty(), "it asked the API");
    (output.status.code(), stdout, stderr)
}

async fn block(client: &str, options: &[&str]) -> String {
    let (code, stdout, stderr) = config(&[&[client], options].concat()).await;
    assert_eq!(code, Some(0), "{client}: {stderr}");
    stdout
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Where each JSON file has the server, and what else the client reads there.
fn json_shape(client: &str) -> (&'static str, Value) {
    let key_file = if cfg!(windows) {
        r"C:\Users\you\AppData\Roaming\managed-agents-mcp\key"
    } else {
        "/home/you/.config/managed-agents-mcp/key"
    };
    let plain = |reference: &str| json!({"command": BINARY, "args": [], "env": {"ANTHROPIC_API_KEY": reference}});
    let private =
        || json!({"command": BINARY, "args": [], "env": {"MANAGED_AGENTS_KEY_FILE": key_file}});
    let with = |mut server: Value, name: &str, value: Value| {
        server[name] = value;
        server
    };
    let stdio = |server: Value| with(server, "type", json!("stdio"));
    match client {
        "claude-desktop" | "jetbrains" => ("/mcpServers/managed-agents", private()),
        "claude-code" => (
            "/mcpServers/managed-agents",
            stdio(plain("${ANTHROPIC_API_KEY}")),
        ),
        "gemini" => ("/mcpServers/managed-agents", plain("${ANTHROPIC_API_KEY}")),
        "cursor" => (
            "/mcpServers/managed-agents",
            stdio(plain("${env:ANTHROPIC_API_KEY}")),
        ),
        "windsurf" => (
            "/mcpServers/managed-agents",
            plain("${env:ANTHROPIC_API_KEY}"),
        ),
        "vscode" => (
            "/servers/managed-agents",
            stdio(plain("${input:anthropic-api-key}")),
        ),
        "zed" => (
            "/context_servers/managed-agents",
            with(private(), "source", json!("custom")),
        ),
        "opencode" => (
            "/mcp/managed-agents",
            json!({"type": "local", "command": [BINARY], "enabled": true, "timeout": 120_000,
                "environment": {"ANTHROPIC_API_KEY": "{env:ANTHROPIC_API_KEY}"}}),
        ),
        other => panic!("{other} does not read JSON"),
    }
}

#[tokio::test]
async fn each_json_block_has_the_shape_that_its_client_reads() {
    for client in CLIENTS {
        if ["codex", "goose"].contains(&client) {
            continue;
        }
        let block = json_of(&block(client, &[]).await);
        let (place, expected) = json_shape(client);
        assert_eq!(block.pointer(place), Some(&expected), "{client}: {block}");
        let alone = block.as_object().unwrap().len();
        assert_eq!(alone, if client == "vscode" { 2 } else { 1 }, "{client}");
    }
}

#[tokio::test]
async fn vscode_asks_for_the_key_in_a_field_that_hides_it() {
    let block = json_of(&block("vscode", &[]).await);
    let input = &block["inputs"][0];
    assert_eq!(input["type"], "promptString");
    assert_eq!(input["password"], true);
    let reference = format!("${{input:{}}}", input["id"].as_str().unwrap());
    assert_eq!(
        block["servers"]["managed-agents"]["env"]["ANTHROPIC_API_KEY"],
        reference
    );
}

#[tokio::test]
async fn the_blocks_of_codex_and_goose_are_valid_toml_and_yaml() {
    let codex: toml::Table = block("codex", &[]).await.parse().unwrap();
    let server = &codex["mcp_servers"]["managed-agents"];
    assert_eq!(server["command"].as_str(), Some(BINARY));
    assert_eq!(server["env_vars"][0].as_str(), Some("ANTHROPIC_API_KEY"));
    assert_eq!(server["tool_timeout_sec"].as_integer(), Some(120));

    let goose = format!(
        "{{extensions {{managed-agents {{name managed-agents type stdio enabled true cmd {BINARY} args [] envs {{}} \
         env_keys [ANTHROPIC_API_KEY] timeout 300}}}}}}"
    );
    assert_eq!(structure(&block("goose", &[]).await), goose);
}

/// A YAML document as its parser reads it: what is within what, on one line.
fn structure(yaml: &str) -> String {
    let mut read = String::new();
    for event in Parser::new_from_str(yaml) {
        match event.unwrap().0 {
            Event::MappingStart(..) => read.push_str(" {"),
            Event::MappingEnd => read.push('}'),
            Event::SequenceStart(..) => read.push_str(" ["),
            Event::SequenceEnd => read.push(']'),
            Event::Scalar(text, ..) => read.push_str(&format!(" {text}")),
            _ => {}
        }
    }
    read.replace("{ ", "{").replace("[ ", "[").trim().to_owned()
}

#[tokio::test]
async fn with_simulate_no_client_is_told_of_a_key() {
    for client in CLIENTS {
        for arguments in [
            ["config", client, "--simulate"],
            ["--simulate", "config", client],
        ] {
            let rig = Rig::start().await;
            let output = rig.command().args(arguments).output().await.unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(said.contains("--simulate"), "{client}: {said}");
            assert!(
                !said.contains("inputs") && !said.contains("Key  "),
                "{client}: {said}"
            );
            let block = said.split(": add this to").next().unwrap();
            assert!(!block.contains("KEY"), "{client}: {block}");
        }
    }
}

/// The text with what differs between machines replaced.
fn stable(text: &str) -> String {
    text.replace(BINARY, "/usr/local/bin/managed-agents-mcp")
}

/// The words after a title of the notes.
fn line<'a>(notes: &'a str, title: &str) -> &'a str {
    let mut lines = notes.lines();
    let found = lines.find_map(|line| line.strip_prefix(title));
    found
        .unwrap_or_else(|| panic!("no `{title}` in {notes}"))
        .trim()
}

#[tokio::test]
async fn the_link_of_cursor_is_the_plain_json_of_the_block() {
    let (_, stdout, notes) = config(&["cursor"]).await;
    let link = line(&notes, "Or open");
    let (head, query) = link.split_once('?').unwrap();
    assert_eq!(head, "cursor://anysphere.cursor-deeplink/mcp/install");
    assert!(query.starts_with("name=managed-agents&config="), "{query}");
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, encoded) = pairs.find(|(name, _)| name == "config").unwrap();
    let server = STANDARD.decode(encoded.as_ref()).unwrap();
    let server: Value = serde_json::from_slice(&server).unwrap();
    assert_eq!(server, json_of(&stdout)["mcpServers"]["managed-agents"]);
}

#[tokio::test]
async fn the_link_of_vscode_is_a_server_with_its_name() {
    let (_, _, notes) = config(&["vscode"]).await;
    let link = line(&notes, "Or open");
    let query = link.strip_prefix("vscode:mcp/install?").unwrap();
    let (server, _) = url::form_urlencoded::parse(query.as_bytes())
        .next()
        .unwrap();
    let server = json_of(&server);
    assert_eq!(server["name"], "managed-agents");
    assert_eq!(server["command"], BINARY);
}

#[tokio::test]
async fn without_a_client_or_with_an_unknown_one_all_are_listed() {
    for arguments in [&[][..], &["emacs"]] {
        let (code, stdout, stderr) = config(arguments).await;
        assert_eq!(code, Some(2), "{arguments:?}");
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(
            CLIENTS.iter().all(|client| stderr.contains(client)),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn with_the_simulator_nothing_is_said_of_a_key() {
    for client in CLIENTS {
        let (code, _, notes) = config(&[client, "--simulate"]).await;
        assert_eq!(code, Some(0), "{client}");
        assert!(!notes.contains("_KEY"), "{client}: {notes}");
    }
    let (code, _, notes) = config(&["Claude-Code"]).await;
    assert_eq!(code, Some(0), "{notes}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_person_reads_for_each_client() {
    let mut page = String::new();
    for client in CLIENTS {
        let (_, stdout, stderr) = config(&[client]).await;
        page.push_str(&format!(
            "## {client}\n{}\n{}\n",
            stable(&stdout),
            stable(&stderr)
        ));
    }
    // The link encodes the path of the binary; its own test decodes it.
    let links = |line: &str| match line.split_once("install?") {
        Some((link, _)) => format!("{link}install?…"),
        None => line.to_owned(),
    };
    // Where the tests run, the binary is a build.
    let is_kept = |line: &&str| !line.contains("`cargo clean`");
    let page: Vec<String> = page.lines().filter(is_kept).map(links).collect();
    insta::assert_snapshot!(page.join("\n"));
}
