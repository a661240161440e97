//! The vendor still behaves: run by hand with `MANAGED_AGENTS_LIVE_KEY` and `cargo test --test it live -- --ignored`.

use serde_json::{Value, json};

use crate::rig::{Client, Rig, reply, session};

/// The binary against the real API, with a key of its own variable so that no everyday key is ever used by accident.
async fn live() -> Client {
    let key = std::env::var("MANAGED_AGENTS_LIVE_KEY").expect("MANAGED_AGENTS_LIVE_KEY");
    let rig = Rig::start().await;
    rig.unset("ANTHROPIC_BASE_URL")
        .set("ANTHROPIC_API_KEY", key)
        .client()
        .await
}

/// Waits for as long as an agent may take to say a word.
async fn finished(client: &Client, mut report: Value) -> Value {
    let id = session(&report);
    for _ in 0..10 {
        if report["state"] != "working" {
            break;
        }
        report = client.wait_for(&id, 40).await;
    }
    report
}

#[tokio::test]
#[ignore = "costs money: needs MANAGED_AGENTS_LIVE_KEY"]
async fn a_delegation_a_question_and_the_end_work_against_the_real_api() {
    let client = live().await;
    let message = "Reply with the single word BANANA. Use no tools.";
    let arguments =
        json!({"message": message, "budget_usd": 1, "title": "live test", "wait_seconds": 40});
    let report = client.call("create_session", arguments).await.ok();
    let report = finished(&client, report).await;
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("BANANA"), "{report}");
    assert_eq!(report["usage"]["budget_usd"], 1.0, "{report}");
    let id = session(&report);

    let report = client
        .send(&id, "Now reply with the single word CHERRY.", 40)
        .await;
    let report = finished(&client, report).await;
    assert!(reply(&report).contains("CHERRY"), "{report}");
    assert!(!reply(&report).contains("BANANA"), "{report}");

    let arguments = json!({"session_id": id, "limit": 1000});
    let page = client.call("get_events", arguments).await.ok();
    let text = page.to_string();
    assert!(text.contains("BANANA") && text.contains("CHERRY"), "{page}");

    let arguments = json!({"session_id": id, "mode": "delete", "interrupt": true});
    let closed = client.call("close_session", arguments).await.ok();
    assert_eq!(closed["closed"], "deleted", "{closed}");
}
