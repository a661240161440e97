//! The end of a session: archived or deleted, after the running turn was stopped if that was asked.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::follow::Follow;
use super::{Attention, Bridge, Failure, Patience};
use crate::api::{Error, Id};
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
        if follow.is_archived() && ending == Ending::Archive {
            return Ok(Closed { ending, last });
        }
        self.end(session, ending, patience.deadline)
            .await
            .map_err(Failure::while_trying(doing))?;
        // The same request_key may start something new from now on.
        self.started
            .lock()
            .await
            .retain(|_, id| id != session.as_str());
        Ok(Closed { ending, last })
    }

    async fn end(&self, session: &Id, ending: Ending, deadline: Instant) -> Result<(), Error> {
        let api = self.api.until(deadline);
        let started = Instant::now();
        loop {
            let ended = match ending {
                Ending::Archive => api.archive_session(session).await,
                Ending::Delete => api.delete_session(session).await,
            };
            match ended {
                Err(error) if error.status() == Some(400) && started.elapsed() < STATUS_LAG => {
                    sleep(Duration::from_millis(300)).await;
                }
                ended => return ended,
            }
        }
    }
}
