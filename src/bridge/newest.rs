//! What is new in a session's list since something was sent: the newest events, read back page by page to what was there
//! before. Of each only what tells it from others is kept, so that large events take little memory.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::read::Order;
use super::scan::{Circle, Seen, are_news, unseen};
use crate::api::events::{Event, EventFilter, Taken, content_text};
use crate::api::{Client, Error, Fault, Id, Page};

/// Events on a page, where few are sent.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;
/// Most pages of one reading, and the most that is kept of them.
const MOST_PAGES: usize = 100;
const MOST_BYTES: usize = 4 * 1024 * 1024;

pub(super) const INTERRUPT: &str = "user.interrupt";

/// The list that shows what is sent.
pub(super) struct List<'a> {
    session: &'a Id,
    kinds: Vec<String>,
    limit: usize,
}

/// The newest events that were there before something was sent.
#[derive(Default)]
pub(super) struct Before {
    marks: Vec<Mark>,
    /// They are all there were.
    is_whole: bool,
}

/// A listed event.
pub(super) struct Mark {
    /// Empty on some interrupts.
    pub(super) id: String,
    pub(super) at: Option<DateTime<Utc>>,
    is_settled: bool,
    /// `None`: it is of another kind than what is sent, on a server that lists all kinds.
    said: Option<Said>,
}

/// What an event of ours says.
pub(super) struct Said {
    /// The same for two events of the same kind and content.
    content: u64,
    /// The same for an event without an id that is listed again.
    json: u64,
    answers: Option<String>,
    thread: Option<String>,
    pub(super) result: Option<String>,
}

/// What one reading found, newest first.
#[derive(Default)]
struct Run {
    marks: Vec<Mark>,
    /// It came to an event that was known.
    meets: bool,
    /// It came to the end of the list.
    ended: bool,
}

impl<'a> List<'a> {
    pub(super) fn of(session: &'a Id, sent: &[Value]) -> List<'a> {
        let kinds = sent.iter().filter_map(kind).map(str::to_owned);
        let mut kinds: Vec<String> = kinds.collect();
        kinds.sort();
        kinds.dedup();
        List {
            session,
            kinds,
            limit: (2 * sent.len()).clamp(PAGE, LARGEST_PAGE),
        }
    }

    /// The newest events, back to one with its final place that is known.
    pub(super) async fn before(
        &self,
        api: &Client,
        is_known: impl Fn(&Mark) -> bool,
    ) -> Result<Before, Error> {
        self.read(self.pages(api), is_known).await.map(Before::of)
    }

    /// What is new since then, newest first. Where the list does not come to what was there before, nobody can tell.
    pub(super) async fn since(
        &self,
        api: &Client,
        before: &Before,
        known: &HashSet<String>,
    ) -> Result<Vec<Mark>, Error> {
        let anchors = before.anchors();
        let is_known = |mark: &Mark| anchors.contains(mark.id.as_str());
        let run = self.read(self.pages(api), is_known).await?;
        before.new_in(run, known)
    }

    fn pages(
        &self,
        api: &Client,
    ) -> impl Fn(EventFilter) -> BoxFuture<'a, Result<Page<Event>, Error>> {
        let (api, session) = (api.clone(), self.session);
        move |filter| {
            let api = api.clone();
            async move { api.list_events(session, &filter).await }.boxed()
        }
    }

    async fn read<F: Future<Output = Result<Page<Event>, Error>>>(
        &self,
        page: impl Fn(EventFilter) -> F,
        is_known: impl Fn(&Mark) -> bool,
    ) -> Result<Run, Error> {
        let mut filter = EventFilter {
            newest_first: true,
            types: self.kinds.clone(),
            limit: Some(self.limit as u32),
            ..EventFilter::default()
        };
        let (mut run, mut bytes) = (Run::default(), 0);
        let (mut seen, mut circle) = (Seen::default(), Circle::default());
        for _ in 0..MOST_PAGES {
            let found = match page(filter.clone()).await {
                Err(Error::Unreadable {
                    fault: Fault::TooLarge,
                    ..
                }) if filter.limit > Some(1) => {
                    filter.limit = filter.limit.map(|limit| (limit / 8).max(1));
                    continue;
                }
                found => found?,
            };
            let new = unseen(found.data, &mut seen, Order::Newest);
            let is_new = are_news(&new);
            let goes_on = |next: &String| circle.goes_on(next, is_new);
            filter.page = found.next_page.filter(goes_on);
            for event in new {
                let mark = self.mark(&event);
                bytes += mark.weight();
                run.meets |= mark.is_settled && is_known(&mark);
                run.marks.push(mark);
            }
            if filter.limit == Some(self.limit as u32) {
                filter.limit = Some(LARGEST_PAGE as u32);
            }
            run.ended = filter.page.is_none();
            if run.meets || run.ended || bytes > MOST_BYTES {
                break;
            }
        }
        Ok(run)
    }

    fn mark(&self, event: &Event) -> Mark {
        let said = self.kinds.contains(&event.kind).then(|| {
            let value = event.value();
            Said {
                content: content(&event.kind, &value),
                json: match event.id.as_str() {
                    "" => hash(&value.to_string()),
                    _ => 0,
                },
                answers: event.answers(),
                thread: thread(&value).map(str::to_owned),
                result: value
                    .get("result")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            }
        });
        Mark {
            id: event.id.clone(),
            at: event.at,
            is_settled: !event.id.is_empty() && event.taken != Taken::NotYet,
            said,
        }
    }
}

impl Before {
    fn of(run: Run) -> Before {
        Before {
            marks: run.marks,
            is_whole: run.ended,
        }
    }

    /// Ids of the events of the kinds that are sent.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let ours = self.marks.iter().filter(|mark| mark.said.is_some());
        ours.map(|mark| mark.id.as_str())
            .filter(|id| !id.is_empty())
    }

    /// What answers a tool event.
    pub(super) fn answer_to(&self, event_id: &str) -> Option<&Said> {
        let mut said = self.marks.iter().filter_map(|mark| mark.said.as_ref());
        said.find(|said| said.answers.as_deref() == Some(event_id))
    }

    /// Those whose place in the list is final.
    fn anchors(&self) -> HashSet<&str> {
        let settled = self.marks.iter().filter(|mark| mark.is_settled);
        settled.map(|mark| mark.id.as_str()).collect()
    }

    /// The events of ours in a later reading that were not there, nor are known otherwise.
    fn new_in(&self, run: Run, known: &HashSet<String>) -> Result<Vec<Mark>, Error> {
        let anchors = self.anchors();
        let is_all_new = anchors.is_empty() && self.is_whole && run.ended;
        if !run.meets && !is_all_new {
            return Err(Error::Unreadable {
                reason: "the list of events does not go back to what was there before".to_owned(),
                fault: Fault::Malformed,
                request_id: None,
            });
        }
        let mut listed = run.marks;
        if !self.is_whole {
            // What stands behind what was read before is older still.
            let last = listed
                .iter()
                .rposition(|mark| anchors.contains(mark.id.as_str()));
            listed.truncate(last.map_or(0, |at| at + 1));
        }
        let mut unnamed: HashMap<u64, usize> = HashMap::new();
        for said in self.marks.iter().filter_map(Mark::unnamed) {
            *unnamed.entry(said.json).or_default() += 1;
        }
        listed.retain(|mark| match (mark.unnamed(), &mark.said) {
            (Some(said), _) => match unnamed.get_mut(&said.json) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            },
            (None, Some(_)) => !known.contains(&mark.id),
            (None, None) => false,
        });
        Ok(listed)
    }
}

impl Mark {
    /// What it says, if it has no id to be known by.
    fn unnamed(&self) -> Option<&Said> {
        self.said.as_ref().filter(|_| self.id.is_empty())
    }

    fn weight(&self) -> usize {
        let said = self.said.as_ref().map_or(0, |said| {
            let words = [&said.answers, &said.thread, &said.result];
            words.into_iter().flatten().map(String::len).sum()
        });
        size_of::<Mark>() + self.id.len() + said
    }
}

/// The thread that an interrupt stops.
fn thread(event: &Value) -> Option<&str> {
    let thread = event.get("session_thread_id").and_then(Value::as_str);
    thread.filter(|_| kind(event) == Some(INTERRUPT))
}

pub(super) fn kind(event: &Value) -> Option<&str> {
    event.get("type").and_then(Value::as_str)
}

/// The new events, newest first, that are the sent ones: same type and content.
///
/// The ids are empty where one of them has none.
pub(super) fn matched(sent: &[Value], mut new: Vec<Mark>) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    for sent in expected(sent) {
        let content = content(kind(sent)?, sent);
        let thread = thread(sent);
        let says_it = |said: &Said| {
            // One that names no thread may be recorded with that of the session.
            said.content == content && (thread.is_none() || said.thread.as_deref() == thread)
        };
        let is_it = |mark: &Mark| mark.said.as_ref().is_some_and(says_it);
        // The oldest match first, since identical events keep the order in which they were sent.
        ids.push(new.remove(new.iter().rposition(is_it)?).id);
    }
    if ids.iter().any(String::is_empty) {
        ids.clear();
    }
    Some(ids)
}

/// The events to look for. An interrupt ahead of a message may never be recorded, and a second one does no harm.
fn expected(sent: &[Value]) -> impl Iterator<Item = &Value> {
    let is_interrupt = |event: &&Value| kind(event) == Some(INTERRUPT);
    let all = sent.iter().all(|event| is_interrupt(&event));
    sent.iter().filter(move |event| all || !is_interrupt(event))
}

/// What an event says, as far as a server keeps it as it was sent.
fn content(kind: &str, event: &Value) -> u64 {
    // Some servers say null where there is nothing.
    let given = |field| event.get(field).filter(|value| !value.is_null());
    // Some keep a text without the space around it.
    let said = match kind {
        "user.message" => {
            let text = content_text(event.get("content").unwrap_or(&Value::Null));
            json!([text.trim(), attached(event)])
        }
        "user.define_outcome" => {
            let description = given("description").and_then(Value::as_str);
            json!(description.map(str::trim))
        }
        // Somebody else may have decided the opposite meanwhile.
        _ => json!(["tool_use_id", "custom_tool_use_id", "result"].map(given)),
    };
    hash(&(kind, said.to_string()))
}

/// Ids of the files that a message shows.
fn attached(message: &Value) -> Vec<&str> {
    let blocks = message.get("content").and_then(Value::as_array);
    let ids = blocks.into_iter().flatten();
    ids.filter_map(|block| block.pointer("/source/file_id")?.as_str())
        .collect()
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{Ready, ready};

    use super::*;

    const MEGABYTE: usize = 1_000_000;

    /// A list, oldest first.
    struct Record {
        events: Vec<Event>,
        knows_types: bool,
        /// Most events on a page.
        most: usize,
        asked: RefCell<Vec<u32>>,
    }

    impl Record {
        fn of(events: impl IntoIterator<Item = Value>) -> Record {
            let mut record = Record {
                events: Vec::new(),
                knows_types: true,
                most: usize::MAX,
                asked: RefCell::default(),
            };
            record.add(events);
            record
        }

        fn without_types(self) -> Record {
            Record {
                knows_types: false,
                ..self
            }
        }

        fn add(&mut self, events: impl IntoIterator<Item = Value>) {
            let events = events.into_iter();
            self.events
                .extend(events.map(|event| serde_json::from_value::<Event>(event).unwrap()));
        }

        fn page(&self, filter: &EventFilter) -> Result<Page<Event>, Error> {
            let limit = filter.limit.unwrap();
            self.asked.borrow_mut().push(limit);
            let is_listed =
                |event: &&Event| !self.knows_types || filter.types.contains(&event.kind);
            let from: usize = filter.page.as_ref().map_or(0, |page| page.parse().unwrap());
            let until = from + (limit as usize).min(self.most);
            let rows: Vec<&Event> = self.events.iter().rev().filter(is_listed).collect();
            let page = &rows[from..until.min(rows.len())];
            let bytes: usize = page.iter().map(|event| event.raw().len()).sum();
            if bytes > 16 * MEGABYTE {
                return Err(Error::Unreadable {
                    reason: "too large".to_owned(),
                    fault: Fault::TooLarge,
                    request_id: None,
                });
            }
            Ok(Page {
                data: page.iter().map(|event| (*event).clone()).collect(),
                next_page: (until < rows.len()).then(|| until.to_string()),
                prev_page: None,
            })
        }

        fn pages(&self) -> impl Fn(EventFilter) -> Ready<Result<Page<Event>, Error>> {
            |filter| ready(self.page(&filter))
        }

        async fn before(&self, sent: &[Value]) -> Before {
            let session = Id::parse("sesn_1").unwrap();
            let list = List::of(&session, sent);
            Before::of(list.read(self.pages(), |_| true).await.unwrap())
        }

        async fn since(&self, before: &Before, sent: &[Value]) -> Result<Vec<Mark>, Error> {
            let session = Id::parse("sesn_1").unwrap();
            let (list, anchors) = (List::of(&session, sent), before.anchors());
            let run = list
                .read(self.pages(), |mark| anchors.contains(mark.id.as_str()))
                .await?;
            before.new_in(run, &before.ids().map(str::to_owned).collect())
        }

        /// What of the sent events was recorded since.
        async fn arrived(&self, before: &Before, sent: &[Value]) -> Option<Vec<String>> {
            matched(sent, self.since(before, sent).await.unwrap())
        }
    }

    fn message(text: &str) -> Value {
        json!({"type": "user.message", "content": [{"type": "text", "text": text}]})
    }

    fn decision(call: &str, result: &str) -> Value {
        json!({"type": "user.tool_confirmation", "tool_use_id": call, "result": result})
    }

    fn listed(id: &str, mut event: Value) -> Value {
        event["id"] = json!(id);
        event["processed_at"] = json!("2026-11-01T10:00:00Z");
        event
    }

    fn work(count: usize) -> impl Iterator<Item = Value> {
        (0..count).map(|at| listed(&format!("w{at}"), json!({"type": "agent.tool_use"})))
    }

    fn ids(ids: &[&str]) -> Option<Vec<String>> {
        Some(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[tokio::test]
    async fn an_identical_message_from_before_is_not_taken_for_the_one_just_sent() {
        let go_on = || message("go on");
        let mut record = Record::of([listed("a", go_on())]);
        let before = record.before(&[go_on()]).await;
        assert_eq!(record.arrived(&before, &[go_on()]).await, None);
        record.add([listed("b", go_on())]);
        assert_eq!(record.arrived(&before, &[go_on()]).await, ids(&["b"]));
        assert_eq!(record.arrived(&before, &[message("stop")]).await, None);
        let twice = [go_on(), go_on()];
        assert_eq!(record.arrived(&before, &twice).await, None);
        record.add([listed("c", go_on())]);
        assert_eq!(record.arrived(&before, &twice).await, ids(&["b", "c"]));
    }

    #[tokio::test]
    async fn nor_is_one_that_is_older_than_what_was_read_before() {
        let many =
            |from: usize| (from..from + 130).map(|at| listed(&format!("m{at}"), message("go on")));
        for mut record in [Record::of(many(0)), Record::of(many(0)).without_types()] {
            let sent = [message("go on"), message("go on")];
            let before = record.before(&sent).await;
            assert_eq!(before.ids().count(), PAGE);
            record.add([listed("n", message("go on"))]);
            record.add(work(60));
            assert_eq!(record.arrived(&before, &sent).await, None);
            assert_eq!(record.arrived(&before, &sent[..1]).await, ids(&["n"]));
        }
    }

    #[tokio::test]
    async fn what_a_server_adds_or_trims_makes_it_nothing_else() {
        let mut record = Record::of([]);
        let before = record.before(&[message(" go on\n")]).await;
        record.add([listed("a", message("go on"))]);
        assert_eq!(
            record.arrived(&before, &[message(" go on\n")]).await,
            ids(&["a"])
        );
        assert_eq!(record.arrived(&before, &[message("go  on")]).await, None);
        let allowed = decision("t", "allow");
        let mut event = listed("b", allowed.clone());
        event["custom_tool_use_id"] = Value::Null;
        record.add([event]);
        assert_eq!(record.arrived(&before, &[allowed]).await, ids(&["b"]));
    }

    #[tokio::test]
    async fn the_decision_of_somebody_else_is_not_the_one_just_sent() {
        let mut record = Record::of([]);
        let before = record.before(&[decision("t", "deny")]).await;
        record.add([listed("a", decision("t", "allow"))]);
        assert_eq!(
            record.arrived(&before, &[decision("t", "deny")]).await,
            None
        );
        assert_eq!(
            record.arrived(&before, &[decision("t", "allow")]).await,
            ids(&["a"])
        );
    }

    #[tokio::test]
    async fn of_large_events_as_many_are_read_as_fit_and_little_is_kept() {
        let large = |at: usize| listed(&format!("m{at}"), message(&"a".repeat(MEGABYTE)));
        let mut record = Record::of((0..30).map(large));
        let sent = [message("next")];
        let before = record.before(&sent).await;
        assert_eq!(*record.asked.borrow(), [50, 6]);
        assert!(before.marks.iter().map(Mark::weight).sum::<usize>() < 10_000);
        record.add([listed("n", message("next"))]);
        record.add((30..40).map(large));
        assert_eq!(record.arrived(&before, &sent).await, ids(&["n"]));
    }

    #[tokio::test]
    async fn what_was_sent_is_found_behind_whatever_followed_it() {
        for mut record in [Record::of(work(9)), Record::of(work(9)).without_types()] {
            record.add([listed("a", message("old"))]);
            let sent = [message("do it")];
            let before = record.before(&sent).await;
            record.add([listed("b", message("do it"))]);
            record.add(
                (0..300).map(|at| listed(&format!("x{at}"), json!({"type": "agent.message"}))),
            );
            assert_eq!(record.arrived(&before, &sent).await, ids(&["b"]));
        }
    }

    #[tokio::test]
    async fn however_many_decisions_were_sent_all_are_found() {
        for count in [60, 1200] {
            let sent: Vec<Value> = (0..count)
                .map(|at| decision(&format!("t{at}"), "allow"))
                .collect();
            let mut record = Record::of([listed("a", decision("old", "allow"))]);
            let before = record.before(&sent).await;
            let recorded = sent.iter().enumerate();
            record.add(recorded.map(|(at, event)| listed(&format!("d{at}"), event.clone())));
            let found = record.arrived(&before, &sent).await.unwrap();
            assert_eq!(
                (found.len(), found[count - 1].clone()),
                (count, format!("d{}", count - 1))
            );
        }
    }

    #[tokio::test]
    async fn the_answers_of_others_are_read_back_to_what_was_known() {
        let mut record = Record::of([listed("known", decision("old", "allow"))]);
        record
            .add((0..130).map(|at| listed(&format!("d{at}"), decision(&format!("t{at}"), "deny"))));
        let (session, sent) = (Id::parse("sesn_1").unwrap(), [decision("t0", "allow")]);
        let list = List::of(&session, &sent);
        let run = list.read(record.pages(), |mark| mark.id == "known").await;
        let before = Before::of(run.unwrap());
        let answer = before.answer_to("t0").unwrap();
        assert_eq!(answer.result.as_deref(), Some("deny"));
        assert!(before.answer_to("t130").is_none());
    }

    #[tokio::test]
    async fn the_interrupt_of_one_thread_is_not_that_of_another() {
        let of = |thread: &str| json!({"type": INTERRUPT, "session_thread_id": thread});
        let mut record = Record::of(work(1)).without_types();
        let before = record.before(&[of("a")]).await;
        record.add([listed("i1", of("b"))]);
        assert_eq!(record.arrived(&before, &[of("a")]).await, None);
        assert_eq!(record.arrived(&before, &[of("b")]).await, ids(&["i1"]));
        let of_all = json!({"type": INTERRUPT});
        assert_eq!(record.arrived(&before, &[of_all]).await, ids(&["i1"]));
    }

    #[tokio::test]
    async fn only_a_new_interrupt_is_an_interrupt_also_without_an_id() {
        let interrupt = || json!({"type": INTERRUPT});
        for id in ["", "i1"] {
            let mut record = Record::of(work(3)).without_types();
            record.add([listed("", interrupt()), listed("a", message("hello"))]);
            let before = record.before(&[interrupt()]).await;
            record.add([listed("b", message("more"))]);
            assert_eq!(record.arrived(&before, &[interrupt()]).await, None);
            record.add([listed(id, interrupt())]);
            let named: Vec<&str> = [id].into_iter().filter(|id| !id.is_empty()).collect();
            assert_eq!(record.arrived(&before, &[interrupt()]).await, ids(&named));
        }
        // Ahead of a message it need not be recorded.
        let mut record = Record::of([]);
        let sent = [interrupt(), message("go")];
        let before = record.before(&sent).await;
        record.add([listed("a", message("go"))]);
        assert_eq!(record.arrived(&before, &sent).await, ids(&["a"]));
    }

    #[tokio::test]
    async fn interrupts_without_an_id_make_no_circle_a_list_that_goes_on() {
        let (session, asked) = (Id::parse("sesn_1").unwrap(), RefCell::new(0));
        let list = List::of(&session, &[message("go")]);
        let interrupt = listed("", json!({"type": INTERRUPT}));
        let circle = |_: EventFilter| {
            *asked.borrow_mut() += 1;
            let data = vec![serde_json::from_value(interrupt.clone()).unwrap()];
            let next_page = Some("again".to_owned());
            ready(Ok(Page {
                data,
                next_page,
                prev_page: None,
            }))
        };
        list.read(circle, |_| false).await.unwrap();
        assert!(*asked.borrow() <= 4, "{asked:?}");
    }

    #[tokio::test]
    async fn where_the_list_does_not_lead_back_to_what_was_there_nobody_can_tell() {
        let sent = [message("go")];
        let before = Record::of([listed("a", message("old"))])
            .before(&sent)
            .await;
        let other = Record::of((0..70).map(|at| listed(&format!("m{at}"), message("new"))));
        assert!(other.since(&before, &sent).await.is_err());
        assert!(Record::of([]).since(&before, &sent).await.is_err());
        let endless = Record {
            most: PAGE,
            ..Record::of(work(MOST_PAGES * PAGE + 1)).without_types()
        };
        let nothing = Record::of([]).before(&sent).await;
        assert!(endless.since(&nothing, &sent).await.is_err());
    }
}
