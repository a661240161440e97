//! A person decides: a decision reaches the API exactly as it was made, and nothing else is ever sent.

use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};

use crate::rig::{Client, Rig, pending, reply, session};

async fn resolve(client: &Client, session: &str, decisions: Value) -> Value {
    let arguments = json!({"session_id": session, "decisions": decisions, "wait_seconds": 20});
    client.call("resolve_action", arguments).await.ok()
}

/// The words of the refusal.
async fn refused(client: &Client, session: &str, decisions: Value) -> String {
    let arguments = json!({"session_id": session, "decisions": decisions, "wait_seconds": 20});
    client.call("resolve_action", arguments).await.err()
}

#[tokio::test]
async fn allow_and_deny_reach_the_api_exactly_as_decided() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve 3] [mcp] go", 20).await;
    assert_eq!(asking["state"], "needs_action");
    let ids = pending(&asking);
    let first = &asking["pending"][0];
    assert_eq!(first["kind"], "tool_confirmation");
    assert_eq!(first["tool"], "bash");
    assert_eq!(first["input"], json!({"command": "rm -rf build/0"}));
    assert_eq!(asking["pending"][3]["tool"], "github/create_issue");
    let decisions = json!([
        {"event_id": ids[0], "decision": "allow"},
        {"event_id": ids[1], "decision": "deny", "reason": "not on a \"Friday\""},
        {"event_id": ids[2], "decision": "deny"},
        {"event_id": ids[3], "decision": "allow"},
    ]);
    let report = resolve(&client, &session(&asking), decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("Friday"), "{report}");
    let kind = "user.tool_confirmation";
    assert_eq!(
        rig.sent_events(),
        [
            json!({"type": kind, "tool_use_id": ids[0], "result": "allow"}),
            json!({"type": kind, "tool_use_id": ids[1], "result": "deny", "deny_message": "not on a \"Friday\""}),
            json!({"type": kind, "tool_use_id": ids[2], "result": "deny"}),
            json!({"type": kind, "tool_use_id": ids[3], "result": "allow"}),
        ]
    );
}

#[tokio::test]
async fn what_is_not_decided_stays_pending() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve 3] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    let report = resolve(
        &client,
        &id,
        json!([{"event_id": ids[1], "decision": "allow"}]),
    )
    .await;
    assert_eq!(report["state"], "needs_action", "{report}");
    assert_eq!(pending(&report), [ids[0].clone(), ids[2].clone()]);
    let stranger = rig.client().await;
    assert_eq!(pending(&stranger.status(&id).await), pending(&report));
    let decisions = json!([{"event_id": ids[0], "decision": "deny"}, {"event_id": ids[2], "decision": "allow"}]);
    let report = resolve(&stranger, &id, decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    assert_eq!(rig.sent_events().len(), 3);
}

#[tokio::test]
async fn the_result_of_a_custom_tool_reaches_the_agent() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[custom] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    assert_eq!(
        asking["pending"][0]["kind"], "custom_tool_result",
        "{asking}"
    );
    let decisions = json!([{"event_id": ids[0], "result": "ticket is closed"}]);
    let report = resolve(&client, &id, decisions).await;
    assert!(reply(&report).contains("ticket is closed"), "{report}");
    let content = json!([{"type": "text", "text": "ticket is closed"}]);
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["type"], "user.custom_tool_result");
    assert_eq!(sent[0]["custom_tool_use_id"], ids[0]);
    assert_eq!(sent[0]["content"], content);
    assert_ne!(sent[0]["is_error"], true);

    let asking = client.send(&id, "[custom] again", 20).await;
    let decisions =
        json!([{"event_id": pending(&asking)[0], "result": "no such ticket", "is_error": true}]);
    let report = resolve(&client, &id, decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    assert_eq!(rig.sent_events().last().unwrap()["is_error"], true);
}

#[tokio::test]
async fn in_a_self_hosted_environment_the_caller_runs_the_tools() {
    let rig = Rig::start().await;
    let agent = json!({"name": "own", "model": "claude-sonnet-5-5", "tools": [{"type": "agent_toolset_20260401"}]});
    let environment = json!({"name": "here", "config": {"type": "self_hosted"}});
    let _ = rig.furnish(agent, environment).await;
    let client = rig.client().await;
    let arguments = json!({"message": "[work 1] go", "agent": "own", "environment": "here", "wait_seconds": 20});
    let asking = client.call("create_session", arguments).await.ok();
    assert_eq!(asking["state"], "needs_action", "{asking}");
    assert_eq!(asking["pending"][0]["kind"], "tool_result", "{asking}");
    let ids = pending(&asking);
    let decisions = json!([{"event_id": ids[0], "result": "12 passed"}]);
    let report = resolve(&client, &session(&asking), decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["type"], "user.tool_result");
    assert_eq!(sent[0]["tool_use_id"], ids[0]);
    assert_eq!(sent[0]["content"][0]["text"], "12 passed");
}

#[tokio::test]
async fn a_wrong_id_is_refused_with_the_right_ones_and_nothing_is_sent() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve 2] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    let wrong = json!([{"event_id": ids[0], "decision": "allow"}, {"event_id": "sevt_01wrong", "decision": "allow"}]);
    let text = refused(&client, &id, wrong).await;
    for known in ["sevt_01wrong", &ids[0], &ids[1]] {
        assert!(text.contains(known), "{text}");
    }
    let idle = session(&client.create("hello", 20).await);
    let decisions = json!([{"event_id": ids[0], "decision": "allow"}]);
    let text = refused(&client, &idle, decisions).await;
    assert!(
        text.contains("nothing waits") && text.contains("done"),
        "{text}"
    );
    assert_eq!(rig.sent_events(), Vec::<Value>::new());
    assert_eq!(client.status(&id).await["state"], "needs_action");
}

#[tokio::test]
async fn a_decision_that_is_not_clear_is_refused_and_nothing_is_sent() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve] [custom] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    let (ask, custom) = (&ids[0], &ids[1]);
    for decisions in [
        json!([]),
        json!([{"event_id": ask}]),
        json!([{"event_id": ask, "decision": "yes"}]),
        json!([{"event_id": ask, "decision": "Allow"}]),
        json!([{"event_id": ask, "decision": true}]),
        json!([{"event_id": ask, "decision": null}]),
        json!([{"event_id": ask, "decision": "allow", "result": "done"}]),
        json!([{"event_id": ask, "decision": "allow", "reason": "but do not delete anything"}]),
        json!([{"event_id": ask, "decision": "allow", "is_error": false}]),
        json!([{"event_id": ask, "decision": "deny", "result": "no"}]),
        json!([{"event_id": ask, "result": "done"}]),
        json!([{"event_id": ask, "decision": "allow", "always": true}]),
        json!([{"event_id": custom, "decision": "allow"}]),
        json!([{"event_id": custom, "decision": "deny", "reason": "no"}]),
        json!([{"event_id": custom, "is_error": true}]),
        json!([{"event_id": custom, "result": "x", "reason": "y"}]),
        json!([{"event_id": ask, "decision": "allow"}, {"event_id": ask, "decision": "deny"}]),
        json!([{"event_id": "", "decision": "allow"}]),
        json!([{"decision": "allow"}]),
        json!([{"event_id": ask, "decision": "allow"}, {"event_id": custom}]),
        json!({"event_id": ask, "decision": "allow"}),
    ] {
        let text = refused(&client, &id, decisions.clone()).await;
        assert!(!text.is_empty(), "{decisions}");
        assert_eq!(
            rig.sent_events(),
            Vec::<Value>::new(),
            "{decisions}: {text}"
        );
    }
    assert_eq!(pending(&client.status(&id).await), ids);
}

#[tokio::test]
async fn where_only_a_person_may_allow_the_tool_may_still_deny() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_APPROVALS", "human");
    let client = rig.client().await;
    let asking = client.create("[approve 2] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    // Nobody is sent to look for a dialog that this client cannot show.
    let next = asking["next"].as_str().unwrap();
    assert!(
        next.contains("no dialogs")
            && next.contains("session's page")
            && !next.contains("get_status"),
        "{next}"
    );
    let mixed = json!([{"event_id": ids[0], "decision": "deny"}, {"event_id": ids[1], "decision": "allow"}]);
    let text = refused(&client, &id, mixed).await;
    assert!(text.contains("MANAGED_AGENTS_APPROVALS"), "{text}");
    assert_eq!(rig.sent_events(), Vec::<Value>::new());
    let both =
        json!([{"event_id": ids[0], "decision": "deny"}, {"event_id": ids[1], "decision": "deny"}]);
    assert_eq!(resolve(&client, &id, both).await["state"], "done");
}

#[tokio::test]
async fn the_same_decision_made_again_sends_nothing() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let asking = client.create("[approve] [seconds 2] go", 20).await;
    let (id, ids) = (session(&asking), pending(&asking));
    let decisions = json!([{"event_id": ids[0], "decision": "allow"}]);
    let arguments = json!({"session_id": id, "decisions": decisions, "wait_seconds": 0});
    let first = client.call("resolve_action", arguments.clone()).await.ok();
    assert_eq!(first["state"], "working", "{first}");
    let stranger = rig.client().await;
    for again in [&client, &stranger] {
        let report = again.call("resolve_action", arguments.clone()).await.ok();
        assert!(
            report["notes"].to_string().contains("already answered"),
            "{report}"
        );
    }
    let report = resolve(&client, &id, decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    assert_eq!(rig.sent_events().len(), 1);
}

#[tokio::test]
async fn no_other_call_answers_what_is_pending() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[approve] go", 20).await);
    let _ = client.wait_for(&id, 1).await;
    let arguments = json!({"session_id": id, "wait_seconds": 1});
    let _ = client.call("get_events", arguments).await;
    assert_eq!(rig.sent_events(), Vec::<Value>::new());
    assert_eq!(client.status(&id).await["state"], "needs_action");
}

#[tokio::test]
async fn what_was_just_reported_as_pending_can_be_answered_though_the_list_lags() {
    let rig = Rig::start().await;
    rig.always("GET */events", Kind::ListLag { ms: 1000 });
    let client = rig.client().await;
    let asking = client.create("[approve] go", 20).await;
    assert_eq!(asking["state"], "needs_action", "{asking}");
    assert_eq!(asking["pending"][0]["tool"], "bash", "{asking}");
    let decisions = json!([{"event_id": pending(&asking)[0], "decision": "allow"}]);
    let report = resolve(&client, &session(&asking), decisions).await;
    assert_eq!(report["state"], "done", "{report}");
    assert_eq!(rig.sent_events().len(), 1);
}

#[tokio::test]
async fn a_decision_against_one_that_was_made_is_an_error() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[approve 2]", 20).await;
    let (id, waits) = (session(&report), pending(&report));
    let decide = |decision: &str| json!([{"event_id": waits[0], "decision": decision}]);
    let _ = resolve(&client, &id, decide("deny")).await;
    let why = refused(&client, &id, decide("allow")).await;
    assert!(why.contains("already denied"), "{why}");
    let again = resolve(&client, &id, decide("deny")).await;
    assert!(
        again["notes"].to_string().contains("not sent again"),
        "{again}"
    );
    assert_eq!(rig.sent_events().len(), 1);
}
