//! A code review from start to end, through the tools alone: an agent and an environment that are made once and found again,
//! a repository mounted at a branch, the review awaited with progress, a question about it, the record, and the end.
//!
//! `cargo run --example code_review` uses the built-in simulator. With `ANTHROPIC_API_KEY` set (and `GITHUB_TOKEN` for a
//! private repository), `cargo run --example code_review -- https://github.com/owner/name BRANCH` reviews that branch for
//! real, with a budget of two dollars.

mod client;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use client::{Client, Mode, call, connect, say, wait};

const SYSTEM: &str = "\
You review code. Read what the branch changes against the default branch and what it touches. Report defects first, each \
with file and line and how to reproduce it, then risks, then style; say when there is nothing. Change no file.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "code_review: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (mode, url, branch) = match arguments.as_slice() {
        [] => (
            Mode::Simulated,
            "https://github.com/octocat/Hello-World",
            "test",
        ),
        [url, branch] => (Mode::Live, url.as_str(), branch.as_str()),
        _ => bail!("pass a repository's URL and a branch, or nothing for the simulator"),
    };
    let client = connect(mode).await?;
    let agent = reviewer(&client).await?;
    let environment = environment(&client).await?;

    // In brackets: what the simulator's agent is to do. The real one is told nothing of it.
    let script = if mode == Mode::Simulated {
        "[work 6] [seconds 3] "
    } else {
        ""
    };
    let task = format!("Review the branch {branch}.");
    say(&format!("\n> {script}{task} ({url})"));
    let review = json!({
        "agent": agent,
        "environment": environment,
        "repositories": [{"url": url, "branch": branch}],
        "message": format!("{script}{task}"),
        "title": format!("Review of {branch}"),
        "budget_usd": 2.0,
    });
    let report = done(wait(&client, call(&client, "create_session", review).await?).await?)?;
    let session = report.get("session_id").cloned().context("no session id")?;

    let question = "Which finding would you fix first, and how?";
    say(&format!("\n> {question}"));
    let question = json!({"session_id": session, "message": question});
    done(wait(&client, call(&client, "send_message", question).await?).await?)?;

    let said = json!({"session_id": session, "types": ["user.message", "agent.message"]});
    call(&client, "get_events", said).await?;
    call(
        &client,
        "list_sessions",
        json!({"agent": agent, "limit": 5}),
    )
    .await?;
    call(&client, "close_session", json!({"session_id": session})).await?;
    client.cancel().await?;
    Ok(())
}

/// The agent, made once and found again by its name.
async fn reviewer(client: &Client) -> anyhow::Result<Value> {
    let name = "Code Reviewer";
    let found = call(client, "list_agents", json!({"name_contains": name})).await?;
    if let Some(id) = found.pointer("/agents/0/id") {
        return Ok(id.clone());
    }
    let agent = json!({"name": name, "description": "Reviews a branch.", "system": SYSTEM});
    let made = call(client, "create_agent", agent).await?;
    made.pointer("/agent/id")
        .cloned()
        .context("the new agent has no id")
}

/// The environment; a name that is taken returns the one that has it.
async fn environment(client: &Client) -> anyhow::Result<Value> {
    let environment = json!({"name": "code review", "networking": "unrestricted"});
    let made = call(client, "create_environment", environment).await?;
    made.get("id").cloned().context("the environment has no id")
}

/// The review is there, or the reason why not.
fn done(report: Value) -> anyhow::Result<Value> {
    match report.get("state").and_then(Value::as_str) {
        Some("done") => Ok(report),
        state => {
            say("The review did not end well; the session is left open.");
            bail!("the session ended as {}", state.unwrap_or("nothing known"))
        }
    }
}
