//! In the place of an event that holds too much: its head and why the session rests, read without keeping anything else.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::events::MOST_AWAITED;
use super::with;

/// The event without what makes it too large, and a word on that.
pub(super) fn stub(raw: &RawValue, why: &str) -> Box<RawValue> {
    let head: Head = serde_json::from_str(raw.get()).unwrap_or_default();
    let fields = [
        ("id", head.id.and_then(word)),
        ("type", head.kind.and_then(word)),
        ("processed_at", head.processed_at.and_then(word)),
        ("created_at", head.created_at.and_then(word)),
        ("stop_reason", head.stop_reason.and_then(reason)),
    ];
    let said = json!({"omitted": why});
    let stub = fields
        .into_iter()
        .fold(said, |stub, (name, value)| with(stub, name, value));
    to_raw_value(&stub).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head<'a> {
    #[serde(borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type", deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    processed_at: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    created_at: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a RawValue,
    #[serde(default)]
    event_ids: Ids,
}

/// The first texts of a list.
#[derive(Default)]
struct Ids(Vec<Value>);

/// Keeps null apart from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What holds no other value.
fn word(raw: &RawValue) -> Option<Value> {
    let is_bare = !raw.get().starts_with(['[', '{']);
    is_bare.then(|| serde_json::from_str(raw.get()).ok())?
}

fn reason(raw: &RawValue) -> Option<Value> {
    if let Some(word) = word(raw) {
        return Some(word);
    }
    let reason: Reason = serde_json::from_str(raw.get()).ok()?;
    Some(json!({"type": word(reason.kind)?, "event_ids": reason.event_ids.0}))
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ids, D::Error> {
        deserializer.deserialize_seq(Ids::default())
    }
}

impl<'de> Visitor<'de> for Ids {
    type Value = Ids;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Ids, A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            if self.0.len() < MOST_AWAITED {
                self.0.extend(word(item).filter(Value::is_string));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub_of(event: &str) -> Value {
        let raw = RawValue::from_string(event.to_owned()).unwrap();
        serde_json::from_str(stub(&raw, "too much").get()).unwrap()
    }

    #[test]
    fn the_head_and_the_reason_stay_and_nothing_else() {
        assert_eq!(
            stub_of(
                r#"{"id":"e","type":"session.status_idle","processed_at":null,"x":"\ud800","input":[[],{}],
                "stop_reason":{"type":"requires_action","event_ids":["a",[],{},7,"b"],"more":[[]]}}"#
            ),
            json!({"omitted": "too much", "id": "e", "type": "session.status_idle", "processed_at": null,
                "stop_reason": {"type": "requires_action", "event_ids": ["a", "b"]}})
        );
        assert_eq!(
            stub_of(r#"{"id":["e"],"type":{},"processed_at":[[],[]],"stop_reason":"end_turn"}"#),
            json!({"omitted": "too much", "stop_reason": "end_turn"})
        );
        assert_eq!(
            stub_of(r#"{"stop_reason":[[],[]]}"#),
            json!({"omitted": "too much"})
        );
    }

    #[test]
    fn of_very_many_ids_the_first_are_kept() {
        let ids = format!("{}\"z\"", "\"a\",".repeat(2 * MOST_AWAITED));
        let event =
            format!(r#"{{"stop_reason":{{"type":"requires_action","event_ids":[{ids}]}}}}"#);
        let kept = stub_of(&event)["stop_reason"]["event_ids"].clone();
        assert_eq!(kept.as_array().unwrap().len(), MOST_AWAITED);
    }
}
