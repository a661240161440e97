//! A server of one scripted turn, for as many sessions as are asked for, each with one fault at one place: a byte of the
//! stream, a frame of it, or a byte of a list. It is the fault server of the walk; it knows neither the simulator nor `api`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What goes wrong. The place is a byte of the stream's body, of a list's body, or the number of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    // At a byte of the stream.
    Finish,
    Reset,
    Garbage,
    ErrorFrame,
    Silence,
    Trickle,
    /// Cut, and the headers of the next stream take their time.
    SlowReopening,
    /// Cut, and the next streams are refused with 429, 503, 529 or 500.
    RefusedReopening,
    /// Cut, and the next streams end at once.
    ClosedReopening,
    /// Cut, and the next stream begins with everything that ever happened.
    Replay,
    /// Cut, and lists lag behind.
    Lag,
    /// Cut, and lists never end.
    EndlessPage,
    // At the start of a line of the stream.
    Mark,
    // At a frame of the stream.
    Lost,
    Doubled,
    Swapped,
    Repeated,
    // At a byte of a list.
    ListFinish,
    ListReset,
    ListGarbage,
    ListTrickle,
    ListSilence,
    /// A list is refused instead, whatever the byte.
    ListRefused,
}

pub(crate) const KINDS: [Kind; 23] = [
    Kind::Finish,
    Kind::Reset,
    Kind::Garbage,
    Kind::ErrorFrame,
    Kind::Silence,
    Kind::Trickle,
    Kind::SlowReopening,
    Kind::RefusedReopening,
    Kind::ClosedReopening,
    Kind::Replay,
    Kind::Lag,
    Kind::EndlessPage,
    Kind::Mark,
    Kind::Lost,
    Kind::Doubled,
    Kind::Swapped,
    Kind::Repeated,
    Kind::ListFinish,
    Kind::ListReset,
    Kind::ListGarbage,
    Kind::ListTrickle,
    Kind::ListSilence,
    Kind::ListRefused,
];

impl Kind {
    /// All its places.
    pub(crate) fn places(self) -> Vec<usize> {
        let script = Script::new(0);
        let body: String = script
            .frames
            .iter()
            .map(|frame| frame.text.clone())
            .collect();
        match self {
            Kind::Mark => {
                let ends = body.match_indices('\n').map(|(end, _)| end + 1);
                [0].into_iter()
                    .chain(ends)
                    .filter(|at| *at < body.len())
                    .collect()
            }
            Kind::Lost | Kind::Doubled | Kind::Swapped | Kind::Repeated => {
                (0..script.frames.len()).collect()
            }
            Kind::ListFinish
            | Kind::ListReset
            | Kind::ListGarbage
            | Kind::ListTrickle
            | Kind::ListSilence => {
                (0..list(&script.listed(script.frames.len()), None).len()).collect()
            }
            Kind::ListRefused => (0..64).collect(),
            _ => (0..=body.len()).collect(),
        }
    }
}

/// Something on the wire, in the order in which it happens.
struct Frame {
    text: String,
    event: Value,
    /// Where the event stands in the list once it is taken in; what is queued stands at the end.
    place: usize,
    queued: bool,
}

/// A turn of twenty-two frames after an older turn: two messages that are queued first, tools, words at the end.
struct Script {
    before: Vec<Value>,
    frames: Vec<Frame>,
}

/// The words of the turn.
pub(crate) const FIRST_WORDS: &str = "first words";
pub(crate) const LAST_WORDS: &str = "last words";
/// The event that asks for the turn.
pub(crate) const QUESTION: &str = "u1";

impl Script {
    /// By the seed the last words come late, and times are not in order.
    fn new(seed: u64) -> Script {
        let mut rng = Rng::with_seed(seed);
        let (late, jitter) = (rng.bool(), if rng.bool() { 1500 } else { 0 });
        let now = Utc::now();
        let mut time = |at: i64| {
            let moved = if jitter > 0 {
                rng.i64(-jitter..jitter)
            } else {
                0
            };
            stamp(now + TimeDelta::milliseconds(10 * at + moved))
        };
        let before = [
            json!({"id": "u0", "type": "user.message", "content": [{"type": "text", "text": "earlier"}]}),
            json!({"id": "a0", "type": "agent.message", "content": [{"type": "text", "text": "old words"}]}),
            json!({"id": "i0", "type": "session.status_idle", "stop_reason": {"type": "end_turn"}}),
        ];
        let before = (0..)
            .zip(before)
            .map(|(at, event)| timed(event, time(at - 1000)))
            .collect();
        let mut frames: Vec<Frame> = (0..)
            .zip(turn())
            .map(|(at, (place, event, queued))| {
                let event = if queued {
                    with_time(event, Value::Null)
                } else {
                    timed(event, time(at))
                };
                let kind = event["type"].as_str().unwrap_or_default();
                Frame {
                    text: format!("event: {kind}\ndata: {event}\n\n"),
                    place,
                    event,
                    queued,
                }
            })
            .collect();
        if late {
            let words = frames
                .iter()
                .position(|frame| frame.event["id"] == "a2")
                .unwrap_or_default();
            let words = frames.remove(words);
            frames.push(words);
        }
        Script { before, frames }
    }

    /// The list once so many frames have happened, oldest first.
    fn listed(&self, happened: usize) -> Vec<Value> {
        let asked = json!({"id": QUESTION, "type": "user.message", "content": [{"type": "text", "text": "go"}], "processed_at": null});
        let mut queued = vec![asked];
        let mut taken: Vec<&Frame> = Vec::new();
        for frame in self.frames.iter().take(happened) {
            queued.retain(|event| event["id"] != frame.event["id"]);
            match frame.queued {
                true => queued.push(frame.event.clone()),
                false => taken.push(frame),
            }
        }
        taken.sort_by_key(|frame| frame.place);
        let taken = taken.into_iter().map(|frame| frame.event.clone());
        self.before
            .iter()
            .cloned()
            .chain(taken)
            .chain(queued)
            .collect()
    }
}

/// Place, event, and whether it is only queued.
fn turn() -> Vec<(usize, Value, bool)> {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let call = |id: &str| json!({"id": id, "type": "agent.tool_use", "name": "bash", "input": {"command": id}, "evaluated_permission": "allow"});
    let result = |id: &str, of: &str| json!({"id": id, "type": "agent.tool_result", "tool_use_id": of, "content": text("ok")});
    let request = |id: &str| json!({"id": id, "type": "span.model_request_start"});
    let answered = |id: &str| json!({"id": id, "type": "span.model_request_end"});
    let more = json!({"id": "u2", "type": "user.message", "content": text("and more")});
    let events = [
        (json!({"id": "r1", "type": "session.status_running"}), false),
        (
            json!({"id": QUESTION, "type": "user.message", "content": text("go")}),
            false,
        ),
        (request("s1"), false),
        (json!({"id": "k1", "type": "agent.thinking"}), false),
        (call("t1"), false),
        (result("o1", "t1"), false),
        (more.clone(), true),
        (call("t2"), false),
        (result("o2", "t2"), false),
        (call("t3"), false),
        (result("o3", "t3"), false),
        (answered("s2"), false),
        (more, false),
        (request("s3"), false),
        (
            json!({"id": "a1", "type": "agent.message", "content": text(FIRST_WORDS)}),
            false,
        ),
        (call("t4"), false),
        (result("o4", "t4"), false),
        (answered("s4"), false),
        (request("s5"), false),
        (
            json!({"id": "a2", "type": "agent.message", "content": text(LAST_WORDS)}),
            false,
        ),
        (answered("s6"), false),
        (
            json!({"id": "i1", "type": "session.status_idle", "stop_reason": {"type": "end_turn"}}),
            false,
        ),
    ];
    (0..)
        .zip(events)
        .map(|(place, (event, queued))| (place, event, queued))
        .collect()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn timed(event: Value, time: String) -> Value {
    with_time(event, json!(time))
}

fn with_time(mut event: Value, time: Value) -> Value {
    event["processed_at"] = time;
    event
}

fn list(newest_first: &[Value], next_page: Option<&str>) -> String {
    json!({"data": newest_first, "next_page": next_page}).to_string()
}

/// One session with its fault.
struct Walk {
    kind: Kind,
    place: usize,
    script: Script,
    chance: Chance,
    now: Mutex<Now>,
    listed: Notify,
}

/// What the seed decides beside the script.
struct Chance {
    /// The body of a stream is sent in chunks, so that its end can be told from a cut.
    chunked: bool,
    /// Nothing happens before the list that follows the opening of a stream.
    patient: bool,
    /// So many frames happen while there is no stream.
    gap: usize,
    /// Events on a page of a list.
    page: usize,
    /// Which list is harmed.
    list: usize,
    /// How often the next streams are refused, and with what.
    refusals: usize,
    status: u16,
}

#[derive(Default)]
struct Now {
    /// When each frame happened.
    happened: Vec<Instant>,
    streams: usize,
    lists: usize,
    /// When the stream was harmed.
    harmed: Option<Instant>,
}

/// Serves every session that was scripted, until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    walks: Arc<Walks>,
    next: AtomicU64,
    serving: JoinHandle<()>,
}

type Walks = Mutex<HashMap<String, Arc<Walk>>>;

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let walks = Arc::new(Walks::default());
        let known = Arc::clone(&walks);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let known = Arc::clone(&known);
                tokio::spawn(async move {
                    let _ = converse(socket, &known).await;
                });
            }
        });
        Ok(Server {
            address,
            walks,
            next: AtomicU64::new(1),
            serving,
        })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new session whose turn begins once somebody follows it; its id.
    pub(crate) fn script(&self, kind: Kind, place: usize, seed: u64) -> String {
        let mut rng = Rng::with_seed(seed);
        let script = Script::new(rng.u64(..));
        let chance = Chance {
            chunked: rng.bool(),
            patient: rng.u8(..4) > 0,
            gap: if rng.u8(..4) == 0 {
                script.frames.len()
            } else {
                rng.usize(..4)
            },
            page: if rng.bool() && kind != Kind::EndlessPage {
                5
            } else {
                1000
            },
            list: rng.usize(..3),
            refusals: rng.usize(1..3),
            status: rng.choice([429, 500, 503, 529]).unwrap_or(503),
        };
        let walk = Walk {
            kind,
            place,
            script,
            chance,
            now: Mutex::default(),
            listed: Notify::new(),
        };
        let id = format!("sesn_{}", self.next.fetch_add(1, Ordering::Relaxed));
        lock(&self.walks).insert(id.clone(), Arc::new(walk));
        id
    }

    /// What the list holds once everything has happened, and when the stream was harmed; the session is forgotten.
    pub(crate) fn forget(&self, id: &str) -> (Vec<String>, Option<Instant>) {
        let Some(walk) = lock(&self.walks).remove(id) else {
            return (Vec::new(), None);
        };
        let events = walk.script.listed(walk.script.frames.len()).into_iter();
        let ids = events.filter_map(|event| event["id"].as_str().map(str::to_owned));
        (ids.collect(), lock(&walk.now).harmed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The connection is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        Over
    }
}

async fn converse(mut socket: TcpStream, walks: &Walks) -> Result<(), Over> {
    socket.set_nodelay(true)?;
    loop {
        let path = read_path(&mut socket).await?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let rest = path.trim_start_matches("/v1/sessions/");
        let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
        let walk = lock(walks).get(id).cloned();
        let Some(walk) = walk else {
            respond(&mut socket, 404, "{}").await?;
            continue;
        };
        match what {
            "" => {
                let over = lock(&walk.now).happened.len() == walk.script.frames.len();
                let status = if over { "idle" } else { "running" };
                respond(
                    &mut socket,
                    200,
                    &json!({"id": id, "type": "session", "status": status}).to_string(),
                )
                .await?;
            }
            "events" => walk.list(&mut socket, query).await?,
            _ => return walk.stream(socket).await,
        }
    }
}

async fn read_path(socket: &mut TcpStream) -> Result<String, Over> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 2048];
        match socket.read(&mut piece).await? {
            0 => return Err(Over),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    head.split(' ').nth(1).map(str::to_owned).ok_or(Over)
}

async fn respond(socket: &mut TcpStream, status: u16, body: &str) -> Result<(), Over> {
    let answer = format!("{}{body}", head(status, body.len()));
    Ok(socket.write_all(answer.as_bytes()).await?)
}

fn head(status: u16, length: usize) -> String {
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nretry-after-ms: 50\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Nothing more comes until the client goes.
async fn silence(mut socket: TcpStream) -> Result<(), Over> {
    let mut piece = [0; 64];
    while socket.read(&mut piece).await? > 0 {}
    Err(Over)
}

impl Walk {
    async fn list(&self, socket: &mut TcpStream, query: &str) -> Result<(), Over> {
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let (happened, number) = {
            let mut now = lock(&self.now);
            now.lists += 1;
            let lag = if self.kind == Kind::Lag {
                Duration::from_millis(400)
            } else {
                Duration::ZERO
            };
            (
                now.happened.iter().filter(|at| at.elapsed() >= lag).count(),
                now.lists - 1,
            )
        };
        let mut events = self.script.listed(happened);
        if parameter("order=") == Some("desc") {
            events.reverse();
        }
        // A page goes on after the last event of the one before it, wherever that stands by now.
        let after =
            parameter("page=").and_then(|id| events.iter().position(|event| event["id"] == id));
        let start = after.map_or(0, |at| at + 1);
        let asked = parameter("limit=")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(1000);
        let end = events.len().min(start + self.chance.page.min(asked));
        let page = events.get(start..end).unwrap_or_default();
        let last = page.last().and_then(|event| event["id"].as_str());
        let next = match self.kind {
            Kind::EndlessPage => Some("again"),
            _ => last.filter(|_| end < events.len()),
        };
        let body = list(page, next);
        let done = self.harmed(socket, &body, number).await;
        self.listed.notify_waiters();
        done
    }

    /// Answers with a list, one of which is harmed.
    async fn harmed(&self, socket: &mut TcpStream, body: &str, number: usize) -> Result<(), Over> {
        if number != self.chance.list {
            return respond(socket, 200, body).await;
        }
        let at = self.place.min(body.len());
        let (first, rest) = body.as_bytes().split_at(at);
        let cut = matches!(
            self.kind,
            Kind::ListFinish
                | Kind::ListReset
                | Kind::ListGarbage
                | Kind::ListTrickle
                | Kind::ListSilence
        );
        match self.kind {
            Kind::ListRefused => return respond(socket, self.chance.status, "{}").await,
            _ if !cut => return respond(socket, 200, body).await,
            _ => {}
        }
        let length = body.len() + usize::from(self.kind == Kind::ListGarbage);
        socket
            .write_all(&[head(200, length).as_bytes(), first].concat())
            .await?;
        match self.kind {
            Kind::ListGarbage => socket.write_all(&[b"\xff", rest].concat()).await?,
            Kind::ListTrickle => trickle(socket, rest).await?,
            Kind::ListSilence => {
                let mut piece = [0; 64];
                while socket.read(&mut piece).await? > 0 {}
                return Err(Over);
            }
            Kind::ListReset => {
                socket.set_zero_linger()?;
                return Err(Over);
            }
            _ => return Err(Over),
        }
        Ok(())
    }

    async fn stream(&self, mut socket: TcpStream) -> Result<(), Over> {
        let (number, lists) = {
            let mut now = lock(&self.now);
            now.streams += 1;
            (now.streams - 1, now.lists)
        };
        let troubled = (1..=self.chance.refusals).contains(&number);
        match self.kind {
            Kind::SlowReopening if number == 1 => {
                self.happen(self.script.frames.len());
                sleep(Duration::from_millis(1500)).await;
            }
            Kind::RefusedReopening if troubled => {
                return respond(&mut socket, self.chance.status, "{}").await;
            }
            _ => {}
        }
        let chunked = if self.chance.chunked {
            "transfer-encoding: chunked\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 200 Said\r\ncontent-type: text/event-stream\r\n{chunked}connection: close\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await?;
        if self.kind == Kind::ClosedReopening && troubled {
            return Err(Over);
        }
        if self.chance.patient {
            self.until_listed(lists).await;
        }
        let mut wire = Wire {
            socket,
            chunked: self.chance.chunked,
        };
        if number == 0 {
            return self.first(wire).await;
        }
        let from = lock(&self.now).happened.len();
        if self.kind == Kind::Replay {
            for frame in self.script.frames.iter().take(from) {
                let text = format!("id: {}\nretry: 1\n{}", frame.event["id"], frame.text);
                wire.send(text.as_bytes()).await?;
            }
        }
        self.frames(&mut wire, from).await?;
        silence(wire.socket).await
    }

    /// Waits until a list was answered that was not asked for before; not for ever, since lists may fail.
    async fn until_listed(&self, before: usize) {
        let asked = async {
            loop {
                let listed = self.listed.notified();
                if lock(&self.now).lists > before {
                    return;
                }
                listed.await;
            }
        };
        let _ = timeout(Duration::from_millis(300), asked).await;
    }

    /// Frames happen up to this one, whoever listens. What comes after the end of the turn comes soon.
    fn happen(&self, until: usize) {
        let mut now = lock(&self.now);
        let all = self.script.frames.len();
        let until = if until + 1 >= all { all } else { until };
        while now.happened.len() < until.min(self.script.frames.len()) {
            now.happened.push(Instant::now());
        }
    }

    async fn frames(&self, wire: &mut Wire, from: usize) -> Result<(), Over> {
        for (number, frame) in self.script.frames.iter().enumerate().skip(from) {
            self.happen(number + 1);
            wire.send(frame.text.as_bytes()).await?;
        }
        Ok(())
    }

    /// The first stream, which is harmed.
    async fn first(&self, mut wire: Wire) -> Result<(), Over> {
        match self.kind {
            Kind::ListFinish
            | Kind::ListReset
            | Kind::ListGarbage
            | Kind::ListTrickle
            | Kind::ListSilence
            | Kind::ListRefused => {
                self.frames(&mut wire, 0).await?;
                return silence(wire.socket).await;
            }
            Kind::Lost | Kind::Doubled | Kind::Swapped | Kind::Repeated => {
                self.disordered(&mut wire).await?;
                return silence(wire.socket).await;
            }
            _ => {}
        }
        let mut left = self.place;
        let mut frames = self.script.frames.iter().enumerate();
        let (mut number, mut rest): (usize, &[u8]) = (0, &[]);
        // A frame happens before its first byte is sent.
        for (at, frame) in frames.by_ref() {
            (number, rest) = (at, frame.text.as_bytes());
            if left < rest.len() {
                break;
            }
            self.happen(at + 1);
            wire.send(rest).await?;
            (left, rest, number) = (left - rest.len(), &[], at + 1);
        }
        if left > 0 {
            self.happen(number + 1);
            wire.send(&rest[..left]).await?;
        }
        self.harm(wire, number, rest.split_at(left)).await
    }

    /// Harms the stream within a frame, of which one part is sent and the rest is not.
    async fn harm(
        &self,
        mut wire: Wire,
        number: usize,
        (sent, rest): (&[u8], &[u8]),
    ) -> Result<(), Over> {
        let all = self.script.frames.len();
        let next = number + usize::from(!sent.is_empty());
        lock(&self.now).harmed = Some(Instant::now());
        match self.kind {
            Kind::Garbage | Kind::Mark => {
                let odd: &[u8] = if self.kind == Kind::Mark {
                    b"\xef\xbb\xbf"
                } else {
                    b"\xff"
                };
                self.happen(number + 1);
                wire.send(odd).await?;
                wire.send(rest).await?;
                self.frames(&mut wire, number + 1).await?;
                silence(wire.socket).await
            }
            Kind::Trickle => {
                self.happen(number + 1);
                wire.trickle(rest).await?;
                for (number, frame) in self.script.frames.iter().enumerate().skip(number + 1) {
                    self.happen(number + 1);
                    wire.trickle(frame.text.as_bytes()).await?;
                }
                silence(wire.socket).await
            }
            Kind::Silence => {
                self.happen(all);
                silence(wire.socket).await
            }
            Kind::ErrorFrame => {
                let frame = "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n";
                wire.send(frame.as_bytes()).await?;
                self.happen(next + self.chance.gap);
                Err(Over)
            }
            Kind::Reset => {
                wire.socket.set_zero_linger()?;
                self.happen(next + self.chance.gap);
                Err(Over)
            }
            _ => {
                self.happen(next + self.chance.gap);
                Err(Over)
            }
        }
    }

    /// One frame does not come, comes twice, comes after its successor, or comes again after some others.
    async fn disordered(&self, wire: &mut Wire) -> Result<(), Over> {
        let frames = &self.script.frames;
        let mut order: Vec<usize> = (0..frames.len()).collect();
        match self.kind {
            Kind::Lost => order.retain(|number| *number != self.place),
            Kind::Doubled => order.insert(self.place, self.place),
            Kind::Swapped if self.place + 1 < order.len() => order.swap(self.place, self.place + 1),
            Kind::Repeated => order.insert((self.place + 4).min(order.len()), self.place),
            _ => {}
        }
        for number in order {
            self.happen(number + 1);
            wire.send(frames[number].text.as_bytes()).await?;
        }
        self.happen(frames.len());
        Ok(())
    }
}

/// The body of a stream.
struct Wire {
    socket: TcpStream,
    chunked: bool,
}

impl Wire {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Over> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.chunked {
            return Ok(self.socket.write_all(bytes).await?);
        }
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        Ok(self.socket.write_all(&chunk).await?)
    }

    async fn trickle(&mut self, bytes: &[u8]) -> Result<(), Over> {
        for byte in bytes {
            self.send(&[*byte]).await?;
        }
        Ok(())
    }
}

async fn trickle(socket: &mut TcpStream, bytes: &[u8]) -> Result<(), Over> {
    for byte in bytes {
        socket.write_all(&[*byte]).await?;
    }
    Ok(())
}
