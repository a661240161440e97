//! What a tool that waits returns: how the session stands, or that the user has to be asked first.

use std::future::Future;

use rmcp::handler::server::tool::IntoCallToolResult;
use rmcp::model::{CallToolResponse, InputRequiredResult};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::Server;
use super::approvals::{Asked, ContinueError, Round, User};
use super::attend::Attended;
use super::present::{Shown, ToolError};
use crate::bridge::{Failure, Patience};
use crate::session::report::Report;

/// What a tool that waits returns.
pub(super) type Waited = Result<Reply, ToolError>;

/// The answer to a call that waited.
pub(super) enum Reply {
    /// Facts.
    Shown(Shown),
    /// The client shall ask the user, and make the call again.
    Input(InputRequiredResult),
}

impl IntoCallToolResult for Reply {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Reply::Shown(shown) => shown.into_call_tool_result(),
            Reply::Input(input) => Ok(input.into()),
        }
    }
}

impl Server {
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
        let mut user = User::new(self, context, patience, call.attention());
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
