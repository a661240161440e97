//! What a session costs, and what happens at its cap.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, allow, messages, of, pending, said, stops};

fn cents(amount: &str) -> Value {
    json!({"type": "limit", "max_list_cost": {"amount": amount, "currency": "USD"}})
}

#[tokio::test]
async fn cost_adds_up_in_whole_cents() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("hello").await;
    assert_eq!(
        of(&events, "session.usage")[0]["usage"]["list_cost"],
        json!({"amount": "3", "currency": "USD"})
    );
    let found = rig.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!(found["usage"]["list_cost"]["amount"], "3");
    assert!(found["stats"]["active_seconds"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn at_the_cap_only_a_raise_resumes_the_turn() {
    let rig = Rig::start().await;
    let session = rig.session_with(json!({"budget": cents("100")})).await;
    rig.send(&session, said("[budget]")).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(
        (stops(&events), messages(&events).len()),
        (vec!["budget_reached"], 0)
    );
    let path = format!("/v1/sessions/{session}");
    let (status, why) = rig
        .refusal(
            Method::POST,
            &format!("{path}/events"),
            Some(json!({"events": [said("go on")]})),
        )
        .await;
    assert_eq!((status, why.contains("budget")), (400, true));
    let (status, why) = rig
        .refusal(Method::POST, &path, Some(json!({"budget": cents("100")})))
        .await;
    assert_eq!((status, why.starts_with("budget_not_raised")), (400, true));
    rig.post(&path, json!({"budget": cents("500")})).await;
    let events = rig.idle(&session, 2).await;
    assert_eq!(stops(&events), ["budget_reached", "end_turn"]);
    assert_eq!(
        (
            messages(&events).len(),
            of(&events, "session.updated").len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_cap_reached_by_work_pauses_too_and_can_be_removed() {
    let rig = Rig::start().await;
    let session = rig.session_with(json!({"budget": cents("4")})).await;
    rig.send(&session, said("[work 30]")).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(stops(&events), ["budget_reached"]);
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    assert_eq!(
        stops(&rig.idle(&session, 2).await),
        ["budget_reached", "end_turn"]
    );
    let path = format!("/v1/sessions/{session}");
    assert!(rig.post(&path, json!({"budget": null})).await["budget"].is_null());
    let (status, why) = rig
        .refusal(Method::POST, &path, Some(json!({"budget": cents("900")})))
        .await;
    assert_eq!((status, why.starts_with("budget_create_only")), (400, true));
    rig.send(&session, said("free now")).await;
    assert_eq!(stops(&rig.idle(&session, 3).await)[2], "end_turn");
}

#[tokio::test]
async fn confirmations_are_accepted_at_the_cap() {
    let rig = Rig::start().await;
    let session = rig.session_with(json!({"budget": cents("2")})).await;
    rig.send(&session, said("[approve]")).await;
    let events = rig.idle(&session, 1).await;
    rig.send(&session, allow(&pending(&events)[0])).await;
    assert_eq!(
        stops(&rig.idle(&session, 2).await),
        ["requires_action", "budget_reached"]
    );
}

#[tokio::test]
async fn odd_budgets_are_refused() {
    let rig = Rig::start().await;
    let agent = json!({"name": "Local", "model": "llama-9"});
    let local = rig.post("/v1/agents", agent).await["id"].clone();
    let start = |agent: &Value, budget: Value| json!({"agent": agent, "environment_id": rig.environment, "budget": budget});
    let usual = json!(rig.agent);
    for body in [
        start(&usual, cents("0")),
        start(&usual, cents("10.5")),
        start(&usual, cents("007")),
        start(
            &usual,
            json!({"type": "limit", "max_list_cost": {"amount": 100, "currency": "USD"}}),
        ),
        start(
            &usual,
            json!({"type": "limit", "max_list_cost": {"amount": "100", "currency": "EUR"}}),
        ),
        start(&local, cents("100")),
    ] {
        assert_eq!(
            rig.refusal(Method::POST, "/v1/sessions", Some(body))
                .await
                .0,
            400
        );
    }
}
