//! Every event of a record is a cursor: after it come exactly the events that stand after it in the list, whatever process
//! asks, on pages of any size, from servers with pages and tokens of any kind.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use managed_agents_mcp::api::Id;
use managed_agents_mcp::bridge::{Attention, Bridge, Order, Reading};
use managed_agents_mcp::config::Config;
use managed_agents_mcp::session::digest::{Detail, Page};
use managed_agents_mcp::session::state::State;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SESSION: &str = "sesn_cursors";
const THREAD: &str = "sthr_child";

/// How a server keeps its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    /// A page begins after an event.
    Event,
    /// A page begins at a number.
    Number,
    /// A page begins at a number of the list as it was when its first page was read.
    OfThen,
    /// The same as a number, but a token serves once.
    Once,
}

/// What a server makes of a filter by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Types {
    Obeyed,
    Ignored,
    Refused,
}

/// A server of one record.
struct Server {
    url: String,
    shelf: Arc<Shelf>,
    _serving: JoinSet<()>,
}

struct Shelf {
    record: Mutex<Vec<Value>>,
    used: Mutex<HashSet<String>>,
    requests: AtomicUsize,
    /// Events on a page, whatever is asked for.
    most: usize,
    tokens: Tokens,
    types: Types,
}

impl Server {
    async fn start(record: Vec<Value>, most: usize, tokens: Tokens, types: Types) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shelf = Arc::new(Shelf {
            record: Mutex::new(record),
            used: Mutex::default(),
            requests: AtomicUsize::new(0),
            most,
            tokens,
            types,
        });
        let known = Arc::clone(&shelf);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shelf = Arc::clone(&known);
                tokio::spawn(async move { shelf.converse(socket).await });
            }
        });
        Server {
            url,
            shelf,
            _serving: serving,
        }
    }

    /// What a process that was just started knows.
    fn bridge(&self) -> Bridge {
        let lookup = |name: &str| match name {
            "ANTHROPIC_BASE_URL" => Some(self.url.clone()),
            "ANTHROPIC_API_KEY" => Some("cursors".to_owned()),
            _ => None,
        };
        Bridge::new(Arc::new(Config::read(&lookup).unwrap()))
    }
}

impl Shelf {
    async fn converse(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let mut request = vec![0; 8192];
        loop {
            let count = socket.read(&mut request).await?;
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let Some(path) = text.split(' ').nth(1) else {
                return Ok(());
            };
            self.requests.fetch_add(1, Ordering::Relaxed);
            let (status, body) = self.answer(path);
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(format!("{head}{body}").as_bytes()).await?;
        }
    }

    fn answer(&self, path: &str) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<(String, String)> = url_pairs(query);
        let all = self.record.lock().unwrap().clone();
        if path.ends_with("/stream") {
            return (404, json!({}));
        }
        if !path.ends_with("/events") {
            return (200, json!({"id": SESSION, "status": "idle"}));
        }
        let is_of_thread = |event: &Value| event["session_thread_id"] == THREAD;
        let of_thread = path.contains("/threads/");
        let all = all
            .into_iter()
            .filter(|event| !of_thread || is_of_thread(event));
        let kinds: Vec<&String> = query
            .iter()
            .filter(|(key, _)| key == "types[]")
            .map(|(_, kind)| kind)
            .collect();
        if !kinds.is_empty() && self.types == Types::Refused {
            return (
                400,
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "types[]"}}),
            );
        }
        let filtered = |event: &Value| {
            kinds.is_empty()
                || self.types == Types::Ignored
                || kinds.iter().any(|kind| event["type"] == **kind)
        };
        let one = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let mut all: Vec<Value> = all.filter(filtered).collect();
        let limit = one("limit").map_or(1000, |limit| limit.parse().unwrap());
        self.page(&mut all, one("order") == Some("desc"), limit, one("page"))
    }

    fn page(
        &self,
        all: &mut Vec<Value>,
        newest_first: bool,
        limit: usize,
        token: Option<&str>,
    ) -> (u16, Value) {
        let expired = (
            400,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "page"}}),
        );
        if self.tokens == Tokens::Once
            && token.is_some_and(|token| !self.used.lock().unwrap().insert(token.to_owned()))
        {
            return expired;
        }
        let mut parts = token.unwrap_or_default().split('-');
        let start = parts.next().filter(|start| !start.is_empty());
        let whole = parts
            .next()
            .map_or(all.len(), |whole| whole.parse().unwrap());
        if self.tokens == Tokens::OfThen {
            all.truncate(whole);
        }
        if newest_first {
            all.reverse();
        }
        let start = match start {
            None => 0,
            Some(id) if self.tokens == Tokens::Event => {
                let id = id.replace('.', "_");
                all.iter().position(|event| event["id"] == *id).unwrap() + 1
            }
            Some(start) => start.parse().unwrap(),
        };
        let mut end = all.len().min(start + limit.min(self.most));
        // What has no id cannot be told to begin a page after.
        while self.tokens == Tokens::Event && end < all.len() && all[end - 1]["id"] == "" {
            end += 1;
        }
        let next = (end < all.len()).then(|| match self.tokens {
            Tokens::Event => format!(
                "{}-{whole}",
                all[end - 1]["id"].as_str().unwrap().replace('_', ".")
            ),
            // A number of its own for each time that it is handed out.
            Tokens::Once => format!("{end}-{whole}-{}", fastrand::u64(..)),
            _ => format!("{end}-{whole}"),
        });
        (200, json!({"data": all[start..end], "next_page": next}))
    }
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    let plain = |text: &str| text.replace("%5B%5D", "[]").replace("%5F", "_");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (plain(key), plain(value)))
        .collect()
}

/// Four turns: tools, an approval, an outcome, and a long one whose last words came late. Times repeat, and some go back.
fn record() -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let idle = |reason: Value| json!({"type": "session.status_idle", "stop_reason": reason});
    let work = |events: &mut Vec<Value>, count: usize| {
        for _ in 0..count {
            let id = format!("sevt_{:03}", events.len());
            events.push(json!({"type": "agent.tool_use", "name": "bash", "input": {}, "evaluated_permission": "allow"}));
            events.push(
                json!({"type": "agent.tool_result", "tool_use_id": id, "content": text("ok")}),
            );
        }
    };
    for turn in 0..4 {
        events.push(json!({"type": "session.status_running"}));
        let kind = if turn == 2 {
            "user.define_outcome"
        } else {
            "user.message"
        };
        events.push(json!({"type": kind, "content": text("go")}));
        events.push(json!({"type": "span.model_request_start"}));
        work(&mut events, [3, 1, 2, 9][turn]);
        if turn == 1 {
            let asks = format!("sevt_{:03}", events.len());
            events.push(json!({"type": "agent.tool_use", "name": "bash", "input": {}, "evaluated_permission": "ask"}));
            events.push(idle(
                json!({"type": "requires_action", "event_ids": [asks]}),
            ));
            events.push(
                json!({"type": "user.tool_confirmation", "tool_use_id": asks, "result": "allow"}),
            );
            events.push(json!({"type": "user.interrupt"}));
        }
        if turn == 2 {
            events.push(json!({"type": "span.outcome_evaluation_end", "result": "satisfied"}));
        }
        events.push(json!({"type": "agent.message", "content": text("words")}));
        events.push(json!({"type": "span.model_request_end"}));
        events.push(idle(json!({"type": "end_turn"})));
    }
    for (place, event) in events.iter_mut().enumerate() {
        event["id"] = match event["type"].as_str() {
            Some("user.interrupt") => json!(""),
            _ => json!(format!("sevt_{place:03}")),
        };
        let second = (place / 4) % 50 + if place % 11 == 0 { 9 } else { 0 };
        event["processed_at"] = json!(format!("2026-11-01T10:00:{second:02}Z"));
        if place % 3 == 0 {
            event["session_thread_id"] = json!(THREAD);
        }
    }
    events
}

fn ids(events: &[Value]) -> Vec<String> {
    let id = |event: &Value| event["id"].as_str().unwrap_or_default().to_owned();
    events.iter().map(id).collect()
}

fn reading(after: Option<&str>, limit: usize, order: Order) -> Reading {
    Reading {
        after: after.map(str::to_owned),
        types: Vec::new(),
        thread: None,
        detail: Detail::Full,
        limit,
        order,
    }
}

async fn page(bridge: &Bridge, reading: &Reading) -> Page {
    let session = Id::parse(SESSION).unwrap();
    let (mut patience, nobody) = (bridge.patience(Some(0)), Attention::none());
    // This machine has more to do than to serve one reader.
    patience.deadline += Duration::from_secs(10);
    let read = bridge.read(&session, reading, &patience, &nobody).await;
    read.map_err(|failure| format!("{failure:?}")).unwrap()
}

/// Reads on to the end; with a new process for each page, or with one for all of them.
async fn read_on(
    server: &Server,
    mut reading: Reading,
    each_anew: bool,
    state: State,
) -> Vec<String> {
    let mut bridge = server.bridge();
    let mut seen = Vec::new();
    for _ in 0..200 {
        let page = page(&bridge, &reading).await;
        assert_eq!(page.state, state, "{reading:?}");
        assert!(page.events.len() <= reading.limit + 1, "{reading:?}");
        seen.extend(ids(&page.events));
        if !page.more {
            return seen;
        }
        reading.after = page.cursor;
        if each_anew {
            bridge = server.bridge();
        }
    }
    panic!("the record never ends: {seen:?}");
}

/// Every event with an id as a cursor.
async fn assert_each_is_a_cursor(server: &Server, state: State, thread: Option<&str>) {
    assert_are_cursors(server, state, thread, 1).await;
}

/// One in so many events as a cursor.
async fn assert_are_cursors(server: &Server, state: State, thread: Option<&str>, one_in: usize) {
    let record = server.shelf.record.lock().unwrap().clone();
    let is_shown =
        |event: &&Value| thread.is_none_or(|thread| event["session_thread_id"] == thread);
    let all: Vec<Value> = record.iter().filter(is_shown).cloned().collect();
    let all = ids(&all);
    let taken = record
        .iter()
        .filter(is_shown)
        .filter(|event| !event["processed_at"].is_null())
        .count();
    let mut walks = Vec::new();
    let cursors = all.iter().enumerate();
    for (at, id) in cursors.filter(|(at, id)| !id.is_empty() && at % one_in == 0) {
        // The smallest pages take the longest.
        let limits: &[usize] = match at % 12 {
            // Where no outline is to be had, small pages take more requests than one process may make.
            0 if server.shelf.types == Types::Obeyed => &[1, 7, 50],
            0 | 6 => &[7, 50],
            _ => &[50],
        };
        for limit in limits {
            let forth = all[(at + 1).min(taken)..taken].to_vec();
            let back: Vec<String> = all[..at].iter().rev().cloned().collect();
            for (order, expected) in [(Order::Oldest, forth), (Order::Newest, back)] {
                let mut reading = reading(Some(id), *limit, order);
                reading.thread = thread.map(|thread| Id::parse(thread).unwrap());
                walks.push((reading, expected));
            }
        }
    }
    let walks = walks
        .into_iter()
        .enumerate()
        .map(async |(number, (reading, expected))| {
            let about = format!(
                "{:?} {:?}: {reading:?}",
                server.shelf.tokens, server.shelf.types
            );
            let seen = read_on(server, reading, number % 3 == 0, state).await;
            assert_eq!(seen, expected, "{about}");
        });
    stream::iter(walks)
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test]
async fn after_each_event_comes_what_stands_after_it_whatever_the_server_is_like() {
    let kinds = [
        (12, Tokens::Event, Types::Obeyed),
        (20, Tokens::Number, Types::Ignored),
        (15, Tokens::Once, Types::Refused),
        (1000, Tokens::OfThen, Types::Obeyed),
    ];
    for (most, tokens, types) in kinds {
        let server = Server::start(record(), most, tokens, types).await;
        let one_in = if tokens == Tokens::Event { 1 } else { 6 };
        assert_are_cursors(&server, State::Done, None, one_in).await;
    }
}

#[tokio::test]
async fn each_event_of_a_thread_is_a_cursor_of_the_thread() {
    let server = Server::start(record(), 5, Tokens::Number, Types::Obeyed).await;
    assert_each_is_a_cursor(&server, State::Done, Some(THREAD)).await;
}

#[tokio::test]
async fn what_is_queued_waits_for_its_place_and_is_not_lost() {
    let mut events = record();
    for number in 0..2 {
        let queued = json!({"id": format!("sevt_q{number}"), "type": "user.message", "content": [], "processed_at": null});
        events.push(queued);
    }
    let server = Server::start(events, 12, Tokens::Event, Types::Obeyed).await;
    assert_each_is_a_cursor(&server, State::Working, None).await;
}

/// What waits for hours is not asked for twice a second.
#[tokio::test]
async fn who_waits_behind_a_queued_message_asks_no_more_often_than_others() {
    let mut asked = Vec::new();
    for queued in [false, true] {
        let mut events = record();
        let cursor = events.last().unwrap()["id"].clone();
        events.push(
            json!({"id": "sevt_q", "type": "user.message", "content": [], "processed_at": null}),
        );
        if !queued {
            events.last_mut().unwrap()["processed_at"] = json!("2026-11-01T10:01:00Z");
        }
        let server = Server::start(events, 100, Tokens::Number, Types::Obeyed).await;
        let mut reading = reading(cursor.as_str(), 50, Order::Oldest);
        if !queued {
            reading.after = Some("sevt_q".to_owned());
        }
        let (bridge, session) = (server.bridge(), Id::parse(SESSION).unwrap());
        let patience = bridge.patience(Some(6));
        let nobody = Attention::none();
        let read = bridge.read(&session, &reading, &patience, &nobody);
        let page = read
            .await
            .map_err(|failure| format!("{failure:?}"))
            .unwrap();
        assert_eq!((page.events.len(), page.state), (0, State::Working));
        asked.push(server.shelf.requests.load(Ordering::Relaxed));
    }
    assert!(asked[1] <= asked[0] + 4, "{asked:?}");
}

/// An interrupt, an answer or a message that never gets a time, as of a turn that failed, holds up nobody who reads on later.
#[tokio::test]
async fn what_never_got_a_time_is_passed_over() {
    for sent in [
        json!({"type": "user.interrupt"}),
        json!({"type": "user.tool_confirmation", "tool_use_id": "sevt_x", "result": "allow"}),
        json!({"type": "user.message", "content": []}),
    ] {
        let mut events = record();
        let place = events.len() / 2;
        events.insert(place, sent);
        events[place]["id"] = json!("sevt_untimed");
        events[place]["processed_at"] = Value::Null;
        let all = ids(&events);
        let server = Server::start(events, 12, Tokens::Event, Types::Obeyed).await;
        // A page would end on the untimed event.
        for limit in [1, 50] {
            let reading = reading(None, limit, Order::Oldest);
            let seen = read_on(&server, reading, false, State::Done).await;
            assert_eq!(seen, all, "{limit}");
        }
        let newest = reading(None, 7, Order::Newest);
        let seen = read_on(&server, newest, true, State::Done).await;
        assert!(seen.iter().rev().eq(&all), "{seen:?}");
    }
}

/// Interrupts may come without ids. One behind the end of a record follows with what comes after it; nobody waits for that.
#[tokio::test]
async fn what_has_no_id_and_comes_last_ends_no_reader_s_patience() {
    for at in [json!("2026-11-01T10:01:00Z"), Value::Null] {
        let mut events = record();
        let interrupt = json!({"id": "", "type": "user.interrupt", "processed_at": at});
        // One that looks the same stands far before.
        if !at.is_null() {
            events.insert(3, interrupt.clone());
        }
        let all = ids(&events);
        events.push(interrupt);
        let server = Server::start(events.clone(), 12, Tokens::Number, Types::Obeyed).await;
        let mut reading = reading(None, 50, Order::Oldest);
        let seen = read_on(&server, reading.clone(), false, State::Done).await;
        assert_eq!(seen, all);
        reading.after = all.last().cloned();
        let bridge = server.bridge();
        let last = page(&bridge, &reading).await;
        assert!(!last.more && last.events.is_empty(), "{last:?}");
        assert!(
            last.notes.iter().any(|note| note.contains("has no id")),
            "{last:?}"
        );
        let next = json!({"id": "sevt_next", "type": "session.status_idle", "stop_reason": {"type": "end_turn"}, "processed_at": "2026-11-01T10:01:01Z"});
        events.push(next);
        *server.shelf.record.lock().unwrap() = events;
        assert_eq!(
            ids(&page(&bridge, &reading).await.events),
            ["", "sevt_next"]
        );
    }
}

/// About what waits in a thread the turns of the session say nothing.
#[tokio::test]
async fn what_is_queued_in_a_thread_waits_there() {
    let mut events = record();
    let queued = json!({
        "id": "sevt_queued", "type": "user.message", "content": [], "processed_at": null, "session_thread_id": THREAD,
    });
    events.insert(events.len() / 2, queued);
    let of_thread = |event: &&Value| event["session_thread_id"] == THREAD;
    let thread: Vec<Value> = events.iter().filter(of_thread).cloned().collect();
    let before: Vec<String> = ids(&thread)
        .into_iter()
        .take_while(|id| id != "sevt_queued")
        .collect();
    let server = Server::start(events, 12, Tokens::Number, Types::Obeyed).await;
    let mut reading = reading(None, 50, Order::Oldest);
    reading.thread = Some(Id::parse(THREAD).unwrap());
    let seen = read_on(&server, reading, false, State::Done).await;
    assert_eq!(seen, before);
}

/// While somebody reads, the record grows; tokens lead into the list as it was when they were handed out.
#[tokio::test]
async fn a_reader_who_goes_on_sees_what_came_while_it_read() {
    for tokens in [Tokens::Event, Tokens::Number, Tokens::OfThen] {
        let whole = record();
        let server = Server::start(whole[..20].to_vec(), 3, tokens, Types::Obeyed).await;
        let bridge = server.bridge();
        let mut reading = reading(None, 4, Order::Oldest);
        let mut seen = Vec::new();
        for length in (20..).step_by(3).take(100) {
            let page = page(&bridge, &reading).await;
            seen.extend(ids(&page.events));
            reading.after = page.cursor.clone();
            if !page.more && length >= whole.len() {
                break;
            }
            let grown = (length + 3).min(whole.len());
            *server.shelf.record.lock().unwrap() = whole[..grown].to_vec();
        }
        assert_eq!(seen, ids(&whole), "{tokens:?}");
    }
}

/// A page far from both ends of a long turn takes a few requests, not one for each page of the turn.
#[tokio::test]
async fn the_next_page_of_a_long_turn_is_read_from_where_the_last_one_ended() {
    let rig = crate::rig::Rig::start().await;
    let client = rig.client().await;
    let session = crate::rig::session(&client.create("[work 1300] go", 40).await);
    let reader = rig.client().await;
    let mut arguments = json!({"session_id": session, "limit": 5});
    for _ in 0..3 {
        let before = rig.requests().len();
        let page = reader.call("get_events", arguments.clone()).await;
        let page = page.within(Duration::from_secs(2)).ok();
        assert_eq!(page["state"], "done");
        arguments["after"] = page["cursor"].clone();
        let asked = rig.requests().len() - before;
        assert!(asked <= 5, "{asked} requests");
    }
}

/// Twenty megabytes of results in one turn: what is kept of it tells the same.
#[tokio::test]
async fn a_turn_too_large_to_be_kept_whole_is_reported_and_read_as_any_other() {
    let rig = crate::rig::Rig::start().await;
    let client = rig.client().await;
    let task = "[big 250 80] [two] go";
    let report = client.create(task, 40).await;
    let session = crate::rig::session(&report);
    let later = rig.client().await.wait_for(&session, 45).await;
    let record = rig.record(&session).await;
    for report in [&report, &later] {
        assert_eq!(report["state"], "done", "{report}");
        assert!(crate::rig::reply(report).contains(task), "{report}");
        let notes = report["notes"].to_string();
        assert!(
            notes.contains("get_events all of it") && !notes.contains("further back"),
            "{notes}"
        );
        let last = record.iter().rev().find(|event| event["id"].is_string());
        assert_eq!(report["cursor"], last.unwrap()["id"], "{notes}");
    }
    let reader = rig.client().await;
    // A busy machine takes its time for pages of megabytes.
    let mut arguments = json!({"session_id": session, "limit": 1000, "wait_seconds": 45});
    let mut seen = Vec::new();
    for _ in 0..2 {
        let page = reader.call("get_events", arguments.clone()).await.ok();
        seen.extend(ids(page["events"].as_array().unwrap()));
        arguments["after"] = page["cursor"].clone();
    }
    // The digest leaves these out.
    let noise = [
        "agent.thinking",
        "session.usage",
        "span.model_request_start",
        "span.model_request_end",
    ];
    let is_shown = |event: &&Value| !noise.contains(&event["type"].as_str().unwrap());
    let shown: Vec<Value> = record.iter().filter(is_shown).cloned().collect();
    assert_eq!(seen, ids(&shown)[..seen.len()]);
}

/// Copies of queued messages, more than a page holds, stand where these were sent; each is shown where it was taken in.
#[tokio::test]
async fn a_page_of_nothing_but_old_copies_holds_up_no_reader() {
    let mut events = record();
    let taken_in = |place: usize| json!({"id": format!("sevt_q{place}"), "type": "user.message", "content": [], "processed_at": "2026-11-01T10:00:30Z"});
    let queued = |place: usize| {
        let mut event = taken_in(place);
        event["processed_at"] = Value::Null;
        event
    };
    events.extend((0..4).map(taken_in));
    let shown = ids(&events);
    let middle = events.len() / 2;
    events.splice(middle..middle, (0..4).map(queued));
    // Far enough from the newest events.
    let later = (0..210).map(|place| {
        json!({"id": format!("sevt_later{place}"), "type": "agent.thinking", "processed_at": "2026-11-01T10:00:40Z"})
    });
    let later: Vec<Value> = later.collect();
    let shown: Vec<String> = shown.into_iter().chain(ids(&later)).collect();
    events.extend(later);
    let server = Server::start(events, 100, Tokens::Number, Types::Obeyed).await;
    for limit in [3, 50] {
        let read = read_on(
            &server,
            reading(None, limit, Order::Oldest),
            false,
            State::Working,
        )
        .await;
        assert_eq!(read, shown, "{limit}");
    }
}
