//! How much a JSON text holds: a few bytes can become a value of a hundred, so that its length alone bounds nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Whether a text holds more values than this. One that is no JSON does not.
pub fn holds_more_than(json: &[u8], most: usize) -> bool {
    let mut left = most;
    let mut is_over = false;
    let count = Count {
        left: &mut left,
        is_over: &mut is_over,
    };
    // What is wrong with it says whoever reads it.
    let _ = count.deserialize(&mut serde_json::Deserializer::from_slice(json));
    is_over
}

/// Counts values down, and keeps none.
struct Count<'a> {
    left: &'a mut usize,
    is_over: &'a mut bool,
}

impl Count<'_> {
    fn again(&mut self) -> Count<'_> {
        Count {
            left: self.left,
            is_over: self.is_over,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.left.checked_sub(1) {
            Some(left) => *self.left = left,
            None => {
                *self.is_over = true;
                return Err(D::Error::custom("too many values"));
            }
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(self.again())?.is_some() {
            fields.next_value_seed(self.again())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_every_name_counts() {
        for (json, count) in [
            ("1", 1),
            ("[]", 1),
            ("[1,null,true,\"a\",-2,0.5]", 7),
            ("{\"a\":{\"b\":[1,2]}}", 7),
        ] {
            assert!(!holds_more_than(json.as_bytes(), count), "{json}");
            assert!(holds_more_than(json.as_bytes(), count - 1), "{json}");
        }
        assert!(!holds_more_than(b"{oops", 5));
    }
}
