//! Watching a session between calls: the only thing here that listens while nobody waits. It tells that something
//! changed, never what; it works only while it is asked, and dropping it ends everything.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::follow::CONFIRMED_AFTER;
use super::line::{Line, News};
use super::{Bridge, Failure};
use crate::api::events::{Event, EventFilter};
use crate::api::{Client, Error, Fault, Id};
use crate::session::history::ends_session;

/// Sessions that are watched at once at most.
const MOST: usize = 32;
/// A change is told at most so often.
const PAUSE: Duration = Duration::from_secs(1);
/// The newest events, by which a change is noticed that the line did not tell.
const NEWEST: u32 = 20;
/// What is younger may have happened just now, on a clock that is not quite ours.
const RECENT: Duration = Duration::from_secs(60);
/// How long a look may take.
const LOOKING: Duration = Duration::from_secs(10);
/// After an event the list is looked at, which lags behind the line; then more and more seldom.
const FIRST_AUDIT: Duration = Duration::from_secs(3);
const LAST_AUDIT: Duration = Duration::from_secs(60);
/// A look that failed, or a line that may never open again, is made up for so soon.
const AMENDS: Duration = Duration::from_secs(15);

/// Free places for watches.
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Places {
        Places(Arc::new(Semaphore::new(MOST)))
    }
}

/// One session that is watched.
pub struct Watch {
    api: Client,
    session: Id,
    line: Line,
    /// What the newest look showed.
    seen: u64,
    /// Something happened that was not told yet.
    changed: bool,
    /// Nothing can happen any more.
    over: bool,
    /// The newest look did not find the session.
    missing: bool,
    /// Something happened shortly before.
    recent: bool,
    quiet_until: Instant,
    look_at: Instant,
    audit: Duration,
    _place: OwnedSemaphorePermit,
}

/// A look at a session.
struct Look {
    /// Differs from that of another look when anything changed.
    mark: u64,
    over: bool,
    recent: bool,
}

impl Bridge {
    /// Begins to watch a session, from how it stands now.
    pub async fn watch(&self, session: &Id) -> Result<Watch, Failure> {
        let place = Arc::clone(&self.watched.0).try_acquire_owned();
        let place = place.map_err(|_| {
            Failure::argument(
                format!("{MOST} sessions are watched already, the most at once."),
                "end the subscription to another session first; get_status and get_events show changes as well.",
            )
        })?;
        let look = look(&self.api, session)
            .await
            .map_err(Failure::while_trying(format!("watch session {session}")))?;
        let now = Instant::now();
        Ok(Watch {
            api: self.api.clone(),
            session: session.clone(),
            line: Line::new(&self.api, session),
            seen: look.mark,
            changed: false,
            over: look.over,
            missing: false,
            recent: look.recent,
            quiet_until: now,
            look_at: now + FIRST_AUDIT,
            audit: FIRST_AUDIT,
            _place: place,
        })
    }
}

impl Watch {
    /// Counts what happened shortly before as a change: for a client that was told too early that its watch is on.
    pub fn with_recent(mut self) -> Watch {
        self.changed |= self.recent;
        self
    }

    /// Waits for a change; `false`: there will be none any more. Several that come close together are one.
    pub async fn changed(&mut self) -> bool {
        while self.changed || !self.over {
            tokio::select! {
                biased;
                () = sleep_until(self.quiet_until), if self.changed => {
                    self.changed = false;
                    self.quiet_until = Instant::now() + PAUSE;
                    return true;
                }
                news = self.line.next(), if !self.over => self.hear(&news),
                () = sleep_until(self.look_at), if !self.over => self.look().await,
            }
        }
        false
    }

    fn hear(&mut self, news: &News) {
        let now = Instant::now();
        match news {
            // What happened while the line was down is only in the list.
            News::Opened => self.look_at = now,
            News::Event(event) => {
                self.changed = true;
                self.audit = FIRST_AUDIT;
                self.look_at = now + FIRST_AUDIT;
                self.over |= ends_session(event);
            }
            News::Alive => {}
            News::Cut => self.look_at = self.look_at.min(now + AMENDS),
        }
    }

    async fn look(&mut self) {
        match look(&self.api, &self.session).await {
            Ok(look) => {
                self.changed |= look.mark != self.seen;
                (self.seen, self.over, self.missing) = (look.mark, look.over, false);
            }
            Err(error) if error.is_not_found() && self.missing => {
                (self.changed, self.over) = (true, true);
            }
            // A gateway may have said so; the API says it again.
            Err(error) if error.is_not_found() => {
                self.missing = true;
                self.audit = CONFIRMED_AFTER;
            }
            Err(error) => {
                tracing::info!(session = %self.session, %error, "a watched session could not be looked at");
                self.audit = self.audit.min(AMENDS);
            }
        }
        self.look_at = Instant::now() + self.audit;
        self.audit = (2 * self.audit).min(LAST_AUDIT);
    }
}

async fn look(api: &Client, session: &Id) -> Result<Look, Error> {
    let api = api.until(Instant::now() + LOOKING);
    let (events, object) = tokio::join!(newest(&api, session), api.get_session(session));
    let (events, object) = (events?, object?);
    let is_archived = object.archived_at.is_some();
    let raw: Vec<&str> = events.iter().map(Event::raw).collect();
    let mut mark = DefaultHasher::new();
    (raw, &object.status, is_archived).hash(&mut mark);
    let newest = events.iter().filter_map(|event| event.at).max();
    let age = newest.and_then(|newest| (api.now() - newest).abs().to_std().ok());
    Ok(Look {
        mark: mark.finish(),
        over: is_archived || object.status == "terminated",
        recent: age.is_some_and(|age| age < RECENT) || object.status == "running",
    })
}

/// The newest events as the API has them; fewer where they are too large to be read together.
async fn newest(api: &Client, session: &Id) -> Result<Vec<Event>, Error> {
    let mut filter = EventFilter {
        newest_first: true,
        limit: Some(NEWEST),
        ..EventFilter::default()
    };
    loop {
        match api.list_events(session, &filter).await {
            Err(Error::Unreadable {
                fault: Fault::TooLarge,
                ..
            }) if filter.limit > Some(1) => filter.limit = Some(1),
            page => return page.map(|page| page.data),
        }
    }
}
