//! What is fixed about each client: where its file is, what to start again, which limits matter.

use super::Client;

/// What is fixed about a client.
pub(super) struct Facts {
    pub(super) name: &'static str,
    /// Where its file is, by system.
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) restart: &'static str,
    pub(super) limits: &'static [&'static str],
}

pub(super) fn facts(client: Client) -> Facts {
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
            restart: "quit Claude Desktop completely, from its menu, and start it again.",
            limits: &[
                "In places a call ends after about 60 s, and this limit is not configurable: leave MANAGED_AGENTS_MAX_WAIT_SECONDS at 45.",
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
