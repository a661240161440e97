//! Two callers decide on the same tool call: one answer is sent, and the other caller is told which.

use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use serde_json::{Value, json};

use crate::rig::{Called, Client, Rig, pending, session, until};

const SEND: &str = "POST */events";

async fn decide(client: &Client, id: &str, decisions: &[(&str, &str)]) -> Called {
    let decisions: Vec<Value> = decisions
        .iter()
        .map(|(event, decision)| json!({"event_id": event, "decision": decision}))
        .collect();
    let arguments = json!({"session_id": id, "decisions": decisions, "wait_seconds": 20});
    client.call("resolve_action", arguments).await
}

/// What the record holds on each tool call.
async fn decided(rig: &Rig, id: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let record = rig.record(id).await.into_iter();
    record
        .filter(|event| event["type"] == "user.tool_confirmation")
        .map(|event| (text(&event["tool_use_id"]), text(&event["result"])))
        .collect()
}

#[tokio::test]
async fn of_two_opposite_decisions_at_the_same_time_one_is_sent_and_the_other_caller_is_told_so() {
    join_all((0..12).map(async |round| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let asking = client.create("[approve] go", 20).await;
        let (id, event) = (session(&asking), pending(&asking).remove(0));
        // In some rounds the first is still on its way when the second comes.
        if round % 2 == 0 {
            rig.fault(SEND, Kind::SlowHeaders { ms: 700 });
        }
        let late = async {
            if round % 3 == 0 {
                until("one was sent", async || !rig.sent_events().is_empty()).await;
            }
            decide(&client, &id, &[(&event, "deny")]).await
        };
        let allow = [(event.as_str(), "allow")];
        let (allowed, denied) = tokio::join!(decide(&client, &id, &allow), late);
        let record = decided(&rig, &id).await;
        assert_eq!((record.len(), rig.sent_events().len()), (1, 1), "{round}");
        let (winner, loser, word, other) = match record[0].1.as_str() {
            "allow" => (allowed, denied, "allowed", "deny"),
            _ => (denied, allowed, "denied", "allow"),
        };
        assert_eq!(winner.ok()["state"], "done", "{round}");
        let text = loser.err();
        let told = format!("{word} by another call; your `{other}` was not sent");
        assert!(text.contains(&told), "{round}: {text}");
    }))
    .await;
}

#[tokio::test]
async fn a_list_of_decisions_with_one_against_another_call_is_not_sent_in_part() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve 2] go", 20).await;
    let (id, events) = (session(&asking), pending(&asking));
    rig.fault(SEND, Kind::SlowHeaders { ms: 1000 });
    let first = [(events[0].as_str(), "allow")];
    let later = async {
        until("one was sent", async || !rig.sent_events().is_empty()).await;
        let both = [(events[0].as_str(), "deny"), (events[1].as_str(), "allow")];
        decide(&client, &id, &both).await
    };
    let (first, later) = tokio::join!(decide(&client, &id, &first), later);
    let text = later.err();
    assert!(text.contains("your `deny` was not sent"), "{text}");
    // What the refused call had claimed is free.
    let report = first.ok();
    assert_eq!(report["state"], "needs_action", "{report}");
    assert_eq!(pending(&report), [events[1].as_str()]);
    let rest = [(events[1].as_str(), "deny")];
    assert_eq!(decide(&client, &id, &rest).await.ok()["state"], "done");
    let expected = [(0, "allow"), (1, "deny")];
    let expected =
        expected.map(|(place, word): (usize, &str)| (events[place].clone(), word.into()));
    assert_eq!(decided(&rig, &id).await, expected);
}

#[tokio::test]
async fn a_decision_that_failed_does_not_stand_in_the_way_of_the_opposite_one() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve] go", 20).await;
    let (id, event) = (session(&asking), pending(&asking).remove(0));
    let refused = Kind::Status {
        code: 413,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    rig.fault(SEND, refused);
    let text = decide(&client, &id, &[(&event, "allow")]).await.err();
    assert!(text.contains("Could not resolve the action"), "{text}");
    let report = decide(&client, &id, &[(&event, "deny")]).await.ok();
    assert_eq!(report["state"], "done", "{report}");
    assert_eq!(decided(&rig, &id).await, [(event, "deny".to_owned())]);
}

#[tokio::test]
async fn the_same_decision_by_two_calls_at_the_same_time_is_sent_once_and_both_succeed() {
    join_all((0..6).map(async |_| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let asking = client.create("[approve] go", 20).await;
        let (id, event) = (session(&asking), pending(&asking).remove(0));
        let allow = [(event.as_str(), "allow")];
        let called = join_all((0..4).map(|_| decide(&client, &id, &allow))).await;
        for called in called {
            assert_eq!(called.ok()["state"], "done");
        }
        assert_eq!(rig.sent_events().len(), 1);
    }))
    .await;
}

#[tokio::test]
async fn an_answer_of_another_process_between_the_look_and_the_sending_is_noticed() {
    join_all(["allow", "deny"].map(async |word| {
        let rig = Rig::start().await;
        let (client, stranger) = (rig.client().await, rig.client().await);
        let asking = client.create("[approve] [seconds 1] go", 20).await;
        let (id, event) = (session(&asking), pending(&asking).remove(0));
        // The look that finds it pending passes; the one right before the sending has to be made again, a little later.
        let held_off = Kind::Status {
            code: 503,
            retry_after: Some("2".to_owned()),
            acting: Acting::Before,
            body: None,
        };
        rig.simulator
            .inject(Fault::new("GET */events", held_off).skip(1));
        let looks = || {
            let requests = rig.requests().into_iter();
            requests
                .filter(|one| one.path.ends_with("/events") && one.method == "GET")
                .count()
        };
        let before = looks();
        let faster = async {
            until("it was held off", async || looks() >= before + 2).await;
            decide(&stranger, &id, &[(&event, "deny")]).await.ok()
        };
        let mine = [(event.as_str(), word)];
        let (mine, _) = tokio::join!(decide(&client, &id, &mine), faster);
        assert_eq!(
            decided(&rig, &id).await,
            [(event.clone(), "deny".to_owned())]
        );
        assert_eq!(rig.sent_events().len(), 1, "{word}");
        if word == "allow" {
            let text = mine.err();
            assert!(
                text.contains("was already denied; your `allow` was not sent"),
                "{text}"
            );
        } else {
            let report = mine.within(Duration::from_secs(15)).ok();
            assert!(
                report["notes"].to_string().contains("already answered"),
                "{report}"
            );
        }
    }))
    .await;
}

#[tokio::test]
async fn a_decision_that_was_cancelled_before_it_was_sent_can_be_made_again() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve] go", 20).await;
    let (id, event) = (session(&asking), pending(&asking).remove(0));
    let mut pipe = rig.pipe();
    let _ = pipe.initialize().await;
    let slow = Kind::Status {
        code: 503,
        retry_after: Some("30".to_owned()),
        acting: Acting::Before,
        body: None,
    };
    rig.simulator
        .inject(Fault::new("GET */events", slow).skip(1));
    let looks = || {
        let requests = rig.requests().into_iter();
        requests
            .filter(|one| one.path.ends_with("/events") && one.method == "GET")
            .count()
    };
    let before = looks();
    let arguments = |decision: &str| {
        let decisions = json!([{"event_id": event, "decision": decision}]);
        json!({"session_id": id, "decisions": decisions, "wait_seconds": 40})
    };
    let call = pipe.tool("resolve_action", arguments("allow")).await;
    until("it looks again", async || looks() >= before + 2).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}});
    pipe.send(&cancel).await;
    let status = json!({"name": "get_status", "arguments": {"session_ids": [id]}});
    let status = pipe.ask("tools/call", status).await;
    let report = &status["structuredContent"]["sessions"][0];
    assert_eq!(report["state"], "needs_action", "{status}");
    let again = json!({"name": "resolve_action", "arguments": arguments("deny")});
    let again = pipe.ask("tools/call", again).await;
    assert_eq!(again["structuredContent"]["state"], "done", "{again}");
    assert_eq!(
        decided(&rig, &id).await,
        [(event.clone(), "deny".to_owned())]
    );
}
