//! The release binary as a child, spoken to by hand: many calls at once, its memory, its descriptors, its sudden death.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// No call lasts longer: the longest wait is 45 s.
const PATIENCE: Duration = Duration::from_secs(75);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A server process.
pub(crate) struct Process {
    child: tokio::sync::Mutex<Child>,
    pid: u32,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    odd_lines: Arc<AtomicUsize>,
}

/// What a tool call returned.
pub(crate) struct Called {
    pub(crate) structured: Value,
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

impl Process {
    /// Starts it with nothing but these settings, and greets it.
    pub(crate) async fn start(binary: &Path, settings: &[(&str, &str)]) -> Result<Process> {
        let mut command = Command::new(binary);
        command.env_clear().envs(settings.iter().copied()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("the binary does not start")?;
        let waiting = Waiting::default();
        let odd_lines = Arc::new(AtomicUsize::new(0));
        let output = child.stdout.take().context("no output")?;
        tokio::spawn(listen(output, Arc::clone(&waiting), Arc::clone(&odd_lines)));
        let process = Process {
            pid: child.id().context("no process")?,
            input: tokio::sync::Mutex::new(child.stdin.take().context("no input")?),
            child: tokio::sync::Mutex::new(child),
            waiting,
            next: AtomicU64::new(1),
            odd_lines,
        };
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "reliability", "version": "1"}});
        process.request("initialize", hello).await?;
        process.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(process)
    }

    async fn write(&self, message: &Value) -> Result<()> {
        let mut input = self.input.lock().await;
        input.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }

    async fn request(&self, method: &str, params: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(id, answer);
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await?;
        let mut message = timeout(PATIENCE, answered).await.context("no answer")?.context("the process is gone")?;
        match message.get("error") {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(message["result"].take()),
        }
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Called> {
        let mut result = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        Ok(Called {
            text: result["content"][0]["text"].as_str().unwrap_or_default().to_owned(),
            is_error: result["isError"] == true,
            structured: result["structuredContent"].take(),
        })
    }

    /// Calls a tool that may be called again until it succeeds.
    pub(crate) async fn insist(&self, tool: &str, arguments: &Value) -> Result<Value> {
        let mut last = String::new();
        for _ in 0..12 {
            let called = self.call(tool, arguments.clone()).await?;
            if !called.is_error {
                return Ok(called.structured);
            }
            last = called.text;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("{tool} never succeeds: {last}")
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        Ok(self.status("VmRSS")? * 1024)
    }

    /// The most that it ever was.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        Ok(self.status("VmHWM")? * 1024)
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Result<u64> {
        self.status("Threads")
    }

    fn status(&self, name: &str) -> Result<u64> {
        number_of(self.pid, name)
    }

    /// How many files and sockets it holds open.
    pub(crate) fn descriptors(&self) -> Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid))?.count() as u64)
    }

    /// Kills it at once, as the kernel would.
    pub(crate) async fn kill(&self) -> Result<()> {
        Ok(self.child.lock().await.kill().await?)
    }

    /// Lines on its output that were no JSON-RPC.
    pub(crate) fn odd_lines(&self) -> usize {
        self.odd_lines.load(Ordering::Relaxed)
    }

    /// Whether it still runs.
    pub(crate) async fn check_alive(&self) -> Result<()> {
        ensure!(self.child.lock().await.try_wait()?.is_none(), "the process ended by itself");
        Ok(())
    }
}

fn number_of(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

/// Memory of a process in bytes, by its name in `/proc`.
pub(crate) fn memory_of(pid: u32, name: &str) -> Result<u64> {
    Ok(number_of(pid, name)? * 1024)
}

async fn listen(output: ChildStdout, waiting: Waiting, odd: Arc<AtomicUsize>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message = serde_json::from_str::<Value>(&line).unwrap_or_default();
        if message["jsonrpc"] != "2.0" {
            odd.fetch_add(1, Ordering::Relaxed);
        }
        let asked = message["id"].as_u64().and_then(|id| lock(&waiting).remove(&id));
        if let Some(asked) = asked {
            let _ = asked.send(message);
        }
    }
    // Whoever still waits is told that nothing will come.
    lock(&waiting).clear();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
