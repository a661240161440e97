//! Graded work and what can come of it, and messages with attachments.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, kinds, messages, of, said, stops};

fn results(events: &[Value]) -> Vec<&str> {
    let ends = of(events, "span.outcome_evaluation_end").into_iter();
    ends.map(|end| end["result"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_grader_comes_to_the_end_that_was_asked_for() {
    let rig = Rig::start().await;
    for (text, wanted) in [
        ("[outcome]", vec!["needs_revision", "satisfied"]),
        ("[outcome_fails]", vec!["failed"]),
        (
            "[outcome_max]",
            vec!["needs_revision", "needs_revision", "max_iterations_reached"],
        ),
    ] {
        let (session, events) = rig.told(text).await;
        assert_eq!(results(&events), wanted, "{text}");
        let object = rig.get(&format!("/v1/sessions/{session}")).await;
        let outcome = &object["outcome_evaluations"][0];
        assert_eq!(outcome["result"], *wanted.last().unwrap());
        assert_eq!(outcome["iteration"], wanted.len() - 1);
        assert!(outcome["completed_at"].is_string());
    }
    let session = rig.session().await;
    let rubric = json!({"type": "text", "content": "short"});
    let outcome = json!({"type": "user.define_outcome", "description": "[outcome_max] x", "rubric": rubric, "max_iterations": 2});
    rig.send(&session, outcome).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(
        results(&events),
        ["needs_revision", "max_iterations_reached"]
    );
}

#[tokio::test]
async fn a_session_can_rest_between_the_work_and_its_grading() {
    let rig = Rig::start().await;
    let (session, first) = rig.told("[outcome_gap 0.1]").await;
    assert_eq!(
        (stops(&first), results(&first).len()),
        (vec!["end_turn"], 0)
    );
    let events = rig.idle(&session, 3).await;
    assert_eq!(stops(&events), ["end_turn"; 3]);
    assert_eq!(results(&events), ["needs_revision", "satisfied"]);
    assert_eq!(of(&events, "session.status_running").len(), 3);
    let (idle, start) = ("session.status_idle", "span.outcome_evaluation_start");
    let order: Vec<&str> = kinds(&events)
        .into_iter()
        .filter(|kind| [idle, start].contains(kind))
        .collect();
    assert_eq!(order, [idle, start, idle, start, idle]);
}

#[tokio::test]
async fn an_interrupt_while_it_is_graded_is_the_verdict() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("[outcome] [seconds 20]")).await;
    rig.until(&session, |events| !of(events, "agent.thinking").is_empty())
        .await;
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(results(&events), [""; 0], "nothing was graded yet");
    rig.send(&session, said("[outcome] [seconds 6]")).await;
    rig.until(&session, |events| {
        !of(events, "span.outcome_evaluation_start").is_empty()
    })
    .await;
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    let events = rig.idle(&session, 2).await;
    assert_eq!(results(&events), ["interrupted"]);
    let start = of(&events, "span.outcome_evaluation_start")[0];
    let end = of(&events, "span.outcome_evaluation_end")[0];
    assert_eq!(end["outcome_evaluation_start_id"], start["id"]);
    let object = rig.get(&format!("/v1/sessions/{session}")).await;
    let states: Vec<&Value> = object["outcome_evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["result"])
        .collect();
    assert_eq!(states, ["interrupted", "interrupted"]);
}

#[tokio::test]
async fn a_message_may_bring_files_that_exist() {
    let rig = Rig::start().await;
    let file = rig.upload("a.txt", b"a").await;
    let of_file =
        |kind: &str, file: &str| json!({"type": kind, "source": {"type": "file", "file_id": file}});
    let text = json!({"type": "text", "text": "look"});
    let content = json!([
        text,
        of_file("image", &file),
        of_file("document", &file),
        of_file("document", &file)
    ]);
    let session = rig.session().await;
    rig.send(
        &session,
        json!({"type": "user.message", "content": content}),
    )
    .await;
    let events = rig.idle(&session, 1).await;
    assert!(
        messages(&events)[0].contains("Attached: 1 image and 2 documents."),
        "{:?}",
        messages(&events)
    );
    let path = format!("/v1/sessions/{session}/events");
    for (block, status) in [
        (of_file("image", "file_unknown"), 404),
        (of_file("document", "file_unknown"), 404),
        (
            json!({"type": "image", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
            400,
        ),
        (
            json!({"type": "image", "source": {"type": "file", "file_id": file, "name": "x"}}),
            400,
        ),
    ] {
        let event = json!({"type": "user.message", "content": [block]});
        let refused = rig
            .refusal(Method::POST, &path, Some(json!({"events": [event]})))
            .await;
        assert_eq!(refused.0, status, "{}", refused.1);
        let start = json!({"agent": rig.agent, "environment_id": rig.environment, "initial_events": [event]});
        assert_eq!(
            rig.refusal(Method::POST, "/v1/sessions", Some(start))
                .await
                .0,
            status
        );
    }
    let rubric = json!({"type": "file", "file_id": "file_unknown"});
    let outcome = json!({"type": "user.define_outcome", "description": "d", "rubric": rubric});
    let refused = rig
        .refusal(Method::POST, &path, Some(json!({"events": [outcome]})))
        .await;
    assert_eq!(refused.0, 404);
}
