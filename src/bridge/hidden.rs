//! Secrets in what is told of a record. Each field is masked for itself, since in a text of several what begins like a secret in
//! one could take others with it. And of a call with one nobody can see what would run.

use serde_json::Value;

use crate::secrets::{holds_secret, mask_field};
use crate::session::report::{Report, Seen, rewritten};

/// Masks what others wrote of a report.
pub(super) fn hide(report: &mut Report) {
    for pending in &mut report.pending {
        let tool = text(&pending.tool);
        if tool == pending.tool && !holds_secret(&pending.input) {
            continue;
        }
        pending.tool = tool;
        pending.input = masked(&pending.input);
        if pending.seen == Seen::Whole {
            pending.seen = Seen::Masked;
        }
    }
    let verdict = report.outcome.as_mut();
    let others = [&mut report.title, &mut report.reason, &mut report.reply];
    others
        .into_iter()
        .flatten()
        .chain(verdict.and_then(|verdict| verdict.explanation.as_mut()))
        .chain(&mut report.activity)
        .chain(report.words.iter_mut().map(|words| &mut words.text))
        .chain(report.threads.iter_mut().map(|thread| &mut thread.agent))
        .for_each(|field| *field = text(field));
}

/// A text, masked.
pub(super) fn text(text: &str) -> String {
    mask_field(text).into_owned()
}

/// The entries of a page, masked.
pub(super) fn entries(entries: Vec<Value>) -> Vec<Value> {
    entries.iter().map(masked).collect()
}

fn masked(value: &Value) -> Value {
    rewritten(value, &text)
}
