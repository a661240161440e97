//! Events without a gap: open the stream, list, merge, follow; after every cut the same again; and a look at the
//! clock against silence.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::back::Depth;
use super::hidden::{self, hide};
use super::line::{Line, News};
use super::progress::Progress;
use super::scan::Seen;
use super::{Attention, Patience};
use crate::api::events::Event;
use crate::api::lines::Keeper;
use crate::api::sessions::Session;
use crate::api::{Client, Error, Id};
use crate::session::history::{self, History, LATENESS, is_question};
use crate::session::places;
use crate::session::report::{self, Facts, Report};
use crate::session::turn::{self, Asked, Lifecycle, Over, Turn};

/// Late words and late tool calls are waited for so long.
const SETTLING: Duration = Duration::from_secs(LATENESS.num_seconds().unsigned_abs());
const SETTLING_LOOK: Duration = Duration::from_millis(400);
/// Kept free at the end of a call for its last look.
pub(super) const LAST_LOOK: Duration = Duration::from_millis(500);
/// A session that was there is gone if it is not found again so much later.
pub(super) const CONFIRMED_AFTER: Duration = Duration::from_secs(1);
/// Silence on an open line is checked against the list after so long, then more and more seldom.
const FIRST_AUDIT: Duration = Duration::from_secs(5);
const LAST_AUDIT: Duration = Duration::from_secs(15);
/// Without a line the list is all there is.
const LINELESS_LOOK: Duration = Duration::from_millis(1500);
/// The sessions that this process follows share the API's rate: of those with a line, and of those without one, so many together
/// make one look after the other.
const BETWEEN_AUDITS: Duration = Duration::from_millis(600);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// One session as one call follows it.
pub struct Follow {
    pub(super) api: Client,
    pub(super) id: Id,
    /// What was sent and must be seen taken in.
    pub(super) asked: Asked,
    pub(super) history: History,
    session: Option<Session>,
    /// The API does not know the session any more.
    gone: bool,
    pub(super) listed_at: Option<Instant>,
    /// The list was read to its first event.
    pub(super) complete: bool,
    /// Bytes of the record that are kept, and how many others keep one.
    pub(super) kept: usize,
    /// Of these so many stayed when it was sifted last.
    pub(super) stays: usize,
    pub(super) keeper: Keeper,
    /// What was let go of after it was seen.
    pub(super) let_go: Seen,
    /// The record was too long to be kept whole.
    pub(super) has_holes: bool,
    /// Why the list was left before its end or the turn's beginning.
    pub(super) left: Option<String>,
    pub(super) trouble: Option<Error>,
    /// More sessions are followed than there are lines, so that this one was read from the list alone.
    crowded_out: bool,
    /// Its events arrive by themselves.
    has_line: bool,
    pub(super) progress: Progress,
}

impl Follow {
    /// All its calls end by `deadline`.
    pub fn new(api: &Client, deadline: Instant, id: &Id, asked: Asked) -> Follow {
        Follow {
            api: api.until(deadline),
            id: id.clone(),
            asked,
            history: History::default(),
            session: None,
            gone: false,
            listed_at: None,
            complete: false,
            kept: 0,
            stays: 0,
            keeper: api.keep_record(),
            let_go: Seen::default(),
            has_holes: false,
            left: None,
            trouble: None,
            crowded_out: false,
            has_line: false,
            progress: Progress::default(),
        }
    }

    /// Lists what is new and reads the session object, at the same time.
    pub async fn look(&mut self) -> Result<(), Error> {
        // On the heap, like the looks of a wait: a thousand that wait do not hold room for it.
        Box::pin(self.look_back(Depth::Turn)).await.map(|_| ())
    }

    /// The same, so far back; whether that was enough.
    pub(super) async fn look_back(&mut self, depth: Depth) -> Result<bool, Error> {
        let (api, id) = (self.api.clone(), self.id.clone());
        let was_there = self.was_there();
        let (listed, session) = tokio::join!(self.list(depth), api.get_session(&id));
        let vanished = |error: &Error| was_there && error.status() == Some(404);
        match (&listed, session) {
            (Err(error), _) if vanished(error) => {
                if self.is_found_again().await {
                    self.bear(error.clone());
                }
            }
            (_, Err(error)) if vanished(&error) => {
                self.is_found_again().await;
            }
            (Err(_), _) => return listed,
            (Ok(_), Err(error)) if error.is_final() => return Err(error),
            (Ok(_), Err(error)) => self.bear(error),
            (Ok(_), Ok(session)) => self.session = Some(session),
        }
        Ok(self.gone || listed.is_ok_and(|is_enough| is_enough))
    }

    /// Waits for the end of the turn, then looks once more. Fails only when nothing at all could be read.
    pub async fn finish(
        &mut self,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<(), Error> {
        let mut over_since: Option<Instant> = None;
        loop {
            self.wait(patience, attention).await?;
            match self.look().await {
                Err(error) if self.listed_at.is_none() || error.is_final() => return Err(error),
                Err(error) => self.bear(error),
                Ok(()) => attention.tell(self.progress.line(self.turn().state)),
            }
            // The last look may show that the turn goes on.
            let waits_on = Instant::now() < patience.until && !attention.stop.is_cancelled();
            if !waits_on {
                return Ok(());
            }
            if self.turn().is_over() {
                let since = *over_since.get_or_insert_with(Instant::now);
                if self.shows_end() || since.elapsed() >= SETTLING {
                    return Ok(());
                }
                tokio::select! {
                    () = sleep_until(patience.until.min(Instant::now() + SETTLING_LOOK)) => {}
                    () = attention.stop.cancelled() => {}
                }
            } else {
                over_since = None;
            }
        }
    }

    /// Whether the list shows the newest status. While only the stream has told of it the list lags behind, and may not
    /// show either what happened before it while there was no stream.
    fn shows_end(&self) -> bool {
        let newest = self.history.newest_status();
        newest.is_none_or(|event| self.history.is_listed(&event.id))
    }

    /// Waits until the turn is over and settled, the patience ends or the caller stops. Trouble on the way is borne.
    pub(super) async fn wait(
        &mut self,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<(), Error> {
        let mut line = Line::new(&self.api, &self.id);
        let mut turn = self.turn();
        let mut audit = FIRST_AUDIT;
        let mut over_since: Option<Instant> = None;
        // A turn that ended long ago gets no late words.
        let mut may_be_late = self.is_fresh();
        let mut look_at = Instant::now() + self.pause(false, audit);
        loop {
            if turn.is_over() {
                let since = *over_since.get_or_insert_with(Instant::now);
                if turn.settled || !may_be_late || since.elapsed() >= SETTLING {
                    return Ok(());
                }
                look_at = look_at.min(Instant::now() + SETTLING_LOOK);
            } else {
                over_since = None;
                may_be_late = true;
                // What is queued may begin, or be passed over once the session rests.
                if self.history.resting().is_some() && !self.history.rests(self.api.now()) {
                    look_at = look_at.min(Instant::now() + SETTLING_LOOK);
                }
            }
            // Late words are worth the rest of the call's time, also for a caller who does not wait.
            let end = if turn.is_over() {
                patience.deadline - LAST_LOOK
            } else {
                patience.until
            };
            attention.tell(self.progress.line(turn.state));
            let listed = tokio::select! {
                news = line.next() => match news {
                    News::Opened => self.list_again().await?,
                    News::Event(event) => {
                        let is_news = !self.is_replayed(&event);
                        let look = Instant::now() + self.pause(is_news, FIRST_AUDIT);
                        if is_news {
                            (audit, look_at) = (FIRST_AUDIT, look);
                        } else {
                            // What seems old may be new all the same: the list tells.
                            look_at = look_at.min(look);
                        }
                        if !self.take(event, turn.is_over()) {
                            continue;
                        }
                        false
                    }
                    News::Alive => continue,
                    News::Cut => false,
                },
                () = sleep_until(look_at) => {
                    audit = audit.mul_f32(1.5).min(LAST_AUDIT);
                    self.list_again().await?
                }
                () = sleep_until(end) => return Ok(()),
                () = attention.stop.cancelled() => return Ok(()),
            };
            if listed || !line.is_open() {
                look_at = Instant::now() + self.pause(line.is_open(), audit);
            }
            self.has_line = line.is_open();
            let streams = self.api.streams();
            self.crowded_out = !line.is_open() && streams.open == streams.most;
            turn = self.turn();
            // Of a long record that takes a while, and a server may send one status after the other.
            yield_now().await;
        }
    }

    /// Whether it was read, or took what was sent to it.
    fn was_there(&self) -> bool {
        self.listed_at.is_some() || self.asked.just_sent
    }

    /// A session that was there is not found: it is gone if the API says so once more. Whether it is found then.
    async fn is_found_again(&mut self) -> bool {
        let latest = self.api.deadline() - LAST_LOOK;
        sleep_until((Instant::now() + CONFIRMED_AFTER).min(latest)).await;
        match Box::pin(self.api.get_session(&self.id)).await {
            Ok(session) => self.session = Some(session),
            Err(error) if error.is_not_found() => self.gone = true,
            Err(error) => self.bear(error),
        }
        !self.gone
    }

    /// Keeps a failure for the report. A look that was never sent is none where the line tells what happens.
    fn bear(&mut self, error: Error) {
        if !(error.is_unsent() && self.has_line) {
            self.trouble = Some(error);
        }
    }

    /// How long to wait before the next look at the list, where a line tells of what is new or where none does.
    fn pause(&self, has_line: bool, audit: Duration) -> Duration {
        let streams = self.api.streams();
        let count = |streams: usize| u32::try_from(streams).unwrap_or(u32::MAX);
        if has_line {
            audit.max(BETWEEN_AUDITS.saturating_mul(count(streams.open)))
        } else {
            LINELESS_LOOK.max(BETWEEN_LOOKS.saturating_mul(count(streams.without)))
        }
    }

    /// Whether the newest event is so young that what belongs before it may not be listed yet.
    fn is_fresh(&self) -> bool {
        let newest = self.history.events().rev().find_map(|event| event.at);
        newest.is_none_or(|newest| self.is_young(newest))
    }

    /// Whether what belongs before this time may still be listed.
    pub(super) fn is_young(&self, at: DateTime<Utc>) -> bool {
        history::is_young(at, self.api.now())
    }

    /// Whether the session rests, and its work is not about to be graded.
    pub(super) fn rests(&self) -> bool {
        self.rests_in(&self.history)
    }

    fn rests_in(&self, history: &History) -> bool {
        self.said().with(history, self.api.now()).rests
    }

    /// How many events, from the oldest on, have their final place.
    pub(super) fn final_places(&self) -> usize {
        self.final_places_in(&self.history, true)
    }

    /// The same in another record of the session, such as that of a thread; whether it `reaches` the newest event.
    pub(super) fn final_places_in(&self, history: &History, reaches: bool) -> usize {
        let fresh = |event: &Event| event.at.is_some_and(|at| self.is_young(at));
        places::final_events(history, reaches && self.rests_in(history), &fresh)
    }

    /// What the session object says, where it was read.
    fn said(&self) -> Lifecycle<'_> {
        self.session.as_ref().map(Lifecycle::of).unwrap_or_default()
    }

    /// Whether somebody archived the session.
    pub(super) fn is_archived(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.archived_at.is_some())
    }

    /// The judgement on what is known.
    pub(super) fn turn(&self) -> Turn {
        turn::judge(&self.history, &self.asked, self.lifecycle())
    }

    pub(super) fn lifecycle(&self) -> Lifecycle<'_> {
        let said = self.said().with(&self.history, self.api.now());
        Lifecycle {
            over: self.gone.then_some(Over::Deleted).or(said.over),
            ..said
        }
    }

    /// The record as far as it is known.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What is known, as facts.
    pub fn report(&self) -> Report {
        let turn = self.turn();
        let facts = Facts {
            session_id: self.id.as_str(),
            session: self.session.as_ref(),
            history: &self.history,
            turn: &turn,
            final_places: self.final_places(),
            now: self.api.now(),
            anew: hidden::MASKED,
        };
        let mut report = report::report(&facts);
        if self.crowded_out {
            report.notes.push(format!(
                "{} sessions are followed at once already: this one was looked at now and then. Wait for fewer at a time",
                self.api.streams().most
            ));
        }
        if let Some(trouble) = &self.trouble {
            report.notes.push(format!(
                "The record could not be read to its end: {trouble}"
            ));
        }
        if self.has_holes && !report.activity.is_empty() {
            report.notes.push(
                "The turn is too long to be kept whole: `activity` names the newest of it, get_events all of it".to_owned(),
            );
        }
        report.notes.extend(self.left.clone());
        hide(&mut report);
        report
    }

    /// Whether the list has shown what was asked.
    pub(super) fn shows_question(&self) -> bool {
        let is_it = |event: &Event| match (&self.asked.question, &self.asked.unnamed) {
            (Some(question), _) => *question == event.id,
            (None, Some(unnamed)) => unnamed.may_be(event),
            (None, None) => is_question(&event.kind),
        };
        let mut events = self.history.events();
        events.any(|event| is_it(event) && self.history.is_listed(&event.id))
    }

    /// Takes in an event of the stream; whether it can change the judgement.
    fn take(&mut self, event: Event, is_over: bool) -> bool {
        let matters = is_over || turn::may_decide(&event.kind);
        self.add(event) && matters
    }

    /// Lists; a passing failure is kept for the report, a final one ends the wait.
    async fn list_again(&mut self) -> Result<bool, Error> {
        match Box::pin(self.list(Depth::Turn)).await {
            // Where no event tells of the grading, the object does.
            Ok(_) if self.said().is_graded() => {
                if let Ok(session) = Box::pin(self.api.get_session(&self.id)).await {
                    self.session = Some(session);
                }
            }
            Ok(_) => {}
            Err(error) if error.status() == Some(404) && self.was_there() => {
                if self.is_found_again().await {
                    self.bear(error);
                }
            }
            Err(error) if error.is_final() => return Err(error),
            Err(error) => self.bear(error),
        }
        Ok(true)
    }
}
