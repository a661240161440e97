//! Figures of reliability, on demand: `cargo run --release --manifest-path bench/Cargo.toml --bin reliability -- NAME`, where
//! NAME is one of [`FIGURES`] or `all`. Options: `--seed N` (printed with each figure, so that a run can be repeated),
//! `--count N`, `--minutes N`, `--binary PATH` (a release binary that is there already). Linux only.

mod events;
mod hostile;
#[path = "../../../../tests/it/interleavings.rs"]
mod interleavings;
mod kills;
mod line;
mod process;
#[path = "../../../../tests/it/proxy.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod proxy;
#[path = "../../../../tests/it/scripted.rs"]
mod scripted;
mod schedules;
mod places;
mod sends;
mod sessions;
mod soak;
mod speed;
mod sse;
mod stalls;
#[path = "../../../../tests/it/walk.rs"]
mod walk;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

/// One figure: its name, what it shows, and what measures it.
type Figure = (&'static str, &'static str, fn(Run) -> BoxFuture<'static, Result<Vec<Row>>>);

const FIGURES: [Figure; 15] = [
    ("cancelling", "how soon a cancelled call stops waiting, worst of `--count` (100)", |run| speed::cancelling(run).boxed()),
    ("flooding", "`--count` (10,000) calls at once", |run| speed::flooding(run).boxed()),
    ("sends", "`--count` (1,000) writes of seven kinds whose first attempt fails ambiguously", |run| sends::measure(run).boxed()),
    ("telling", "how soon a waiting client is told of `--count` events (2,000)", |run| speed::telling(run).boxed()),
    ("reading", "how fast a stream of `--count` events is read (200,000)", |run| speed::reading(run).boxed()),
    ("events", "`--count` (1,000,000) events through processes whose connections are cut", |run| events::measure(run).boxed()),
    ("kills", "`--count` (1,000) processes killed at random moments", |run| kills::measure(run).boxed()),
    ("hostile", "memory against servers without end, and a record of `--count` (100,000) events", |run| {
        hostile::measure(run).boxed()
    }),
    ("schedules", "`--count` (1,000,000) random schedules of the pure merge", |run| schedules::measure(run).boxed()),
    ("walk", "a fault of every kind at every place of a scripted turn; `--count` of them", |run| places::measure(run).boxed()),
    ("stalls", "how soon a cut is made up for, and how soon silence is noticed; `--count` of each (1,000)", |run| {
        stalls::measure(run).boxed()
    }),
    ("sse", "`--count` (10,000,000) random streams against another decoder", |run| sse::measure(run).boxed()),
    ("sessions", "`--count` (1,000) sessions followed at once by one process; ten minutes", |run| sessions::measure(run).boxed()),
    ("storm", "`--count` (100) sessions whose lines break together", |run| sessions::storm(run).boxed()),
    ("soak", "100 sessions under faults for `--minutes` (60)", |run| soak::measure(run).boxed()),
];

/// What a run was asked for.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) count: Option<u64>,
    pub(crate) minutes: Option<u64>,
    pub(crate) binary: PathBuf,
}

/// One measured value beside its target.
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) target: &'static str,
    pub(crate) measured: String,
    pub(crate) reached: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every target was reached.
async fn run() -> Result<bool> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    if wanted == "follower" {
        sessions::follow().await?;
        return Ok(true);
    }
    let mut run = Run { seed: fastrand::u64(..1_000_000), count: None, minutes: None, binary: PathBuf::new() };
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--seed" => run.seed = value.parse()?,
            "--count" => run.count = Some(value.parse()?),
            "--minutes" => run.minutes = Some(value.parse()?),
            "--binary" => run.binary = value.into(),
            _ => bail!("unknown option {option}"),
        }
    }
    let figures: Vec<_> = FIGURES.iter().filter(|(name, ..)| wanted == "all" || wanted == *name).collect();
    if figures.is_empty() {
        let names = FIGURES.map(|(name, about, _)| format!("  {name:<10} {about}"));
        bail!("which figure? all, or one of:\n{}", names.join("\n"));
    }
    if run.binary.as_os_str().is_empty() {
        run.binary = build()?;
    }
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("| figure | target | measured | seed |\n| --- | --- | --- | --- |");
    let mut reached = true;
    for (name, _, measure) in figures {
        let rows = measure(run.clone()).await.with_context(|| format!("{name}, seed {}", run.seed))?;
        for row in rows {
            let remark = if row.reached { "" } else { " **not reached**" };
            println!("| {} | {} | {}{remark} | {} |", row.figure, row.target, row.measured, run.seed);
            reached &= row.reached;
        }
    }
    Ok(reached)
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
