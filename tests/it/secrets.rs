//! Secrets stay put: neither a key nor a token reaches a log, an error, a result or the model.

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
    let _ = pipe.exit().await;
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

/// A session whose agent was told this by somebody else, and repeated it.
async fn told(rig: &Rig, text: &str) -> String {
    let (agent, environment) = rig
        .furnish(
            json!({"name": "a", "model": "claude-sonnet-5-5"}),
            json!({"name": uuid::Uuid::new_v4().to_string()}),
        )
        .await;
    let session = rig
        .api(
            "POST",
            "/v1/sessions",
            json!({"agent": agent, "environment_id": environment}),
        )
        .await;
    let id = crate::rig::id(&session);
    say(rig, &id, text).await;
    id
}

async fn say(rig: &Rig, session: &str, text: &str) {
    let message = json!({"type": "user.message", "content": [{"type": "text", "text": text}]});
    let path = format!("/v1/sessions/{session}/events");
    rig.api("POST", &path, json!({"events": [message]})).await;
    rig.until_recorded(session, |event| {
        event["type"] == "agent.message"
            && event
                .to_string()
                .contains(text.split_whitespace().next().unwrap())
    })
    .await;
}

/// Tokens of each kind, as an agent may come across them.
fn planted() -> Vec<String> {
    let tail = "a1B2c3D4e5F6g7H8i9J0";
    let tokens = [
        "sk-ant-api03-",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "Bearer ",
    ];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{tail}\n-----END PRIVATE KEY-----");
    tokens
        .into_iter()
        .map(|beginning| format!("{beginning}{tail}"))
        .chain([pem])
        .collect()
}

#[tokio::test]
async fn what_an_agent_says_of_a_secret_is_masked_in_every_way_to_read_it() {
    let rig = Rig::start().await;
    let mut tried = 0;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for secret in planted() {
        let id = told(&rig, &format!("look: {secret} (twice {secret})")).await;
        let url = format!("session://{id}/transcript");
        for (tool, arguments) in [
            ("get_status", json!({"session_ids": [id]})),
            ("get_events", json!({"session_id": id})),
            ("get_events", json!({"session_id": id, "detail": "full"})),
        ] {
            let call = pipe.tool(tool, arguments).await;
            let reply = pipe.reply(call).await.to_string();
            assert!(
                reply.contains("look:") && reply.contains("[secret]"),
                "{reply}"
            );
            assert!(!reply.contains("a1B2c3D4e5F6g7H8i9J0"), "{secret}: {reply}");
            tried += 1;
        }
        let text = pipe
            .ask("resources/read", json!({"uri": url}))
            .await
            .to_string();
        assert!(
            text.contains("[secret]") && !text.contains("F6g7H8"),
            "{text}"
        );
        tried += 1;
    }
    assert_eq!(tried, 32, "RELIABILITY.md tells this number");
}

#[tokio::test]
async fn a_secret_of_ours_is_masked_also_in_two_halves() {
    let key = "correct-horse-battery-staple-4711";
    let rig = Rig::start()
        .await
        .set("GITHUB_TOKEN", key)
        .set("MANAGED_AGENTS_LOG", "trace");
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let (first, second) = key.split_at(17);
    let id = told(&rig, &format!("first {first}")).await;
    say(&rig, &id, &format!("{second} second")).await;
    let call = pipe
        .tool("get_events", json!({"session_id": id, "detail": "full"}))
        .await;
    let reply = pipe.reply(call).await.to_string();
    assert!(
        reply.contains("first [secret]") && reply.contains("[secret] second"),
        "{reply}"
    );
    assert!(!pipe.stderr.text().contains("correct-horse-b"));
}

#[tokio::test]
async fn an_argument_that_holds_a_secret_is_refused_and_nothing_is_sent() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let mut tried = 0;
    for secret in planted().into_iter().chain([KEY.to_owned()]) {
        let within = format!("use {secret} for it");
        for (tool, arguments) in [
            ("create_session", json!({"message": within})),
            ("create_session", json!({"message": "go", "title": within})),
            (
                "create_session",
                json!({"message": "go", "metadata": {"note": within}}),
            ),
            (
                "create_session",
                json!({"message": "go", "repositories": [{"url": format!("https://x:{secret}@github.com/o/r")}]}),
            ),
            (
                "send_message",
                json!({"session_id": "sesn_01x", "message": within}),
            ),
            (
                "resolve_action",
                json!({"session_id": "sesn_01x", "decisions": [{"event_id": "sevt_1", "decision": "deny", "reason": within}]}),
            ),
            ("create_agent", json!({"name": "a", "system": within})),
            ("get_status", json!({"session_ids": [secret]})),
        ] {
            let called = client.call(tool, arguments).await;
            let text = called.err();
            assert!(
                text.contains("looks like a key") && text.contains("Next:"),
                "{tool}: {text}"
            );
            assert!(!text.contains("a1B2c3D4"), "{text}");
            tried += 1;
        }
    }
    assert_eq!(tried, 72, "RELIABILITY.md tells this number");
    assert!(rig.requests().is_empty());
    // What only resembles one is passed on.
    let report = client
        .create(
            "the prefix is ghp_ or sk-ant-, as in ghp_xxxxxxxxxxxxxxxxxxxx",
            20,
        )
        .await;
    assert_eq!(report["state"], "done", "{report}");
}

#[tokio::test]
async fn each_call_leaves_a_line_that_says_what_it_did_and_not_what_was_said() {
    for format in ["text", "json"] {
        let rig = Rig::start().await.set("MANAGED_AGENTS_AUDIT", format);
        let client = rig.client().await;
        rig.fault(
            "GET /v1/agents*",
            Kind::Status {
                code: 500,
                retry_after: None,
                acting: Acting::Before,
                body: None,
            },
        );
        let asking = client.create("[approve] the message", 20).await;
        let id = session(&asking);
        let event = asking["pending"][0]["event_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let decisions = json!([{"event_id": event, "decision": "deny", "reason": "the reason"}]);
        client
            .call(
                "resolve_action",
                json!({"session_id": id, "decisions": decisions, "wait_seconds": 20}),
            )
            .await
            .ok();
        client
            .call("get_agent", json!({"agent": "the name"}))
            .await
            .err();
        client
            .call(
                "send_message",
                json!({"session_id": "sesn_01none", "message": "the message"}),
            )
            .await
            .err();
        let log = client.stderr.text();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 4, "{log}");
        let parts = |name: &str, value: &str| match format {
            "json" => format!("\"{name}\":\"{value}\""),
            _ => format!(" {name}={value}"),
        };
        for (line, tool, outcome) in [
            (lines[0], "create_session", "needs_action"),
            (lines[1], "resolve_action", "done"),
            (lines[2], "get_agent", "error"),
            (lines[3], "send_message", "error"),
        ] {
            assert!(
                line.contains(&parts("tool", tool)) && line.contains(&parts("outcome", outcome)),
                "{line}"
            );
            assert!(line.contains("request_id"), "{line}");
            if format == "json" {
                assert!(serde_json::from_str::<Value>(line).unwrap()["at"].is_string());
            }
        }
        let retries = match format {
            "json" => "\"retries\":1",
            _ => " retries=1",
        };
        assert!(
            lines[0].contains(&parts("session_id", &id)) && lines[0].contains(retries),
            "{log}"
        );
        assert!(lines[1].contains(&format!("deny:{event}")), "{log}");
        assert!(lines[3].contains("sesn_01none"), "{log}");
        assert!(
            !log.contains("the message")
                && !log.contains("the reason")
                && !log.contains("the name"),
            "{log}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_key_command_gets_none_of_the_secrets_and_the_process_shows_none() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = folder.path().join("key.sh");
    std::fs::write(&script, format!("env > {}\necho {KEY}\n", seen.display())).unwrap();
    let rig = Rig::start().await.set("GITHUB_TOKEN", TOKEN).set(
        "MANAGED_AGENTS_KEY_COMMAND",
        format!("/bin/sh {}", script.display()),
    );
    let client = rig.client().await;
    assert_eq!(client.create("go", 20).await["state"], "done");
    let variables = std::fs::read_to_string(seen).unwrap();
    assert!(
        !variables.contains("TOKEN=") && !variables.contains("API_KEY="),
        "{variables}"
    );
}

#[test]
fn no_value_that_holds_a_secret_shows_it() {
    use managed_agents_mcp::config::Config;
    let canaries = [
        "sk-ant-canary-7f3a91",
        "ghp_canary5d20b8",
        "pass-canary-word",
    ];
    let lookup = |name: &str| {
        let value = match name {
            "ANTHROPIC_AUTH_TOKEN" => canaries[0].to_owned(),
            "GITHUB_TOKEN" => canaries[1].to_owned(),
            "HTTPS_PROXY" => format!("http://user:{}@proxy.example", canaries[2]),
            _ => return None,
        };
        Some(value)
    };
    let config = Config::read(&lookup).unwrap();
    let server = managed_agents_mcp::bridge::Bridge::new(std::sync::Arc::new(config.clone()));
    drop(server);
    let said = format!("{config:?} {config:#?} {:?}", config.key);
    for canary in canaries {
        assert!(!said.contains(canary), "{said}");
        assert_eq!(managed_agents_mcp::secrets::mask(canary), "[secret]");
    }
}
