//! Secrets stay put: neither a key nor a token reaches a log, an error, a result or the model.

use std::time::Duration;

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::rig::{KEY, Pipe, Rig, session};

const TOKEN: &str = "ghp_canary5d20b8";

/// Everything that came out of a process, stderr included, after a run of calls of which many fail.
async fn everything_said(rig: &Rig) -> String {
    let mut pipe = rig.pipe();
    let hello = pipe.initialize().await;
    pipe.aside.push(hello);
    let call = async |pipe: &mut Pipe, tool: &str, arguments: Value| {
        let id = pipe.tool(tool, arguments).await;
        let reply = pipe.reply(id).await;
        pipe.aside.push(reply.clone());
        reply["result"]["structuredContent"].clone()
    };
    let repositories = json!([
        {"url": "https://github.com/o/private", "branch": "main"},
        {"url": "https://git.example.com/o/elsewhere"},
    ]);
    let arguments =
        json!({"message": "[work 2] go", "repositories": repositories, "wait_seconds": 20});
    let report = call(&mut pipe, "create_session", arguments).await;
    let session = report["session_id"].as_str().map(|_| session(&report));
    let session = session.unwrap_or_else(|| "sesn_01none".to_owned());
    let message = json!({"session_id": session, "message": "more", "wait_seconds": 5});
    for kind in [
        Kind::Status {
            code: 500,
            retry_after: None,
            acting: Acting::After,
            body: None,
        },
        Kind::Status {
            code: 401,
            retry_after: None,
            acting: Acting::Before,
            body: None,
        },
        Kind::Drop {
            acting: Acting::Before,
        },
        Kind::Garbage,
        Kind::CutAfterBytes { bytes: 5 },
    ] {
        rig.fault("POST */events", kind.clone());
        rig.fault("GET *", kind);
        call(&mut pipe, "send_message", message.clone()).await;
        rig.simulator.clear_faults();
    }
    for (tool, arguments) in [
        (
            "get_events",
            json!({"session_id": session, "detail": "full", "limit": 1000}),
        ),
        (
            "get_status",
            json!({"session_ids": [session, "sesn_01none"]}),
        ),
        ("list_sessions", json!({})),
        ("list_agents", json!({})),
        ("get_agent", json!({"agent": "managed-agents-mcp default"})),
        ("list_environments", json!({})),
        ("create_session", json!({"mesage": "go"})),
        (
            "close_session",
            json!({"session_id": session, "interrupt": true}),
        ),
        ("send_message", message),
    ] {
        call(&mut pipe, tool, arguments).await;
    }
    for (method, params) in [
        (
            "resources/read",
            json!({"uri": format!("session://{session}/events")}),
        ),
        (
            "resources/subscribe",
            json!({"uri": "session://sesn_01none/events"}),
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "delegate"}, "argument": {"name": "agent", "value": ""}}),
        ),
    ] {
        let answer = pipe.ask(method, params).await;
        pipe.aside.push(answer);
    }
    pipe.hang_up();
    while let Some(message) = pipe.receive().await {
        pipe.aside.push(message);
    }
    let _ = pipe.exit_within(Duration::from_secs(3)).await;
    format!("{}\n{}", json!(pipe.aside), pipe.stderr.text())
}

/// Also as it would stand in a log of bytes, or encoded.
fn assert_hidden(secret: &str, said: &str, about: &str) {
    let core = secret.rsplit(['-', '_']).next().unwrap();
    if let Some(place) = said.find(core) {
        let from = said[..place].len().saturating_sub(200);
        let excerpt: String = said.chars().skip(from).take(400).collect();
        panic!("{about}: {excerpt}");
    }
}

#[tokio::test]
async fn neither_the_key_nor_the_token_is_ever_said_at_any_level_of_logging() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_LOG", "trace")
        .set("GITHUB_TOKEN", TOKEN);
    let said = everything_said(&rig).await;
    assert!(said.contains("TRACE"), "nothing was logged");
    assert_hidden(KEY, &said, "key");
    assert_hidden(TOKEN, &said, "token");
}

#[tokio::test]
async fn the_token_goes_into_the_one_request_that_needs_it_and_to_github_only() {
    for name in ["GITHUB_TOKEN", "MANAGED_AGENTS_GITHUB_TOKEN"] {
        let rig = Rig::start().await.set(name, TOKEN);
        let _ = everything_said(&rig).await;
        let holding: Vec<_> = rig
            .requests()
            .into_iter()
            .filter(|request| format!("{request:?}").contains(TOKEN))
            .collect();
        assert_eq!(holding.len(), 1, "{name}");
        assert_eq!(
            (&*holding[0].method, &*holding[0].path),
            ("POST", "/v1/sessions")
        );
        let resources = &holding[0].body["resources"];
        assert_eq!(resources[0]["authorization_token"], TOKEN);
        assert_eq!(resources[1]["authorization_token"], Value::Null);
        assert_eq!(holding[0].body.to_string().matches(TOKEN).count(), 1);
        assert!(holding[0].query.is_empty());
    }
}

#[tokio::test]
async fn the_key_goes_into_its_header_and_nowhere_else() {
    let rig = Rig::start().await;
    let _ = everything_said(&rig).await;
    assert!(rig.requests().len() > 20);
    for mut request in rig.requests() {
        assert_eq!(request.headers.remove("x-api-key").as_deref(), Some(KEY));
        assert!(!format!("{request:?}").contains(KEY), "{request:?}");
    }
}

#[tokio::test]
async fn every_way_to_give_a_key_works_and_keeps_it() {
    let folder = std::env::temp_dir().join(format!("managed-agents-mcp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    for (name, value, header) in [
        (
            "ANTHROPIC_MANAGED_AGENTS_TOKEN",
            KEY.to_owned(),
            "x-api-key",
        ),
        ("ANTHROPIC_AUTH_TOKEN", KEY.to_owned(), "authorization"),
        (
            "MANAGED_AGENTS_KEY_FILE",
            file.display().to_string(),
            "x-api-key",
        ),
        (
            "MANAGED_AGENTS_KEY_COMMAND",
            format!("/bin/cat {}", file.display()),
            "x-api-key",
        ),
    ] {
        let rig = Rig::start()
            .await
            .unset("ANTHROPIC_API_KEY")
            .set("MANAGED_AGENTS_LOG", "trace")
            .set(name, value);
        let said = everything_said(&rig).await;
        assert!(said.contains("\"state\":\"done\""), "{name}");
        assert_hidden(KEY, &said, name);
        for request in rig.requests() {
            assert!(
                request.headers[header].ends_with(KEY),
                "{name}: {request:?}"
            );
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_server_that_repeats_the_key_in_an_error_does_not_get_it_shown() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_LOG", "trace");
    let message = format!("invalid x-api-key: {KEY}");
    let body =
        json!({"type": "error", "error": {"type": "authentication_error", "message": message}});
    rig.always(
        "* *",
        Kind::Status {
            code: 401,
            retry_after: None,
            acting: Acting::Before,
            body: Some(body),
        },
    );
    let client = rig.client().await;
    let text = client.call("list_agents", json!({})).await.err();
    assert_hidden(KEY, &text, "error");
    assert_hidden(KEY, &client.stderr.text(), "log");
}

#[tokio::test]
async fn no_tool_takes_a_secret_as_an_argument() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for tool in &client.tools {
        let schema = json!(tool.input_schema).to_string();
        for word in ["token\":", "api_key\":", "password\":", "secret\":"] {
            assert!(!schema.contains(word), "{} takes {word}", tool.name);
        }
    }
}
