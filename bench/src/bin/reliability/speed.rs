//! How fast an event is told, and how fast a stream is read, from a server that does nothing but write.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use managed_agents_mcp::api::stream::Frame;
use managed_agents_mcp::api::{Client, Id};
use managed_agents_mcp::config::Config;
use managed_agents_mcp::session::history::History;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{Row, Run};

const SESSION: &str = "sesn_01figures";
const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: ";

/// Answers calls, and returns the connection on which a stream was opened.
async fn stream(listener: &TcpListener) -> Result<TcpStream> {
    loop {
        let (mut connection, _) = listener.accept().await?;
        let mut request = vec![0; 16 * 1024];
        let count = connection.read(&mut request).await?;
        let request = String::from_utf8_lossy(request.get(..count).unwrap_or_default()).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        if path.ends_with("/events/stream") {
            connection.write_all(format!("{HEAD}text/event-stream\r\n\r\n").as_bytes()).await?;
            return Ok(connection);
        }
        answer(connection, path).await?;
    }
}

async fn answer(mut connection: TcpStream, path: &str) -> Result<()> {
    let question = json!({"id": "sevt_0", "type": "user.message", "content": [{"type": "text", "text": "go"}], "processed_at": "2026-01-01T00:00:00Z"});
    let body = if path.contains("/events") {
        json!({"data": [question], "next_page": null})
    } else {
        json!({"id": SESSION, "status": "running"})
    };
    let body = body.to_string();
    let head = format!("{HEAD}application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(connection.shutdown().await?)
}

fn frame(number: u64, padding: usize) -> Vec<u8> {
    let input = json!({"command": format!("echo n{number}"), "note": "x".repeat(padding)});
    let event = json!({"id": format!("sevt_{number:08}"), "type": "agent.tool_use", "name": "bash", "input": input, "processed_at": "2026-01-01T00:00:01Z"});
    format!("event: agent.tool_use\ndata: {event}\n\n").into_bytes()
}

/// A process that speaks to a server of ours, greeted.
struct Served {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Served {
    async fn start(binary: &Path, listener: &TcpListener) -> Result<Served> {
        let mut server = Command::new(binary);
        server.env_clear().env("ANTHROPIC_API_KEY", "figures").kill_on_drop(true);
        server.env("ANTHROPIC_BASE_URL", format!("http://{}", listener.local_addr()?));
        server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = server.spawn()?;
        let input = child.stdin.take().context("no input")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut served = Served { child, input, lines };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "figures", "version": "1"}});
        served.write(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})).await?;
        served.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        served.lines.next_line().await?.context("no greeting")?;
        Ok(served)
    }

    async fn write(&mut self, message: &Value) -> Result<()> {
        Ok(self.input.write_all(format!("{message}\n").as_bytes()).await?)
    }

    async fn wait_for_session(&mut self, id: u64) -> Result<()> {
        let wait = json!({"name": "get_status", "arguments": {"session_ids": [SESSION], "wait_seconds": 45}, "_meta": {"progressToken": 1}});
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": wait})).await
    }

    fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().context("no process")?))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM")).context("no such line")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? * 1024)
    }
}

/// From the notification that a call is cancelled to the close of the stream that its wait held open.
pub(crate) async fn cancelling(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(100);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut delays = Vec::new();
    for _ in 0..count {
        let mut served = Served::start(&run.binary, &listener).await?;
        served.wait_for_session(2).await?;
        let mut connection = stream(&listener).await?;
        let written = Instant::now();
        served.write(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})).await?;
        while connection.read(&mut [0; 1024]).await? > 0 {}
        delays.push(written.elapsed());
    }
    delays.sort_unstable();
    let worst = delays.last().copied().unwrap_or_default().as_secs_f64() * 1000.0;
    let median = delays.get(delays.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    Ok(vec![Row {
        figure: format!("cancel to end of wait, worst of {count}"),
        target: "< 100 ms",
        measured: format!("{worst:.2} ms (median {median:.2} ms)"),
        reached: worst < 100.0,
    }])
}

/// Calls without waiting, to an API that never answers.
pub(crate) async fn flooding(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(10_000);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut served = Served::start(&run.binary, &listener).await?;
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let before = served.peak_memory()?;
    let call = json!({"name": "list_agents", "arguments": {}});
    let lines: String = (0..count)
        .map(|id| format!("{}\n", json!({"jsonrpc": "2.0", "id": 10 + id, "method": "tools/call", "params": call})))
        .collect();
    let mut input = served.input;
    let writing = tokio::spawn(async move { input.write_all(lines.as_bytes()).await.map(|()| input) });
    // All but those that run get their answer at once.
    let (mut answered, mut odd) = (0_u64, 0_u64);
    while answered + 256 < count {
        let line = served.lines.next_line().await?.context("the server ended")?;
        answered += 1;
        odd += u64::from(!line.contains("at once"));
    }
    served.input = writing.await??;
    served.write(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await?;
    let pong = served.lines.next_line().await?.context("the server ended")?;
    let grown = served.peak_memory()?.saturating_sub(before);
    held.abort();
    Ok(vec![Row {
        figure: format!("{count} calls at once: most memory above the start"),
        target: "< 40 MB, each beyond 256 refused",
        measured: format!("{:.1} MB, {answered} refused, {odd} in another way", grown as f64 / 1e6),
        reached: grown < 40_000_000 && odd == 0 && pong.contains("result"),
    }])
}

/// From the write of an event to the progress notification that tells of it.
pub(crate) async fn telling(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(2000);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut served = Served::start(&run.binary, &listener).await?;
    served.wait_for_session(2).await?;
    let mut connection = stream(&listener).await?;
    // Looks at the list go on meanwhile.
    tokio::spawn(async move { while let Ok(another) = stream(&listener).await { drop(another) } });
    connection.set_nodelay(true)?;
    let mut delays = Vec::new();
    for number in 1..=count {
        let written = Instant::now();
        connection.write_all(&frame(number, 0)).await?;
        let told = format!("echo n{number} ");
        loop {
            let line = served.lines.next_line().await?.context("the server ended")?;
            let message: Value = serde_json::from_str(&line)?;
            ensure!(message["id"] != 2, "the wait ended: {line}");
            let text = message["params"]["message"].as_str().unwrap_or_default();
            if format!("{text} ").contains(&told) {
                break;
            }
        }
        delays.push(written.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    delays.sort_unstable();
    let at = |part: usize| delays.get((delays.len() - 1) * part / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    Ok(vec![Row {
        figure: format!("wire event to progress notification, 99th percentile of {count}"),
        target: "≤ 5 ms",
        measured: format!("{:.2} ms (median {:.2} ms)", at(99), at(50)),
        reached: at(99) <= 5.0,
    }])
}

/// Reading a stream into a log, and one very large event.
pub(crate) async fn reading(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(200_000);
    let (bytes, time) = read(count, 850).await?;
    let speed = bytes as f64 / 1e6 / time.as_secs_f64();
    let (_, large) = read(1, 10 * 1024 * 1024).await?;
    let large = large.as_secs_f64() * 1000.0;
    Ok(vec![
        Row {
            figure: format!("stream decode and log, {count} events of 1 kB"),
            target: "≥ 100 MB/s",
            measured: format!("{speed:.0} MB/s"),
            reached: speed >= 100.0,
        },
        Row {
            figure: "an event of 10 MB".to_owned(),
            target: "< 50 ms",
            measured: format!("{large:.1} ms"),
            reached: large < 50.0,
        },
    ])
}

/// The bytes of so many events, and the time from the first to the last of them in the log. The writer shares the time.
async fn read(count: u64, padding: usize) -> Result<(usize, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let lookup = move |name: &str| match name {
        "ANTHROPIC_BASE_URL" => Some(url.clone()),
        "ANTHROPIC_API_KEY" => Some("figures".to_owned()),
        _ => None,
    };
    let client = Client::new(Arc::new(Config::read(&lookup)?));
    let id = Id::parse(SESSION).map_err(anyhow::Error::msg)?;
    let (opened, connection) = tokio::join!(client.stream_events(&id, Duration::from_secs(5)), stream(&listener));
    let (mut events, mut connection) = (opened?, connection?);
    let text: Vec<u8> = (1..=count).flat_map(|number| frame(number, padding)).collect();
    let bytes = text.len();
    let began = Instant::now();
    let writing = tokio::spawn(async move { connection.write_all(&text).await.map(|()| connection) });
    let mut history = History::default();
    for _ in 0..count {
        match events.next().await.context("the stream ended")?? {
            Frame::Event(event) => {
                history.streamed(event);
            }
            Frame::Alive => anyhow::bail!("not an event"),
        }
    }
    let time = began.elapsed();
    drop(writing.await??);
    ensure!(history.events().count() as u64 == count, "events are missing");
    Ok((bytes, time))
}
