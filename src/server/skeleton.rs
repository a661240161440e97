//! The first level of a message that cannot be read whole, so that a request is answered even when it is too large, too
//! deep, or broken inside.

use serde_json::Value;

/// Longest text that is kept.
const LONGEST_TEXT: usize = 256;
/// Most that is kept in all.
const MOST: usize = 64 * 1024;

/// Takes the bytes of a message and keeps its first level: `{"id":1,"params":{…}}` becomes `{"id":1,"params":{}}`, in at
/// most [`MOST`] bytes.
#[derive(Debug, Default)]
pub(super) struct Skeleton {
    kept: Vec<u8>,
    /// How many brackets are open.
    depth: usize,
    /// Where the text that is being read begins.
    text: Option<usize>,
    is_escaped: bool,
}

impl Skeleton {
    /// Takes the next bytes in.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match self.text {
                Some(beginning) => self.take_text(*byte, beginning),
                None => self.take_structure(*byte),
            }
        }
    }

    fn take_structure(&mut self, byte: u8) {
        if matches!(byte, b'}' | b']') {
            self.depth = self.depth.saturating_sub(1);
        }
        self.keep(byte);
        if matches!(byte, b'{' | b'[') {
            self.depth += 1;
        }
        if byte == b'"' {
            self.text = Some(self.kept.len());
        }
    }

    fn take_text(&mut self, byte: u8, beginning: usize) {
        let ends = byte == b'"' && !self.is_escaped;
        self.is_escaped = byte == b'\\' && !self.is_escaped;
        let is_long = self.kept.len() > beginning + LONGEST_TEXT;
        if ends {
            self.text = None;
            if is_long {
                self.kept.truncate(beginning);
            }
        }
        if ends || !is_long {
            self.keep(byte);
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth <= 1 && self.kept.len() < MOST {
            self.kept.push(byte);
        }
    }

    /// The first level, if it is an object.
    pub(super) fn finish(self) -> Option<Value> {
        let value = serde_json::from_slice(&self.kept).ok();
        value.filter(Value::is_object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(text: &[u8]) -> Option<Value> {
        let mut skeleton = Skeleton::default();
        skeleton.take(text);
        skeleton.finish()
    }

    #[test]
    fn what_is_deep_long_or_broken_inside_is_left_out() {
        let deep = format!(
            r#"{{"params":{}{},"id":7}}"#,
            "[{\"a\":".repeat(500),
            "}]".repeat(500)
        );
        assert_eq!(of(deep.as_bytes()), Some(json!({"params": [], "id": 7})));
        let long = format!(
            r#"{{"junk":"{}","id":"a\"b"}}"#,
            "\\u00e9\\\"}".repeat(5000)
        );
        assert_eq!(of(long.as_bytes()), Some(json!({"junk": "", "id": "a\"b"})));
        let broken = b"{\"id\":3,\"params\":{oops, \xff, \"}\"}}";
        assert_eq!(of(broken), Some(json!({"id": 3, "params": {}})));
        for nothing in ["", "hello", "[1]", "{\"id\":1", "}{", "{\"id\":1}}"] {
            assert_eq!(of(nothing.as_bytes()), None, "{nothing}");
        }
    }

    fn plain_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\{}]{1,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_first_level_of_any_object_is_kept(fields in prop::collection::hash_map("[a-z\"\\\\]{1,4}", plain_value(), 0..6)) {
            let whole = Value::Object(fields.into_iter().collect());
            let mut expected = whole.clone();
            for value in expected.as_object_mut().unwrap().values_mut() {
                match value {
                    Value::Array(items) => items.clear(),
                    Value::Object(fields) => fields.clear(),
                    _ => {}
                }
            }
            prop_assert_eq!(of(whole.to_string().as_bytes()), Some(expected));
        }
    }
}
