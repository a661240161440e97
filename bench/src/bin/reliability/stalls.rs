//! How soon a stream that was cut is made up for, and how soon one that fell silent is noticed. Both end when the whole
//! turn is known, with its last word.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scripted::Kind;
use crate::walk::{Step, walk};
use crate::{Row, Run};

const AT_ONCE: usize = 100;

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(1000) as usize;
    let cuts = [Kind::Finish, Kind::Reset, Kind::Garbage, Kind::ErrorFrame];
    let recovery = times(&cuts, count, run.seed).await?;
    let notice = times(&[Kind::Silence], count, run.seed).await?;
    let show = |times: &[Duration]| {
        let [half, most, worst] = [0.5, 0.99, 1.0].map(|share| at(times, share));
        format!("{most:.2} s (median {half:.2} s, worst {worst:.2} s) of {}", times.len())
    };
    Ok(vec![
        Row {
            figure: "time to recover from a cut and to back-fill, 99th percentile".to_owned(),
            target: "< 2 s",
            measured: show(&recovery),
            reached: at(&recovery, 0.99) < 2.0,
        },
        Row {
            figure: "time until a stream that fell silent is made up for, 99th percentile".to_owned(),
            target: "≤ 5 s of silence and 1 s",
            measured: show(&notice),
            reached: at(&notice, 0.99) <= 6.0,
        },
    ])
}

fn at(times: &[Duration], share: f64) -> f64 {
    let last = times.len() - 1;
    times[(last as f64 * share).round() as usize].as_secs_f64()
}

/// How long each of so many faults was felt, in order.
async fn times(kinds: &[Kind], count: usize, seed: u64) -> Result<Vec<Duration>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut steps = Vec::new();
    for number in 0..count {
        let kind = kinds[number % kinds.len()];
        let places = kind.places();
        steps.push(Step { kind, place: places[rng.usize(..places.len())], seed: rng.u64(..) });
    }
    let (wrong, times) = walk(steps, AT_ONCE).await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut times: Vec<Duration> = times.into_iter().map(|(_, time)| time).collect();
    times.sort();
    Ok(times)
}
