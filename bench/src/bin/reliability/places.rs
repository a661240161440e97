//! The walk of the tests at every place instead of some.

use anyhow::Result;

use crate::scripted::KINDS;
use crate::walk::{steps, walk};
use crate::{Row, Run};

/// Followed at once; each takes about eight sockets.
const AT_ONCE: usize = 400;

pub(crate) async fn measure(run: Run) -> Result<Vec<Row>> {
    let mut steps = steps(run.seed, |_| 1);
    steps.truncate(run.count.map_or(steps.len(), |count| count as usize));
    let all = steps.len();
    let (wrong, _) = walk(steps, AT_ONCE).await?;
    for wrong in wrong.iter().take(20) {
        eprintln!("{wrong}");
    }
    Ok(vec![Row {
        figure: format!("faults injected into a turn of 22 frames: {} kinds at every byte, line or frame", KINDS.len()),
        target: "100 % survived",
        measured: format!("{} of {all} survived", all - wrong.len()),
        reached: wrong.is_empty() && all > 0,
    }])
}
