//! How one or several sessions stand, and waiting for them.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::answer::is_answered;
use super::follow::{CONFIRMED_AFTER, Follow};
use super::line::Line;
use super::memory::Told;
use super::read::something_new;
use super::{Attention, Bridge, Failure, Patience, next};
use crate::api::Id;
use crate::api::threads::Thread;
use crate::session::clean::clean_line;
use crate::session::report::{Report, ThreadRow};
use crate::session::turn::State;

/// While a dialog is open and its session silent.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// When a wait on several sessions ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// One of them stopped working.
    Any,
    /// All of them did.
    All,
}

/// Whether the threads of each session are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// They are read as well.
    Shown,
    /// They are left out.
    Hidden,
}

/// How several sessions stand, in the order that was asked for.
pub struct Sessions {
    /// One report for each session that could be read.
    pub reports: Vec<Report>,
    /// Id and failure of each that could not.
    pub failures: Vec<(Id, Failure)>,
}

impl Bridge {
    /// How sessions stand; waits until one or all of them stopped working.
    pub async fn status(
        &self,
        ids: &[Id],
        until: Until,
        threads: Threads,
        patience: &Patience,
        attention: &Attention,
    ) -> Sessions {
        let enough = CancellationToken::new();
        let mut looks: FuturesUnordered<_> = ids
            .iter()
            .enumerate()
            .map(|(place, id)| {
                let attention = Attention {
                    stop: enough.clone(),
                    ..attention.clone()
                };
                async move {
                    let before = self.memory.told(id);
                    let stand = self.stand(id, patience, &attention).await;
                    if stand.is_err() {
                        self.memory.tell(id, Told::default());
                    }
                    let is_news = before != self.memory.told(id);
                    let stand = match (stand, threads) {
                        (Ok(report), Threads::Shown) => {
                            Ok(self.with_threads(id, patience, report).await)
                        }
                        (stand, _) => stand,
                    };
                    (place, stand, is_news)
                }
            })
            .collect();
        let mut stands = Vec::new();
        loop {
            let next = tokio::select! {
                next = looks.next() => next,
                () = attention.stop.cancelled(), if !enough.is_cancelled() => {
                    enough.cancel();
                    continue;
                }
            };
            let Some((place, stand, is_news)) = next else {
                break;
            };
            // What the caller knows already is nothing to return for: the same question asked again waits for more.
            let stopped = !matches!(&stand, Ok(report) if report.state == State::Working);
            if stopped && is_news && until == Until::Any {
                enough.cancel();
            }
            stands.push((place, stand));
        }
        stands.sort_by_key(|(place, _)| *place);
        let mut sessions = Sessions {
            reports: Vec::new(),
            failures: Vec::new(),
        };
        for ((_, stand), id) in stands.into_iter().zip(ids) {
            match stand {
                Ok(report) => sessions.reports.push(report),
                Err(failure) => sessions.failures.push((id.clone(), failure)),
            }
        }
        sessions
    }

    /// A session that was read stays read when its threads cannot be.
    async fn with_threads(&self, id: &Id, patience: &Patience, mut report: Report) -> Report {
        let row = |thread: &Thread| ThreadRow {
            thread_id: clean_line(&thread.id),
            agent: clean_line(&thread.agent.name),
            status: clean_line(&thread.status),
            primary: thread.parent_thread_id.is_none(),
        };
        match self.api.until(patience.deadline).list_threads(id).await {
            Ok(listed) => report.threads = listed.data.iter().map(row).collect(),
            Err(error) => report
                .notes
                .push(format!("the threads could not be read: {error}")),
        }
        report
    }

    /// How one session stands, without waiting for it.
    pub async fn look_at(&self, id: &Id, patience: &Patience) -> Result<Report, Failure> {
        let now = Patience {
            until: Instant::now(),
            ..patience.clone()
        };
        self.stand(id, &now, &Attention::none()).await
    }

    /// Looks again at a session that was read, or goes on waiting for the turn of a question. Where that fails the older
    /// report stands, unless the session is gone by now.
    pub async fn look_again(
        &self,
        before: Report,
        question: Option<&Id>,
        patience: &Patience,
        attention: &Attention,
    ) -> Report {
        let Ok(id) = Id::parse(&before.session_id) else {
            return before;
        };
        let read = match question {
            Some(_) => self.turn_of(&id, question, patience, attention).await,
            None => self.look_at(&id, patience).await,
        };
        let read = match read {
            Err(failure) if failure.is_not_found() => {
                sleep(CONFIRMED_AFTER).await;
                self.look_at(&id, patience).await
            }
            read => read,
        };
        match read {
            Ok(report) => report,
            Err(failure) if failure.is_not_found() => {
                let gone = Report {
                    state: State::Terminated,
                    reason: Some("deleted".to_owned()),
                    pending: Vec::new(),
                    ..before
                };
                let next = next(&gone, &self.config);
                Report { next, ..gone }
            }
            Err(_) => before,
        }
    }

    /// Returns once somebody has answered a tool call, or its turn is over.
    pub async fn until_answered(&self, id: &Id, event_id: &str, deadline: Instant) {
        let api = self.api.until(deadline);
        let mut line = Line::new(&api, id);
        let asked = self.memory.recall(id);
        let mut follow = Follow::new(&api, deadline, id, asked);
        loop {
            tokio::select! {
                () = something_new(&mut line) => {}
                () = sleep(BETWEEN_LOOKS) => {}
            }
            // That a list does not show the question yet is no answer to it.
            let is_read = follow.look().await.is_ok();
            let is_over = || !matches!(follow.turn().state, State::Working | State::NeedsAction);
            if is_read && (is_answered(&follow, event_id) || is_over()) {
                return;
            }
        }
    }

    pub(super) async fn stand(
        &self,
        id: &Id,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let doing = || format!("read session {id}");
        let mut follow = Follow::new(&self.api, patience.deadline, id, self.memory.recall(id));
        follow
            .look()
            .await
            .map_err(Failure::while_trying(doing()))?;
        let turn = follow.turn();
        if !turn.is_over() || !turn.settled {
            follow
                .finish(patience, attention)
                .await
                .map_err(Failure::while_trying(doing()))?;
        }
        Ok(self.conclude(id, &follow, patience.note.clone().into_iter().collect()))
    }
}
