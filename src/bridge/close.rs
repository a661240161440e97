//! The end of a session: archived or deleted, after the running turn was stopped if that was asked.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::follow::Follow;
use super::once::{Second, Write};
use super::{Attention, Bridge, Failure, Patience};
use crate::api::{Client, Error, Id};
use crate::session::report::Report;
use crate::session::turn::State;

/// How a session is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Read-only for good; the record stays.
    Archive,
    /// Gone with its record and files.
    Delete,
}

/// A closed session.
#[derive(Debug, Clone)]
pub struct Closed {
    /// How it was closed.
    pub ending: Ending,
    /// How it stood just before.
    pub last: Report,
}

/// How long a turn may take to stop, and the status to follow.
const STOPPING: Duration = Duration::from_secs(20);
/// Just after a turn the queryable status can still say running.
const STATUS_LAG: Duration = Duration::from_secs(4);

impl Bridge {
    /// Closes a session. A running one is refused unless it is to be interrupted first.
    pub async fn close(
        &self,
        session: &Id,
        ending: Ending,
        interrupt_first: bool,
        attention: &Attention,
    ) -> Result<Closed, Failure> {
        let doing = match ending {
            Ending::Archive => "archive the session",
            Ending::Delete => "delete the session",
        };
        let now = Instant::now();
        let patience = Patience {
            until: now + STOPPING,
            deadline: now + STOPPING + STATUS_LAG,
            note: None,
        };
        let mut follow = Follow::new(
            &self.api,
            patience.deadline,
            session,
            self.memory.recall(session),
        );
        follow.look().await.map_err(Failure::while_trying(doing))?;
        let mut last = self.conclude(session, &follow, Vec::new());
        if matches!(last.state, State::Working | State::NeedsAction) {
            if !interrupt_first && last.state == State::Working {
                return Err(Failure::argument(
                    format!("Could not {doing}: session {session} is still working."),
                    "wait with get_status, or pass `interrupt` true to stop the turn first.",
                ));
            }
            if interrupt_first {
                last = self.interrupt(session, None, &patience, attention).await?;
            }
        }
        if !(follow.is_archived() && ending == Ending::Archive) {
            self.end(session, ending, patience.deadline).await?;
        }
        // The same request_key may start something new from now on.
        self.started.forget(session.as_str());
        Ok(Closed { ending, last })
    }

    async fn end(&self, session: &Id, ending: Ending, deadline: Instant) -> Result<(), Failure> {
        let next = format!(
            "get_status with session_ids [\"{session}\"] shows whether it is over; if not, make the same call again."
        );
        let write = ending.write("the session", next);
        let send = |api: Client| async move {
            match ending {
                Ending::Archive => api.archive_session(session).await,
                Ending::Delete => api.delete_session(session).await,
            }
        };
        let look = |api: Client| async move {
            let read = api.get_session(session).await;
            ending.is_reached(read.map(|session| session.archived_at.is_some()))
        };
        let started = Instant::now();
        loop {
            match write.once(&self.api, deadline, send, look).await {
                Err(Failure::Api { error, .. })
                    if error.status() == Some(400) && started.elapsed() < STATUS_LAG =>
                {
                    sleep(Duration::from_millis(300)).await;
                }
                ended => return ended,
            }
        }
    }
}

impl Ending {
    /// The end of something.
    pub(super) fn write(self, what: &str, next: String) -> Write {
        let verb = match self {
            Ending::Archive => "archive",
            Ending::Delete => "delete",
        };
        Write::new(format!("{verb} {what}"), Second::ChangesNothing, next)
    }

    /// Whether it is reached: `is_archived` is what reading it says.
    pub(super) fn is_reached(self, is_archived: Result<bool, Error>) -> Result<Option<()>, Error> {
        match (self, is_archived) {
            (Ending::Delete, Err(error)) if error.status() == Some(404) => Ok(Some(())),
            (_, Err(error)) => Err(error),
            (Ending::Archive, Ok(is_archived)) => Ok(is_archived.then_some(())),
            (Ending::Delete, Ok(_)) => Ok(None),
        }
    }
}
