//! An answer belongs to its question: what a call returns as the reply is the reply to this message, never an older one.

use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};

use crate::rig::{Rig, pending, reply, session, until};

#[tokio::test]
async fn the_reply_of_a_turn_is_never_that_of_the_turn_before() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let first = client.create("question one", 20).await;
    assert!(reply(&first).contains("question one"), "{first}");
    let id = session(&first);
    for turn in 2..=6 {
        let question = format!("question number {turn}");
        let report = client.send(&id, &question, 20).await;
        let said = reply(&report);
        assert!(said.contains(&question), "{report}");
        assert!(said.contains(&format!("(turn {turn})")), "{report}");
        assert!(!said.contains("question one"), "{report}");
    }
}

#[tokio::test]
async fn a_turn_without_words_does_not_return_those_of_the_turn_before() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let scripts = [
        "[silent] now",
        "[refuse] now",
        "[error] now",
        "[approve] now",
        "[terminate] now",
    ];
    join_all(scripts.map(async |script| {
        let id = session(&client.create("hello", 20).await);
        let report = client.send(&id, script, 20).await;
        assert_eq!(report["reply"], Value::Null, "{script}: {report}");
        assert_eq!(client.status(&id).await["reply"], Value::Null, "{script}");
    }))
    .await;
}

#[tokio::test]
async fn a_message_sent_without_waiting_is_what_the_next_status_waits_for() {
    join_all([None, Some(800)].map(async |lag| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("first question", 20).await);
        if let Some(ms) = lag {
            rig.always("GET */events", Kind::ListLag { ms });
        }
        for turn in 2..=4 {
            let question = format!("question {turn}");
            let sent = client.send(&id, &question, 0).await;
            // The old answer must not come with the new question.
            assert!(
                !sent["reply"].to_string().contains("first question"),
                "{sent}"
            );
            let report = client.wait_for(&id, 20).await;
            assert_eq!(report["state"], "done", "lag {lag:?}: {report}");
            assert!(reply(&report).contains(&question), "lag {lag:?}: {report}");
        }
    }))
    .await;
}

#[tokio::test]
async fn messages_sent_during_a_turn_each_get_their_own_reply() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 2] begin", 0).await);
    let (one, two) = tokio::join!(
        client.send(&id, "[seconds 1] alpha", 20),
        client.send(&id, "[work 2] omega", 20),
    );
    for (report, own, other) in [(&one, "alpha", "omega"), (&two, "omega", "alpha")] {
        assert!(reply(report).contains(own), "{own}: {report}");
        assert!(!reply(report).contains(other), "{own}: {report}");
        assert!(!reply(report).contains("begin"), "{own}: {report}");
    }
}

#[tokio::test]
async fn messages_that_are_answered_together_both_get_that_answer() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 2] [batch] begin", 0).await);
    let (one, two) = tokio::join!(client.send(&id, "alpha", 20), client.send(&id, "omega", 20));
    for (report, own) in [(&one, "alpha"), (&two, "omega")] {
        assert_eq!(report["state"], "done", "{own}: {report}");
        assert!(reply(report).contains(own), "{own}: {report}");
    }
}

#[tokio::test]
async fn an_interrupting_message_gets_its_own_reply() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for script in ["[seconds 60] begin", "[approve] begin"] {
        let id = session(&client.create(script, 1).await);
        let arguments =
            json!({"session_id": id, "message": "alpha", "interrupt": true, "wait_seconds": 20});
        let called = client.call("send_message", arguments).await;
        let report = called.within(Duration::from_secs(6)).ok();
        assert_eq!(report["state"], "done", "{script}: {report}");
        assert!(reply(&report).contains("alpha"), "{script}: {report}");
        assert!(!reply(&report).contains("begin"), "{script}: {report}");
    }
}

#[tokio::test]
async fn words_that_come_after_the_end_of_a_turn_are_still_its_reply() {
    join_all(
        [None, Some(Kind::Silence { after_bytes: 0 })].map(async |fault| {
            let rig = Rig::start().await;
            let client = rig.client().await;
            if let Some(kind) = fault.clone() {
                rig.always("GET */events/stream", kind);
            }
            let report = client.create("[late 1.5] alpha", 30).await;
            assert!(reply(&report).contains("alpha"), "{fault:?}: {report}");
            let report = client.send(&session(&report), "[late 1.5] omega", 30).await;
            assert!(reply(&report).contains("omega"), "{fault:?}: {report}");
            assert!(!reply(&report).contains("alpha"), "{fault:?}: {report}");
        }),
    )
    .await;
}

#[tokio::test]
async fn words_that_come_after_a_report_come_after_its_cursor() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    join_all((0..3).map(async |wait| {
        let mut report = client.create("[late 2.7] alpha", wait).await;
        let id = session(&report);
        while report["state"] == "working" {
            report = client.wait_for(&id, wait).await;
        }
        assert_eq!(report["state"], "done", "{report}");
        if report["reply"].is_string() {
            return;
        }
        assert!(report["next"].to_string().contains("words"), "{report}");
        let mut cursor = report["cursor"].clone();
        until("the words are read", async || {
            let arguments = json!({"session_id": id, "after": cursor, "wait_seconds": 5});
            let page = client.call("get_events", arguments).await.ok();
            cursor = page["cursor"].clone();
            page["events"].to_string().contains("alpha")
        })
        .await;
    }))
    .await;
}

#[tokio::test]
async fn a_turn_without_words_ends_soon_with_no_reply() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"message": "[silent] go", "wait_seconds": 30});
    let called = client.call("create_session", arguments).await;
    let called = called.within(Duration::from_secs(6));
    assert!(called.text.contains("without words"), "{}", called.text);
    let report = called.ok();
    assert_eq!(
        (&report["state"], &report["reply"]),
        (&json!("done"), &Value::Null)
    );
}

#[tokio::test]
async fn several_messages_of_a_turn_are_one_reply_in_order() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[two] go", 20).await;
    let said = reply(&report);
    let first = said.find("first message").expect("the first message");
    assert!(
        first < said.find("Simulated answer").expect("the last"),
        "{said}"
    );
}

#[tokio::test]
async fn an_answer_that_is_announced_again_is_not_asked_for_again() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve 2] [spurious] go", 20).await;
    assert_eq!(asking["state"], "needs_action", "{asking}");
    let decisions: Vec<Value> = pending(&asking)
        .iter()
        .map(|id| json!({"event_id": id, "decision": "allow"}))
        .collect();
    let arguments =
        json!({"session_id": session(&asking), "decisions": decisions, "wait_seconds": 20});
    let report = client.call("resolve_action", arguments).await.ok();
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("go"), "{report}");
}

#[tokio::test]
async fn the_words_before_an_approval_are_part_of_the_reply() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[two] [approve] go", 20).await;
    assert!(reply(&asking).contains("first message"), "{asking}");
    let decisions = json!([{"event_id": pending(&asking)[0], "decision": "allow"}]);
    let arguments =
        json!({"session_id": session(&asking), "decisions": decisions, "wait_seconds": 20});
    let report = client.call("resolve_action", arguments).await.ok();
    assert!(reply(&report).contains("first message"), "{report}");
    assert!(reply(&report).contains("Simulated answer"), "{report}");
}

#[tokio::test]
async fn a_list_that_lags_behind_the_stream_takes_no_words_away() {
    join_all([300, 1000, 2000].map(async |ms| {
        let rig = Rig::start().await;
        rig.always("GET */events", Kind::ListLag { ms });
        let client = rig.client().await;
        let first = client.create("alpha", 30).await;
        assert_eq!(first["state"], "done", "lag {ms}: {first}");
        assert!(reply(&first).contains("alpha"), "lag {ms}: {first}");
        let second = client.send(&session(&first), "[work 2] omega", 30).await;
        assert!(reply(&second).contains("omega"), "lag {ms}: {second}");
        assert!(!reply(&second).contains("alpha"), "lag {ms}: {second}");
        // What was answered does not become unanswered; at most it is out of sight for a while.
        let id = session(&first);
        let at_once = client.status(&id).await;
        let out_of_sight = at_once["state"] == "working" && at_once["reply"].is_null();
        assert!(
            out_of_sight || at_once["reply"] == second["reply"],
            "lag {ms}: {at_once}"
        );
        let later = client.wait_for(&id, 20).await;
        assert_eq!(later["reply"], second["reply"], "lag {ms}: {later}");
    }))
    .await;
}
