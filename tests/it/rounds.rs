//! Several questions to the user at once, and answers that come too late: each answer that can be sent is sent, and of each
//! that cannot the call says what became of it.

use std::time::Duration;

use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::host::{Host, accept};
use crate::rig::{Pipe, Rig, pending, session};

/// A client of protocol 2026-07-28 whose user answers between two rounds of a call.
struct Asker {
    pipe: Pipe,
    tool: &'static str,
    arguments: Value,
}

impl Asker {
    fn of(rig: &Rig, tool: &'static str, arguments: Value) -> Asker {
        let pipe = rig.pipe();
        Asker {
            pipe,
            tool,
            arguments,
        }
    }

    async fn round(&mut self, more: Value) -> Value {
        let mut params = json!({
            "name": self.tool, "arguments": self.arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "rounds", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
            },
        });
        let more = more.as_object().cloned().unwrap_or_default();
        params.as_object_mut().unwrap().extend(more);
        self.pipe.ask("tools/call", params).await
    }

    /// The first round; what it asks about.
    async fn asked(&mut self) -> (Value, Vec<String>) {
        let result = self.round(json!({})).await;
        let requests = result["inputRequests"].as_object();
        let requests = requests.unwrap_or_else(|| panic!("{result}"));
        let events = requests.keys().cloned().collect();
        (result, events)
    }

    /// The next round, with the same answer about everything.
    async fn answered(&mut self, asked: &(Value, Vec<String>), answer: Value) -> Value {
        let answers = asked.1.iter().map(|event| (event.clone(), answer.clone()));
        let answers: serde_json::Map<_, _> = answers.collect();
        let state = &asked.0["requestState"];
        self.round(json!({"inputResponses": answers, "requestState": state}))
            .await
    }
}

fn allow() -> Value {
    accept(json!({"decision": "allow"}))
}

/// Somebody else decides, on the session's page.
async fn deny(rig: &Rig, session: &str, event: &str) {
    let deny = json!({"type": "user.tool_confirmation", "tool_use_id": event, "result": "deny", "deny_message": "page"});
    let path = format!("/v1/sessions/{session}/events");
    let _ = rig.api("POST", &path, json!({"events": [deny]})).await;
}

async fn waiting(rig: &Rig, script: &str) -> (String, Vec<String>) {
    let report = rig.client().await.create(script, 20).await;
    (session(&report), pending(&report))
}

#[tokio::test]
async fn an_answer_that_comes_too_late_takes_no_other_answer_with_it() {
    let rig = Rig::start().await;
    let (id, events) = waiting(&rig, "[approve 2]").await;
    let arguments = json!({"session_ids": [id], "wait_seconds": 20});
    let mut asker = Asker::of(&rig, "get_status", arguments);
    let asked = asker.asked().await;
    assert_eq!(asked.1.len(), 2);
    deny(&rig, &id, &events[0]).await;
    let result = asker.answered(&asked, allow()).await;
    let report = &result["structuredContent"]["sessions"][0];
    assert_eq!(report["state"], "done", "{result}");
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["tool_use_id"], events[1]);
    for half in [&report["notes"], &result["content"][0]["text"]] {
        let words = half.to_string();
        assert!(words.contains("not sent"), "{words}");
        assert!(words.contains(&events[0]), "{words}");
    }
}

#[tokio::test]
async fn a_status_says_that_the_only_answer_came_too_late() {
    let rig = Rig::start().await;
    let (id, events) = waiting(&rig, "[approve]").await;
    let arguments = json!({"session_ids": [id], "wait_seconds": 20});
    let mut asker = Asker::of(&rig, "get_status", arguments);
    let asked = asker.asked().await;
    deny(&rig, &id, &events[0]).await;
    let result = asker.answered(&asked, allow()).await;
    let report = &result["structuredContent"]["sessions"][0];
    assert_eq!(report["state"], "done", "{result}");
    assert!(rig.sent_events().is_empty());
    let notes = report["notes"].to_string();
    assert!(notes.contains("the user's answer was not sent"), "{notes}");
}

#[tokio::test]
async fn a_session_that_is_gone_takes_no_answer_for_another_with_it() {
    let rig = Rig::start().await;
    let (gone, _) = waiting(&rig, "[approve]").await;
    let (kept, events) = waiting(&rig, "[approve]").await;
    let arguments = json!({"session_ids": [gone, kept], "wait_seconds": 20, "until": "all"});
    let mut asker = Asker::of(&rig, "get_status", arguments);
    let asked = asker.asked().await;
    assert_eq!(asked.1.len(), 2);
    let path = format!("/v1/sessions/{gone}");
    let _ = rig.api("DELETE", &path, Value::Null).await;
    let result = asker.answered(&asked, allow()).await;
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["tool_use_id"], events[0]);
    let facts = &result["structuredContent"];
    assert_eq!(facts["sessions"][0]["session_id"], kept, "{result}");
    let failures = facts["failures"].to_string();
    assert!(failures.contains(&gone), "{failures}");
    assert!(failures.contains("answer was not sent"), "{failures}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("answer was not sent"), "{text}");
}

#[tokio::test]
async fn after_a_dialog_without_an_answer_the_report_is_of_then_and_not_of_before() {
    let rig = Rig::start().await;
    let (id, events) = waiting(&rig, "[approve] [seconds 1]").await;
    let mut pipe = rig.pipe();
    pipe.initialize_with(json!({"elicitation": {}})).await;
    let arguments = json!({"session_ids": [id], "wait_seconds": 20});
    let call = pipe.tool("get_status", arguments).await;
    let asked = loop {
        let message = pipe.receive().await.unwrap();
        if message["method"] == "elicitation/create" {
            break message["id"].clone();
        }
    };
    deny(&rig, &id, &events[0]).await;
    rig.until_recorded(&id, |event| event["stop_reason"]["type"] == "end_turn")
        .await;
    pipe.send(&json!({"jsonrpc": "2.0", "id": asked, "result": {"action": "cancel"}}))
        .await;
    let reply = pipe.reply(call).await;
    let report = &reply["result"]["structuredContent"]["sessions"][0];
    assert_eq!(report["state"], "done", "{reply}");
    assert_eq!(report["pending"], json!([]));
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn in_dialogs_about_several_sessions_a_failed_answer_fails_no_other() {
    let rig = Rig::start().await;
    let (gone, _) = waiting(&rig, "[approve]").await;
    let (kept, events) = waiting(&rig, "[approve]").await;
    let mut pipe = rig.pipe();
    pipe.initialize_with(json!({"elicitation": {}})).await;
    let arguments = json!({"session_ids": [gone, kept], "wait_seconds": 30, "until": "all"});
    let call = pipe.tool("get_status", arguments).await;
    let reply = loop {
        let message = pipe.receive().await.unwrap();
        if message["method"] == "elicitation/create" {
            let asked = message["id"].clone();
            if message["params"]["message"].to_string().contains(&gone) {
                let path = format!("/v1/sessions/{gone}");
                let _ = rig.api("DELETE", &path, Value::Null).await;
            }
            pipe.send(&json!({"jsonrpc": "2.0", "id": asked, "result": allow()}))
                .await;
        } else if message["id"] == call {
            break message;
        }
    };
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1, "{sent:?} {reply}");
    assert_eq!(sent[0]["tool_use_id"], events[0]);
    let text = reply["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("answer was not sent"), "{text}");
}

#[tokio::test]
async fn after_dialogs_about_several_sessions_the_wait_goes_on() {
    for until in ["any", "all"] {
        let rig = Rig::start().await;
        let (first, _) = waiting(&rig, "[approve] [seconds 1]").await;
        let (second, _) = waiting(&rig, "[approve] [seconds 1]").await;
        let host = Host::answering([allow(), allow()]);
        let client = rig
            .client_with(&host, ClientLifecycleMode::Initialize)
            .await;
        let arguments = json!({"session_ids": [first, second], "wait_seconds": 30, "until": until});
        let facts = client.call("get_status", arguments).await.ok();
        let sessions = facts["sessions"].as_array().unwrap().iter();
        let done = sessions.filter(|report| report["state"] == "done").count();
        let wanted = if until == "all" { 2 } else { 1 };
        assert!(done >= wanted, "{until}: {facts}");
        assert_eq!(rig.sent_events().len(), 2);
    }
}

/// While the user thinks, somebody else decides, and another message is answered: the call returns what was asked in it.
#[tokio::test]
async fn a_call_that_asked_the_user_returns_the_answer_to_its_own_message() {
    for late in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        allow(),
    ] {
        let rig = Rig::start().await;
        let arguments = json!({"message": "[approve] one", "wait_seconds": 20});
        let mut asker = Asker::of(&rig, "create_session", arguments);
        let asked = asker.asked().await;
        let sessions = rig.api("GET", "/v1/sessions", Value::Null).await;
        let id = crate::rig::id(&sessions["data"][0]);
        deny(&rig, &id, &asked.1[0]).await;
        let other = rig.client().await;
        other.wait_for(&id, 20).await;
        let later = json!({"session_id": id, "message": "two", "wait_seconds": 20});
        assert_eq!(
            other.call("send_message", later).await.ok()["state"],
            "done"
        );
        let result = asker.answered(&asked, late.clone()).await;
        let report = &result["structuredContent"];
        let reply = report["reply"].as_str().unwrap_or_default();
        assert!(
            reply.contains("one") && !reply.contains("two"),
            "{late}: {result}"
        );
        assert_eq!(report["state"], "done", "{late}: {report}");
    }
}

#[tokio::test]
async fn a_dialog_closes_once_somebody_else_has_decided_or_stopped_the_turn() {
    for (tool, more) in [
        ("resolve_action", json!({"decision": "allow"})),
        ("interrupt_session", Value::Null),
    ] {
        let rig = Rig::start().await;
        let mut pipe = rig.pipe();
        pipe.initialize_with(json!({"elicitation": {}})).await;
        let arguments = json!({"message": "[approve] one", "wait_seconds": 40});
        let call = pipe.tool("create_session", arguments).await;
        let dialog = loop {
            let message = pipe.receive().await.unwrap();
            if message["method"] == "elicitation/create" {
                break message["id"].clone();
            }
        };
        let sessions = rig.api("GET", "/v1/sessions", Value::Null).await;
        let id = crate::rig::id(&sessions["data"][0]);
        let other = rig.client().await;
        let mut arguments = json!({"session_id": id, "wait_seconds": 0});
        if more.is_object() {
            let mut decision = more.clone();
            decision["event_id"] = json!(pending(&other.status(&id).await)[0]);
            arguments["decisions"] = json!([decision]);
        }
        other.call(tool, arguments).await.ok();
        let (mut is_closed, begun) = (false, Instant::now());
        let reply = loop {
            let message = pipe.receive().await.unwrap();
            is_closed |= message["method"] == "notifications/cancelled"
                && message["params"]["requestId"] == dialog;
            if message["id"] == call {
                break message;
            }
        };
        assert!(is_closed, "{tool}: {reply}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{tool}: the dialog held the call"
        );
        assert_eq!(
            reply["result"]["structuredContent"]["state"], "done",
            "{tool}: {reply}"
        );
    }
}
