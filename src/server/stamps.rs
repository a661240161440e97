//! What the results of protocol 2026-07-28 carry beside their content: who answered, and how long a list holds; pure.

use rmcp::model::ServerResult;
use serde_json::{Value, json};

use super::TITLE;

const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The lists are the same for as long as the process lives; a client that keeps them beyond that shall not do so for long.
const LISTS_HOLD_MS: u64 = 300_000;

/// Stamps a response, which is this result as JSON.
pub(super) fn stamp(response: &mut Value, result: &ServerResult) {
    let Some(fields) = response.get_mut("result").and_then(Value::as_object_mut) else {
        return;
    };
    if is_list(result)
        && let Some(holds) = fields.get_mut("ttlMs")
    {
        *holds = LISTS_HOLD_MS.into();
    }
    // The list of tools is as long as it may be.
    if matches!(result, ServerResult::ListToolsResult(_)) {
        return;
    }
    let meta = fields.entry("_meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.entry(SERVER_INFO).or_insert_with(
            || json!({"name": env!("CARGO_PKG_NAME"), "title": TITLE, "version": env!("CARGO_PKG_VERSION")}),
        );
    }
}

fn is_list(result: &ServerResult) -> bool {
    matches!(
        result,
        ServerResult::ListToolsResult(_)
            | ServerResult::ListPromptsResult(_)
            | ServerResult::ListResourcesResult(_)
            | ServerResult::ListResourceTemplatesResult(_)
    )
}
