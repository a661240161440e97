//! The line to a session's stream: opened, read, and opened again after every end, at a pace that spares the server.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::api::events::Event;
use crate::api::lines::Wanted;
use crate::api::stream::{EventStream, Frame};
use crate::api::{Client, Error, Id};

/// How long the headers of a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause between two attempts.
const LONGEST_REST: f64 = 10.0;
/// A stream that lived so long was a good one, even without events.
const GOOD_LIFE: Duration = Duration::from_secs(30);

/// What came of waiting on the line.
pub(super) enum News {
    /// It is open from now on: what happened before must be listed.
    Opened,
    /// An event of the session.
    Event(Event),
    /// A sign of life.
    Alive,
    /// It was cut or could not be opened.
    Cut,
}

/// A line that heals itself.
pub(super) struct Line {
    api: Client,
    session: Id,
    state: State,
    attempt: i32,
    _wanted: Wanted,
}

enum State {
    Opening(BoxFuture<'static, Result<EventStream, Error>>),
    Open {
        stream: EventStream,
        since: Instant,
    },
    Resting(Instant),
    /// The server has no stream for us; asking again cannot help.
    Closed,
}

impl Line {
    /// Starts to open the line with the first call to [`Line::next`].
    pub(super) fn new(api: &Client, session: &Id) -> Line {
        Line {
            api: api.clone(),
            session: session.clone(),
            state: State::Resting(Instant::now()),
            attempt: 0,
            _wanted: api.want_stream(),
        }
    }

    /// Whether events arrive by themselves at the moment.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Waits for news. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> News {
        loop {
            match &mut self.state {
                State::Resting(until) => {
                    sleep_until(*until).await;
                    let (api, session) = (self.api.clone(), self.session.clone());
                    let open = async move { api.stream_events(&session, OPEN_TIMEOUT).await };
                    self.state = State::Opening(Box::pin(open));
                }
                State::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        self.state = State::Open {
                            stream,
                            since: Instant::now(),
                        };
                        return News::Opened;
                    }
                    Err(error) => return self.cut(Some(error), false),
                },
                State::Open { stream, since } => {
                    let since = *since;
                    return match stream.next().await {
                        Some(Ok(Frame::Event(event))) => {
                            self.attempt = 0;
                            News::Event(event)
                        }
                        Some(Ok(Frame::Alive)) => News::Alive,
                        Some(Err(error)) => self.cut(Some(error), since.elapsed() >= GOOD_LIFE),
                        None => self.cut(None, since.elapsed() >= GOOD_LIFE),
                    };
                }
                State::Closed => std::future::pending().await,
            }
        }
    }

    fn cut(&mut self, error: Option<Error>, was_good: bool) -> News {
        if was_good {
            self.attempt = 0;
        }
        let seconds = (0.5 * 2_f64.powi(self.attempt.min(8))).min(LONGEST_REST)
            * (1.0 - 0.25 * fastrand::f64());
        let asked = match &error {
            Some(Error::Refused(refusal)) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let rest = Duration::from_secs_f64(seconds).max(asked);
        tracing::info!(session = %self.session, ?rest, error = error.as_ref().map(tracing::field::display), "stream cut");
        self.attempt += 1;
        self.state = match error {
            Some(error) if error.is_final() => State::Closed,
            _ => State::Resting(Instant::now() + rest),
        };
        News::Cut
    }
}
