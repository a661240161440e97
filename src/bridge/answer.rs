//! Answers to what an agent waits for.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep_until};

use super::claims::Opposed;
use super::follow::Follow;
use super::send::reading_only;
use super::{Attention, Bridge, Failure, Patience};
use crate::api::{Id, with};
use crate::config::Approvals;
use crate::session::report::{Pending, PendingKind, Report, Seen};

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
        let asked = self.memory.recall(session);
        let mut follow = Follow::new(&self.api, patience.deadline, session, asked);
        let report = listed(&mut follow, decisions, patience.deadline).await?;
        let mut answers = Answers::default();
        for decision in decisions {
            self.sort(decision, decider, &report, &follow, &mut answers)
                .or_else(|failure| answers.bear(failure, is_borne(decider, decisions)))?;
        }
        if answers.events.is_empty()
            && answers.repeated.is_empty()
            && let Some(failure) = answers.unsent.first()
        {
            return Err(failure.clone());
        }
        let asked = if answers.events.is_empty() {
            follow.asked.clone()
        } else {
            let opposed = match is_borne(decider, decisions) {
                true => Opposed::IsLeftOut,
                false => Opposed::StopsAll,
            };
            let events = std::mem::take(&mut answers.events);
            let answered = self.answer_once(events, opposed, &follow, patience).await?;
            answers.repeated.extend(answered.repeated);
            answers.unsent.extend(answered.unsent);
            answered.asked
        };
        // What the caller asked may not be what was asked last.
        let asked = match question {
            Some(question) => asked.about(question.to_owned()),
            None => asked,
        };
        let mut report = self.follow(session, asked, patience, attention).await?;
        report.notes.extend(answers.notes());
        Ok(report)
    }

    /// Puts a decision where it belongs: to what is sent, or to what was answered before.
    fn sort(
        &self,
        decision: &Decision,
        decider: Decider,
        report: &Report,
        follow: &Follow,
        answers: &mut Answers,
    ) -> Result<(), Failure> {
        let event_id = &decision.event_id;
        let mut pending = report.pending.iter();
        if let Some(pending) = pending.find(|pending| pending.event_id == *event_id) {
            let event = self.answer(pending, &decision.verdict, decider)?;
            answers.events.push(event);
        } else if let Some(failure) = self.contradicted(follow, decision) {
            return Err(failure);
        } else if is_answered(follow, event_id) {
            answers.repeated.push(event_id.clone());
        } else {
            return Err(not_pending(event_id, report));
        }
        Ok(())
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
            (PendingKind::ToolConfirmation, Verdict::Allow) if pending.seen != Seen::Whole => {
                Err(unseen(pending))
            }
            (PendingKind::ToolConfirmation, Verdict::Allow)
                if self.config.approvals == Approvals::Human && decider == Decider::Assistant =>
            {
                Err(Failure::argument(
                    "Only a person may allow this: MANAGED_AGENTS_APPROVALS is `human`.",
                    format!(
                        "get_status with wait_seconds asks the user in a dialog, where the host has one; {}. Denying is possible here.",
                        match self.config.is_simulated() {
                            true => "a simulated session has no page to allow it on".to_owned(),
                            false =>
                                format!("else ask the user to allow {id} on the session's page"),
                        }
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

/// The answers of one call.
#[derive(Default)]
struct Answers {
    /// To be sent.
    events: Vec<Value>,
    /// Given before, and not sent again.
    repeated: Vec<String>,
    /// Not sent, though others of the same call are.
    unsent: Vec<Failure>,
}

impl Answers {
    /// Keeps a failure for the report, or fails the call with it.
    fn bear(&mut self, failure: Failure, is_borne: bool) -> Result<(), Failure> {
        if !is_borne {
            return Err(failure);
        }
        self.unsent.push(failure);
        Ok(())
    }

    fn notes(self) -> impl Iterator<Item = String> {
        let repeated = (!self.repeated.is_empty()).then(|| {
            format!(
                "already answered, or being answered by another call, and not sent again: {}",
                self.repeated.join(", ")
            )
        });
        let unsent = self.unsent.into_iter();
        repeated.into_iter().chain(
            unsent.map(|failure| format!("an answer of the user was not sent: {}", failure.what())),
        )
    }
}

/// A person's other answers count all the same; of an assistant's list either all is sent or nothing.
fn is_borne(decider: Decider, decisions: &[Decision]) -> bool {
    decider == Decider::User && decisions.len() > 1
}

/// Looks until what is decided on is listed: the stream may have told of it before the list does.
async fn listed(
    follow: &mut Follow,
    decisions: &[Decision],
    deadline: Instant,
) -> Result<Report, Failure> {
    let started = Instant::now();
    loop {
        let looked = follow.look().await;
        looked.map_err(Failure::while_trying("resolve the action"))?;
        let report = follow.report();
        let is_listed = |decision: &Decision| {
            // Nobody may allow what is not shown, and it may be listed a little later than it is waited for.
            let is_known = |pending: &Pending| {
                pending.seen != Seen::NotYet || !matches!(decision.verdict, Verdict::Allow)
            };
            let mut pending = report.pending.iter();
            pending.any(|pending| pending.event_id == decision.event_id && is_known(pending))
                || is_answered(follow, &decision.event_id)
        };
        let next_look = Instant::now() + BETWEEN_LOOKS;
        let late = started.elapsed() >= LISTED_WITHIN || next_look + BETWEEN_LOOKS >= deadline;
        if late || decisions.iter().all(is_listed) {
            return Ok(report);
        }
        sleep_until(next_look).await;
    }
}

/// Whether the record or this process knows of an answer to a tool call.
pub(super) fn is_answered(follow: &Follow, event_id: &str) -> bool {
    let events = follow.history.events();
    let mut ours = events.filter(|event| event.kind.starts_with("user."));
    follow.asked.answered.contains(event_id)
        || ours.any(|event| event.answers().as_deref() == Some(event_id))
}

/// Nobody shall allow what nobody can see.
fn unseen(pending: &Pending) -> Failure {
    let id = &pending.event_id;
    let (why, look) = match pending.seen {
        Seen::NotYet => (
            "the record does not show this call",
            "get_status shows whether it does by now".to_owned(),
        ),
        Seen::Masked => (
            "part of it looks like a secret and is masked",
            format!("get_events with event_id {id} shows the rest of it"),
        ),
        Seen::InPart | Seen::Whole => (
            "this call cannot be shown whole",
            format!("get_events with event_id {id} and detail full shows what there is of it"),
        ),
    };
    Failure::argument(
        format!("{id} was not allowed: {why}, so nobody knows what would run."),
        format!("{look}. Deny it, or let the user decide on the session's page."),
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
