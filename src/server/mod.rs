//! The MCP face: who we are, what we tell the model, and the tools. The only room that knows rmcp.

pub mod messages;
pub mod present;
pub mod stdio;
pub mod tools;
pub mod wire;

mod approvals;
mod attend;
mod audit;
mod batches;
mod calls;
mod completions;
mod instructions;
mod limits;
mod misfits;
mod outgoing;
mod prompt_texts;
mod prompts;
mod reply;
mod resources;
mod skeleton;
mod stamps;
mod subscriptions;
mod tasks;

use std::sync::{Arc, OnceLock};

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse,
    GetTaskParams, GetTaskResult, Icon, Implementation, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, TASKS_EXTENSION_ID, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bridge::Bridge;
use crate::config::{Config, Toolset};

const TITLE: &str = "Claude Managed Agents";
const WEBSITE: &str = env!("CARGO_PKG_REPOSITORY");
/// A cloud with a bolt, 24 × 24.
const ICON: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHBhdGggZD0iTTcgMThhNSA1IDAgMCAxIDAtMTAgNiA2IDAgMCAxIDExLjUgMS41QTQuMyA0LjMgMCAwIDEgMTggMThoLTR6IiBmaWxsPSIjRDk3NzU3Ii8+PHBhdGggZD0iTTEyIDEwbC0zIDZoM2wtMSA1IDQtN2gtM2wyLTR6IiBmaWxsPSIjMWYxZjFlIi8+PC9zdmc+";

/// The server of one process.
#[derive(Clone)]
pub struct Server {
    bridge: Arc<Bridge>,
    tools: Arc<OnceLock<ToolRouter<Server>>>,
    told: Arc<tasks::Told>,
    /// Places for tool calls.
    running: Arc<Semaphore>,
    subscriptions: Arc<subscriptions::Subscriptions>,
    /// Cancelled when the client is gone.
    gone: CancellationToken,
}

impl Server {
    /// Touches neither the network nor a file.
    pub fn new(config: Arc<Config>, gone: CancellationToken) -> Server {
        Server {
            bridge: Arc::new(Bridge::new(config)),
            tools: Arc::default(),
            told: Arc::default(),
            running: Arc::new(Semaphore::new(calls::MOST_CALLS)),
            subscriptions: Arc::default(),
            gone,
        }
    }

    /// The tools of this process; built when first asked for, and the same ever after.
    fn tools(&self) -> &ToolRouter<Server> {
        self.tools
            .get_or_init(|| tools::offered(self.bridge.config()))
    }

    /// Prompts and resources are about sessions, and name the tools for these.
    fn offers_sessions(&self) -> bool {
        self.bridge.config().toolsets.contains(&Toolset::Core)
    }

    fn capabilities(&self) -> ServerCapabilities {
        let tools = ServerCapabilities::builder().enable_tools().enable_tasks();
        if !self.offers_sessions() {
            return tools.build();
        }
        tools
            .enable_resources()
            .enable_resources_subscribe()
            .enable_prompts()
            .enable_completions()
            .build()
    }
}

#[tool_handler(router = self.tools())]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title(TITLE)
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
        ServerConfig::new(self.capabilities())
            .with_server_info(implementation)
            .with_instructions(instructions::text(self.bridge.config(), &names))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.call(request, context).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(self.templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.read(&request.uri, &context).await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribe_to(&request.uri, &context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.unsubscribe_from(&request.uri)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(self.acceptable(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.tell_listener(context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = prompts::list(self.bridge.config());
        Ok(ListPromptsResult::with_all_items(prompts))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(request, self.bridge.config()).map(GetPromptResponse::from)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.suggestions(&request).await
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
        result
            .capabilities
            .extensions
            .take_if(|left| left.is_empty());
        Ok(result)
    }

    /// What the SDK cannot read comes here as well.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if request.method.starts_with("tasks/") {
            tasks::known(&context)?;
        }
        Err(tasks::unfit(&request.method))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        tasks::known(&context)?;
        self.task_state(&request.task_id, &context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tasks::known(&context)?;
        self.answer_task(&request.task_id, request.input_responses, &context)
            .await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tasks::known(&context)?;
        self.cancel_turn(&request.task_id).await
    }
}
