//! Delegations as tasks of the client (SEP-2663): for clients of protocol 2026-07-28 that declare the extension.
//!
//! A task is a turn of a session. Its id names both, so that any process finds it again; nothing is kept here but what the
//! user declined to decide, which is asked no second time.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, ElicitRequest, ErrorCode, GetTaskResult,
    InputRequest, InputResponses, ProtocolVersion, Task, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::approvals::{dialog, has_forms};
use super::present::{Shown, ToolError};
use super::{Server, audit};
use crate::api::Id;
use crate::bridge::{Attention, Decider, Decision, Failure};
use crate::config::Approvals;
use crate::session::clean::clean_line;
use crate::session::report::{Report, cut};
use crate::session::turn::State;

/// Between two looks at a task; each costs two or three calls, and the API takes 600 a minute.
const POLL_MS: u64 = 3_000;
/// The same for one that works for a while already.
const SLOW_POLL_MS: u64 = 10_000;
const A_WHILE: TimeDelta = TimeDelta::minutes(5);
/// Declined questions that are remembered.
const MOST_DECLINED: usize = 10_000;

/// Pending events that a user declined to decide within a task.
#[derive(Default)]
pub(super) struct Declined(Mutex<HashSet<String>>);

impl Declined {
    fn add(&self, event_id: String) {
        let mut declined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Forgotten, a question is only asked once more.
        if declined.len() >= MOST_DECLINED {
            declined.clear();
        }
        declined.insert(event_id);
    }

    fn holds(&self, event_id: &str) -> bool {
        let declined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        declined.contains(event_id)
    }
}

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
        _ => return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None),
    };
    ErrorData::invalid_params(format!("{method} takes {takes}"), None)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A turn that works, as a task.
pub(super) fn created(report: &Report) -> CreateTaskResult {
    CreateTaskResult::new(task(task_id(report), report))
}

fn task_id(report: &Report) -> String {
    match &report.question {
        Some(question) => format!("{}.{}", report.session_id, question.event_id),
        None => report.session_id.clone(),
    }
}

/// The session and the question that a task id names.
fn parse(task_id: &str) -> Result<(Id, Option<Id>), ErrorData> {
    let unknown = |_| {
        let shown = cut(&clean_line(task_id), 60);
        let why = format!(
            "unknown task: `{shown}` is not the id of a task, which create_session and send_message return"
        );
        ErrorData::invalid_params(why, None)
    };
    let (session, question) = match task_id.split_once('.') {
        Some((session, question)) => (session, Some(question)),
        None => (task_id, None),
    };
    let question = question.map(Id::parse).transpose().map_err(unknown)?;
    Ok((Id::parse(session).map_err(unknown)?, question))
}

fn task(id: String, report: &Report) -> Task {
    let now = Utc::now();
    let begun = report.question.as_ref().and_then(|question| question.at);
    let newest = report.newest.unwrap_or(now);
    let is_long = begun.is_some_and(|begun| now - begun > A_WHILE);
    let message = match report.activity.last() {
        Some(line) => format!("{}: {line}", report.state.word()),
        None => report.state.word().to_owned(),
    };
    Task::new(
        id,
        TaskStatus::Working,
        rfc3339(begun.unwrap_or(newest)),
        rfc3339(newest),
    )
    .with_status_message(message)
    .with_poll_interval_ms(if is_long { SLOW_POLL_MS } else { POLL_MS })
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Server {
    /// `tasks/get`
    pub(super) async fn task_state(
        &self,
        id: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let (session, question) = parse(id)?;
        let patience = self.bridge.unhurried();
        let read = self
            .bridge
            .turn_of(&session, question.as_ref(), &patience)
            .await;
        let report = read.map_err(|failure| refused(failure, id))?;
        let task = task(id.to_owned(), &report);
        let payload = self.payload(report, context)?;
        Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
    }

    fn payload(
        &self,
        report: Report,
        context: &RequestContext<RoleServer>,
    ) -> Result<TaskPayload, ErrorData> {
        let interrupted = report
            .question
            .as_ref()
            .is_some_and(|question| question.interrupted);
        let unlisted = report.pending.iter().any(|pending| !pending.is_listed);
        match report.state {
            State::Working => return Ok(TaskPayload::Working),
            // What it asks for cannot be shown yet.
            State::NeedsAction if unlisted => return Ok(TaskPayload::Working),
            State::Done if interrupted => return Ok(TaskPayload::Cancelled),
            State::NeedsAction => {
                let input_requests = self.questions(&report, context);
                if !input_requests.is_empty() {
                    return Ok(TaskPayload::InputRequired { input_requests });
                }
            }
            _ => {}
        }
        // Also what waits for the assistant: a task that nobody can answer must come to an end.
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

    /// The dialogs about what is pending, by event id.
    fn questions(
        &self,
        report: &Report,
        context: &RequestContext<RoleServer>,
    ) -> BTreeMap<String, InputRequest> {
        let config = self.bridge.config();
        if config.approvals == Approvals::Tool || config.read_only || !has_forms(context) {
            return BTreeMap::new();
        }
        report
            .pending
            .iter()
            .filter(|pending| dialog::fits(pending) && !self.declined.holds(&pending.event_id))
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
        let (session, question) = parse(id)?;
        let patience = self.bridge.unhurried();
        let read = self
            .bridge
            .turn_of(&session, question.as_ref(), &patience)
            .await;
        let report = read.map_err(|failure| refused(failure, id))?;
        let mut decisions = Vec::new();
        // Only what was shown can be answered.
        let shown = self.questions(&report, context);
        let asked = report
            .pending
            .iter()
            .filter(|pending| shown.contains_key(&pending.event_id));
        for pending in asked {
            let event_id = pending.event_id.clone();
            match answers
                .get(&event_id)
                .map(|answer| dialog::verdict(answer, Some(pending.kind)))
            {
                Some(Some(verdict)) => decisions.push(Decision { event_id, verdict }),
                Some(None) => self.declined.add(event_id),
                None => {}
            }
        }
        if decisions.is_empty() {
            return Ok(());
        }
        let question = question.as_ref().map(Id::as_str);
        self.decide(&session, question, &decisions)
            .await
            .map_err(|failure| refused(failure, id))
    }

    async fn decide(
        &self,
        session: &Id,
        question: Option<&str>,
        decisions: &[Decision],
    ) -> Result<(), Failure> {
        let (patience, attention) = (self.bridge.unhurried(), Attention::none());
        let (user, bridge) = (Decider::User, &self.bridge);
        bridge
            .resolve(session, decisions, user, question, &patience, &attention)
            .await?;
        audit::decided(bridge.config().audit, session, decisions);
        Ok(())
    }

    /// `tasks/cancel`: stops the turn; the task is cancelled once the session says that it has stopped.
    pub(super) async fn cancel_turn(&self, id: &str) -> Result<(), ErrorData> {
        let (session, question) = parse(id)?;
        let patience = self.bridge.unhurried();
        let interrupted = self
            .bridge
            .interrupt_turn(&session, question.as_ref(), &patience)
            .await;
        audit::cancelled_task(self.bridge.config().audit, &session);
        interrupted.map_err(|failure| refused(failure, id))
    }
}

/// A task that cannot be read: unknown where the session is, else for the client to try again.
fn refused(failure: Failure, id: &str) -> ErrorData {
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
