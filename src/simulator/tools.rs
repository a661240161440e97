//! The tools of an agent: checked as sent, resolved as returned, and asked for their permission policy.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::answer::Refusal;
use super::body::Fields;
use super::json::{at, items, set, text};

const BUILT_IN: [&str; 8] = [
    "bash",
    "edit",
    "read",
    "write",
    "glob",
    "grep",
    "web_fetch",
    "web_search",
];
const POLICIES: [&str; 3] = ["always_allow", "always_ask", "auto"];
const MOST_TOOLS: usize = 128;

/// Whose tools a configuration is for.
#[derive(Clone, Copy)]
enum Toolset {
    BuiltIn,
    Mcp,
}

/// Checks `tools` and `mcp_servers` of a body and returns both as the API resolves them; what the body does not have
/// is taken from `base`.
pub(super) fn resolve(
    fields: &Fields<'_>,
    base: &Value,
) -> Result<(Vec<Value>, Vec<Value>), Refusal> {
    let tools = match fields.has("tools") {
        true => each(fields, "tools", MOST_TOOLS, tool)?,
        false => items(base, "/tools").to_vec(),
    };
    let servers = match fields.has("mcp_servers") {
        true => each(fields, "mcp_servers", 20, server)?,
        false => items(base, "/mcp_servers").to_vec(),
    };
    check_servers(fields, &tools, &servers)?;
    Ok((tools, servers))
}

/// Every server has a name of its own and a toolset that refers to it, and every toolset its server.
fn check_servers(fields: &Fields<'_>, tools: &[Value], servers: &[Value]) -> Result<(), Refusal> {
    let referred: HashSet<&str> = tools
        .iter()
        .map(|tool| text(tool, "/mcp_server_name"))
        .collect();
    let mut names = HashSet::from([""]);
    for name in servers.iter().map(|server| text(server, "/name")) {
        if !names.insert(name) {
            return Err(fields.wrong("mcp_servers", &format!("The name `{name}` is not unique")));
        }
        if !referred.contains(name) {
            let why = format!("No mcp_toolset in tools refers to `{name}`");
            return Err(fields.wrong("mcp_servers", &why));
        }
    }
    match referred.difference(&names).next() {
        Some(name) => {
            Err(fields.wrong("tools", &format!("No mcp_servers entry is named `{name}`")))
        }
        None => Ok(()),
    }
}

/// Checks each item of an array field.
#[inline(never)]
pub(super) fn each(
    fields: &Fields<'_>,
    key: &str,
    most: usize,
    check: impl Fn(&Value, &str) -> Result<Value, Refusal>,
) -> Result<Vec<Value>, Refusal> {
    let items = fields.array(key, most)?.iter().enumerate();
    items
        .map(|(place, item)| check(item, &format!("{}.{place}", fields.path(key))))
        .collect()
}

fn server(value: &Value, path: &str) -> Result<Value, Refusal> {
    let fields = Fields::of(value, path, &["type", "name", "url"])?;
    fields.need("type")?;
    fields.choice("type", &["url"])?;
    fields.need_text("name", 1..=255)?;
    fields.need_text("url", 1..=2048)?;
    Ok(value.clone())
}

fn tool(value: &Value, path: &str) -> Result<Value, Refusal> {
    match text(value, "/type") {
        "agent_toolset_20260401" => {
            let fields = Fields::of(value, path, &["type", "default_config", "configs"])?;
            let default = default_config(&fields, "always_allow")?;
            let configs = each(&fields, "configs", MOST_TOOLS, |item, path| {
                config(item, path, &default, Toolset::BuiltIn)
            })?;
            Ok(
                json!({"type": "agent_toolset_20260401", "default_config": default, "configs": configs}),
            )
        }
        "mcp_toolset" => {
            let fields = Fields::of(
                value,
                path,
                &["type", "mcp_server_name", "default_config", "configs"],
            )?;
            let name = fields.need_text("mcp_server_name", 1..=255)?;
            let default = default_config(&fields, "always_ask")?;
            let configs = each(&fields, "configs", MOST_TOOLS, |item, path| {
                config(item, path, &default, Toolset::Mcp)
            })?;
            Ok(json!({
                "type": "mcp_toolset", "mcp_server_name": name, "default_config": default, "configs": configs,
            }))
        }
        "custom" => custom(value, path),
        kind => Err(Refusal::invalid(format!(
            "{path}.type: Input tag '{kind}' does not match any of the expected tags"
        ))),
    }
}

fn custom(value: &Value, path: &str) -> Result<Value, Refusal> {
    let fields = Fields::of(
        value,
        path,
        &["type", "name", "description", "input_schema"],
    )?;
    let name = fields.need_text("name", 1..=128)?;
    if !name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
    {
        return Err(fields.wrong(
            "name",
            "Letters, digits, underscores and hyphens are allowed",
        ));
    }
    fields.need_text("description", 1..=usize::MAX)?;
    if text(fields.need("input_schema")?, "/type") != "object" {
        return Err(fields.wrong("input_schema.type", "Input should be 'object'"));
    }
    Ok(value.clone())
}

fn default_config(fields: &Fields<'_>, policy: &str) -> Result<Value, Refusal> {
    let usual = json!({"enabled": true, "permission_policy": {"type": policy}});
    let Some(value) = fields.get("default_config") else {
        return Ok(usual);
    };
    let config = Fields::of(
        value,
        &fields.path("default_config"),
        &["enabled", "permission_policy"],
    )?;
    merged(&config, &usual)
}

fn config(value: &Value, path: &str, default: &Value, toolset: Toolset) -> Result<Value, Refusal> {
    const WEB: [&str; 5] = [
        "allowed_domains",
        "blocked_domains",
        "max_content_tokens",
        "user_location",
        "url_sources",
    ];
    let built_in = matches!(toolset, Toolset::BuiltIn);
    let mut allowed = vec!["name", "enabled", "permission_policy"];
    if built_in {
        allowed.push("type");
    }
    let name = text(value, "/name");
    if built_in && name.starts_with("web_") {
        allowed.extend(WEB);
    }
    let fields = Fields::of(value, path, &allowed)?;
    fields.need_text("name", 1..=255)?;
    let mut resolved = merged(&fields, default)?;
    if built_in {
        fields.choice("name", &BUILT_IN)?;
        fields.choice("type", &[name])?;
        set(&mut resolved, "type", name);
    }
    set(&mut resolved, "name", name);
    for key in WEB.into_iter().filter(|key| fields.get(key).is_some()) {
        set(&mut resolved, key, fields.need(key)?.clone());
    }
    Ok(resolved)
}

fn merged(fields: &Fields<'_>, default: &Value) -> Result<Value, Refusal> {
    let mut resolved = default.clone();
    if let Some(enabled) = fields.flag("enabled")? {
        set(&mut resolved, "enabled", enabled);
    }
    if let Some(policy) = fields.get("permission_policy") {
        let policy_fields = Fields::of(policy, &fields.path("permission_policy"), &["type"])?;
        policy_fields.need("type")?;
        policy_fields.choice("type", &POLICIES)?;
        set(&mut resolved, "permission_policy", policy.clone());
    }
    Ok(resolved)
}

/// The permission policy that an agent's tools set for a built-in tool.
pub(super) fn policy<'a>(agent: &'a Value, name: &str) -> &'a str {
    let toolsets = items(agent, "/tools")
        .iter()
        .filter(|tool| text(tool, "/type") == "agent_toolset_20260401");
    let mut found = "always_allow";
    for toolset in toolsets {
        let own = items(toolset, "/configs")
            .iter()
            .find(|config| text(config, "/name") == name);
        let config = own.unwrap_or_else(|| at(toolset, "/default_config"));
        found = text(config, "/permission_policy/type");
    }
    found
}

/// The name of an agent's first tool of a kind, such as its first custom tool.
pub(super) fn first<'a>(agent: &'a Value, kind: &str, name: &str) -> Option<&'a str> {
    let tool = items(agent, "/tools")
        .iter()
        .find(|tool| text(tool, "/type") == kind)?;
    Some(text(tool, name))
}
