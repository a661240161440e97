//! The head of an event, read in one pass that also tells whether the rest can be held as a value.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What every reader of an event needs. Of a field that stands there twice the last one counts, as in a value.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) id: Field,
    pub(super) kind: Field,
    pub(super) processed_at: Field,
    pub(super) created_at: Field,
    /// It has a `name`, as every call of a tool has.
    pub(super) is_named: bool,
}

/// A field of the head.
#[derive(Debug, Default)]
pub(super) enum Field {
    #[default]
    Absent,
    Null,
    Text(String),
    /// Something that is no text.
    Odd,
}

impl Field {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// By this name, where it comes first, serde_json takes a text for the JSON of the whole object.
pub(super) const MISREAD: &str = "$serde_json::private::RawValue";

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Id,
    Type,
    ProcessedAt,
    CreatedAt,
    #[serde(rename = "name")]
    Called,
    #[serde(rename = "$serde_json::private::RawValue")]
    Misread,
    #[serde(other)]
    Other,
}

impl Head {
    /// Fails where the text cannot be held as a value: half a character, a number out of range, too many levels, or more
    /// than `most` values.
    pub(super) fn of(json: &str, most: usize) -> Result<Head, serde_json::Error> {
        let mut head = Head::default();
        let mut left = most;
        let mut json_reader = serde_json::Deserializer::from_str(json);
        let walk = Walk {
            left: &mut left,
            into: None,
        };
        if json.starts_with('{') {
            let fields = Fields {
                head: &mut head,
                walk,
            };
            json_reader.deserialize_map(fields)?;
        } else {
            walk.deserialize(&mut json_reader)?;
        }
        Ok(head)
    }
}

/// Goes through the fields of an event.
struct Fields<'a> {
    head: &'a mut Head,
    walk: Walk<'a>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Fields { head, walk } = self;
        while let Some(name) = fields.next_key()? {
            let into = match name {
                Name::Id => Some(&mut head.id),
                Name::Type => Some(&mut head.kind),
                Name::ProcessedAt => Some(&mut head.processed_at),
                Name::CreatedAt => Some(&mut head.created_at),
                Name::Called => {
                    head.is_named = true;
                    None
                }
                Name::Misread => return Err(misread()),
                Name::Other => None,
            };
            take(walk.left)?;
            fields.next_value_seed(Walk {
                left: walk.left,
                into,
            })?;
        }
        Ok(())
    }
}

fn misread<E: Error>() -> E {
    E::custom("one of its names cannot be read")
}

fn take<E: Error>(left: &mut usize) -> Result<(), E> {
    match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            Ok(())
        }
        None => Err(E::custom("it holds too many values")),
    }
}

/// Goes through a value, which it keeps only where that is asked for and it is a text.
struct Walk<'a> {
    left: &'a mut usize,
    into: Option<&'a mut Field>,
}

impl Walk<'_> {
    fn again(&mut self) -> Walk<'_> {
        Walk {
            left: self.left,
            into: None,
        }
    }

    fn met(self, field: Field) {
        if let Some(into) = self.into {
            *into = field;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        take(self.left)?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.met(Field::Null);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.met(Field::Odd);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.met(Field::Odd);
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.met(Field::Odd);
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.met(Field::Odd);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.into.is_some() {
            self.met(Field::Text(text.to_owned()));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.again())?.is_some() {}
        self.met(Field::Odd);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(Key(self.left))?.is_some() {
            fields.next_value_seed(self.again())?;
        }
        self.met(Field::Odd);
        Ok(())
    }
}

/// A name in an object.
struct Key<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        take(self.0)?;
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        match name == MISREAD {
            true => Err(misread()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn of_a_field_that_stands_there_twice_the_last_one_counts() {
        let head = Head::of(
            r#"{"id":"a","type":"x","id":"b","processed_at":"t","processed_at":null}"#,
            100,
        )
        .unwrap();
        assert_eq!((head.id.text(), head.kind.text()), (Some("b"), Some("x")));
        assert!(matches!(head.processed_at, Field::Null));
        assert!(matches!(head.created_at, Field::Absent));
    }

    #[test]
    fn values_and_names_count() {
        let json = r#"{"id":[1,{"a":2}]}"#;
        assert!(Head::of(json, 6).is_ok());
        assert!(Head::of(json, 4).is_err());
    }

    #[test]
    fn a_name_by_which_a_value_would_be_misread_is_met_anywhere() {
        let spoof = format!(r#"{{"{MISREAD}":"{{\"command\":\"ls\"}}"}}"#);
        for json in [spoof.clone(), format!(r#"{{"input":[{spoof}]}}"#)] {
            assert!(Head::of(&json, 100).is_err(), "{json}");
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"id\"",
            "\"\\ud83d\"",
            "\"a\"",
            "1",
            "1e400",
            "null",
            "true",
            "-0.5",
            "\"\\\\ud83d\"",
        ]);
        prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_head_can_be_read_where_the_whole_can_be_held(value in pieces()) {
            for json in [format!("{{\"id\":\"i\",\"x\":{value}}}"), format!("[{value}]")] {
                // Whatever stands behind the value is for the reader of the page.
                let is_whole = serde_json::from_str::<Value>(&json).is_ok();
                prop_assert!(!is_whole || Head::of(&json, 100).is_ok(), "{}", json);
                let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok();
                prop_assert_eq!(is_json && Head::of(&json, 100).is_ok(), is_whole, "{}", json);
            }
        }
    }
}
