//! Starting: which agent and environment a session gets, what is sent along, and what a closed session leaves.

use serde_json::{Value, json};

use crate::rig::{Rig, id, session, until};

fn agent(name: &str) -> Value {
    json!({"name": name, "model": "claude-sonnet-5-5", "tools": [{"type": "agent_toolset_20260401"}]})
}

#[tokio::test]
async fn without_names_a_default_pair_is_made_once_and_found_ever_after() {
    let rig = Rig::start().await;
    let (client, stranger) = (rig.client().await, rig.client().await);
    let first = client.create("one", 20).await;
    assert!(
        first["notes"]
            .to_string()
            .contains("managed-agents-mcp default"),
        "{first}"
    );
    let _ = (
        client.create("two", 20).await,
        stranger.create("three", 20).await,
    );
    assert_eq!(rig.bodies("POST", "/v1/agents").len(), 1);
    assert_eq!(rig.bodies("POST", "/v1/environments").len(), 1);
}

#[tokio::test]
async fn two_first_calls_at_the_same_time_make_one_default_pair() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let _ = tokio::join!(
        client.create("one", 20),
        client.create("two", 20),
        client.create("three", 20)
    );
    assert_eq!(rig.bodies("POST", "/v1/agents").len(), 1);
    assert_eq!(rig.bodies("POST", "/v1/environments").len(), 1);
    assert_eq!(rig.sessions().await, 3);
}

#[tokio::test]
async fn agents_and_environments_are_found_by_id_by_name_and_by_setting() {
    let rig = Rig::start().await;
    let (agent_id, environment_id) = rig
        .furnish(agent("Code Reviewer"), json!({"name": "rust builds"}))
        .await;
    let rig = rig
        .set("MANAGED_AGENTS_AGENT", "code reviewer")
        .set("MANAGED_AGENTS_ENVIRONMENT", &*environment_id);
    let client = rig.client().await;
    for (agent, environment) in [
        (Some("Code Reviewer"), Some("rust builds")),
        (Some("code reviewer"), Some("Rust Builds")),
        (Some(agent_id.as_str()), Some(environment_id.as_str())),
        (None, None),
    ] {
        let arguments = json!({"message": "go", "agent": agent, "environment": environment, "wait_seconds": 20});
        let mut arguments = arguments;
        arguments
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let _ = client.call("create_session", arguments).await.ok();
        let body = rig.bodies("POST", "/v1/sessions").pop().unwrap();
        assert_eq!(body["agent"], agent_id.as_str(), "{agent:?}");
        assert_eq!(
            body["environment_id"],
            environment_id.as_str(),
            "{environment:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_on_the_allow_list_is_refused_and_nothing_is_started() {
    let rig = Rig::start().await;
    let (allowed, environment) = rig.furnish(agent("allowed"), json!({"name": "e"})).await;
    let other = id(&rig.api("POST", "/v1/agents", agent("other")).await);
    let rig = rig.set("MANAGED_AGENTS_ALLOW_AGENTS", "allowed");
    let client = rig.client().await;
    for (agent, may) in [
        (Some("allowed"), true),
        (Some(&*allowed), true),
        (Some("other"), false),
        (Some(&*other), false),
        (None, false),
    ] {
        let mut arguments =
            json!({"message": "go", "environment": environment, "wait_seconds": 20});
        if let Some(agent) = agent {
            arguments["agent"] = json!(agent);
        }
        let called = client.call("create_session", arguments).await;
        assert_eq!(!called.is_error, may, "{agent:?}: {}", called.text);
    }
    assert_eq!(rig.sessions().await, 2);
}

#[tokio::test]
async fn everything_that_was_asked_for_is_sent_in_one_request() {
    let rig = Rig::start().await;
    let (agent, environment) = rig.furnish(agent("a"), json!({"name": "e"})).await;
    let file = rig.upload("notes.txt", "notes").await;
    let store = rig.api("POST", "/v1/memory_stores", json!({"name": "notes"}));
    let store = id(&store.await);
    let client = rig.client().await;
    let arguments = json!({
        "message": "go", "agent": agent, "agent_version": 1, "environment": environment, "title": "a title",
        "repositories": [{"url": "https://github.com/o/r", "branch": "main", "mount_path": "/workspace/here"}],
        "files": [{"file_id": file, "mount_path": "/mnt/x"}],
        "memory_stores": [{"memory_store_id": store, "access": "read_only", "instructions": "look"}],
        "metadata": {"ticket": "42"}, "overrides": {"model": "claude-opus-5"}, "wait_seconds": 20,
    });
    let report = client.call("create_session", arguments).await.ok();
    assert_eq!(report["title"], "a title");
    let bodies = rig.bodies("POST", "/v1/sessions");
    assert_eq!(bodies.len(), 1);
    let body = &bodies[0];
    assert_eq!(body["title"], "a title");
    assert_eq!(body["metadata"]["ticket"], "42");
    assert_eq!(
        body["agent"],
        json!({"type": "agent_with_overrides", "id": agent, "version": 1, "model": "claude-opus-5"})
    );
    assert_eq!(
        body["resources"],
        json!([
            {"type": "github_repository", "url": "https://github.com/o/r", "checkout": {"type": "branch", "name": "main"}, "mount_path": "/workspace/here"},
            {"type": "file", "file_id": file, "mount_path": "/mnt/x"},
            {"type": "memory_store", "memory_store_id": store, "access": "read_only", "instructions": "look"},
        ])
    );
    assert_eq!(body["initial_events"][0]["content"][0]["text"], "go");
    assert!(
        rig.sent_events().is_empty(),
        "the first message goes with the session"
    );
}

#[tokio::test]
async fn earlier_work_of_this_product_is_found_and_other_work_is_not_shown_as_mine() {
    let rig = Rig::start().await;
    let (agent, environment) = rig.furnish(agent("a"), json!({"name": "e"})).await;
    let foreign = json!({"agent": agent, "environment_id": environment, "title": "foreign"});
    let foreign = id(&rig.api("POST", "/v1/sessions", foreign).await);
    let client = rig.client().await;
    let mine = session(&client.create("hello", 20).await);
    let listed = client.call("list_sessions", json!({"mine": true})).await;
    assert!(
        listed.text.contains(&mine) && !listed.text.contains(&foreign),
        "{}",
        listed.text
    );
    let listed = client.call("list_sessions", json!({})).await;
    assert!(
        listed.text.contains(&mine) && listed.text.contains(&foreign),
        "{}",
        listed.text
    );
}

#[tokio::test]
async fn a_session_is_closed_as_asked_and_a_working_one_only_when_it_may_be_stopped() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for (mode, word) in [("archive", "archived"), ("delete", "deleted")] {
        let id = session(&client.create("[seconds 60] go", 0).await);
        let arguments = json!({"session_id": id, "mode": mode});
        let text = client.call("close_session", arguments).await.err();
        assert!(
            text.contains("still working") && text.contains("interrupt"),
            "{text}"
        );
        assert_eq!(client.status(&id).await["state"], "working");
        let arguments = json!({"session_id": id, "mode": mode, "interrupt": true});
        let closed = client.call("close_session", arguments).await.ok();
        assert_eq!(closed["closed"], word, "{closed}");
        let listed = client
            .call("list_sessions", json!({"include_archived": true}))
            .await;
        assert_eq!(
            listed.text.contains(&id),
            mode == "archive",
            "{}",
            listed.text
        );
    }
    let waiting = session(&client.create("[approve] go", 20).await);
    let closed = client
        .call("close_session", json!({"session_id": waiting}))
        .await
        .ok();
    assert_eq!(closed["closed"], "archived", "{closed}");
}

#[tokio::test]
async fn an_agent_and_an_environment_that_were_created_can_be_used_by_name() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"name": "careful", "system": "Be careful.", "tools": "ask"});
    let _ = client.call("create_agent", arguments).await.ok();
    let arguments = json!({"name": "closed", "networking": "limited", "allowed_hosts": ["example.com"], "packages": {"pip": ["pandas"]}});
    let _ = client.call("create_environment", arguments).await.ok();
    let body = rig.bodies("POST", "/v1/environments").pop().unwrap();
    assert_eq!(body["config"]["networking"]["type"], "limited", "{body}");
    assert!(
        body.to_string().contains("example.com") && body.to_string().contains("pandas"),
        "{body}"
    );
    let arguments = json!({"message": "[work 1] go", "agent": "careful", "environment": "closed", "wait_seconds": 20});
    let report = client.call("create_session", arguments).await.ok();
    assert_eq!(report["state"], "needs_action", "its tools ask: {report}");
    let shown = client.call("get_agent", json!({"agent": "careful"})).await;
    assert!(shown.text.contains("Be careful."), "{}", shown.text);
    let found = client
        .call("list_agents", json!({"name_contains": "CARE"}))
        .await
        .ok();
    assert_eq!(found["agents"].as_array().unwrap().len(), 1, "{found}");
}

/// As another process would, which sees only what is listed.
#[tokio::test]
async fn a_request_key_whose_session_somebody_archived_starts_another() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"message": "go", "request_key": "k", "wait_seconds": 20});
    let first = client.call("create_session", arguments.clone()).await.ok();
    let path = format!("/v1/sessions/{}", session(&first));
    // The object says so a moment after the events.
    until("the session is idle", async || {
        rig.api("GET", &path, Value::Null).await["status"] == "idle"
    })
    .await;
    rig.api("POST", &format!("{path}/archive"), Value::Null)
        .await;
    let second = client.call("create_session", arguments).await.ok();
    assert_ne!(second["session_id"], first["session_id"], "{second}");
    assert_eq!(second["state"], "done", "{second}");
}
