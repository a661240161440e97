//! `download_file`: what an agent produced, saved to disk, or a slice of its text.

use rmcp::model::{ProtocolVersion, Resource};
use rmcp::schemars::JsonSchema;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Deserialize;

use super::parameters::Parameters;
use super::{ToolError, optional_id};
use crate::bridge::{Existing, Saved, Wanted};
use crate::server::Server;
use crate::server::present::files::download_schema;
use crate::server::present::{Answer, Shown, schema};

/// Saved files that a result links to.
const LINKS: usize = 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadFile {
    /// One file.
    file_id: Option<String>,
    /// Or all files of a session.
    session_id: Option<String>,
    /// In an allowed folder; default: the first.
    directory: Option<String>,
    /// Replace files.
    #[serde(default)]
    overwrite: bool,
    /// Read text from this byte instead.
    offset: Option<u64>,
}

#[tool_router(router = download_file_router, vis = "pub(super)")]
impl Server {
    /// Save an agent's files to disk; returns their paths.
    #[tool(
        title = "Save files",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = false),
        output_schema = schema(download_schema())
    )]
    async fn download_file(
        &self,
        Parameters(args): Parameters<DownloadFile>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let file = optional_id("file_id", args.file_id.as_deref())?;
        let session = optional_id("session_id", args.session_id.as_deref())?;
        let call = self.attend(&context);
        let wanted = match (file, session, args.offset) {
            (Some(file), None, Some(offset)) => {
                let reading = self.bridge.excerpt(&file, offset, call.attention());
                return Ok(Shown::excerpt(&call.run(reading).await?));
            }
            (Some(file), None, None) => Wanted::File(file),
            (None, Some(session), None) => Wanted::Session(session),
            (None, Some(_), Some(_)) => {
                return Err(ToolError::argument(
                    "`offset` reads one file.",
                    "pass its `file_id`, which list_files returns, instead of `session_id`.",
                ));
            }
            (Some(_), Some(_), _) | (None, None, _) => {
                return Err(ToolError::argument(
                    "Pass exactly one: `file_id`, or `session_id` for all its files.",
                    "list_files shows the ids of a session's files.",
                ));
            }
        };
        let existing = if args.overwrite {
            Existing::Replaced
        } else {
            Existing::Kept
        };
        let directory = args.directory.as_deref();
        let saving = self
            .bridge
            .download(&wanted, directory, existing, call.attention());
        let download = call.run(saving).await?;
        let links = download.saved.iter().take(LINKS).filter_map(link);
        let links: Vec<Resource> = links.collect();
        let shown = Shown::download(&download, self.bridge.config().result_chars);
        Ok(if reads_links(&context) {
            shown.with_links(links)
        } else {
            shown
        })
    }
}

/// Older protocols do not know links in results.
fn reads_links(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2025_06_18)
}

/// A saved file as `file://`, with what is known of it.
fn link(saved: &Saved) -> Option<Resource> {
    let path = std::path::Path::new(&saved.path);
    let name = path.file_name()?.to_string_lossy().into_owned();
    let uri = url::Url::from_file_path(path).ok()?.to_string();
    let link = Resource::new(uri, name).with_size(saved.size_bytes);
    Some(match &saved.media_type {
        Some(media_type) => link.with_mime_type(media_type),
        None => link,
    })
}
