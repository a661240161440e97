//! The main job in one command: a real MCP client starts the built server over stdio, delegates a task, watches it,
//! allows what the agent asks for, says the next thing, and collects the answer.
//!
//! `cargo run --example delegate` uses the built-in simulator: no key, no cost. With `ANTHROPIC_API_KEY` set,
//! `cargo run --example delegate -- --live` does the same on the real API with a budget of one dollar.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

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
enum Mode {
    Simulated,
    Live,
}

/// The client: all it does on its own is to print progress.
struct Client;

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.client_info = Implementation::new("delegate-example", env!("CARGO_PKG_VERSION"));
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "delegate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let mode = match env::args().nth(1).as_deref() {
        None => Mode::Simulated,
        Some("--live") => Mode::Live,
        Some(other) => bail!("unknown argument {other}: only --live is known"),
    };
    let client = connect(mode).await?;
    let agent = ask_first(&client).await?;
    let task = match mode {
        Mode::Simulated => {
            "[two] [approve] [seconds 4] Clean the build folder, then tell me what you did."
        }
        Mode::Live => {
            "Run `echo hello > /tmp/hello && cat /tmp/hello`, then tell me in one sentence what it printed."
        }
    };
    say(&format!("\n> {task}"));
    let start =
        json!({"message": task, "agent": agent, "title": "delegate example", "budget_usd": 1.0});
    let report = settle(&client, mode, call(&client, "create_session", start).await?).await?;

    let id = report.get("session_id").cloned().context("no session id")?;
    let follow_up = "And in three words?";
    say(&format!("\n> {follow_up}"));
    let next = json!({"session_id": id, "message": follow_up});
    settle(&client, mode, call(&client, "send_message", next).await?).await?;

    call(&client, "close_session", json!({"session_id": id})).await?;
    client.cancel().await?;
    Ok(())
}

/// Starts the server as a child and shakes hands with it.
async fn connect(mode: Mode) -> anyhow::Result<RunningService<RoleClient, Client>> {
    let mut command = Command::new(server().await?);
    if mode == Mode::Simulated {
        command.arg("--simulate");
    }
    let client = Client.serve(TokioChildProcess::new(command)?).await?;
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
    say("Building the server (the first time takes a minute or two) …");
    if !build.status().await?.success() {
        bail!("the server could not be built");
    }
    Ok(profile
        .join(env!("CARGO_PKG_NAME"))
        .with_extension(env::consts::EXE_EXTENSION))
}

/// An agent that asks before it acts; made once, and found again by its name.
async fn ask_first(client: &RunningService<RoleClient, Client>) -> anyhow::Result<Value> {
    let name = "delegate example: asks first";
    let found = call(client, "list_agents", json!({"name_contains": name})).await?;
    if let Some(id) = found.pointer("/agents/0/id") {
        return Ok(id.clone());
    }
    let agent = json!({"name": name, "tools": "ask", "system": "Be brief."});
    let made = call(client, "create_agent", agent).await?;
    made.pointer("/agent/id")
        .cloned()
        .context("the new agent has no id")
}

/// Asks the person at the terminal; the simulator's agent touches nothing, so nobody is asked for it.
fn permission(mode: Mode) -> anyhow::Result<()> {
    if mode == Mode::Simulated {
        say("\n> (simulated) The user looked at it and allows it.");
        return Ok(());
    }
    say("\nAllow this? Type yes:");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("not allowed; the session still waits, and close_session or its page ends it");
    }
    Ok(())
}

/// Waits while the agent works, and answers what it asks for.
async fn settle(
    client: &RunningService<RoleClient, Client>,
    mode: Mode,
    report: Value,
) -> anyhow::Result<Value> {
    let mut report = report;
    loop {
        let id = report.get("session_id").cloned().unwrap_or_default();
        report = match report.get("state").and_then(Value::as_str) {
            Some("working") => {
                let wait = json!({"session_ids": [id], "wait_seconds": 25});
                let status = call(client, "get_status", wait).await?;
                status
                    .pointer("/sessions/0")
                    .cloned()
                    .context("no report")?
            }
            Some("needs_action") => {
                let pending = report
                    .get("pending")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                let allow =
                    |call: &Value| json!({"event_id": call.get("event_id"), "decision": "allow"});
                let decisions: Vec<Value> = pending.iter().map(allow).collect();
                permission(mode)?;
                let answer = json!({"session_id": id, "decisions": decisions});
                call(client, "resolve_action", answer).await?
            }
            Some("done") => return Ok(report),
            other => bail!("the session ended as {}", other.unwrap_or("nothing known")),
        };
    }
}

/// Calls a tool, prints what a model would read, and returns the facts.
async fn call(
    client: &RunningService<RoleClient, Client>,
    tool: &str,
    arguments: Value,
) -> anyhow::Result<Value> {
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
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
