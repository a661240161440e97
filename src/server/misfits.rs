//! What is wrong with a request that rmcp cannot read, in words: it says of such a message only that it is none, and takes a
//! known method whose parameters do not fit for an unknown one. Pure.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta, RequestId};
use serde::Deserialize;
use serde_json::Value;

pub(super) const NO_ID: &str =
    "Invalid request: `id` must be a string or a whole number within 64 bits";

/// What is wrong around the parameters, whatever the method.
pub(super) fn of_frame(message: &Value) -> Option<&'static str> {
    let params = message.get("params");
    let meta = params.and_then(|params| params.get("_meta"));
    let is_id = |id: &Value| RequestId::deserialize(id).is_ok();
    let is_method = |method: &Value| method.is_string();
    if message
        .get("jsonrpc")
        .is_none_or(|version| version != "2.0")
    {
        Some("Invalid request: `jsonrpc` must be \"2.0\"")
    } else if !message.get("id").is_none_or(is_id) {
        Some(NO_ID)
    } else if !message.get("method").is_some_and(is_method) {
        Some("Invalid request: `method` must be a string")
    } else if !params.is_none_or(Value::is_object) {
        Some("Invalid request: `params` must be an object")
    } else if !meta.is_none_or(Value::is_object) {
        Some("Invalid request: `_meta` must be an object")
    } else {
        None
    }
}

/// What is wrong with the parameters of a method that is known. Of tasks not every protocol knows; these are told of where the
/// protocol is known.
pub(super) fn of_params(message: &ClientJsonRpcMessage) -> Option<String> {
    let ClientJsonRpcMessage::Request(request) = message else {
        return None;
    };
    let ClientRequest::CustomRequest(unread) = &request.request else {
        return unknown_page(&request.request);
    };
    let is_stateless = request.request.get_meta().protocol_version().is_some();
    let takes = takes(&unread.method, is_stateless)?;
    Some(format!("Invalid params: {} takes {takes}", unread.method))
}

/// What a method takes; nothing where the protocol does not know it, which is said elsewhere.
fn takes(method: &str, is_stateless: bool) -> Option<&'static str> {
    Some(match method {
        "initialize" if !is_stateless => {
            "`protocolVersion`, a text, `capabilities`, an object, and `clientInfo`, an object with `name` and `version`"
        }
        "tools/call" => "`name`, a text, and `arguments`, an object",
        "resources/read" => "`uri`, a text",
        "resources/subscribe" | "resources/unsubscribe" if !is_stateless => "`uri`, a text",
        "subscriptions/listen" if is_stateless => {
            "`notifications`, an object, in it at most `resourceSubscriptions`, a list of URIs, and `toolsListChanged`, \
             `promptsListChanged` and `resourcesListChanged`, each true or false"
        }
        "prompts/get" => "`name`, a text, and `arguments`, an object of texts",
        "completion/complete" => {
            "`ref`, an object with `type` `ref/prompt` or `ref/resource`, and `argument`, an object with `name` and `value`"
        }
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => {
            "at most `cursor`, a text"
        }
        _ => return None,
    })
}

/// All lists are short enough for one page, so that a cursor is nobody's.
fn unknown_page(request: &ClientRequest) -> Option<String> {
    let (method, params) = match request {
        ClientRequest::ListToolsRequest(list) => ("tools/list", &list.params),
        ClientRequest::ListPromptsRequest(list) => ("prompts/list", &list.params),
        ClientRequest::ListResourcesRequest(list) => ("resources/list", &list.params),
        ClientRequest::ListResourceTemplatesRequest(list) => {
            ("resources/templates/list", &list.params)
        }
        _ => return None,
    };
    let cursor = params.as_ref()?.cursor.as_deref()?;
    (!cursor.is_empty())
        .then(|| format!("Invalid params: {method} has one page, and gave out no `cursor`"))
}
