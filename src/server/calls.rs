//! The one door to the tools: so many at once, arguments within limits and without secrets; and what became of a call is
//! written to the audit log.

use std::borrow::Cow;

use rmcp::handler::server::tool::{IntoCallToolResult, ToolCallContext};
use rmcp::model::{CallToolRequestParams, CallToolResponse, ContentBlock, JsonObject};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::audit::Entry;
use super::present::ToolError;
use super::tools::{self, parameters};
use super::{Server, limits};
use crate::api::tally;
use crate::secrets;
use crate::session::clean::clean_line;
use crate::session::report::cut;

impl Server {
    /// Runs a tool.
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let entry = Entry::of(&request);
        let cancelled = context.ct.clone();
        let place = self.running.try_acquire();
        let work = async {
            if place.is_err() {
                return too_many().into_call_tool_result();
            }
            if let Err(refused) = request.arguments.as_ref().map_or(Ok(()), acceptable) {
                return refused.into_call_tool_result();
            }
            if !self.tools().has_route(&request.name) {
                return Err(self.no_tool(&request.name));
            }
            let call = ToolCallContext::new(self, request, context);
            self.tools().call(call).await.map(in_our_words)
        };
        let (answer, tally) = tally::counted(work).await;
        let answered = (!cancelled.is_cancelled()).then_some(&answer);
        entry.log(self.bridge.config().audit, answered, &tally);
        answer
    }
}

impl Server {
    fn no_tool(&self, name: &str) -> ErrorData {
        let mut names: Vec<&str> = self.tools().map.keys().map(|name| name.as_ref()).collect();
        names.sort_unstable();
        let left_out = tools::left_out(self.bridge.config(), name);
        let left_out = left_out.map(|why| format!(": {why}")).unwrap_or_default();
        let why = format!(
            "tool not found: `{}`{left_out}; there are {}",
            cut(&clean_line(name), 60),
            names.join(", ")
        );
        ErrorData::invalid_params(why, None)
    }
}

/// Without the words by which the SDK knows a misfit in the arguments.
fn in_our_words(mut answer: CallToolResponse) -> CallToolResponse {
    if let CallToolResponse::Complete(result) = &mut answer
        && let [ContentBlock::Text(block)] = result.content.as_mut_slice()
        && let Some(wrong) = block.text.strip_prefix(parameters::MISFIT)
    {
        block.text = wrong.trim_start().to_owned();
    }
    answer
}

/// Calls that run at once at most. A host makes a few dozen; one that makes thousands is out of control, and would only be
/// answered later.
pub(super) const MOST_CALLS: usize = 256;

fn too_many() -> ToolError {
    ToolError::argument(
        format!("{MOST_CALLS} calls are running already, the most at once. Nothing was sent."),
        "make the call again when others have returned; one get_status call waits for up to 50 sessions.",
    )
}

/// What holds for the arguments of every tool.
fn acceptable(arguments: &JsonObject) -> Result<(), ToolError> {
    limits::check(arguments)?;
    secret_argument(arguments).map_or(Ok(()), |name| Err(secret_refused(name)))
}

/// The name of an argument that holds a secret.
fn secret_argument(arguments: &JsonObject) -> Option<&str> {
    let mut arguments = arguments.iter();
    let named = |name: &String| matches!(secrets::mask(name), Cow::Owned(_));
    let (name, _) = arguments.find(|(name, value)| named(name) || secrets::holds_secret(value))?;
    Some(name)
}

fn secret_refused(name: &str) -> ToolError {
    ToolError::argument(
        format!(
            "`{name}` holds what looks like a key, a token or a private key. Nothing was sent: it would stay readable in the \
             session's record."
        ),
        "make the call again without it. Repositories on github.com get their token from this server's configuration; what \
         else an agent needs belongs in a vault, which create_session takes by id. A placeholder in an example can be \
         shortened.",
    )
}
