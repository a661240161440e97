//! A wait is bounded: no call lasts longer than its `wait_seconds` plus 2 s, and one that ends early says how to go on.

use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};

use crate::rig::{Client, GRACE, Rig, session};

const ONE: Duration = Duration::from_secs(1);
const SILENCE: Kind = Kind::Silence { after_bytes: 0 };

fn status(code: u16) -> Kind {
    serde_json::from_value(json!({"kind": "status", "code": code})).unwrap()
}

#[tokio::test]
async fn a_turn_longer_than_the_wait_returns_as_working_with_a_cursor() {
    let cases = [
        ("[seconds 8] go", None),
        ("[quiet 8] go", None),
        ("[seconds 8] go", Some(SILENCE)),
        ("[seconds 8] go", Some(Kind::SlowHeaders { ms: 20_000 })),
        ("[seconds 8] go", Some(status(500))),
    ];
    let case = async |(message, fault): (&str, Option<Kind>)| {
        let rig = Rig::start().await;
        if let Some(kind) = fault.clone() {
            rig.always("GET */events/stream", kind);
        }
        let client = rig.client().await;
        let called = client
            .call(
                "create_session",
                json!({"message": message, "wait_seconds": 1}),
            )
            .await;
        let about = format!("{message} {fault:?}: {called:?}");
        assert!(called.took >= ONE && called.took <= ONE + GRACE, "{about}");
        assert!(called.text.contains("get_status"), "{about}");
        let report = called.ok();
        assert_eq!(report["state"], "working", "{about}");
        assert!(report["cursor"].is_string(), "{about}");
        assert!(report["next"].as_str().unwrap().contains("get_status"));
    };
    join_all(cases.map(case)).await;
}

#[tokio::test]
async fn a_turn_that_is_over_returns_at_once_and_asks_little() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let asked = |before: usize| rig.requests().len() - before;

    let before = rig.requests().len();
    let arguments = json!({"session_ids": [id], "wait_seconds": 20});
    let report = client.call("get_status", arguments).await.within(ONE).ok();
    assert_eq!(report["sessions"][0]["state"], "done");
    assert!(asked(before) <= 2, "{:?}", rig.requests());

    let before = rig.requests().len();
    let arguments = json!({"session_id": id, "wait_seconds": 20});
    let page = client.call("get_events", arguments).await.within(ONE).ok();
    assert_eq!(
        (&page["state"], &page["more"]),
        (&json!("done"), &json!(false))
    );
    assert!(asked(before) <= 2, "{:?}", rig.requests());

    let before = rig.requests().len();
    let arguments = json!({"session_id": id, "message": "again", "wait_seconds": 20});
    let called = client.call("send_message", arguments).await;
    assert_eq!(called.within(2 * ONE).ok()["state"], "done");
    assert!(asked(before) <= 8, "{:#?}", rig.requests());
}

#[tokio::test]
async fn a_wait_above_the_maximum_is_cut_to_it_and_the_result_says_so() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_MAX_WAIT_SECONDS", "1");
    let client = rig.client().await;
    let arguments = json!({"message": "[seconds 9] go", "wait_seconds": 500});
    let called = client.call("create_session", arguments).await;
    let called = called.within(ONE + GRACE);
    assert!(called.text.contains("cut to 1 s"), "{}", called.text);
    let report = called.ok();
    assert!(
        report["notes"].to_string().contains("cut to 1 s"),
        "{report}"
    );
    let id = session(&report);
    for (tool, arguments) in [
        (
            "get_status",
            json!({"session_ids": [id], "wait_seconds": 500}),
        ),
        (
            "get_events",
            json!({"session_id": id, "wait_seconds": 500, "after": report["cursor"]}),
        ),
    ] {
        let called = client.call(tool, arguments).await.within(ONE + GRACE);
        let text = called.text.clone();
        assert!(text.contains("cut to 1 s"), "{text}");
        assert!(called.ok().to_string().contains("cut to 1 s"), "{text}");
    }
}

#[tokio::test]
async fn the_end_of_a_turn_is_noticed_whatever_the_stream_does() {
    let faults = [
        SILENCE,
        Kind::SlowHeaders { ms: 60_000 },
        status(404),
        status(500),
        Kind::CutAfterBytes { bytes: 0 },
        Kind::Garbage,
        Kind::ErrorFrame {
            error: "overloaded_error".to_owned(),
            after_frames: 1,
        },
    ];
    let case = async |fault: Kind| {
        let rig = Rig::start().await;
        rig.always("GET */events/stream", fault.clone());
        let client = rig.client().await;
        let arguments = json!({"message": "[seconds 2] go", "wait_seconds": 30});
        let called = client.call("create_session", arguments).await;
        let called = called.within(Duration::from_secs(10));
        let report = called.ok();
        assert_eq!(report["state"], "done", "{fault:?}: {report}");
        assert!(report["reply"].is_string(), "{fault:?}: {report}");
    };
    join_all(faults.map(case)).await;
}

#[tokio::test]
async fn that_a_session_cannot_be_read_is_news_once() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 5] go", 0).await);
    let arguments = json!({"session_ids": [id, "sesn_nobody"], "wait_seconds": 30});
    for state in ["working", "done"] {
        let statuses = client.call("get_status", arguments.clone()).await.ok();
        assert_eq!(statuses["sessions"][0]["state"], state, "{statuses}");
        assert!(statuses.to_string().contains("sesn_nobody"), "{statuses}");
    }
}

#[tokio::test]
async fn without_a_wait_nothing_waits() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = |called: Value| {
        assert_eq!(called["state"], "working", "{called}");
        called
    };
    let arguments = json!({"message": "[seconds 30] go", "wait_seconds": 0});
    let called = client.call("create_session", arguments).await.within(ONE);
    let id = session(&report(called.ok()));
    for (tool, arguments) in [
        ("get_status", json!({"session_ids": [id]})),
        (
            "get_status",
            json!({"session_ids": [id], "wait_seconds": 0}),
        ),
        ("get_events", json!({"session_id": id})),
        ("get_events", json!({"session_id": id, "wait_seconds": 0})),
        (
            "send_message",
            json!({"session_id": id, "message": "more", "wait_seconds": 0}),
        ),
        (
            "interrupt_session",
            json!({"session_id": id, "wait_seconds": 0}),
        ),
    ] {
        let called = client.call(tool, arguments).await.within(ONE);
        assert!(!called.is_error, "{tool}: {}", called.text);
    }
}

#[tokio::test]
async fn calls_that_start_work_wait_as_configured_and_those_that_read_do_not() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_WAIT_SECONDS", "1");
    let client = rig.client().await;
    let waited = async |tool, arguments| {
        let called = client.call(tool, arguments).await.within(ONE + GRACE);
        assert!(called.took >= ONE, "{tool}: {called:?}");
        called.ok()
    };
    let report = waited("create_session", json!({"message": "[seconds 30] go"})).await;
    let id = session(&report);
    waited("send_message", json!({"session_id": id, "message": "more"})).await;
    let at_once = json!({"session_id": id});
    let called = client.call("get_events", at_once).await.within(ONE);
    assert_eq!(called.ok()["state"], "working");
}

#[tokio::test]
async fn an_api_that_never_answers_does_not_stretch_a_wait() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let working = session(&client.create("[seconds 60] go", 0).await);
    let asking = client.create("[approve]", 10).await;
    let decisions = json!([{"event_id": asking["pending"][0]["event_id"], "decision": "allow"}]);
    let asking = session(&asking);
    rig.always("* *", Kind::SlowHeaders { ms: 60_000 });
    let calls = [
        (
            "create_session",
            json!({"message": "hello", "wait_seconds": 1}),
        ),
        (
            "send_message",
            json!({"session_id": working, "message": "more", "wait_seconds": 1}),
        ),
        (
            "get_status",
            json!({"session_ids": [working, asking], "wait_seconds": 1}),
        ),
        ("get_status", json!({"session_ids": [working]})),
        (
            "get_events",
            json!({"session_id": working, "wait_seconds": 1}),
        ),
        (
            "get_events",
            json!({"session_id": working, "event_id": "sevt_nowhere"}),
        ),
        (
            "resolve_action",
            json!({"session_id": asking, "decisions": decisions, "wait_seconds": 1}),
        ),
        (
            "interrupt_session",
            json!({"session_id": working, "wait_seconds": 1}),
        ),
    ];
    join_all(calls.map(async |(tool, arguments)| {
        let called = client.call(tool, arguments.clone()).await;
        assert!(called.took <= ONE + GRACE, "{tool} {arguments}: {called:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_wait_on_several_sessions_ends_with_the_first_or_with_the_last() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let (quick, slow) = tokio::join!(
        client.create("[seconds 1] quick", 0),
        client.create("[seconds 3] slow", 0)
    );
    let ids = [session(&slow), session(&quick)];
    let states = async |client: &Client, until: &str| {
        let arguments = json!({"session_ids": ids, "wait_seconds": 20, "until": until});
        let found = client.call("get_status", arguments).await.ok();
        let states = found["sessions"].as_array().unwrap().iter();
        states
            .map(|report| report["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&client, "any").await, ["working", "done"]);
    assert_eq!(states(&client, "all").await, ["done", "done"]);
}

#[tokio::test]
async fn get_events_waits_for_something_new_and_no_longer_than_told() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[quiet 4] go", 0).await;
    let id = session(&report);
    rig.until_recorded(&id, |event| event["type"] == "span.model_request_start")
        .await;
    let page = async |after: &Value, wait: u64| {
        let arguments = json!({"session_id": id, "after": after, "wait_seconds": wait});
        client.call("get_events", arguments).await
    };
    let first = page(&report["cursor"], 0).await.ok();
    let silent = page(&first["cursor"], 1).await.within(ONE + GRACE);
    assert!(silent.took >= ONE, "{silent:?}");
    let silent = silent.ok();
    assert_eq!(
        (&silent["events"], &silent["state"]),
        (&json!([]), &json!("working"))
    );
    assert!(
        silent["next"].as_str().unwrap().contains("wait_seconds"),
        "{silent}"
    );
    let news = page(&silent["cursor"], 20)
        .await
        .within(Duration::from_secs(8));
    assert_ne!(news.ok()["events"], json!([]));
}

#[tokio::test]
async fn what_is_known_to_be_over_does_not_end_a_wait_for_the_others() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let done = session(&client.create("hello", 20).await);
    let works = session(&client.create("[seconds 4]", 0).await);
    let both = json!({"session_ids": [done, works], "wait_seconds": 20});
    let status = client.call("get_status", both.clone()).await.ok();
    assert_eq!(
        status["sessions"][1]["state"], "done",
        "returned for nothing"
    );
    // Another process was told nothing yet: what is over is news to it.
    let third = session(&client.create("[seconds 30]", 0).await);
    let stranger = rig.client().await;
    let ask = json!({"session_ids": [done, third], "wait_seconds": 20});
    let status = stranger.call("get_status", ask).await;
    let status = status.within(std::time::Duration::from_secs(5)).ok();
    assert_eq!(status["sessions"][1]["state"], "working");
}
