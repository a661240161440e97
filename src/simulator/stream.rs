//! `GET …/events/stream`: what happens from now on, with heartbeats, and no replay.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::answer::Refusal;
use super::faults::Kind;
use super::frames::Frames;
use super::state::{Call, State};
use super::struck::Struck;

/// How long a frame is held back at most when a fault swaps frames.
const HELD: Duration = Duration::from_millis(30);

/// An open stream.
pub(super) struct Feed {
    replay: VecDeque<Arc<Value>>,
    /// Gone when the session is: the stream then stays open and silent.
    pieces: Option<UnboundedReceiver<Arc<Value>>>,
    frames: Frames,
    heartbeat: Duration,
    ping_at: Instant,
}

/// Opens a stream of a session, or of one of its threads.
pub(super) fn open(
    state: &mut State,
    call: &Call,
    struck: &Struck,
    heartbeat: Duration,
) -> Result<Feed, Refusal> {
    call.query.only(&["event_deltas[]"])?;
    let previews = call.query.all("event_deltas[]");
    if let Some(odd) = previews
        .iter()
        .find(|kind| !matches!(**kind, "agent.message" | "agent.thinking"))
    {
        return Err(Refusal::invalid(format!(
            "event_deltas: `{odd}` cannot be previewed"
        )));
    }
    let session = state.session(call.id(0))?;
    let log = match call.ids.as_slice() {
        [_, thread] => session.log_of(thread)?,
        _ => &mut session.log,
    };
    let replays = struck.has(&Kind::Replay);
    let listed = log
        .list(Duration::ZERO)
        .filter(|_| replays)
        .map(|(_, event)| Arc::clone(event));
    let replay = listed.collect();
    let previews = previews.into_iter().map(str::to_owned).collect();
    Ok(Feed {
        replay,
        pieces: Some(log.watch(previews)),
        frames: Frames::new(struck),
        heartbeat,
        ping_at: Instant::now() + heartbeat,
    })
}

impl Feed {
    /// The next bytes; nothing only after a fault ended the stream.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.frames.next() {
                return Some(bytes);
            }
            if self.frames.over() {
                return None;
            }
            match self.replay.pop_front() {
                Some(event) => self.frames.push(&event),
                None => self.wait().await,
            }
        }
    }

    async fn wait(&mut self) {
        let held = Instant::now() + HELD;
        tokio::select! {
            piece = receive(&mut self.pieces) => match piece {
                Some(event) => self.frames.push(&event),
                None => self.pieces = None,
            },
            () = sleep_until(held), if self.frames.holds() => self.frames.flush(),
            () = sleep_until(self.ping_at) => {
                self.frames.ping();
                self.ping_at += self.heartbeat.max(Duration::from_millis(1));
            }
        }
    }
}

async fn receive(pieces: &mut Option<UnboundedReceiver<Arc<Value>>>) -> Option<Arc<Value>> {
    match pieces {
        Some(pieces) => pieces.recv().await,
        None => std::future::pending().await,
    }
}
