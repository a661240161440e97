//! Delegations as tasks of the client (SEP-2663): for clients of protocol 2026-07-28 that declare the extension.
//!
//! A task is a turn of a session. Its id names both, so that any process finds it again.

mod id;
mod told;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, ElicitRequest, ErrorCode, GetTaskResult,
    InputRequest, InputResponses, ProtocolVersion, Task, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::approvals::{self, dialog, has_forms};
use super::present::{Shown, ToolError};
use super::{Server, audit};
use crate::api::Id;
use crate::bridge::{Attention, Decider, Decision, Failure, Interrupted};
use crate::config::Approvals;
use crate::session::clean::clean_line;
use crate::session::report::{Report, Seen, cut};
use crate::session::turn::State;
use id::TaskId;
pub(super) use told::Told;

/// Between two looks at a task; each costs two or three calls, and the API takes 600 a minute.
const POLL_MS: u64 = 3_000;
/// The same for one that works for a while already.
const SLOW_POLL_MS: u64 = 10_000;
const A_WHILE: TimeDelta = TimeDelta::minutes(5);
/// Whether this client takes a task for an answer. The SDK checks what was declared, not the version.
pub(super) fn is_welcome(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.client_capabilities();
    is_modern(context) && declared.is_some_and(|declared| declared.supports_tasks())
}

/// Tasks are no part of the protocols that have a handshake.
pub(super) fn known(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if is_modern(context) {
        return Ok(());
    }
    let code = ErrorCode::METHOD_NOT_FOUND;
    Err(ErrorData::new(
        code,
        "tasks belong to protocol 2026-07-28",
        None,
    ))
}

/// What a request is answered that the SDK could not read, though its method is known.
pub(super) fn unfit(method: &str) -> ErrorData {
    let takes = match method {
        "tasks/get" | "tasks/cancel" => "`taskId`, a text",
        "tasks/update" => "`taskId`, a text, and `inputResponses`, an object",
        _ => {
            let why = format!("method not found: {}", cut(&clean_line(method), 60));
            return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, why, None);
        }
    };
    ErrorData::invalid_params(format!("{method} takes {takes}"), None)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

fn read(id: &str) -> Result<TaskId, ErrorData> {
    TaskId::parse(id).ok_or_else(|| {
        let shown = cut(&clean_line(id), 60);
        let why = format!(
            "unknown task: `{shown}` is not the id of a task, which create_session and send_message return"
        );
        ErrorData::invalid_params(why, None)
    })
}

fn task(id: &TaskId, report: &Report) -> Task {
    let begun = report.question.as_ref().and_then(|question| question.at);
    let is_long = begun.is_some_and(|begun| Utc::now() - begun > A_WHILE);
    // The API's clock may be behind ours.
    let updated = report
        .newest
        .map_or(id.created, |newest| newest.max(id.created));
    let word = match is_cancelled(report) {
        true => "cancelled",
        false => report.state.word(),
    };
    let at_work = matches!(report.state, State::Working | State::NeedsAction);
    let message = match report.activity.last().filter(|_| at_work) {
        Some(line) => format!("{word}: {line}"),
        None => word.to_owned(),
    };
    let (created, updated) = (rfc3339(id.created), rfc3339(updated));
    Task::new(id.to_string(), TaskStatus::Working, created, updated)
        .with_status_message(message)
        .with_poll_interval_ms(if is_long { SLOW_POLL_MS } else { POLL_MS })
}

/// Whether somebody interrupted the turn, and it has stopped.
fn is_cancelled(report: &Report) -> bool {
    let question = report.question.as_ref();
    report.state == State::Done && question.is_some_and(|question| question.interrupted)
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Server {
    /// A turn that works, as a task; none where the API's ids are no ids.
    pub(super) fn begun_task(&self, report: &Report) -> Option<CreateTaskResult> {
        let id = TaskId::of(report, Utc::now())?;
        self.told.began(id.to_string(), report.notes.clone());
        Some(CreateTaskResult::new(task(&id, report)))
    }

    /// `tasks/get`
    pub(super) async fn task_state(
        &self,
        id: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let known = read(id)?;
        let report = self.turn(&known).await?;
        let task = task(&known, &report);
        let payload = self.payload(id, report, context)?;
        Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
    }

    /// The turn of a task.
    async fn turn(&self, task: &TaskId) -> Result<Report, ErrorData> {
        let patience = self.bridge.unhurried();
        let (session, question) = (&task.session, task.question.as_ref());
        let nobody = Attention::none();
        let read = self
            .bridge
            .turn_of(session, question, &patience, &nobody)
            .await;
        read.map_err(|failure| refused(failure, task))
    }

    fn payload(
        &self,
        id: &str,
        mut report: Report,
        context: &RequestContext<RoleServer>,
    ) -> Result<TaskPayload, ErrorData> {
        let mut pending = report.pending.iter();
        let unlisted = pending.any(|pending| pending.seen == Seen::NotYet);
        match report.state {
            // The assistant has it now; what becomes of it there changes nothing about the task.
            _ if self.told.has_ended(id) => {}
            State::Working => return Ok(TaskPayload::Working),
            // What it asks for cannot be shown yet.
            State::NeedsAction if unlisted => return Ok(TaskPayload::Working),
            _ if is_cancelled(&report) => return Ok(TaskPayload::Cancelled),
            State::NeedsAction => {
                let input_requests = self.questions(&report, context);
                if !input_requests.is_empty() {
                    return Ok(TaskPayload::InputRequired { input_requests });
                }
                // A task that nobody can answer must come to an end: the assistant is told what waits.
                self.told.ended(id);
            }
            State::BudgetReached => self.told.ended(id),
            _ => {}
        }
        if self.asks(context) {
            let is_declined = |event_id: &str| self.told.is_declined(event_id);
            approvals::explain(&mut report, self.bridge.config(), is_declined);
        }
        // What the call did on its own account is told once it may tell something.
        report.notes.splice(..0, self.told.notes(id));
        let shown = Shown::report(report, self.bridge.config().result_chars);
        let CallToolResponse::Complete(result) = shown.into_call_tool_result()? else {
            return Err(ErrorData::internal_error(
                "a report is a whole result",
                None,
            ));
        };
        let result = serde_json::to_value(result).unwrap_or_default();
        let result = result.as_object().cloned().unwrap_or_default();
        Ok(TaskPayload::Completed { result })
    }

    /// Whether the user of this client can be asked.
    fn asks(&self, context: &RequestContext<RoleServer>) -> bool {
        let config = self.bridge.config();
        config.approvals != Approvals::Tool && !config.read_only && has_forms(context)
    }

    /// The dialogs about what is pending, by event id.
    fn questions(
        &self,
        report: &Report,
        context: &RequestContext<RoleServer>,
    ) -> BTreeMap<String, InputRequest> {
        if !self.asks(context) {
            return BTreeMap::new();
        }
        report
            .pending
            .iter()
            .filter(|pending| dialog::fits(pending) && !self.told.is_declined(&pending.event_id))
            .map(|pending| {
                let request = ElicitRequest::new(dialog::form(report, pending));
                (pending.event_id.clone(), InputRequest::Elicitation(request))
            })
            .collect()
    }

    /// `tasks/update`: the user's answers; what is no answer stays pending, and unknown keys are ignored.
    pub(super) async fn answer_task(
        &self,
        id: &str,
        answers: InputResponses,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let task = read(id)?;
        self.bridge
            .may_decide(Decider::User)
            .map_err(|failure| refused(failure, &task))?;
        let report = self.turn(&task).await?;
        let mut decisions = Vec::new();
        // Only what was shown can be answered.
        let shown = self.questions(&report, context);
        let asked = report
            .pending
            .iter()
            .filter(|pending| shown.contains_key(&pending.event_id));
        for pending in asked {
            let event_id = pending.event_id.clone();
            let answer = answers.get(&event_id);
            match answer.and_then(|answer| dialog::verdict(answer, Some(pending.kind))) {
                Some(verdict) => decisions.push(Decision { event_id, verdict }),
                // What cannot be read says nothing, so the user is asked again.
                None if answer.is_some_and(dialog::is_answer) => self.told.declined(event_id),
                None => {}
            }
        }
        if decisions.is_empty() {
            return Ok(());
        }
        self.decide(&task, &decisions)
            .await
            .map_err(|failure| refused(failure, &task))
    }

    async fn decide(&self, task: &TaskId, decisions: &[Decision]) -> Result<(), Failure> {
        let (patience, attention) = (self.bridge.unhurried(), Attention::none());
        let (user, bridge, session) = (Decider::User, &self.bridge, &task.session);
        let question = task.question.as_ref().map(Id::as_str);
        let sent = bridge
            .resolve(session, decisions, user, question, &patience, &attention)
            .await;
        audit::decided(bridge.config().audit, session, decisions, &sent);
        sent.map(|_| ())
    }

    /// `tasks/cancel`: stops the turn; the task is cancelled once the session says that it has stopped.
    pub(super) async fn cancel_turn(&self, id: &str) -> Result<(), ErrorData> {
        let task = read(id)?;
        // It is over for its client, and what goes on was begun by somebody else.
        if self.told.has_ended(id) {
            return Ok(());
        }
        let (session, question) = (&task.session, task.question.as_ref());
        let patience = self.bridge.unhurried();
        let interrupted = self
            .bridge
            .interrupt_turn(session, question, &patience)
            .await;
        let outcome = match &interrupted {
            Ok(Interrupted::Queued) => "refused",
            other => audit::outcome_of(other),
        };
        audit::cancelled_task(self.bridge.config().audit, session, outcome);
        match interrupted.map_err(|failure| refused(failure, &task))? {
            Interrupted::Sent | Interrupted::Over => Ok(()),
            Interrupted::Queued => Err(ErrorData::internal_error(
                format!(
                    "task {task} was not cancelled: its message is queued behind another turn of session {session}, which \
                     a cancel would stop as well. Cancel again once that turn is over."
                ),
                None,
            )),
        }
    }
}

/// A task that cannot be read: unknown where the session is, else for the client to try again.
fn refused(failure: Failure, id: &TaskId) -> ErrorData {
    let is_unknown = match &failure {
        Failure::Api { error, .. } => error.status() == Some(404),
        Failure::Argument { .. } => true,
        Failure::DeliveryUnknown { .. } => false,
    };
    let words = ToolError::from(failure).to_string();
    if is_unknown {
        ErrorData::invalid_params(format!("task {id}: {words}"), None)
    } else {
        ErrorData::internal_error(words, None)
    }
}
