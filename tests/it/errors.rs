//! Every failure says what failed, why, what to do next, and the request id: all of them in one snapshot, to be read.

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::rig::{Client, Rig, session, stable};

/// Adds a failed call to the page.
async fn note(
    page: &mut String,
    title: &str,
    client: &Client,
    tool: &'static str,
    arguments: Value,
) {
    let text = client.call(tool, arguments).await.err();
    page.push_str(&format!("## {title}\n{}\n\n", stable(&text)));
}

async fn furnished() -> Rig {
    let rig = Rig::start().await;
    for name in ["code reviewer", "code writer", "release notes"] {
        let agent = json!({"name": name, "model": "claude-sonnet-5-5", "tools": []});
        let _ = rig.api("POST", "/v1/agents", agent).await;
    }
    for name in ["rust builds", "offline"] {
        let _ = rig
            .api("POST", "/v1/environments", json!({"name": name}))
            .await;
    }
    rig
}

#[tokio::test]
async fn each_failure_is_told_in_words_that_help() {
    let mut page = String::new();
    let rig = furnished().await;
    let client = rig.client().await;

    let wrong = Rig::start().await.set("ANTHROPIC_API_KEY", "sk-ant-wrong");
    let arguments = json!({"message": "go"});
    note(
        &mut page,
        "wrong key",
        &wrong.client().await,
        "create_session",
        arguments.clone(),
    )
    .await;
    let missing = Rig::start().await.unset("ANTHROPIC_API_KEY");
    note(
        &mut page,
        "missing key",
        &missing.client().await,
        "create_session",
        arguments.clone(),
    )
    .await;

    let arguments = json!({"session_ids": ["sesn_01doesnotexist"]});
    note(
        &mut page,
        "wrong session id",
        &client,
        "get_status",
        arguments,
    )
    .await;
    let arguments = json!({"session_id": "sesn_01doesnotexist", "message": "go"});
    note(
        &mut page,
        "message to a wrong session id",
        &client,
        "send_message",
        arguments,
    )
    .await;
    let arguments = json!({"session_ids": ["../agents"]});
    note(
        &mut page,
        "id of bad shape",
        &client,
        "get_status",
        arguments,
    )
    .await;
    let arguments = json!({"mesage": "go"});
    note(
        &mut page,
        "unknown parameter",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go", "repositories": [{"url": "https://github.com/o/r", "ref": "main"}]});
    note(
        &mut page,
        "unknown parameter inside another",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go", "wait_seconds": "soon"});
    note(
        &mut page,
        "parameter of a wrong type",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go"});
    note(
        &mut page,
        "missing parameter",
        &client,
        "send_message",
        arguments,
    )
    .await;
    for (title, tool, arguments) in [
        (
            "several wrong session ids",
            "get_status",
            json!({"session_ids": ["sesn_01doesnotexist", "sesn_02doesnotexist"]}),
        ),
        (
            "word that is none of the choices",
            "resolve_action",
            json!({"session_id": "sesn_1", "decisions": [{"event_id": "sevt_1", "decision": "maybe"}]}),
        ),
        (
            "no decision",
            "resolve_action",
            json!({"session_id": "sesn_1", "decisions": []}),
        ),
        (
            "two decisions on one call",
            "resolve_action",
            json!({"session_id": "sesn_1", "decisions": [
                {"event_id": "sevt_1", "decision": "allow"}, {"event_id": "sevt_1", "decision": "deny"},
            ]}),
        ),
        (
            "allow with a condition",
            "resolve_action",
            json!({"session_id": "sesn_1", "decisions": [{"event_id": "sevt_1", "decision": "allow", "reason": "once"}]}),
        ),
        ("limit out of range", "list_agents", json!({"limit": 0})),
        (
            "wrong file id",
            "download_file",
            json!({"file_id": "file_nope", "offset": 0}),
        ),
        (
            "version that an agent does not have",
            "create_session",
            json!({"message": "go", "agent": "code reviewer", "agent_version": 9}),
        ),
        ("wrong page", "list_agents", json!({"page": "nonsense"})),
    ] {
        note(&mut page, title, &client, tool, arguments).await;
    }
    let arguments = json!({"message": "go", "outcome": {"description": "x", "rubric": "y"}});
    note(
        &mut page,
        "message and outcome",
        &client,
        "create_session",
        arguments,
    )
    .await;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nobody = Rig::start()
        .await
        .set("ANTHROPIC_BASE_URL", format!("http://{address}"));
    let arguments = json!({"message": "go", "wait_seconds": 3});
    note(
        &mut page,
        "nothing listens at the base URL",
        &nobody.client().await,
        "create_session",
        arguments,
    )
    .await;
    let website = Rig::start().await;
    website.always("* *", Kind::Garbage);
    let arguments = json!({"message": "go", "wait_seconds": 3});
    note(
        &mut page,
        "a website answers at the base URL",
        &website.client().await,
        "create_session",
        arguments,
    )
    .await;
    let prefix = Rig::start().await;
    let url = format!("{}/wrong/prefix", prefix.simulator.base_url());
    let prefix = prefix.set("ANTHROPIC_BASE_URL", url);
    let arguments = json!({"message": "go", "wait_seconds": 3});
    note(
        &mut page,
        "another path prefix is served",
        &prefix.client().await,
        "create_session",
        arguments,
    )
    .await;

    let arguments = json!({"message": "go", "agent": "code revewer"});
    note(
        &mut page,
        "agent not found by name",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go", "agent": "agent_01doesnotexist"});
    note(
        &mut page,
        "agent not found by id",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go", "agent": "code writer", "environment": "rust build"});
    note(
        &mut page,
        "environment not found by name",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments =
        json!({"message": "go", "agent": "code writer", "environment": "env_01doesnotexist"});
    note(
        &mut page,
        "environment not found by id",
        &client,
        "create_session",
        arguments,
    )
    .await;

    let working = session(&client.create("[seconds 60] go", 0).await);
    let arguments = json!({"session_id": working});
    note(
        &mut page,
        "a running session closed",
        &client,
        "close_session",
        arguments,
    )
    .await;
    let closed = session(&client.create("go", 20).await);
    let _ = client
        .call("close_session", json!({"session_id": closed}))
        .await
        .ok();
    let arguments = json!({"session_id": closed, "message": "more"});
    note(
        &mut page,
        "a message to an archived session",
        &client,
        "send_message",
        arguments,
    )
    .await;
    let arguments = json!({"session_id": closed, "title": "late"});
    note(
        &mut page,
        "an archived session updated",
        &client,
        "update_session",
        arguments,
    )
    .await;

    let arguments = json!({"message": "[budget] go", "budget_usd": 2, "wait_seconds": 20});
    let paused = session(&client.call("create_session", arguments).await.ok());
    let arguments = json!({"session_id": paused, "budget_usd": 1.5});
    note(
        &mut page,
        "a budget below what is spent",
        &client,
        "update_session",
        arguments,
    )
    .await;
    let arguments = json!({"session_id": paused, "message": "more"});
    note(
        &mut page,
        "a message to a session at its budget",
        &client,
        "send_message",
        arguments,
    )
    .await;
    let arguments = json!({"message": "go", "budget_usd": 0.001});
    note(
        &mut page,
        "a budget of less than a cent",
        &client,
        "create_session",
        arguments,
    )
    .await;
    let arguments = json!({"session_id": closed, "after": "sevt_01doesnotexist"});
    note(
        &mut page,
        "a cursor of another session",
        &client,
        "get_events",
        arguments,
    )
    .await;
    let arguments =
        json!({"message": "go", "repositories": [{"url": "https://me:pw@github.com/o/r"}]});
    note(
        &mut page,
        "a password in a repository's address",
        &client,
        "create_session",
        arguments,
    )
    .await;

    let limited = Kind::Status {
        code: 429,
        retry_after: Some("120".to_owned()),
        acting: Acting::Before,
        body: None,
    };
    rig.always("GET *", limited.clone());
    let arguments = json!({"session_ids": [closed]});
    note(
        &mut page,
        "rate limited for two minutes",
        &client,
        "get_status",
        arguments,
    )
    .await;
    rig.simulator.clear_faults();
    let overloaded = Kind::Status {
        code: 529,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    rig.always("GET *", overloaded);
    let arguments = json!({"session_ids": [closed]});
    note(
        &mut page,
        "overloaded for long",
        &client,
        "get_status",
        arguments,
    )
    .await;
    rig.simulator.clear_faults();
    rig.always("GET *", Kind::SlowHeaders { ms: 60_000 });
    let arguments = json!({"session_ids": [closed]});
    note(
        &mut page,
        "no answer at all",
        &client,
        "get_status",
        arguments,
    )
    .await;
    insta::assert_snapshot!(page);
}

#[tokio::test]
async fn the_words_of_the_api_and_its_request_id_reach_the_reader() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let body = json!({
        "type": "error", "error": {"type": "permission_error", "message": "This workspace is frozen."},
        "request_id": "req_from_the_body",
    });
    rig.always(
        "GET *",
        Kind::Status {
            code: 403,
            retry_after: None,
            acting: Acting::Before,
            body: Some(body),
        },
    );
    let text = client.call("list_agents", json!({})).await.err();
    for part in [
        "This workspace is frozen.",
        "permission_error",
        "403",
        "req_",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn hostile_words_of_a_server_are_cleaned_and_cut() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let message = format!("\u{1b}[31mred\u{202e}\u{7}{}", "long ".repeat(20_000));
    let body = json!({"type": "error", "error": {"type": "api_error", "message": message}});
    rig.always(
        "GET *",
        Kind::Status {
            code: 400,
            retry_after: None,
            acting: Acting::Before,
            body: Some(body),
        },
    );
    let text = client.call("list_agents", json!({})).await.err();
    assert!(text.len() < 5000, "{} bytes", text.len());
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
}
