//! Many sessions at once: a thousand that one process follows, and a hundred whose lines break together.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use managed_agents_mcp::api::{Client, Id};
use managed_agents_mcp::bridge::follow::Follow;
use managed_agents_mcp::bridge::{Attention, Patience};
use managed_agents_mcp::config::Config;
use managed_agents_mcp::session::turn::Asked;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::line::{World, id};
use crate::process::memory_of;
use crate::{Row, Run};

/// A session is begun to be followed so often: two reads, a stream and a list for each stay within 600 a minute.
const BETWEEN_STARTS: Duration = Duration::from_millis(420);
/// The minute's allowance that is there at once takes so many sessions, and so long a turn ends none before all are followed.
const SLACK: Duration = Duration::from_secs(90);

/// Sessions at work, made directly.
async fn working(world: &World, count: u64, task: &str) -> Result<Vec<String>> {
    let agent = id(&world.ask("POST", "/v1/agents", json!({"name": "many", "model": "claude-sonnet-5-5"})).await?)?;
    let environment = id(&world.ask("POST", "/v1/environments", json!({"name": "many"})).await?)?;
    let body = json!({"agent": agent, "environment_id": environment});
    let message = json!({"events": [{"type": "user.message", "content": [{"type": "text", "text": task}]}]});
    stream::iter(0..count)
        .map(async |_| {
            let session = id(&world.ask("POST", "/v1/sessions", body.clone()).await?)?;
            world.ask("POST", &format!("/v1/sessions/{session}/events"), message.clone()).await?;
            Ok(session)
        })
        .buffered(16)
        .try_collect()
        .await
}

/// A process that does nothing but follow sessions: no tool call lasts long enough to begin with a thousand at the API's rate.
pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(1000);
    let world = World::start(Duration::from_millis(20)).await?;
    let lasts = BETWEEN_STARTS * u32::try_from(count)? + SLACK;
    let calls = lasts.as_secs() / 10;
    let sessions = working(&world, count, &format!("[work {calls}] [seconds {}] many.", lasts.as_secs())).await?;
    let mut follower = Command::new(std::env::current_exe()?);
    follower.arg("follower").env_clear().env("ANTHROPIC_API_KEY", "figures").env("ANTHROPIC_BASE_URL", world.simulator.base_url());
    let mut child = follower.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let pid = child.id().context("no process")?;
    let mut input = child.stdin.take().context("no input")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    input.write_all(format!("{}\n", sessions.join("\n")).as_bytes()).await?;
    drop(input);
    let (mut open, mut peak, mut seen) = (0, 0, HashMap::new());
    while seen.len() < sessions.len() {
        tokio::select! {
            line = lines.next_line() => {
                let told: Value = serde_json::from_str(&line?.context("the follower ended")?)?;
                seen.insert(id(&told)?, told);
            }
            () = sleep(Duration::from_secs(2)) => {}
        }
        open = open.max(std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count));
        peak = peak.max(memory_of(pid, "VmHWM").unwrap_or(0));
    }
    let (mut events, mut calls, mut lost, mut doubled, mut replies) = (0, 0, 0, 0, 0);
    for session in &sessions {
        let record = world.record(session).await?;
        let made = record.iter().filter(|event| event["type"] == "agent.tool_use").count() as u64;
        let told = seen[session]["calls"].as_u64().unwrap_or_default();
        let said = record.iter().rfind(|event| event["type"] == "agent.message").context("no reply")?;
        replies += u64::from(seen[session]["reply"] == said["content"][0]["text"]);
        (events, calls) = (events + record.len(), calls + made);
        (lost, doubled) = (lost + made.saturating_sub(told), doubled + told.saturating_sub(made));
    }
    Ok(vec![
        Row {
            figure: format!("{count} sessions followed at once in one process ({open} descriptors), {events} events: tool calls told of, lost, doubled; replies"),
            target: "0 lost, 0 doubled, all",
            measured: format!("{calls} / {lost} / {doubled}; {replies}"),
            reached: calls > 0 && lost + doubled == 0 && replies == count && open as u64 > count,
        },
        Row {
            figure: "the same: most memory".to_owned(),
            target: "≤ 64 MB",
            measured: format!("{:.1} MB", peak as f64 / 1e6),
            reached: peak <= 64_000_000,
        },
    ])
}

/// The process itself: reads ids, follows each session to the end of its turn, and prints the reply and how many tool calls it told of.
pub(crate) async fn follow() -> Result<()> {
    let client = Client::new(Arc::new(Config::read(&|name| std::env::var(name).ok())?));
    let ids: Vec<String> = std::io::stdin().lines().collect::<std::io::Result<_>>()?;
    let mut following = JoinSet::new();
    for session in ids {
        let client = client.clone();
        following.spawn(async move { follow_one(&client, session).await });
        sleep(BETWEEN_STARTS).await;
    }
    while let Some(followed) = following.join_next().await {
        println!("{}", followed??);
    }
    Ok(())
}

async fn follow_one(client: &Client, session: String) -> Result<Value> {
    let end = tokio::time::Instant::now() + Duration::from_secs(3600);
    let patience = Patience { until: end, deadline: end, note: None };
    let known = Id::parse(&session).map_err(anyhow::Error::msg)?;
    let mut follow = Follow::new(client, end, &known, Asked::default());
    while let Err(error) = follow.look().await {
        eprintln!("{session}: {error}");
        sleep(Duration::from_secs(5)).await;
    }
    let attention = Attention::none();
    follow.finish(&patience, &attention).await?;
    let progress = attention.progress.borrow().clone();
    let calls = progress.split(" · ").find_map(|part| part.strip_suffix(" tool calls"));
    let calls: u64 = calls.context(progress.clone())?.parse()?;
    Ok(json!({"id": session, "calls": calls, "reply": follow.report().reply}))
}

/// Passes connections on, until all of them break together.
struct Lines {
    url: String,
    open: Arc<Mutex<JoinSet<()>>>,
    _accepting: JoinSet<()>,
}

impl Lines {
    async fn to(target: &str) -> Result<Lines> {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let open = Arc::new(Mutex::new(JoinSet::new()));
        let into = Arc::clone(&open);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.clone();
                into.lock().unwrap_or_else(std::sync::PoisonError::into_inner).spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Ok(Lines { url, open, _accepting: accepting })
    }

    fn cut(&self) {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).abort_all();
    }
}

/// The calls that wait for them last longer.
const COUNTED: Duration = Duration::from_secs(30);

/// A hundred sessions that are followed by calls of the binary, whose lines all break at once.
pub(crate) async fn storm(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(100);
    let world = World::start(Duration::from_millis(20)).await?;
    let sessions = working(&world, count, "[work 10] [seconds 600] many.").await?;
    let lines = Lines::to(world.simulator.base_url()).await?;
    let process = world.process(&run.binary, &lines.url, &[]).await?;
    let requests = || world.simulator.requests().into_iter().filter(|request| request.headers.contains_key("user-agent"));
    let requests = || requests().filter(|request| request.headers["user-agent"].starts_with("managed-agents-mcp"));
    let streams = || requests().filter(|request| request.path.ends_with("/stream")).count() as u64;
    let breaking = async {
        until(|| streams() >= count).await?;
        let before = requests().count();
        let broken = Instant::now();
        lines.cut();
        until(|| streams() >= 2 * count).await?;
        let mended = broken.elapsed();
        sleep(COUNTED.saturating_sub(mended)).await;
        anyhow::Ok((requests().count() - before, mended))
    };
    let following = async {
        let mut calls = Vec::new();
        for chunk in sessions.chunks(50) {
            let process = &process;
            calls.push(async move {
                let wait = async || process.call("get_status", json!({"session_ids": chunk, "wait_seconds": 45, "until": "all"})).await;
                let first = wait().await?;
                let then = wait().await?;
                anyhow::Ok([first, then])
            });
        }
        futures_util::future::try_join_all(calls).await
    };
    let (broken, called) = tokio::join!(breaking, following);
    let (asked, mended) = broken?;
    let failed = called?.iter().flatten().filter(|called| called.is_error || called.structured["failures"] != json!([])).count();
    Ok(vec![Row {
        figure: format!("{count} lines that break together: reads in the half minute after, while the same calls wait"),
        target: "< 300, none failed",
        measured: format!("{asked}, all open again after {:.1} s, {failed} calls with a failure", mended.as_secs_f64()),
        reached: asked < 300 && failed == 0,
    }])
}

async fn until(holds: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < Duration::from_secs(60), "in vain");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
