//! What is refused, in which order, with which words.

use managed_agents_mcp::simulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{BETA, Rig, said};

async fn bare(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = rig.http.get(format!("{}{path}", rig.simulator.base_url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_011")
    );
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn route_comes_before_key_before_beta_before_version() {
    let rig = Rig::start().await;
    let (key, beta, version) = (
        ("x-api-key", "k"),
        ("anthropic-beta", BETA),
        ("anthropic-version", "2023-06-01"),
    );
    let (status, body) = bare(&rig, "/v1/nowhere", &[]).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (404, &json!("Not found"))
    );
    let (status, body) = bare(&rig, "/v1/agents", &[beta, version]).await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    let (status, body) = bare(&rig, "/v1/agents", &[key, version]).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (404, &json!("not found"))
    );
    let (status, body) = bare(&rig, "/v1/agents", &[key, beta]).await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    assert_eq!(bare(&rig, "/v1/agents", &[key, beta, version]).await.0, 200);
}

#[tokio::test]
async fn bearer_the_newer_version_and_several_betas_work_too() {
    let rig = Rig::start().await;
    let beta = format!("files-api-2025-04-14,{BETA}");
    let headers = [
        ("authorization", "Bearer k"),
        ("anthropic-beta", beta.as_str()),
        ("anthropic-version", "2026-10-21"),
    ];
    assert_eq!(bare(&rig, "/v1/sessions", &headers).await.0, 200);
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_get_the_same_words() {
    let rig = Rig::with(Options {
        key: Some("right".into()),
        ..Options::default()
    })
    .await;
    let rest = [
        ("anthropic-beta", BETA),
        ("anthropic-version", "2023-06-01"),
    ];
    let (missing, first) = bare(&rig, "/v1/agents", &rest).await;
    let (wrong, second) = bare(
        &rig,
        "/v1/agents",
        &[rest[0], rest[1], ("x-api-key", "wrong")],
    )
    .await;
    assert_eq!((missing, wrong), (401, 401));
    assert_eq!(first["error"], second["error"]);
    assert_eq!(
        bare(
            &rig,
            "/v1/agents",
            &[rest[0], rest[1], ("x-api-key", "right")]
        )
        .await
        .0,
        200
    );
}

#[tokio::test]
async fn deleting_an_agent_wants_the_older_header_alone() {
    let rig = Rig::start().await;
    let path = format!("{}/v1/agents/{}", rig.simulator.base_url(), rig.agent);
    for (beta, status) in [
        (BETA.to_owned(), 404),
        (format!("{BETA},agent-api-2026-03-01"), 400),
        ("agent-api-2026-03-01".to_owned(), 200),
    ] {
        let request = rig
            .http
            .delete(&path)
            .header("x-api-key", "k")
            .header("anthropic-version", "2023-06-01");
        assert_eq!(
            request
                .header("anthropic-beta", beta)
                .send()
                .await
                .unwrap()
                .status(),
            status
        );
    }
}

#[tokio::test]
async fn unknown_ids_are_named() {
    let rig = Rig::start().await;
    for path in [
        "agents/agent_x",
        "environments/env_x",
        "sessions/sesn_x",
        "sessions/sesn_x/events/stream",
    ] {
        let (status, why) = rig.refusal(Method::GET, &format!("/v1/{path}"), None).await;
        assert_eq!(status, 404);
        assert!(why.contains("_x"), "{why}");
    }
}

#[tokio::test]
async fn broken_bodies_are_refused() {
    let rig = Rig::start().await;
    let broken = rig
        .request(Method::POST, "/v1/agents")
        .body("{\"name\":")
        .send()
        .await
        .unwrap();
    assert_eq!(broken.status(), 400);
    let large = vec![b' '; (32 << 20) + 1];
    let large = rig
        .request(Method::POST, "/v1/agents")
        .body(large)
        .send()
        .await
        .unwrap();
    assert_eq!(large.status(), 413);
    let body: Value = large.json().await.unwrap();
    assert_eq!(body["error"]["type"], "request_too_large");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let (agents, sessions) = ("/v1/agents".to_owned(), "/v1/sessions".to_owned());
    let events = format!("/v1/sessions/{session}/events");
    let agent = |more: Value| merged(json!({"name": "n", "model": "claude-sonnet-5-5"}), more);
    let start = |more: Value| {
        merged(
            json!({"agent": rig.agent, "environment_id": rig.environment}),
            more,
        )
    };
    let pairs: Value = (0..17)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let cases = [
        (&agents, json!({"model": "m"}), "name"),
        (&agents, agent(json!({"colour": "red"})), "colour"),
        (&agents, agent(json!({"name": "x".repeat(257)})), "name"),
        (
            &agents,
            agent(json!({"system": "x".repeat(100_001)})),
            "system",
        ),
        (
            &agents,
            agent(json!({"description": "x".repeat(2049)})),
            "description",
        ),
        (&agents, agent(json!({"metadata": pairs})), "metadata"),
        (&agents, agent(json!({"metadata": {"k": 1}})), "metadata.k"),
        (
            &agents,
            agent(json!({"tools": [{"type": "teapot"}]})),
            "tools.0.type",
        ),
        (
            &agents,
            agent(json!({"mcp_servers": [{"type": "url", "name": "s", "url": "https://s"}]})),
            "mcp_servers",
        ),
        (&sessions, start(json!({"task": "t"})), "task"),
        (
            &sessions,
            start(json!({"initial_events": [{"type": "user.interrupt"}]})),
            "initial_events.0.type",
        ),
        (
            &sessions,
            start(json!({"resources": [{"type": "github_repository"}]})),
            "resources.0.url",
        ),
        (
            &sessions,
            start(json!({"agent": {"type": "agent", "id": rig.agent, "model": "m"}})),
            "agent.model",
        ),
        (&events, json!({"events": []}), "events"),
        (&events, json!({"events": [said("x")], "wait": 3}), "wait"),
        (
            &events,
            json!({"events": [{"type": "user.shout"}]}),
            "events.0.type",
        ),
        (
            &events,
            json!({"events": [merged(said("x"), json!({"id": "sevt_1"}))]}),
            "events.0.id",
        ),
        (
            &events,
            json!({"events": [{"type": "user.message", "content": "hello"}]}),
            "events.0.content",
        ),
        (
            &events,
            json!({"events": [{"type": "user.define_outcome", "description": "d"}]}),
            "events.0.rubric",
        ),
    ];
    for (path, body, field) in cases {
        let (status, why) = rig.refusal(Method::POST, path, Some(body.clone())).await;
        assert_eq!(status, 400, "{body}");
        assert!(why.starts_with(field), "{why} does not name {field}");
    }
    let (status, why) = rig
        .refusal(Method::GET, &format!("{events}?after_id=sevt_1"), None)
        .await;
    assert_eq!((status, why.starts_with("after_id")), (400, true));
}

fn merged(mut value: Value, more: Value) -> Value {
    value
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    value
}
