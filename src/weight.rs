//! How much a JSON text holds: a few bytes can become a value of a hundred, so that its length alone bounds nothing.
//!
//! It is counted without a parser, which would stop at the first fault of the text and not know what comes after it.

use memchr::memchr2;

/// Whether a text holds more values and names than this, whether it is JSON to its end or not.
pub fn holds_more_than(json: &[u8], most: usize) -> bool {
    let mut count = 0;
    let mut rest = json;
    let mut is_in_word = false;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let begins = match first {
            b'"' => {
                rest = after_string(rest);
                is_in_word = false;
                true
            }
            b'[' | b'{' => {
                is_in_word = false;
                true
            }
            b']' | b'}' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                is_in_word = false;
                false
            }
            // Of a number, `true`, `false` or `null` only the first character begins something.
            _ => !std::mem::replace(&mut is_in_word, true),
        };
        count += usize::from(begins);
        if count > most {
            return true;
        }
    }
    false
}

/// What follows a string whose beginning was read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest
            .get(at + 1 + usize::from(is_escape)..)
            .unwrap_or_default();
        if !is_escape {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn holds(json: &str, count: usize) {
        assert!(!holds_more_than(json.as_bytes(), count), "{json}");
        assert!(
            count == 0 || holds_more_than(json.as_bytes(), count - 1),
            "{json}"
        );
    }

    #[test]
    fn every_value_and_every_name_counts() {
        for (json, count) in [
            ("", 0),
            ("1", 1),
            ("[]", 1),
            ("[1, null,true,\"a\",-2,0.5e3]", 7),
            ("{\"a\":{\"b\":[1,2]}}", 7),
            ("\"[1,2,3]\\\",4\\\\\"", 1),
        ] {
            holds(json, count);
        }
    }

    #[test]
    fn a_fault_of_the_text_hides_nothing_that_comes_after_it() {
        for (json, count) in [
            ("{oops", 2),
            ("[\"\\ud800\",[],[],[]]", 5),
            ("[nul,1,2]", 4),
            ("]]1 2 3", 3),
            ("[\"never closed, 1, 2", 2),
        ] {
            holds(json, count);
        }
    }

    /// Values and names, counted in the tree.
    fn counted(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(counted).sum(),
            Value::Object(fields) => fields.values().map(|value| 1 + counted(value)).sum(),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn the_count_of_a_text_is_that_of_its_tree(words in prop::collection::vec(".{0,9}", 0..9), number: f64) {
            let fields: serde_json::Map<String, Value> =
                words.iter().map(|word| (word.clone(), json!([word, number]))).collect();
            let tree = json!({"a": words, "b": fields, "c": [[], {}, null, number]});
            holds(&tree.to_string(), counted(&tree));
            holds(&serde_json::to_string_pretty(&tree).unwrap(), counted(&tree));
        }
    }
}
