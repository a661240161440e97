//! Teams: work handed to child threads, their logs, their interrupts and their questions.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, allow, idles, kinds, messages, of, pending, said, stops};

/// A coordinator with a team of these agents; its id.
async fn coordinator(rig: &Rig, team: Value) -> String {
    let multiagent = json!({"type": "coordinator", "agents": team});
    let agent = json!({"name": "Lead", "model": "claude-sonnet-5-5", "multiagent": multiagent});
    rig.made("/v1/agents", agent).await
}

async fn session(rig: &Rig, team: Value, text: &str) -> String {
    let agent = coordinator(rig, team).await;
    let session = rig.session_with(json!({"agent": agent})).await;
    rig.send(&session, said(text)).await;
    session
}

async fn threads(rig: &Rig, session: &str) -> Vec<Value> {
    let list = rig.get(&format!("/v1/sessions/{session}/threads")).await;
    list["data"].as_array().unwrap().clone()
}

async fn log(rig: &Rig, session: &str, thread: &Value) -> Vec<Value> {
    let id = thread["id"].as_str().unwrap();
    let path = format!("/v1/sessions/{session}/threads/{id}/events");
    rig.get(&path).await["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn delegated_work_is_told_in_the_logs_of_session_and_thread() {
    let rig = Rig::start().await;
    let session = session(&rig, json!([rig.agent, {"type": "self"}]), "[delegate 3]").await;
    let events = rig.idle(&session, 1).await;
    let all = threads(&rig, &session).await;
    let names: Vec<&str> = all
        .iter()
        .map(|one| one["agent"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Lead", "Tester", "Lead", "Tester"]);
    assert_eq!(of(&events, "session.thread_created").len(), 3);
    for child in &all[1..] {
        assert_eq!(
            (&child["parent_thread_id"], &child["status"]),
            (&all[0]["id"], &json!("idle"))
        );
        assert_eq!(
            (
                &child["usage"]["list_cost"]["amount"],
                &child["stats"]["startup_seconds"]
            ),
            (&json!("3"), &json!(0.0))
        );
        let own = log(&rig, &session, child).await;
        assert_eq!(
            kinds(&own),
            [
                "session.thread_status_running",
                "agent.thread_message_received",
                "span.model_request_start",
                "agent.thinking",
                "agent.tool_use",
                "agent.tool_result",
                "agent.message",
                "span.model_request_end",
                "session.thread_status_idle",
                "agent.thread_message_sent",
            ]
        );
        assert_eq!(own[1]["from_session_thread_id"], all[0]["id"]);
        // Its status is told in both logs alike, its work only in its own.
        assert!(events.contains(&own[0]) && events.contains(&own[8]) && !events.contains(&own[6]));
    }
    assert_eq!(of(&events, "agent.thread_message_sent").len(), 3);
    let answers = of(&events, "agent.thread_message_received");
    assert_eq!(
        (answers.len(), &answers[0]["from_agent_name"]),
        (3, &json!("Tester"))
    );
    // The primary thread rested meanwhile, the session did not.
    let rests = of(&events, "session.thread_status_idle");
    let primary = rests
        .iter()
        .filter(|one| one["session_thread_id"] == all[0]["id"]);
    assert_eq!((primary.count(), idles(&events).len()), (2, 1));
    assert_eq!(messages(&events).len(), 1);
    // The status of the session, and with it that of its primary thread, trails the events.
    rig.status(&session, "idle").await;
    let running = format!("/v1/sessions/{session}/threads?statuses[]=running");
    assert_eq!(rig.get(&running).await["data"], json!([]));
}

#[tokio::test]
async fn an_interrupt_of_one_thread_stops_it_alone() {
    let rig = Rig::start().await;
    let session = session(&rig, json!([rig.agent]), "[delegate 2 1.5]").await;
    rig.until(&session, |events| {
        of(events, "agent.thread_message_sent").len() == 2
    })
    .await;
    let all = threads(&rig, &session).await;
    let interrupt = json!({"type": "user.interrupt", "session_thread_id": all[1]["id"]});
    rig.send(&session, interrupt).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(stops(&events), ["end_turn"]);
    let stopped = log(&rig, &session, &all[1]).await;
    assert!(of(&stopped, "agent.message").is_empty());
    assert_eq!(
        of(&stopped, "user.interrupt"),
        of(&events, "user.interrupt")
    );
    assert_eq!(
        of(&log(&rig, &session, &all[2]).await, "agent.message").len(),
        1
    );
    assert_eq!(of(&events, "agent.thread_message_received").len(), 1);
    assert!(
        messages(&events)[0].contains("was stopped"),
        "{:?}",
        messages(&events)
    );
}

#[tokio::test]
async fn an_interrupt_without_a_thread_stops_all_and_the_turn() {
    let rig = Rig::start().await;
    let session = session(&rig, json!([rig.agent]), "[delegate 2 60]").await;
    rig.until(&session, |events| {
        of(events, "agent.thread_message_sent").len() == 2
    })
    .await;
    let all = threads(&rig, &session).await;
    assert_eq!(all[1]["status"], "running");
    assert!(all[1]["usage"].is_null(), "not before it rests");
    let path = format!(
        "/v1/sessions/{session}/threads/{}/archive",
        all[1]["id"].as_str().unwrap()
    );
    assert_eq!(
        rig.refusal(Method::POST, &path, Some(json!({}))).await.0,
        400
    );
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    let events = rig.idle(&session, 1).await;
    assert!(messages(&events).is_empty());
    let all = threads(&rig, &session).await;
    assert!(
        all[1..].iter().all(|one| one["status"] == "idle"),
        "{all:?}"
    );
    let archived = rig.post(&path, json!({})).await;
    assert!(archived["archived_at"].is_string());
    let primary = format!(
        "/v1/sessions/{session}/threads/{}/archive",
        all[0]["id"].as_str().unwrap()
    );
    assert_eq!(
        rig.refusal(Method::POST, &primary, Some(json!({}))).await.0,
        400
    );
    let unknown = json!({"events": [{"type": "user.interrupt", "session_thread_id": "sthr_x"}]});
    let path = format!("/v1/sessions/{session}/events");
    assert_eq!(rig.refusal(Method::POST, &path, Some(unknown)).await.0, 404);
}

#[tokio::test]
async fn what_a_child_asks_is_asked_by_the_session() {
    let rig = Rig::start().await;
    let ask = json!([{"type": "agent_toolset_20260401", "default_config": {"permission_policy": {"type": "always_ask"}}}]);
    let careful = rig.agent_with(ask).await;
    let session = session(&rig, json!([careful]), "[delegate 2]").await;
    let events = rig.idle(&session, 1).await;
    let (ids, uses) = (pending(&events), of(&events, "agent.tool_use"));
    let all = threads(&rig, &session).await;
    assert_eq!(uses.len(), 2);
    for (place, call) in uses.iter().enumerate() {
        assert_eq!(
            (&call["id"], &call["session_thread_id"]),
            (&json!(ids[place]), &all[place + 1]["id"])
        );
        let own = log(&rig, &session, &all[place + 1]).await;
        let own = of(&own, "agent.tool_use")[0].clone();
        assert_eq!(
            (&own["id"], &own["session_thread_id"]),
            (&call["id"], &Value::Null)
        );
        assert_eq!(all[place + 1]["status"], "idle");
    }
    let answer = rig.send(&session, allow(&ids[0])).await;
    assert_eq!(
        answer["session_thread_id"], all[1]["id"],
        "the API names the thread it went to"
    );
    rig.send(
        &session,
        json!({"type": "user.tool_confirmation", "tool_use_id": ids[1], "result": "deny"}),
    )
    .await;
    let events = rig
        .until(&session, |events| stops(events).last() == Some(&"end_turn"))
        .await;
    assert!(
        of(&events, "agent.tool_result").is_empty(),
        "results belong to the threads"
    );
    for (place, error) in [(1, false), (2, true)] {
        let own = log(&rig, &session, &all[place]).await;
        assert_eq!(of(&own, "agent.tool_result")[0]["is_error"], error);
    }
}

#[tokio::test]
async fn a_thread_has_a_stream_of_its_own() {
    let rig = Rig::paced(Duration::from_millis(20)).await;
    let session = session(&rig, json!([rig.agent]), "[delegate 1 1]").await;
    rig.until(&session, |events| {
        !of(events, "session.thread_created").is_empty()
    })
    .await;
    let child = threads(&rig, &session).await[1].clone();
    let id = child["id"].as_str().unwrap();
    let mut stream = rig
        .stream_at(&format!("/v1/sessions/{session}/threads/{id}/stream"))
        .await;
    let wanted = |text: &str| text.contains("\"agent.thread_message_sent\"");
    stream.read_until(Duration::from_secs(5), wanted).await;
    let streamed = stream.events();
    assert!(kinds(&streamed).contains(&"agent.message"));
    assert!(
        streamed
            .iter()
            .all(|event| event["type"] != "session.status_running")
    );
}

#[tokio::test]
async fn a_team_that_cannot_work_is_refused() {
    let rig = Rig::start().await;
    let lead = coordinator(&rig, json!([{"type": "self"}])).await;
    let gone = rig.agent_with(json!([])).await;
    rig.post(&format!("/v1/agents/{gone}/archive"), json!({}))
        .await;
    for (team, status, word) in [
        (json!([]), 400, "at least 1"),
        (json!([lead]), 400, "team of its own"),
        (json!([gone]), 400, "archived"),
        (
            json!([rig.agent, {"type": "agent", "id": rig.agent, "version": 1}]),
            400,
            "twice",
        ),
        (json!([{"type": "self"}, {"type": "self"}]), 400, "twice"),
        (json!(["agent_unknown"]), 404, "agent_unknown"),
    ] {
        let multiagent = json!({"type": "coordinator", "agents": team});
        let agent = json!({"name": "Lead", "model": "claude-sonnet-5-5", "multiagent": multiagent});
        let (found, why) = rig.refusal(Method::POST, "/v1/agents", Some(agent)).await;
        assert_eq!((found, why.contains(word)), (status, true), "{word}: {why}");
    }
}
