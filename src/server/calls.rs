//! The one door to the tools: an argument that looks like a secret is refused, and what became of a call is written to the
//! audit log.

use std::borrow::Cow;

use rmcp::handler::server::tool::{IntoCallToolResult, ToolCallContext};
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::Server;
use super::audit::Entry;
use super::present::ToolError;
use crate::api::tally;
use crate::secrets;

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
            match request.arguments.as_ref().and_then(secret_argument) {
                Some(name) => secret_refused(name).into_call_tool_result(),
                None => {
                    let call = ToolCallContext::new(self, request, context);
                    self.tools().call(call).await
                }
            }
        };
        let (answer, tally) = tally::counted(work).await;
        let answered = (!cancelled.is_cancelled()).then_some(&answer);
        entry.log(self.bridge.config().audit, answered, &tally);
        answer
    }
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
         else an agent needs belongs into a vault, which create_session takes by id. A placeholder in an example can be \
         shortened.",
    )
}
