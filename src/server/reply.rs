//! What a tool that waits returns: how the session stands, or that the user has to be asked first.

use std::future::Future;

use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, CreateTaskResult, InputRequiredResult};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::time::Instant;

use super::approvals::{Asked, ContinueError, Round, User};
use super::attend::Attended;
use super::present::{Shown, ToolError};
use super::{Server, tasks};
use crate::bridge::{Failure, Patience};
use crate::session::report::Report;
use crate::session::turn::State;

/// What a tool that waits returns.
pub(super) type Waited = Result<Reply, ToolError>;

/// How a call that starts work goes on after that.
pub(super) struct Delegating {
    pub(super) patience: Patience,
    as_task: bool,
    turn: Turn,
}

/// Which turn of its session a call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The first.
    First,
    /// A later one, which only the id of its question tells from the others.
    Later,
}

/// The answer to a call that waited.
pub(super) enum Reply {
    /// Facts.
    Shown(Shown),
    /// The client shall ask the user, and make the call again.
    Input(InputRequiredResult),
    /// The client shall follow it as a task.
    Task(CreateTaskResult),
}

impl IntoCallToolResult for Reply {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Reply::Shown(shown) => shown.into_call_tool_result(),
            Reply::Input(input) => Ok(input.into()),
            Reply::Task(task) => Ok(task.into()),
        }
    }
}

impl Server {
    /// The patience of a call that starts work. A client that follows tasks does not wait for it.
    pub(super) fn delegating(
        &self,
        context: &RequestContext<RoleServer>,
        round: &Round,
        wait_seconds: Option<u64>,
        turn: Turn,
    ) -> Delegating {
        // A call that comes again with answers has done its work already, whatever its client declares by now.
        let is_first = round.state.is_none();
        let as_task = is_first && wait_seconds != Some(0) && tasks::is_welcome(context);
        let mut patience = self.bridge.patience(wait_seconds);
        if as_task {
            patience.until = Instant::now();
        }
        Delegating {
            patience,
            as_task,
            turn,
        }
    }

    /// As [`Server::waited`], or as a task where the client follows tasks and the agent is not done at once.
    pub(super) async fn delegated(
        &self,
        context: &RequestContext<RoleServer>,
        round: &Round,
        delegating: &Delegating,
        call: &Attended<'_>,
        work: impl Future<Output = Result<Report, Failure>>,
    ) -> Waited {
        if !delegating.as_task {
            let patience = &delegating.patience;
            return self.waited(context, round, patience, call, work).await;
        }
        let report = call.run(work).await?;
        let is_known = delegating.turn == Turn::First || report.question.is_some();
        if is_known
            && matches!(report.state, State::Working | State::NeedsAction)
            && let Some(task) = self.begun_task(&report)
        {
            return Ok(Reply::Task(task));
        }
        let budget = self.bridge.config().result_chars;
        Ok(Reply::Shown(Shown::report(report, budget)))
    }

    /// Does the work of a call on one session, asks the user about what is pending after it, and reports. A call that comes
    /// again with the user's answers goes on from them: its work is done already.
    pub(super) async fn waited(
        &self,
        context: &RequestContext<RoleServer>,
        round: &Round,
        patience: &Patience,
        call: &Attended<'_>,
        work: impl Future<Output = Result<Report, Failure>>,
    ) -> Waited {
        let mut user = User::of_turn(self, context, patience, call.attention());
        let asked = async {
            let reports = match user.continued(round).await? {
                Some(reports) => reports,
                None => vec![work.await?],
            };
            Ok::<_, ContinueError>(user.ask(round, reports).await?)
        };
        let reports = match call.run(asked).await? {
            Asked::Input(input) => return Ok(Reply::Input(input)),
            Asked::Not(reports) => reports,
        };
        let report = reports
            .into_iter()
            .next()
            .ok_or_else(|| ToolError::State("the requestState names no session".to_owned()))?;
        let budget = self.bridge.config().result_chars;
        Ok(Reply::Shown(Shown::report(report, budget)))
    }
}
