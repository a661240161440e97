//! The MCP face: who we are, what we tell the model, and the tools. The only room that knows rmcp.

pub mod present;
pub mod stdio;
pub mod tools;

mod approvals;
mod attend;
mod instructions;
mod reply;
mod tasks;

use std::sync::{Arc, OnceLock};

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CancelTaskParams, GetTaskParams, GetTaskResult, Icon, Implementation, InitializeRequestParams,
    InitializeResult, ServerCapabilities, ServerConfig, TASKS_EXTENSION_ID, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use tokio_util::sync::CancellationToken;

use crate::bridge::Bridge;
use crate::config::Config;

const WEBSITE: &str = env!("CARGO_PKG_REPOSITORY");
/// A cloud with a bolt, 24 × 24.
const ICON: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHBhdGggZD0iTTcgMThhNSA1IDAgMCAxIDAtMTAgNiA2IDAgMCAxIDExLjUgMS41QTQuMyA0LjMgMCAwIDEgMTggMThoLTR6IiBmaWxsPSIjRDk3NzU3Ii8+PHBhdGggZD0iTTEyIDEwbC0zIDZoM2wtMSA1IDQtN2gtM2wyLTR6IiBmaWxsPSIjMWYxZjFlIi8+PC9zdmc+";

/// The server of one process.
#[derive(Clone)]
pub struct Server {
    bridge: Arc<Bridge>,
    tools: Arc<OnceLock<ToolRouter<Server>>>,
    declined: Arc<tasks::Declined>,
    /// Cancelled when the client is gone.
    gone: CancellationToken,
}

impl Server {
    /// Touches neither the network nor a file.
    pub fn new(config: Arc<Config>, gone: CancellationToken) -> Server {
        Server {
            bridge: Arc::new(Bridge::new(config)),
            tools: Arc::default(),
            declined: Arc::default(),
            gone,
        }
    }

    /// The tools of this process; built when first asked for, and the same ever after.
    fn tools(&self) -> &ToolRouter<Server> {
        self.tools
            .get_or_init(|| tools::offered(self.bridge.config()))
    }
}

#[tool_handler(router = self.tools())]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title("Claude Managed Agents")
            .with_description(env!("CARGO_PKG_DESCRIPTION"))
            .with_icons(vec![
                Icon::new(ICON)
                    .with_mime_type("image/svg+xml")
                    .with_sizes(vec!["any".to_owned()]),
            ])
            .with_website_url(WEBSITE);
        let tools = self.tools();
        let mut names: Vec<&str> = tools.map.keys().map(|name| name.as_ref()).collect();
        names.sort_unstable();
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(implementation)
            .with_instructions(instructions::text(self.bridge.config(), &names))
    }
    /// Tasks are no part of the protocols that have a handshake.
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        if let Some(extensions) = &mut result.capabilities.extensions {
            extensions.remove(TASKS_EXTENSION_ID);
        }
        Ok(result)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.task_state(&request.task_id, &context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.answer_task(&request.task_id, request.input_responses)
            .await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.cancel_turn(&request.task_id).await
    }
}
