//! Spending is capped and shown: new sessions carry a budget unless the user turned that off, and every status has the cost.

use serde_json::{Value, json};

use crate::rig::{Rig, session};

fn limit(cents: &str) -> Value {
    json!({"type": "limit", "max_list_cost": {"amount": cents, "currency": "USD"}})
}

#[tokio::test]
async fn a_new_session_carries_the_configured_budget_unless_the_call_names_another() {
    let none = Value::Null;
    for (setting, argument, wanted) in [
        (None, json!({}), limit("1000")),
        (None, json!({"budget_usd": 2.5}), limit("250")),
        (Some("0.07"), json!({}), limit("7")),
        (Some("3"), json!({"budget_usd": 0.29}), limit("29")),
        (Some("none"), json!({}), none),
        (Some("none"), json!({"budget_usd": 1}), limit("100")),
    ] {
        let mut rig = Rig::start().await;
        if let Some(dollars) = setting {
            rig = rig.set("MANAGED_AGENTS_BUDGET_USD", dollars);
        }
        let mut arguments = json!({"message": "hello", "wait_seconds": 20});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(argument.as_object().unwrap().clone());
        let _ = rig
            .client()
            .await
            .call("create_session", arguments)
            .await
            .ok();
        assert_eq!(
            rig.bodies("POST", "/v1/sessions")[0]["budget"],
            wanted,
            "{setting:?} {argument}"
        );
    }
}

#[tokio::test]
async fn a_budget_that_is_no_amount_of_whole_cents_is_refused_and_nothing_is_started() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let before = rig.requests().len();
    for amount in [
        json!(0),
        json!(-1),
        json!(1.234),
        json!("5"),
        json!(1e20),
        json!(0.004),
    ] {
        let text = client
            .call(
                "create_session",
                json!({"message": "go", "budget_usd": amount}),
            )
            .await
            .err();
        assert!(text.contains("budget_usd"), "{amount}: {text}");
        let text = client
            .call(
                "update_session",
                json!({"session_id": id, "budget_usd": amount}),
            )
            .await
            .err();
        assert!(text.contains("budget_usd"), "{amount}: {text}");
    }
    assert_eq!(rig.requests().len(), before);
}

#[tokio::test]
async fn every_report_shows_cost_and_budget_in_both_halves() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"message": "[work 25] go", "budget_usd": 4, "wait_seconds": 20});
    let created = client.call("create_session", arguments).await;
    let id = session(&created.structured);
    let status = client
        .call("get_status", json!({"session_ids": [id]}))
        .await;
    assert_eq!(
        created.structured["usage"],
        status.structured["sessions"][0]["usage"]
    );
    for called in [created, status] {
        let report = called
            .structured
            .get("sessions")
            .map_or(&called.structured, |sessions| &sessions[0]);
        // Each model request of the scripted agent costs three cents.
        assert_eq!(report["usage"]["cost_usd"], 0.09, "{report}");
        assert_eq!(report["usage"]["budget_usd"], 4.0, "{report}");
        assert!(
            called.text.contains("$0.09") && called.text.contains("$4.00"),
            "{}",
            called.text
        );
    }
}

#[tokio::test]
async fn a_budget_can_be_removed_only_when_asked_for() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[budget] go", 20).await);
    let report = client
        .call(
            "update_session",
            json!({"session_id": id, "title": "renamed"}),
        )
        .await
        .ok();
    assert_eq!(
        (&report["state"], &report["title"]),
        (&json!("budget_reached"), &json!("renamed"))
    );
    let both = json!({"session_id": id, "budget_usd": 20, "remove_budget": true});
    let _ = client.call("update_session", both).await.err();
    let report = client
        .call(
            "update_session",
            json!({"session_id": id, "remove_budget": true}),
        )
        .await
        .ok();
    assert_eq!(report["usage"]["budget_usd"], Value::Null, "{report}");
    assert_eq!(client.wait_for(&id, 20).await["state"], "done");
}
