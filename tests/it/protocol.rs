//! The wire: only JSON-RPC on standard output, prompt answers, a clean start and a prompt end.

use std::time::Duration;

use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::rig::{KEY, Pipe, Rig, modern, until};

const SECOND: Duration = Duration::from_secs(1);

/// A call that waits for long; returns the request's id once the wait is on.
async fn waiting(rig: &Rig, pipe: &mut Pipe) -> u64 {
    let id = pipe
        .tool(
            "create_session",
            json!({"message": "[seconds 60] go", "wait_seconds": 40}),
        )
        .await;
    until("the stream is open", async || {
        rig.requests()
            .iter()
            .any(|request| request.path.ends_with("/stream"))
    })
    .await;
    id
}

#[tokio::test]
async fn nothing_but_the_protocol_reaches_stdout_however_much_is_logged() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_LOG", "trace");
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for (tool, arguments) in [
        (
            "create_session",
            json!({"message": "[work 3] go", "wait_seconds": 20}),
        ),
        ("get_status", json!({"session_ids": ["sesn_01nowhere"]})),
        ("create_session", json!({"mesage": "go"})),
        ("no_such_tool", json!({})),
    ] {
        let id = pipe.tool(tool, arguments).await;
        let _ = pipe.reply(id).await;
    }
    pipe.hang_up();
    // Every line up to the end is parsed on the way.
    while pipe.receive().await.is_some() {}
    assert!(pipe.exit().await.success());
    assert!(pipe.stderr.text().contains("TRACE"), "nothing was logged");
}

#[tokio::test]
async fn by_default_an_ordinary_conversation_logs_its_calls_and_nothing_else() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe
        .tool(
            "create_session",
            json!({"message": "go", "wait_seconds": 20}),
        )
        .await;
    let _ = pipe.reply(id).await;
    let id = pipe.tool("create_session", json!({"mesage": "go"})).await;
    let _ = pipe.reply(id).await;
    pipe.hang_up();
    pipe.exit().await;
    let lines = pipe.stderr.text();
    assert!(
        lines.lines().all(|line| line.contains(" AUDIT call ")),
        "{lines}"
    );
}

#[tokio::test]
async fn a_cancelled_call_gets_no_reply_and_the_next_one_is_answered_at_once() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let waiting = waiting(&rig, &mut pipe).await;
    let params = json!({"requestId": waiting, "reason": "the user changed their mind"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    pipe.send(&cancel).await;
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply_within(ping, SECOND).await;
    let listing = pipe.tool("list_sessions", json!({})).await;
    let listed = pipe.reply_within(listing, SECOND).await;
    // The work goes on: cancelling only stops the waiting.
    let state = &listed["result"]["structuredContent"]["sessions"][0]["state"];
    assert_eq!(state, "working", "{listed}");
    assert!(rig.sent_events().is_empty());
    pipe.hang_up();
    while let Some(message) = pipe.receive().await {
        pipe.aside.push(message);
    }
    assert!(
        pipe.aside.iter().all(|message| message["id"] != waiting),
        "{:?}",
        pipe.aside
    );
}

#[tokio::test]
async fn other_requests_are_answered_while_a_call_waits() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let _ = waiting(&rig, &mut pipe).await;
    for (method, params) in [
        ("ping", json!({})),
        ("tools/list", json!({})),
        (
            "tools/call",
            json!({"name": "list_agents", "arguments": {}}),
        ),
    ] {
        let id = pipe.request(method, params).await;
        let reply = pipe.reply_within(id, SECOND).await;
        assert!(reply["result"].is_object(), "{reply}");
    }
}

#[tokio::test]
async fn the_end_of_stdin_during_a_wait_ends_the_process() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let _ = waiting(&rig, &mut pipe).await;
    pipe.hang_up();
    assert!(pipe.exit().await.success());
    assert!(rig.sent_events().is_empty(), "the work goes on");
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_process_also_when_nobody_ever_answers() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    rig.always("* *", Kind::SlowHeaders { ms: 60_000 });
    pipe.tool(
        "create_session",
        json!({"message": "go", "wait_seconds": 40}),
    )
    .await;
    pipe.tool("list_agents", json!({})).await;
    until("the calls are on", async || rig.requests().len() >= 2).await;
    pipe.hang_up();
    assert!(pipe.exit().await.success());
}

#[tokio::test]
async fn an_answer_that_is_ready_when_stdin_ends_still_arrives() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe.tool("list_agents", json!({})).await;
    pipe.hang_up();
    let reply = pipe.reply(id).await;
    assert!(reply["result"]["content"].is_array(), "{reply}");
    assert!(pipe.exit().await.success());
}

#[tokio::test]
async fn stdin_that_ends_before_anything_was_said_ends_the_process() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.hang_up();
    let status = pipe.exit().await;
    assert!(status.success(), "{status}: {}", pipe.stderr.text());
}

#[tokio::test]
async fn a_closed_stdout_ends_the_process() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    pipe.stop_listening();
    // A child that another test is just starting may hold our end of the pipe for a moment, so one answer is not enough.
    until("the process ends", async || {
        pipe.has_ended_when_asked().await
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_the_settings_leave_out_is_refused_with_the_setting() {
    for (name, value, tool, why) in [
        (
            "MANAGED_AGENTS_TOOLSETS",
            "core",
            "update_agent",
            "it is in the toolset admin",
        ),
        (
            "MANAGED_AGENTS_READ_ONLY",
            "1",
            "create_agent",
            "this server is read-only",
        ),
    ] {
        let mut pipe = Rig::start().await.set(name, value).pipe();
        pipe.initialize().await;
        let id = pipe.tool(tool, json!({})).await;
        let reply = pipe.reply(id).await;
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(why) && message.contains(name), "{reply}");
    }
}

#[tokio::test]
async fn an_unknown_tool_is_refused_by_name() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe.tool("make_coffee", json!({})).await;
    let reply = pipe.reply_within(id, SECOND).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("make_coffee") || message.contains("tool not found"),
        "{reply}"
    );
}

#[tokio::test]
async fn lines_that_are_no_messages_are_survived() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    for line in ["hello", "", "{", "[]", "{\"jsonrpc\": \"2.0\"}", "\u{feff}"] {
        pipe.line(line).await;
    }
    let answer = pipe.initialize().await;
    assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
    pipe.line("and again").await;
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply_within(ping, SECOND).await;
}

#[tokio::test]
async fn a_message_in_pieces_and_two_in_one_piece_are_read() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
    pipe.line(&format!("{}\r\n{}\n", ping(901), ping(902)))
        .await;
    pipe.reply_within(901, SECOND).await;
    pipe.reply_within(902, SECOND).await;
    let large = "x".repeat(300_000);
    let id = pipe
        .tool(
            "send_message",
            json!({"session_id": "sesn_x", "message": large}),
        )
        .await;
    let reply = pipe.reply_within(id, 5 * SECOND).await;
    assert_eq!(reply["result"]["isError"], true, "{reply}");
}

#[tokio::test]
async fn both_protocols_introduce_the_same_server() {
    let rig = Rig::start().await;
    let (legacy, modern) = tokio::join!(rig.client(), rig.discovering_client());
    for client in [&legacy, &modern] {
        let server = client.server();
        let this = server.server_info.expect("who it is");
        assert_eq!(this.name, "managed-agents-mcp");
        assert_eq!(this.version, env!("CARGO_PKG_VERSION"));
        let instructions = server.instructions.expect("instructions");
        assert!(instructions.chars().count() <= 2000);
        assert!(instructions.contains("create_session"));
    }
    assert_eq!(legacy.server().protocol_version.to_string(), "2025-11-25");
    assert_eq!(modern.server().protocol_version.to_string(), "2026-07-28");
    assert_eq!(json!(legacy.tools), json!(modern.tools));
    let report = modern.create("hello", 20).await;
    assert_eq!(report["state"], "done", "{report}");
}

#[tokio::test]
async fn an_older_client_is_answered_in_its_own_version() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    let answer = pipe.initialize().await;
    assert_eq!(
        answer["result"]["protocolVersion"], "2025-06-18",
        "{answer}"
    );
}

#[tokio::test]
async fn without_a_key_the_tools_are_listed_and_each_call_names_the_variable() {
    let rig = Rig::start().await.unset("ANTHROPIC_API_KEY");
    let client = rig.client().await;
    assert!(client.tools.len() > 10);
    for (tool, arguments) in [
        ("list_agents", json!({})),
        ("create_session", json!({"message": "go"})),
        ("get_status", json!({"session_ids": ["sesn_x"]})),
        ("get_events", json!({"session_id": "sesn_x"})),
        (
            "send_message",
            json!({"session_id": "sesn_x", "message": "go"}),
        ),
    ] {
        let text = client.call(tool, arguments).await.within(SECOND).err();
        assert!(text.contains("ANTHROPIC_API_KEY"), "{tool}: {text}");
    }
    assert!(rig.requests().is_empty(), "nothing is asked without a key");
}

#[tokio::test]
async fn a_read_only_server_lists_and_runs_only_what_reads() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_READ_ONLY", "1");
    let client = rig.client().await;
    let names: Vec<&str> = client.tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert!(
        names.contains(&"get_status") && names.contains(&"get_events"),
        "{names:?}"
    );
    for name in &names {
        assert!(
            name.starts_with("get_") || name.starts_with("list_"),
            "{name}"
        );
    }
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe.tool("create_session", json!({"message": "go"})).await;
    let reply = pipe.reply(id).await;
    assert!(reply["error"].is_object(), "{reply}");
    assert!(rig.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn the_list_of_tools_never_changes() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let list = async |pipe: &mut Pipe| {
        let id = pipe.request("tools/list", json!({})).await;
        pipe.reply(id).await["result"].take()
    };
    let first = list(&mut pipe).await;
    let id = pipe
        .tool(
            "create_session",
            json!({"message": "go", "wait_seconds": 20}),
        )
        .await;
    let _ = pipe.reply(id).await;
    assert_eq!(list(&mut pipe).await, first);
}

async fn output(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = rig.command();
    command.args(arguments).stdin(std::process::Stdio::null());
    let output = tokio::time::timeout(5 * SECOND, command.output()).await;
    let output = output.expect("the process should have ended").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn a_setting_that_makes_no_sense_ends_the_process_with_one_line_that_names_it() {
    for (name, value) in [
        ("ANTHROPIC_BASE_URL", "http://example.com"),
        ("ANTHROPIC_BASE_URL", "not a url"),
        ("ANTHROPIC_VERSION", "yesterday"),
        ("ANTHROPIC_MANAGED_AGENTS_TOKEN", "tok\ntok"),
        ("MANAGED_AGENTS_BETA", "foo bar,"),
        ("MANAGED_AGENTS_BUDGET_USD", "a lot"),
        ("MANAGED_AGENTS_WAIT_SECONDS", "soon"),
        ("MANAGED_AGENTS_MAX_WAIT_SECONDS", "-1"),
        ("MANAGED_AGENTS_RESULT_CHARS", "7"),
        ("MANAGED_AGENTS_APPROVALS", "sometimes"),
        ("MANAGED_AGENTS_READ_ONLY", "perhaps"),
        ("MANAGED_AGENTS_CA_FILE", "/no/such/file.pem"),
        ("MANAGED_AGENTS_LOG", "=="),
    ] {
        let rig = Rig::start().await.set(name, value);
        let (code, stdout, stderr) = output(&rig, &[]).await;
        assert_eq!(code, Some(2), "{name}: {stderr}");
        assert_eq!(stdout, "", "{name}");
        assert!(stderr.contains(name), "{name}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{name}: {stderr}");
    }
}

#[tokio::test]
async fn what_the_simulator_does_not_use_may_make_no_sense() {
    for (name, value) in [
        #[cfg(target_os = "linux")]
        ("SSL_CERT_FILE", "/no/such/file.pem"),
        ("MANAGED_AGENTS_CA_FILE", "/no/such/file.pem"),
        ("ANTHROPIC_BASE_URL", "nonsense"),
        ("ANTHROPIC_API_KEY", "canary key"),
        ("MANAGED_AGENTS_KEY_FILE", "~/canary"),
    ] {
        let rig = Rig::start().await.unset("ANTHROPIC_BASE_URL");
        let rig = rig.set(name, value);
        let (code, _, stderr) = output(&rig, &["--simulate"]).await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
        let (code, stdout, stderr) = output(&rig, &["--simulate", "doctor"]).await;
        assert_eq!(code, Some(0), "{name}: {stdout}{stderr}");
        assert!(!stdout.contains("canary"), "{name}: {stdout}");
        let (code, _, stderr) = output(&rig, &[]).await;
        assert_eq!(code, Some(2), "{name}: {stderr}");
        assert!(!stderr.contains("canary"), "{name}: {stderr}");
    }
}

#[tokio::test]
async fn a_key_of_the_real_api_is_a_secret_before_the_simulator_too() {
    let rig = Rig::start().await.unset("ANTHROPIC_BASE_URL");
    let mut command = rig.command();
    command.arg("--simulate");
    let client = rig.client_as(command).await;
    let arguments = json!({"message": format!("the key is {KEY}")});
    let said = client.call("create_session", arguments).await.err();
    assert!(said.contains("looks like a key"), "{said}");
}

#[tokio::test]
async fn a_misspelled_setting_is_ignored_but_not_in_silence() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_READONLY", "1");
    let (code, _, stderr) = output(&rig, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("did you mean MANAGED_AGENTS_READ_ONLY?"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test]
async fn what_is_set_without_effect_is_said_and_the_server_starts() {
    for (name, value, why) in [
        (
            "MANAGED_AGENTS_WAIT_SECONDS",
            "100",
            "the longest wait is 45",
        ),
        (
            "MANAGED_AGENTS_FILE_ROOTS",
            "/no/such/folder",
            "no folder now",
        ),
        (
            "ANTHROPIC_AUTH_TOKEN",
            "canary",
            "no effect: ANTHROPIC_API_KEY goes before it",
        ),
        ("GITHUB_TOKEN", "${GITHUB_TOKEN}", "was not replaced"),
        (
            "MANAGED_AGENTS_KEY_FILE",
            "${user_config.key_file}",
            "was not replaced, and is ignored",
        ),
    ] {
        let mut command = Rig::start().await.set(name, value).command();
        command.stdin(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        let lines = child.stderr.take().unwrap();
        let mut lines = tokio::io::BufReader::new(lines);
        let line = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut said);
        tokio::time::timeout(5 * SECOND, line)
            .await
            .unwrap()
            .unwrap();
        assert!(said.contains(name) && said.contains(why), "{said}");
        drop(child.stdin.take());
        assert!(child.wait().await.unwrap().success(), "{name}");
    }
}

#[tokio::test]
async fn a_key_that_the_client_did_not_put_in_lists_the_tools_all_the_same() {
    for placeholder in ["${ANTHROPIC_API_KEY}", "$ANTHROPIC_API_KEY"] {
        let rig = Rig::start().await.set("ANTHROPIC_API_KEY", placeholder);
        let client = rig.client().await;
        assert!(!client.peer().list_all_tools().await.unwrap().is_empty());
        let said = client.call("list_agents", json!({})).await.err();
        for part in [
            "ANTHROPIC_API_KEY holds a placeholder that was not replaced",
            "MANAGED_AGENTS_KEY_FILE",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[tokio::test]
async fn the_version_and_the_help_are_printed() {
    let rig = Rig::start().await;
    let (code, stdout, _) = output(&rig, &["--version"]).await;
    let version = concat!("managed-agents-mcp ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((code, stdout.as_str()), (Some(0), version));
    let (code, stdout, _) = output(&rig, &["--help"]).await;
    assert_eq!(code, Some(0));
    assert!(stdout.contains("--simulate"), "{stdout}");
    let (code, stdout, stderr) = output(&rig, &["--no-such-option"]).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("--no-such-option"), "{stderr}");
}

#[tokio::test]
async fn simulated_work_says_so_everywhere_and_needs_neither_key_nor_network() {
    let rig = Rig::start()
        .await
        .unset("ANTHROPIC_API_KEY")
        .unset("ANTHROPIC_BASE_URL");
    let mut child = rig
        .command()
        .arg("--simulate")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let create =
        json!({"name": "create_session", "arguments": {"message": "hello", "wait_seconds": 20}});
    for (id, method, params) in [(1, "initialize", hello), (2, "tools/call", create)] {
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        if id == 1 {
            let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            stdin
                .write_all(format!("{done}\n").as_bytes())
                .await
                .unwrap();
        }
    }
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = async || {
        let line = tokio::time::timeout(20 * SECOND, lines.next_line()).await;
        let line = line.unwrap().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["result"].take()
    };
    let introduced = next().await;
    assert!(
        introduced["instructions"]
            .as_str()
            .unwrap()
            .contains("SIMULATED"),
        "{introduced}"
    );
    let called = next().await;
    assert_eq!(called["structuredContent"]["simulated"], true, "{called}");
    assert_eq!(called["structuredContent"]["state"], "done", "{called}");
    assert!(
        called["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("simulated"),
        "{called}"
    );
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn notifications_before_the_greeting_are_survived() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    for (method, params) in [
        ("notifications/initialized", json!({})),
        ("notifications/cancelled", json!({"requestId": 5})),
        ("notifications/unheard_of", json!({})),
    ] {
        pipe.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }
    let answer = pipe.initialize().await;
    assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply_within(ping, SECOND).await;
}

#[tokio::test]
async fn every_request_is_answered_however_it_is_shaped() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({"name": 7})),
        ("tools/call", json!({"name": "get_status", "arguments": []})),
        ("tools/call", json!({"name": "get_status"})),
        ("no/such/method", json!({})),
        ("tools/list", json!({"cursor": "nonsense"})),
    ] {
        let id = pipe.request(method, params.clone()).await;
        let reply = pipe.reply_within(id, SECOND).await;
        assert!(
            reply["error"].is_object() || reply["result"].is_object(),
            "{method} {params}"
        );
    }
}

#[tokio::test]
async fn a_client_that_gives_up_its_probe_and_says_so_is_greeted_all_the_same() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.line("").await;
    pipe.line("no message").await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "prober", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let probe = pipe
        .request("server/discover", json!({"_meta": meta}))
        .await;
    let given_up = json!({"requestId": probe});
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": given_up}))
        .await;
    pipe.send(&json!({"jsonrpc": "2.0", "id": 99, "result": {}}))
        .await;
    let answer = pipe.initialize().await;
    assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply_within(ping, SECOND).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_all_the_same() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let call = |id: &str, arguments: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{{\"name\":\"get_status\",\"arguments\":{arguments}}},\"id\":{id}}}"
        )
    };
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    for (id, line) in [
        (700, call("700", &deep)),
        (701, call("701", "{oops}")),
        (702, call("702", &large)),
        (703, call("703", "{}").replace("2.0", "1.0")),
    ] {
        pipe.line(&line).await;
        let reply = pipe.reply_within(id, 5 * SECOND).await;
        assert!(reply["error"]["message"].is_string(), "{reply}");
    }
    assert!(
        pipe.peak_memory() < 80 * 1024 * 1024,
        "{}",
        pipe.peak_memory()
    );
    // None of it was anything that could be logged, run, or remembered.
    let ping = pipe.request("ping", json!({})).await;
    pipe.reply_within(ping, SECOND).await;
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn a_batch_is_answered_as_one_where_the_protocol_knows_batches() {
    let rig = Rig::start().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 50, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/unheard_of"},
        {"jsonrpc": "2.0", "id": 51, "method": "tools/call", "params": {"name": "list_sessions", "arguments": {}}},
        {"jsonrpc": "2.0", "id": 52, "method": 7},
    ]);
    for (version, is_known) in [("2025-03-26", true), ("2025-06-18", false)] {
        let mut pipe = rig.pipe();
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}});
        pipe.ask("initialize", hello).await;
        pipe.send(&batch).await;
        let line = pipe.any_line().await;
        if is_known {
            let mut ids: Vec<u64> = line
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| answer["id"].as_u64().unwrap())
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, [50, 51, 52], "{line}");
            // One that only tells has no answer; the next line answers the next request.
            pipe.send(&json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]))
                .await;
        } else {
            assert_eq!(line["error"]["code"], -32600, "{line}");
        }
        let ping = pipe.request("ping", json!({})).await;
        pipe.reply_within(ping, SECOND).await;
    }
}

#[tokio::test]
async fn a_cancelled_request_does_not_hold_up_its_batch() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    let hello = json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}});
    pipe.ask("initialize", hello).await;
    let params = json!({"name": "create_session", "arguments": {"message": "[seconds 60] go", "wait_seconds": 40}});
    pipe.send(&json!([
        {"jsonrpc": "2.0", "id": 60, "method": "tools/call", "params": params},
        {"jsonrpc": "2.0", "id": 61, "method": "ping"},
    ]))
    .await;
    until("the stream is open", async || {
        rig.requests()
            .iter()
            .any(|request| request.path.ends_with("/stream"))
    })
    .await;
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 60}}))
        .await;
    let line = pipe.any_line().await;
    assert_eq!(line, json!([{"jsonrpc": "2.0", "id": 61, "result": {}}]));
}

#[tokio::test]
async fn a_request_before_the_greeting_is_refused_and_the_client_may_begin_again() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    let early = pipe.request("tools/list", json!({})).await;
    let refused = pipe.reply_within(early, SECOND).await;
    assert!(refused["error"].is_object(), "{refused}");
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": early}}))
        .await;
    let answer = pipe.initialize().await;
    assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_last_line_needs_no_end() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    pipe.text("{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\"}")
        .await;
    pipe.hang_up();
    assert_eq!(pipe.reply(77).await["result"], json!({}));
}

#[tokio::test]
async fn after_requests_without_a_handshake_there_is_none_and_the_error_says_so() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    let tools = pipe.ask("tools/list", modern(json!({}))).await;
    assert!(tools["tools"].is_array(), "{tools}");
    let refused = pipe.initialize().await;
    assert_eq!(refused["error"]["code"], -32601, "{refused}");
    let why = refused["error"]["message"].as_str().unwrap();
    assert!(why.contains("no handshake"), "{why}");
    let tools = pipe.ask("tools/list", modern(json!({}))).await;
    assert!(tools["tools"].is_array(), "{tools}");
}

#[tokio::test]
async fn an_id_that_is_in_use_takes_no_answer_away() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let arguments = json!({"message": "[seconds 1] go", "wait_seconds": 20});
    let call = pipe.tool("create_session", arguments).await;
    pipe.send(&json!({"jsonrpc": "2.0", "id": call, "method": "ping"}))
        .await;
    let reply = pipe.reply(call).await;
    let report = &reply["result"]["structuredContent"];
    assert_eq!(report["state"], "done", "{reply}");
    let error = &pipe.aside[0];
    assert_eq!(error["error"]["code"], -32600, "{error}");
    assert!(error["id"].is_null(), "{error}");
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_answered_with_those_that_are() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let call = pipe.tool("get_sesion", json!({})).await;
    let why = pipe.reply(call).await["error"]["message"].to_string();
    assert!(why.contains("`get_sesion`"), "{why}");
    assert!(why.contains("get_status, "), "{why}");
}
