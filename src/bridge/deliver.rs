//! Sending once. The API has no idempotency key: after a failure that leaves it open whether the events arrived, the
//! record is read before anything is sent again, and nothing is sent a third time.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Bridge, Failure};
use crate::api::events::{Event, EventFilter, content_text};
use crate::api::{Client, Delivery, Error, Id};
use crate::session::turn::{Asked, Unnamed};

/// What was sent may take so long to be listed.
const LISTED_WITHIN: Duration = Duration::from_secs(2);
/// Newest events of the sent types that are compared.
const COMPARED: u32 = 50;
/// Longest time of a first attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);
/// Time for two looks and a second attempt.
const SETTLING: Duration = Duration::from_secs(5);

/// What was sent.
pub(super) struct Sent {
    /// Ids of the events; none where the server accepted them without a word and does not list them yet.
    pub(super) ids: Vec<String>,
    /// Ids of the events of these types that were listed before.
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

impl Bridge {
    /// Sends events and returns what to look for in the record.
    pub(super) async fn deliver(
        &self,
        session: &Id,
        events: &[Value],
        doing: &str,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        let api = self.api.until(deadline);
        let delivery = Delivering {
            api: &api,
            session,
            events,
        };
        let before = delivery
            .listed()
            .await
            .map_err(Failure::while_trying(doing))?;
        let known: HashSet<String> = before.into_iter().map(|event| event.id).collect();
        let first = Delivering {
            api: &self.api.until(first_attempt(deadline, LONGEST_ATTEMPT)),
            ..delivery
        };
        let error = match first.send(&known).await {
            Ok(ids) => return Ok(Sent { ids, before: known }),
            Err(error) if !may_be_sent_again(&error) => {
                return Err(Failure::while_trying(doing)(error));
            }
            Err(error) => error,
        };
        tracing::warn!(%session, %error, "looking whether what was sent arrived");
        match delivery.settle(&known, error, deadline).await {
            Ok(ids) => Ok(Sent { ids, before: known }),
            Err(Unsettled::Refused(error)) => Err(Failure::while_trying(doing)(error)),
            Err(Unsettled::Unknown(error)) => Err(Failure::DeliveryUnknown {
                doing: doing.to_owned(),
                error,
                next: format!(
                    "get_events with session_id {session} and order desc shows whether it arrived; send it again only if it did not."
                ),
            }),
        }
    }
}

/// The first attempt leaves time to look whether it arrived, and to send again, unless there is none to spare.
pub(super) fn first_attempt(deadline: Instant, longest: Duration) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    let spared = if left > 2 * SETTLING {
        SETTLING
    } else {
        left / 4
    };
    now + (left - spared).min(longest)
}

/// Why it stayed open what became of a send.
enum Unsettled {
    /// The API refused it, and the first attempt did not arrive.
    Refused(Error),
    /// Nobody can tell; this is how the first attempt failed.
    Unknown(Error),
}

/// Whether a failed send may be followed by a look and a second one.
fn may_be_sent_again(error: &Error) -> bool {
    let forbidden = matches!(error, Error::Refused(refusal) if refusal.should_retry == Some(false));
    error.is_ambiguous() || (error.is_transient() && !forbidden)
}

#[derive(Clone, Copy)]
struct Delivering<'a> {
    api: &'a Client,
    session: &'a Id,
    events: &'a [Value],
}

impl Delivering<'_> {
    async fn send(&self, known: &HashSet<String>) -> Result<Vec<String>, Error> {
        let recorded = self.api.send_events(self.session, self.events).await?;
        if recorded.len() == self.events.len()
            && recorded
                .iter()
                .all(|event| !event.id.is_empty() || is_interrupt(&event.kind))
        {
            return Ok(recorded.into_iter().map(|event| event.id).collect());
        }
        // Some servers accept without saying what they recorded.
        match self.arrived(known, LISTED_WITHIN).await {
            Ok(Some(ids)) => Ok(ids),
            Ok(None) | Err(_) => Ok(Vec::new()),
        }
    }

    /// Looks twice, sends once more if nothing arrived, and looks again if that is open too.
    async fn settle(
        &self,
        known: &HashSet<String>,
        error: Error,
        deadline: Instant,
    ) -> Result<Vec<String>, Unsettled> {
        let open = |error: Error| {
            if error.is_ambiguous() {
                Unsettled::Unknown(error)
            } else {
                Unsettled::Refused(error)
            }
        };
        let pause = match &error {
            Error::Refused(refusal) => refusal.retry_after.unwrap_or(Duration::from_millis(500)),
            _ => Duration::from_millis(500),
        };
        // A refusal as well may have come after the act.
        if !matches!(
            error,
            Error::Unreachable {
                delivery: Delivery::NotSent,
                ..
            }
        ) {
            match self.arrived(known, LISTED_WITHIN).await {
                Ok(Some(ids)) => return Ok(ids),
                Ok(None) => {}
                // Without having looked nothing is sent again.
                Err(_) => return Err(Unsettled::Unknown(error)),
            }
        }
        let server_forbids =
            matches!(&error, Error::Refused(refusal) if refusal.should_retry == Some(false));
        if server_forbids || Instant::now() + pause >= deadline {
            return Err(open(error));
        }
        sleep(pause).await;
        match self.send(known).await {
            Ok(ids) => Ok(ids),
            Err(again) if again.is_ambiguous() => match self.arrived(known, LISTED_WITHIN).await {
                Ok(Some(ids)) => Ok(ids),
                Ok(None) | Err(_) => Err(Unsettled::Unknown(again)),
            },
            // Not sent the second time: what became of the first is as open as before.
            Err(Error::Unreachable { .. }) => Err(open(error)),
            // A limit is said before anything is done; but a gateway's word for that is not the API's.
            Err(again) if again.is_transient() => match self.arrived(known, LISTED_WITHIN).await {
                Ok(Some(ids)) => Ok(ids),
                Ok(None) | Err(_) => Err(open(error)),
            },
            Err(again) => Err(Unsettled::Refused(again)),
        }
    }

    /// Ids of the sent events, once all of them are listed; at least two looks, `within` apart.
    async fn arrived(
        &self,
        known: &HashSet<String>,
        within: Duration,
    ) -> Result<Option<Vec<String>>, Error> {
        let started = Instant::now();
        loop {
            let last = started.elapsed() >= within;
            if let Some(ids) = matched(self.events, &self.listed().await?, known) {
                return Ok(Some(ids));
            }
            if last {
                return Ok(None);
            }
            sleep_until((Instant::now() + within / 4).min(self.api.deadline())).await;
            if Instant::now() >= self.api.deadline() {
                return Ok(None);
            }
        }
    }

    async fn listed(&self) -> Result<Vec<Event>, Error> {
        let mut types: Vec<String> = self
            .events
            .iter()
            .filter_map(kind)
            .map(str::to_owned)
            .collect();
        types.dedup();
        let filter = EventFilter {
            newest_first: true,
            types,
            limit: Some(COMPARED),
            ..EventFilter::default()
        };
        Ok(self.api.list_events(self.session, &filter).await?.data)
    }
}

fn is_interrupt(kind: &str) -> bool {
    kind == "user.interrupt"
}

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
    for sent in sent
        .iter()
        .filter(|event| kind(event).is_none_or(|kind| !is_interrupt(kind)))
    {
        // The oldest match first, since identical events keep the order in which they were sent.
        let place = candidates.iter().rposition(|event| is_same(sent, event))?;
        ids.push(candidates.remove(place).id.clone());
    }
    Some(ids)
}

fn is_same(sent: &Value, listed: &Event) -> bool {
    let value = listed.value();
    let same = |field: &str| sent.get(field) == value.get(field);
    let text = |value: &Value| content_text(value.get("content").unwrap_or(&Value::Null));
    kind(sent) == Some(listed.kind.as_str())
        && match listed.kind.as_str() {
            "user.message" => text(sent) == text(&value) && attached(sent) == attached(&value),
            "user.define_outcome" => same("description"),
            _ => same("tool_use_id") && same("custom_tool_use_id"),
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
}
