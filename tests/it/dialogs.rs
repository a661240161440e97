//! A person decides: where the host can ask, the user is asked with the tool and its whole input, in both protocols; and
//! without an answer nothing is ever allowed or denied.

use std::time::Duration;

use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};

use crate::host::{Host, accept};
use crate::rig::{GRACE, Rig, discovering, pending, reply, session};

/// Both protocols.
fn eras() -> [ClientLifecycleMode; 2] {
    [ClientLifecycleMode::Initialize, discovering()]
}

#[tokio::test]
async fn what_the_user_decides_in_the_dialog_reaches_the_agent_and_the_wait_goes_on() {
    for era in eras() {
        let host = Host::answering([
            accept(json!({"decision": "allow"})),
            accept(json!({"decision": "deny", "reason": "not today"})),
        ]);
        let rig = Rig::start().await;
        let client = rig.client_with(&host, era).await;
        let report = client.create("[approve 2]", 30).await;
        assert_eq!(report["state"], "done", "{report}");
        assert!(reply(&report).contains("not today"), "{report}");
        let sent = rig.sent_events();
        let mut results: Vec<&str> = sent
            .iter()
            .map(|event| event["result"].as_str().unwrap())
            .collect();
        // Where all are asked about at once, the host chooses the order.
        results.sort_unstable();
        assert_eq!(results, ["allow", "deny"]);
        assert_eq!(host.asked().len(), 2);
        // The work was begun once, however often the call came.
        assert_eq!(rig.bodies("POST", "/v1/sessions").len(), 1);
    }
}

#[tokio::test]
async fn the_dialog_shows_the_tool_and_its_whole_input() {
    let host = Host::answering([json!({"action": "decline"})]);
    let rig = Rig::start().await;
    let client = rig
        .client_with(&host, ClientLifecycleMode::Initialize)
        .await;
    let report = client.create("[approve]", 20).await;
    let asked = host.asked().remove(0);
    let message = asked["message"].as_str().unwrap();
    assert!(message.contains("bash"), "{message}");
    let command = report["pending"][0]["input"]["command"].as_str().unwrap();
    assert!(message.contains(command), "{message}");
    assert!(message.contains(report["session_id"].as_str().unwrap()));
    let form = &asked["requestedSchema"];
    assert_eq!(
        form["properties"]["decision"]["enum"],
        json!(["allow", "deny"])
    );
    assert_eq!(form["required"], json!(["decision"]));
}

#[tokio::test]
async fn without_an_answer_nothing_is_sent_and_the_call_says_so() {
    for era in eras() {
        for answer in [
            json!({"action": "decline"}),
            json!({"action": "cancel"}),
            accept(json!({})),
            accept(json!({"decision": "maybe"})),
            json!({"action": "accept"}),
        ] {
            let host = Host::answering([answer.clone()]);
            let rig = Rig::start().await;
            let client = rig.client_with(&host, era.clone()).await;
            let report = client.create("[approve]", 20).await;
            assert_eq!(report["state"], "needs_action", "{answer}");
            assert_eq!(pending(&report).len(), 1);
            assert_eq!(rig.sent_events(), Vec::<Value>::new(), "{answer}");
            let notes = report["notes"].to_string();
            assert!(notes.contains("neither allowed nor denied"), "{notes}");
            let next = report["next"].as_str().unwrap();
            assert!(
                next.contains("get_status") && next.contains("resolve_action"),
                "{next}"
            );
            assert_eq!(
                host.asked().len(),
                1,
                "asked again without being called again"
            );
        }
    }
}

#[tokio::test]
async fn a_user_who_is_silent_holds_no_call_up() {
    let host = Host::answering([]);
    let rig = Rig::start().await;
    let client = rig
        .client_with(&host, ClientLifecycleMode::Initialize)
        .await;
    let arguments = json!({"message": "[approve]", "wait_seconds": 3});
    let called = client.call("create_session", arguments).await;
    let report = called.within(Duration::from_secs(3) + GRACE).ok();
    assert_eq!(report["state"], "needs_action");
    assert_eq!(host.asked().len(), 1);
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn a_later_call_asks_again_and_the_answer_counts() {
    for era in eras() {
        let host = Host::answering([
            json!({"action": "cancel"}),
            accept(json!({"decision": "allow"})),
        ]);
        let rig = Rig::start().await;
        let client = rig.client_with(&host, era).await;
        let id = session(&client.create("[approve]", 20).await);
        let report = client.wait_for(&id, 20).await;
        assert_eq!(report["state"], "done", "{report}");
        assert_eq!(rig.sent_events().len(), 1);
    }
}

#[tokio::test]
async fn nobody_is_asked_by_a_call_that_does_not_wait_or_where_the_settings_forbid_it() {
    for (setting, wait) in [("any", 0), ("tool", 20), ("human", 0)] {
        let host = Host::answering([accept(json!({"decision": "allow"}))]);
        let rig = Rig::start().await.set("MANAGED_AGENTS_APPROVALS", setting);
        let client = rig
            .client_with(&host, ClientLifecycleMode::Initialize)
            .await;
        let id = session(&client.create("[approve]", 0).await);
        rig.until_recorded(&id, |event| {
            event["stop_reason"]["type"] == "requires_action"
        })
        .await;
        let report = client.wait_for(&id, wait).await;
        assert_eq!(report["state"], "needs_action");
        assert!(host.asked().is_empty(), "{setting} {wait}");
    }
}

#[tokio::test]
async fn where_only_a_person_may_allow_the_dialog_does_and_the_tool_does_not() {
    for era in eras() {
        let host = Host::answering([
            json!({"action": "decline"}),
            accept(json!({"decision": "allow"})),
        ]);
        let rig = Rig::start().await.set("MANAGED_AGENTS_APPROVALS", "human");
        let client = rig.client_with(&host, era).await;
        let report = client.create("[approve]", 20).await;
        let id = session(&report);
        let event_id = pending(&report).remove(0);
        let decisions = json!([{"event_id": event_id, "decision": "allow"}]);
        let arguments = json!({"session_id": id, "decisions": decisions});
        let why = client.call("resolve_action", arguments).await.err();
        assert!(why.contains("Only a person may allow"), "{why}");
        assert_eq!(client.wait_for(&id, 20).await["state"], "done");
    }
}

#[tokio::test]
async fn the_user_can_answer_a_custom_tool_or_leave_it_to_the_assistant() {
    for era in eras() {
        let host = Host::answering([
            accept(json!({"result": "forty-two"})),
            json!({"action": "decline"}),
        ]);
        let rig = Rig::start().await;
        let client = rig.client_with(&host, era).await;
        let report = client.create("[custom]", 20).await;
        assert!(reply(&report).contains("forty-two"), "{report}");
        let report = client.send(&session(&report), "[custom]", 20).await;
        assert_eq!(report["state"], "needs_action");
        let decisions = json!([{"event_id": pending(&report)[0], "result": "by the assistant"}]);
        let arguments =
            json!({"session_id": session(&report), "decisions": decisions, "wait_seconds": 20});
        let report = client.call("resolve_action", arguments).await.ok();
        assert!(reply(&report).contains("by the assistant"), "{report}");
    }
}

#[tokio::test]
async fn a_decision_that_came_from_elsewhere_meanwhile_is_respected() {
    let host = Host::answering([accept(json!({"decision": "allow"}))]);
    let rig = Rig::start().await;
    let id = session(&rig.client().await.create("[approve]", 20).await);
    let client = rig.client_with(&host, discovering()).await;
    let event_id = pending(&client.status(&id).await).remove(0);
    let deny = json!({"type": "user.tool_confirmation", "tool_use_id": event_id, "result": "deny", "deny_message": "page"});
    let _ = rig
        .api(
            "POST",
            &format!("/v1/sessions/{id}/events"),
            json!({"events": [deny]}),
        )
        .await;
    let report = client.wait_for(&id, 20).await;
    assert_eq!(report["state"], "done");
    assert!(reply(&report).contains("page"), "{report}");
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn a_dialog_opens_once_in_a_call_whatever_the_host_answers() {
    let wrong = accept(json!({"result": "an answer to another question"}));
    let host = Host::answering(std::iter::repeat_n(wrong, 50));
    let rig = Rig::start().await;
    let client = rig
        .client_with(&host, ClientLifecycleMode::Initialize)
        .await;
    let report = client.create("[approve 2]", 10).await;
    assert_eq!(
        (&report["state"], host.asked().len()),
        (&json!("needs_action"), 2)
    );
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn what_was_done_before_the_dialog_is_told_after_it() {
    for era in eras() {
        let host = Host::answering([accept(json!({"decision": "allow"}))]);
        let rig = Rig::start().await;
        let client = rig.client_with(&host, era).await;
        let report = client.create("[approve]", 20).await;
        let notes = report["notes"].to_string();
        assert!(notes.contains("created the agent"), "{notes}");
    }
}

#[tokio::test]
async fn what_was_declined_in_one_round_is_not_asked_about_in_a_later_one() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    let mut round = async |more: Value| {
        let mut params = json!({
            "name": "create_session", "arguments": {"message": "[approve 2]", "wait_seconds": 20},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "rounds", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
            },
        });
        let more = more.as_object().cloned().unwrap_or_default();
        params.as_object_mut().unwrap().extend(more);
        pipe.ask("tools/call", params).await
    };
    let asked = |result: &Value| -> Vec<String> {
        let requests = result["inputRequests"].as_object();
        requests
            .unwrap_or_else(|| panic!("{result}"))
            .keys()
            .cloned()
            .collect()
    };
    let decline = |event: &str, result: &Value| {
        json!({
            "inputResponses": {event: {"action": "decline"}}, "requestState": result["requestState"],
        })
    };
    let first = round(json!({})).await;
    let events = asked(&first);
    assert_eq!(events.len(), 2, "{first}");
    // The client answers only one of them, so it is asked about the other one again.
    let second = round(decline(&events[0], &first)).await;
    assert_eq!(asked(&second), [events[1].clone()], "{second}");
    let last = round(decline(&events[1], &second)).await;
    assert_eq!(last["resultType"], "complete", "{last}");
    let report = &last["structuredContent"];
    assert_eq!(report["state"], "needs_action");
    assert_eq!(report["pending"].as_array().unwrap().len(), 2);
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn the_dialog_of_a_call_that_is_cancelled_is_closed() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize_with(json!({"elicitation": {}})).await;
    let arguments = json!({"message": "[approve]", "wait_seconds": 30});
    let call = pipe.tool("create_session", arguments).await;
    let asked = loop {
        let message = pipe.receive().await.unwrap();
        if message["method"] == "elicitation/create" {
            break message["id"].clone();
        }
    };
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}}))
        .await;
    let closed = pipe.receive().await.unwrap();
    assert_eq!(closed["method"], "notifications/cancelled", "{closed}");
    assert_eq!(closed["params"]["requestId"], asked);
    assert!(rig.sent_events().is_empty());
}
