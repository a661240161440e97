//! Escapes that stand for half a character. JavaScript writes one where it cuts an emoji in two, and a text with one is
//! JSON that holds no text.

use memchr::memchr;
use serde::de::DeserializeOwned;

/// Stands in the place of half a character; as long as what it replaces.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Reads a text; one that cannot be read, without halves of characters.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json).or_else(|error| match paired(json) {
        Some(paired) => serde_json::from_slice(&paired),
        None => Err(error),
    })
}

/// The text without halves of characters; `None` where it has none.
pub(super) fn paired_text(json: &str) -> Option<String> {
    String::from_utf8(paired(json.as_bytes())?).ok()
}

/// The text with every half of a character replaced; `None` where there is none.
pub(super) fn paired(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = memchr(b'\\', json.get(at..).unwrap_or_default()) {
        let start = at + found;
        at = start
            + match (unit(json, start), unit(json, start + REPLACEMENT.len())) {
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 2 * REPLACEMENT.len(),
                (Some(0xD800..=0xDFFF), _) => {
                    let text = mended.get_or_insert_with(|| json.to_vec());
                    if let Some(half) = text.get_mut(start..start + REPLACEMENT.len()) {
                        half.copy_from_slice(REPLACEMENT);
                    }
                    REPLACEMENT.len()
                }
                (Some(_), _) => REPLACEMENT.len(),
                // Another escape: the character after it is no start of one.
                (None, _) => 2,
            };
    }
    mended
}

/// The code unit of the `\uXXXX` that stands here.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn only_halves_are_replaced_and_only_where_they_are_escapes() {
        for (json, mended) in [
            (r#""a \ud83d""#, Some(r#""a \ufffd""#)),
            (r#""\uDE00 b""#, Some(r#""\ufffd b""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9 \"\\""#, None),
            (r#""\ud8""#, None),
            (r#""\u+d83""#, None),
            ("\"\\", None),
        ] {
            let paired = paired(json.as_bytes()).map(|text| String::from_utf8(text).unwrap());
            assert_eq!(paired.as_deref(), mended, "{json}");
        }
    }

    #[test]
    fn a_text_is_read_with_a_sign_where_half_a_character_was() {
        let value: Value = parse(br#"{"a":"x \ud83d","\udc00":[1]}"#).unwrap();
        assert_eq!(value["a"], "x \u{fffd}");
        assert_eq!(value["\u{fffd}"][0], 1);
        assert!(parse::<Value>(br#"{"a":1e400,"b":"\ud83d"}"#).is_err());
    }

    proptest! {
        #[test]
        fn every_string_of_escapes_can_be_read(
            pieces in prop::collection::vec(
                prop::sample::select(vec![r"\ud83d", r"\ude00", r"\\", r#"\""#, r"\n", r"\u0041", "u", "d83d", "é"]),
                0..12,
            )
        ) {
            let json = format!("\"{}\"", pieces.concat());
            prop_assert!(parse::<String>(json.as_bytes()).is_ok(), "{}", json);
            let is_whole = serde_json::from_str::<String>(&json).is_ok();
            prop_assert_eq!(paired(json.as_bytes()).is_none(), is_whole, "{}", json);
        }
    }
}
