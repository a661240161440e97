//! Progress: a waiting client that asked for it hears what happens, in short lines, in order, and nothing afterwards.

use std::time::Duration;

use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};

use crate::rig::{Rig, length, session};

fn call(tool: &str, arguments: Value, token: Value) -> Value {
    json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": token}})
}

/// Checks every notification of progress and returns their messages.
fn messages(aside: &[Value], token: &Value) -> Vec<String> {
    let told: Vec<&Value> = aside
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .map(|message| &message["params"])
        .collect();
    for pair in told.windows(2) {
        let number = |params: &Value| params["progress"].as_f64().unwrap();
        assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
    }
    told.iter()
        .map(|params| {
            assert_eq!(&params["progressToken"], token);
            let message = params["message"].as_str().unwrap().to_owned();
            assert!(length(&message) <= 180, "{message}");
            assert!(!message.contains(['\n', '\u{1b}']), "{message:?}");
            message
        })
        .collect()
}

#[tokio::test]
async fn a_waiting_call_tells_what_happens_and_falls_silent_with_its_answer() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let arguments = json!({"message": "[work 8] [seconds 2] go", "wait_seconds": 20});
    let token = json!("token-1");
    let id = pipe
        .request(
            "tools/call",
            call("create_session", arguments, token.clone()),
        )
        .await;
    let reply = pipe.reply(id).await;
    assert_eq!(
        reply["result"]["structuredContent"]["state"], "done",
        "{reply}"
    );
    let told = messages(&std::mem::take(&mut pipe.aside), &token);
    assert!(told.len() >= 5, "{told:?}");
    assert!(
        told.iter().any(|line| line.contains("cargo test")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|line| line.contains("8 tool calls")),
        "{told:?}"
    );
    // What is said after the answer would be about nothing.
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply(ping).await;
    pipe.hang_up();
    while let Some(message) = pipe.receive().await {
        pipe.aside.push(message);
    }
    assert_eq!(pipe.aside, Vec::<Value>::new());
}

#[tokio::test]
async fn every_call_that_waits_tells_its_progress() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe
        .tool(
            "create_session",
            json!({"message": "[work 20] [seconds 5] go", "wait_seconds": 0}),
        )
        .await;
    let reply = pipe.reply(id).await;
    let session = session(&reply["result"]["structuredContent"]);
    for (number, (tool, arguments)) in [
        (
            "get_status",
            json!({"session_ids": [session], "wait_seconds": 1}),
        ),
        (
            "get_events",
            json!({"session_id": session, "wait_seconds": 1, "types": ["agent.never"]}),
        ),
        (
            "send_message",
            json!({"session_id": session, "message": "more", "wait_seconds": 1}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let token = json!(number);
        let id = pipe
            .request("tools/call", call(tool, arguments, token.clone()))
            .await;
        let _ = pipe.reply(id).await;
        let told = messages(&std::mem::take(&mut pipe.aside), &token);
        assert!(!told.is_empty(), "{tool}");
    }
}

#[tokio::test]
async fn silence_is_broken_by_a_heartbeat_every_ten_seconds() {
    let rig = Rig::start().await;
    rig.always("GET */events/stream", Kind::Silence { after_bytes: 0 });
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let arguments = json!({"message": "[seconds 60] go", "wait_seconds": 13});
    let request = call("create_session", arguments, json!(7));
    let id = pipe.request("tools/call", request).await;
    let began = std::time::Instant::now();
    let mut heard = Vec::new();
    loop {
        let message = pipe.receive().await.unwrap();
        heard.push(began.elapsed());
        if message["id"] == id {
            break;
        }
    }
    for pair in heard.windows(2) {
        assert!(
            pair[1] - pair[0] <= Duration::from_millis(10_500),
            "{heard:?}"
        );
    }
    assert!(heard.len() >= 3, "{heard:?}");
}

#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe
        .tool(
            "create_session",
            json!({"message": "[work 8] go", "wait_seconds": 20}),
        )
        .await;
    let _ = pipe.reply(id).await;
    assert_eq!(pipe.aside, Vec::<Value>::new());
}
