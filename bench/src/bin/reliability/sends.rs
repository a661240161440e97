//! Writes of every kind whose first attempt fails in such a way that nobody knows whether it arrived: each is done once.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use serde_json::{Value, json};

use crate::line::{World, finished};
use crate::process::Process;
use crate::{Row, Run};

/// Sessions that are spoken to at the same time.
const AT_ONCE: u64 = 20;

/// A failure that leaves it open whether the request was acted on.
fn ambiguity(rng: &mut Rng) -> Kind {
    let acting = if rng.bool() { Acting::Before } else { Acting::After };
    match rng.u8(..10) {
        0..6 => {
            let codes = [408, 429, 500, 502, 503, 504, 529];
            Kind::Status { code: codes[rng.usize(..codes.len())], retry_after: None, acting, body: None }
        }
        6 | 7 => Kind::Drop { acting },
        8 => Kind::CutAfterBytes { bytes: rng.usize(..60) },
        _ => Kind::Garbage,
    }
}

/// What is written; each is known afterwards by a text of its own, or by the id of what it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Message,
    Start,
    Answer,
    Agent,
    Version,
    Schedule,
    Closing,
}

/// What became of the sends.
#[derive(Default)]
struct Told {
    /// Those that were reported as done.
    done: Vec<String>,
    /// Those of which it was said that nobody knows.
    unknown: Vec<String>,
    /// Those that were reported as failed.
    failed: Vec<String>,
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(1000);
    let world = World::start(Duration::from_millis(1)).await?;
    let sends = (0..AT_ONCE).map(|number| {
        let (world, binary) = (&world, &run.binary);
        async move {
            // One process alone would be slowed to the API's rate.
            let toolsets = [("MANAGED_AGENTS_TOOLSETS", "all")];
            let process = world.process(binary, world.simulator.base_url(), &toolsets).await?;
            let seed = run.seed.wrapping_add(number);
            let talk = Talk { world, process, seed, rng: Rng::with_seed(seed), told: Told::default(), session: None, agent: None };
            talk.through(count / AT_ONCE).await
        }
    });
    let told: Vec<Told> = stream::iter(sends).buffer_unordered(AT_ONCE as usize).try_collect().await?;
    world.simulator.clear_faults();
    let recorded = recorded(&world).await?;
    let times = |key: &String| recorded.get(key).copied().unwrap_or_default();
    let doubled = recorded.values().filter(|times| **times > 1).count();
    let all = |pick: fn(&Told) -> &Vec<String>| told.iter().flat_map(pick).collect::<Vec<_>>();
    let (done, unknown, failed) = (all(|told| &told.done), all(|told| &told.unknown), all(|told| &told.failed));
    let lost: Vec<_> = done.iter().filter(|key| times(key) == 0).collect();
    lost.iter().for_each(|key| eprintln!("lost: {key}"));
    let lost = lost.len();
    let wrong = failed.iter().filter(|key| times(key) > 0).count();
    let sent = done.len() + unknown.len() + failed.len();
    Ok(vec![Row {
        figure: "ambiguous writes of seven kinds: doubled / lost / said to have failed though they arrived".to_owned(),
        target: "1,000: 0 / 0 / 0",
        measured: format!("{sent}: {doubled} / {lost} / {wrong} ({} said to be unknown, {} to have failed)", unknown.len(), failed.len()),
        reached: sent as u64 >= count && doubled == 0 && lost == 0 && wrong == 0,
    }])
}

/// One process that writes one thing after the other, every first attempt after a fault of its own.
struct Talk<'a> {
    world: &'a World,
    process: Process,
    seed: u64,
    rng: Rng,
    told: Told,
    session: Option<String>,
    /// An agent of this process, and its version.
    agent: Option<(String, u64)>,
}

impl Talk<'_> {
    async fn through(mut self, count: u64) -> Result<Told> {
        for number in 0..count {
            let text = format!("[work 0] {} {number}", self.seed);
            let what = match self.rng.u8(..12) {
                0..4 => What::Message,
                4 | 5 => What::Start,
                6 | 7 => What::Answer,
                8 => What::Agent,
                9 => What::Version,
                10 => What::Schedule,
                _ => What::Closing,
            };
            match (what, self.session.clone(), self.agent.clone()) {
                (What::Message, Some(session), _) => {
                    let arguments = json!({"session_id": session, "message": text, "wait_seconds": 20});
                    self.write("POST */events", "send_message", arguments, text).await?;
                    finished(&self.process, &session).await?;
                }
                (What::Answer, ..) => self.answer(text).await?,
                (What::Version, _, Some((agent, version))) => {
                    let arguments = json!({"agent": agent, "version": version, "name": text});
                    let on = format!("POST /v1/agents/{agent}");
                    let made = self.write(&on, "update_agent", arguments, text).await?;
                    self.agent = made["agent"]["version"].as_u64().map(|version| (agent, version));
                }
                (What::Schedule, ..) => {
                    let mut arguments = self.world.arguments("go", 0);
                    arguments["name"] = json!(text);
                    arguments.as_object_mut().context("an object")?.remove("wait_seconds");
                    self.write("POST /v1/deployments", "create_schedule", arguments, text).await?;
                }
                (What::Agent | What::Version, ..) => {
                    let arguments = json!({"name": text});
                    let made = self.write("POST /v1/agents", "create_agent", arguments, text).await?;
                    let id = made["agent"]["id"].as_str();
                    self.agent = id.map(|id| (id.to_owned(), 1)).or(self.agent.take());
                }
                (What::Closing, Some(session), _) => {
                    self.session = None;
                    let on = format!("POST /v1/sessions/{session}/archive");
                    self.write(&on, "close_session", json!({"session_id": session}), format!("closed {session}")).await?;
                }
                (What::Start | What::Message | What::Closing, ..) => {
                    let arguments = self.world.arguments(&text, 20);
                    let report = self.write("POST /v1/sessions", "create_session", arguments, text).await?;
                    self.go_on(&report).await?;
                }
            }
        }
        Ok(self.told)
    }

    /// Allows what a session of its own asks about. The start of that session is not counted.
    async fn answer(&mut self, text: String) -> Result<()> {
        let asking = self.process.call("create_session", self.world.arguments(&format!("[approve] {text}"), 20)).await?.structured;
        let (Some(session), Some(event)) = (asking["session_id"].as_str(), asking["pending"][0]["event_id"].as_str()) else {
            // It is the first attempt of another process's start that this one had in its place.
            self.told.unknown.push(text);
            return Ok(());
        };
        let decisions = json!([{"event_id": event, "decision": "allow"}]);
        let arguments = json!({"session_id": session, "decisions": decisions, "wait_seconds": 20});
        let on = format!("POST /v1/sessions/{session}/events");
        self.write(&on, "resolve_action", arguments, format!("answered {event}")).await?;
        self.go_on(&asking).await
    }

    async fn go_on(&mut self, report: &Value) -> Result<()> {
        if let Some(id) = report["session_id"].as_str() {
            finished(&self.process, id).await?;
            self.session = Some(id.to_owned());
        }
        Ok(())
    }

    /// Makes a call whose request meets a fault, and notes what was said of it.
    async fn write(&mut self, on: &str, tool: &str, arguments: Value, key: String) -> Result<Value> {
        self.world.simulator.inject(Fault::new(on, ambiguity(&mut self.rng)));
        let called = self.process.call(tool, arguments).await?;
        if called.is_error {
            eprintln!("{tool}, {key}: {}", called.text);
        }
        let list = match called.is_error {
            false => &mut self.told.done,
            true if called.text.contains("not known") => &mut self.told.unknown,
            true => &mut self.told.failed,
        };
        list.push(key);
        Ok(called.structured)
    }
}

/// All items of a list.
async fn listed(world: &World, path: &str) -> Result<Vec<Value>> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let mut page = world.ask("GET", &format!("{path}limit=100{token}"), Value::Null).await?;
        items.append(page["data"].as_array_mut().context("no data")?);
        let Some(next) = page["next_page"].as_str() else { return Ok(items) };
        token = format!("&page={next}");
    }
}

/// How often everything that was written is there.
async fn recorded(world: &World) -> Result<HashMap<String, usize>> {
    let mut times = HashMap::new();
    let mut note = |key: &str| *times.entry(key.to_owned()).or_default() += 1;
    for session in listed(world, "/v1/sessions?include_archived=true&").await? {
        let id = session["id"].as_str().context("no id")?;
        if session["archived_at"].is_string() {
            note(&format!("closed {id}"));
        }
        for event in world.record(id).await? {
            match event["type"].as_str() {
                Some("user.message") => note(event["content"][0]["text"].as_str().unwrap_or_default()),
                Some("user.tool_confirmation") => {
                    note(&format!("answered {}", event["tool_use_id"].as_str().unwrap_or_default()));
                }
                _ => {}
            }
        }
    }
    for agent in listed(world, "/v1/agents?").await? {
        let path = format!("/v1/agents/{}/versions?", agent["id"].as_str().context("no id")?);
        for version in listed(world, &path).await? {
            note(version["name"].as_str().unwrap_or_default());
        }
    }
    for schedule in listed(world, "/v1/deployments?").await? {
        note(schedule["name"].as_str().unwrap_or_default());
    }
    Ok(times)
}
