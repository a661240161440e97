//! The figures of the README: `cargo run --release --manifest-path bench/Cargo.toml`. Builds the release binary, runs it
//! against the simulator on loopback, and prints a table. Linux only.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let binary = build()?;
    let mut rows = vec![row("release binary", "≤ 8 MB", &megabytes(std::fs::metadata(&binary)?.len()))];
    rows.extend(start_up(&binary)?);
    rows.extend(tool_list(&binary)?);
    rows.extend(delegation(&binary)?);
    rows.extend(overhead(&binary)?);
    rows.extend(files(&binary)?);
    rows.push(leaving(&binary)?);
    println!("| figure | target | measured |\n| --- | --- | --- |");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

fn row(figure: &str, target: &str, measured: &str) -> String {
    format!("| {figure} | {target} | {measured} |")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["build", "--release", "--locked", "--message-format=json"]);
    let built = cargo.stderr(Stdio::inherit()).output()?;
    ensure!(built.status.success(), "the release build failed");
    let messages = String::from_utf8(built.stdout)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo named no executable")
}

/// A server process and a client that speaks to it by hand.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    requests: u64,
}

impl Server {
    fn start(binary: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Server> {
        let mut command = Command::new(binary);
        command.args(arguments).env_clear().envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let input = child.stdin.take();
        let mut server = Server { child, input, output, requests: 0 };
        server.request("initialize", json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "figures", "version": "0"},
        }))?;
        server.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(server)
    }

    fn write(&mut self, message: &Value) -> Result<()> {
        let input = self.input.as_mut().context("closed")?;
        input.write_all(format!("{message}\n").as_bytes())?;
        Ok(input.flush()?)
    }

    /// Sends a request and returns its answer with the length of the line it came in.
    fn request(&mut self, method: &str, params: Value) -> Result<(Value, usize)> {
        self.requests += 1;
        let id = self.requests;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut line = String::new();
            ensure!(self.output.read_line(&mut line)? > 0, "the server is gone");
            let message: Value = serde_json::from_str(&line)?;
            if message["id"] == id {
                return Ok((message["result"].clone(), line.len()));
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        let (result, _) = self.request("tools/call", json!({"name": tool, "arguments": arguments}))?;
        ensure!(result["isError"] != true, "{tool}: {result}");
        Ok(result)
    }

    /// Resident memory in bytes.
    fn memory(&self) -> Result<u64> {
        self.status("VmRSS")
    }

    /// The most that it ever was.
    fn peak_memory(&self) -> Result<u64> {
        self.status("VmHWM")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn start_up(binary: &Path) -> Result<Vec<String>> {
    let mut times = Vec::new();
    for _ in 0..60 {
        let began = Instant::now();
        let server = Server::start(binary, &[], &[])?;
        times.push(began.elapsed());
        drop(server);
    }
    let median = milliseconds(median(times));
    Ok(vec![row("process start to `initialize` answered, median of 60", "≤ 5 ms", &median)])
}

fn tool_list(binary: &Path) -> Result<Vec<String>> {
    let mut server = Server::start(binary, &[], &[])?;
    let (list, wire) = server.request("tools/list", json!({}))?;
    let memory = server.memory()?;
    let tools = list["tools"].as_array().context("no tools")?;
    let seen = |tool: &Value| {
        let text = |field: &str| tool[field].as_str().map_or(0, str::len);
        text("name") + text("description") + tool["inputSchema"].to_string().len()
    };
    let shown: usize = tools.iter().map(seen).sum();
    Ok(vec![
        row("resident memory after `tools/list`", "≤ 12 MB", &megabytes(memory)),
        row("`tools/list`: what a model sees", "≤ 12,000 bytes", &format!("{shown} bytes, {} tools", tools.len())),
        row("`tools/list` on the wire", "≤ 24,000 bytes", &format!("{wire} bytes")),
    ])
}

fn delegation(binary: &Path) -> Result<Vec<String>> {
    let mut server = Server::start(binary, &["--simulate"], &[])?;
    let mut calls = 1;
    let mut report = server.call("create_session", json!({"message": "[seconds 6] a turn of six seconds"}))?;
    while report.pointer("/structuredContent/state") == Some(&json!("working")) {
        let id = report.pointer("/structuredContent/session_id").cloned();
        let status = server.call("get_status", json!({"session_ids": [id], "wait_seconds": 25}))?;
        report = json!({"structuredContent": status.pointer("/structuredContent/sessions/0")});
        calls += 1;
    }
    let large = server.call("create_session", json!({"message": "[big 60 20] sixty results of 20 kB"}))?;
    let text = large.pointer("/content/0/text").and_then(Value::as_str).context("no text")?.chars().count();
    let facts = large["structuredContent"].to_string().chars().count();
    Ok(vec![
        row("calls for a 6 s turn", "1", &calls.to_string()),
        row("reply of a turn with 60 tool results of 20 kB", "≤ 16,000 characters", &format!("{text} as text, {facts} as JSON")),
    ])
}

/// Runs a simulator for as long as the work takes.
fn simulated<T>(binary: &Path, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let mut simulator = Command::new(binary);
    simulator.args(["simulator", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut simulator = simulator.spawn()?;
    let mut url = String::new();
    BufReader::new(simulator.stdout.take().context("no output")?).read_line(&mut url)?;
    let done = work(url.trim());
    simulator.kill()?;
    simulator.wait()?;
    done
}

/// A file of 200 MB in either direction, each through a process of its own.
fn files(binary: &Path) -> Result<Vec<String>> {
    let folder = std::env::temp_dir().join(format!("managed-agents-mcp-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::File::create(folder.join("large.bin"))?.set_len(200_000_000)?;
    let measured = simulated(binary, |url| {
        let root = folder.to_str().context("a path of text")?;
        let environment =
            [("ANTHROPIC_BASE_URL", url), ("ANTHROPIC_API_KEY", "figures"), ("MANAGED_AGENTS_FILE_ROOTS", root)];
        let mut server = Server::start(binary, &[], &environment)?;
        let began = Instant::now();
        server.call("upload_file", json!({"path": "large.bin"}))?;
        let up = (server.peak_memory()?, began.elapsed());
        let mut server = Server::start(binary, &[], &environment)?;
        let message = json!({"message": "[deliver 1 200000] one large file", "wait_seconds": 30});
        let report = server.call("create_session", message)?;
        let session = &report["structuredContent"]["session_id"];
        let listed = server.call("list_files", json!({"session_id": session}))?;
        let file = &listed["structuredContent"]["files"][0]["file_id"];
        let began = Instant::now();
        server.call("download_file", json!({"file_id": file}))?;
        Ok((up, (server.peak_memory()?, began.elapsed())))
    });
    std::fs::remove_dir_all(&folder)?;
    let (up, down) = measured?;
    let figure = |(peak, time): (u64, Duration)| format!("{}, in {:.1} s", megabytes(peak), time.as_secs_f64());
    Ok(vec![
        row("200 MB uploaded: most memory", "≤ 40 MB", &figure(up)),
        row("200 MB downloaded: most memory", "≤ 40 MB", &figure(down)),
    ])
}

/// The same endpoint directly and through the server, in turn.
fn overhead(binary: &Path) -> Result<Vec<String>> {
    let (direct, through) = simulated(binary, |url| compare(binary, url))?;
    let figure = format!("{} more ({} against {})", milliseconds(through.saturating_sub(direct)), milliseconds(through), milliseconds(direct));
    Ok(vec![row("a tool call over a direct HTTP call, median of 300", "≤ 1 ms more", &figure)])
}

fn compare(binary: &Path, url: &str) -> Result<(Duration, Duration)> {
    let host = url.trim_start_matches("http://");
    let mut server = Server::start(binary, &[], &[("ANTHROPIC_BASE_URL", url), ("ANTHROPIC_API_KEY", "figures")])?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /v1/agents?limit=20 HTTP/1.1\r\nhost: {host}\r\nx-api-key: figures\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: managed-agents-2026-04-01\r\n\r\n"
    );
    server.call("list_agents", json!({}))?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let began = Instant::now();
        stream.write_all(request.as_bytes())?;
        answer(&mut stream)?;
        direct.push(began.elapsed());
        let began = Instant::now();
        server.call("list_agents", json!({}))?;
        through.push(began.elapsed());
    }
    Ok((median(direct), median(through)))
}

/// Reads one HTTP answer with a content length.
fn answer(stream: &mut TcpStream) -> Result<()> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "closed");
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no length")?.trim().parse()?;
        if body.len() >= length {
            return Ok(());
        }
    }
}

fn leaving(binary: &Path) -> Result<String> {
    let mut server = Server::start(binary, &["--simulate"], &[])?;
    let arguments = json!({"name": "create_session", "arguments": {"message": "[seconds 30] long"}});
    server.write(&json!({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": arguments}))?;
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    server.input = None;
    server.child.wait()?;
    Ok(row("end of stdin during a wait to exit", "< 1 s", &milliseconds(began.elapsed())))
}
