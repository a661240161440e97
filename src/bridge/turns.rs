//! One turn of a session, found again by its question: what a task of the client follows, also after a restart.

use tokio::time::{Duration, Instant, sleep};

use super::follow::Follow;
use super::{Attention, Bridge, Failure, Patience, next};
use crate::api::events::EventFilter;
use crate::api::{Client, Error, Id};
use crate::session::history::QUESTIONS;
use crate::session::report::Report;
use crate::session::turn::{self, Asked, State};

/// A message to a session that rests is taken in by then.
const TAKEN_IN_WITHIN: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What became of an interrupt of a certain turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// It was sent.
    Sent,
    /// The turn was over.
    Over,
    /// Nothing was sent: the question stands behind another turn, which is not to be stopped.
    Queued,
}

impl Bridge {
    /// How the turn of a question stands, or that of the first question ever asked, once it is over or the patience ends;
    /// later turns change nothing about it.
    pub async fn turn_of(
        &self,
        session: &Id,
        question: Option<&Id>,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let doing = || format!("read session {session}");
        let api = self.api.until(patience.deadline);
        let question = match question {
            Some(question) => Some(question.to_string()),
            None => first_question(&api, session)
                .await
                .map_err(Failure::while_trying(doing()))?,
        };
        let known = self.memory.recall(session);
        let wanted = question.clone();
        let asked = match question {
            Some(question) if known.question.as_ref() != Some(&question) => Asked {
                answers: Vec::new(),
                ..known.about(question)
            },
            _ => known,
        };
        let mut follow = Follow::new(&self.api, patience.deadline, session, asked);
        follow
            .look()
            .await
            .map_err(Failure::while_trying(doing()))?;
        let asked_by_us = self.memory.recall(session).question == wanted;
        if let Some(wanted) = &wanted
            && !asked_by_us
            && follow.complete
            && follow.history.get(wanted).is_none()
        {
            return Err(Failure::argument(
                format!("Session {session} holds no message {wanted}."),
                "get_events with session_id shows what it holds.",
            ));
        }
        let turn = follow.turn();
        let is_missing = match turn.is_over() {
            true => !turn.settled,
            // A later turn may be at work by now.
            false => Instant::now() < patience.until && turn::end(&follow.history, &turn).is_none(),
        };
        if is_missing {
            follow
                .finish(patience, attention)
                .await
                .map_err(Failure::while_trying(doing()))?;
        }
        let mut report = self.conclude(session, &follow, Vec::new());
        let turn = follow.turn();
        // How it ended stays, whatever became of the session since.
        if let Some((state, reason)) = turn::end(&follow.history, &turn) {
            let before = std::mem::replace(&mut report.state, state);
            report.reason = reason.or(report.reason.filter(|_| report.state == before));
            report.pending.clear();
            report.next = next(&report, &self.config);
            let end = turn.events.end;
            let cursor = follow.history.cursor_within(end.min(follow.final_places()));
            report.cursor = cursor.map(str::to_owned);
            let mut of_turn = follow.history.events().take(end).rev();
            report.newest = of_turn.find_map(|event| event.at).or(report.newest);
        }
        Ok(report)
    }

    /// Interrupts the turn of a question, unless it is over. Does not wait for its end.
    pub async fn interrupt_turn(
        &self,
        session: &Id,
        question: Option<&Id>,
        patience: &Patience,
    ) -> Result<Interrupted, Failure> {
        let begun = Instant::now();
        loop {
            let report = self
                .turn_of(session, question, patience, &Attention::none())
                .await?;
            let is_taken_in = report
                .question
                .as_ref()
                .is_some_and(|question| question.at.is_some());
            let is_open = match report.state {
                State::Working | State::NeedsAction => true,
                // Behind a turn that waits for a higher budget it is queued.
                State::BudgetReached => !is_taken_in,
                _ => false,
            };
            if !is_open {
                return Ok(Interrupted::Over);
            }
            if is_taken_in {
                let nobody = Attention::none();
                let interrupt = self.interrupt(session, None, patience, &nobody);
                return interrupt.await.map(|_| Interrupted::Sent);
            }
            if begun.elapsed() >= TAKEN_IN_WITHIN {
                return Ok(Interrupted::Queued);
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

async fn first_question(api: &Client, session: &Id) -> Result<Option<String>, Error> {
    let filter = EventFilter {
        types: QUESTIONS.map(str::to_owned).to_vec(),
        limit: Some(1),
        ..EventFilter::default()
    };
    let page = api.list_events(session, &filter).await?;
    let first = page.data.into_iter().next();
    Ok(first.map(|event| event.id).filter(|id| Id::is_id(id)))
}
