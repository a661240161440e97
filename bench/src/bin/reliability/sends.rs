//! Sends whose first attempt fails in such a way that nobody knows whether it arrived: each arrives once.

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
const AT_ONCE: u64 = 10;

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

/// What became of the sends.
#[derive(Default)]
struct Told {
    /// Texts of those that were reported as done.
    done: Vec<String>,
    /// Texts of those of which it was said that nobody knows.
    unknown: Vec<String>,
    /// Texts of those that were reported as failed.
    failed: Vec<String>,
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(1000);
    let world = World::start(Duration::from_millis(1)).await?;
    let sends = (0..AT_ONCE).map(|number| {
        let (world, binary) = (&world, &run.binary);
        async move {
            // One process alone would be slowed to the API's rate.
            let process = world.process(binary, world.simulator.base_url(), &[]).await?;
            converse(world, &process, run.seed.wrapping_add(number), count / AT_ONCE).await
        }
    });
    let told: Vec<Told> = stream::iter(sends).buffer_unordered(AT_ONCE as usize).try_collect().await?;
    world.simulator.clear_faults();
    let recorded = recorded(&world).await?;
    let times = |text: &String| recorded.get(text).copied().unwrap_or_default();
    let doubled = recorded.values().filter(|times| **times > 1).count();
    let all = |pick: fn(&Told) -> &Vec<String>| told.iter().flat_map(pick).collect::<Vec<_>>();
    let (done, unknown, failed) = (all(|told| &told.done), all(|told| &told.unknown), all(|told| &told.failed));
    let lost = done.iter().filter(|text| times(text) == 0).count();
    let wrong = failed.iter().filter(|text| times(text) > 0).count();
    let sent = done.len() + unknown.len() + failed.len();
    Ok(vec![Row {
        figure: "ambiguous sends: doubled / lost / said to have failed though they arrived".to_owned(),
        target: "1,000: 0 / 0 / 0",
        measured: format!("{sent}: {doubled} / {lost} / {wrong} ({} said to be unknown, {} to have failed)", unknown.len(), failed.len()),
        reached: sent as u64 >= count && doubled == 0 && lost == 0 && wrong == 0,
    }])
}

/// Starts a session and says one thing after the other, every attempt after a fault of its own.
async fn converse(world: &World, process: &Process, seed: u64, count: u64) -> Result<Told> {
    let mut rng = Rng::with_seed(seed);
    let mut told = Told::default();
    let mut session: Option<String> = None;
    for number in 0..count {
        let text = format!("[work 0] {seed} {number}");
        let is_start = session.is_none() || rng.u8(..5) == 0;
        let on = if is_start { "POST /v1/sessions" } else { "POST */events" };
        world.simulator.inject(Fault::new(on, ambiguity(&mut rng)));
        let called = match (&session, is_start) {
            (Some(session), false) => {
                let arguments = json!({"session_id": session, "message": text, "wait_seconds": 20});
                process.call("send_message", arguments).await?
            }
            _ => {
                let arguments = world.arguments(&text, 20);
                process.call("create_session", arguments).await?
            }
        };
        let list = match called.is_error {
            false => &mut told.done,
            true if called.text.contains("not known") => &mut told.unknown,
            true => &mut told.failed,
        };
        if called.is_error {
            eprintln!("{text}: {}", called.text);
        }
        list.push(text);
        if let Some(id) = called.structured["session_id"].as_str() {
            session = Some(id.to_owned());
            finished(process, id).await?;
        }
    }
    Ok(told)
}

/// How often each text stands in any record.
async fn recorded(world: &World) -> Result<HashMap<String, usize>> {
    let mut texts = HashMap::new();
    let mut path = "/v1/sessions?limit=100".to_owned();
    loop {
        let page = world.ask("GET", &path, Value::Null).await?;
        for session in page["data"].as_array().context("no data")? {
            for event in world.record(session["id"].as_str().context("no id")?).await? {
                if event["type"] == "user.message" {
                    let text = event["content"][0]["text"].as_str().unwrap_or_default();
                    *texts.entry(text.to_owned()).or_default() += 1;
                }
            }
        }
        let Some(token) = page["next_page"].as_str() else { return Ok(texts) };
        path = format!("/v1/sessions?limit=100&page={token}");
    }
}
