//! What is kept of a very long event while its record is followed: what is short, and the beginning of its words.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};

use super::body::GIVEN_BACK;
use super::stub::stub;

/// So long that a block of its own is worth it.
const OWN_BLOCK: usize = 64 * 1024;

/// What every reader of an event needs: it takes its room before the other fields.
const HEAD: [&str; 10] = [
    "id",
    "type",
    "processed_at",
    "created_at",
    "stop_reason",
    "tool_use_id",
    "custom_tool_use_id",
    "mcp_tool_use_id",
    "evaluated_permission",
    "is_error",
];

/// The event with its head, those of its other fields that are short, and the beginning of its content: in about so many bytes.
pub(super) fn shortened(raw: &RawValue, most: usize) -> Box<RawValue> {
    let why = format!(
        "of {} bytes of this event, which get_events reads whole by its event_id",
        raw.get().len()
    );
    let is_first = |name: &str| name == "content" || HEAD.contains(&name);
    let Some(mut fields) = Fields::of(raw.get(), is_first, most / 2) else {
        return to_raw_value(&stub(raw.get(), &why)).unwrap_or_default();
    };
    let mut kept: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    if let Some((name, content)) = fields.remove_entry("content") {
        kept.extend(start_of_content(content, most / 2).map(|start| (name, start)));
    }
    let mut left = most / 2;
    let head = HEAD.map(|name| fields.remove_entry(name));
    for (name, value) in head.into_iter().flatten().chain(fields) {
        if let Some(rest) = left.checked_sub(size(&name, value)) {
            left = rest;
            kept.insert(name, value.to_owned());
        }
    }
    kept.extend(
        to_raw_value(&why)
            .ok()
            .map(|why| ("omitted".to_owned(), why)),
    );
    joined(&kept).unwrap_or_default()
}

/// The fields as one text. A long one stands in a block of its own, which the system has back as soon as it is freed: the
/// allocator would keep it, and a page of such events takes as much memory as the body it came in.
fn joined(fields: &BTreeMap<String, Box<RawValue>>) -> Option<Box<RawValue>> {
    let bytes: usize = fields.iter().map(|(name, value)| size(name, value)).sum();
    if bytes < OWN_BLOCK {
        return to_raw_value(fields).ok();
    }
    let mut json = Vec::with_capacity(GIVEN_BACK);
    serde_json::to_writer(&mut json, fields).ok()?;
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}

fn size(name: &str, value: &RawValue) -> usize {
    name.len() + value.get().len()
}

/// Fields of an object, unread: those that come first, and of the others what has room. Of a field that stands there twice
/// the last one counts.
struct Fields<'a> {
    is_first: fn(&str) -> bool,
    room: usize,
    met: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    fn of(
        json: &'a str,
        is_first: fn(&str) -> bool,
        room: usize,
    ) -> Option<BTreeMap<String, &'a RawValue>> {
        let fields = Fields {
            is_first,
            room,
            met: BTreeMap::new(),
        };
        let reader = &mut serde_json::Deserializer::from_str(json);
        reader.deserialize_map(fields).ok()
    }
}

impl<'de> Visitor<'de> for Fields<'de> {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Self::Value, A::Error> {
        while let Some((name, value)) = fields.next_entry::<String, &RawValue>()? {
            if (self.is_first)(&name) {
                self.met.insert(name, value);
                continue;
            }
            if let Some(former) = self.met.remove(&name) {
                self.room += size(&name, former);
            }
            if let Some(rest) = self.room.checked_sub(size(&name, value)) {
                self.room = rest;
                self.met.insert(name, value);
            }
        }
        Ok(self.met)
    }
}

/// The blocks that fit, and the beginning of the next one's text.
fn start_of_content(content: &RawValue, room: usize) -> Option<Box<RawValue>> {
    if content.get().starts_with('"') {
        return start_of_text(content.get(), room);
    }
    let blocks = Blocks {
        left: room,
        kept: Vec::new(),
        is_full: false,
    };
    let reader = &mut serde_json::Deserializer::from_str(content.get());
    to_raw_value(&reader.deserialize_seq(blocks).ok()?).ok()
}

/// The blocks of a content. What is left out of those before its end changes none of its words.
struct Blocks {
    left: usize,
    kept: Vec<Box<RawValue>>,
    is_full: bool,
}

impl<'de> Visitor<'de> for Blocks {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of blocks")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut blocks: A) -> Result<Self::Value, A::Error> {
        while let Some(block) = blocks.next_element::<&RawValue>()? {
            if !self.is_full && !self.takes(block) {
                let block = Block::of(block);
                if block
                    .within(self.left)
                    .is_none_or(|short| !self.takes(&short))
                {
                    self.kept.extend(block.start(self.left));
                    self.is_full = true;
                }
            }
        }
        Ok(self.kept)
    }
}

impl Blocks {
    /// Keeps a block where it fits.
    fn takes(&mut self, block: &RawValue) -> bool {
        let rest = self.left.checked_sub(block.get().len());
        if let Some(rest) = rest {
            self.left = rest;
            self.kept.push(block.to_owned());
        }
        rest.is_some()
    }
}

/// What is shown of a block, as [`content_text`](super::events::content_text) has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Bare(&'a RawValue),
    Text {
        #[serde(rename = "type")]
        kind: &'static str,
        text: &'a RawValue,
    },
    /// Something else, such as an image, is shown by its type.
    Other {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'a RawValue>,
    },
}

impl<'a> Block<'a> {
    fn of(block: &'a RawValue) -> Block<'a> {
        let is_text = |value: &&RawValue| value.get().starts_with('"');
        if is_text(&block) {
            return Block::Bare(block);
        }
        let is_first = |name: &str| name == "type" || name == "text";
        let fields = Fields::of(block.get(), is_first, 0).unwrap_or_default();
        let text_of = |name: &str| fields.get(name).copied().filter(is_text);
        match text_of("text") {
            Some(text) => Block::Text { kind: "text", text },
            None => Block::Other {
                kind: text_of("type"),
            },
        }
    }

    /// As it stands, where it may have this room: what is longer is not copied.
    fn within(&self, room: usize) -> Option<Box<RawValue>> {
        let longest = match self {
            Block::Bare(text) | Block::Text { text, .. } => Some(*text),
            Block::Other { kind } => *kind,
        };
        let is_short = longest.is_none_or(|text| text.get().len() <= room);
        is_short.then(|| to_raw_value(self).ok()).flatten()
    }

    /// Its beginning, where it is text.
    fn start(&self, room: usize) -> Option<Box<RawValue>> {
        match self {
            Block::Bare(text) => start_of_text(text.get(), room),
            Block::Text { kind, text } => {
                let text: &RawValue = &start_of_text(text.get(), room)?;
                to_raw_value(&Block::Text { kind, text }).ok()
            }
            Block::Other { .. } => None,
        }
    }
}

/// A JSON text, or one with its beginning where it is longer than this, never within a character.
fn start_of_text(text: &str, room: usize) -> Option<Box<RawValue>> {
    if text.len() <= room {
        return RawValue::from_string(text.to_owned()).ok();
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::events::Event;
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

    #[test]
    fn words_stay_however_their_blocks_are_written() {
        let long = "word ".repeat(400);
        let annotated = json!({"type": "text", "text": "The answer", "annotations": long});
        let shown = |content: Value| {
            let event = json!({"type": "agent.message", "annotations": long, "content": content});
            Event::new(shortened(&to_raw_value(&event).unwrap(), 1000)).text()
        };
        for content in [json!([long, "last"]), json!([[], long])] {
            let text = shown(content);
            assert!(text.contains("word word"), "{text}");
        }
        assert_eq!(shown(json!([annotated, "is 42"])), "The answer\nis 42");
        assert_eq!(shown(json!("is 42")), "is 42");
        assert_eq!(
            shown(
                json!([{"source": long}, {"type": 5, "source": long}, {"type": "image", "text": 7, "source": long}, "a"])
            ),
            "[block]\n[block]\n[image]\na"
        );
    }

    #[test]
    fn what_comes_first_has_its_room_whatever_else_there_is() {
        for room in 900..1000 {
            let event = json!({"id": "sevt_1", "type": "agent.message", "annotations": "A".repeat(room / 2 - 13),
                "processed_at": "2026-11-01T10:00:00Z", "content": "a".repeat(1000)});
            let kept = shortened_to(&event, room);
            assert_eq!(kept["id"], "sevt_1");
            assert_eq!(kept["processed_at"], "2026-11-01T10:00:00Z");
        }
    }

    fn words() -> impl Strategy<Value = String> {
        ("[a\"\\\\\n\u{fc}\u{1f600}]{0,3}", 1_usize..200)
            .prop_map(|(piece, times)| piece.repeat(times))
    }

    fn blocks() -> impl Strategy<Value = Value> {
        let kind = prop::sample::select(vec![
            json!("text"),
            json!("image"),
            json!("k".repeat(300)),
            json!(5),
        ]);
        let text = prop_oneof![words().prop_map(Value::from), Just(json!(7))];
        let fields = (
            prop::option::of(kind),
            prop::option::of(text),
            prop::option::of(words()),
        );
        prop_oneof![
            words().prop_map(Value::from),
            prop::collection::vec(0..9, 0..300).prop_map(Value::from),
            fields.prop_map(|(kind, text, other)| {
                let fields = [
                    ("type", kind),
                    ("text", text),
                    ("other", other.map(Value::from)),
                ];
                let present = fields
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)));
                Value::Object(present.collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_short_event_is_the_beginning_of_the_long_one(
            content in prop_oneof![
                words().prop_map(Value::from),
                prop::collection::vec(blocks(), 0..6).prop_map(Value::from),
            ],
            others in prop::collection::btree_map("x[a-z]{1,2}", words(), 0..6),
            most in 1000_usize..1400,
        ) {
            let mut event = json!({"id": "sevt_1", "type": "agent.tool_result", "processed_at": "2026-11-01T10:00:00Z",
                "created_at": "2026-11-01T09:00:00Z", "tool_use_id": "sevt_0", "is_error": true,
                "evaluated_permission": "ask", "content": content});
            for (name, value) in others {
                event[name] = value.into();
            }
            let whole = to_raw_value(&event).unwrap();
            let short = Event::new(shortened(&whole, most));
            let whole = Event::new(whole);
            prop_assert!(short.raw().len() < most + 200);
            prop_assert_eq!((&short.id, &short.kind, short.at, short.taken), (&whole.id, &whole.kind, whole.at, whole.taken));
            prop_assert_eq!(
                (short.answers(), short.is_error(), short.permission()),
                (whole.answers(), whole.is_error(), whole.permission())
            );
            let (start, text) = (short.text(), whole.text());
            prop_assert!(text.starts_with(&start), "{} | {}", start, text);
        }
    }
}
