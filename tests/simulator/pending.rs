//! Confirmations, results and interrupts: what the agent waits for, and what answers it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, allow, idles, kinds, messages, of, pending, said, stops};

async fn send(rig: &Rig, session: &str, events: Value) -> (u16, Value) {
    rig.call(
        Method::POST,
        &format!("/v1/sessions/{session}/events"),
        Some(json!({"events": events})),
    )
    .await
}

#[tokio::test]
async fn an_allowed_call_runs_and_the_turn_goes_on() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[approve]").await;
    let id = &pending(&events)[0];
    let call = of(&events, "agent.tool_use")[0];
    assert_eq!(
        (&call["id"], &call["evaluated_permission"]),
        (&json!(id), &json!("ask"))
    );
    assert!(messages(&events).is_empty());
    let echo = rig.send(&session, allow(id)).await;
    assert!(echo["processed_at"].is_null());
    let events = rig.idle(&session, 2).await;
    let after: Vec<&str> = kinds(&events)
        .into_iter()
        .skip_while(|kind| *kind != "user.tool_confirmation")
        .collect();
    let order = [
        "user.tool_confirmation",
        "session.status_running",
        "session.thread_status_running",
        "agent.tool_result",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ];
    assert_eq!(after, order);
    assert_eq!(stops(&events), ["requires_action", "end_turn"]);
}

#[tokio::test]
async fn a_denied_call_is_said_to_be_denied() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[approve]").await;
    let deny = json!({
        "type": "user.tool_confirmation", "tool_use_id": pending(&events)[0], "result": "deny",
        "deny_message": "far too dangerous",
    });
    rig.send(&session, deny).await;
    let events = rig.idle(&session, 2).await;
    assert!(messages(&events)[0].contains("denied: far too dangerous"));
    assert_eq!(of(&events, "agent.tool_result")[0]["is_error"], true);
}

#[tokio::test]
async fn what_is_left_is_announced_again() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[approve 3]").await;
    let ids = pending(&events);
    rig.send(&session, allow(&ids[1])).await;
    let events = rig.idle(&session, 2).await;
    assert_eq!(pending(&events), [ids[0].clone(), ids[2].clone()]);
    let (status, _) = send(&rig, &session, json!([allow(&ids[0]), allow(&ids[2])])).await;
    assert_eq!(status, 200);
    assert_eq!(
        stops(&rig.idle(&session, 3).await),
        ["requires_action", "requires_action", "end_turn"]
    );
}

#[tokio::test]
async fn only_what_is_pending_can_be_answered_and_only_once() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[approve 2]").await;
    let ids = pending(&events);
    let wrong_kind = json!({"type": "user.tool_result", "tool_use_id": ids[0]});
    let custom = json!({"type": "user.custom_tool_result", "custom_tool_use_id": ids[0]});
    for refused in [
        json!([allow("sevt_x")]),
        json!([wrong_kind]),
        json!([custom]),
        json!([allow(&ids[0]), allow(&ids[0])]),
    ] {
        let (status, body) = send(&rig, &session, refused).await;
        let why = body["error"]["message"].as_str().unwrap();
        assert_eq!(
            (status, why.contains("does not match any")),
            (400, true),
            "{why}"
        );
    }
    rig.send(&session, allow(&ids[0])).await;
    assert_eq!(send(&rig, &session, json!([allow(&ids[0])])).await.0, 400);
    let other = rig.session().await;
    assert_eq!(send(&rig, &other, json!([allow(&ids[1])])).await.0, 400);
}

#[tokio::test]
async fn each_kind_of_call_has_its_answer() {
    let rig = Rig::start().await;
    let text = json!([{"type": "text", "text": "forty-two"}]);
    for (script, call, answer, key) in [
        (
            "[custom]",
            "agent.custom_tool_use",
            "user.custom_tool_result",
            "custom_tool_use_id",
        ),
        (
            "[tool_result]",
            "agent.tool_use",
            "user.tool_result",
            "tool_use_id",
        ),
    ] {
        let (session, events) = rig.told(script).await;
        assert_eq!(of(&events, call)[0]["id"], json!(pending(&events)[0]));
        rig.send(
            &session,
            json!({"type": answer, key: pending(&events)[0], "content": text}),
        )
        .await;
        let events = rig.idle(&session, 2).await;
        assert!(messages(&events)[0].contains("forty-two"), "{script}");
    }
    let (session, events) = rig.told("[mcp]").await;
    rig.send(&session, allow(&pending(&events)[0])).await;
    let events = rig.idle(&session, 2).await;
    assert_eq!(
        of(&events, "agent.mcp_tool_result")[0]["mcp_tool_use_id"],
        of(&events, "agent.mcp_tool_use")[0]["id"]
    );
}

#[tokio::test]
async fn a_call_can_be_answered_as_soon_as_it_is_seen() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("[approve] [seconds 1]")).await;
    let events = rig
        .until(&session, |events| !of(events, "agent.tool_use").is_empty())
        .await;
    rig.send(
        &session,
        allow(of(&events, "agent.tool_use")[0]["id"].as_str().unwrap()),
    )
    .await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(
        (stops(&events), messages(&events).len()),
        (vec!["end_turn"], 1)
    );
    assert_eq!(of(&events, "session.status_running").len(), 1);
}

#[tokio::test]
async fn policies_of_the_agent_make_ordinary_work_ask() {
    let mut rig = Rig::start().await;
    let ask = json!({"type": "always_ask"});
    rig.agent = rig
        .agent_with(json!([{
            "type": "agent_toolset_20260401", "configs": [{"name": "bash", "permission_policy": ask}],
        }]))
        .await;
    let (session, events) = rig.told("[work 2]").await;
    assert_eq!(
        of(&events, "agent.tool_use")[0]["evaluation"]["type"],
        "always_ask"
    );
    rig.send(&session, allow(&pending(&events)[0])).await;
    let events = rig.idle(&session, 2).await;
    assert_eq!(
        (stops(&events)[1], of(&events, "agent.tool_result").len()),
        ("end_turn", 2)
    );
    rig.agent = rig.agent_with(json!([{"type": "agent_toolset_20260401", "default_config": {"permission_policy": ask}}])).await;
    let (_, events) = rig.told("[work 2]").await;
    assert_eq!(stops(&events), ["requires_action"]);
}

#[tokio::test]
async fn in_a_self_hosted_environment_the_client_runs_the_tools() {
    let mut rig = Rig::start().await;
    let environment = json!({"name": "own", "config": {"type": "self_hosted"}});
    rig.environment = rig.post("/v1/environments", environment).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (session, events) = rig.told("[work 1]").await;
    let call = of(&events, "agent.tool_use")[0];
    assert_eq!(
        (&call["evaluated_permission"], stops(&events)),
        (&json!("allow"), vec!["requires_action"])
    );
    rig.send(
        &session,
        json!({"type": "user.tool_result", "tool_use_id": call["id"]}),
    )
    .await;
    assert_eq!(stops(&rig.idle(&session, 2).await)[1], "end_turn");
    let ask = json!({"permission_policy": {"type": "always_ask"}});
    rig.agent = rig
        .agent_with(json!([{"type": "agent_toolset_20260401", "default_config": ask}]))
        .await;
    let (session, events) = rig.told("[work 1]").await;
    let id = pending(&events).remove(0);
    rig.send(&session, allow(&id)).await;
    rig.send(
        &session,
        json!({"type": "user.tool_result", "tool_use_id": id}),
    )
    .await;
    let events = rig
        .until(&session, |events| stops(events).last() == Some(&"end_turn"))
        .await;
    assert!(of(&events, "agent.tool_result").is_empty());
}

#[tokio::test]
async fn a_spurious_announcement_names_what_was_just_answered() {
    let rig = Rig::start().await;
    let (session, events) = rig.told("[approve] [spurious]").await;
    let ids = pending(&events);
    rig.send(&session, allow(&ids[0])).await;
    let events = rig.idle(&session, 3).await;
    assert_eq!(
        stops(&events),
        ["requires_action", "requires_action", "end_turn"]
    );
    assert_eq!(idles(&events)[1]["stop_reason"]["event_ids"], json!(ids));
}

#[tokio::test]
async fn an_interrupt_ends_the_turn_wherever_it_is() {
    let rig = Rig::start().await;
    let interrupt = json!({"type": "user.interrupt"});
    let session = rig.session().await;
    rig.send(&session, said("[quiet 30]")).await;
    rig.until(&session, |events| !of(events, "agent.thinking").is_empty())
        .await;
    rig.send(&session, interrupt.clone()).await;
    let events = rig.idle(&session, 1).await;
    assert_eq!(
        (stops(&events), messages(&events).len()),
        (vec!["end_turn"], 0)
    );
    assert_eq!(
        of(&events, "span.model_request_end").len(),
        of(&events, "span.model_request_start").len()
    );
    assert!(of(&events, "user.interrupt")[0]["processed_at"].is_string());

    let (session, events) = rig.told("[approve]").await;
    let (status, _) = send(&rig, &session, json!([interrupt, said("something else")])).await;
    assert_eq!(status, 200);
    let after = rig.idle(&session, 3).await;
    assert_eq!(stops(&after), ["requires_action", "end_turn", "end_turn"]);
    assert!(messages(&after)[0].contains("something else"));
    assert_eq!(
        send(&rig, &session, json!([allow(&pending(&events)[0])]))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn an_interrupt_of_an_idle_session_changes_nothing() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    let events = rig.events(&session).await;
    assert_eq!(kinds(&events), ["user.interrupt"]);
}
