//! The log of one session: what is listed, in which order, and what its streams are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::json::{set, text};
use super::stamp;

/// Keys of queued events lie above all others, so that they are listed last.
const QUEUED: u64 = 1 << 40;

/// The events of a session. Queued events are listed after all others and take their place when they are processed.
#[derive(Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    queued: Vec<Entry>,
    watchers: Vec<Watcher>,
}

struct Entry {
    event: Arc<Value>,
    recorded: Instant,
    /// Recorded, but neither listed nor streamed yet.
    hidden: bool,
}

/// Whether what is recorded can be seen at once.
enum Sight {
    Open,
    Hidden,
}

struct Watcher {
    pieces: UnboundedSender<Arc<Value>>,
    previews: Vec<String>,
}

impl Log {
    /// Records an event: gives it an id and a time where it has none, lists and streams it. Returns its id.
    #[inline(never)]
    pub(super) fn record(&mut self, event: Value) -> String {
        self.append(event, Sight::Open)
    }

    /// Records an event that nobody sees before `reveal`.
    #[inline(never)]
    pub(super) fn record_hidden(&mut self, event: Value) -> String {
        self.append(event, Sight::Hidden)
    }

    fn append(&mut self, mut event: Value, sight: Sight) -> String {
        if text(&event, "/id").is_empty() {
            set(&mut event, "id", stamp::id("sevt"));
        }
        if text(&event, "/processed_at").is_empty() {
            set(&mut event, "processed_at", stamp::processed_at());
        }
        let (id, event) = (text(&event, "/id").to_owned(), Arc::new(event));
        let hidden = matches!(sight, Sight::Hidden);
        if !hidden {
            self.tell(&event);
        }
        self.entries.push(Entry {
            event,
            recorded: Instant::now(),
            hidden,
        });
        id
    }

    /// Lists and streams what was recorded hidden.
    pub(super) fn reveal(&mut self, id: &str) {
        let hidden = self
            .entries
            .iter_mut()
            .rev()
            .find(|entry| entry.hidden && text(&entry.event, "/id") == id);
        let Some(entry) = hidden else { return };
        entry.hidden = false;
        entry.recorded = Instant::now();
        let event = Arc::clone(&entry.event);
        self.tell(&event);
    }

    /// Lists and streams an event that the agent has not taken up yet.
    #[inline(never)]
    pub(super) fn queue(&mut self, event: Value) {
        let event = Arc::new(event);
        self.tell(&event);
        self.queued.push(Entry {
            event,
            recorded: Instant::now(),
            hidden: false,
        });
    }

    /// Takes up a queued event: it gets its time and its place, and is streamed again.
    #[inline(never)]
    pub(super) fn process(&mut self, id: &str) {
        self.process_at(id, &stamp::processed_at());
    }

    /// The same at a given time.
    pub(super) fn process_at(&mut self, id: &str, time: &str) {
        let Some(place) = self
            .queued
            .iter()
            .position(|entry| text(&entry.event, "/id") == id)
        else {
            return;
        };
        let mut event = (*self.queued.remove(place).event).clone();
        set(&mut event, "processed_at", time);
        self.record(event);
    }

    /// Streams a preview to those who asked for this type of event; it is never recorded.
    pub(super) fn preview(&mut self, of: &str, piece: Value) {
        let piece = Arc::new(piece);
        self.watchers.retain(|watcher| {
            !watcher.previews.iter().any(|kind| kind == of)
                || watcher.pieces.send(Arc::clone(&piece)).is_ok()
        });
    }

    /// Whether anybody asked for previews of this type of event.
    pub(super) fn previewed(&self, of: &str) -> bool {
        self.watchers
            .iter()
            .any(|watcher| watcher.previews.iter().any(|kind| kind == of))
    }

    /// A new stream: what happens from now on, with previews of the given types.
    pub(super) fn watch(&mut self, previews: Vec<String>) -> UnboundedReceiver<Arc<Value>> {
        let (pieces, received) = unbounded_channel();
        self.watchers.push(Watcher { pieces, previews });
        received
    }

    /// What can be listed, in the list's order, with stable keys; younger than `lag` is left out.
    pub(super) fn list(
        &self,
        lag: Duration,
    ) -> impl DoubleEndedIterator<Item = (u64, &Arc<Value>)> {
        let now = Instant::now();
        let seen = move |entry: &Entry| {
            !entry.hidden && now.saturating_duration_since(entry.recorded) >= lag
        };
        let keyed = self
            .entries
            .iter()
            .enumerate()
            .map(|(key, entry)| (key as u64, entry));
        let queued = self
            .queued
            .iter()
            .enumerate()
            .map(|(key, entry)| (QUEUED + key as u64, entry));
        keyed
            .chain(queued)
            .filter(move |(_, entry)| seen(entry))
            .map(|(key, entry)| (key, &entry.event))
    }

    fn tell(&mut self, event: &Arc<Value>) {
        self.watchers
            .retain(|watcher| watcher.pieces.send(Arc::clone(event)).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(log: &Log) -> Vec<String> {
        log.list(Duration::ZERO)
            .map(|(_, event)| text(event, "/id").to_owned())
            .collect()
    }

    #[test]
    fn a_queued_event_is_listed_last_and_takes_its_place_when_processed() {
        let mut log = Log::default();
        let mut stream = log.watch(Vec::new());
        log.queue(json!({"id": "q", "processed_at": null}));
        log.record(json!({"id": "a"}));
        assert_eq!(ids(&log), ["a", "q"]);
        log.process("q");
        log.record(json!({"id": "b"}));
        assert_eq!(ids(&log), ["a", "q", "b"]);
        let streamed: Vec<String> = std::iter::from_fn(|| stream.try_recv().ok())
            .map(|event| text(&event, "/id").to_owned())
            .collect();
        assert_eq!(streamed, ["q", "a", "q", "b"]);
    }

    #[test]
    fn a_hidden_event_appears_at_its_place() {
        let mut log = Log::default();
        let late = log.record_hidden(json!({"id": "late"}));
        log.record(json!({"id": "idle"}));
        assert_eq!(ids(&log), ["idle"]);
        log.reveal(&late);
        assert_eq!(ids(&log), ["late", "idle"]);
    }
}
