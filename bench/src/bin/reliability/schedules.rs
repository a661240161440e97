//! The pure merge under random schedules: the law of the tests, far more often.

use anyhow::Result;

use crate::{Row, Run, interleavings};

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let count = run.count.unwrap_or(1_000_000);
    let mut wrong = 0_u64;
    for seed in (0..count).map(|number| run.seed.wrapping_add(number)) {
        if let Err(why) = interleavings::run(seed) {
            wrong += 1;
            if wrong <= 5 {
                eprintln!("seed {seed}: {why}");
            }
        }
    }
    Ok(vec![Row {
        figure: "random schedules of lists, streams, queues, late words, lag and replay".to_owned(),
        target: "1,000,000, all with the server's record and judgement",
        measured: format!("{count}, wrong {wrong}"),
        reached: wrong == 0 && count > 0,
    }])
}
