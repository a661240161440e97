//! The record of a session as far as it is known: fed pieces of the list and of the stream, in any order.
//!
//! The list has the truth about order, the stream is first with the news. An event is known by its id, so that
//! nothing is kept twice; what only the stream has shown stands at the end until a list gives it its place.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use indexmap::IndexSet;

use super::grading::{ends_grading, is_grading};
use super::turn::{ends_turn, is_running};
use crate::api::events::{Event, Taken};

/// So many known events tell that a run meets what is known.
pub const OVERLAP: usize = 16;
/// What belongs before an event may be listed so much later. A session that did nothing for so long after a turn had nothing
/// more to take in: it rests.
pub const LATENESS: TimeDelta = TimeDelta::seconds(3);
/// So much late does an answer that took its time make the clock of the server seem.
const MOST_AHEAD: TimeDelta = TimeDelta::seconds(30);
/// A queue holds no more questions: one before more than so many that were taken in does not wait.
const LONGEST_QUEUE: usize = 16;

/// Events in the order of the list, the unlisted ones where they were streamed.
#[derive(Debug, Default)]
pub struct History {
    entries: IndexSet<Entry>,
    /// Some question carries the time at which it was taken in, so that one without is queued.
    times_questions: bool,
    /// Place of the last sign of work.
    last_work: Option<usize>,
    /// Places of the last question that was taken in, and of the last end of a turn; beyond all where the session ended.
    last_question: Option<usize>,
    last_end: Option<usize>,
    /// Place of the newest question of which it is known that none before it waits; beyond all where the session ended.
    last_answered: Option<usize>,
    /// Places of the newest questions that were taken in, as many as a queue may hold.
    asked: VecDeque<usize>,
    /// The end of a turn after which nothing has begun.
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Where the turn ended.
    end: usize,
    /// The question that it answered.
    answered: Option<usize>,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    /// The list has shown it as it is here, so that its place is final.
    listed: bool,
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        key(&self.event)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        key(&self.event) == key(&other.event)
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        key(&self.event).hash(state);
    }
}

/// Interrupts may come without an id; their JSON then stands for them.
fn key(event: &Event) -> &str {
    if event.id.is_empty() {
        event.raw()
    } else {
        &event.id
    }
}

/// The types of a client's questions.
pub const QUESTIONS: [&str; 2] = ["user.message", "user.define_outcome"];

/// Whether an event is a client's question: a turn answers it.
pub fn is_question(kind: &str) -> bool {
    QUESTIONS.contains(&kind)
}

/// Whether an event is a question that was taken in.
pub fn is_asked(event: &Event) -> bool {
    is_question(&event.kind) && event.taken == Taken::In
}

/// Whether the session ends with this event.
pub fn ends_session(event: &Event) -> bool {
    matches!(
        event.kind.as_str(),
        "session.status_terminated" | "session.deleted"
    )
}

/// Whether something begins. Between work and its grading no session rests; after the last verdict it does.
fn ends_rest(event: &Event) -> bool {
    is_asked(event) || is_running(&event.kind) || is_grading(event)
}

/// Whether what belongs before this time may still be listed. By the server's clock, as far as it is known.
pub fn is_young(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (-MOST_AHEAD..LATENESS).contains(&(now - at))
}

/// Whether the agent calls a tool.
pub fn is_call(kind: &str) -> bool {
    matches!(
        kind,
        "agent.tool_use" | "agent.mcp_tool_use" | "agent.custom_tool_use"
    )
}

impl History {
    /// An event came over the stream. Returns whether it says anything new.
    pub fn streamed(&mut self, event: Event) -> bool {
        match self.entries.get(key(&event)) {
            None => {
                self.entries.insert(Entry {
                    event,
                    listed: false,
                });
                self.note(self.entries.len() - 1);
            }
            // What was queued has been taken in: that happens now, so it moves to the end.
            Some(known) if known.event.taken != Taken::In && event.taken == Taken::In => {
                self.entries.shift_remove(key(&event));
                self.entries.insert(Entry {
                    event,
                    listed: false,
                });
                self.note_all();
            }
            Some(_) => return false,
        }
        true
    }

    /// A gapless run of the list came, oldest first, that reached the newest event when it was read.
    ///
    /// What the run lacks is not taken away: it may be older than the run, or the list may lag behind the stream.
    pub fn listed(&mut self, run: Vec<Event>) {
        let mut in_run = HashSet::new();
        let run: Vec<Event> = run
            .into_iter()
            .filter(|event| in_run.insert(key(event).to_owned()))
            .collect();
        let overlaps = in_run.iter().any(|key| self.entries.contains(key.as_str()));
        let mut known: HashMap<String, Entry> = HashMap::new();
        let mut before = IndexSet::new();
        // Entries that the run lacks, by the key of the entry of the run that they were streamed ahead of.
        let mut ahead: HashMap<String, Vec<Entry>> = HashMap::new();
        let mut waiting = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            let key = key(&entry.event).to_owned();
            if in_run.contains(&key) {
                ahead.insert(key.clone(), std::mem::take(&mut waiting));
                known.insert(key, entry);
            } else if known.is_empty() && (entry.listed || overlaps) {
                before.insert(entry);
            } else {
                waiting.push(entry);
            }
        }
        self.entries = before;
        for event in run {
            self.entries
                .extend(ahead.remove(key(&event)).unwrap_or_default());
            self.entries.insert(match known.remove(key(&event)) {
                // The list lags behind the stream, which has already shown the event as taken in.
                Some(entry) if event.taken != Taken::In && entry.event.taken == Taken::In => {
                    Entry {
                        listed: false,
                        ..entry
                    }
                }
                _ => Entry {
                    event,
                    listed: true,
                },
            });
        }
        self.entries.extend(waiting);
        self.note_all();
    }

    /// Lets go of events, asked for one by one from the newest back.
    pub fn retain(&mut self, mut keeps: impl FnMut(&Event) -> bool) {
        let newest_first = self.entries.iter().rev();
        let mut kept: Vec<bool> = newest_first.map(|entry| keeps(&entry.event)).collect();
        self.entries.retain(|_| kept.pop().unwrap_or_default());
        self.entries.shrink_to(2 * self.entries.len());
        self.note_all();
    }

    /// Whether the event at this place was sent and may still be taken in, as far as the record shows.
    pub fn is_queued(&self, place: usize) -> bool {
        self.waits(place, false)
    }

    /// The same, where the session `rests`: the end of its newest turn is no longer fresh.
    ///
    /// One that never got a time does not wait for ever: it was passed over once a later question was answered and the session
    /// then rested, or more later ones were taken in than a queue holds. A few later ones prove nothing: it may be listed before
    /// them and still come next. What else is sent belongs to a turn, and ends with it.
    pub fn waits(&self, place: usize, rests: bool) -> bool {
        let is_passed = |entry: &Entry| match is_question(&entry.event.kind) {
            true => self.answered(rests) > Some(place),
            false => self.last_question.max(self.last_end) > Some(place),
        };
        self.is_untaken(place) && !self.entries.get_index(place).is_some_and(is_passed)
    }

    /// Place of the newest question of which it is known that none before it waits; beyond all where the session ended.
    pub fn answered(&self, rests: bool) -> Option<usize> {
        let rest = self.rest.filter(|_| rests);
        self.last_answered.max(rest.and_then(|rest| rest.answered))
    }

    /// Whether the end of the newest turn is no longer young, and nothing has begun after it.
    pub fn rests(&self, now: DateTime<Utc>) -> bool {
        let end = self.resting();
        end.is_some_and(|end| !end.at.is_some_and(|at| is_young(at, now)))
    }

    /// The end of the newest turn, if nothing has begun after it.
    pub fn resting(&self) -> Option<&Event> {
        let rest = self.rest?;
        self.entries.get_index(rest.end).map(|entry| &entry.event)
    }

    /// Whether nothing shows that the event at this place was taken in.
    pub fn is_untaken(&self, place: usize) -> bool {
        let Some(event) = self.entries.get_index(place).map(|entry| &entry.event) else {
            return false;
        };
        match event.taken {
            Taken::In => false,
            Taken::NotYet => true,
            // A server that leaves out times says it by where the event stands.
            Taken::Unstated => {
                is_question(&event.kind)
                    && (self.times_questions || self.last_work.is_none_or(|work| work < place))
            }
        }
    }

    /// Whether the list has shown this event as it is known.
    pub fn is_listed(&self, id: &str) -> bool {
        self.entry(id).is_some_and(|entry| entry.listed)
    }

    /// Whether the list has shown this event at its final place. [`OVERLAP`] such events in a run, newest first, meet what
    /// is known.
    ///
    /// A queued event was listed too, but what happens until it is taken in comes before it. And since words may be listed
    /// late, a little before what is known already, a single known event is not enough.
    pub fn is_settled(&self, id: &str) -> bool {
        let place = self.position(id);
        place.is_some_and(|place| {
            self.entries
                .get_index(place)
                .is_some_and(|entry| entry.listed)
                && !self.is_queued(place)
        })
    }

    /// All events, in order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// The event that said last how the session stands.
    pub fn newest_status(&self) -> Option<&Event> {
        let mut newest_first = self.events().rev();
        newest_first.find(|event| event.kind.starts_with("session.status_"))
    }

    /// Whether a turn ended behind this place.
    pub fn has_ended_since(&self, place: usize) -> bool {
        self.last_end > Some(place)
    }

    /// The event that came last.
    pub fn newest(&self) -> Option<&Event> {
        self.entries.last().map(|entry| &entry.event)
    }

    /// Where the event with this id stands.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.entries.get_index_of(id)
    }

    /// Whether this event is known, also where it has no id.
    pub fn holds(&self, event: &Event) -> bool {
        self.entries.contains(key(event))
    }

    /// The event with this id.
    pub fn get(&self, id: &str) -> Option<&Event> {
        self.entry(id).map(|entry| &entry.event)
    }

    fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The id up to which the record is final: everything that is still to come stands after it in the list. Among the first
    /// `places` events, of which none waits.
    pub fn cursor_within(&self, places: usize) -> Option<&str> {
        let settled = self.entries.iter().take(places);
        settled
            .take_while(|entry| entry.listed)
            .map(|entry| &entry.event)
            .filter(|event| event.can_be_cursor())
            .last()
            .map(|event| event.id.as_str())
    }

    /// Takes note of what an entry says about others.
    fn note(&mut self, place: usize) {
        let Some(event) = self.entries.get_index(place).map(|entry| &entry.event) else {
            return;
        };
        if let Some(rest) = self.rest.filter(|_| ends_rest(event)) {
            // A grader may take its time to begin.
            if !is_grading(event) && self.lasted(rest, event) {
                self.last_answered = self.last_answered.max(rest.answered);
            }
            self.rest = None;
        }
        if is_asked(event) {
            self.times_questions = true;
            self.last_question = Some(place);
            self.asked.push_back(place);
            if self.asked.len() > LONGEST_QUEUE {
                self.last_answered = self.last_answered.max(self.asked.pop_front());
            }
        }
        if ends_turn(event) {
            self.last_end = Some(place);
        }
        if ends_turn(event) || ends_grading(event) {
            self.rest = Some(Rest {
                end: place,
                answered: self.last_question,
            });
        }
        if ends_session(event) {
            // Nothing waits any more, wherever it stands.
            (self.last_end, self.last_answered) = (Some(usize::MAX), Some(usize::MAX));
        }
        if event.kind.starts_with("agent.") || event.kind == "session.status_running" {
            self.last_work = Some(place);
        }
    }

    /// Whether a session rested until this event.
    fn lasted(&self, rest: Rest, begun: &Event) -> bool {
        let end = self.entries.get_index(rest.end);
        let ended = end.and_then(|end| end.event.at);
        ended
            .zip(begun.at)
            .is_none_or(|(ended, begun)| begun - ended >= LATENESS)
    }

    fn note_all(&mut self) {
        (self.last_work, self.last_question) = (None, None);
        (self.last_end, self.last_answered, self.rest) = (None, None, None);
        self.asked.clear();
        (0..self.entries.len()).for_each(|place| self.note(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::places::final_events;
    use proptest::prelude::*;

    pub(crate) fn event(id: &str, queued: bool) -> Event {
        let at = if queued {
            "null"
        } else {
            "\"2026-11-01T10:00:00Z\""
        };
        serde_json::from_str(&format!(
            r#"{{"id":"{id}","type":"x","processed_at":{at}}}"#
        ))
        .unwrap()
    }

    fn ids(history: &History) -> Vec<String> {
        history.events().map(|event| event.id.clone()).collect()
    }

    /// Where a reader goes on who comes once nothing is young any more.
    fn cursor(history: &History) -> Option<&str> {
        history.cursor_within(final_events(history, false, &|_| false))
    }

    fn run(names: &str) -> Vec<Event> {
        // An upper-case name is queued.
        names
            .chars()
            .map(|c| event(&c.to_lowercase().to_string(), c.is_uppercase()))
            .collect()
    }

    #[test]
    fn what_was_sent_after_the_question_at_work_still_waits_wherever_the_list_keeps_it() {
        let event = |id: &str, kind: &str, at: &str| -> Event {
            let more = r#","stop_reason":{"type":"end_turn"},"content":[]"#;
            let text = format!(r#"{{"id":"{id}","type":"{kind}","processed_at":{at}{more}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let (message, idle, at) = (
            "user.message",
            "session.status_idle",
            "\"2026-11-01T10:00:00Z\"",
        );
        let mut history = History::default();
        let record = vec![
            event("q1", message, at),
            event("q3", message, "null"),
            event("end1", idle, at),
            event("q2", message, at),
            event("work", "session.status_running", at),
        ];
        history.listed(record.clone());
        assert!(history.is_queued(1));
        assert_eq!(cursor(&history), Some("q1"));
        for last in ["session.status_terminated", "session.deleted"] {
            let mut history = History::default();
            history.listed([record.clone(), vec![event("last", last, at)]].concat());
            assert!(!history.is_queued(1));
            assert_eq!(cursor(&history), Some("last"));
            assert!(history.streamed(event("q4", message, "null")));
            assert!(!history.is_queued(history.events().len() - 1));
        }
        history.listed([record.clone(), vec![event("last", idle, at)]].concat());
        assert!(history.is_queued(1), "the next turn may begin at once");
        assert_eq!(history.resting().map(|end| end.id.as_str()), Some("last"));
        assert!(!history.waits(1, true));
        // What is listed behind the end waits for the next turn.
        assert!(history.streamed(event("q4", message, "null")));
        assert!(history.waits(history.events().len() - 1, true));
        for (begun, waits) in [
            ("\"2026-11-01T10:00:01Z\"", true),
            ("\"2026-11-01T10:00:04Z\"", false),
        ] {
            let mut history = History::default();
            let next = [
                event("last", idle, at),
                event("q5", message, begun),
                event("q6", message, begun),
            ];
            history.listed([&record[..], &next[..]].concat());
            assert_eq!(
                (history.is_queued(1), history.resting().is_none()),
                (waits, true),
                "{begun}"
            );
        }
    }

    #[test]
    fn between_work_and_its_grading_no_session_rests() {
        let event = |(id, (kind, second)): (usize, &(&str, u32))| -> Event {
            let at = format!("\"2026-11-01T10:00:{second:02}Z\"");
            let at = if *kind == "queued" {
                "null".to_owned()
            } else {
                at
            };
            let result = match *kind {
                "revision" => "needs_revision",
                _ => "satisfied",
            };
            let kind = kind
                .replace("queued", "user.message")
                .replace("revision", "span.outcome_evaluation_end");
            let more = format!(r#""processed_at":{at},"result":"{result}""#);
            serde_json::from_str(&format!(r#"{{"id":"e{id}","type":"{kind}",{more}}}"#)).unwrap()
        };
        // Neither a grader that takes its time nor work that goes on after a verdict ends a rest.
        for begun in ["span.outcome_evaluation_start", "session.status_running"] {
            let last = match begun {
                "session.status_running" => "revision",
                _ => "session.status_idle",
            };
            let record = [
                ("user.define_outcome", 0),
                ("queued", 0),
                ("user.message", 1),
                (last, 2),
                (begun, 10),
            ];
            let mut history = History::default();
            history.listed(record.iter().enumerate().map(event).collect());
            assert!(history.is_queued(1) && history.waits(1, true), "{begun}");
        }
        let graded = [
            ("user.define_outcome", 0),
            ("queued", 0),
            ("user.message", 1),
            ("session.status_idle", 2),
            ("span.outcome_evaluation_start", 3),
            ("span.outcome_evaluation_end", 9),
        ];
        for (next, second, waits) in [
            ("session.status_running", 10, true),
            ("user.message", 20, false),
        ] {
            let record = [&graded[..], &[(next, second)]].concat();
            let mut history = History::default();
            history.listed(record.iter().enumerate().take(5).map(event).collect());
            assert!(history.waits(1, true) && history.resting().is_none());
            history.listed(record.iter().enumerate().map(event).collect());
            assert_eq!(history.is_queued(1), waits, "{next}");
        }
        let mut history = History::default();
        history.listed(graded.iter().enumerate().map(event).collect());
        assert!(history.is_queued(1) && !history.waits(1, true));
    }

    #[test]
    fn a_late_event_takes_its_place_before_what_came_earlier() {
        let mut history = History::default();
        history.listed(run("ac"));
        history.listed(run("abc"));
        assert_eq!(ids(&history), ["a", "b", "c"]);
    }

    #[test]
    fn a_list_that_lags_behind_takes_nothing_away() {
        let mut history = History::default();
        history.listed(run("abc"));
        assert!(history.streamed(event("d", false)));
        history.listed(run("ab"));
        assert_eq!(ids(&history), ["a", "b", "c", "d"]);
        assert!(!history.streamed(event("d", false)));
    }

    #[test]
    fn a_run_that_reaches_less_far_back_keeps_what_stood_before() {
        let mut history = History::default();
        history.listed(run("abc"));
        history.listed(run("cde"));
        assert_eq!(ids(&history), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_message_that_the_list_does_not_show_yet_keeps_its_place_before_the_end_of_the_turn() {
        let mut history = History::default();
        history.listed(run("ab"));
        history.streamed(event("w", false));
        history.streamed(event("z", false));
        history.listed(run("abyz"));
        assert_eq!(ids(&history), ["a", "b", "y", "w", "z"]);
        assert_eq!(cursor(&history), Some("y"));
        history.listed(run("abwyz"));
        assert_eq!(ids(&history), ["a", "b", "w", "y", "z"]);
    }

    #[test]
    fn without_a_time_a_question_is_queued_until_something_shows_the_opposite() {
        let bare = |id: &str, kind: &str| -> Event {
            serde_json::from_str(&format!(r#"{{"id":"{id}","type":"{kind}"}}"#)).unwrap()
        };
        let mut history = History::default();
        history.listed(vec![bare("u", "user.message")]);
        assert!(history.is_queued(0));
        history.streamed(bare("m", "agent.message"));
        assert!(!history.is_queued(0));
        let timed = r#"{"id":"v","type":"user.message","processed_at":"2026-11-01T10:00:00Z"}"#;
        history.streamed(serde_json::from_str(timed).unwrap());
        history.streamed(bare("w", "user.message"));
        history.streamed(bare("n", "agent.message"));
        assert!(history.is_queued(history.position("w").unwrap()));
    }

    #[test]
    fn what_was_streamed_before_a_run_stays_before_it() {
        let mut history = History::default();
        history.listed(run("a"));
        for id in ["b", "c", "d", "e"] {
            history.streamed(event(id, false));
        }
        history.listed(run("def"));
        assert_eq!(ids(&history), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(cursor(&history), Some("a"));
    }

    #[test]
    fn a_queued_event_moves_when_it_is_taken_in_and_never_goes_back() {
        let mut history = History::default();
        history.listed(run("aM"));
        assert_eq!(cursor(&history), Some("a"));
        history.streamed(event("b", false));
        assert!(history.streamed(event("m", false)));
        assert!(!history.streamed(event("m", true)));
        assert_eq!(ids(&history), ["a", "b", "m"]);
        history.listed(run("aM"));
        assert_eq!(history.get("m").unwrap().taken, Taken::In);
        assert_eq!(cursor(&history), Some("a"));
        history.listed(run("abm"));
        assert_eq!(ids(&history), ["a", "b", "m"]);
        assert_eq!(cursor(&history), Some("m"));
    }

    #[test]
    fn neither_queued_nor_streamed_nor_few_events_tell_where_a_run_meets_what_is_known() {
        let mut history = History::default();
        history.listed(run("abcdefghijklmnoP"));
        let settled = |history: &History| {
            let all = run("abcdefghijklmnopq").into_iter();
            all.filter(|event| history.is_settled(&event.id)).count()
        };
        assert_eq!(settled(&history), OVERLAP - 1);
        history.streamed(event("p", false));
        assert_eq!(settled(&history), OVERLAP - 1);
        history.listed(run("abcdefghijklmnop"));
        assert_eq!(settled(&history), OVERLAP);
    }

    #[test]
    fn what_only_the_stream_has_shown_is_no_cursor() {
        let mut history = History::default();
        history.streamed(event("b", false));
        assert_eq!(cursor(&history), None);
        history.listed(run("a"));
        assert_eq!(cursor(&history), Some("a"));
    }

    /// One server and one reader under a random schedule.
    #[derive(Debug, Clone)]
    enum Step {
        /// The server records an event; the reader gets it if the stream is open.
        Emit,
        /// The server queues a client's event, at the end of its list.
        Queue,
        /// The server takes in the oldest queued event, which moves behind what is recorded.
        TakeIn,
        /// The stream is cut, or opened again (which replays nothing).
        Toggle,
        /// The reader lists the newest `n` events, of a list that lags `lag` events behind.
        List { n: usize, lag: usize },
        /// The server sends an old frame again.
        Repeat(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Emit),
            1 => Just(Step::Queue),
            1 => Just(Step::TakeIn),
            1 => Just(Step::Toggle),
            2 => (0usize..30, 0usize..4).prop_map(|(n, lag)| Step::List { n, lag }),
            1 => (0usize..30).prop_map(Step::Repeat),
        ]
    }

    #[derive(Default)]
    struct World {
        record: Vec<String>,
        queue: Vec<String>,
        open: bool,
        history: History,
        shown: HashSet<(String, bool)>,
        next: usize,
    }

    impl World {
        fn name(&mut self) -> String {
            self.next += 1;
            format!("e{}", self.next)
        }

        fn send(&mut self, id: &str, queued: bool) {
            if self.open && self.history.streamed(event(id, queued)) {
                assert!(
                    self.shown.insert((id.to_owned(), queued)),
                    "{id} was delivered twice"
                );
            }
        }

        fn list(&mut self, n: usize, lag: usize) {
            let taken = self.record.iter().map(|id| event(id, false));
            let queued = self.queue.iter().map(|id| event(id, true));
            let mut all: Vec<Event> = taken.chain(queued).collect();
            all.truncate(all.len() - lag.min(all.len()));
            let run = all.split_off(all.len() - n.min(all.len()));
            for event in &run {
                self.shown
                    .insert((event.id.clone(), event.taken == Taken::NotYet));
            }
            self.history.listed(run);
        }

        fn step(&mut self, step: &Step) {
            match step {
                Step::Emit => {
                    let id = self.name();
                    self.record.push(id.clone());
                    self.send(&id, false);
                }
                Step::Queue => {
                    let id = self.name();
                    self.queue.push(id.clone());
                    self.send(&id, true);
                }
                Step::TakeIn if !self.queue.is_empty() => {
                    let id = self.queue.remove(0);
                    self.record.push(id.clone());
                    self.send(&id, false);
                }
                Step::TakeIn => {}
                Step::Toggle => self.open = !self.open,
                Step::List { n, lag } => self.list(*n, *lag),
                Step::Repeat(n) => {
                    if let Some(id) = self.record.get(*n).cloned() {
                        self.history.streamed(event(&id, false));
                        self.shown.insert((id, false));
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn any_interleaving_of_lists_and_streams_ends_in_the_same_record(steps in prop::collection::vec(step(), 0..60)) {
            let mut world = World::default();
            for step in &steps {
                world.step(step);
                let ids: Vec<String> = ids(&world.history);
                let distinct: HashSet<&String> = ids.iter().collect();
                prop_assert_eq!(ids.len(), distinct.len(), "an event stands twice");
                // A cursor is final: all that the list holds beyond what is known stands after it.
                if let Some(cursor) = cursor(&world.history) {
                    let at = world.record.iter().position(|id| id == cursor);
                    prop_assert!(at.is_some());
                }
            }
            world.list(usize::MAX, 0);
            let expected: Vec<String> = world.record.iter().chain(&world.queue).cloned().collect();
            prop_assert_eq!(ids(&world.history), expected);
        }
    }
}
