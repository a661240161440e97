//! Events: the record of a session. <https://platform.claude.com/docs/en/api/beta/sessions/events>
//!
//! What they mean for a turn is decided in `session/`.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::brief::shortened;
use super::call::Call;
use super::escapes::paired_text;
use super::exact::lost;
use super::head::{Field, Head};
use super::stub::stub;
use super::{Client, Error, Id, Page, Row};

/// Calls that a session waits for at once at most.
const MOST_AWAITED: usize = 1000;

/// An event of so many bytes holds so many values at most.
const LONG: usize = 256 * 1024;
const MOST_VALUES: usize = 100_000;
/// A longer one is kept by its beginning, which is more than a result shows by default, where its record is followed.
const LONGEST_BRIEF: usize = 512 * 1024;

/// One event: the head that every reader needs, and the API's own JSON for the rest.
#[derive(Debug, Clone)]
pub struct Event {
    /// Opaque; empty on some interrupts and on previews.
    pub id: String,
    /// The API's `type`, known to us or not.
    pub kind: String,
    /// When the agent took it in (`processed_at`).
    pub at: Option<DateTime<Utc>>,
    /// Whether the agent took it in.
    pub taken: Taken,
    content: Content,
    raw: Box<RawValue>,
}

/// How much of an event is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Whole,
    /// What is short, and the beginning of its words; the API has the rest.
    Beginning,
    /// What of it decides: as a whole it cannot be held.
    InPart,
}

/// Whether the agent took an event in. Until then its place in the record is not final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// `processed_at` is a time.
    In,
    /// `processed_at` is null: it is queued.
    NotYet,
    /// There is no `processed_at`.
    Unstated,
}

/// Why a session went idle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// The API's `type`: `end_turn`, `requires_action`, … and others to come.
    pub kind: String,
    /// The tool events that wait for an answer.
    pub event_ids: Vec<String>,
}

/// What decides beside the head. Of a field that stands there twice the last one counts.
#[derive(Default)]
struct Tail {
    stop_reason: Option<Value>,
    tool_use_id: Option<Value>,
    custom_tool_use_id: Option<Value>,
    mcp_tool_use_id: Option<Value>,
    evaluated_permission: Option<Value>,
    is_error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TailName {
    StopReason,
    ToolUseId,
    CustomToolUseId,
    McpToolUseId,
    EvaluatedPermission,
    IsError,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Tail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tail, D::Error> {
        deserializer.deserialize_map(TailReader)
    }
}

struct TailReader;

impl<'de> Visitor<'de> for TailReader {
    type Value = Tail;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tail, A::Error> {
        let mut tail = Tail::default();
        while let Some(name) = fields.next_key()? {
            let field = match name {
                TailName::StopReason => &mut tail.stop_reason,
                TailName::ToolUseId => &mut tail.tool_use_id,
                TailName::CustomToolUseId => &mut tail.custom_tool_use_id,
                TailName::McpToolUseId => &mut tail.mcp_tool_use_id,
                TailName::EvaluatedPermission => &mut tail.evaluated_permission,
                TailName::IsError => &mut tail.is_error,
                TailName::Other => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = fields.next_value()?;
        }
        Ok(tail)
    }
}

/// Ids and types are words of visible ASCII; whatever else a server puts into one is left out, since both are shown.
fn word(text: String) -> String {
    let is_odd = |c: char| !c.is_ascii_graphic();
    if text.contains(is_odd) {
        text.replace(is_odd, "")
    } else {
        text
    }
}

impl Event {
    /// Reads the head; whatever is missing or odd is left out, since the event itself must not be lost.
    pub fn new(raw: Box<RawValue>) -> Event {
        let most = match raw.get().len() > LONG {
            true => MOST_VALUES,
            false => usize::MAX,
        };
        let error = match Head::of(raw.get(), most) {
            Ok(head) => return Event::held(&head, raw),
            Err(error) => error,
        };
        let Some(text) = paired_text(raw.get()) else {
            return Event::stub(raw.get(), &error.to_string());
        };
        match Head::of(&text, most) {
            Ok(head) => {
                let raw = RawValue::from_string(text).unwrap_or(raw);
                Event::held(&head, raw)
            }
            Err(error) => Event::stub(&text, &error.to_string()),
        }
    }

    /// An event that can be held as a value: a call, which somebody may be asked to allow, only where the value tells all of it.
    fn held(head: &Head, raw: Box<RawValue>) -> Event {
        let lost = head.is_named.then(|| lost(raw.get())).flatten();
        match lost {
            Some(why) => Event::stub(raw.get(), why),
            None => Event::of(head, raw, Content::Whole),
        }
    }

    /// In the place of an event that cannot be held.
    fn stub(json: &str, why: &str) -> Event {
        let stub = stub(json, why);
        let raw = serde_json::value::to_raw_value(&stub).unwrap_or_default();
        let head = Head::of(raw.get(), usize::MAX).unwrap_or_default();
        Event::of(&head, raw, Content::InPart)
    }

    fn of(head: &Head, raw: Box<RawValue>, content: Content) -> Event {
        let at = head.processed_at.text().or_else(|| head.created_at.text());
        let named = |field: &Field| field.text().map(|text| word(text.to_owned()));
        Event {
            id: named(&head.id).unwrap_or_default(),
            kind: named(&head.kind).unwrap_or_else(|| "unknown".to_owned()),
            at: at.and_then(parse_time),
            taken: match head.processed_at {
                Field::Null => Taken::NotYet,
                Field::Absent => Taken::Unstated,
                Field::Text(_) | Field::Odd => Taken::In,
            },
            content,
            raw,
        }
    }

    /// The same event; of a very long message of the agent or result of its tools what is short and the beginning of the words.
    pub fn brief(self) -> Event {
        if self.raw.get().len() <= LONGEST_BRIEF {
            return self;
        }
        Event::brief_of(&self.raw)
    }

    /// The brief event of a text, read once.
    pub(super) fn brief_of(raw: &RawValue) -> Event {
        if raw.get().len() <= LONGEST_BRIEF {
            return Event::new(raw.to_owned());
        }
        let paired = paired_text(raw.get()).and_then(|text| RawValue::from_string(text).ok());
        let raw = paired.as_deref().unwrap_or(raw);
        let short = Event::new(shortened(raw, LONGEST_BRIEF));
        // How a session stands may be told by any field of the others.
        let says = short.kind == "agent.message" || short.kind.ends_with("tool_result");
        if short.is_whole() && says && !short.kind.starts_with("user.") {
            return Event {
                content: Content::Beginning,
                ..short
            };
        }
        Event::new(raw.to_owned())
    }

    /// How much of it is here.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Whether all of it is here.
    pub fn is_whole(&self) -> bool {
        self.content == Content::Whole
    }

    /// The API's JSON, with a sign in the place of each half of a character.
    pub fn raw(&self) -> &str {
        self.raw.get()
    }

    /// The API's JSON as a value.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.raw.get()).unwrap_or_default()
    }

    /// The stop reason of a `session.status_idle`.
    pub fn stop_reason(&self) -> Option<StopReason> {
        let reason = self.tail().stop_reason?;
        let kind = reason
            .as_str()
            .or_else(|| reason.get("type")?.as_str())
            .map(|kind| word(kind.to_owned()))?;
        let ids = reason
            .get("event_ids")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Some(StopReason {
            kind,
            event_ids: ids
                .filter_map(Value::as_str)
                .take(MOST_AWAITED)
                .map(|id| word(id.to_owned()))
                .collect(),
        })
    }

    /// The id of the tool event that this event answers or results from.
    pub fn answers(&self) -> Option<String> {
        let tail = self.tail();
        let ids = [
            tail.tool_use_id,
            tail.custom_tool_use_id,
            tail.mcp_tool_use_id,
        ];
        let id = ids.into_iter().flatten().next()?;
        id.as_str().map(|id| word(id.to_owned()))
    }

    /// Whether its id can be passed back: as a cursor, or to read it whole.
    pub fn is_named(&self) -> bool {
        Id::is_id(&self.id)
    }

    /// Whether reading on after it loses nothing: what is queued still moves.
    pub fn can_be_cursor(&self) -> bool {
        self.is_named() && self.taken != Taken::NotYet
    }

    /// What the permission policy made of a tool call: `allow`, `ask` or `deny`.
    pub fn permission(&self) -> Option<String> {
        let permission = self.tail().evaluated_permission?;
        permission
            .as_str()
            .or_else(|| permission.get("type")?.as_str())
            .map(str::to_owned)
    }

    /// Whether it is the result of a tool that failed.
    pub fn is_error(&self) -> bool {
        self.tail().is_error.and_then(|value| value.as_bool()) == Some(true)
    }

    /// What decides beside the head, without the content.
    fn tail(&self) -> Tail {
        serde_json::from_str(self.raw.get()).unwrap_or_default()
    }

    /// The words in `content`: text blocks as they are, other blocks by name.
    pub fn text(&self) -> String {
        content_text(self.value().get("content").unwrap_or(&Value::Null))
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Event::new)
    }
}

/// An event that is never kept at its full length while its page is read.
struct Brief(Event);

impl<'de> Deserialize<'de> for Brief {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Brief, D::Error> {
        Event::deserialize(deserializer).map(|event| Brief(event.brief()))
    }
}

impl Row for Brief {
    fn read(raw: &RawValue) -> Option<Brief> {
        Some(Brief(Event::brief_of(raw)))
    }
}

/// The text of a `content` field, which is a string or a list of blocks.
pub fn content_text(content: &Value) -> String {
    let block_text =
        |block: &Value| match (block.get("text").and_then(Value::as_str), block.as_str()) {
            (Some(text), _) | (None, Some(text)) => text.to_owned(),
            (None, None) => format!(
                "[{}]",
                block.get("type").and_then(Value::as_str).unwrap_or("block")
            ),
        };
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(block_text).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// RFC 3339, or the same without a zone, which then is UTC.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let bare =
        || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
    zoned.or_else(|_| bare()).ok()
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// `true`: newest first. The API's default is oldest first.
    pub newest_first: bool,
    /// Only these types.
    pub types: Vec<String>,
    /// Taken in at or after, RFC 3339.
    pub created_after: Option<String>,
    /// Taken in at or before, RFC 3339.
    pub created_before: Option<String>,
    /// Only those of one thread.
    pub thread_id: Option<Id>,
    /// Items on a page, at most 1000.
    pub limit: Option<u32>,
    /// Token of the page.
    pub page: Option<String>,
}

fn list_call(session: &Id, filter: &EventFilter) -> Call {
    let path = match &filter.thread_id {
        Some(thread) => vec![
            "sessions",
            session.as_str(),
            "threads",
            thread.as_str(),
            "events",
        ],
        None => vec!["sessions", session.as_str(), "events"],
    };
    let mut call = Call::get(&path)
        .query_some("order", filter.newest_first.then_some("desc"))
        .query_some("created_at[gte]", filter.created_after.as_ref())
        .query_some("created_at[lte]", filter.created_before.as_ref())
        .query_some("limit", filter.limit)
        .query_some("page", filter.page.as_ref());
    for kind in &filter.types {
        call = call.query("types[]", kind);
    }
    call
}

impl Client {
    /// `GET /v1/sessions/{id}/events`, one page; `…/threads/{id}/events` when a thread is named.
    pub async fn list_events(
        &self,
        session: &Id,
        filter: &EventFilter,
    ) -> Result<Page<Event>, Error> {
        self.send(list_call(session, filter)).await
    }

    /// The same page, of brief events.
    pub async fn list_briefly(
        &self,
        session: &Id,
        filter: &EventFilter,
    ) -> Result<Page<Event>, Error> {
        let page: Page<Brief> = self.send(list_call(session, filter)).await?;
        Ok(Page {
            data: page.data.into_iter().map(|brief| brief.0).collect(),
            next_page: page.next_page,
            prev_page: page.prev_page,
        })
    }

    /// `POST /v1/sessions/{id}/events`. Returns the events as recorded; some servers return none.
    pub async fn send_events(&self, session: &Id, events: &[Value]) -> Result<Vec<Event>, Error> {
        let call = Call::create(
            &["sessions", session.as_str(), "events"],
            json!({ "events": events }),
        );
        Ok(self.send_for_word::<Recorded>(call).await?.0)
    }
}

/// The events that an answer says were recorded; none where it says something else.
#[derive(Default)]
struct Recorded(Vec<Event>);

impl<'de> Deserialize<'de> for Recorded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Recorded, D::Error> {
        let answer = Box::<RawValue>::deserialize(deserializer)?;
        let page = serde_json::from_str::<Page<Event>>(answer.get());
        Ok(Recorded(page.map_or_else(|_| Vec::new(), |page| page.data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Event {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_event_that_lacks_everything_is_still_an_event() {
        for odd in ["{}", "[]", "7", r#"{"id":3,"type":null,"processed_at":9}"#] {
            let event = event(odd);
            assert_eq!(
                (event.id.as_str(), event.kind.as_str()),
                ("", "unknown"),
                "{odd}"
            );
            assert_eq!(event.raw(), odd);
        }
    }

    #[test]
    fn null_absent_and_a_time_are_three_things() {
        let taken = |json: &str| event(json).taken;
        assert_eq!(
            taken(r#"{"type":"user.message","processed_at":null}"#),
            Taken::NotYet
        );
        assert_eq!(taken(r#"{"type":"user.message"}"#), Taken::Unstated);
        assert_eq!(
            taken(r#"{"processed_at":"2026-11-01T10:00:00.123Z"}"#),
            Taken::In
        );
    }

    #[test]
    fn half_a_character_costs_an_event_nothing_else() {
        let event = event(
            r#"{"id":"i","type":"agent.message","content":[{"type":"text","text":"42 \ud83d"}]}"#,
        );
        assert_eq!(event.text(), "42 \u{fffd}");
        assert!(event.is_whole());
    }

    #[test]
    fn what_cannot_be_held_is_told_in_part() {
        let deep = format!("{}{}", "[".repeat(140), "]".repeat(140));
        for odd in ["1e400", &deep, r#"["\udc00",1e400]"#] {
            let text = format!(
                r#"{{"id":"i","type":"agent.tool_use","processed_at":null,"name":"bash","input":{{"command":"ls","n":{odd}}}}}"#
            );
            let event = event(&text);
            assert_eq!((event.id.as_str(), event.taken), ("i", Taken::NotYet));
            assert!(!event.is_whole(), "{odd}");
            let value = event.value();
            assert_eq!(value["name"], "bash");
            assert_eq!(value["input"]["command"], "ls");
            assert!(
                value["omitted"]
                    .as_str()
                    .unwrap()
                    .contains("cannot be shown whole")
            );
        }
        let idle = event(
            r#"{"type":"session.status_idle","stop_reason":{"type":"requires_action","event_ids":["a"],"n":1e400}}"#,
        );
        assert_eq!(idle.stop_reason().unwrap().event_ids, ["a"]);
        let error = event(
            r#"{"type":"session.error","error":{"message":"m","n":1e400,"retry_status":{"type":"exhausted"}}}"#,
        );
        assert_eq!(error.value()["error"]["retry_status"]["type"], "exhausted");
    }

    #[test]
    fn a_call_that_a_value_would_tell_otherwise_is_told_in_part_and_what_differs_as_it_was_sent() {
        let call = |input: &str| {
            event(&format!(
                r#"{{"id":"i","type":"agent.tool_use","name":"bash","input":{input}}}"#
            ))
        };
        let number = "123456789012345678901234567890";
        let twice = r#"{"command":"rm -rf /","command":"ls"}"#;
        for (input, shown) in [
            (format!("{{\"n\":{number}}}"), json!({"n": number})),
            (
                r#"{"n":1.0000000000000000001}"#.to_owned(),
                json!({"n": "1.0000000000000000001"}),
            ),
            (twice.to_owned(), json!(twice)),
            (format!("{{\"a\":[{twice},1]}}"), json!({"a": [twice, 1]})),
        ] {
            let event = call(&input);
            assert_eq!(event.content(), Content::InPart, "{input}");
            assert_eq!(event.value()["input"], shown, "{input}");
        }
        let renamed = event(r#"{"type":"agent.tool_use","name":"ls","input":{},"name":"rm"}"#);
        assert_eq!(renamed.content(), Content::InPart);
        assert!(call(r#"{"n":[0.1,1e5,18446744073709551615,0.30000000000000004]}"#).is_whole());
        let said = format!(
            r#"{{"type":"agent.message","n":{number},"content":[{{"text":"a","text":"b"}}]}}"#
        );
        assert_eq!(
            (event(&said).is_whole(), event(&said).text()),
            (true, "b".to_owned())
        );
    }

    #[test]
    fn of_a_field_that_stands_there_twice_the_last_one_counts() {
        let event = event(
            r#"{"id":"a","id":"b","type":"agent.tool_result","tool_use_id":"t","tool_use_id":"u"}"#,
        );
        assert_eq!(event.id, "b");
        assert_eq!(event.answers().as_deref(), Some("u"));
        assert_eq!(event.kind, "agent.tool_result");
    }

    #[test]
    fn half_a_character_or_a_number_out_of_range_costs_a_long_event_nothing_more_than_a_short_one()
    {
        let long = "word ".repeat(LONGEST_BRIEF / 5);
        let said = |odd: &str| {
            let text = format!(
                r#"{{"id":"i","type":"agent.message",{odd}:1,"content":[{{"text":"{long}",{odd}:2}}]}}"#
            );
            Event::brief_of(&RawValue::from_string(text).unwrap())
        };
        let half = said(r#""\ud83d""#);
        assert_eq!(half.content(), Content::Beginning);
        assert!(half.text().len() > 200_000 && long.starts_with(&half.text()));
        let out_of_range = said(r#""m":1e400,"n""#);
        assert_eq!(out_of_range.content(), Content::InPart);
        assert_eq!(out_of_range.id, "i");
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        assert_eq!(
            parse_time("2026-11-01T10:00:00.5"),
            parse_time("2026-11-01T10:00:00.500Z")
        );
        assert_eq!(
            parse_time("2026-11-01T12:00:00+02:00"),
            parse_time("2026-11-01T10:00:00Z")
        );
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn content_is_read_as_string_and_as_blocks() {
        let text = |json: &str| event(json).text();
        assert_eq!(text(r#"{"content":"a"}"#), "a");
        assert_eq!(
            text(r#"{"content":[{"type":"text","text":"a"},{"type":"image"}]}"#),
            "a\n[image]"
        );
        assert_eq!(text("{}"), "");
    }

    #[test]
    fn a_stop_reason_is_read_as_object_and_as_word() {
        let reason = |json: &str| event(json).stop_reason();
        let expected = StopReason {
            kind: "requires_action".into(),
            event_ids: vec!["a".into()],
        };
        assert_eq!(
            reason(r#"{"stop_reason":{"type":"requires_action","event_ids":["a"]}}"#),
            Some(expected)
        );
        assert_eq!(
            reason(r#"{"stop_reason":"end_turn"}"#).map(|reason| reason.kind),
            Some("end_turn".into())
        );
        assert_eq!(reason("{}"), None);
    }

    #[test]
    fn an_event_of_very_many_values_is_told_by_its_head() {
        let ids = vec!["\"e1\""; 200_000].join(",");
        let text = format!(
            r#"{{"id":"i","type":"session.status_idle","processed_at":"2026-11-01T10:00:00Z","stop_reason":{{"type":"requires_action","event_ids":[{ids}]}}}}"#
        );
        let event: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (event.id.as_str(), event.kind.as_str()),
            ("i", "session.status_idle")
        );
        assert_eq!(event.taken, Taken::In);
        let reason = event.stop_reason().unwrap();
        assert_eq!(
            (reason.kind.as_str(), reason.event_ids.len()),
            ("requires_action", MOST_AWAITED)
        );
        assert!(event.raw().len() < 20_000);
        assert!(!event.is_whole());
    }
}
