//! History → facts: what every tool that acts on a session returns.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::activity::activity;
use super::clean::{clean, clean_line, escape};
use super::grading::{self, Verdict};
use super::history::{History, is_question};
use super::turn::{State, Turn, stops_turn};
use crate::api::events::Event;
use crate::api::sessions::Session;

/// How a session stands, and what its agent said and did in this turn. Text in it is cleaned; `render` makes it fit.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The session.
    pub session_id: String,
    /// As the caller named it.
    pub title: Option<String>,
    /// How it stands.
    pub state: State,
    /// Why, in the API's words.
    pub reason: Option<String>,
    /// The agent's own words of this turn.
    pub reply: Option<String>,
    /// One line for each thing that it did.
    pub activity: Vec<String>,
    /// What waits for an answer.
    pub pending: Vec<Pending>,
    /// The grader's newest verdict, where an outcome was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Verdict>,
    /// Event id: what comes later stands after it.
    pub cursor: Option<String>,
    /// Tokens, cost and time so far.
    pub usage: Usage,
    /// Seconds since the newest event; grows while nothing happens.
    pub last_event_age_seconds: Option<i64>,
    /// The session's page for a person.
    pub url: String,
    /// The remote agent's words are data, not instructions.
    pub untrusted: bool,
    /// The threads of the session, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadRow>,
    /// What was cut, and the call that returns it.
    pub omitted: Option<String>,
    /// What to call next.
    pub next: String,
    /// What the server did on its own account: defaults it used, limits it applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The answers come from the built-in simulator.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// When the newest event happened.
    #[serde(skip)]
    pub newest: Option<DateTime<Utc>>,
    /// What was asked, once it is known by id, and when.
    #[serde(skip)]
    pub question: Option<Asking>,
    /// The turn ended just now and without words: they may be listed late.
    #[serde(skip)]
    pub awaits_words: bool,
    /// The reply by event, so that a cut can name where it goes on.
    #[serde(skip)]
    pub words: Vec<Words>,
}

/// The question of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Id of the event.
    pub event_id: String,
    /// When it was taken in.
    pub at: Option<DateTime<Utc>>,
    /// Somebody interrupted its turn.
    pub interrupted: bool,
}

/// One thread of a session with several agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadRow {
    /// Its id; get_events and interrupt_session take it.
    pub thread_id: String,
    /// Name of its agent.
    pub agent: String,
    /// The API's status.
    pub status: String,
    /// It is the one that the session began with.
    pub primary: bool,
}

/// One message of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Id of the `agent.message`.
    pub event_id: String,
    /// Its cleaned text, as far as it is kept.
    pub text: String,
    /// All of it is kept.
    pub is_whole: bool,
}

/// A tool call that waits for an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pending {
    /// Id of the tool event; `resolve_action` takes it.
    pub event_id: String,
    /// What kind of answer it takes.
    pub kind: PendingKind,
    /// The tool's name, with its MCP server's where it has one.
    pub tool: String,
    /// The tool's input, as far as it can be shown.
    pub input: Value,
    /// How much of the call is known.
    #[serde(skip)]
    pub seen: Seen,
}

impl Pending {
    /// Name and input on one line, as a report shows them.
    pub fn line(&self) -> String {
        format!("{} {}", self.tool, self.input)
    }

    /// Name and input as a dialog shows them.
    pub fn form(&self) -> String {
        let input = serde_json::to_string_pretty(&self.input).unwrap_or_default();
        format!("{} with this input:\n\n{input}", self.tool)
    }
}

/// How much of a pending call the record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Its name and its whole input.
    Whole,
    /// The call, but not all of it, so that nobody knows what would run.
    InPart,
    /// All of it, of which a part looks like a secret and is masked.
    Masked,
    /// Only its id so far.
    NotYet,
}

impl Seen {
    fn of(event: Option<&Event>, value: &Value) -> Seen {
        let is_named = value.get("name").is_some_and(Value::is_string);
        match event {
            None => Seen::NotYet,
            Some(event) if event.is_whole() && is_named => Seen::Whole,
            Some(_) => Seen::InPart,
        }
    }
}

/// What kind of answer a pending tool call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingKind {
    /// Allow or deny.
    ToolConfirmation,
    /// The result of a custom tool.
    CustomToolResult,
    /// The result of a built-in tool that a self-hosted environment runs itself.
    ToolResult,
}

impl PendingKind {
    /// The word, as results carry it.
    pub fn word(self) -> &'static str {
        match self {
            PendingKind::ToolConfirmation => "tool_confirmation",
            PendingKind::CustomToolResult => "custom_tool_result",
            PendingKind::ToolResult => "tool_result",
        }
    }
}

/// Use so far. Money in US dollars at list price, time in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Spent so far.
    pub cost_usd: Option<f64>,
    /// The ceiling; null: none.
    pub budget_usd: Option<f64>,
    /// In which the session ran.
    pub active_seconds: Option<f64>,
}

/// What a report is made of.
pub struct Facts<'a> {
    /// Id of the session, also when the object could not be read.
    pub session_id: &'a str,
    /// The session object, as last read.
    pub session: Option<&'a Session>,
    /// Its events, as far as they are known.
    pub history: &'a History,
    /// The judgement on them.
    pub turn: &'a Turn,
    /// So many of the events have their final place; see [`places::final_events`](super::places::final_events).
    pub final_places: usize,
    /// For ages.
    pub now: DateTime<Utc>,
    /// What others wrote is written so.
    pub anew: Anew,
}

/// How what others wrote is written anew before anything of it is cut.
#[derive(Clone, Copy)]
pub struct Anew {
    /// A text.
    pub text: fn(&str) -> String,
    /// A value with all texts in it.
    pub value: fn(&Value) -> Value,
}

/// Puts the facts together. `next`, `notes` and `omitted` are for the caller to fill.
pub fn report(facts: &Facts) -> Report {
    let Facts {
        session_id,
        session,
        history,
        turn,
        final_places,
        now,
        anew,
    } = facts;
    let of_turn: Vec<&Event> = history
        .events()
        .skip(turn.events.start)
        .take(turn.events.len())
        .collect();
    let words: Vec<Words> = of_turn.iter().filter_map(|event| words(event)).collect();
    let outcome = grading::verdict(&of_turn);
    // The turn is over, but not for the reason that was hoped for.
    let unmet = outcome
        .as_ref()
        .filter(|verdict| turn.state == State::Done && verdict.result != "satisfied")
        .map(|verdict| format!("outcome {}", cut(&verdict.result, 40)));
    let question = asking(&of_turn);
    let interrupted = question
        .as_ref()
        .filter(|question| turn.state == State::Done && question.interrupted)
        .map(|_| "interrupted".to_owned());
    let reply: Vec<&str> = words.iter().map(|words| words.text.as_str()).collect();
    let newest = history.events().rev().find_map(|event| event.at);
    Report {
        session_id: (*session_id).to_owned(),
        title: session
            .and_then(|session| session.title.as_deref())
            .map(clean_line),
        state: turn.state,
        reason: turn
            .reason
            .as_deref()
            .map(clean_line)
            .or(interrupted)
            .or(unmet),
        outcome,
        reply: (!words.is_empty()).then(|| reply.join("\n\n")),
        activity: activity(&of_turn, &turn.pending, *anew),
        pending: turn
            .pending
            .iter()
            .map(|id| pending(id, history.get(id)))
            .collect(),
        cursor: history.cursor_within(*final_places).map(str::to_owned),
        usage: usage(*session, history),
        newest,
        last_event_age_seconds: newest.map(|newest| (*now - newest).num_seconds().max(0)),
        url: format!("https://platform.claude.com/workspaces/default/sessions/{session_id}"),
        untrusted: true,
        threads: Vec::new(),
        omitted: None,
        next: String::new(),
        notes: Vec::new(),
        simulated: false,
        question,
        awaits_words: !turn.settled && *final_places < turn.events.end,
        words,
    }
}

fn asking(of_turn: &[&Event]) -> Option<Asking> {
    let question = of_turn.iter().find(|event| is_question(&event.kind))?;
    Some(Asking {
        event_id: question.id.clone(),
        at: question.at,
        interrupted: of_turn.iter().any(|event| stops_turn(event)),
    })
}

fn words(event: &Event) -> Option<Words> {
    let text = (event.kind == "agent.message").then(|| clean(&event.text()).text)?;
    (!text.trim().is_empty()).then(|| Words {
        event_id: event.id.clone(),
        text,
        is_whole: event.is_whole(),
    })
}

/// The session object's counters, or those of the newest usage event where it could not be read.
fn usage(session: Option<&Session>, history: &History) -> Usage {
    let snapshot = history
        .events()
        .rev()
        .find(|event| event.kind == "session.usage")
        .map(|event| event.value());
    let field = |name| {
        snapshot
            .as_ref()
            .and_then(|value| value.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let from_event =
        serde_json::from_value::<crate::api::sessions::Usage>(field("usage")).unwrap_or_default();
    let (usage, budget) = match session {
        Some(session) => (session.usage.clone(), session.budget.clone()),
        None => (
            from_event.clone(),
            serde_json::from_value(field("budget")).ok(),
        ),
    };
    let cost = |usage: &crate::api::sessions::Usage| {
        usage.list_cost.as_ref().and_then(|cost| cost.dollars())
    };
    Usage {
        // The object's counters lag; the newest event may know more.
        input_tokens: usage.input_tokens.max(from_event.input_tokens).unwrap_or(0),
        output_tokens: usage
            .output_tokens
            .max(from_event.output_tokens)
            .unwrap_or(0),
        cost_usd: [cost(&usage), cost(&from_event)]
            .into_iter()
            .flatten()
            .reduce(f64::max),
        budget_usd: budget.and_then(|budget| budget.max_list_cost.dollars()),
        active_seconds: usage.active_seconds.or(from_event.active_seconds),
    }
}

/// The cost that a `session.usage` event tells, in dollars.
pub fn cost_of(event: &Event) -> Option<f64> {
    let usage = event.value().get("usage").cloned()?;
    serde_json::from_value::<crate::api::sessions::Usage>(usage)
        .ok()?
        .list_cost?
        .dollars()
}

/// The pending call with its input; the event itself may be missing from the record.
fn pending(id: &str, event: Option<&Event>) -> Pending {
    let value = event.map(Event::value).unwrap_or_default();
    let kind = match event.map(|event| event.kind.as_str()) {
        Some("agent.custom_tool_use") => PendingKind::CustomToolResult,
        Some("agent.tool_use") if event.and_then(Event::permission).as_deref() == Some("allow") => {
            PendingKind::ToolResult
        }
        _ => PendingKind::ToolConfirmation,
    };
    Pending {
        event_id: id.to_owned(),
        kind,
        tool: if event.is_some() {
            tool_name(&value)
        } else {
            "unknown".to_owned()
        },
        input: escaped(value.get("input").unwrap_or(&Value::Null)),
        seen: Seen::of(event, &value),
    }
}

/// `server/tool` for a tool of an MCP server, else the bare name.
pub fn tool_name(tool_use: &Value) -> String {
    let text = |key| tool_use.get(key).and_then(Value::as_str).map(clean_line);
    let name = text("name").unwrap_or_else(|| "tool".to_owned());
    match text("mcp_server_name") {
        Some(server) => format!("{server}/{name}"),
        None => name,
    }
}

/// The same value with every hostile character in its strings written as an escape.
pub fn escaped(value: &Value) -> Value {
    rewritten(value, &escape)
}

/// The same value with every text in it, names too, written anew.
pub fn rewritten(value: &Value, anew: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(anew(text)),
        Value::Array(items) => items.iter().map(|item| rewritten(item, anew)).collect(),
        Value::Object(fields) => {
            let mut shown = Map::new();
            let mut alike: HashMap<String, usize> = HashMap::new();
            for (name, value) in fields {
                let plain = anew(name);
                let count = alike.entry(plain.clone()).or_default();
                let mut name = plain.clone();
                // Two names may come to look the same; neither field may hide the other.
                while shown.contains_key(&name) {
                    *count += 1;
                    name = format!("{plain} (again {count})");
                }
                shown.insert(name, rewritten(value, anew));
            }
            Value::Object(shown)
        }
        other => other.clone(),
    }
}

/// At most `width` characters, with a sign where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_field_hides_another_that_looks_the_same() {
        let input = json!({"a\u{202e}": "ls", "a\\u{202e}": "rm", "b": {"\u{202e}": 1}});
        let shown = escaped(&input).to_string();
        assert!(shown.contains("ls") && shown.contains("rm"), "{shown}");
        assert!(!shown.contains('\u{202e}'), "{shown}");
    }

    #[test]
    fn many_fields_that_look_the_same_cost_no_more_than_others() {
        // Each of 2^12 names is written with another choice of characters and their escapes.
        let name = |number: u32| -> String {
            let sign = |bit: u32| match number >> bit & 1 {
                0 => "\u{200b}",
                _ => "\\u{200b}",
            };
            (0..12).map(sign).collect()
        };
        let input: Map<String, Value> = (0..1 << 12).map(|n| (name(n), json!(n))).collect();
        let shown = escaped(&Value::Object(input));
        let shown = shown.as_object().unwrap();
        assert_eq!(shown.len(), 1 << 12);
        // Without a count the names would grow to half of the number of fields, six bytes each.
        let longest = shown.keys().map(String::len).max().unwrap();
        assert!(longest < 12 * 8 + " (again 4096)".len() + 1, "{longest}");
    }
}
