//! One word says how a session stands, and it is never wrong.

use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use serde_json::{Value, json};

use crate::rig::{Rig, pending, reply, session, until};

/// What a message comes to: script, state, part of the reason.
const SCRIPTS: [(&str, &str, Option<&str>); 17] = [
    ("hello", "done", None),
    ("[work 3] go", "done", None),
    ("[two] go", "done", None),
    ("[thinking] go", "done", None),
    ("[unknown] go", "done", None),
    ("[unknown_stop] go", "done", Some("waiting_for_moonrise")),
    ("[retrying] go", "done", None),
    ("[outcome] go", "done", None),
    ("[approve 2] go", "needs_action", None),
    ("[mcp] go", "needs_action", None),
    ("[custom] go", "needs_action", None),
    ("[tool_result] go", "needs_action", None),
    ("[budget] go", "budget_reached", Some("budget")),
    ("[refuse] go", "refused", Some("declined")),
    ("[retries] go", "failed", Some("retries_exhausted")),
    ("[error] go", "failed", Some("overloaded")),
    ("[terminate] go", "terminated", Some("")),
];

#[tokio::test]
async fn every_script_ends_in_its_state_and_every_tool_says_the_same() {
    let rig = Rig::start().await;
    let (client, stranger) = tokio::join!(rig.client(), rig.client());
    let case = async |(message, state, reason): (&str, &str, Option<&str>)| {
        let report = client.create(message, 20).await;
        assert_eq!(report["state"], state, "{message}: {report}");
        let said = report["reason"].as_str();
        assert_eq!(said.is_some(), reason.is_some(), "{message}: {report}");
        assert!(
            said.unwrap_or_default()
                .contains(reason.unwrap_or_default()),
            "{report}"
        );
        assert_eq!(
            report["reply"].is_string(),
            state == "done",
            "{message}: {report}"
        );
        let id = session(&report);
        for client in [&client, &stranger] {
            let later = client.status(&id).await;
            for field in ["state", "reason", "reply", "pending"] {
                assert_eq!(later[field], report[field], "{message}: {field}");
            }
            // Where words may still be listed late, the cursor goes on once they cannot any more.
            if state == "done" {
                assert_eq!(later["cursor"], report["cursor"], "{message}");
            }
            let page = client.call("get_events", json!({"session_id": id})).await;
            assert!(
                page.text.starts_with(&format!("{state}: ")),
                "{}",
                page.text
            );
            assert_eq!(page.ok()["state"], state, "{message}");
        }
    };
    join_all(SCRIPTS.map(case)).await;
}

#[tokio::test]
async fn a_session_that_was_asked_nothing_is_ready() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client
        .call("create_session", json!({"title": "later"}))
        .await;
    let report = report.within(Duration::from_secs(2)).ok();
    assert_eq!(
        (&report["state"], &report["title"]),
        (&json!("ready"), &json!("later"))
    );
    assert_eq!(report["reply"], Value::Null);
    let id = session(&report);
    assert_eq!(client.wait_for(&id, 20).await["state"], "ready");
    let page = client
        .call("get_events", json!({"session_id": id}))
        .await
        .ok();
    assert_eq!(
        (&page["state"], &page["events"]),
        (&json!("ready"), &json!([]))
    );
    assert_eq!(client.send(&id, "now", 20).await["state"], "done");
}

#[tokio::test]
async fn a_message_that_is_still_queued_keeps_a_session_working() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let first = client.create("[seconds 1] first", 0).await;
    assert_eq!(first["state"], "working");
    let id = session(&first);
    let second = client.send(&id, "[seconds 1] second", 0).await;
    assert_eq!(
        (&second["state"], &second["reply"]),
        (&json!("working"), &Value::Null)
    );
    // The end of the first turn must not be taken for the end of the work, by nobody.
    let stranger = rig.client().await;
    let (own, foreign) = tokio::join!(client.wait_for(&id, 20), stranger.wait_for(&id, 20));
    assert!(reply(&own).contains("(turn 2)"), "{own}");
    assert!(reply(&foreign).contains("(turn 2)"), "{foreign}");
}

/// Stops the turn of a session and ends the session, as somebody else would.
async fn end_elsewhere(rig: &Rig, session: &str, method: &str, path: &str) {
    let interrupt = json!({"events": [{"type": "user.interrupt"}]});
    rig.api("POST", &format!("/v1/sessions/{session}/events"), interrupt)
        .await;
    until("the session is idle", async || {
        let path = format!("/v1/sessions/{session}");
        rig.api("GET", &path, Value::Null).await["status"] == "idle"
    })
    .await;
    rig.api(
        method,
        &format!("/v1/sessions/{session}{path}"),
        Value::Null,
    )
    .await;
}

#[tokio::test]
async fn a_session_that_somebody_else_ends_during_a_wait_is_terminated() {
    let endings = [("archived", "POST", "/archive"), ("deleted", "DELETE", "")];
    join_all(endings.map(async |(word, method, path)| {
        let rig = Rig::start().await;
        // Nothing is heard of the end of the turn, so that the wait is still on when the session ends.
        rig.always("GET */events/stream", Kind::Silence { after_bytes: 0 });
        let client = rig.client().await;
        let id = session(&client.create("[seconds 60] go", 0).await);
        let elsewhere = async {
            until("the wait is on", async || {
                let requests = rig.requests().into_iter();
                requests
                    .filter(|request| request.path.ends_with("/stream"))
                    .count()
                    > 0
            })
            .await;
            end_elsewhere(&rig, &id, method, path).await;
        };
        let wait = client.call(
            "get_status",
            json!({"session_ids": [id], "wait_seconds": 40}),
        );
        let (called, ()) = tokio::join!(wait, elsewhere);
        let report = called.within(Duration::from_secs(9)).ok()["sessions"][0].take();
        assert_eq!(report["state"], "terminated", "{report}");
        assert_eq!(report["reason"], word, "{report}");
    }))
    .await;
}

#[tokio::test]
async fn one_answer_that_a_session_is_not_found_ends_nothing() {
    let envelope = json!({"type": "error", "error": {"type": "not_found_error", "message": "?"}});
    let bodies = [envelope, json!("what a gateway says")];
    join_all(
        bodies
            .into_iter()
            .flat_map(|body| [(true, body.clone()), (false, body)])
            .map(async |(is_list, body)| {
                let rig = Rig::start().await;
                let client = rig.client().await;
                let id = session(&client.create("[seconds 4] go", 0).await);
                let on = match is_list {
                    true => "GET */events".to_owned(),
                    false => format!("GET /v1/sessions/{id}"),
                };
                let not_found = Kind::Status {
                    code: 404,
                    retry_after: None,
                    acting: Acting::Before,
                    body: Some(body.clone()),
                };
                // The first look finds it.
                rig.simulator.inject(Fault::new(&on, not_found).skip(1));
                let report = client.wait_for(&id, 20).await;
                assert_eq!(report["state"], "done", "{on} {body}: {report}");
                assert_eq!(report["notes"], Value::Null, "{on} {body}: {report}");
            }),
    )
    .await;
}

#[tokio::test]
async fn an_archived_session_stays_terminated_for_every_later_reader() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for script in ["hello", "[approve]", "[budget]", "[refuse]"] {
        let id = session(&client.create(script, 20).await);
        end_elsewhere(&rig, &id, "POST", "/archive").await;
        let report = client.wait_for(&id, 20).await;
        assert_eq!(report["state"], "terminated", "{script}: {report}");
        assert_eq!(report["reason"], "archived", "{script}: {report}");
        assert_eq!(report["pending"], json!([]), "{script}: {report}");
        let page = client.call("get_events", json!({"session_id": id})).await;
        assert_eq!(page.ok()["state"], "terminated", "{script}");
    }
}

#[tokio::test]
async fn what_failed_was_refused_or_ran_out_of_budget_can_go_on() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    join_all(
        ["[error] go", "[retries] go", "[refuse] go"].map(async |script| {
            let id = session(&client.create(script, 20).await);
            let report = client.send(&id, "again", 20).await;
            assert_eq!(report["state"], "done", "{script}: {report}");
            assert_eq!(report["reason"], Value::Null, "{script}: {report}");
            assert!(reply(&report).contains("again"), "{script}: {report}");
        }),
    )
    .await;
    let arguments = json!({"message": "[budget] go", "budget_usd": 1.0, "wait_seconds": 20});
    let paused = client.call("create_session", arguments).await.ok();
    assert_eq!(paused["usage"]["budget_usd"], 1.0, "{paused}");
    assert_eq!(paused["usage"]["cost_usd"], 1.0, "{paused}");
    assert!(
        paused["next"].as_str().unwrap().contains("update_session"),
        "{paused}"
    );
    let id = session(&paused);
    let raise = json!({"session_id": id, "budget_usd": 2.5});
    let raised = client.call("update_session", raise).await.ok();
    assert_ne!(raised["state"], "budget_reached", "{raised}");
    assert_eq!(raised["usage"]["budget_usd"], 2.5, "{raised}");
    let report = client.wait_for(&id, 20).await;
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("[budget] go"), "{report}");
}

#[tokio::test]
async fn an_interrupted_turn_is_over_and_the_session_goes_on() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for script in ["[seconds 60] go", "[approve] go"] {
        let id = session(&client.create(script, 1).await);
        let arguments = json!({"session_id": id, "wait_seconds": 20});
        let stopped = client.call("interrupt_session", arguments.clone()).await;
        let stopped = stopped.within(Duration::from_secs(5)).ok();
        assert_eq!(stopped["state"], "done", "{script}: {stopped}");
        assert_eq!(stopped["pending"], json!([]), "{script}: {stopped}");
        let again = client.call("interrupt_session", arguments).await.ok();
        assert!(
            again["notes"].to_string().contains("nothing was sent"),
            "{again}"
        );
        let report = client.send(&id, "what now", 20).await;
        assert!(reply(&report).contains("what now"), "{script}: {report}");
    }
}

#[tokio::test]
async fn a_list_says_how_a_session_stands_and_not_what_its_status_says_for_a_moment() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    // The status of the object still says running right after the turn.
    let done = session(&client.create("hello", 20).await);
    let asks = session(&client.create("[approve]", 20).await);
    let list = client.call("list_sessions", json!({})).await.ok();
    let stands = |id: &str| {
        let rows = list["sessions"].as_array().unwrap();
        rows.iter().find(|row| row["session_id"] == id).unwrap()["state"].clone()
    };
    assert_eq!(
        (stands(&done), stands(&asks)),
        (json!("done"), json!("needs_action"))
    );
}

/// Its reply comes first, and the report of the later message does not pass over it in silence.
#[tokio::test]
async fn the_reply_of_the_turn_that_a_message_waited_for_is_named() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[approve] first", 20).await;
    let id = session(&report);
    let queued = json!({"session_id": id, "message": "second", "wait_seconds": 0});
    client.call("send_message", queued).await.ok();
    let decisions = json!([{"event_id": pending(&report)[0], "decision": "allow"}]);
    let arguments = json!({"session_id": id, "decisions": decisions, "wait_seconds": 20});
    let report = client.call("resolve_action", arguments).await.ok();
    assert!(reply(&report).contains("second"), "{report}");
    let notes = report["notes"].to_string();
    let named = notes
        .split("event_id\\\":\\\"")
        .nth(1)
        .unwrap_or_else(|| panic!("{notes}"));
    let event = named.split('\\').next().unwrap();
    let arguments = json!({"session_id": id, "event_id": event});
    let read = client.call("get_events", arguments).await.ok();
    assert!(
        read["events"][0]["text"].to_string().contains("first"),
        "{read}"
    );
    let next = json!({"session_id": id, "message": "third", "wait_seconds": 20});
    let third = client.call("send_message", next).await.ok();
    assert_eq!(third["notes"], Value::Null, "nothing was passed over");
}

#[tokio::test]
async fn an_interrupt_tells_of_the_message_that_is_read_next() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 60] first", 0).await);
    for (message, note) in [(Some("second"), true), (None, false)] {
        if let Some(message) = message {
            let queued = json!({"session_id": id, "message": message, "wait_seconds": 0});
            client.call("send_message", queued).await.ok();
        }
        let arguments = json!({"session_id": id, "wait_seconds": 20});
        let report = client.call("interrupt_session", arguments).await.ok();
        let notes = report["notes"].to_string();
        assert_eq!(notes.contains("queued behind"), note, "{notes}");
    }
}

/// What this process once sent does not decide which turn is the newest.
#[tokio::test]
async fn the_turn_of_somebody_else_after_ours_is_the_newest() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("first", 20).await);
    client.send(&id, "ours", 0).await;
    assert!(reply(&client.wait_for(&id, 20).await).contains("ours"));
    let theirs = json!({"type": "user.message", "content": [{"type": "text", "text": "theirs"}]});
    let path = format!("/v1/sessions/{id}/events");
    rig.api("POST", &path, json!({"events": [theirs]})).await;
    until("their turn is over", async || {
        let report = client.status(&id).await;
        report["state"] == "done" && reply(&report).contains("theirs")
    })
    .await;
}

/// A turn so long that its question stands far behind the newest events.
#[tokio::test]
async fn a_long_turn_that_is_over_is_listed_so_though_nobody_asked_since() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("first", 20).await);
    client.send(&id, "[work 60] go", 0).await;
    let ends = async || {
        let record = rig.record(&id).await;
        let idles = record
            .iter()
            .filter(|event| event["type"] == "session.status_idle");
        idles.count() == 2
    };
    until("the turn is over", ends).await;
    let listed = client.call("list_sessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["state"], "done", "{listed}");
    let files = client.call("list_files", json!({"session_id": id})).await;
    assert!(!files.text.contains("still works"), "{}", files.text);
}

/// Nothing but work among the newest events.
#[tokio::test]
async fn files_of_a_long_turn_that_goes_on_may_not_be_all() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 60][quiet 60] go", 0).await);
    until("it has worked for long", async || {
        let record = rig.record(&id).await;
        let since_status = record
            .iter()
            .rev()
            .take_while(|event| event["type"] != "session.status_running");
        since_status.count() > 60
    })
    .await;
    // By a process that did not start it.
    let another = rig.client().await;
    let files = another.call("list_files", json!({"session_id": id})).await;
    assert!(files.text.contains("still works"), "{}", files.text);
}

/// The budget holds up what is queued as well.
#[tokio::test]
async fn a_used_up_budget_is_said_though_a_message_is_queued() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments =
        json!({"message": "[work 20][budget] go", "budget_usd": 1.0, "wait_seconds": 0});
    let id = session(&client.call("create_session", arguments).await.ok());
    let sent = client.send(&id, "and then this", 20).await;
    assert_eq!(sent["state"], "budget_reached", "{sent}");
    let note = "queued until the budget is raised";
    assert!(sent["notes"].to_string().contains(note), "{sent}");
    let listed = client.call("list_sessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["state"], "budget_reached", "{listed}");
    let raise = json!({"session_id": id, "budget_usd": 2.5});
    client.call("update_session", raise).await.ok();
    until("the message is answered", async || {
        let report = client.status(&id).await;
        report["state"] == "done" && reply(&report).contains("and then this")
    })
    .await;
}
