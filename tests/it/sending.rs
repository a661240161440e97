//! Nothing is sent twice, and nothing that was sent is lost: a retry first looks whether the first attempt arrived.

use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::simulator::{Acting, Fault, Kind, Request};
use serde_json::{Value, json};

use crate::rig::{Rig, pending, reply, session, until};

const SEND: &str = "POST */events";
const CREATE: &str = "POST /v1/sessions";

fn status(code: u16, acting: Acting) -> Kind {
    Kind::Status {
        code,
        retry_after: None,
        acting,
        body: None,
    }
}

/// Failures that leave open whether the request was acted on, once where it was and once where it was not.
fn ambiguities() -> Vec<Kind> {
    let both = [Acting::Before, Acting::After];
    both.into_iter()
        .flat_map(|acting| {
            let statuses = [408, 429, 500, 502, 503, 504, 529].map(|code| status(code, acting));
            statuses.into_iter().chain([Kind::Drop { acting }])
        })
        .chain([
            Kind::CutAfterBytes { bytes: 0 },
            Kind::CutAfterBytes { bytes: 30 },
            Kind::Garbage,
            Kind::NoData,
            Kind::ExtraStatus { code: 201 },
            Kind::ExtraStatus { code: 202 },
            Kind::SlowHeaders { ms: 700 },
            Kind::Trickle,
        ])
        .collect()
}

#[tokio::test]
async fn a_message_arrives_once_whatever_happens_to_its_first_attempt() {
    join_all(ambiguities().into_iter().map(async |kind| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("hello", 20).await);
        rig.fault(SEND, kind.clone());
        let report = client.send(&id, "only once", 25).await;
        assert_eq!(rig.messages(&id).await, ["hello", "only once"], "{kind:?}");
        assert_eq!(report["state"], "done", "{kind:?}: {report}");
        assert!(reply(&report).contains("only once"), "{kind:?}: {report}");
    }))
    .await;
}

/// Whoever stops a session does not wait for a message of which nobody knows yet whether it arrived.
#[tokio::test]
async fn an_interrupt_waits_for_no_message_that_hangs() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 60] hello", 0).await);
    let hangs = Kind::SlowHeaders { ms: 60_000 };
    rig.fault(SEND, hangs);
    let sending = client.send(&id, "more", 25);
    let stopping = async {
        let is_it =
            |request: &Request| request.method == "POST" && request.path.ends_with("/events");
        until("the message is on its way", async || {
            rig.requests().iter().any(is_it)
        })
        .await;
        let arguments = json!({"session_id": id});
        client
            .call("interrupt_session", arguments)
            .await
            .within(Duration::from_secs(5))
            .ok()
    };
    let stopped = tokio::select! {
        report = stopping => report,
        report = sending => panic!("the message was first: {report}"),
    };
    assert_eq!(stopped["state"], "done", "{stopped}");
}

#[tokio::test]
async fn the_same_message_again_is_not_taken_for_the_first_that_the_list_shows_late() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    rig.always("GET */events", Kind::ListLag { ms: 1500 });
    let _ = client.send(&id, "go on", 0).await;
    rig.fault(SEND, status(500, Acting::Before));
    let _ = client.send(&id, "go on", 25).await;
    assert_eq!(rig.messages(&id).await, ["hello", "go on", "go on"]);
}

#[tokio::test]
async fn what_was_sent_is_not_asked_for_again_where_it_cannot_be_read_back() {
    for code in [400, 401, 403, 410] {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("hello", 20).await);
        // Before sending, the record is looked at.
        let refused = Fault::new("GET */events", status(code, Acting::Before));
        rig.simulator.inject(refused.skip(1).always());
        let report = client.send(&id, "only once", 2).await;
        assert_eq!(report["state"], "working", "{code}: {report}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("It was sent"), "{code}: {notes}");
        let next = report["next"].to_string();
        assert!(next.contains("get_status"), "{code}: {next}");
        rig.simulator.clear_faults();
        assert_eq!(rig.messages(&id).await, ["hello", "only once"], "{code}");
    }
}

#[tokio::test]
async fn a_session_is_started_once_whatever_happens_to_its_first_attempt() {
    let kinds = ambiguities().into_iter();
    join_all(
        kinds
            .filter(|kind| *kind != Kind::NoData)
            .map(async |kind| {
                let rig = Rig::start().await;
                let client = rig.client().await;
                rig.fault(CREATE, kind.clone());
                let report = client.create("only once", 25).await;
                assert_eq!(rig.sessions().await, 1, "{kind:?}");
                assert_eq!(
                    rig.messages(&session(&report)).await,
                    ["only once"],
                    "{kind:?}"
                );
                assert_eq!(report["state"], "done", "{kind:?}: {report}");
                assert!(reply(&report).contains("only once"), "{kind:?}: {report}");
            }),
    )
    .await;
}

#[tokio::test]
async fn an_approval_arrives_once_whatever_happens_to_its_first_attempt() {
    let kinds = ambiguities().into_iter();
    join_all(kinds.map(async |kind| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let asking = client.create("[approve] go", 20).await;
        let id = session(&asking);
        rig.fault(SEND, kind.clone());
        let decisions = json!([{"event_id": pending(&asking)[0], "decision": "allow"}]);
        let arguments = json!({"session_id": id, "decisions": decisions, "wait_seconds": 25});
        let report = client.call("resolve_action", arguments).await.ok();
        assert_eq!(report["state"], "done", "{kind:?}: {report}");
        let record = rig.record(&id).await.into_iter();
        let answers = record.filter(|event| event["type"] == "user.tool_confirmation");
        assert_eq!(answers.count(), 1, "{kind:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_second_attempt_that_is_refused_after_it_was_acted_on_counts_as_arrived() {
    join_all(
        [(SEND, 500), (CREATE, 500), (SEND, 429), (CREATE, 429)].map(async |(on, first)| {
            let rig = Rig::start().await;
            let client = rig.client().await;
            let id = session(&client.create("hello", 20).await);
            rig.fault(on, status(first, Acting::Before));
            rig.simulator
                .inject(Fault::new(on, status(429, Acting::After)).skip(1));
            let report = match on {
                SEND => client.send(&id, "only once", 25).await,
                _ => client.create("only once", 25).await,
            };
            assert_eq!(report["state"], "done", "{on} {first}: {report}");
            let told = rig.messages(&session(&report)).await;
            assert_eq!(
                told.iter().filter(|text| *text == "only once").count(),
                1,
                "{on} {first}"
            );
            assert_eq!(
                rig.sessions().await,
                if on == SEND { 1 } else { 2 },
                "{on} {first}"
            );
        }),
    )
    .await;
}

#[tokio::test]
async fn a_list_that_lags_does_not_make_a_message_be_sent_again() {
    join_all(
        [
            status(500, Acting::After),
            Kind::Drop {
                acting: Acting::After,
            },
        ]
        .map(async |kind| {
            let rig = Rig::start().await;
            let client = rig.client().await;
            let id = session(&client.create("hello", 20).await);
            rig.always("GET */events", Kind::ListLag { ms: 1000 });
            rig.fault(SEND, kind.clone());
            let report = client.send(&id, "only once", 25).await;
            rig.simulator.clear_faults();
            assert_eq!(rig.messages(&id).await, ["hello", "only once"], "{kind:?}");
            assert!(reply(&report).contains("only once"), "{kind:?}: {report}");
        }),
    )
    .await;
}

#[tokio::test]
async fn a_message_that_never_gets_through_is_not_sent_for_ever_and_said_not_to_be() {
    let kinds = [
        status(429, Acting::Before),
        status(500, Acting::Before),
        Kind::Drop {
            acting: Acting::Before,
        },
    ];
    join_all(kinds.map(async |kind| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("hello", 20).await);
        rig.always(SEND, kind.clone());
        let arguments = json!({"session_id": id, "message": "lost", "wait_seconds": 20});
        let text = client.call("send_message", arguments).await.err();
        assert!(text.contains("end the message"), "{kind:?}: {text}");
        let attempts = rig.bodies("POST", "/events").len();
        assert!(attempts <= 3, "{kind:?}: {attempts} attempts");
        assert_eq!(rig.messages(&id).await, ["hello"], "{kind:?}");
        rig.always(CREATE, kind.clone());
        let arguments = json!({"message": "lost", "wait_seconds": 20});
        let text = client.call("create_session", arguments).await.err();
        assert!(text.contains("tart the session"), "{kind:?}: {text}");
        let attempts = rig.bodies("POST", "/v1/sessions").len() - 1;
        assert!(attempts <= 3, "{kind:?}: {attempts} attempts");
    }))
    .await;
}

#[tokio::test]
async fn where_nobody_can_tell_whether_it_arrived_the_error_says_so_and_how_to_find_out() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let acting = Acting::After;
    rig.fault(SEND, Kind::Drop { acting });
    let blind = Fault::new("GET */events", status(500, Acting::Before));
    rig.simulator.inject(blind.skip(1).always());
    let arguments = json!({"session_id": id, "message": "perhaps", "wait_seconds": 6});
    let text = client.call("send_message", arguments).await.err();
    rig.simulator.clear_faults();
    assert!(text.contains("not known whether"), "{text}");
    assert!(text.contains("get_events"), "{text}");
    assert_eq!(rig.messages(&id).await, ["hello", "perhaps"]);
}

#[tokio::test]
async fn identical_messages_sent_on_purpose_stay_two() {
    let after = Kind::Drop {
        acting: Acting::After,
    };
    join_all([None, Some(after)].map(async |fault| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("go on", 20).await);
        let second = client.send(&id, "go on", 20).await;
        if let Some(kind) = fault.clone() {
            rig.fault(SEND, kind);
        }
        let third = client.send(&id, "go on", 20).await;
        assert!(reply(&second).contains("(turn 2)"), "{second}");
        assert!(reply(&third).contains("(turn 3)"), "{third}");
        assert_eq!(rig.messages(&id).await.len(), 3, "{fault:?}");
    }))
    .await;
}

#[tokio::test]
async fn what_the_list_shows_late_of_an_earlier_call_is_not_taken_for_what_was_lost() {
    let rig = Rig::start().await;
    rig.always("GET */events", Kind::ListLag { ms: 1000 });
    let before = Kind::Drop {
        acting: Acting::Before,
    };
    let client = rig.client().await;
    let id = session(&client.create("[seconds 60] go", 0).await);
    let _ = client.send(&id, "[seconds 60] go on", 0).await;
    rig.fault(SEND, before.clone());
    let _ = client.send(&id, "[seconds 60] go on", 2).await;
    // The first stops the turn, the second the one that answers what was queued behind it.
    let interrupt = async |wait_seconds: u64| {
        let arguments = json!({"session_id": id, "wait_seconds": wait_seconds});
        client.call("interrupt_session", arguments).await.ok()
    };
    let _ = interrupt(0).await;
    rig.fault(SEND, before);
    let _ = interrupt(2).await;
    for (kind, what) in [("user.message", "message"), ("user.interrupt", "interrupt")] {
        let sent = rig.sent_events();
        let sent = sent.iter().filter(|event| event["type"] == kind);
        assert_eq!(sent.count(), 3, "a {what} was lost, or sent once more");
    }
}

#[tokio::test]
async fn the_same_request_key_starts_one_session_and_another_key_another() {
    let rig = Rig::start().await;
    let (client, stranger) = tokio::join!(rig.client(), rig.client());
    let arguments = json!({"message": "the task", "request_key": "monday", "wait_seconds": 20});
    let first = client.call("create_session", arguments.clone()).await.ok();
    for again in [&client, &stranger] {
        let report = again.call("create_session", arguments.clone()).await.ok();
        assert_eq!(report["session_id"], first["session_id"], "{report}");
        assert_eq!(report["reply"], first["reply"], "{report}");
        assert!(
            report["notes"].to_string().contains("already started"),
            "{report}"
        );
    }
    assert_eq!(rig.sessions().await, 1);
    assert_eq!(rig.messages(&session(&first)).await, ["the task"]);
    let arguments = json!({"message": "the task", "request_key": "tuesday", "wait_seconds": 20});
    let other = client.call("create_session", arguments).await.ok();
    assert_ne!(other["session_id"], first["session_id"]);
    // Without a key the same words start a session each.
    let _ = (
        client.create("the task", 20).await,
        client.create("the task", 20).await,
    );
    assert_eq!(rig.sessions().await, 4);
}

#[tokio::test]
async fn an_attempt_that_failed_can_be_repeated_with_its_request_key() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let acting = Acting::After;
    rig.fault(CREATE, Kind::Drop { acting });
    rig.always("GET /v1/sessions", status(500, Acting::Before));
    let arguments = json!({"message": "the task", "wait_seconds": 5});
    let text = client.call("create_session", arguments).await.err();
    rig.simulator.clear_faults();
    assert!(text.contains("not known whether"), "{text}");
    let key = text.split("request_key \"").nth(1).unwrap();
    let key = key.split('"').next().unwrap();
    let arguments = json!({"message": "the task", "request_key": key, "wait_seconds": 20});
    let report = client.call("create_session", arguments).await.ok();
    assert!(reply(&report).contains("the task"), "{report}");
    assert_eq!(rig.sessions().await, 1);
}

#[tokio::test]
async fn a_wait_that_loses_sight_of_what_was_sent_is_no_failure_to_send() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let blind = |on: &str| Fault::new(on, status(500, Acting::Before)).always();
    rig.simulator.inject(blind("GET */events").skip(1));
    rig.simulator.inject(blind("GET */events/stream"));
    let arguments = json!({"session_id": id, "message": "seen?", "wait_seconds": 3});
    let called = client.call("send_message", arguments).await;
    let called = called.within(Duration::from_secs(6));
    let report = called.ok();
    assert!(
        report["notes"].to_string().contains("It was sent"),
        "{report}"
    );
    assert_eq!(report["state"], "working", "{report}");
    assert_eq!(report["reply"], Value::Null, "{report}");
}

#[tokio::test]
async fn a_request_that_is_carried_out_but_never_answered_is_looked_for_and_not_repeated() {
    let hanging = Kind::SlowHeaders { ms: 60_000 };
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    rig.fault(SEND, hanging.clone());
    let arguments = json!({"session_id": id, "message": "only once", "wait_seconds": 10});
    let sending = client.call("send_message", arguments);
    let other = Rig::start().await;
    let stranger = other.client().await;
    let _ = stranger.create("hello", 20).await;
    other.fault(CREATE, hanging);
    let arguments = json!({"message": "only once", "wait_seconds": 10});
    let creating = stranger.call("create_session", arguments);
    let (sent, created) = tokio::join!(sending, creating);
    assert_eq!(rig.messages(&id).await, ["hello", "only once"]);
    assert_eq!(other.sessions().await, 2);
    for called in [sent, created] {
        let called = called.within(Duration::from_millis(12_500));
        let text = called.text.clone();
        assert!(!text.contains("nothing was sent"), "{text}");
        let settled = !called.is_error && called.structured["state"] != "ready";
        assert!(settled || text.contains("not known whether"), "{text}");
    }
}

#[tokio::test]
async fn an_interrupt_that_is_held_off_at_first_still_stops_the_turn() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 20] go", 0).await);
    rig.fault(SEND, status(529, Acting::Before));
    let arguments = json!({"session_id": id, "wait_seconds": 10});
    let report = client.call("interrupt_session", arguments).await.ok();
    assert_eq!(report["state"], "done", "{report}");
}
