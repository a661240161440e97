//! Pages of lists, and what is read of their rows: one odd field costs no row, and one odd row no list.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::agents::Agent;
use super::deployments::{Deployment, Run};
use super::environments::Environment;
use super::escapes::parse;
use super::events::Event;
use super::files::File;
use super::memory_stores::MemoryStore;
use super::sessions::Session;
use super::threads::Thread;
use super::vaults::Vault;
use crate::weight::holds_more_than;

/// One page of a list: `next_page` is an opaque token, absent at the end.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Row"))]
pub struct Page<T> {
    /// The items, in the order that was asked for.
    #[serde(deserialize_with = "null_as_none")]
    pub data: Vec<T>,
    /// Where the next page starts.
    #[serde(default)]
    pub next_page: Option<String>,
    /// Where the page before this one starts; sessions only.
    #[serde(default)]
    pub prev_page: Option<String>,
}

/// Most items of a list; no page of the API has more than a thousand.
const MOST_ITEMS: usize = 10_000;

/// A row of so many bytes holds so many values at most.
const LONG: usize = 256 * 1024;
const MOST_VALUES: usize = 100_000;

/// Something that is listed.
pub trait Row: DeserializeOwned {
    /// One that cannot be read is shown by its id alone, and left out where it has none.
    fn read(raw: &RawValue) -> Option<Self> {
        let json = raw.get();
        if !json.starts_with('{') {
            return None;
        }
        let is_held = json.len() <= LONG || !holds_more_than(json.as_bytes(), MOST_VALUES);
        is_held
            .then(|| parse(json.as_bytes()).ok())
            .flatten()
            .or_else(|| Self::by_id(json))
    }

    /// The row of which only the id is known.
    fn by_id(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let named: Named = parse(json.as_bytes()).ok()?;
        serde_json::from_value(json!({"id": named.id})).ok()
    }
}

impl Row for Event {
    fn read(raw: &RawValue) -> Option<Event> {
        Some(Event::new(raw.to_owned()))
    }
}

impl Row for Agent {}
impl Row for Deployment {}
impl Row for Environment {}
impl Row for File {}
impl Row for MemoryStore {}
impl Row for Run {}
impl Row for Session {}
impl Row for Thread {}
impl Row for Vault {}

/// Some servers say null where there is nothing.
pub(super) fn null_as_none<'de, D: Deserializer<'de>, T: Row>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Items<T>>::deserialize(deserializer)?.map_or_else(Vec::new, |items| items.0))
}

/// A list that ends somewhere: an item that says nothing takes a few bytes to send, and hundreds to keep.
struct Items<T>(Vec<T>);

impl<'de, T: Row> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Items<T>, D::Error> {
        deserializer.deserialize_seq(Items(Vec::new()))
    }
}

impl<'de, T: Row> Visitor<'de> for Items<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Items<T>, A::Error> {
        let mut count = 0;
        // Lent by the body, so that a long one is not copied first.
        while let Some(item) = items.next_element::<&RawValue>()? {
            count += 1;
            if count > MOST_ITEMS {
                let why = format!("a list of more than {MOST_ITEMS} items");
                return Err(A::Error::custom(why));
            }
            self.0.extend(T::read(item));
        }
        Ok(self)
    }
}

/// What a field holds; nothing where it is null, or something else than what this field holds.
pub(super) fn odd_as_nothing<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The items of a list within an object, but for those that are odd.
pub(super) fn readable_rows<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let Value::Array(items) = Value::deserialize(deserializer)? else {
        return Ok(Vec::new());
    };
    let read = items.into_iter().map(serde_json::from_value);
    Ok(read.filter_map(Result::ok).collect())
}

/// The pairs of texts; the others are left out.
pub(super) fn pairs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(fields) = Value::deserialize(deserializer)? else {
        return Ok(BTreeMap::new());
    };
    let texts = fields.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Ok(texts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(json: &str) -> Result<Page<Session>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_has_no_list_is_no_page() {
        for odd in [
            "{}",
            "[]",
            "null",
            r#"{"data":{}}"#,
            r#"{"data":"x"}"#,
            r#"{"type":"error","error":{"type":"api_error"}}"#,
        ] {
            assert!(page(odd).is_err(), "{odd}");
        }
        assert!(page(r#"{"data":null}"#).unwrap().data.is_empty());
        assert!(page(r#"{"data":[]}"#).unwrap().data.is_empty());
    }

    #[test]
    fn one_odd_row_costs_no_list() {
        let many = vec!["[]"; 200_000].join(",");
        let json = format!(
            r#"{{"data":[null,7,[],{{"id":"a","title":"x \ud83d"}},{{"id":"b","agent":{{"n":1e400}}}},{{"id":"c","\udc00":[{many}]}},{{"id":"d"}}]}}"#
        );
        let rows = page(&json).unwrap().data;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!(rows[0].title.as_deref(), Some("x \u{fffd}"));
    }

    #[test]
    fn a_list_without_end_is_none() {
        let many = vec!["{\"id\":\"a\"}"; MOST_ITEMS + 1].join(",");
        assert!(page(&format!(r#"{{"data":[{many}]}}"#)).is_err());
    }
}
