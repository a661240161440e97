//! A great many events through the release binary, over connections of which half are cut after a random number of bytes:
//! each is read once, in order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use fastrand::Rng;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::line::{World, compare, finished, read};
use crate::proxy::{Fate, Half, Harm, Proxy, When};
use crate::{Row, Run};

/// Sessions at once.
const AT_ONCE: usize = 8;
/// Tool calls of a turn: each makes two events.
const CALLS: u64 = 1000;
/// What a session of so many calls has at least.
const EVENTS: u64 = 2 * CALLS;

fn draw(rng: &mut Rng) -> Option<Fate> {
    let harm = match rng.u32(..8) {
        0 => Harm::Garbage,
        1 => Harm::Mark,
        2..=4 => Harm::Finish,
        _ => Harm::Reset,
    };
    let when = When::Byte(rng.usize(..200_000));
    rng.bool().then_some(Fate { half: Half::Answers, when, harm })
}

#[derive(Default)]
struct Count {
    emitted: AtomicU64,
    lost: AtomicU64,
    doubled: AtomicU64,
    harmed: AtomicU64,
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let wanted = run.count.unwrap_or(1_000_000);
    let world = World::start(Duration::ZERO).await?;
    let count = Count::default();
    stream::iter(0..wanted.div_ceil(EVENTS))
        .map(|number| session(&world, &run, &count, run.seed.wrapping_add(number)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (emitted, lost, doubled) = (get(&count.emitted), get(&count.lost), get(&count.doubled));
    Ok(vec![Row {
        figure: format!("events emitted, lost, doubled; {} connections harmed", get(&count.harmed)),
        target: "1,000,000 / 0 / 0",
        measured: format!("{emitted} / {lost} / {doubled}"),
        reached: emitted >= wanted && lost + doubled == 0 && get(&count.harmed) > 0,
    }])
}

async fn session(world: &World, run: &Run, count: &Count, seed: u64) -> Result<()> {
    let proxy = Proxy::start(world.simulator.base_url(), seed, draw).await?;
    let process = world.process(&run.binary, &proxy.base_url(), &[]).await?;
    let task = format!("[work {CALLS}] task {seed}.");
    let report = world.create(&process, &task, 20).await?;
    let id = report["session_id"].as_str().unwrap_or_default().to_owned();
    let report = finished(&process, &id).await?;
    let answers = report["reply"].as_str().is_some_and(|reply| reply.contains(&task));
    ensure!(report["state"] == "done" && answers, "seed {seed}: {report}");
    let record = world.record(&id).await?;
    let (lost, doubled) = compare(&read(&process, &id, None).await?, &record)?;
    if lost + doubled > 0 {
        eprintln!("seed {seed}: {lost} lost, {doubled} doubled");
    }
    count.emitted.fetch_add(record.len() as u64, Ordering::Relaxed);
    count.lost.fetch_add(lost as u64, Ordering::Relaxed);
    count.doubled.fetch_add(doubled as u64, Ordering::Relaxed);
    count.harmed.fetch_add(proxy.struck() as u64, Ordering::Relaxed);
    world.forget(&id).await
}
