//! The table of settings, as the README prints it. `config.rs` reads them.

/// One row of the table of settings: name, default, meaning.
pub struct Setting {
    /// The variable or variables.
    pub names: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Every setting, as the README prints it.
pub const SETTINGS: &[Setting] = &[
    setting(
        "ANTHROPIC_MANAGED_AGENTS_TOKEN`, or else `ANTHROPIC_API_KEY",
        "",
        "the key, sent as `x-api-key`",
    ),
    setting(
        "ANTHROPIC_AUTH_TOKEN",
        "",
        "a token, sent as `Authorization: Bearer` instead",
    ),
    setting(
        "MANAGED_AGENTS_KEY_FILE",
        "",
        "a file that only you can read (0600) and that holds the key; goes before all others",
    ),
    setting(
        "MANAGED_AGENTS_KEY_COMMAND",
        "",
        "a command whose output is the key (no shell, 10 s at most); goes before the variables",
    ),
    setting(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "https, or http on loopback; may carry a path prefix",
    ),
    setting(
        "ANTHROPIC_VERSION",
        "2023-06-01",
        "header `anthropic-version`",
    ),
    setting(
        "MANAGED_AGENTS_BETA",
        "managed-agents-2026-04-01",
        "header `anthropic-beta`",
    ),
    setting(
        "ANTHROPIC_WORKSPACE_ID",
        "",
        "header `anthropic-workspace-id`",
    ),
    setting(
        "MANAGED_AGENTS_AGENT",
        "",
        "agent of sessions that name none: id or name",
    ),
    setting(
        "MANAGED_AGENTS_ENVIRONMENT",
        "",
        "environment of sessions that name none: id or name",
    ),
    setting(
        "MANAGED_AGENTS_MODEL",
        "claude-sonnet-5-5",
        "model of agents created without one",
    ),
    setting(
        "MANAGED_AGENTS_ALLOW_AGENTS",
        "all",
        "comma list of ids or names that sessions may use",
    ),
    setting(
        "MANAGED_AGENTS_ALLOW_ENVIRONMENTS",
        "all",
        "the same for environments",
    ),
    setting(
        "MANAGED_AGENTS_BUDGET_USD",
        "10",
        "budget of new sessions in dollars; `none` for no budget",
    ),
    setting(
        "MANAGED_AGENTS_WAIT_SECONDS",
        "25",
        "default wait of the calls that wait",
    ),
    setting(
        "MANAGED_AGENTS_MAX_WAIT_SECONDS",
        "45",
        "longest wait; many hosts end a call after 60 s",
    ),
    setting(
        "MANAGED_AGENTS_RESULT_CHARS",
        "16000",
        "most characters of one result",
    ),
    setting(
        "MANAGED_AGENTS_APPROVALS",
        "any",
        "`human`: `resolve_action` may deny but not allow, which then happens on the session's page; `any`, `tool`: it may do both",
    ),
    setting(
        "MANAGED_AGENTS_TOOLSETS",
        "core",
        "which tools are offered: `all`, or a comma list of `core`, `admin` (change and close agents, close environments, list vaults and memory stores) and `schedules`",
    ),
    setting(
        "MANAGED_AGENTS_READ_ONLY",
        "off",
        "`1`: only the tools that read",
    ),
    setting(
        "MANAGED_AGENTS_FILE_ROOTS",
        "",
        "folders that file tools may read and write: absolute paths, separated as in `PATH`; without it nothing on this machine is \
         touched",
    ),
    setting(
        "MANAGED_AGENTS_GITHUB_TOKEN` or `GITHUB_TOKEN",
        "",
        "for private repositories on github.com",
    ),
    setting(
        "MANAGED_AGENTS_CA_FILE",
        "",
        "PEM file of certificates to trust beside the system's",
    ),
    setting(
        "HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE",
        "",
        "as everywhere",
    ),
    setting(
        "MANAGED_AGENTS_LOG",
        "warn",
        "filter of the log on stderr: `info`, `managed_agents_mcp=debug`, …",
    ),
];

const fn setting(names: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting {
        names,
        default,
        meaning,
    }
}
