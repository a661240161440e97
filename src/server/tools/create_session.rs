//! `create_session`: start a delegation.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::outcome::{Outcome, attachments, question};
use super::parameters::Parameters;
use super::{ToolError, budget_cents, id};
use crate::api::with;
use crate::bridge::Question;
use crate::bridge::start::{Budget, Start};
use crate::server::Server;
use crate::server::approvals::Round;
use crate::server::present::{report_schema, schema};
use crate::server::reply::{Turn, Waited};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSession {
    /// The whole task: goal, constraints, what to return. Left out, with no outcome: only create.
    message: Option<String>,
    /// Instead of message: {description, rubric or rubric_file_id, max_iterations (1 to 20)}: works until a grader is
    /// satisfied.
    #[schemars(with = "Option<Map<String, Value>>")]
    outcome: Option<Outcome>,
    /// File ids of images and documents to show with the message.
    #[serde(default)]
    attachments: Vec<String>,
    /// Id or name; default: a general agent.
    agent: Option<String>,
    /// Older version.
    agent_version: Option<u64>,
    /// Id or name; default: a general one.
    environment: Option<String>,
    /// Shown in lists.
    title: Option<String>,
    /// [{url: https://github.com/owner/name, branch or commit, mount_path}].
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    repositories: Vec<Repository>,
    /// To mount: [{file_id, mount_path}].
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    files: Vec<MountedFile>,
    /// Credentials the agent may use.
    #[serde(default)]
    vault_ids: Vec<String>,
    /// To mount: [{memory_store_id, access: read_write or read_only, instructions}].
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    memory_stores: Vec<MemoryStore>,
    /// Pauses if spent. Default: as configured.
    budget_usd: Option<f64>,
    /// Up to 14 pairs of text.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// {model, system} for this session alone.
    #[schemars(with = "Option<Map<String, Value>>")]
    overrides: Option<Overrides>,
    /// Unique text: used again, it returns the session it started.
    request_key: Option<String>,
    /// For the reply; 0: return at once.
    wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repository {
    url: String,
    branch: Option<String>,
    commit: Option<String>,
    mount_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MountedFile {
    file_id: String,
    mount_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryStore {
    memory_store_id: String,
    access: Option<Access>,
    instructions: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Access {
    ReadWrite,
    ReadOnly,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    model: Option<String>,
    system: Option<String>,
}

#[tool_router(router = create_session_router, vis = "pub(super)")]
impl Server {
    /// Start a cloud agent on a task and wait for its reply. For work that takes minutes or hours or needs its own
    /// machine; the next message goes through send_message. Costs money, up to the budget. Returns a report: `state`,
    /// `reply`, `pending`, `usage`. Still `working`? Call get_status; never start it again.
    #[tool(
        title = "Start a cloud agent",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema(report_schema())
    )]
    async fn create_session(
        &self,
        round: Round,
        Parameters(args): Parameters<CreateSession>,
        context: RequestContext<RoleServer>,
    ) -> Waited {
        let delegating = self.delegating(&context, &round, args.wait_seconds, Turn::First);
        let start = self.start(args)?;
        let call = self.attend(&context);
        let patience = &delegating.patience;
        let start = self.bridge.start(start, patience, call.attention());
        self.delegated(&context, &round, &delegating, &call, start)
            .await
    }
}

/// The only host that gets the configured token.
const GITHUB: &str = "https://github.com/";

impl Server {
    fn start(&self, args: CreateSession) -> Result<Start, ToolError> {
        let question = question(args.message.as_deref(), args.outcome.as_ref())?;
        let mut resources = Vec::new();
        for repository in &args.repositories {
            resources.push(self.repository(repository)?);
        }
        for file in &args.files {
            resources.push(file.resource()?);
        }
        for store in &args.memory_stores {
            resources.push(store.resource()?);
        }
        for vault in &args.vault_ids {
            id("vault_ids", vault)?;
        }
        let overrides = args.overrides.unwrap_or_default();
        let attachments = attachments(
            &args.attachments,
            question.is_none() || args.outcome.is_some(),
        )?;
        Ok(Start {
            question: question.map(|event| Question { event, attachments }),
            agent: args.agent,
            agent_version: args.agent_version,
            environment: args.environment,
            title: args.title,
            resources,
            vault_ids: args.vault_ids,
            budget: args
                .budget_usd
                .map(budget_cents)
                .transpose()?
                .map_or(Budget::Configured, Budget::Cents),
            metadata: metadata(args.metadata)?,
            model: overrides.model,
            system: overrides.system,
            request_key: args.request_key.map(request_key).transpose()?,
        })
    }

    /// A repository on github.com gets the configured token; no other host does.
    fn repository(&self, repository: &Repository) -> Result<Value, ToolError> {
        let url = &repository.url;
        let on_github = url
            .get(..GITHUB.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(GITHUB))
            && url
                .get(GITHUB.len()..)
                .is_some_and(|path| path.contains('/'));
        let plain = !url.contains(['@', '?', '#', ' ']) && url.starts_with("https://");
        if !plain {
            return Err(ToolError::argument(
                "`repositories[].url` must be an https address without credentials in it.",
                "pass https://github.com/owner/name; tokens come from this server's configuration.",
            ));
        }
        let checkout = match (&repository.branch, &repository.commit) {
            (Some(_), Some(_)) => {
                return Err(ToolError::argument(
                    "`branch` and `commit` exclude each other.",
                    "pass one of them.",
                ));
            }
            (Some(branch), None) => Some(json!({"type": "branch", "name": branch})),
            (None, Some(commit)) => Some(json!({"type": "commit", "sha": commit})),
            (None, None) => None,
        };
        let token = self.bridge.config().github_token().filter(|_| on_github);
        let resource = json!({"type": "github_repository", "url": url});
        let resource = with(resource, "checkout", checkout);
        let resource = with(resource, "mount_path", repository.mount_path.as_deref());
        Ok(with(resource, "authorization_token", token))
    }
}

impl MountedFile {
    fn resource(&self) -> Result<Value, ToolError> {
        let resource =
            json!({"type": "file", "file_id": id("files[].file_id", &self.file_id)?.as_str()});
        Ok(with(resource, "mount_path", self.mount_path.as_deref()))
    }
}

impl MemoryStore {
    fn resource(&self) -> Result<Value, ToolError> {
        let store = id("memory_stores[].memory_store_id", &self.memory_store_id)?;
        let access = self.access.map(|access| match access {
            Access::ReadWrite => "read_write",
            Access::ReadOnly => "read_only",
        });
        let resource = json!({"type": "memory_store", "memory_store_id": store.as_str()});
        let resource = with(resource, "access", access);
        Ok(with(resource, "instructions", self.instructions.as_deref()))
    }
}

/// Two of the API's 16 pairs are ours.
fn metadata(metadata: Map<String, Value>) -> Result<Map<String, Value>, ToolError> {
    let fits = |(key, value): (&String, &Value)| {
        key.chars().count() <= 64
            && value
                .as_str()
                .is_some_and(|value| value.chars().count() <= 512)
    };
    let free = !metadata
        .keys()
        .any(|key| key.starts_with(crate::bridge::MARK));
    if metadata.len() <= 14 && free && metadata.iter().all(fits) {
        return Ok(metadata);
    }
    Err(ToolError::argument(
        "`metadata` takes up to 14 pairs of text, keys of at most 64 and values of at most 512 characters; keys must not start with managed-agents-mcp.",
        "pass fewer and shorter pairs; every value must be text, such as \"1\".",
    ))
}

fn request_key(key: String) -> Result<String, ToolError> {
    if !key.trim().is_empty() && key.chars().count() <= 512 {
        return Ok(key);
    }
    Err(ToolError::argument(
        "`request_key` must have 1 to 512 characters.",
        "pass a shorter unique text.",
    ))
}
