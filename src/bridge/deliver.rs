//! Events into a session, each once: what was recorded before is compared with what is recorded after, since two messages
//! may be the same on purpose.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::defaults::in_time;
use super::follow::Follow;
use super::memory::Memory;
use super::once::{Second, Write};
use super::{Bridge, Failure};
use crate::api::events::{Event, EventFilter, content_text};
use crate::api::{Client, Error, Id};
use crate::session::turn::{Asked, Unnamed};

/// What the server accepted without a word may be listed so late.
const LISTED_WITHIN: Duration = Duration::from_secs(2);
/// Newest events of the sent types that are compared.
const COMPARED: u32 = 50;

/// What was sent.
pub(super) struct Sent {
    /// Ids of the events; none where the server accepted them without a word and does not list them yet.
    pub(super) ids: Vec<String>,
    /// Ids of the events that were there before.
    before: HashSet<String>,
}

impl Sent {
    /// What to wait for when the last of the events is a question.
    pub(super) fn question(self, question: &Value, answered: HashSet<String>) -> Asked {
        let text = content_text(question.get("content").unwrap_or(&Value::Null));
        let unnamed = self.ids.is_empty().then_some(Unnamed {
            before: self.before,
            text,
        });
        // An interrupt that went ahead may have no id and never be taken in.
        Asked {
            question: self.ids.into_iter().next_back(),
            unnamed,
            answered,
            just_sent: true,
            ..Asked::default()
        }
    }
}

/// Events that are about to be sent.
pub(super) struct Parcel<'a> {
    api: &'a Client,
    memory: &'a Memory,
    session: &'a Id,
    deadline: Instant,
    write: Write,
    pub(super) events: Vec<Value>,
    /// The newest events of these types that were listed just before.
    pub(super) before: Vec<Event>,
}

impl Bridge {
    /// Sends events and returns what to look for in the record.
    pub(super) async fn deliver(
        &self,
        session: &Id,
        events: Vec<Value>,
        doing: &str,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        // Two that say the same are told apart by what was there before each.
        let _turn = in_time(deadline, self.sending.lock(session.as_str())).await?;
        let parcel = self.parcel(session, events, doing, deadline).await?;
        parcel.send().await
    }

    /// Looks at the record, and sends nothing yet.
    pub(super) async fn parcel<'a>(
        &'a self,
        session: &'a Id,
        events: Vec<Value>,
        doing: &str,
        deadline: Instant,
    ) -> Result<Parcel<'a>, Failure> {
        let before = listed(&self.api.until(deadline), session, &events)
            .await
            .map_err(Failure::while_trying(doing))?;
        let next = format!(
            "get_events with session_id {session} and order desc shows whether it arrived; send it again only if it did not."
        );
        Ok(Parcel {
            api: &self.api,
            memory: &self.memory,
            session,
            deadline,
            write: Write::new(doing, Second::Repeats, next),
            events,
            before,
        })
    }

    /// Stops the turn of a session or of one of its threads.
    pub(super) async fn send_interrupt(
        &self,
        session: &Id,
        thread: Option<&Id>,
        follow: &Follow,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let doing = "interrupt the session";
        let is_interrupt = |event: &&Event| event.kind == INTERRUPT;
        let mut known: HashSet<String> = if follow.is_complete() {
            let known = follow.history.events().filter(is_interrupt);
            known.map(|event| event.id.clone()).collect()
        } else {
            let api = self.api.until(deadline);
            let known = newest(&api, session, vec![INTERRUPT.to_owned()]).await;
            ids(known.map_err(Failure::while_trying(doing))?).collect()
        };
        known.extend(self.memory.posted(session));
        let known = &known;
        let next = format!(
            "get_status with session_ids [\"{session}\"]: where it still works, make the same call again."
        );
        let write = Write::new(doing, Second::Repeats, next);
        let send = |api: Client| async move {
            let recorded = api.send_interrupt(session, thread).await?;
            Ok(ids(recorded).collect::<Vec<String>>())
        };
        let look = |api: Client| async move {
            let newest = newest(&api, session, vec![INTERRUPT.to_owned()]).await?;
            let is_new = |id: &String| !id.is_empty() && !known.contains(id);
            let new: Vec<String> = ids(newest).filter(is_new).collect();
            Ok((!new.is_empty()).then_some(new))
        };
        let sent = write.once(&self.api, deadline, send, look).await?;
        self.memory.post(session, &sent);
        Ok(())
    }
}

fn ids(events: Vec<Event>) -> impl Iterator<Item = String> {
    events.into_iter().map(|event| event.id)
}

impl Parcel<'_> {
    /// Sends them once.
    pub(super) async fn send(self) -> Result<Sent, Failure> {
        let listed_before = self.before.into_iter().map(|event| event.id);
        let known: HashSet<String> = listed_before
            .chain(self.memory.posted(self.session))
            .collect();
        let (session, events, known_ids) = (self.session, &self.events, &known);
        let send = |api: Client| async move { send(&api, session, events, known_ids).await };
        let look = |api: Client| async move {
            Ok(matched(
                events,
                &listed(&api, session, events).await?,
                known_ids,
            ))
        };
        let ids = self.write.once(self.api, self.deadline, send, look).await?;
        self.memory.post(session, &ids);
        Ok(Sent { ids, before: known })
    }
}

async fn send(
    api: &Client,
    session: &Id,
    events: &[Value],
    known: &HashSet<String>,
) -> Result<Vec<String>, Error> {
    let recorded = api.send_events(session, events).await?;
    if recorded.len() == events.len()
        && recorded
            .iter()
            .all(|event| !event.id.is_empty() || event.kind == INTERRUPT)
    {
        return Ok(recorded.into_iter().map(|event| event.id).collect());
    }
    // Some servers accept without saying what they recorded.
    let begun = Instant::now();
    loop {
        let is_last = begun.elapsed() >= LISTED_WITHIN;
        let Ok(listed) = listed(api, session, events).await else {
            return Ok(Vec::new());
        };
        if let Some(ids) = matched(events, &listed, known) {
            return Ok(ids);
        }
        if is_last || Instant::now() >= api.deadline() {
            return Ok(Vec::new());
        }
        sleep_until((Instant::now() + LISTED_WITHIN / 4).min(api.deadline())).await;
    }
}

/// The newest events of the types that are sent, newest first.
async fn listed(api: &Client, session: &Id, events: &[Value]) -> Result<Vec<Event>, Error> {
    let mut types: Vec<String> = events.iter().filter_map(kind).map(str::to_owned).collect();
    types.dedup();
    newest(api, session, types).await
}

async fn newest(api: &Client, session: &Id, types: Vec<String>) -> Result<Vec<Event>, Error> {
    let filter = EventFilter {
        newest_first: true,
        types,
        limit: Some(COMPARED),
        ..EventFilter::default()
    };
    Ok(api.list_events(session, &filter).await?.data)
}

const INTERRUPT: &str = "user.interrupt";

fn kind(event: &Value) -> Option<&str> {
    event.get("type").and_then(Value::as_str)
}

/// The listed events, newest first, that are the sent ones: same type and content, and not there before.
fn matched(sent: &[Value], listed: &[Event], known: &HashSet<String>) -> Option<Vec<String>> {
    let mut candidates: Vec<&Event> = listed
        .iter()
        .filter(|event| !known.contains(&event.id))
        .collect();
    let mut ids = Vec::new();
    // An interrupt may have no id, and a second one does no harm.
    for sent in sent.iter().filter(|event| kind(event) != Some(INTERRUPT)) {
        // The oldest match first, since identical events keep the order in which they were sent.
        let place = candidates.iter().rposition(|event| is_same(sent, event))?;
        ids.push(candidates.remove(place).id.clone());
    }
    Some(ids)
}

fn is_same(sent: &Value, listed: &Event) -> bool {
    let value = listed.value();
    // Some servers say null where there is nothing.
    fn given<'a>(event: &'a Value, field: &str) -> Option<&'a Value> {
        event.get(field).filter(|value| !value.is_null())
    }
    let same = |field| given(sent, field) == given(&value, field);
    // Some keep a text without the space around it.
    let words = |event: &Value| {
        let text = content_text(event.get("content").unwrap_or(&Value::Null));
        text.trim().to_owned()
    };
    let description = |event: &Value| {
        let text = given(event, "description").and_then(Value::as_str);
        text.map(|text| text.trim().to_owned())
    };
    kind(sent) == Some(listed.kind.as_str())
        && match listed.kind.as_str() {
            "user.message" => words(sent) == words(&value) && attached(sent) == attached(&value),
            "user.define_outcome" => description(sent) == description(&value),
            // Somebody else may have decided the opposite meanwhile.
            _ => same("tool_use_id") && same("custom_tool_use_id") && same("result"),
        }
}

/// Ids of the files that a message shows.
fn attached(message: &Value) -> Vec<&str> {
    let blocks = message.get("content").and_then(Value::as_array);
    let ids = blocks.into_iter().flatten();
    ids.filter_map(|block| block.pointer("/source/file_id")?.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(text: &str) -> Value {
        json!({"type": "user.message", "content": [{"type": "text", "text": text}]})
    }

    fn listed(id: &str, text: &str) -> Event {
        let mut event = message(text);
        event["id"] = json!(id);
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn an_identical_message_from_before_is_not_taken_for_the_one_just_sent() {
        let record = [listed("b", "go on"), listed("a", "go on")];
        let known = |ids: &[&str]| {
            ids.iter()
                .map(|id| (*id).to_owned())
                .collect::<HashSet<_>>()
        };
        let sent = [message("go on")];
        assert_eq!(
            matched(&sent, &record, &known(&["a"])),
            Some(vec!["b".to_owned()])
        );
        assert_eq!(matched(&sent, &record, &known(&["a", "b"])), None);
        assert_eq!(matched(&[message("stop")], &record, &known(&[])), None);
        let twice = [message("go on"), message("go on")];
        assert_eq!(
            matched(&twice, &record, &known(&[])),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(matched(&twice, &record, &known(&["a"])), None);
    }

    #[test]
    fn what_a_server_adds_or_trims_makes_it_nothing_else() {
        let none = HashSet::new();
        let trimmed = [listed("a", "go on")];
        assert!(matched(&[message(" go on\n")], &trimmed, &none).is_some());
        assert!(matched(&[message("go  on")], &trimmed, &none).is_none());
        let allowed =
            json!({"type": "user.tool_confirmation", "tool_use_id": "t", "result": "allow"});
        let mut event = allowed.clone();
        event["id"] = json!("a");
        event["custom_tool_use_id"] = Value::Null;
        let record = [serde_json::from_value(event).unwrap()];
        assert!(matched(&[allowed], &record, &none).is_some());
    }

    #[test]
    fn the_decision_of_somebody_else_is_not_the_one_just_sent() {
        let decided = |result: &str| json!({"type": "user.tool_confirmation", "tool_use_id": "t", "result": result});
        let mut event = decided("allow");
        event["id"] = json!("a");
        let record = [serde_json::from_value(event).unwrap()];
        let none = HashSet::new();
        assert_eq!(matched(&[decided("deny")], &record, &none), None);
        assert!(matched(&[decided("allow")], &record, &none).is_some());
    }
}
