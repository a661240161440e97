//! Much at once: more calls than anybody means, more sessions than there are descriptors, sixty lines that break together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use managed_agents_mcp::api::{Client, Id};
use managed_agents_mcp::bridge::follow::Follow;
use managed_agents_mcp::bridge::{Attention, Patience};
use managed_agents_mcp::config::Config;
use managed_agents_mcp::session::turn::{Asked, State};
use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::rig::{GRACE, KEY, Rig, id, session, until};

/// Sessions at work, made by somebody else.
async fn working(rig: &Rig, count: usize, task: &str) -> Vec<String> {
    let (agent, environment) = rig
        .furnish(
            json!({"name": "a", "model": "claude-sonnet-5-5"}),
            json!({"name": "e"}),
        )
        .await;
    let body = json!({"agent": agent, "environment_id": environment});
    let message = json!({"type": "user.message", "content": [{"type": "text", "text": task}]});
    let made = (0..count).map(async |_| {
        let session = id(&rig.api("POST", "/v1/sessions", body.clone()).await);
        let path = format!("/v1/sessions/{session}/events");
        rig.api("POST", &path, json!({"events": [message]})).await;
        session
    });
    join_all(made).await
}

#[tokio::test]
async fn a_flood_of_calls_is_answered_one_by_one_in_little_memory() {
    const CALLS: u64 = 2_000;
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let call = pipe.tool("list_agents", json!({})).await;
    pipe.reply(call).await;
    let before = pipe.peak_memory();
    rig.always("GET /v1/agents*", Kind::SlowHeaders { ms: 1000 });
    let calls = (0..CALLS).map(|number| {
        let params = json!({"name": "list_agents", "arguments": {}});
        json!({"jsonrpc": "2.0", "id": 100_000 + number, "method": "tools/call", "params": params})
    });
    let mut answers: HashMap<u64, u32> = HashMap::new();
    let mut refused = 0;
    for answer in pipe.flood(calls.collect()).await {
        *answers.entry(answer["id"].as_u64().unwrap()).or_default() += 1;
        let result = &answer["result"];
        if let Some(busy) = answer["error"]["message"].as_str() {
            assert!(busy.contains("at once"), "{busy}");
            refused += 1;
            continue;
        }
        let text = result["content"][0]["text"].as_str().unwrap();
        if text.contains("at once") {
            assert!(text.contains("Next:"), "{text}");
            refused += 1;
        } else {
            assert!(
                result["structuredContent"]["agents"].is_array() || text.contains("rate limit"),
                "{text}"
            );
        }
    }
    assert_eq!(answers.len() as u64, CALLS);
    assert!(answers.values().all(|count| *count == 1));
    assert!(refused > CALLS / 2, "{refused}");
    let grown = pipe.peak_memory() - before;
    assert!(grown < 40_000_000, "{grown}");
    rig.simulator.clear_faults();
    let call = pipe.tool("list_sessions", json!({})).await;
    let reply = pipe.reply(call).await;
    assert!(
        reply["result"]["structuredContent"]["sessions"].is_array(),
        "{reply}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn more_sessions_than_streams_are_followed_all_the_same() {
    let rig = Rig::paced(Duration::from_millis(100)).await;
    let ids = working(&rig, 50, "[work 8] go").await;
    let mut command = Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_managed-agents-mcp");
    command
        .args(["-c", "ulimit -n 80 && exec \"$0\"", binary])
        .env_clear()
        .kill_on_drop(true);
    rig.settings().for_each(|(name, value)| {
        command.env(name, value);
    });
    let client = rig.client_as(command).await;
    let arguments = json!({"session_ids": ids, "wait_seconds": 3, "until": "all"});
    let crowded = client
        .call("get_status", arguments)
        .await
        .within(Duration::from_secs(3) + GRACE)
        .ok();
    assert_eq!(crowded["failures"], json!([]));
    let arguments = json!({"session_ids": ids, "wait_seconds": 40, "until": "all"});
    let stands = client.call("get_status", arguments).await.ok();
    assert_eq!(all_are(&stands, "done"), 50);
    // Forty lines at once, and looks for the others.
    let open = rig
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/stream"))
        .count();
    assert!(open >= 40, "{open}");
}

/// How many sessions there are, all of which must stand so.
fn all_are(stands: &Value, state: &str) -> usize {
    let reports = stands["sessions"].as_array().unwrap();
    assert!(
        reports.iter().all(|report| report["state"] == state),
        "not {state}"
    );
    let others: Vec<&str> = stands["others"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| line.as_str().unwrap())
        .collect();
    let end = format!(": {state}");
    assert!(others.iter().all(|line| line.ends_with(&end)), "{others:?}");
    reports.len() + others.len()
}

/// Passes connections on, until all of them break together.
pub(crate) struct Lines {
    pub(crate) url: String,
    /// The network is gone.
    down: Arc<AtomicBool>,
    open: Arc<Mutex<JoinSet<()>>>,
    _accepting: JoinSet<()>,
}

impl Lines {
    pub(crate) async fn to(target: &str) -> Lines {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let open = Arc::new(Mutex::new(JoinSet::new()));
        let into = Arc::clone(&open);
        let down = Arc::new(AtomicBool::new(false));
        let no_more = Arc::clone(&down);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if no_more.load(Ordering::Relaxed) {
                    continue;
                }
                let target = target.clone();
                into.lock().unwrap().spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Lines {
            url,
            down,
            open,
            _accepting: accepting,
        }
    }

    /// Takes the network away, or gives it back.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
        if down {
            self.cut();
        }
    }

    pub(crate) fn cut(&self) {
        self.open.lock().unwrap().abort_all();
    }
}

#[tokio::test]
async fn sixty_lines_that_break_together_are_mended_within_the_rate_and_the_wait() {
    const WAIT: u64 = 12;
    let rig = Rig::start().await;
    let ids = working(&rig, 60, "[seconds 100] go").await;
    let lines = Lines::to(rig.simulator.base_url()).await;
    let client = rig.client_through(&lines.url).await;
    let streams = || {
        rig.requests()
            .iter()
            .filter(|request| request.path.ends_with("/stream"))
            .count()
    };
    let began = Instant::now();
    let waits = ids.chunks(30).map(async |ids| {
        let arguments = json!({"session_ids": ids, "wait_seconds": WAIT, "until": "all"});
        client.call("get_status", arguments).await
    });
    let breaking = async {
        until("all streams are open", async || streams() >= 60).await;
        let before = rig.requests().len();
        lines.cut();
        until("all streams are open again", async || streams() >= 120).await;
        rig.requests().len() - before
    };
    let (calls, mending) = tokio::join!(join_all(waits), breaking);
    for called in calls {
        let stands = called.within(Duration::from_secs(WAIT) + GRACE).ok();
        assert_eq!(stands["failures"], json!([]));
        assert_eq!(all_are(&stands, "working"), 30);
        let mut reports = stands["sessions"].as_array().unwrap().iter();
        let note = reports.find(|report| !report["notes"].is_null());
        assert!(note.is_none(), "{:?}", note.map(|report| &report["notes"]));
    }
    // A stream and a list for each, and few looks besides.
    assert!(mending <= 180, "{mending}");
    let all = rig.requests().len();
    assert!(all <= 600, "{all} requests in {:?}", began.elapsed());
}

/// Answers every request, except for streams where only these are harmed, with a beginning and then bytes without end.
async fn pour(mut connection: TcpStream, answer: &str, only_streams: bool) -> std::io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    while connection.read(&mut request).await? > 0 {
        let text = String::from_utf8_lossy(&request).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        if only_streams && !path.ends_with("/stream") {
            let body = match path.contains("/events") {
                true => json!({"data": [], "next_page": null}),
                false => json!({"id": "sesn_01x", "status": "running"}),
            };
            let body = body.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            connection
                .write_all(format!("{head}{body}").as_bytes())
                .await?;
            continue;
        }
        connection.write_all(answer.as_bytes()).await?;
        let endless = "x".repeat(64 * 1024);
        loop {
            connection.write_all(endless.as_bytes()).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn answers_without_end_are_left_in_little_memory() {
    for (answer, only_streams) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"data\":[\"",
            false,
        ),
        ("HTTP/1.1 503 Busy\r\n\r\n", false),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ",
            true,
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(async move { pour(connection, answer, only_streams).await });
            }
        });
        let rig = Rig::start().await;
        let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
        pipe.initialize().await;
        let before = pipe.peak_memory();
        let call = pipe
            .tool(
                "get_status",
                json!({"session_ids": ["sesn_01x"], "wait_seconds": 3}),
            )
            .await;
        let reply = pipe
            .reply_within(call, Duration::from_secs(3) + GRACE)
            .await;
        assert!(reply["result"]["content"][0]["text"].is_string(), "{reply}");
        let grown = pipe.peak_memory() - before;
        assert!(grown < 40_000_000, "{answer}: {grown}");
    }
}

#[tokio::test]
async fn fifty_answers_without_end_are_read_a_few_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"data\":[\"";
    serving.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { pour(connection, endless, false).await });
        }
    });
    let rig = Rig::start().await;
    let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
    pipe.initialize().await;
    let before = pipe.peak_memory();
    let ids: Vec<String> = (0..50).map(|number| format!("sesn_{number}")).collect();
    let arguments = json!({"session_ids": ids, "wait_seconds": 3});
    let call = pipe.tool("get_status", arguments).await;
    let reply = pipe
        .reply_within(call, Duration::from_secs(3) + GRACE)
        .await;
    assert!(reply["result"]["content"][0]["text"].is_string(), "{reply}");
    let grown = pipe.peak_memory() - before;
    assert!(grown < 200_000_000, "{grown}");
}

/// Answers everything with this body.
async fn serve(body: String) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = Arc::new(answer);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = vec![0; 8192];
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|count| count > 0)
                {
                    let _ = connection.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (url, serving)
}

#[tokio::test]
async fn many_values_in_few_bytes_take_no_more_memory_than_others() {
    let event = format!(
        "{{\"id\":\"e1\",\"type\":\"agent.tool_use\",\"processed_at\":null,\"input\":[{}{{}}]}}",
        "{},".repeat(300_000)
    );
    for (tool, arguments, body) in [
        (
            "list_sessions",
            json!({}),
            format!("{{\"data\":[{}{{}}]}}", "{},".repeat(2_000_000)),
        ),
        (
            "list_agents",
            json!({}),
            format!("{{\"data\":[{}{{}}]}}", "{},".repeat(100_000)),
        ),
        (
            "get_agent",
            json!({"agent": "agent_1"}),
            format!(
                "{{\"id\":\"agent_1\",\"tools\":[{}{{}}]}}",
                "{},".repeat(2_000_000)
            ),
        ),
        (
            "get_events",
            json!({"session_id": "sesn_1"}),
            format!("{{\"id\":\"sesn_1\",\"status\":\"idle\",\"data\":[{event}]}}"),
        ),
    ] {
        let (url, _serving) = serve(body).await;
        let rig = Rig::start().await;
        let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
        pipe.initialize().await;
        let before = pipe.peak_memory();
        let call = pipe.tool(tool, arguments).await;
        let reply = pipe.reply_within(call, Duration::from_secs(50)).await;
        assert!(reply["result"]["content"][0]["text"].is_string(), "{reply}");
        let grown = pipe.peak_memory() - before;
        assert!(grown < 100_000_000, "{tool}: {grown}");
    }
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let before = pipe.peak_memory();
    let arguments = json!({"metadata": vec![json!({}); 4_000_000]});
    let call = pipe.tool("create_session", arguments).await;
    let reply = pipe.reply_within(call, Duration::from_secs(20)).await;
    assert!(
        reply["error"]["message"].to_string().contains("values"),
        "{reply}"
    );
    assert!(pipe.peak_memory() - before < 60_000_000);
}

/// Lines that drip hold nobody up whose line does not.
#[tokio::test]
async fn large_answers_that_come_slowly_let_others_pass() {
    let rig = Rig::start().await;
    let report = rig.client().await.create("[big 10 60] go", 40).await;
    let fine = session(&report);
    let slow: Vec<String> = (0..6).map(|number| format!("sesn_slow{number}")).collect();
    let target = rig
        .simulator
        .base_url()
        .trim_start_matches("http://")
        .to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let target = target.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 8192];
                let count = connection.peek(&mut request).await.unwrap_or(0);
                if !String::from_utf8_lossy(&request[..count]).contains("sesn_slow") {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut connection, &mut server).await;
                    return;
                }
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
                let _ = connection.write_all(head.as_bytes()).await;
                std::future::pending::<()>().await;
            });
        }
    });
    let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
    pipe.initialize().await;
    let arguments = json!({"session_ids": slow, "wait_seconds": 30});
    let stuck = pipe.tool("get_status", arguments).await;
    let arguments = json!({"session_ids": [fine], "wait_seconds": 5});
    let call = pipe.tool("get_status", arguments).await;
    let reply = pipe
        .reply_within(call, Duration::from_secs(5) + GRACE)
        .await;
    let report = &reply["result"]["structuredContent"]["sessions"][0];
    assert_eq!(report["state"], "done", "{reply}");
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": stuck}}))
        .await;
}

#[tokio::test]
async fn what_the_client_cancelled_takes_no_place_from_what_it_asks_next() {
    let rig = Rig::start().await;
    let session = session(&rig.client().await.create("quick", 20).await);
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let uri = format!("session://{session}/transcript");
    rig.always("GET */events", Kind::SlowHeaders { ms: 30_000 });
    for _ in 0..400 {
        let read = pipe.request("resources/read", json!({"uri": uri})).await;
        let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": read}});
        pipe.send(&cancelled).await;
    }
    rig.simulator.clear_faults();
    let read = pipe.request("resources/read", json!({"uri": uri})).await;
    let reply = pipe.reply_within(read, Duration::from_secs(5)).await;
    assert!(
        reply["result"]["contents"][0]["text"].is_string(),
        "{reply}"
    );
}

/// A session whose agent says fifty megabytes, in the list as in the stream.
async fn say_too_much(mut connection: TcpStream) -> std::io::Result<()> {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 50 * 1024 * 1024 / PIECE;
    let mut head = vec![0; 16 * 1024];
    let count = connection.read(&mut head).await?;
    let head = String::from_utf8_lossy(&head[..count]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let json = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n";
    let frames = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
    let words = r#"{"id":"sevt_2","type":"agent.message","processed_at":"2026-11-01T00:00:01Z","content":[{"type":"text","text":""#;
    let asked = r#"{"id":"sevt_1","type":"user.message","processed_at":"2026-11-01T00:00:00Z","content":[{"type":"text","text":"go"}]}"#;
    let idle = r#"{"id":"sevt_3","type":"session.status_idle","processed_at":"2026-11-01T00:00:02Z","stop_reason":{"type":"end_turn"}}"#;
    let (begin, end) = if path.contains("/events/stream") {
        (format!("{frames}data: {words}"), "\"}]}\n\n".to_owned())
    } else if path.contains("/events") {
        let (first, last) = if path.contains("order=desc") {
            (idle, asked)
        } else {
            (asked, idle)
        };
        (
            format!("{json}{{\"data\":[{first},{words}"),
            format!("\"}}]}},{last}],\"next_page\":null}}"),
        )
    } else {
        let session = r#"{"id":"sesn_1","status":"idle","title":null}"#;
        return connection
            .write_all(format!("{json}{session}").as_bytes())
            .await;
    };
    connection.write_all(begin.as_bytes()).await?;
    for _ in 0..PIECES {
        connection.write_all(&[b'x'; PIECE]).await?;
    }
    connection.write_all(end.as_bytes()).await
}

#[tokio::test]
async fn a_message_of_fifty_megabytes_is_a_clear_failure_in_time_and_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(say_too_much(connection));
        }
    });
    let rig = Rig::start().await;
    let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
    pipe.initialize().await;
    let before = pipe.peak_memory();
    for (tool, arguments, wait) in [
        (
            "get_status",
            json!({"session_ids": ["sesn_1"], "wait_seconds": 3}),
            3,
        ),
        ("get_status", json!({"session_ids": ["sesn_1"]}), 0),
        (
            "get_events",
            json!({"session_id": "sesn_1", "wait_seconds": 2}),
            2,
        ),
        (
            "get_events",
            json!({"session_id": "sesn_1", "event_id": "sevt_2"}),
            0,
        ),
    ] {
        let call = pipe.tool(tool, arguments).await;
        let reply = pipe
            .reply_within(call, Duration::from_secs(wait) + GRACE)
            .await;
        let text = reply["result"]["content"][0]["text"].as_str().unwrap();
        assert!(crate::rig::length(text) <= crate::rig::BUDGET, "{tool}");
        // A machine that is busy has no time to find out.
        let is_clear = ["larger than 16 MiB", "within the time allowed"];
        assert!(
            is_clear.iter().any(|why| text.contains(why)),
            "{tool}: {text}"
        );
        assert!(text.contains("\nNext: "), "{tool}: {text}");
    }
    let grown = pipe.peak_memory() - before;
    assert!(grown < 64_000_000, "{grown}");
}

/// Events that nobody has seen before, without end: page after page, or over the stream.
async fn tell(mut connection: TcpStream, over_stream: bool) -> std::io::Result<()> {
    let text = "words ".repeat(100);
    let event = || {
        let id = format!("sevt_{:x}", fastrand::u128(..));
        json!({"id": id, "type": "agent.message", "content": [{"type": "text", "text": text}], "processed_at": "2026-11-01T10:00:00Z"})
    };
    let mut request = vec![0; 16 * 1024];
    loop {
        let count = connection.read(&mut request).await?;
        let asked = String::from_utf8_lossy(&request[..count]).into_owned();
        let path = asked.split(' ').nth(1).unwrap_or_default();
        if path.ends_with("/stream") && over_stream {
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                .await?;
            loop {
                let frames: String = (0..200).map(|_| format!("data: {}\n\n", event())).collect();
                connection.write_all(frames.as_bytes()).await?;
                breathe().await;
            }
        }
        let body = match path.contains("/events?") {
            true if over_stream => json!({"data": [event()], "next_page": null}),
            true => {
                let page: Vec<Value> = (0..1000).map(|_| event()).collect();
                json!({"data": page, "next_page": format!("page_{:x}", fastrand::u128(..))})
            }
            false => json!({"id": "sesn_01x", "status": "running"}),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        connection
            .write_all(format!("{head}{body}").as_bytes())
            .await?;
        breathe().await;
    }
}

/// Without end need not be without a pause: the other tests want some of the processor.
async fn breathe() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}

#[tokio::test]
async fn news_without_end_is_followed_in_little_memory() {
    for over_stream in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(async move { tell(connection, over_stream).await });
            }
        });
        let rig = Rig::start().await;
        let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
        pipe.initialize().await;
        let before = pipe.peak_memory();
        let arguments = json!({"session_ids": ["sesn_01x"], "wait_seconds": 4});
        let call = pipe.tool("get_status", arguments).await;
        // When it ends is a figure of the release build; here it ends.
        let reply = pipe.reply(call).await;
        assert!(reply.to_string().contains("working"), "{reply}");
        let grown = pipe.peak_memory() - before;
        assert!(grown < 45_000_000, "over a stream: {over_stream}: {grown}");
    }
}

#[tokio::test]
async fn a_session_among_very_many_is_told_like_any_other() {
    const OTHERS: usize = 5_000;
    const CALLS: usize = 120;
    let rig = Rig::start().await;
    let task = format!("[work {CALLS}] {}", "a long task ".repeat(2_000));
    let session = working(&rig, 1, &task).await.remove(0);
    let settings = |name: &str| match name {
        "ANTHROPIC_BASE_URL" => Some(rig.simulator.base_url().to_owned()),
        "ANTHROPIC_API_KEY" => Some(KEY.to_owned()),
        _ => None,
    };
    let client = Client::new(Arc::new(Config::read(&settings).unwrap()));
    let told = async || {
        let end = Instant::now() + Duration::from_secs(60);
        let patience = Patience {
            until: end,
            deadline: end + GRACE,
            note: None,
        };
        let id = Id::parse(&session).unwrap();
        let mut follow = Follow::new(&client, patience.deadline, &id, Asked::default());
        let attention = Attention::none();
        follow.finish(&patience, &attention).await.unwrap();
        let progress = attention.progress.borrow().clone();
        (follow.report(), progress, follow.history().events().len())
    };
    let (alone, progress, kept) = told().await;
    let others: Vec<_> = (0..OTHERS).map(|_| client.keep_record()).collect();
    let (among, same_progress, fewer) = told().await;
    drop(others);
    assert!(fewer < kept / 2, "{fewer} of {kept} are kept");
    assert!(
        progress.contains(&format!("{CALLS} tool calls")),
        "{progress}"
    );
    assert_eq!(progress, same_progress);
    assert_eq!((alone.state, &alone.reply), (among.state, &among.reply));
    assert_eq!(alone.state, State::Done);
    assert!(among.reply.is_some());
    assert_eq!(alone.activity.last(), among.activity.last());
}
