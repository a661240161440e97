//! Answers to what an agent waits for, messages and interrupts: everything that is sent into a running session.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep_until};

use super::claims::Opposed;
use super::follow::Follow;
use super::{Attention, Bridge, Failure, Patience, Question};
use crate::api::{Id, with};
use crate::config::Approvals;
use crate::session::queue;
use crate::session::report::{Pending, PendingKind, Report};
use crate::session::turn::{Asked, State};

/// One decision on one pending tool call.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The pending tool event.
    pub event_id: String,
    /// What was decided.
    pub verdict: Verdict,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    /// A person, in a dialog of the host.
    User,
    /// The assistant, through a tool.
    Assistant,
}

/// What was decided on a pending tool call.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It may run.
    Allow,
    /// It may not, and why.
    Deny(Option<String>),
    /// The tool's result, run by the caller; an error if the flag says so.
    Result {
        /// What the tool returned.
        text: String,
        /// It failed.
        is_error: bool,
    },
}

/// What is pending may be listed so late.
const LISTED_WITHIN: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);

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
        let asked = self.memory.update(session, |asked| {
            *asked = sent.question(&question, std::mem::take(&mut asked.answered))
        });
        let mut report = self.follow(session, asked, patience, attention).await?;
        let is_queued = report
            .question
            .as_ref()
            .is_some_and(|question| question.at.is_none());
        if report.state == State::NeedsAction && is_queued {
            let note = "if your message is still queued, it is read only after everything pending is answered; it allowed \
                        nothing, and must not be sent again";
            report.notes.push(note.to_owned());
        }
        Ok(report)
    }

    /// Answers pending tool calls, and waits for what comes of it.
    pub async fn resolve(
        &self,
        session: &Id,
        decisions: &[Decision],
        decider: Decider,
        question: Option<&str>,
        patience: &Patience,
        attention: &Attention,
    ) -> Result<Report, Failure> {
        self.may_decide(decider)?;
        let doing = "resolve the action";
        let before = self.memory.recall(session);
        let mut follow = Follow::new(&self.api, patience.deadline, session, before.clone());
        let started = Instant::now();
        let report = loop {
            follow.look().await.map_err(Failure::while_trying(doing))?;
            let report = follow.report();
            let is_listed = |decision: &Decision| {
                let is_pending = report
                    .pending
                    .iter()
                    .any(|pending| pending.event_id == decision.event_id);
                is_pending || is_answered(&follow, &before, &decision.event_id)
            };
            let next_look = Instant::now() + BETWEEN_LOOKS;
            let late = started.elapsed() >= LISTED_WITHIN
                || next_look + BETWEEN_LOOKS >= patience.deadline;
            if late || decisions.iter().all(is_listed) {
                break report;
            }
            // The stream may have told of it before the list does.
            sleep_until(next_look).await;
        };
        let mut events = Vec::new();
        let mut repeated = Vec::new();
        // A person's other answers count all the same; of an assistant's list either all is sent or nothing.
        let bears = decider == Decider::User && decisions.len() > 1;
        let mut unsent = Vec::new();
        for decision in decisions {
            let pending = report
                .pending
                .iter()
                .find(|pending| pending.event_id == decision.event_id);
            let too_late = self.contradicted(session, &follow, decision);
            let answer = match (pending, too_late) {
                (Some(pending), _) => self.answer(pending, &decision.verdict, decider),
                (None, Some(failure)) => Err(failure),
                (None, None) if is_answered(&follow, &before, &decision.event_id) => {
                    repeated.push(decision.event_id.clone());
                    continue;
                }
                (None, None) => Err(not_pending(&decision.event_id, &report)),
            };
            match answer {
                Ok(event) => events.push(event),
                Err(failure) if bears => unsent.push(failure),
                Err(failure) => return Err(failure),
            }
        }
        if let (true, true, Some(failure)) =
            (events.is_empty(), repeated.is_empty(), unsent.first())
        {
            return Err(failure.clone());
        }
        let asked = if events.is_empty() {
            before
        } else {
            let opposed = if bears {
                Opposed::IsLeftOut
            } else {
                Opposed::StopsAll
            };
            let answered = self.answer_once(session, events, opposed, patience).await?;
            repeated.extend(answered.repeated);
            unsent.extend(answered.unsent);
            answered.asked
        };
        // What the caller asked may not be what was asked last.
        let asked = match question {
            Some(question) => Asked {
                question: Some(question.to_owned()),
                unnamed: None,
                ..asked
            },
            None => asked,
        };
        let note = (!repeated.is_empty()).then(|| {
            format!(
                "already answered, or just being so by another call; not sent again: {}",
                repeated.join(", ")
            )
        });
        let report = self.follow(session, asked, patience, attention).await?;
        let unsent = unsent
            .iter()
            .map(|failure| format!("an answer of the user was not sent: {}", failure.what()));
        Ok(Report {
            notes: report.notes.into_iter().chain(note).chain(unsent).collect(),
            ..report
        })
    }

    /// Whoever asks the bridge, the settings hold.
    pub fn may_decide(&self, decider: Decider) -> Result<(), Failure> {
        if self.config.read_only {
            return Err(reading_only());
        }
        if decider == Decider::User && self.config.approvals == Approvals::Tool {
            return Err(Failure::argument(
                "No dialog decides here: MANAGED_AGENTS_APPROVALS is `tool`.",
                "resolve_action decides, after the user was asked.",
            ));
        }
        Ok(())
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
            let note = "no turn was running, so nothing was sent".to_owned();
            return Ok(self.conclude(session, &follow, vec![note]));
        }
        let newest = follow
            .history
            .events()
            .rev()
            .find(|event| event.kind.starts_with("session.status_"));
        // Stopping one thread need not change how the session stands.
        let stale_status = newest
            .filter(|_| thread.is_none())
            .map(|event| event.id.clone());
        let queued = match thread {
            Some(_) => 0,
            None => queue::queued(&follow.history),
        };
        self.send_interrupt(session, thread, &follow, patience.deadline)
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
            report.notes.push(format!(
                "{messages} queued behind the turn that was stopped: the agent reads that now, and works on. Interrupt once \
                 more to stop it"
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
            Err(error) if error.is_final() => {
                let doing = format!("read session {session}, to which this was sent");
                return Err(Failure::while_trying(doing)(error));
            }
            // What was sent is sent: losing sight of it must not look like a failure to send.
            Err(error) => notes.push(format!(
                "It was sent, but the session could not be read: {error}"
            )),
        }
        Ok(self.conclude(session, &follow, notes))
    }

    /// The event that carries a decision, checked against what the call takes.
    fn answer(
        &self,
        pending: &Pending,
        verdict: &Verdict,
        decider: Decider,
    ) -> Result<Value, Failure> {
        let id = &pending.event_id;
        let content = |text: &str| json!([{"type": "text", "text": text}]);
        match (pending.kind, verdict) {
            (PendingKind::ToolConfirmation, Verdict::Allow)
                if self.config.approvals == Approvals::Human && decider == Decider::Assistant =>
            {
                Err(Failure::argument(
                    "Only a person may allow this: MANAGED_AGENTS_APPROVALS is `human`.",
                    format!(
                        "get_status with wait_seconds asks the user in a dialog, where the host has one; else ask the user to \
                         allow {id} on the session's page. Denying is possible here."
                    ),
                ))
            }
            (PendingKind::ToolConfirmation, Verdict::Allow) => {
                Ok(json!({"type": "user.tool_confirmation", "tool_use_id": id, "result": "allow"}))
            }
            (PendingKind::ToolConfirmation, Verdict::Deny(reason)) => {
                let event =
                    json!({"type": "user.tool_confirmation", "tool_use_id": id, "result": "deny"});
                Ok(with(event, "deny_message", reason.as_deref()))
            }
            (PendingKind::CustomToolResult, Verdict::Result { text, is_error }) => Ok(json!({
                "type": "user.custom_tool_result", "custom_tool_use_id": id,
                "content": content(text), "is_error": is_error,
            })),
            (PendingKind::ToolResult, Verdict::Result { text, is_error }) => Ok(json!({
                "type": "user.tool_result", "tool_use_id": id, "content": content(text), "is_error": is_error,
            })),
            (PendingKind::ToolConfirmation, Verdict::Result { .. }) => Err(Failure::argument(
                format!(
                    "{id} asks for permission to run {}, not for a result.",
                    pending.tool
                ),
                "pass decision `allow` or `deny` instead of `result`.",
            )),
            (PendingKind::CustomToolResult | PendingKind::ToolResult, _) => Err(Failure::argument(
                format!(
                    "{id} asks for the result of {}, which the caller runs.",
                    pending.tool
                ),
                "pass `result` with what the tool returned, or with why it did not run and `is_error` true.",
            )),
        }
    }
}

/// Whether the record or this process knows of an answer to a tool call.
pub(super) fn is_answered(follow: &Follow, before: &Asked, event_id: &str) -> bool {
    let recorded: HashSet<String> = follow
        .history
        .events()
        .filter(|event| event.kind.starts_with("user."))
        .filter_map(|event| event.answers())
        .collect();
    recorded.contains(event_id) || before.answered.contains(event_id)
}

fn reading_only() -> Failure {
    Failure::argument(
        "This server only reads: MANAGED_AGENTS_READ_ONLY is set.",
        "ask the user to decide on the session's page.",
    )
}

fn not_pending(event_id: &str, report: &Report) -> Failure {
    let shown: String = event_id
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(128)
        .collect();
    let pending: Vec<&str> = report
        .pending
        .iter()
        .map(|pending| pending.event_id.as_str())
        .filter(|id| Id::is_id(id))
        .collect();
    let what = format!(
        "`{shown}` is not pending in session {} ({}).",
        report.session_id,
        report.state.word()
    );
    if pending.is_empty() {
        return Failure::argument(
            what,
            "nothing waits for an answer; get_status shows how the session stands.",
        );
    }
    Failure::argument(
        what,
        format!("use one of the ids that are: {}.", pending.join(", ")),
    )
}
