//! Delegations as tasks: for clients that declare the extension, with an id that any process understands.

use std::time::Duration;

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::host::accept;
use crate::rig::{GRACE, Pipe, Rig, until};

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A client of protocol 2026-07-28 that follows tasks; it has no handshake.
struct Follower {
    pipe: Pipe,
    capabilities: Value,
}

impl Follower {
    fn of(rig: &Rig) -> Follower {
        Follower {
            pipe: rig.pipe(),
            capabilities: json!({"extensions": {TASKS: {}}, "elicitation": {"form": {}}}),
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "follower", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        let id = self.pipe.request(method, params).await;
        self.pipe.reply(id).await
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut reply = self
            .ask("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        reply["result"].take()
    }

    /// Starts a task; its id.
    async fn start(&mut self, message: &str) -> String {
        let task = self
            .call("create_session", json!({"message": message}))
            .await;
        assert_eq!(task["resultType"], "task", "{task}");
        assert_eq!(task["status"], "working");
        task["taskId"].as_str().unwrap().to_owned()
    }

    async fn get(&mut self, task: &str) -> Value {
        let mut reply = self.ask("tasks/get", json!({"taskId": task})).await;
        assert!(reply["error"].is_null(), "{reply}");
        reply["result"].take()
    }

    /// Polls until the task has this status.
    async fn until(&mut self, task: &str, status: &str) -> Value {
        for _ in 0..500 {
            let state = self.get(task).await;
            if state["status"] == status {
                return state;
            }
            assert!(
                matches!(state["status"].as_str(), Some("working" | "input_required")),
                "{status}: {state}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{task} never became {status}");
    }
}

fn session(task: &str) -> &str {
    task.split('.').next().unwrap()
}

#[tokio::test]
async fn a_delegation_is_a_task_that_completes_with_the_report() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[work 3] [seconds 1]").await;
    let working = client.get(&task).await;
    assert!(working["pollIntervalMs"].as_u64().unwrap() >= 1000);
    let done = client.until(&task, "completed").await;
    let report = &done["result"]["structuredContent"];
    assert_eq!(
        (&report["state"], &report["session_id"]),
        (&json!("done"), &json!(session(&task)))
    );
    assert!(report["reply"].as_str().unwrap().contains("[work 3]"));
    let text = done["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("done: session"), "{text}");
    // The next message is a task of its own, and the first stays as it was.
    let next = json!({"session_id": session(&task), "message": "[seconds 1] more"});
    let second = client.call("send_message", next).await;
    let second = second["taskId"].as_str().unwrap().to_owned();
    assert_ne!(second, task);
    let first = client.get(&task).await;
    assert!(
        first["result"]["structuredContent"]["reply"]
            .as_str()
            .unwrap()
            .contains("turn 1")
    );
    let done = client.until(&second, "completed").await;
    assert!(
        done["result"]["structuredContent"]["reply"]
            .as_str()
            .unwrap()
            .contains("turn 2")
    );
    assert_eq!(client.get(&task).await["status"], "completed");
    assert_eq!(rig.sessions().await, 1);
}

#[tokio::test]
async fn a_task_survives_the_process_that_began_it() {
    let rig = Rig::start().await;
    let task = Follower::of(&rig).start("[approve] [seconds 1]").await;
    let mut client = Follower::of(&rig);
    let asks = client.until(&task, "input_required").await;
    let requests = asks["inputRequests"].as_object().unwrap();
    let (event, request) = requests.iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    assert!(
        request["params"]["message"]
            .as_str()
            .unwrap()
            .contains("bash")
    );
    // Yet another process takes the answer.
    let mut third = Follower::of(&rig);
    let answers = json!({"taskId": task, "inputResponses": {
        event.as_str(): accept(json!({"decision": "allow"})),
        "sevt_unknown": accept(json!({"decision": "allow"})),
    }});
    let reply = third.ask("tasks/update", answers).await;
    assert!(reply["error"].is_null(), "{reply}");
    let _ = client.until(&task, "completed").await;
    assert_eq!(rig.sent_events().len(), 1);
}

#[tokio::test]
async fn a_decline_within_a_task_sends_nothing_and_hands_it_to_the_assistant() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[approve]").await;
    let asks = client.until(&task, "input_required").await;
    let event = asks["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let answers = json!({"taskId": task, "inputResponses": {event: {"action": "decline"}}});
    let _ = client.ask("tasks/update", answers).await;
    let report = client.until(&task, "completed").await;
    let facts = &report["result"]["structuredContent"];
    assert_eq!(facts["state"], "needs_action");
    let notes = facts["notes"].to_string();
    assert!(notes.contains("neither allowed nor denied"), "{notes}");
    assert!(notes.contains("created the agent"), "{notes}");
    let next = facts["next"].as_str().unwrap();
    assert!(next.contains("asks the user"), "{next}");
    // It is over: a cancel changes nothing about what the user only put off.
    let _ = client.ask("tasks/cancel", json!({"taskId": task})).await;
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn an_answer_within_a_task_that_cannot_be_read_is_none() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[approve]").await;
    let asks = client.until(&task, "input_required").await;
    let requests = asks["inputRequests"].as_object().unwrap();
    let event = requests.keys().next().unwrap().clone();
    for garbage in [json!("x"), json!({"action": "maybe"}), json!(7)] {
        let answers = json!({"taskId": task, "inputResponses": {event.as_str(): garbage}});
        let _ = client.ask("tasks/update", answers).await;
        let again = client.get(&task).await;
        assert_eq!(again["status"], "input_required", "{garbage}: {again}");
    }
    assert!(rig.sent_events().is_empty());
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_told_what_waits() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    client.capabilities = json!({"extensions": {TASKS: {}}});
    let task = client.start("[approve]").await;
    let report = client.until(&task, "completed").await;
    assert_eq!(
        report["result"]["structuredContent"]["state"],
        "needs_action"
    );
}

#[tokio::test]
async fn cancelling_a_task_interrupts_its_turn() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[seconds 60]").await;
    let id = session(&task).to_owned();
    rig.until_recorded(&id, |event| event["type"] == "session.status_running")
        .await;
    let reply = client.ask("tasks/cancel", json!({"taskId": task})).await;
    assert!(reply["error"].is_null(), "{reply}");
    let cancelled = client.until(&task, "cancelled").await;
    let words = cancelled["statusMessage"].as_str().unwrap();
    assert!(words.starts_with("cancelled"), "{words}");
    let sent = rig.sent_events();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["type"], "user.interrupt");
    // Again is no harm, and stops no later turn.
    let _ = client.ask("tasks/cancel", json!({"taskId": task})).await;
    assert_eq!(rig.sent_events().len(), 1);
}

#[tokio::test]
async fn failures_of_the_agent_are_results_and_unknown_tasks_are_errors() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    for (script, state) in [
        ("[error]", "failed"),
        ("[refuse]", "refused"),
        ("[terminate]", "terminated"),
    ] {
        let called = client
            .call("create_session", json!({"message": script}))
            .await;
        // What is over at once needs no task.
        let report = match called["taskId"].as_str() {
            Some(task) => client.until(task, "completed").await["result"].clone(),
            None => called,
        };
        assert_eq!(report["structuredContent"]["state"], state, "{report}");
        assert_ne!(report["isError"], true);
    }
    for unknown in [
        "sesn_nobody",
        "sesn_nobody.sevt_1",
        "sesn_nobody..0",
        "sesn_nobody.sevt_1.0",
        "",
        "a/b",
        "..",
        "sesn_1.sevt/2",
    ] {
        let reply = client.ask("tasks/get", json!({"taskId": unknown})).await;
        assert_eq!(reply["error"]["code"], -32602, "{unknown}: {reply}");
    }
    let task = client.start("[seconds 30]").await;
    rig.always(
        "GET */events",
        Kind::Drop {
            acting: Acting::Before,
        },
    );
    let reply = client.ask("tasks/get", json!({"taskId": task})).await;
    assert_eq!(reply["error"]["code"], -32603, "{reply}");
}

#[tokio::test]
async fn who_did_not_declare_tasks_gets_none() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    client.capabilities = json!({});
    let arguments = json!({"message": "[seconds 30]", "wait_seconds": 1});
    let report = client.call("create_session", arguments).await;
    assert_eq!(report["structuredContent"]["state"], "working", "{report}");
    // Nor does who asked for no wait, and wants the id at once.
    let mut client = Follower::of(&rig);
    let arguments = json!({"message": "[seconds 30]", "wait_seconds": 0});
    let report = client.call("create_session", arguments).await;
    assert_eq!(report["structuredContent"]["state"], "working", "{report}");
    // With a handshake the extension is not even named.
    let mut pipe = rig.pipe();
    let hello = pipe.initialize().await;
    assert!(
        hello["result"]["capabilities"]["extensions"]
            .get(TASKS)
            .is_none(),
        "{hello}"
    );
    let discovered = Follower::of(&rig).ask("server/discover", json!({})).await;
    assert!(
        discovered["result"]["capabilities"]["extensions"]
            .get(TASKS)
            .is_some(),
        "{discovered}"
    );
}

#[tokio::test]
async fn cancelling_a_task_that_is_queued_stops_no_other_turn() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let first = client.start("[seconds 4] first").await;
    let next = json!({"session_id": session(&first), "message": "second"});
    let second = client.call("send_message", next).await["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    let reply = client.ask("tasks/cancel", json!({"taskId": second})).await;
    let why = reply["error"]["message"].as_str();
    let why = why.unwrap_or_else(|| panic!("{reply}"));
    assert!(why.contains("queued behind another turn"), "{why}");
    let stderr = client.pipe.stderr.clone();
    until("the audit line", async || {
        let log = stderr.text();
        let line = log.lines().find(|line| line.contains("AUDIT cancel_task"));
        line.is_some_and(|line| line.ends_with("outcome=refused"))
    })
    .await;
    let done = client.until(&first, "completed").await;
    let reply = &done["result"]["structuredContent"]["reply"];
    assert!(reply.as_str().unwrap().contains("first"), "{reply}");
    let _ = client.until(&second, "completed").await;
}

#[tokio::test]
async fn what_the_settings_forbid_a_task_does_not_do_either() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[approve]").await;
    let asks = client.until(&task, "input_required").await;
    let event = asks["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    for (setting, value) in [
        ("MANAGED_AGENTS_READ_ONLY", "1"),
        ("MANAGED_AGENTS_APPROVALS", "tool"),
    ] {
        let mut other = Follower {
            pipe: rig.pipe_with(setting, value),
            ..Follower::of(&rig)
        };
        let answers = json!({"taskId": task, "inputResponses": {event.as_str(): accept(json!({"decision": "allow"}))}});
        let refused = other.ask("tasks/update", answers).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert!(refused.to_string().contains(setting), "{refused}");
        if setting == "MANAGED_AGENTS_READ_ONLY" {
            let refused = other.ask("tasks/cancel", json!({"taskId": task})).await;
            assert!(refused.to_string().contains(setting), "{refused}");
        }
    }
    // Nor does a client that cannot show a dialog.
    let mut blind = Follower::of(&rig);
    blind.capabilities = json!({"extensions": {TASKS: {}}});
    let answers = json!({"taskId": task, "inputResponses": {event.as_str(): accept(json!({"decision": "allow"}))}});
    let _ = blind.ask("tasks/update", answers).await;
    assert!(rig.sent_events().is_empty());
    assert_eq!(client.get(&task).await["status"], "input_required");
}

#[tokio::test]
async fn a_message_that_a_session_does_not_hold_is_no_task() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("hello").await;
    let _ = client.until(&task, "completed").await;
    let bogus = format!("{}.sevt_bogus.0", session(&task));
    let reply = client.ask("tasks/get", json!({"taskId": bogus})).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_named_as_that() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        for params in [
            json!({}),
            json!({"taskId": 7}),
            json!({"taskId": null}),
            json!({"taskId": ["sesn_1"]}),
            json!({"task_id": "sesn_1"}),
        ] {
            let reply = client.ask(method, params.clone()).await;
            assert_eq!(reply["error"]["code"], -32602, "{method} {params}: {reply}");
            let words = reply["error"]["message"].as_str().unwrap();
            assert!(
                words.contains(method) && words.contains("taskId"),
                "{words}"
            );
        }
    }
    let answers = json!({"taskId": "sesn_1", "inputResponses": 7});
    let reply = client.ask("tasks/update", answers).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    let reply = client.ask("tasks/unheard_of", json!({})).await;
    assert_eq!(reply["error"]["code"], -32601, "{reply}");
    // What is no task is refused in the words in which it was given.
    let reply = client.ask("tasks/get", json!({"taskId": "../a"})).await;
    let words = reply["error"]["message"].as_str().unwrap();
    assert!(words.contains("`../a`"), "{words}");
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn a_slow_start_is_no_failure_of_a_task() {
    let rig = Rig::start().await;
    rig.fault("POST /v1/sessions", Kind::SlowHeaders { ms: 2500 });
    let task = Follower::of(&rig).start("[seconds 20] slow").await;
    assert_eq!(rig.sessions().await, 1);
    assert!(task.starts_with("sesn_"));
}

#[tokio::test]
async fn a_task_of_more_than_a_thousand_events_ends_like_any_other() {
    let rig = Rig::start().await;
    let mut follower = Follower::of(&rig);
    let task = follower.start("[work 560] go").await;
    for mut follower in [follower, Follower::of(&rig)] {
        let ended = follower.until(&task, "completed").await;
        assert!(
            ended["result"].to_string().contains("[work 560]"),
            "{ended}"
        );
    }
}

#[tokio::test]
async fn a_call_that_comes_again_with_answers_is_not_carried_out_again_as_a_task() {
    let rig = Rig::start().await;
    let mut follower = Follower::of(&rig);
    let arguments = json!({"message": "[approve] go", "wait_seconds": 20});
    follower.capabilities = json!({"elicitation": {"form": {}}});
    let asked = follower.call("create_session", arguments.clone()).await;
    let requests = asked["inputRequests"].as_object().unwrap();
    let answers = requests
        .keys()
        .map(|event| (event.clone(), accept(json!({"decision": "allow"}))))
        .collect::<serde_json::Map<_, _>>();
    // From here on it follows tasks.
    follower.capabilities = json!({"extensions": {TASKS: {}}, "elicitation": {"form": {}}});
    let params = json!({
        "name": "create_session", "arguments": arguments,
        "inputResponses": answers, "requestState": asked["requestState"],
    });
    let reply = follower.ask("tools/call", params).await;
    assert_eq!(
        reply["result"]["structuredContent"]["state"], "done",
        "{reply}"
    );
    assert_eq!(rig.sessions().await, 1);
}

#[tokio::test]
async fn a_task_that_was_completed_stays_so_whatever_the_assistant_does_then() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    client.capabilities = json!({"extensions": {TASKS: {}}});
    let task = client.start("[approve] [seconds 2]").await;
    let told = client.until(&task, "completed").await;
    let pending = &told["result"]["structuredContent"]["pending"][0];
    let decisions = json!([{"event_id": pending["event_id"], "decision": "allow"}]);
    let arguments =
        json!({"session_id": session(&task), "decisions": decisions, "wait_seconds": 0});
    let resolved = client.call("resolve_action", arguments).await;
    assert_eq!(
        resolved["structuredContent"]["state"], "working",
        "{resolved}"
    );
    let again = client.get(&task).await;
    assert_eq!(again["status"], "completed", "{again}");
    assert_eq!(again["result"]["structuredContent"]["state"], "working");
    let status = json!({"session_ids": [session(&task)], "wait_seconds": 20});
    let _ = client.call("get_status", status).await;
    let last = client.get(&task).await;
    assert_eq!(last["result"]["structuredContent"]["state"], "done");
}

#[tokio::test]
async fn a_task_paused_at_its_budget_stays_completed_when_it_goes_on() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let task = client.start("[work 3] [budget]").await;
    let told = client.until(&task, "completed").await;
    let report = &told["result"]["structuredContent"];
    assert_eq!(report["state"], "budget_reached", "{report}");
    let more = json!({"session_id": session(&task), "budget_usd": 50});
    let raised = client.call("update_session", more).await;
    assert_ne!(raised["isError"], true, "{raised}");
    assert_eq!(client.get(&task).await["status"], "completed");
}

#[tokio::test]
async fn a_task_was_created_when_it_was_created_whatever_happens_to_it() {
    let rig = Rig::start().await;
    let mut client = Follower::of(&rig);
    let first = client.start("[seconds 3] [work 20] first").await;
    let next = json!({"session_id": session(&first), "message": "second"});
    let created = client.call("send_message", next).await;
    let second = created["taskId"].as_str().unwrap().to_owned();
    let at = created["createdAt"].clone();
    let mut last = String::new();
    for mut client in [client, Follower::of(&rig)] {
        for _ in 0..3 {
            let state = client.get(&second).await;
            assert_eq!(state["createdAt"], at, "{state}");
            let updated = state["lastUpdatedAt"].as_str().unwrap().to_owned();
            assert!(updated >= last, "{updated} after {last}");
            assert!(updated.as_str() >= at.as_str().unwrap());
            last = updated;
        }
        let done = client.until(&second, "completed").await;
        assert_eq!(done["createdAt"], at, "{done}");
    }
}

#[tokio::test]
async fn a_task_is_begun_within_the_wait_that_was_asked_for() {
    let rig = Rig::start().await;
    rig.always("* *", Kind::SlowHeaders { ms: 60_000 });
    let mut follower = Follower::of(&rig);
    let begun = Instant::now();
    let arguments = json!({"message": "[two] go", "wait_seconds": 2});
    let answer = follower.call("create_session", arguments).await;
    assert_eq!(answer["isError"], true, "{answer}");
    assert!(
        begun.elapsed() < Duration::from_secs(2) + GRACE,
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn what_a_finished_task_says_is_not_changed_by_later_turns() {
    let rig = Rig::start().await;
    let mut follower = Follower::of(&rig);
    let task = follower.start("[two] first").await;
    let before = follower.until(&task, "completed").await;
    let report = &before["result"]["structuredContent"];
    let arguments =
        json!({"session_id": report["session_id"], "message": "later", "wait_seconds": 20});
    rig.client()
        .await
        .call("send_message", arguments)
        .await
        .ok();
    let after = follower.get(&task).await;
    assert_eq!(after["lastUpdatedAt"], before["lastUpdatedAt"]);
    for field in ["state", "reply", "cursor"] {
        assert_eq!(
            after["result"]["structuredContent"][field], report[field],
            "{field}"
        );
    }
}
