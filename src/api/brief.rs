//! What is kept of a very long event while its record is followed: what is short, and the beginning of its words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::stub::stub;

/// Bytes of the type of a block; a longer one is none.
const LONGEST_KIND: usize = 100;

/// The event with those of its fields that are short, and the beginning of its content: in about so many bytes.
pub(super) fn shortened(raw: &RawValue, most: usize) -> Box<RawValue> {
    let why = format!(
        "of {} bytes of this event, which get_events reads whole by its event_id",
        raw.get().len()
    );
    let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()) else {
        return to_raw_value(&stub(raw.get(), &why)).unwrap_or_default();
    };
    let mut left = most / 2;
    let mut kept: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (name, value) in fields {
        let bytes = name.len() + value.get().len();
        if name == "content" {
            kept.extend(start_of_content(value, most / 2).map(|start| (name, start)));
        } else if let Some(rest) = left.checked_sub(bytes) {
            left = rest;
            kept.insert(name, value.to_owned());
        }
    }
    kept.extend(
        to_raw_value(&why)
            .ok()
            .map(|why| ("omitted".to_owned(), why)),
    );
    to_raw_value(&kept).unwrap_or_default()
}

/// The blocks that fit, and the beginning of the next one's text.
fn start_of_content(content: &RawValue, room: usize) -> Option<Box<RawValue>> {
    if content.get().starts_with('"') {
        return start_of_text(content.get(), room);
    }
    let mut left = room;
    let mut kept = Vec::new();
    for block in serde_json::from_str::<Vec<&RawValue>>(content.get()).ok()? {
        match left.checked_sub(block.get().len()) {
            Some(rest) => left = rest,
            None => {
                let block: Block = serde_json::from_str(block.get()).unwrap_or_default();
                // What is no text, such as an image, takes no words away from those after it.
                let Some(text) = block.text else {
                    let kind = block.kind.filter(|kind| kind.get().len() < LONGEST_KIND);
                    kept.extend(kind.and_then(|kind| to_raw_value(&Other { kind }).ok()));
                    continue;
                };
                let text = start_of_text(text.get(), left);
                kept.extend(text.and_then(|text| to_raw_value(&Text { kind: "text", text }).ok()));
                break;
            }
        }
        kept.push(block.to_owned());
    }
    to_raw_value(&kept).ok()
}

/// A JSON text with the beginning of another one, never within a character.
fn start_of_text(text: &str, room: usize) -> Option<Box<RawValue>> {
    // An escape has up to twelve bytes.
    let ends = (0..=12).filter_map(|back| text.get(..room.checked_sub(back)?));
    let whole = ends.filter(|start| !ends_on_half_a_pair(start));
    whole
        .map(|start| format!("{start}\""))
        .find_map(|start| RawValue::from_string(start).ok())
        .filter(|start| start.get().starts_with('"'))
}

/// Whether the last escape is the first half of a character of two.
fn ends_on_half_a_pair(text: &str) -> bool {
    let end = text.len().checked_sub(6).and_then(|at| text.get(at..));
    let half = end.and_then(|end| u32::from_str_radix(end.strip_prefix("\\u")?, 16).ok());
    half.is_some_and(|half| (0xd800..0xdc00).contains(&half))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// A block of which only its type is kept.
#[derive(Serialize)]
struct Other<'a> {
    #[serde(rename = "type")]
    kind: &'a RawValue,
}

#[derive(Serialize)]
struct Text {
    #[serde(rename = "type")]
    kind: &'static str,
    text: Box<RawValue>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shortened_to(event: &Value, most: usize) -> Value {
        let raw = to_raw_value(event).unwrap();
        serde_json::from_str(shortened(&raw, most).get()).unwrap()
    }

    #[test]
    fn of_a_long_event_the_short_fields_and_the_beginning_of_its_words_stay() {
        let long = "ab\"\\ü\u{1f600}\n".repeat(1000);
        let block = |text: &str| json!({"type": "text", "text": text});
        let event = json!({"id": "e", "type": "agent.message", "input": {"a": long}, "is_error": true,
            "content": [block("first"), {"type": "image"}, block(&long), block("last")]});
        for most in 800..830 {
            let kept = shortened_to(&event, most);
            assert!(kept.to_string().len() < most + 200, "{kept}");
            assert_eq!(
                (&kept["id"], &kept["is_error"]),
                (&json!("e"), &json!(true))
            );
            assert!(kept.get("input").is_none());
            assert_eq!(kept["content"][0], block("first"));
            let text = kept["content"][2]["text"].as_str().unwrap();
            assert!(text.len() > 200 && long.starts_with(text), "{text}");
            assert_eq!(kept["content"].as_array().unwrap().len(), 3);
            let bare = shortened_to(&json!({"content": long}), most);
            assert!(long.starts_with(bare["content"].as_str().unwrap()));
        }
    }

    #[test]
    fn a_long_block_that_is_no_text_takes_no_words_away() {
        let image = json!({"type": "image", "source": {"data": "A".repeat(5000)}});
        let event = json!({"content": [image, {"type": "text", "text": "The answer is 42"}]});
        assert_eq!(
            shortened_to(&event, 1000)["content"],
            json!([{"type": "image"}, {"type": "text", "text": "The answer is 42"}])
        );
    }

    #[test]
    fn no_character_is_cut_in_two_however_it_is_written() {
        let text = format!("\"{}\"", r"\\ud83d\ud83d\ude00\u00fc\n".repeat(30));
        let whole: String = serde_json::from_str(&text).unwrap();
        for room in 20..300 {
            let start = start_of_text(&text, room).unwrap();
            let start: String = serde_json::from_str(start.get()).unwrap();
            assert!(whole.starts_with(&start), "{room}");
            assert!(start.len() + 20 > room / 4, "{room}");
        }
    }
}
