//! The main job in one command: a real MCP client starts the built server over stdio, delegates a task, watches it,
//! allows what the agent asks for, says the next thing, and collects the answer.
//!
//! `cargo run --example delegate` uses the built-in simulator: no key, no cost. With `ANTHROPIC_API_KEY` set,
//! `cargo run --example delegate -- --live` does the same on the real API with a budget of one dollar.

mod client;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use client::{Client, Mode, call, connect, say, wait};

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

/// An agent that asks before it acts; made once, and found again by its name.
async fn ask_first(client: &Client) -> anyhow::Result<Value> {
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
async fn settle(client: &Client, mode: Mode, report: Value) -> anyhow::Result<Value> {
    let mut report = report;
    loop {
        report = wait(client, report).await?;
        report = match report.get("state").and_then(Value::as_str) {
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
                let answer =
                    json!({"session_id": report.get("session_id"), "decisions": decisions});
                call(client, "resolve_action", answer).await?
            }
            Some("done") => return Ok(report),
            other => bail!("the session ended as {}", other.unwrap_or("nothing known")),
        };
    }
}
