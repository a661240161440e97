//! The order of a turn, and what each script plays.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, idles, kinds, messages, of, said, stops};

#[tokio::test]
async fn a_plain_turn_has_the_recorded_order() {
    let rig = Rig::start().await;
    let (_, events) = rig.told("What is new?").await;
    let order = [
        "session.status_running",
        "session.thread_status_running",
        "user.message",
        "span.model_request_start",
        "agent.thinking",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ];
    assert_eq!(kinds(&events), order);
    assert_eq!(
        messages(&events),
        ["Simulated answer (turn 1): you wrote \"What is new?\"."]
    );
    assert_eq!(stops(&events), ["end_turn"]);
    assert!(
        events
            .iter()
            .all(|event| event["id"].as_str().unwrap().starts_with("sevt_01"))
    );
}

#[tokio::test]
async fn initial_events_start_the_first_turn() {
    let rig = Rig::start().await;
    let session = rig
        .session_with(json!({"initial_events": [said("begin")]}))
        .await;
    let events = rig.idle(&session, 1).await;
    assert!(messages(&events)[0].contains("begin"));
}

#[tokio::test]
async fn every_script_ends_for_its_reason() {
    let rig = Rig::start().await;
    let cases = [
        ("[work 4]", "end_turn"),
        ("[approve]", "requires_action"),
        ("[mcp]", "requires_action"),
        ("[custom]", "requires_action"),
        ("[tool_result]", "requires_action"),
        ("[refuse]", "refusal"),
        ("[retries]", "retries_exhausted"),
        ("[error]", "retries_exhausted"),
        ("[retrying]", "end_turn"),
        ("[unknown]", "end_turn"),
        ("[unknown_stop]", "waiting_for_moonrise"),
        ("[budget]", "end_turn"),
        ("[outcome]", "end_turn"),
        ("[silent]", "end_turn"),
        ("[nonsense]", "end_turn"),
    ];
    for (text, stop) in cases {
        let (_, events) = rig.told(text).await;
        assert_eq!(stops(&events), [stop], "{text}");
    }
}

#[tokio::test]
async fn every_message_says_that_it_is_simulated() {
    let rig = Rig::start().await;
    for text in [
        "hello",
        "[two]",
        "[hostile]",
        "[huge 3]",
        "[outcome]",
        "[batch]",
    ] {
        let (_, events) = rig.told(text).await;
        assert!(
            messages(&events)
                .iter()
                .all(|said| said.contains("Simulated")),
            "{text}"
        );
        assert!(!messages(&events).is_empty());
    }
}

#[tokio::test]
async fn work_is_tool_calls_with_their_results() {
    let rig = Rig::start().await;
    let (_, events) = rig.told("[work 12] please").await;
    let uses = of(&events, "agent.tool_use");
    let results: Vec<&Value> = of(&events, "agent.tool_result")
        .iter()
        .map(|event| &event["tool_use_id"])
        .collect();
    assert_eq!(
        uses.iter().map(|event| &event["id"]).collect::<Vec<_>>(),
        results
    );
    assert_eq!(
        (uses.len(), of(&events, "span.model_request_end").len()),
        (12, 2)
    );
    assert_eq!(uses[0]["evaluated_permission"], "allow");
}

#[tokio::test]
async fn sizes_are_as_asked() {
    let rig = Rig::start().await;
    let (_, events) = rig.told("[big 3 5] [huge 7]").await;
    let results = of(&events, "agent.tool_result");
    assert!(
        results
            .iter()
            .all(|event| event["content"][0]["text"].as_str().unwrap().len() == 5000)
    );
    assert_eq!((results.len(), messages(&events)[0].len()), (3, 7000));
}

#[tokio::test]
async fn a_turn_lasts_as_long_as_asked() {
    let rig = Rig::start().await;
    let before = Instant::now();
    rig.told("[seconds 0.4] [quiet 0.2]").await;
    let lasted = before.elapsed().as_secs_f64();
    assert!((0.5..5.0).contains(&lasted), "{lasted}");
}

#[tokio::test]
async fn turns_are_numbered_and_messages_queue_in_order() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("first [work 5]")).await;
    rig.send(&session, said("second")).await;
    rig.send(&session, said("third")).await;
    let events = rig.idle(&session, 3).await;
    let said = messages(&events);
    assert_eq!(said.len(), 3);
    for (place, word) in [
        "(turn 1): you wrote \"first",
        "(turn 2): you wrote \"second",
        "(turn 3): you wrote \"third",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(said[place].contains(word), "{}", said[place]);
    }
    // In the list a message stands where it was taken up, so an idle event after it is the end of its turn.
    let order: Vec<&str> = kinds(&events)
        .into_iter()
        .filter(|kind| is_mark(kind))
        .collect();
    assert_eq!(order, ["user.message", "session.status_idle"].repeat(3));
}

fn is_mark(kind: &str) -> bool {
    matches!(kind, "user.message" | "session.status_idle")
}

#[tokio::test]
async fn batched_messages_share_a_turn() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("one [batch] [seconds 0.3]")).await;
    rig.send(&session, said("two")).await;
    rig.send(&session, said("three")).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(messages(&events).len(), 1);
    assert!(messages(&events)[0].contains("two") && messages(&events)[0].contains("three"));
    assert!(
        of(&events, "user.message")
            .iter()
            .all(|event| !event["processed_at"].is_null())
    );
}

#[tokio::test]
async fn a_late_message_comes_after_idle_at_its_place() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[late 0.6]").await;
    assert!(messages(&events).is_empty());
    let events = rig
        .until(&session, |events| !messages(events).is_empty())
        .await;
    assert_eq!(kinds(&events).last(), Some(&"session.status_idle"));
}

#[tokio::test]
async fn a_refusal_has_details_and_an_error_its_retry_status() {
    let rig = Rig::start().await;
    let (_, events) = rig.told("[refuse]").await;
    assert_eq!(idles(&events)[0]["stop_details"]["type"], "refusal");
    assert!(messages(&events).is_empty());
    let (_, events) = rig.told("[error]").await;
    assert_eq!(
        of(&events, "session.error")[0]["error"]["retry_status"]["type"],
        "exhausted"
    );
    let (_, events) = rig.told("[retries]").await;
    assert_eq!(of(&events, "session.status_rescheduled").len(), 1);
}

#[tokio::test]
async fn a_terminated_session_accepts_nothing_more() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("[terminate]")).await;
    rig.until(&session, |events| {
        !of(events, "session.status_terminated").is_empty()
    })
    .await;
    rig.status(&session, "terminated").await;
    let path = format!("/v1/sessions/{session}/events");
    let (status, _) = rig
        .refusal(Method::POST, &path, Some(json!({"events": [said("more")]})))
        .await;
    assert_eq!(status, 409);
    rig.post(&format!("/v1/sessions/{session}/archive"), json!({}))
        .await;
}

#[tokio::test]
async fn an_outcome_is_graded_until_it_is_satisfied() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let rubric = json!({"type": "text", "content": "It works."});
    let outcome =
        json!({"type": "user.define_outcome", "description": "A report", "rubric": rubric});
    let sent = rig.send(&session, outcome.clone()).await;
    let events = rig.idle(&session, 1).await;
    let verdicts: Vec<&Value> = of(&events, "span.outcome_evaluation_end")
        .iter()
        .map(|end| &end["result"])
        .collect();
    assert_eq!(verdicts, ["needs_revision", "satisfied"]);
    let found = rig.get(&format!("/v1/sessions/{session}")).await["outcome_evaluations"][0].clone();
    assert_eq!(
        (&found["result"], &found["iteration"]),
        (&json!("satisfied"), &json!(1))
    );
    assert_eq!(found["outcome_id"], sent["outcome_id"]);
    let mut once = outcome;
    once["max_iterations"] = json!(1);
    rig.send(&session, once).await;
    rig.idle(&session, 2).await;
    let found = rig.get(&format!("/v1/sessions/{session}")).await["outcome_evaluations"][1].clone();
    assert_eq!(found["result"], "max_iterations_reached");
}

#[tokio::test]
async fn archive_and_delete_wait_until_the_session_rests() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("[seconds 0.3]")).await;
    rig.status(&session, "running").await;
    for (method, path) in [
        (Method::POST, format!("{session}/archive")),
        (Method::DELETE, session.clone()),
    ] {
        let (status, why) = rig
            .refusal(method, &format!("/v1/sessions/{path}"), None)
            .await;
        assert_eq!((status, why.contains("running")), (400, true));
    }
    rig.idle(&session, 1).await;
    rig.status(&session, "idle").await;
    rig.post(&format!("/v1/sessions/{session}/archive"), json!({}))
        .await;
    let (status, _) = rig
        .call(Method::DELETE, &format!("/v1/sessions/{session}"), None)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        rig.refusal(Method::GET, &format!("/v1/sessions/{session}"), None)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn without_pace_a_long_turn_is_quick() {
    let rig = Rig::paced(Duration::ZERO).await;
    let session = rig.session().await;
    rig.send(&session, said("[work 2000]")).await;
    rig.until(&session, |events| events.len() == 1000).await;
    let newest = format!("/v1/sessions/{session}/events?order=desc&limit=1");
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.get(&newest).await["data"][0]["type"] != "session.status_idle" {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
