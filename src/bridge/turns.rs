//! One turn of a session, found again by its question: what a task of the client follows, also after a restart.

use tokio::time::Instant;

use super::follow::Follow;
use super::{Attention, Bridge, Failure, Patience};
use crate::api::events::EventFilter;
use crate::api::{Client, Error, Id};
use crate::session::report::Report;
use crate::session::turn::{self, Asked, State};

impl Bridge {
    /// How the turn of a question stands, or that of the first question ever asked; later turns change nothing about it.
    pub async fn turn_of(
        &self,
        session: &Id,
        question: Option<&Id>,
        patience: &Patience,
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
        let asked = if question.is_none() || known.question == question {
            known
        } else {
            Asked {
                question,
                answers: Vec::new(),
                unnamed: None,
                ..known
            }
        };
        let mut follow = Follow::new(&self.api, patience.deadline, session, asked);
        follow
            .look()
            .await
            .map_err(Failure::while_trying(doing()))?;
        let turn = follow.turn();
        if turn.is_over() && !turn.settled {
            let look = Patience {
                until: Instant::now(),
                ..patience.clone()
            };
            follow
                .finish(&look, &Attention::none())
                .await
                .map_err(Failure::while_trying(doing()))?;
        }
        let mut report = self.conclude(session, &follow, Vec::new());
        if let Some((state, reason)) = turn::end(&follow.history, &follow.turn())
            && report.state != State::Terminated
        {
            report.state = state;
            report.reason = reason.or(report.reason);
            report.pending.clear();
        }
        Ok(report)
    }

    /// Interrupts the turn of a question, unless it is over. Does not wait for its end.
    pub async fn interrupt_turn(
        &self,
        session: &Id,
        question: Option<&Id>,
        patience: &Patience,
    ) -> Result<(), Failure> {
        let report = self.turn_of(session, question, patience).await?;
        if matches!(report.state, State::Working | State::NeedsAction) {
            self.interrupt(session, None, patience, &Attention::none())
                .await?;
        }
        Ok(())
    }
}

async fn first_question(api: &Client, session: &Id) -> Result<Option<String>, Error> {
    let filter = EventFilter {
        types: ["user.message", "user.define_outcome"]
            .map(str::to_owned)
            .to_vec(),
        limit: Some(1),
        ..EventFilter::default()
    };
    let page = api.list_events(session, &filter).await?;
    let first = page.data.into_iter().next();
    Ok(first.map(|event| event.id).filter(|id| !id.is_empty()))
}
