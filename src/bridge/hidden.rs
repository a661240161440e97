//! Secrets in what is told of a record. Each field is masked for itself, since in a text of several what begins like a secret in
//! one could take others with it; only the texts of a list may be the lines of one. And of a call with a secret nobody can see
//! what would run.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::Value;

use crate::secrets::{MASK, mask_field, mask_lines};
use crate::session::report::{Anew, Pending, Report, Seen, rewritten};

/// What others wrote, masked.
pub(super) const MASKED: Anew = Anew {
    text,
    value: masked,
};

/// Masks what others wrote in a report.
pub(super) fn hide(report: &mut Report) {
    report.pending.iter_mut().for_each(hide_call);
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

/// Masks a call. Where its fields together would still show something that is masked, its input is masked as one text, or as a whole.
fn hide_call(pending: &mut Pending) {
    let (tool, fields) = (text(&pending.tool), masked(&pending.input));
    if tool == pending.tool && fields == pending.input && is_shown(pending) {
        return;
    }
    pending.tool = tool;
    if pending.seen == Seen::Whole {
        pending.seen = Seen::Masked;
    }
    let line = Value::String(text(&pending.input.to_string()));
    for input in [fields, line, Value::String(MASK.to_owned())] {
        pending.input = input;
        if is_shown(pending) {
            break;
        }
    }
}

/// Whether nothing of a call is masked where it goes out, its name and its fields together.
fn is_shown(pending: &Pending) -> bool {
    [pending.line(), pending.form()]
        .iter()
        .all(|line| matches!(mask_field(line), Cow::Borrowed(_)))
}

/// A text, masked.
pub(super) fn text(text: &str) -> String {
    mask_field(text).into_owned()
}

fn masked(value: &Value) -> Value {
    let mut texts = Vec::new();
    mask_texts(value, &mut texts);
    let texts = RefCell::new(texts.into_iter());
    rewritten(value, &|_| texts.borrow_mut().next().unwrap_or_default())
}

/// The names and texts of a value in its order, masked.
fn mask_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(field) => texts.push(text(field)),
        Value::Array(items) => {
            let mut lines = Vec::new();
            items.iter().for_each(|item| take_lines(item, &mut lines));
            let mut masked = mask_lines(&lines).into_iter();
            for item in items {
                put_lines(item, &mut masked, texts);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(text(name));
                mask_texts(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The texts in a list, which may be the lines of one; but not what is a word of the API.
fn take_lines<'a>(value: &'a Value, lines: &mut Vec<&'a str>) {
    match value {
        Value::String(line) => lines.push(line),
        Value::Array(items) => items.iter().for_each(|item| take_lines(item, lines)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| !is_type(name, value))
            .for_each(|(_, value)| take_lines(value, lines)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    let is_word = |word: &str| word.len() <= 40 && word.bytes().all(is_sign);
    name == "type" && value.as_str().is_some_and(is_word)
}

/// The names and texts in a list, whose lines were masked together; each for itself as well.
fn put_lines(value: &Value, lines: &mut impl Iterator<Item = String>, texts: &mut Vec<String>) {
    match value {
        Value::String(_) => texts.extend(lines.next().map(|line| text(&line))),
        Value::Array(items) => items.iter().for_each(|item| put_lines(item, lines, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(text(name));
                match is_type(name, value) {
                    true => mask_texts(value, texts),
                    false => put_lines(value, lines, texts),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
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
    fn a_key_whose_lines_are_texts_of_a_list_is_masked() {
        let tail = "q8Zt3LmP0xVbN7yRcW2dKfH5gJsA9uQ4eT6oXi1BvYzMnCkDlEwFrGhUjSpIaO7L";
        let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} RSA PRIVATE KEY-----"));
        let lines = [&begin, &format!("MIIE{tail}"), tail, "aB3=", &end].map(str::to_owned);
        let row = |line: &String| json!({"n": 1, "text": line, "type": "text"});
        for list in [
            json!(lines),
            json!([
                "printf", "%s\\n", lines[0], lines[1], lines[2], lines[3], lines[4], "and more"
            ]),
            json!(lines.iter().map(row).collect::<Vec<_>>()),
            json!([[lines[0], lines[1]], [lines[2], lines[3], lines[4]]]),
            json!([{"n": lines[0], "type": lines[1]}, {"n": lines[2], "type": lines[3]}, lines[4]]),
        ] {
            for value in [
                list.clone(),
                json!({"type": "x", "content": list, "id": "sevt_1"}),
            ] {
                let hidden = masked(&value).to_string();
                assert!(
                    !hidden.contains("q8Zt3L") && !hidden.contains("aB3"),
                    "{hidden}"
                );
                assert_eq!(
                    hidden.matches("sevt_1").count(),
                    value.to_string().matches("sevt_1").count()
                );
                assert_eq!(
                    hidden.matches("text").count(),
                    value.to_string().matches("text").count()
                );
            }
            let mut call = call("bash", json!({"a": list}));
            hide_call(&mut call);
            assert!(is_shown(&call) && call.seen == Seen::Masked);
            assert!(!format!("{call:?}").contains("q8Zt3L"), "{call:?}");
        }
        let apart = json!({"a": lines[0], "b": lines[1], "c": lines[2]});
        let mut call = call("bash", apart);
        hide_call(&mut call);
        assert!(!format!("{call:?}").contains("q8Zt3L"), "{call:?}");
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
        assert!(
            is_shown(&call) && masked(&call.input) == call.input,
            "{call:?}"
        );
    }
}
