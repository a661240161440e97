//! Memory against servers that never end, and a very long record.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::line::World;
use crate::process::Process;
use crate::{Row, Run};

/// What never ends.
const FLOODS: [(&str, &str, &str, &str); 5] = [
    ("an endless JSON body", "200 OK", "{\"data\":[\"", "x"),
    ("an endless error body", "503 Unavailable", "", "x"),
    ("an endless line of a stream", "200 OK", "data: ", "x"),
    ("an endless list: each page names a new one", "200 OK", "", ""),
    ("an endless list of pages of 15 MB", "200 OK", "", ""),
];

/// How long a call waits.
const WAIT: u64 = 12;

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, (name, ..)) in FLOODS.iter().enumerate() {
        let (grown, late) = flood(&run.binary, number).await?;
        rows.push(Row {
            figure: format!("{name}: end of a call after its wait of {WAIT} s"),
            target: "≤ 2 s",
            measured: format!("{:.1} s", late.as_secs_f64()),
            reached: late <= Duration::from_secs(2),
        });
        rows.push(Row {
            figure: format!("{name}: most memory above the start"),
            target: "< 40 MB",
            measured: format!("{:.1} MB", grown as f64 / 1e6),
            reached: grown < 40_000_000,
        });
    }
    rows.extend(history(&run).await?);
    Ok(rows)
}

async fn flood(binary: &Path, number: usize) -> Result<(u64, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move { pour(socket, number).await });
        }
    });
    let settings = [("ANTHROPIC_BASE_URL", url.as_str()), ("ANTHROPIC_API_KEY", "figures")];
    let process = Process::start(binary, &settings).await?;
    let start = process.memory()?;
    let began = Instant::now();
    let arguments = json!({"session_ids": ["sesn_1"], "wait_seconds": WAIT});
    let called = process.call("get_status", arguments).await?;
    eprintln!("{}: {:?}, {}", FLOODS[number].0, began.elapsed(), called.text.lines().next().unwrap_or_default());
    let late = began.elapsed().saturating_sub(Duration::from_secs(WAIT));
    anyhow::ensure!(!called.text.is_empty(), "no words");
    let grown = process.peak_memory()?.saturating_sub(start);
    serving.abort();
    Ok((grown, late))
}

/// Answers every request with what never ends; where a stream floods, all else is in order.
async fn pour(mut socket: TcpStream, number: usize) -> std::io::Result<()> {
    let (_, status, head, rest) = FLOODS[number];
    let mut pages = 0_u64;
    loop {
        let mut request = vec![0; 8192];
        let count = socket.read(&mut request).await?;
        if count == 0 {
            return Ok(());
        }
        let request = String::from_utf8_lossy(&request[..count]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let is_stream = path.contains("/stream");
        if number < 2 || (number == 2 && is_stream) {
            let top = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\n\r\n{head}");
            socket.write_all(top.as_bytes()).await?;
            let piece = rest.repeat(65536);
            loop {
                socket.write_all(piece.as_bytes()).await?;
            }
        }
        let body = match path.contains("/events") {
            _ if is_stream => json!({}),
            true if number == 2 => json!({"data": []}),
            true if number == 4 => page(&mut pages, 15, 1_000_000),
            true => page(&mut pages, 1000, 120),
            false => json!({"id": "sesn_1", "type": "session", "status": "running"}),
        };
        let body = body.to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await?;
    }
}

/// A page of events that nobody has seen before.
fn page(pages: &mut u64, count: usize, bytes: usize) -> Value {
    *pages += 1;
    let text = "words ".repeat(bytes / 6);
    let start = fastrand::u64(..);
    let events: Vec<Value> = (0..count)
        .map(|at| json!({"id": format!("e{start}{at}"), "type": "agent.message", "content": [{"type": "text", "text": text}]}))
        .collect();
    json!({"data": events, "next_page": format!("p{start}")})
}

/// A long record: its first page, and the next from a cursor.
async fn history(run: &Run) -> Result<Vec<Row>> {
    let wanted = run.count.unwrap_or(100_000);
    let world = World::start(Duration::ZERO).await?;
    let endless = [("MANAGED_AGENTS_BUDGET_USD", "none")];
    let process = world.process(&run.binary, world.simulator.base_url(), &endless).await?;
    let task = format!("[work {}] a long record.", wanted / 2);
    let report = world.create(&process, &task, 0).await?;
    let session = report["session_id"].as_str().unwrap_or_default().to_owned();
    crate::line::finished(&process, &session).await?;
    let events = world.record(&session).await?.len();
    let process = world.process(&run.binary, world.simulator.base_url(), &[("MANAGED_AGENTS_RESULT_CHARS", "16000")]).await?;
    let began = Instant::now();
    let stand = process.insist("get_status", &json!({"session_ids": [session]})).await?;
    let status = began.elapsed();
    anyhow::ensure!(stand["sessions"][0]["state"] == "done", "{stand}");
    let began = Instant::now();
    let first = process.insist("get_events", &json!({"session_id": session})).await?;
    let digest = began.elapsed();
    let mut cursor = first["cursor"].as_str().context("no cursor")?.to_owned();
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let page = process.insist("get_events", &json!({"session_id": session, "after": cursor})).await?;
        times.push(began.elapsed());
        cursor = page["cursor"].as_str().context("no cursor")?.to_owned();
    }
    times.sort();
    let memory = process.peak_memory()?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let row = |figure: &str, target, measured, reached| Row {
        figure: format!("a record of {events} events: {figure}"),
        target,
        measured,
        reached,
    };
    Ok(vec![
        row("how it stands", "≤ 3 s", seconds(status), status <= Duration::from_secs(3)),
        row("first page", "≤ 3 s", seconds(digest), digest <= Duration::from_secs(3)),
        row("next page from a cursor, median of 20", "≤ 0.1 s", seconds(times[10]), times[10] <= Duration::from_millis(100)),
        row("most memory", "≤ 150 MB", format!("{:.1} MB", memory as f64 / 1e6), memory <= 150_000_000),
    ])
}
