//! Graded work: the state waits for the end of the outcome, and the grader's word is in the report and in the progress.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Client, Rig, session};

fn outcome(description: &str) -> Value {
    json!({"description": description, "rubric": "It is short.", "max_iterations": 3})
}

async fn start(client: &Client, description: &str, wait: u64) -> Value {
    let arguments = json!({"outcome": outcome(description), "wait_seconds": wait});
    client.call("create_session", arguments).await.ok()
}

#[tokio::test]
async fn each_verdict_is_told_and_only_the_last_ends_the_turn() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for (description, result, reason, state) in [
        ("a report", "satisfied", Value::Null, "done"),
        (
            "a report [outcome_fails]",
            "failed",
            json!("outcome failed"),
            "done",
        ),
        (
            "a report [outcome_max]",
            "max_iterations_reached",
            json!("outcome max_iterations_reached"),
            "done",
        ),
    ] {
        let report = start(&client, description, 20).await;
        assert_eq!(report["state"], state, "{description}");
        assert_eq!(report["outcome"]["result"], result, "{description}");
        assert_eq!(report["reason"], reason, "{description}");
        assert!(report["outcome"]["explanation"].is_string());
        let activity = report["activity"].to_string();
        assert!(activity.contains("outcome "), "{activity}");
    }
}

#[tokio::test]
async fn an_idle_between_work_and_grading_is_not_the_end() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = start(&client, "a report [outcome_gap 1]", 30).await;
    assert_eq!(
        (&report["state"], &report["outcome"]["result"]),
        (&json!("done"), &json!("satisfied"))
    );
    let gaps = rig
        .record(&session(&report))
        .await
        .iter()
        .filter(|event| event["type"] == "session.status_idle")
        .count();
    assert!(gaps > 1, "the script made no pause");
    assert!(report["reply"].is_string());
}

#[tokio::test]
async fn in_such_a_pause_every_reader_says_working() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&start(&client, "a report [outcome_gap 30]", 0).await);
    rig.until_recorded(&id, |event| event["type"] == "session.status_idle")
        .await;
    // Also a process that knows nothing of the question.
    let stranger = rig.client().await;
    assert_eq!(stranger.status(&id).await["state"], "working");
    let list = stranger.call("list_sessions", json!({})).await.ok();
    assert_eq!(list["sessions"][0]["state"], "working");
    let stopped = client
        .call(
            "interrupt_session",
            json!({"session_id": id, "wait_seconds": 20}),
        )
        .await
        .ok();
    assert_eq!(stopped["state"], "done", "{stopped}");
    assert_eq!(stranger.status(&id).await["state"], "done");
}

#[tokio::test]
async fn an_outcome_in_a_session_that_runs_is_awaited_like_a_message() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let arguments =
        json!({"session_id": id, "outcome": outcome("better [outcome_gap 1]"), "wait_seconds": 30});
    let report = client.call("send_message", arguments).await.ok();
    assert_eq!(
        (&report["state"], &report["outcome"]["result"]),
        (&json!("done"), &json!("satisfied"))
    );
    // The next turn is not graded.
    let report = client.send(&id, "thanks", 20).await;
    assert_eq!(
        (&report["state"], &report["outcome"]),
        (&json!("done"), &Value::Null)
    );
}

#[tokio::test]
async fn progress_tells_of_the_grading() {
    let rig = Rig::paced(Duration::from_millis(30)).await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let arguments = json!({"outcome": outcome("a report"), "wait_seconds": 20});
    let call =
        json!({"name": "create_session", "arguments": arguments, "_meta": {"progressToken": "p"}});
    let id = pipe.request("tools/call", call).await;
    let _ = pipe.reply(id).await;
    let said: Vec<String> = pipe
        .aside
        .iter()
        .filter_map(|message| message["params"]["message"].as_str().map(str::to_owned))
        .collect();
    for part in ["the grader reads", "graded: needs_revision"] {
        assert!(
            said.iter().any(|line| line.contains(part)),
            "{part}: {said:?}"
        );
    }
}
