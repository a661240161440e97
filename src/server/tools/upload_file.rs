//! `upload_file`: a local file, for agents to have.

use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;
use serde_json::json;

use super::parameters::Parameters;
use crate::api::Id;
use crate::server::Server;
use crate::server::present::{Answer, Shown, schema};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadFile {
    /// Local file.
    path: String,
    /// Another name.
    name: Option<String>,
}

#[tool_router(router = upload_file_router, vis = "pub(super)")]
impl Server {
    /// Upload a local file, for `files` or `attachments`.
    #[tool(
        title = "Upload file",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = false),
        output_schema = schema(json!({
            "type": "object",
            "properties": {
                "file_id": {"type": "string"},
                "size_bytes": {"type": "integer"},
                "next": {"type": "string"},
            },
            "required": ["file_id", "next"],
        }))
    )]
    async fn upload_file(
        &self,
        Parameters(args): Parameters<UploadFile>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let call = self.attend(&context);
        let sending = self
            .bridge
            .upload(&args.path, args.name.as_deref(), call.attention());
        let file = call.run(sending).await?;
        let next = if Id::is_id(&file.file_id) {
            format!(
                "create_session with files [{{\"file_id\":\"{0}\"}}] mounts it at /mnt/session/uploads/{0}, or at `mount_path`.",
                file.file_id
            )
        } else {
            "the API gave it an id that cannot be passed on, so it cannot be mounted.".to_owned()
        };
        let text = format!(
            "Uploaded {} ({} bytes, {}) as {}.\nNext: {next}",
            file.name, file.size_bytes, file.mime_type, file.file_id
        );
        let facts = json!({
            "file_id": file.file_id,
            "name": file.name,
            "size_bytes": file.size_bytes,
            "mime_type": file.mime_type,
            "next": next,
        });
        Ok(Shown::new(&facts, text))
    }
}
