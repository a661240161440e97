//! What is shaped wrongly or comes at the wrong time is refused in words that help, in each protocol as its own rules want it; and
//! what results of the stateless one carry beside their content.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Pipe, Rig, modern, until};

const SECOND: Duration = Duration::from_secs(1);
const STAMP: &str = "io.modelcontextprotocol/serverInfo";

async fn greeted(rig: &Rig) -> Pipe {
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    pipe
}

fn cancel(id: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

fn call(id: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[tokio::test]
async fn subscriptions_that_do_not_fit_are_told_what_is_taken() {
    let rig = Rig::start().await;
    let mut pipe = greeted(&rig).await;
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        for params in [json!({}), json!({"uri": 7})] {
            let refused = pipe.ask(method, params).await;
            assert_eq!(refused["error"]["code"], -32602, "{refused}");
            assert!(refused.to_string().contains("`uri`"), "{refused}");
        }
    }
    let refused = pipe.ask("subscriptions/listen", json!({})).await;
    assert_eq!(refused["error"]["code"], -32601, "{refused}");
    let mut pipe = rig.pipe();
    for params in [
        json!({}),
        json!({"notifications": null}),
        json!({"notifications": 5}),
        json!({"notifications": {"toolsListChanged": "yes"}}),
        json!({"notifications": {"resourceSubscriptions": "session://sesn_1/events"}}),
    ] {
        let refused = pipe.ask("subscriptions/listen", modern(params)).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert!(
            refused.to_string().contains("`resourceSubscriptions`"),
            "{refused}"
        );
    }
    // These were removed, whatever their parameters.
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        for params in [json!({}), json!({"uri": "session://sesn_1/events"})] {
            let refused = pipe.ask(method, modern(params)).await;
            assert_eq!(refused["error"]["code"], -32601, "{refused}");
        }
    }
}

#[tokio::test]
async fn the_id_of_a_cancelled_request_is_not_used_again() {
    let rig = Rig::start().await;
    let mut pipe = greeted(&rig).await;
    let arguments = json!({"message": "[seconds 60] go", "wait_seconds": 40});
    pipe.send(&call("c", "create_session", arguments)).await;
    until("it waits", async || {
        let requests = rig.requests().into_iter();
        requests
            .filter(|request| request.path.ends_with("/stream"))
            .count()
            > 0
    })
    .await;
    let again = call("c", "list_agents", json!({}));
    pipe.text(&format!("{}\n{again}\n", cancel("c"))).await;
    let refused = pipe.any_line().await;
    assert_eq!(refused["id"], "c", "{refused}");
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    assert!(refused.to_string().contains("was cancelled"), "{refused}");
    pipe.send(&call("d", "list_agents", json!({}))).await;
    let reply = pipe.any_line().await;
    assert_eq!(reply["id"], "d", "{reply}");
    assert!(reply["result"]["content"].is_array(), "{reply}");
    // One that has its answer was not cancelled.
    pipe.send(&cancel("d")).await;
    pipe.send(&call("d", "list_agents", json!({}))).await;
    let reply = pipe.any_line().await;
    assert!(reply["result"]["content"].is_array(), "{reply}");
}

#[tokio::test]
async fn an_answer_that_was_ready_when_its_request_was_cancelled_stays_away() {
    let rig = Rig::start().await;
    let mut pipe = greeted(&rig).await;
    for number in 0..100 {
        let id = format!("quick {number}");
        let list = json!({"jsonrpc": "2.0", "id": id, "method": "prompts/list"});
        pipe.text(&format!("{list}\n{}\n", cancel(&id))).await;
        if number % 3 == 0 {
            let _ = pipe.ask("ping", json!({})).await;
        }
    }
    pipe.hang_up();
    while let Some(message) = pipe.receive().await {
        pipe.aside.push(message);
    }
    // An answer that was written before the cancellation was read is no late one; here each pair is read at once.
    assert_eq!(pipe.aside, Vec::<Value>::new());
}

#[tokio::test]
async fn whole_numbers_may_be_written_with_a_point() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"message": "go", "wait_seconds": 20.0, "budget_usd": 2.0});
    let called = client.call("create_session", arguments).await;
    assert_eq!(called.structured["state"], "done", "{}", called.text);
    let refused = client.call(
        "create_session",
        json!({"message": "go", "wait_seconds": 2.5}),
    );
    let text = refused.await.err();
    assert!(
        text.contains("wait_seconds") && text.contains("a whole number"),
        "{text}"
    );
}

#[tokio::test]
async fn a_completion_for_what_is_not_offered_is_refused_with_what_is() {
    let rig = Rig::start().await;
    let complete = |reference: Value, argument: &str| json!({"ref": reference, "argument": {"name": argument, "value": ""}});
    let prompt = |name: &str| json!({"type": "ref/prompt", "name": name});
    let template = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    for (settings, reference, has) in [
        (
            "MANAGED_AGENTS_READ_ONLY=1",
            prompt("delegate"),
            "review_session.",
        ),
        ("MANAGED_AGENTS_TOOLSETS=admin", prompt("delegate"), "none."),
        (
            "MANAGED_AGENTS_READ_ONLY=0",
            template("session://{session_id}/nope"),
            "{session_id}/events",
        ),
        (
            "MANAGED_AGENTS_TOOLSETS=admin",
            template("session://{session_id}/events"),
            "none.",
        ),
    ] {
        let (name, value) = settings.split_once('=').unwrap();
        let mut pipe = rig.pipe_with(name, value);
        pipe.initialize().await;
        let refused = pipe
            .ask("completion/complete", complete(reference, "agent"))
            .await;
        assert_eq!(refused["error"]["code"], -32602, "{settings}: {refused}");
        let why = refused["error"]["message"].as_str().unwrap();
        assert!(why.contains(has), "{settings}: {why}");
    }
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn results_without_a_handshake_say_who_answered_and_lists_how_long_they_hold() {
    let rig = Rig::start().await;
    let asked = [
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        (
            "tools/call",
            json!({"name": "list_agents", "arguments": {}}),
        ),
        (
            "prompts/get",
            json!({"name": "review_session", "arguments": {"session_id": "sesn_1"}}),
        ),
    ];
    let mut pipe = rig.pipe();
    for (method, params) in &asked {
        let result = pipe.ask(method, modern(params.clone())).await;
        let is_list = method.ends_with("/list");
        assert_eq!(
            result["ttlMs"].as_u64(),
            is_list.then_some(300_000),
            "{result}"
        );
        let stamp = &result["_meta"][STAMP];
        if *method == "tools/list" {
            assert!(stamp.is_null(), "it is as long as it may be");
            continue;
        }
        assert_eq!(
            *stamp,
            json!({"name": "managed-agents-mcp", "title": "Claude Managed Agents", "version": env!("CARGO_PKG_VERSION")}),
            "{method}"
        );
    }
    let mut pipe = greeted(&rig).await;
    for (method, params) in asked {
        let id = pipe.request(method, params).await;
        let reply = pipe.reply_within(id, 5 * SECOND).await;
        assert!(reply["result"]["_meta"].is_null(), "{reply}");
        assert!(reply["result"]["ttlMs"].is_null(), "{reply}");
    }
}
