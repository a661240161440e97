//! The last look at what leaves: no secret, and nothing that a terminal or a model would take for something else than it shows.
//! What is written elsewhere is clean already; this holds also where something was forgotten.

use std::borrow::Cow;

use serde_json::Value;

use crate::secrets::mask;
use crate::session::clean::clean;
use crate::session::report::rewritten;

/// What the client made up itself and finds its own by.
const ECHOED: [&str; 2] = ["progressToken", "io.modelcontextprotocol/subscriptionId"];

/// Makes every text in a message fit to leave, its id aside.
pub(super) fn make_safe(message: &mut Value) {
    let id = message.get("id").cloned();
    make_value_safe(message);
    if let (Some(id), Some(fields)) = (id, message.as_object_mut()) {
        fields.insert("id".to_owned(), id);
    }
}

fn make_value_safe(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(better) = safe(text) {
                *text = better;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_value_safe),
        Value::Object(fields) if fields.keys().any(|name| safe(name).is_some()) => {
            *value = rewritten(value, &|text| safe(text).unwrap_or_else(|| text.to_owned()));
        }
        Value::Object(fields) => {
            let others = fields
                .iter_mut()
                .filter(|(name, _)| !ECHOED.contains(&name.as_str()));
            others.for_each(|(_, value)| make_value_safe(value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text as it may leave; `None` where it may as it is.
fn safe(text: &str) -> Option<String> {
    let cleaned = clean(text);
    let is_clean = cleaned.removed == 0 && cleaned.text == text;
    match mask(&cleaned.text) {
        Cow::Owned(masked) => Some(masked),
        Cow::Borrowed(_) => (!is_clean).then_some(cleaned.text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_names_that_become_one_hide_neither_value() {
        let (one, two) = ("ghp_a1B2c3D4e5F6g7H8i9J0", "ghp_a1B2c3D4e5F6g7H8i9J1");
        let mut value = json!({"x": {one: "rm", two: "ls", "[secret]": "as it came"}});
        make_safe(&mut value);
        let kept = [
            ("", "as it came"),
            (" (again 1)", "rm"),
            (" (again 2)", "ls"),
        ];
        let kept = kept.map(|(more, value)| (format!("[secret]{more}"), json!(value)));
        let kept = Value::Object(kept.into_iter().collect());
        assert_eq!(value, json!({"x": kept}));
    }

    #[test]
    fn names_and_values_at_any_depth_are_made_safe_and_nothing_else_changes() {
        let token = "ghp_a1B2c3D4e5F6g7H8i9J0";
        let mut value = json!({
            "plain": ["Grüße\n", 1, null, true], "od\u{1b}[31md": {"deep": [format!("see {token} \u{202e}.")]}, token: "x",
        });
        make_safe(&mut value);
        assert_eq!(
            value,
            json!({"plain": ["Grüße\n", 1, null, true], "odd": {"deep": ["see [secret] ."]}, "[secret]": "x"})
        );
        let mut echo =
            json!({"id": "\u{7}", "params": {"progressToken": "\u{1b}[1m", "id": "\u{7}"}});
        make_safe(&mut echo);
        assert_eq!(
            echo,
            json!({"id": "\u{7}", "params": {"progressToken": "\u{1b}[1m", "id": ""}})
        );
    }
}
