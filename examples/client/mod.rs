//! What the examples share: the built server as a child, a real MCP client that prints its progress, and a transcript.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use rmcp::model::{
    CallToolRequestParams, ClientConfig, Implementation, JsonObject, ProgressNotificationParam,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::process::Command;

/// Whether the real API is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The built-in simulator answers.
    Simulated,
    /// The real API does; it needs a key and costs money.
    Live,
}

/// A connected client: all it does on its own is to print progress.
pub(crate) type Client = RunningService<RoleClient, Progress>;

/// Prints progress.
pub(crate) struct Progress;

impl ClientHandler for Progress {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.client_info = Implementation::new("example", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        say(&format!("  … {}", progress.message.unwrap_or_default()));
    }
}

/// Starts the server as a child and shakes hands with it.
pub(crate) async fn connect(mode: Mode) -> anyhow::Result<Client> {
    let mut command = Command::new(server().await?);
    if mode == Mode::Simulated {
        command.arg("--simulate");
    }
    let client = Progress.serve(TokioChildProcess::new(command)?).await?;
    let tools = client.list_all_tools().await?;
    say(&format!(
        "Connected; the server offers {} tools.",
        tools.len()
    ));
    Ok(client)
}

/// Builds the server, which cargo does not do for an example, and returns where it is.
async fn server() -> anyhow::Result<PathBuf> {
    let example = env::current_exe()?;
    let profile = example
        .ancestors()
        .nth(2)
        .context("the example runs outside of a target folder")?;
    let target = profile
        .parent()
        .context("the example runs outside of a target folder")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args([
            "build",
            "--quiet",
            "--bin",
            env!("CARGO_PKG_NAME"),
            "--target-dir",
        ])
        .arg(target);
    build.args(profile.ends_with("release").then_some("--release"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Build scripts watch these, which cargo sets for us: with them in place everything would be built anew.
    for (name, _) in env::vars_os() {
        let watched = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| watched.iter().any(|start| name.starts_with(start)))
        {
            build.env_remove(name);
        }
    }
    say("Building the server (the first time takes a few minutes) …");
    if !build.status().await?.success() {
        bail!("the server could not be built");
    }
    Ok(profile
        .join(env!("CARGO_PKG_NAME"))
        .with_extension(env::consts::EXE_EXTENSION))
}

/// Waits with get_status until the agent has stopped working; returns its last report.
pub(crate) async fn wait(client: &Client, report: Value) -> anyhow::Result<Value> {
    let mut report = report;
    while report.get("state").and_then(Value::as_str) == Some("working") {
        let wait = json!({"session_ids": [report.get("session_id")], "wait_seconds": 25});
        let status = call(client, "get_status", wait).await?;
        report = status
            .pointer("/sessions/0")
            .cloned()
            .context("no report")?;
    }
    Ok(report)
}

/// Calls a tool, prints what a model would read, and returns the facts.
pub(crate) async fn call(client: &Client, tool: &str, arguments: Value) -> anyhow::Result<Value> {
    let arguments: JsonObject = serde_json::from_value(arguments)?;
    let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    let result = client.call_tool(request).await?;
    let text: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| block.as_text())
        .map(|text| text.text.as_str())
        .collect();
    say(&format!("\n[{tool}]\n{}", text.join("\n")));
    if result.is_error == Some(true) {
        bail!("{tool} failed");
    }
    result
        .structured_content
        .with_context(|| format!("{tool} returned no facts"))
}

/// One block of the transcript. A reader who left is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
