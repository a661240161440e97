//! What a person should know beside the block: printed on stderr.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::block::Server;
use super::{Client, Launch, SERVER, Secret};

/// What is fixed about a client.
struct Facts {
    name: &'static str,
    /// Where its file is, by system.
    files: &'static [(&'static str, &'static str)],
    restart: &'static str,
    limits: &'static [&'static str],
}

pub(super) fn of(client: Client, launch: &Launch) -> String {
    let facts = facts(client);
    let mut text = format!("{}: add this to", facts.name);
    text.push_str(if facts.files.len() > 1 { "\n" } else { " " });
    for (system, path) in facts.files {
        text.push_str(&format!("  {system:10}{path}\n"));
    }
    let mut paragraph = |title: &str, words: &str| {
        text.push_str(&format!("{title:9}{words}\n"));
    };
    if !launch.simulate {
        paragraph("Key", &key(client));
        if let Some(file) = key_file(client, launch) {
            paragraph("", &file);
        }
    }
    paragraph("Then", facts.restart);
    for (title, line) in install(client, launch) {
        paragraph(title, &line);
    }
    for limit in facts.limits {
        paragraph("Note", limit);
    }
    paragraph("Check", &format!("{} doctor", shell(&launch.command)));
    text
}

fn key(client: Client) -> String {
    match client.secret() {
        Secret::File => {
            "it stays out of this block, in a file that only you can read:".to_owned()
        }
        Secret::Variable(reference) => {
            let name = facts(client).name;
            format!("{name} puts ANTHROPIC_API_KEY of its own environment in the place of {reference}.")
        }
        Secret::Named if client == Client::Goose => {
            "Goose takes ANTHROPIC_API_KEY from its environment or its keyring (`goose configure`), and does not start the server without one.".to_owned()
        }
        Secret::Named => "Codex passes ANTHROPIC_API_KEY of its own environment on.".to_owned(),
        Secret::Asked => {
            "VS Code asks for it when the server starts first, and keeps it encrypted.".to_owned()
        }
    }
}

/// How to give the key in a file, where that is the way or the other way.
fn key_file(client: Client, launch: &Launch) -> Option<String> {
    let file = private_file(&launch.key_file);
    match client.secret() {
        Secret::File => Some(file),
        Secret::Variable(_) => Some(format!(
            "Or set MANAGED_AGENTS_KEY_FILE to {} there instead, after: {file}",
            launch.key_file
        )),
        Secret::Named if client == Client::Codex => Some(format!(
            "Or write env = {{ MANAGED_AGENTS_KEY_FILE = {:?} }} instead, after: {file}",
            launch.key_file
        )),
        Secret::Named | Secret::Asked => None,
    }
}

fn private_file(path: &str) -> String {
    if cfg!(windows) {
        return format!(
            "Make {path} a file that only your account may read, and paste the key into it."
        );
    }
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    let (folder, path) = (shell(folder), shell(path));
    format!(
        "mkdir -p {folder} && install -m 600 /dev/null {path}, then paste the key into it with an editor."
    )
}

/// One line that adds the server, and a link where the client has one. Neither carries a key.
fn install(client: Client, launch: &Launch) -> Vec<(&'static str, String)> {
    let run = [shell(&launch.command)]
        .into_iter()
        .chain(launch.arguments().into_iter().map(str::to_owned));
    let run = run.collect::<Vec<_>>().join(" ");
    let with = |option: &str, setting: &str| match launch.simulate {
        true => String::new(),
        false => format!("{option} {} ", shell(setting)),
    };
    let reference = "ANTHROPIC_API_KEY=${ANTHROPIC_API_KEY}";
    let file = format!("MANAGED_AGENTS_KEY_FILE={}", launch.key_file);
    let named = Server::named(launch).compact();
    match client {
        Client::ClaudeCode => vec![(
            "Or run",
            format!(
                "claude mcp add --scope project {SERVER} {}-- {run}",
                with("-e", reference)
            ),
        )],
        Client::Codex => vec![(
            "Or run",
            format!("codex mcp add {SERVER} {}-- {run}", with("--env", &file)),
        )],
        Client::Gemini => vec![(
            "Or run",
            format!(
                "gemini mcp add --scope user {}{SERVER} {run}",
                with("-e", reference)
            ),
        )],
        Client::VsCode => vec![
            ("Or run", format!("code --add-mcp {}", shell(&named))),
            ("Or open", format!("vscode:mcp/install?{}", percent(&named))),
        ],
        Client::Cursor => vec![("Or open", cursor_link(launch))],
        _ => Vec::new(),
    }
}

/// Base64 of the JSON as it stands.
fn cursor_link(launch: &Launch) -> String {
    let server = STANDARD.encode(Server::of(Client::Cursor, launch).compact());
    format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={SERVER}&config={}",
        percent(&server)
    )
}

/// For a query, as JavaScript's `encodeURIComponent` writes it.
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A word for the shell, which must not look into it.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || r"/._-:=@%+,\".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && (cfg!(windows) || !word.contains('\\')) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn facts(client: Client) -> Facts {
    match client {
        Client::ClaudeDesktop => Facts {
            name: "Claude Desktop",
            files: &[
                (
                    "macOS",
                    "~/Library/Application Support/Claude/claude_desktop_config.json",
                ),
                ("Windows", r"%APPDATA%\Claude\claude_desktop_config.json"),
                (
                    "Linux",
                    "~/.config/Claude/claude_desktop_config.json (unverified)",
                ),
            ],
            restart: "quit Claude Desktop whole, from its menu, and start it again.",
            limits: &[
                "A call ends after about 60 s in places, which cannot be set: leave MANAGED_AGENTS_MAX_WAIT_SECONDS at 45.",
            ],
        },
        Client::ClaudeCode => Facts {
            name: "Claude Code",
            files: &[
                (
                    "project",
                    ".mcp.json in its root, on macOS, Windows and Linux",
                ),
                (
                    "user",
                    r"~/.claude.json (Windows: %USERPROFILE%\.claude.json), better written by `claude mcp add --scope user`",
                ),
            ],
            restart: "start a new session and approve the server; /mcp shows it.",
            limits: &[
                "Claude Code itself uses an ANTHROPIC_API_KEY of its environment and bills it: MANAGED_AGENTS_KEY_FILE keeps the two apart.",
                "Calls have no limit of time that matters (MCP_TOOL_TIMEOUT, in ms); MANAGED_AGENTS_MAX_WAIT_SECONDS may be raised.",
            ],
        },
        Client::Cursor => Facts {
            name: "Cursor",
            files: &[
                (
                    "user",
                    r"~/.cursor/mcp.json (Windows: %USERPROFILE%\.cursor\mcp.json)",
                ),
                ("project", ".cursor/mcp.json in its root"),
            ],
            restart: "switch the server on in Settings > MCP; a changed file may need a restart of Cursor.",
            limits: &[
                "A call is cut after about 5 min, by report; that is far above the longest wait.",
            ],
        },
        Client::VsCode => Facts {
            name: "VS Code",
            files: &[
                ("project", ".vscode/mcp.json in its root"),
                ("macOS", "~/Library/Application Support/Code/User/mcp.json"),
                ("Windows", r"%APPDATA%\Code\User\mcp.json"),
                ("Linux", "~/.config/Code/User/mcp.json"),
            ],
            restart: "press Start above the server in that file, or run MCP: List Servers.",
            limits: &[
                "The command and the link use MANAGED_AGENTS_KEY_FILE, since neither can ask.",
                "At most 128 tools are offered at once, those of all servers together.",
            ],
        },
        Client::Codex => Facts {
            name: "Codex",
            files: &[
                (
                    "user",
                    r"~/.codex/config.toml (Windows: %USERPROFILE%\.codex\config.toml)",
                ),
                (
                    "project",
                    ".codex/config.toml in its root, if the project is trusted",
                ),
            ],
            restart: "start Codex again; /mcp shows it.",
            limits: &[
                "tool_timeout_sec bounds a call (60 s in older versions): keep it above MANAGED_AGENTS_MAX_WAIT_SECONDS.",
                "With approval policy `never` Codex declines every question that a server asks.",
            ],
        },
        Client::Zed => Facts {
            name: "Zed",
            files: &[
                ("macOS", "~/.config/zed/settings.json"),
                ("Linux", "~/.config/zed/settings.json"),
                ("Windows", r"%APPDATA%\Zed\settings.json"),
            ],
            restart: "nothing needs a restart; the Agent Panel's settings show a green dot.",
            limits: &[
                "A call ends after 60 s; \"timeout\" beside \"command\", in seconds, allows up to 600.",
            ],
        },
        Client::Windsurf => Facts {
            name: "Windsurf",
            files: &[
                ("macOS", "~/.codeium/windsurf/mcp_config.json"),
                ("Linux", "~/.codeium/windsurf/mcp_config.json"),
                (
                    "Windows",
                    r"%USERPROFILE%\.codeium\windsurf\mcp_config.json",
                ),
            ],
            restart: "press Refresh in Cascade's list of MCP servers.",
            limits: &[
                "Cascade offers at most 100 tools, those of all servers together.",
                "How long a call may take is not published: leave MANAGED_AGENTS_MAX_WAIT_SECONDS at 45.",
            ],
        },
        Client::Gemini => Facts {
            name: "Gemini CLI",
            files: &[
                (
                    "user",
                    r"~/.gemini/settings.json (Windows: %USERPROFILE%\.gemini\settings.json)",
                ),
                ("project", ".gemini/settings.json in its root"),
            ],
            restart: "start Gemini CLI again; /mcp shows it.",
            limits: &[
                "A call ends after 600 s; \"timeout\" beside \"command\", in milliseconds, changes it.",
            ],
        },
        Client::Goose => Facts {
            name: "Goose",
            files: &[
                ("macOS", "~/.config/goose/config.yaml"),
                ("Linux", "~/.config/goose/config.yaml"),
                ("Windows", r"%APPDATA%\Block\goose\config\config.yaml"),
            ],
            restart: "start a new session.",
            limits: &["\"timeout\", in seconds, bounds a call: 300 is Goose's own default."],
        },
        Client::JetBrains => Facts {
            name: "JetBrains",
            files: &[
                (
                    "Assistant",
                    "Settings > Tools > AI Assistant > Model Context Protocol (MCP) > Add > As JSON",
                ),
                (
                    "Junie",
                    r"~/.junie/mcp/mcp.json (Windows: %USERPROFILE%\.junie\mcp\mcp.json), or .junie/mcp/mcp.json in a project",
                ),
            ],
            restart: "press Apply; the status column shows whether it started.",
            limits: &[
                "How long a call may take is not published: leave MANAGED_AGENTS_MAX_WAIT_SECONDS at 45.",
            ],
        },
        Client::OpenCode => Facts {
            name: "opencode",
            files: &[
                (
                    "user",
                    r"~/.config/opencode/opencode.json (Windows: %USERPROFILE%\.config\opencode\opencode.json)",
                ),
                ("project", "opencode.json in its root"),
            ],
            restart: "start opencode again; `opencode mcp list` shows it.",
            limits: &[
                "\"timeout\" is in milliseconds; without it a call ends after 60 s.",
                "opencode 2 wants the server under \"mcp\": {\"servers\": {…}}, without \"enabled\" and with \"timeout\": {\"request\": 120000}.",
            ],
        },
    }
}
