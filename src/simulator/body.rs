//! The rules for what a request body may hold; each breach is a 400 that names the field.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::answer::Refusal;

/// An object of a request whose keys were checked, with the path it stands at.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: String,
}

impl<'a> Fields<'a> {
    /// The object at `at` (empty for the body itself), refused if it holds a key that is not allowed.
    #[inline(never)]
    pub(super) fn of(value: &'a Value, at: &str, allowed: &[&str]) -> Result<Self, Refusal> {
        let Some(map) = value.as_object() else {
            return Err(breach(at, "Input should be a valid dictionary"));
        };
        let fields = Self {
            map,
            at: at.to_owned(),
        };
        match map.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(fields.wrong(key, "Extra inputs are not permitted")),
            None => Ok(fields),
        }
    }

    /// A refusal that names one of the fields.
    #[inline(never)]
    pub(super) fn wrong(&self, key: &str, why: &str) -> Refusal {
        breach(&self.path(key), why)
    }

    /// The path of a field, for objects within it.
    #[inline(never)]
    pub(super) fn path(&self, key: &str) -> String {
        if self.at.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.at)
        }
    }

    /// A field as it stands, absent when null.
    #[inline(never)]
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there at all, be it null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A field that must be there.
    #[inline(never)]
    pub(super) fn need(&self, key: &str) -> Result<&'a Value, Refusal> {
        self.get(key)
            .ok_or_else(|| self.wrong(key, "Field required"))
    }

    /// An optional string of a length in characters.
    #[inline(never)]
    pub(super) fn text(
        &self,
        key: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let Some(text) = value.as_str() else {
            return Err(self.wrong(key, "Input should be a valid string"));
        };
        if length.contains(&text.chars().count()) {
            return Ok(Some(text));
        }
        Err(self.wrong(
            key,
            &format!(
                "String should have {} to {} characters",
                length.start(),
                length.end()
            ),
        ))
    }

    /// A string that must be there.
    #[inline(never)]
    pub(super) fn need_text(
        &self,
        key: &str,
        length: RangeInclusive<usize>,
    ) -> Result<&'a str, Refusal> {
        self.need(key)?;
        self.text(key, length)?
            .ok_or_else(|| self.wrong(key, "Field required"))
    }

    /// An optional string out of a closed set.
    #[inline(never)]
    pub(super) fn choice(&self, key: &str, choices: &[&str]) -> Result<Option<&'a str>, Refusal> {
        let text = self.text(key, 0..=usize::MAX)?;
        match text {
            Some(text) if !choices.contains(&text) => Err(self.wrong(
                key,
                &format!("Input should be one of: {}", choices.join(", ")),
            )),
            _ => Ok(text),
        }
    }

    /// An optional array of at most `most` items; empty when absent.
    #[inline(never)]
    pub(super) fn array(&self, key: &str, most: usize) -> Result<&'a [Value], Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(&[]);
        };
        let Some(items) = value.as_array() else {
            return Err(self.wrong(key, "Input should be a valid list"));
        };
        if items.len() > most {
            return Err(self.wrong(key, &format!("List should have at most {most} items")));
        }
        Ok(items)
    }

    /// An optional array of strings, as a JSON array.
    #[inline(never)]
    pub(super) fn texts(&self, key: &str, most: usize) -> Result<Value, Refusal> {
        let items = self.array(key, most)?;
        if items.iter().any(|item| !item.is_string()) {
            return Err(self.wrong(key, "Items should be valid strings"));
        }
        Ok(items.into())
    }

    /// An optional boolean.
    #[inline(never)]
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value
                .as_bool()
                .map(Some)
                .ok_or_else(|| self.wrong(key, "Input should be a valid boolean")),
        }
    }

    /// An optional whole number within bounds.
    #[inline(never)]
    pub(super) fn whole(
        &self,
        key: &str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let Some(number) = value.as_u64().filter(|number| bounds.contains(number)) else {
            let why = format!(
                "Input should be an integer from {} to {}",
                bounds.start(),
                bounds.end()
            );
            return Err(self.wrong(key, &why));
        };
        Ok(Some(number))
    }

    /// Metadata: at most 16 pairs, keys of 1 to 64 characters, values of at most 512; null values only in a patch.
    #[inline(never)]
    pub(super) fn metadata(&self, key: &str, nulls: Nulls) -> Result<Option<&'a Value>, Refusal> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let Some(map) = value.as_object() else {
            return Err(self.wrong(key, "Input should be a valid dictionary"));
        };
        check_pairs(map.len()).map_err(|why| self.wrong(key, &why))?;
        for (name, value) in map {
            let fine = match value {
                Value::String(text) => text.chars().count() <= 512,
                Value::Null => matches!(nulls, Nulls::Delete),
                _ => false,
            };
            if !fine || !(1..=64).contains(&name.chars().count()) {
                let why =
                    "Keys have 1 to 64 characters, values are strings of at most 512 characters";
                return Err(self.wrong(&format!("{key}.{name}"), why));
            }
        }
        Ok(Some(value))
    }
}

/// Whether null may stand in metadata, where it deletes its key.
#[derive(Clone, Copy)]
pub(super) enum Nulls {
    /// In a patch.
    Delete,
    /// On create.
    Refuse,
}

/// The limit on the number of metadata pairs, also for what a patch would leave behind.
pub(super) fn check_pairs(count: usize) -> Result<(), String> {
    if count > 16 {
        Err(format!("At most 16 pairs are allowed, got {count}"))
    } else {
        Ok(())
    }
}

fn breach(at: &str, why: &str) -> Refusal {
    Refusal::invalid(if at.is_empty() {
        why.to_owned()
    } else {
        format!("{at}: {why}")
    })
}
