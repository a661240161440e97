//! Secrets in what is told of a record. The input of a call and the fields of an entry are masked one by one, since in a line of
//! them what begins like a secret in one could take others with it. And of a call with one nobody can see what would run.

use serde_json::Value;

use crate::secrets::{holds_secret, mask};
use crate::session::report::{Report, Seen, rewritten};

/// Masks what stands in lines of a report.
pub(super) fn hide(report: &mut Report) {
    for pending in &mut report.pending {
        let tool = mask(&pending.tool).into_owned();
        if tool == pending.tool && !holds_secret(&pending.input) {
            continue;
        }
        pending.tool = tool;
        pending.input = masked(&pending.input);
        if pending.seen == Seen::Whole {
            pending.seen = Seen::Masked;
        }
    }
    let lines = report.title.iter_mut().chain(&mut report.activity);
    lines.for_each(|line| *line = text(line));
}

/// A text, masked.
pub(super) fn text(text: &str) -> String {
    mask(text).into_owned()
}

/// The entries of a page, masked.
pub(super) fn entries(entries: Vec<Value>) -> Vec<Value> {
    entries.iter().map(masked).collect()
}

fn masked(value: &Value) -> Value {
    rewritten(value, &text)
}
