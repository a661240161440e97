//! Sessions with several agents: their threads are listed, read and stopped one by one.

use serde_json::{Value, json};

use crate::rig::{Rig, id, session};

async fn team(rig: &Rig) -> String {
    let worker = json!({"name": "Worker", "model": "claude-sonnet-5-5"});
    let worker = id(&rig.api("POST", "/v1/agents", worker).await);
    let lead = json!({
        "name": "Lead", "model": "claude-sonnet-5-5",
        "multiagent": {"type": "coordinator", "agents": [{"type": "agent", "id": worker}]},
    });
    id(&rig.api("POST", "/v1/agents", lead).await)
}

#[tokio::test]
async fn threads_are_shown_read_and_stopped_one_by_one() {
    let rig = Rig::start().await;
    let lead = team(&rig).await;
    let client = rig.client().await;
    let arguments = json!({"message": "[delegate 2 20]", "agent": lead, "wait_seconds": 0});
    let one = session(&client.call("create_session", arguments).await.ok());
    rig.until_recorded(&one, |event| {
        event["type"] == "session.thread_status_running" && event["agent_name"] == "Worker"
    })
    .await;
    let threads = async || {
        let arguments = json!({"session_ids": [one], "threads": true});
        let status = client.call("get_status", arguments).await;
        assert!(status.text.contains("Threads:"), "{}", status.text);
        status.ok()["sessions"][0]["threads"]
            .as_array()
            .unwrap()
            .clone()
    };
    // The first runs while the second is still being made.
    crate::rig::until("both workers are there", async || {
        threads().await.len() == 3
    })
    .await;
    let all = threads().await;
    assert_eq!(
        all.iter()
            .filter(|thread| thread["primary"] == true)
            .count(),
        1
    );
    let children: Vec<&Value> = all
        .iter()
        .filter(|thread| thread["primary"] == false)
        .collect();
    assert!(children.iter().all(|thread| thread["agent"] == "Worker"));
    let child = children[0]["thread_id"].as_str().unwrap().to_owned();
    let arguments = json!({"session_id": one, "thread_id": child});
    let read = client.call("get_events", arguments.clone()).await.ok();
    assert!(!read["events"].as_array().unwrap().is_empty(), "{read}");
    let _ = client
        .call(
            "interrupt_session",
            json!({"session_id": one, "thread_id": child, "wait_seconds": 0}),
        )
        .await
        .ok();
    let sent = rig.sent_events();
    assert_eq!(
        sent[0],
        json!({"type": "user.interrupt", "session_thread_id": child})
    );
    let stopped = async |wanted: &str| {
        let all = threads().await;
        let thread = all
            .iter()
            .find(|thread| thread["thread_id"] == wanted)
            .unwrap()
            .clone();
        thread["status"] == "idle"
    };
    crate::rig::until("the thread is stopped", async || stopped(&child).await).await;
    let other = children[1]["thread_id"].as_str().unwrap();
    assert!(
        !stopped(other).await,
        "the other thread was stopped as well"
    );
    assert_eq!(client.status(&one).await["state"], "working");
}

#[tokio::test]
async fn the_report_of_a_team_is_the_word_of_its_lead() {
    let rig = Rig::start().await;
    let lead = team(&rig).await;
    let client = rig.client().await;
    let arguments = json!({"message": "[delegate 2]", "agent": lead, "wait_seconds": 30});
    let report = client.call("create_session", arguments).await.ok();
    assert_eq!(report["state"], "done");
    let reply = report["reply"].as_str().unwrap();
    assert_eq!(reply.matches("(turn 1)").count(), 1, "{reply}");
    let activity = report["activity"].to_string();
    assert!(activity.contains("thread"), "{activity}");
}
