//! Sudden death: a process that starts a session, reads its record and saves its files is killed at a random moment, and
//! another one goes on. Nothing is doubled, the record is complete from the last cursor on, and no file is half there.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::line::{World, compare, finished, id, read};
use crate::process::Process;
use crate::{Row, Run};

const AT_ONCE: usize = 6;
/// Files of a session, and their size in kB.
const FILES: usize = 3;
const KILOBYTES: usize = 3000;

#[derive(Default)]
struct Count {
    lost: AtomicU64,
    doubled: AtomicU64,
    half: AtomicU64,
    parts: AtomicU64,
    /// Killed during the start, the reading, the saving, or when all was done.
    phases: [AtomicU64; 4],
}

/// What a process that is going to be killed had got so far.
#[derive(Default)]
struct Got {
    phase: usize,
    seen: Vec<String>,
    cursor: Option<String>,
}

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let kills = run.count.unwrap_or(1000);
    let world = World::start(Duration::from_millis(1)).await?;
    let count = Count::default();
    stream::iter(0..kills)
        .map(|number| kill(&world, &run, &count, run.seed.wrapping_add(number)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let sessions = world.sessions().await? as u64;
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let wrong = get(&count.lost) + get(&count.doubled) + get(&count.half) + sessions.abs_diff(kills);
    let [start, reading, saving, done] = [0, 1, 2, 3].map(|phase| get(&count.phases[phase]));
    Ok(vec![Row {
        figure: format!("kill -9: {start} during the start, {reading} while reading, {saving} while saving, {done} after"),
        target: "1,000 kills, 0 lost, doubled or corrupt",
        measured: format!(
            "{kills} kills, {} lost, {} doubled, {} sessions too many, {} half files ({} hidden .part files left, as documented)",
            get(&count.lost),
            get(&count.doubled),
            sessions.abs_diff(kills),
            get(&count.half),
            get(&count.parts)
        ),
        reached: wrong == 0 && start > 0 && reading > 0 && saving > 0,
    }])
}

async fn kill(world: &World, run: &Run, count: &Count, seed: u64) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let folder = tempfile::tempdir()?;
    let root = folder.path().to_str().context("a path of text")?;
    let settings = [("MANAGED_AGENTS_FILE_ROOTS", root)];
    let url = world.simulator.base_url();
    let task = format!("[work 20] [deliver {FILES} {KILOBYTES}] task {seed}.");
    let process = world.process(&run.binary, url, &settings).await?;
    let got = Mutex::new(Got::default());
    // The files are there a while after the rest.
    let moment = if rng.bool() { rng.u64(..450_000) } else { rng.u64(300_000..2_500_000) };
    let moment = Duration::from_micros(moment);
    tokio::select! {
        _ = work(world, &process, &task, &got) => {}
        () = tokio::time::sleep(moment) => {}
    }
    process.kill().await?;
    let got = got.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    count.phases[got.phase].fetch_add(1, Ordering::Relaxed);
    inspect(folder.path(), count)?;

    // Another process goes on where that one ended.
    let process = world.process(&run.binary, url, &settings).await?;
    let report = world.create(&process, &task, 20).await?;
    let session = report["session_id"].as_str().unwrap_or_default().to_owned();
    let report = finished(&process, &session).await?;
    ensure!(report["state"] == "done", "seed {seed}: {report}");
    let record = world.record(&session).await?;
    let asked = record.iter().filter(|event| event["type"] == "user.message").count();
    let rest = read(&process, &session, got.cursor.as_deref()).await?;
    let (lost, doubled) = compare(&[got.seen, rest].concat(), &record)?;
    count.lost.fetch_add(lost as u64, Ordering::Relaxed);
    count.doubled.fetch_add((doubled + asked - 1) as u64, Ordering::Relaxed);
    if lost + doubled > 0 || asked != 1 {
        eprintln!("seed {seed}: {lost} lost, {doubled} doubled, asked {asked} times");
    }
    process.insist("download_file", &json!({"session_id": session, "overwrite": true})).await?;
    let whole = (1..=FILES).all(|number| is_whole(&folder.path().join(format!("result-{number}.txt"))));
    ensure!(whole, "seed {seed}: a file is not whole though it was saved again");
    process.kill().await
}

/// Starts a session, reads its record page by page, saves its files.
async fn work(world: &World, process: &Process, task: &str, got: &Mutex<Got>) -> Result<()> {
    let note = |change: &dyn Fn(&mut Got)| {
        change(&mut got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    };
    let report = world.create(process, task, 20).await?;
    let session = report["session_id"].as_str().unwrap_or_default().to_owned();
    note(&|got| got.phase = 1);
    let mut arguments = json!({"session_id": session, "detail": "full", "limit": 7});
    loop {
        let page = process.insist("get_events", &arguments).await?;
        let ids = page["events"].as_array().context("no events")?.iter().map(id).collect::<Result<Vec<_>>>()?;
        note(&|got| {
            got.seen.extend(ids.clone());
            got.cursor = page["cursor"].as_str().map(str::to_owned);
        });
        if page["more"] == false {
            break;
        }
        arguments["after"] = page["cursor"].clone();
    }
    note(&|got| got.phase = 2);
    process.insist("download_file", &json!({"session_id": session})).await?;
    note(&|got| got.phase = 3);
    Ok(())
}

/// Looks at what a killed process left in its folder.
fn inspect(folder: &Path, count: &Count) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(".part") {
            count.parts.fetch_add(1, Ordering::Relaxed);
        } else if !is_whole(&path) {
            eprintln!("{name} is only half there");
            count.half.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn is_whole(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() >= KILOBYTES as u64 * 1000)
}
