//! A reply fits: the whole result stays within its budget; what is left out is named and can be had.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::rig::{BUDGET, Called, Client, Rig, length, pending, reply, session};

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Called {
    let called = client.call(tool, arguments).await;
    assert!(!called.is_error, "{tool}: {}", called.text);
    called
}

async fn create(client: &Client, message: &str) -> Called {
    let arguments = json!({"message": message, "wait_seconds": 40});
    call(client, "create_session", arguments).await
}

/// The arguments of the `get_events` call that a text names first.
fn named_call(text: &str) -> Value {
    let (_, rest) = text
        .split_once("get_events {")
        .expect("a call of get_events");
    let (inside, _) = rest.split_once('}').unwrap();
    serde_json::from_str(&format!("{{{inside}}}")).unwrap()
}

/// What a cut text goes on with, following the calls that each answer names.
async fn rest(client: &Client, omitted: &str) -> String {
    let mut text = String::new();
    let mut arguments = named_call(omitted);
    loop {
        let page = call(client, "get_events", arguments).await.structured;
        text.push_str(page["events"][0]["text"].as_str().unwrap());
        match page["omitted"].as_str() {
            None => return text,
            Some(omitted) => arguments = named_call(omitted),
        }
    }
}

#[tokio::test]
async fn sixty_tool_results_of_twenty_kilobytes_fit() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let called = create(&client, "[big 60 20] go").await;
    assert_eq!(called.structured["state"], "done");
    assert!(reply(&called.structured).contains("[big 60 20]"));
    // The rig holds each half to the budget; a host may show the model both.
    let both = length(&called.text) + length(&called.structured.to_string());
    assert!(both <= BUDGET, "{both} characters");
}

#[tokio::test]
async fn what_a_cut_reply_leaves_out_is_named_and_can_be_had() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let called = create(&client, "[huge 200] [two] go").await;
    let report = &called.structured;
    let omitted = report["omitted"].as_str().expect("something is left out");
    assert!(called.text.contains(omitted), "{}", called.text);
    let record = rig.record(&session(report)).await;
    let messages: Vec<&str> = record
        .iter()
        .filter(|event| event["type"] == "agent.message")
        .map(|event| event["content"][0]["text"].as_str().unwrap())
        .collect();
    let shown = reply(report);
    assert!(
        shown.starts_with("Simulated answer"),
        "the last message matters most: {shown:.80}"
    );
    assert!(length(shown) > 3000, "only {} characters", length(shown));
    let whole = format!("{shown}{}", rest(&client, omitted).await);
    assert_eq!(whole, messages[1]);
    let (_, earlier) = omitted
        .split_once("earlier messages")
        .expect("the first message");
    assert_eq!(rest(&client, earlier).await, messages[0]);
}

#[tokio::test]
async fn what_a_cut_page_leaves_out_is_named_and_can_be_had() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&create(&client, "[big 1 30] go").await.structured);
    let record = rig.record(&id).await;
    let big = record
        .iter()
        .find(|event| event["type"] == "agent.tool_result")
        .unwrap();
    let page = call(&client, "get_events", json!({"session_id": id})).await;
    let omitted = page.structured["omitted"]
        .as_str()
        .expect("something is left out");
    assert!(page.text.contains(omitted), "{}", page.text);
    assert_eq!(named_call(omitted)["event_id"], big["id"]);
    assert_eq!(
        rest(&client, omitted).await,
        big["content"][0]["text"].as_str().unwrap()
    );
}

#[tokio::test]
async fn twenty_approvals_fit_and_each_can_be_answered() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let called = create(&client, "[approve 20] go").await;
    let ids = pending(&called.structured);
    assert_eq!(ids.len(), 20);
    for (place, id) in ids.iter().enumerate() {
        assert!(called.text.contains(id), "{id} in the text");
        assert!(
            called.text.contains(&format!("rm -rf build/{place}")),
            "its input"
        );
    }
    let decisions: Vec<Value> = ids
        .iter()
        .map(|id| json!({"event_id": id, "decision": "allow"}))
        .collect();
    let arguments = json!({"session_id": session(&called.structured), "decisions": decisions, "wait_seconds": 20});
    let report = call(&client, "resolve_action", arguments).await;
    assert_eq!(report.structured["state"], "done");
}

#[tokio::test]
async fn fifty_sessions_fit_into_one_status_and_each_is_named_with_its_state() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let scripts = [
        "[work 30] go",
        "[huge 5] go",
        "[approve 3] go",
        "[refuse] go",
        "hello",
    ];
    let created = scripts.iter().cycle().take(50);
    let created = join_all(created.map(|script| client.create(script, 0))).await;
    let ids: Vec<String> = created.iter().map(session).collect();
    let arguments = json!({"session_ids": ids, "wait_seconds": 30, "until": "all"});
    let called = call(&client, "get_status", arguments).await;
    let json = called.structured.to_string();
    for (id, script) in ids.iter().zip(scripts.iter().cycle()) {
        let state = match *script {
            "[approve 3] go" => "needs_action",
            "[refuse] go" => "refused",
            _ => "done",
        };
        let sessions = called.structured["sessions"].as_array().unwrap();
        let found = sessions.iter().find(|report| report["session_id"] == *id);
        let listed = format!("{id}: {state}");
        match found {
            Some(report) => assert_eq!(report["state"], state, "{script}"),
            None => assert!(json.contains(&listed), "{listed} not in {json}"),
        }
        assert!(called.text.contains(id.as_str()), "{id} not in the text");
    }
}

#[tokio::test]
async fn a_small_budget_holds_for_every_tool() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_RESULT_CHARS", "2000");
    let client = rig.client().await;
    let system = "Be thorough. ".repeat(400);
    let arguments = json!({"name": "verbose", "system": system, "description": "d".repeat(900)});
    let agent = call(&client, "create_agent", arguments).await;
    assert!(agent.text.contains("agent_"), "{}", agent.text);
    let scripts = [
        "[big 30 20] go",
        "[huge 200] go",
        "[approve 20] go",
        "[work 80] [hostile] go",
        "[refuse] go",
    ];
    let mut ids = Vec::new();
    for script in scripts {
        let called = create(&client, script).await;
        let report = &called.structured;
        let id = session(report);
        assert!(called.text.contains(&id), "{}", called.text);
        let lacks = script.starts_with("[huge") || script.starts_with("[approve");
        assert!(
            report["omitted"].is_string() || !lacks,
            "{script}: {report}"
        );
        for arguments in [
            json!({"session_id": id}),
            json!({"session_id": id, "detail": "full"}),
            json!({"session_id": id, "order": "desc", "limit": 1000}),
            json!({"session_id": id, "event_id": report["cursor"], "detail": "full"}),
        ] {
            let page = call(&client, "get_events", arguments).await.structured;
            assert!(page["cursor"].is_string(), "{page}");
        }
        ids.push(id);
    }
    let _ = call(&client, "get_status", json!({"session_ids": ids})).await;
    for (tool, arguments) in [
        ("list_sessions", json!({"limit": 50})),
        ("list_agents", json!({})),
        ("list_environments", json!({})),
        ("get_agent", json!({"agent": "verbose"})),
    ] {
        let _ = call(&client, tool, arguments).await;
    }
}

#[tokio::test]
async fn a_small_budget_loses_no_event_either() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_RESULT_CHARS", "2000");
    let client = rig.client().await;
    let id = session(&create(&client, "[work 10] [big 2 20] go").await.structured);
    let mut seen = Vec::new();
    let mut arguments = json!({"session_id": id, "detail": "full", "limit": 1000});
    loop {
        let page = call(&client, "get_events", arguments.clone())
            .await
            .structured;
        let events = page["events"].as_array().unwrap().clone();
        seen.extend(events.into_iter().map(|event| event["id"].clone()));
        if page["more"] == false {
            break;
        }
        assert_ne!(page["cursor"], arguments["after"], "a page is stuck");
        arguments["after"] = page["cursor"].clone();
    }
    let record = rig.record(&id).await.into_iter();
    assert_eq!(
        seen,
        record.map(|event| event["id"].clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_error_fits_however_long_its_arguments_are() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let long = "x".repeat(100_000);
    for (tool, arguments) in [
        ("get_status", json!({"session_ids": [long]})),
        ("get_agent", json!({"agent": long})),
        ("create_session", json!({"message": "go", "agent": long})),
        ("create_session", json!({"message": "go", &long: 1})),
        ("get_events", json!({"session_id": "sesn_x", "after": long})),
    ] {
        let text = client.call(tool, arguments).await.err();
        assert!(
            length(&text) <= 4000,
            "{tool}: {} characters",
            length(&text)
        );
    }
}
