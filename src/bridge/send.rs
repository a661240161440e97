//! Messages and interrupts: what is said to a session, and the turn that answers it.

use serde_json::{Value, json};

use super::follow::Follow;
use super::{Attention, Bridge, Failure, Patience, Question};
use crate::api::Id;
use crate::session::queue;
use crate::session::report::Report;
use crate::session::turn::{Asked, State};

impl Bridge {
    /// Sends a message or an outcome, and waits for the turn that answers it.
    pub async fn send(
        &self,
        session: &Id,
        question: Question,
        interrupt_first: bool,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let doing = "send the message";
        let question = question
            .assembled(&self.api.until(patience.deadline))
            .await?;
        let interrupt = interrupt_first.then(|| json!({"type": "user.interrupt"}));
        let events: Vec<Value> = interrupt.into_iter().chain([question.clone()]).collect();
        let sent = self
            .deliver(session, events, doing, patience.deadline)
            .await?;
        let asked = self
            .memory
            .update(session, |asked| *asked = sent.question(&question, asked));
        self.follow(session, asked, patience, attention).await
    }

    /// Stops the current turn, or one thread of it, and waits until it has stopped.
    pub async fn interrupt(
        &self,
        session: &Id,
        thread: Option<&Id>,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        if self.config.read_only {
            return Err(reading_only());
        }
        let doing = "interrupt the session";
        let mut follow = Follow::new(
            &self.api,
            patience.deadline,
            session,
            self.memory.recall(session),
        );
        follow.look().await.map_err(Failure::while_trying(doing))?;
        if !matches!(follow.turn().state, State::Working | State::NeedsAction) {
            let note = "nothing runs, so nothing was sent".to_owned();
            return Ok(self.conclude(session, &follow, vec![note]));
        }
        // Stopping one thread need not change how the session stands.
        let stale_status = follow
            .history
            .newest_status()
            .filter(|_| thread.is_none())
            .map(|event| event.id.clone());
        let queued = match thread {
            Some(_) => 0,
            None => queue::queued(&follow.history, follow.rests()),
        };
        self.send_interrupt(session, thread, patience.deadline)
            .await?;
        let asked = self.memory.update(session, |asked| {
            *asked = Asked {
                answered: std::mem::take(&mut asked.answered),
                stale_status,
                ..Asked::default()
            };
        });
        let mut report = self.follow(session, asked, patience, attention).await?;
        if queued > 0 {
            let messages = if queued == 1 {
                "a message was"
            } else {
                "messages were"
            };
            let then = match report.state {
                State::Working => {
                    "the agent reads that now, and works on. Interrupt once more to stop it"
                }
                _ => {
                    "the agent read that next, and this report is of its turn; get_events shows what was stopped"
                }
            };
            report.notes.push(format!(
                "{messages} queued behind the turn that was stopped: {then}"
            ));
        }
        Ok(report)
    }

    /// Follows a session after something was sent to it.
    pub(super) async fn follow(
        &self,
        session: &Id,
        asked: Asked,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        let mut follow = Follow::new(&self.api, patience.deadline, session, asked);
        let mut notes: Vec<String> = patience.note.clone().into_iter().collect();
        match follow.finish(patience, attention).await {
            Ok(()) => {}
            // What was sent is sent: losing sight of it must not look like a failure to send.
            Err(error) => notes.push(format!(
                "It was sent, but the session could not be read: {error}"
            )),
        }
        Ok(self.conclude(session, &follow, notes))
    }
}

/// What a server answers that is set to read only.
pub(super) fn reading_only() -> Failure {
    Failure::argument(
        "This server only reads: MANAGED_AGENTS_READ_ONLY is set.",
        "ask the user to decide on the session's page.",
    )
}
