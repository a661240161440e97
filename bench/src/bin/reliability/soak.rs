//! Hours under faults: a hundred sessions at a time, held by ten processes that each stay within the API's rate limit,
//! over lines of which every one is harmed one to ten seconds after it was opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fastrand::Rng;
use tokio::task::JoinSet;

use crate::line::{World, compare, finished, read};
use crate::process::Process;
use crate::proxy::{Fate, Half, Harm, Proxy, When};
use crate::{Row, Run};

const PROCESSES: u64 = 10;
const SESSIONS_EACH: u64 = 10;
const SAMPLE: Duration = Duration::from_secs(10);
/// Memory settles for so much of the whole time before its slope counts.
const WARM_UP: f64 = 0.2;

fn draw(rng: &mut Rng) -> Option<Fate> {
    let harm = match rng.u32(..12) {
        0..3 => Harm::Finish,
        3..6 => Harm::Reset,
        6 => Harm::Silence,
        7 => Harm::Garbage,
        8 => Harm::Mark,
        9 => Harm::Trickle,
        10 => Harm::Pause(Duration::from_millis(rng.u64(100..3000))),
        _ => Harm::Status(503),
    };
    let when = When::After(Duration::from_millis(rng.u64(1000..10_000)));
    Some(Fate { half: Half::Answers, when, harm })
}

#[derive(Default)]
struct Count {
    sessions: AtomicU64,
    turns: AtomicU64,
    events: AtomicU64,
    lost: AtomicU64,
    doubled: AtomicU64,
    wrong: AtomicU64,
}

/// Memory, descriptors and threads of one process over time.
#[derive(Default)]
struct Samples(Vec<(f64, [f64; 3])>);

impl Samples {
    /// The slope per hour of one of the values, by least squares, after the warm-up.
    fn slope(&self, which: usize) -> f64 {
        let whole = self.0.last().map_or(0.0, |(time, _)| *time);
        let points: Vec<(f64, f64)> =
            self.0.iter().filter(|(time, _)| *time >= whole * WARM_UP).map(|(time, values)| (*time, values[which])).collect();
        let count = points.len() as f64;
        let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
        let (time, value) = (mean(|point| point.0), mean(|point| point.1));
        let above: f64 = points.iter().map(|point| (point.0 - time) * (point.1 - value)).sum();
        let below: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
        above / below * 3600.0
    }

    fn most(&self, which: usize) -> f64 {
        self.0.iter().map(|(_, values)| values[which]).fold(0.0, f64::max)
    }
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let minutes = run.minutes.unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let world = Arc::new(World::start(Duration::from_millis(20)).await?);
    let count = Arc::new(Count::default());
    let mut processes = Vec::new();
    let mut proxies = Vec::new();
    let mut work = JoinSet::new();
    for number in 0..PROCESSES {
        let proxy = Proxy::start(world.simulator.base_url(), run.seed + number, draw).await?;
        let process = Arc::new(world.process(&run.binary, &proxy.base_url(), &[]).await?);
        for place in 0..SESSIONS_EACH {
            let (world, process, count) = (Arc::clone(&world), Arc::clone(&process), Arc::clone(&count));
            let seed = run.seed + 1000 * number + place;
            work.spawn(async move { go_on(&world, &process, &count, seed, end).await });
        }
        processes.push(process);
        proxies.push(proxy);
    }
    let samples = watch(&processes, &count, end).await?;
    while let Some(done) = work.join_next().await {
        done??;
    }
    for process in &processes {
        process.check_alive().await?;
        ensure!(process.odd_lines() == 0, "a line on stdout was no JSON-RPC");
    }
    let struck: usize = proxies.iter().map(Proxy::struck).sum();
    Ok(rows(minutes, struck, &count, &samples))
}

/// Looks at each process until the end.
async fn watch(processes: &[Arc<Process>], count: &Count, end: Instant) -> Result<Vec<Samples>> {
    let began = Instant::now();
    let mut samples: Vec<Samples> = processes.iter().map(|_| Samples::default()).collect();
    let mut looks = 0_u64;
    while Instant::now() < end {
        tokio::time::sleep(SAMPLE).await;
        let time = began.elapsed().as_secs_f64();
        for (process, samples) in processes.iter().zip(&mut samples) {
            let values = [process.memory()?, process.descriptors()?, process.threads()?];
            samples.0.push((time, values.map(|value| value as f64)));
        }
        looks += 1;
        if looks % 30 == 1 {
            let sum = |which: usize| samples.iter().filter_map(|of| of.0.last()).map(|(_, values)| values[which]).sum::<f64>();
            eprintln!(
                "{time:.0} s: memory {:.1} MB, descriptors {}, threads {}; sessions {}, turns {}, events {}, lost {}, doubled {}, wrong {}",
                sum(0) / 1e6,
                sum(1),
                sum(2),
                get(&count.sessions),
                get(&count.turns),
                get(&count.events),
                get(&count.lost),
                get(&count.doubled),
                get(&count.wrong),
            );
        }
    }
    Ok(samples)
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// One session after the other, each with a few turns, until the time is over.
async fn go_on(world: &World, process: &Process, count: &Count, seed: u64, end: Instant) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        if let Err(error) = session(world, process, count, &mut rng, &format!("{seed}-{number}")).await {
            count.wrong.fetch_add(1, Ordering::Relaxed);
            eprintln!("seed {seed}, session {number}: {error:#}");
            process.check_alive().await?;
        }
    }
    Ok(())
}

async fn session(world: &World, process: &Process, count: &Count, rng: &mut Rng, name: &str) -> Result<()> {
    let mut task = |turn: u32| format!("[work {}] [seconds {}] task {name} {turn}.", rng.u32(3..20), rng.u32(5..45));
    let first = task(0);
    let report = world.create(process, &first, 20).await?;
    let id = report["session_id"].as_str().unwrap_or_default().to_owned();
    let mut last = first;
    for turn in 0..3 {
        if turn > 0 {
            last = task(turn);
            world.send(process, &id, &last, 20).await?;
        }
        let report = finished(process, &id).await?;
        let answers = report["reply"].as_str().is_some_and(|reply| reply.contains(&last));
        ensure!(report["state"] == "done" && answers, "a wrong report on {last}: {report}");
        count.turns.fetch_add(1, Ordering::Relaxed);
    }
    let record = world.record(&id).await?;
    let asked = record.iter().filter(|event| event["type"] == "user.message").count();
    ensure!(asked == 3, "{asked} messages instead of 3");
    let (lost, doubled) = compare(&read(process, &id, None).await?, &record)?;
    count.events.fetch_add(record.len() as u64, Ordering::Relaxed);
    count.lost.fetch_add(lost as u64, Ordering::Relaxed);
    count.doubled.fetch_add(doubled as u64, Ordering::Relaxed);
    count.sessions.fetch_add(1, Ordering::Relaxed);
    world.forget(&id).await
}

fn rows(minutes: u64, struck: usize, count: &Count, samples: &[Samples]) -> Vec<Row> {
    let worst = |which: usize| samples.iter().map(|of| of.slope(which)).fold(f64::MIN, f64::max);
    let mean = samples.iter().map(|of| of.slope(0)).sum::<f64>() / samples.len() as f64;
    let most = |which: usize| samples.iter().map(|of| of.most(which)).fold(0.0, f64::max);
    let (events, lost, doubled) = (get(&count.events), get(&count.lost), get(&count.doubled));
    vec![
        Row {
            figure: format!("soak of {minutes} min: events read, lost, doubled; {struck} connections harmed"),
            target: "0 lost, 0 doubled",
            measured: format!(
                "{events} / {lost} / {doubled} in {} sessions and {} turns, {} wrong",
                get(&count.sessions),
                get(&count.turns),
                get(&count.wrong)
            ),
            reached: events > 0 && lost + doubled + get(&count.wrong) == 0,
        },
        Row {
            figure: "slope of resident memory, by least squares, mean of 10 processes".to_owned(),
            target: "< 1 MB/h",
            measured: format!("{:.2} MB/h (worst {:.2}, at most {:.1} MB)", mean / 1e6, worst(0) / 1e6, most(0) / 1e6),
            reached: mean < 1e6,
        },
        Row {
            figure: "slope of open descriptors, worst of 10 processes".to_owned(),
            target: "flat (< 5 an hour)",
            measured: format!("{:.2} an hour (at most {}; threads at most {})", worst(1), most(1), most(2)),
            reached: worst(1) < 5.0,
        },
    ]
}
