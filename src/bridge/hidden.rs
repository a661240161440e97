//! Secrets in what is told of a record. Each field is masked for itself, since in a text of several what begins like a secret in
//! one could take others with it. And of a call with one nobody can see what would run.

use std::borrow::Cow;

use serde_json::Value;

use crate::secrets::{holds_secret, mask_field};
use crate::session::report::{Pending, Report, Seen, rewritten};

/// Masks what others wrote in a report.
pub(super) fn hide(report: &mut Report) {
    for pending in &mut report.pending {
        let tool = text(&pending.tool);
        if tool == pending.tool && !holds_secret(&pending.input) && is_shown(pending) {
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

/// Whether nothing of a call is masked in the lines in which it goes out, where its name and its fields stand together.
fn is_shown(pending: &Pending) -> bool {
    let Pending { tool, input, .. } = pending;
    let pretty = serde_json::to_string_pretty(input).unwrap_or_default();
    let lines = [
        format!("{tool} {input}"),
        format!("{tool} with this input:\n\n{pretty}"),
    ];
    lines
        .iter()
        .all(|line| matches!(mask_field(line), Cow::Borrowed(_)))
}

/// A text, masked.
pub(super) fn text(text: &str) -> String {
    mask_field(text).into_owned()
}

fn masked(value: &Value) -> Value {
    rewritten(value, &text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::report::PendingKind;

    fn call(tool: &str, input: Value) -> Pending {
        Pending {
            event_id: "sevt_1".to_owned(),
            kind: PendingKind::ToolConfirmation,
            tool: tool.to_owned(),
            input,
            seen: Seen::Whole,
        }
    }

    #[test]
    fn what_is_masked_only_where_fields_stand_together_is_not_shown_either() {
        let title = "-----BEGIN PRIVATE KEY-----";
        let run = "cm0gLXJmIC8gLS1uby1wcmVzZXJ2ZS1yb290Cg==";
        for (tool, input) in [
            ("bash", json!({"args": [title, run]})),
            (
                "bash",
                json!({"command": format!("grep -rl -e {title}\nPATH=/tmp/evil:/usr/bin git pull")}),
            ),
            (
                "bash",
                json!({"a": title, "command": format!("echo {run} | base64 -d")}),
            ),
            (
                "-----BEGIN",
                json!({"c": "PRIVATE KEY-----\nrm/rf/home/everything/now"}),
            ),
        ] {
            let call = call(tool, input);
            assert!(!is_shown(&call), "{call:?}");
        }
        let grep = json!({"command": format!("grep -rl -e '{title}' /home/runner/work/MyProject2/src\nls")});
        let call = call("bash", grep);
        assert!(is_shown(&call) && !holds_secret(&call.input), "{call:?}");
    }
}
