//! Secrets in what is told of a record. Each field is masked for itself, since in a text of several what begins like a secret in
//! one could take others with it. And of a call with one nobody can see what would run.

use std::borrow::Cow;

use serde_json::Value;

use crate::secrets::{holds_secret, mask, mask_field};
use crate::session::report::{Report, Seen, rewritten};

/// Masks what others wrote in a report.
pub(super) fn hide(report: &mut Report) {
    for pending in &mut report.pending {
        let tool = text(&pending.tool);
        if tool == pending.tool && !holds_secret(&pending.input) && is_shown(&pending.input) {
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

/// Whether nothing of an input is masked in the forms in which it goes out, where its fields stand together.
fn is_shown(input: &Value) -> bool {
    let pretty = serde_json::to_string_pretty(input).unwrap_or_default();
    let forms = [input.to_string(), pretty];
    forms
        .iter()
        .all(|form| matches!(mask(form), Cow::Borrowed(_)))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_masked_only_where_fields_stand_together_is_not_shown_either() {
        let title = "-----BEGIN PRIVATE KEY-----";
        let run = "cm0gLXJmIC8gLS1uby1wcmVzZXJ2ZS1yb290Cg==";
        for input in [
            json!({"args": [title, run]}),
            json!({"command": format!("grep -rl -e {title}\nPATH=/tmp/evil:/usr/bin git pull")}),
        ] {
            assert!(!is_shown(&input), "{input}");
        }
        for input in [
            json!({"a": title, "command": format!("echo {run} | base64 -d")}),
            json!({"command": format!("grep -rl -e '{title}' .\nls")}),
        ] {
            assert!(is_shown(&input) && !holds_secret(&input), "{input}");
        }
    }
}
