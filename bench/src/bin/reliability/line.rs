//! The simulator, asked directly by somebody who sees it as it is, and delegations to it through a bad line.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use managed_agents_mcp::simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::process::Process;

/// The simulator and what is needed to delegate to it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    http: reqwest::Client,
    agent: String,
    environment: String,
}

impl World {
    pub(crate) async fn start(pace: Duration) -> Result<World> {
        let deliverables_after = Duration::ZERO;
        let options = Options { pace, heartbeat: Duration::from_secs(1), deliverables_after, ..Options::default() };
        let simulator = Simulator::start(options).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut world = World { simulator, http, agent: String::new(), environment: String::new() };
        let agent = json!({"name": "a", "model": "claude-sonnet-5-5", "tools": [{"type": "agent_toolset_20260401"}]});
        world.agent = id(&world.ask("POST", "/v1/agents", agent).await?)?;
        world.environment = id(&world.ask("POST", "/v1/environments", json!({"name": "e"})).await?)?;
        Ok(world)
    }

    /// Asks the API directly.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let url = format!("{}{path}", self.simulator.base_url());
        let request = self.http.request(method.parse()?, url).header("x-api-key", "figures");
        let request = request.header("anthropic-version", "2023-06-01").header("anthropic-beta", "managed-agents-2026-04-01");
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// How many sessions there are.
    pub(crate) async fn sessions(&self) -> Result<usize> {
        let (mut count, mut path) = (0, "/v1/sessions?limit=100".to_owned());
        loop {
            let page = self.ask("GET", &path, Value::Null).await?;
            count += page["data"].as_array().context("no data")?.len();
            let Some(token) = page["next_page"].as_str() else { return Ok(count) };
            path = format!("/v1/sessions?limit=100&page={token}");
        }
    }

    /// The whole record of a session, oldest first.
    pub(crate) async fn record(&self, session: &str) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut path = format!("/v1/sessions/{session}/events?limit=1000");
        loop {
            let mut page = self.ask("GET", &path, Value::Null).await?;
            events.append(page["data"].as_array_mut().context("no data")?);
            let Some(token) = page["next_page"].as_str() else { return Ok(events) };
            path = format!("/v1/sessions/{session}/events?limit=1000&page={token}");
        }
    }

    /// Deletes a session; its status trails its events, and what seems to run cannot be deleted.
    pub(crate) async fn forget(&self, session: &str) -> Result<()> {
        let path = format!("/v1/sessions/{session}");
        for _ in 0..50 {
            if self.ask("DELETE", &path, Value::Null).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("session {session} cannot be deleted")
    }

    /// A process that reaches the simulator at this address, with further settings.
    pub(crate) async fn process(&self, binary: &Path, url: &str, more: &[(&str, &str)]) -> Result<Process> {
        let settings = [
            ("ANTHROPIC_BASE_URL", url),
            ("ANTHROPIC_API_KEY", "figures"),
            ("MANAGED_AGENTS_RESULT_CHARS", "100000"),
        ];
        Process::start(binary, &[&settings, more].concat()).await
    }

    /// A new session that is told something; its id. Asked again under the same key it is the same session.
    pub(crate) async fn create(&self, process: &Process, task: &str, wait_seconds: u64) -> Result<Value> {
        let arguments = json!({
            "message": task, "agent": self.agent, "environment": self.environment, "request_key": task, "wait_seconds": wait_seconds,
        });
        process.insist("create_session", &arguments).await
    }

    /// What `create_session` takes to start a session of its own.
    pub(crate) fn arguments(&self, task: &str, wait_seconds: u64) -> Value {
        json!({"message": task, "agent": self.agent, "environment": self.environment, "wait_seconds": wait_seconds})
    }

    /// Sends a message as the result says: after a failure it looks first, and sends again only what did not arrive.
    pub(crate) async fn send(&self, process: &Process, session: &str, task: &str, wait_seconds: u64) -> Result<()> {
        let arguments = json!({"session_id": session, "message": task, "wait_seconds": wait_seconds});
        for _ in 0..12 {
            if !process.call("send_message", arguments.clone()).await?.is_error {
                return Ok(());
            }
            let record = self.record(session).await?;
            if record.iter().any(|event| event["content"][0]["text"] == task) {
                return Ok(());
            }
        }
        bail!("{task} was never sent")
    }
}

/// The `id` of an object.
pub(crate) fn id(object: &Value) -> Result<String> {
    Ok(object["id"].as_str().context("no id")?.to_owned())
}

/// Waits until a session does not work any more; its report.
pub(crate) async fn finished(process: &Process, session: &str) -> Result<Value> {
    let arguments = json!({"session_ids": [session], "wait_seconds": 40});
    for _ in 0..60 {
        let mut stand = process.insist("get_status", &arguments).await?;
        let report = stand["sessions"][0].take();
        // What could not be read to its end says so, and is read again.
        let notes = report["notes"].to_string();
        let is_whole = !["could not be read", "further back", "in a circle"].iter().any(|note| notes.contains(note));
        if report["state"] != "working" && report["state"].is_string() && is_whole {
            return Ok(report);
        }
        // A session that could not be read at all is in `failures`.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("session {session} never ends")
}

/// Every event id of a record, read in pages through cursors, from `after` on.
pub(crate) async fn read(process: &Process, session: &str, after: Option<&str>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut arguments = json!({"session_id": session, "detail": "full", "limit": 1000, "wait_seconds": 5});
    if let Some(after) = after {
        arguments["after"] = json!(after);
    }
    for _ in 0..1000 {
        let page = process.insist("get_events", &arguments).await?;
        let events = page["events"].as_array().context("no events")?;
        ids.extend(events.iter().map(id).collect::<Result<Vec<_>>>()?);
        if page["more"] == false && page["notes"].is_null() {
            return Ok(ids);
        }
        arguments["after"] = page["cursor"].clone();
    }
    bail!("the record of {session} never ends: {} events", ids.len())
}

/// What a reading of a record lacks, and what it holds twice or out of place.
pub(crate) fn compare(seen: &[String], record: &[Value]) -> Result<(usize, usize)> {
    let record = record.iter().map(id).collect::<Result<Vec<_>>>()?;
    let distinct: std::collections::HashSet<&String> = seen.iter().collect();
    let lost = record.iter().filter(|id| !distinct.contains(id)).count();
    let mut doubled = seen.len() - distinct.len();
    if lost == 0 && doubled == 0 && seen != record {
        doubled = seen.iter().zip(&record).filter(|(seen, listed)| seen != listed).count();
    }
    Ok((lost, doubled))
}
