//! Fifty delegations over a line that is cut again and again: no event lost, none doubled, nothing sent twice.

use std::time::Duration;

use fastrand::Rng;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::proxy::{Fate, Half, Harm, Proxy, When};
use crate::rig::{Called, Client, Rig, reply, session};

const RUNS: u64 = 50;
const AT_ONCE: usize = 20;

/// Some connections are cut after a random number of bytes, in an orderly way or not; a few suffer something rarer.
fn draw(rng: &mut Rng) -> Option<Fate> {
    let (half, one_in) = match rng.u32(..4) {
        0 => (Half::Requests, 2),
        _ => (Half::Answers, 2),
    };
    let harm = match rng.u32(..12) {
        0 => Harm::Garbage,
        1 => Harm::Status(503),
        2 => Harm::Pause(Duration::from_millis(300)),
        3 => Harm::Trickle,
        n if n % 2 == 0 => Harm::Finish,
        _ => Harm::Reset,
    };
    let when = When::Byte(rng.usize(..12_000));
    (rng.u32(..one_in) == 0).then_some(Fate { half, when, harm })
}

/// Makes a call that may be repeated until it succeeds.
async fn insist(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let called = attempts(client, tool, arguments).await;
    called.unwrap_or_else(|last| panic!("{tool} never succeeds: {last}"))
}

/// Starts a session. A start that nobody answered is not made again within two minutes; its line took it, and another one
/// under another key must be the only one.
async fn start(client: &Client, mut arguments: Value) -> Value {
    if let Ok(report) = attempts(client, "create_session", arguments.clone()).await {
        return report;
    }
    arguments["request_key"] = json!(format!("{} anew", arguments["request_key"]));
    insist(client, "create_session", arguments).await
}

async fn attempts(client: &Client, tool: &'static str, arguments: Value) -> Result<Value, String> {
    let mut last = String::new();
    for _ in 0..8 {
        let Called {
            structured,
            text,
            is_error,
            ..
        } = client.call(tool, arguments.clone()).await;
        if !is_error {
            return Ok(structured);
        }
        last = text;
    }
    Err(last)
}

/// The session's report once it does not work any more.
async fn finished(client: &Client, report: Value) -> Value {
    let mut report = report;
    for _ in 0..8 {
        // What could not be read to its end says so, and is read again.
        if report["state"] != "working" && report["notes"].is_null() {
            return report;
        }
        let arguments = json!({"session_ids": [report["session_id"]], "wait_seconds": 20});
        report = insist(client, "get_status", arguments).await["sessions"][0].take();
    }
    report
}

/// Every event of the record, read in pages through cursors.
async fn read(client: &Client, session: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut arguments =
        json!({"session_id": session, "detail": "full", "limit": 9, "wait_seconds": 5});
    loop {
        let page = insist(client, "get_events", arguments.clone()).await;
        let events = page["events"].as_array().unwrap().iter();
        ids.extend(events.map(|event| event["id"].as_str().unwrap().to_owned()));
        if page["more"] == false {
            return ids;
        }
        arguments["after"] = page["cursor"].clone();
    }
}

async fn run(simulator: &Rig, agent: &str, environment: &str, seed: u64) {
    let proxy = Proxy::start(simulator.simulator.base_url(), seed, draw)
        .await
        .unwrap();
    // Only the binary is led through the proxy; what is checked is read directly.
    let client = simulator.client_through(&proxy.base_url()).await;
    let task = format!("[work 10] task {seed}.");
    let arguments = json!({
        "message": task, "agent": agent, "environment": environment, "request_key": task, "wait_seconds": 20,
    });
    let report = start(&client, arguments).await;
    let id = session(&report);
    let report = finished(&client, report).await;
    assert_eq!(report["state"], "done", "seed {seed}: {report}");
    assert!(reply(&report).contains(&task), "seed {seed}: {report}");

    let task = format!("[work 3] more {seed}.");
    let arguments = json!({"session_id": id, "message": task, "wait_seconds": 20});
    let called = client.call("send_message", arguments.clone()).await;
    let report = if called.is_error {
        // As the error says: look first, and send again only what did not arrive.
        if simulator.messages(&id).await.len() == 1 {
            let _ = client.call("send_message", arguments).await;
        }
        let arguments = json!({"session_ids": [id], "wait_seconds": 20});
        insist(&client, "get_status", arguments).await["sessions"][0].take()
    } else {
        called.ok()
    };
    let report = finished(&client, report).await;
    assert!(reply(&report).contains(&task), "seed {seed}: {report}");
    assert_eq!(simulator.messages(&id).await.len(), 2, "seed {seed}");

    let record = simulator.record(&id).await.into_iter();
    let record: Vec<String> = record.map(|event| crate::rig::id(&event)).collect();
    assert_eq!(read(&client, &id).await, record, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_delegations_over_a_bad_line_lose_nothing_and_double_nothing() {
    let rig = Rig::paced(Duration::from_millis(1)).await;
    let agent = json!({"name": "a", "model": "claude-sonnet-5-5", "tools": [{"type": "agent_toolset_20260401"}]});
    let (agent, environment) = rig.furnish(agent, json!({"name": "e"})).await;
    let base = fastrand::u64(..1_000_000);
    let seed = std::env::var("CUTS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let base = seed.unwrap_or(base);
    let runs = (base..base + RUNS).map(|seed| {
        let (rig, agent, environment) = (&rig, &agent, &environment);
        async move { run(rig, agent, environment, seed).await }
    });
    stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    let page = rig.api("GET", "/v1/sessions?limit=100", Value::Null).await;
    let sessions = page["data"].as_array().unwrap().len();
    assert_eq!(
        (sessions, &page["next_page"]),
        (RUNS as usize, &Value::Null),
        "seed {base}"
    );
}
