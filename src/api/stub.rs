//! What stands in the place of an event that cannot be held as a value, or would take the memory of a hundred: the fields
//! that decide, as far as they can be read, and the start of the rest.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::exact::is_held;
use super::head::MISREAD;

/// Fields of an event that say how the session stands, and what is shown of it.
const KEPT: [&str; 25] = [
    "id",
    "type",
    "processed_at",
    "created_at",
    "stop_reason",
    "stop_details",
    "error",
    "result",
    "explanation",
    "iteration",
    "outcome_id",
    "description",
    "usage",
    "budget",
    "name",
    "mcp_server_name",
    "evaluated_permission",
    "tool_use_id",
    "custom_tool_use_id",
    "mcp_tool_use_id",
    "is_error",
    "deny_message",
    "session_thread_id",
    "input",
    "content",
];
/// Items of one list, values of one field, and levels in it.
const MOST_ITEMS: usize = 1000;
const MOST_VALUES: usize = 2000;
const DEEPEST: usize = 8;
/// Characters of what cannot be read.
const EXCERPT: usize = 500;

/// The stub of an event; `why` says what is wrong with it.
pub(super) fn stub(json: &str, why: &str) -> Value {
    let mut fields = Map::new();
    if json.starts_with('{') {
        let kept = Parts::of(json, |name| KEPT.contains(&name));
        for (name, part) in kept.parts {
            let mut reading = Reading {
                left: MOST_VALUES,
                as_sent: name == "input",
            };
            fields.insert(name, reading.value(part.get(), DEEPEST));
        }
    }
    let omitted = format!("this event cannot be shown whole: {why}");
    fields.insert("omitted".to_owned(), omitted.into());
    fields.insert("raw_start".to_owned(), start(json));
    fields.into()
}

/// Reads one field.
struct Reading {
    /// Values that may still be kept of it.
    left: usize,
    /// What a value would tell otherwise stands there as text too.
    as_sent: bool,
}

impl Reading {
    /// A value as far as it can be read; what cannot stands there as text.
    fn value(&mut self, json: &str, depth: usize) -> Value {
        let is_list = json.starts_with('[');
        let is_nested = is_list || json.starts_with('{');
        if !is_nested {
            self.left = self.left.saturating_sub(1);
            return self.single(json);
        }
        if depth == 0 || self.left == 0 {
            return start(json);
        }
        let parts = Parts::of(json, |_| true);
        if parts.is_misread || self.as_sent && parts.is_ambiguous {
            self.left = self.left.saturating_sub(1);
            return start(json);
        }
        let (mut items, mut fields) = (Vec::new(), Map::new());
        let mut more = parts.more;
        for (name, part) in parts.parts {
            if self.left == 0 {
                more += 1;
                continue;
            }
            let value = self.value(part.get(), depth - 1);
            match is_list {
                true => items.push(value),
                false => drop(fields.insert(name, value)),
            }
        }
        let rest = (more > 0).then(|| Value::String(format!("… and {more} more")));
        if is_list {
            items.extend(rest);
            return items.into();
        }
        fields.extend(rest.map(|rest| ("…".to_owned(), rest)));
        fields.into()
    }

    fn single(&self, json: &str) -> Value {
        let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if self.as_sent && is_number && !is_held(json) {
            return start(json);
        }
        serde_json::from_str(json).unwrap_or_else(|_| start(json))
    }
}

fn start(json: &str) -> Value {
    let mut start: String = json.chars().take(EXCERPT).collect();
    if start.len() < json.len() {
        start.push('…');
    }
    start.into()
}

/// The values of a list, or of an object with their names, unread.
#[derive(Default)]
struct Parts<'a> {
    parts: Vec<(String, &'a RawValue)>,
    /// So many were left out.
    more: usize,
    /// One of the names stands there twice.
    is_ambiguous: bool,
    /// One of the names makes something else of a value.
    is_misread: bool,
}

impl<'a> Parts<'a> {
    fn of(json: &'a str, wants: fn(&str) -> bool) -> Parts<'a> {
        let reader = &mut serde_json::Deserializer::from_str(json);
        let read = reader.deserialize_any(Reader { wants });
        read.unwrap_or_default()
    }
}

struct Reader {
    wants: fn(&str) -> bool,
}

impl<'de> Visitor<'de> for Reader {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Parts::default();
        while parts.parts.len() < MOST_ITEMS {
            match items.next_element()? {
                Some(item) => parts.parts.push((String::new(), item)),
                None => return Ok(parts),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            parts.more += 1;
        }
        Ok(parts)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Parts<'de>, A::Error> {
        let mut parts: IndexMap<String, &RawValue> = IndexMap::new();
        let (mut more, mut is_ambiguous, mut is_misread) = (0, false, false);
        while let Some(name) = fields.next_key::<String>()? {
            if !(self.wants)(&name) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = fields.next_value()?;
            is_misread |= name == MISREAD;
            if parts.len() < MOST_ITEMS || parts.contains_key(&name) {
                // The last one counts.
                is_ambiguous |= parts.insert(name, value).is_some();
            } else {
                more += 1;
            }
        }
        Ok(Parts {
            parts: parts.into_iter().collect(),
            more,
            is_ambiguous,
            is_misread,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deep(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn what_decides_is_kept_and_what_cannot_be_read_stands_there_as_text() {
        let json = format!(
            r#"{{"id":"i","type":"session.error","error":{{"type":"api_error","n":1e400,"retry_status":{{"type":"exhausted"}}}},"x":{}}}"#,
            deep(5000)
        );
        let stub = stub(&json, "number out of range");
        assert_eq!(stub["error"]["retry_status"]["type"], "exhausted");
        assert_eq!(stub["error"]["n"], "1e400");
        assert_eq!(
            stub["omitted"],
            "this event cannot be shown whole: number out of range"
        );
        assert!(
            stub["raw_start"]
                .as_str()
                .unwrap()
                .starts_with(r#"{"id":"i""#)
        );
        assert!(stub.get("x").is_none());
    }

    #[test]
    fn however_deep_or_long_a_stub_is_small() {
        let many = vec!["[1,2]"; 50_000].join(",");
        for input in [
            deep(100_000),
            format!("[{many}]"),
            format!("{{\"a\":[{many}]}}"),
        ] {
            let stub = stub(&format!(r#"{{"name":"bash","input":{input}}}"#), "much");
            assert_eq!(stub["name"], "bash");
            assert!(stub.to_string().len() < 40_000);
        }
        let mut reading = Reading {
            left: 1,
            as_sent: false,
        };
        assert_eq!(reading.value("[1,2]", 1), json!([1, "… and 1 more"]));
        let twice = stub(r#"{"name":"a","name":"b"}"#, "");
        assert_eq!(twice["name"], "b");
    }
}
