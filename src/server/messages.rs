//! What a line of the client says: a message for rmcp, several, or something that only gets an error; pure.
//!
//! rmcp's own reading drops what it cannot read, and a request without an answer makes its client wait for nothing.

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetMeta, ProtocolVersion, RequestId,
};
use serde_json::{Value, json};

use super::misfits;
use super::skeleton::Skeleton;
use crate::api::escapes;
use crate::weight::holds_more_than;

/// Longest line that is read; 16 MiB, as rmcp has it on every transport.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// A line of so many bytes is looked at for how many values it holds, which are so many at most.
const LONG: usize = 256 * 1024;
const MOST_VALUES: usize = 300_000;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
/// Of those that JSON-RPC leaves to the server.
const SERVER_BUSY: i32 = -32000;

/// What is to be done with a line.
#[derive(Debug, Default)]
pub struct Said {
    /// Messages to be handled.
    pub messages: Vec<ClientJsonRpcMessage>,
    /// Errors to be answered at once.
    pub errors: Vec<Value>,
    /// The line was a batch: its answers belong together.
    pub is_batch: bool,
}

impl Said {
    fn error(error: Option<Value>) -> Said {
        Said {
            errors: error.into_iter().collect(),
            ..Said::default()
        }
    }
}

/// Reads a line of at most [`LONGEST_LINE`]. Only protocol 2025-03-26 knows batches.
pub fn read(line: &[u8], may_be_batch: bool) -> Said {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() {
        return Said::default();
    }
    if line.len() > LONG && holds_more_than(line, MOST_VALUES) {
        let mut skeleton = Skeleton::default();
        skeleton.take(line);
        let why = format!("the message holds more than {MOST_VALUES} values");
        return unreadable(skeleton, INVALID_REQUEST, &why);
    }
    match escapes::parse::<Value>(line) {
        Ok(Value::Array(items)) if may_be_batch && !items.is_empty() => batch(items),
        Ok(message) => match single(message) {
            Ok(message) => Said {
                messages: message.into_iter().collect(),
                ..Said::default()
            },
            Err(error) => Said::error(Some(error)),
        },
        Err(error) => {
            let mut skeleton = Skeleton::default();
            skeleton.take(line);
            unreadable(skeleton, PARSE_ERROR, &format!("Parse error: {error}"))
        }
    }
}

/// What to answer to a line that is longer.
pub(super) fn too_long(skeleton: Skeleton) -> Said {
    let why =
        "the message is larger than 16 MiB: put long material into a repository or a mounted file";
    unreadable(skeleton, INVALID_REQUEST, why)
}

/// A request gets an error; anything else, and what only looks like JSON, gets none, since an answer to noise can make more
/// of it.
fn unreadable(skeleton: Skeleton, code: i32, why: &str) -> Said {
    let message = skeleton.finish().unwrap_or_default();
    let id = message
        .get("id")
        .filter(|_| message.get("method").is_some());
    match id.filter(|id| id.is_string() || id.is_number()) {
        Some(id) => Said::error(Some(error(Some(id), code, why))),
        None => {
            tracing::warn!(why, "a line of the client was ignored");
            Said::default()
        }
    }
}

fn batch(items: Vec<Value>) -> Said {
    let mut said = Said {
        is_batch: true,
        ..Said::default()
    };
    for item in items {
        match single(item) {
            Ok(message) => said.messages.extend(message),
            Err(error) => said.errors.push(error),
        }
    }
    said
}

/// A message, nothing where it may be ignored, or the error to be answered.
fn single(value: Value) -> Result<Option<ClientJsonRpcMessage>, Value> {
    let id = value.get("id").cloned();
    let is_call = value.get("method").is_some();
    let misfit = misfits::of_frame(&value).filter(|_| is_call);
    match serde_json::from_value(value) {
        // An id that is none would turn a request into a notification, which nobody answers.
        Ok(ClientJsonRpcMessage::Notification(_)) if id.is_some() => Err(error(
            id.as_ref().filter(|id| !id.is_null()),
            INVALID_REQUEST,
            misfits::NO_ID,
        )),
        // Of no protocol of ours, such as a language server's.
        Ok(ClientJsonRpcMessage::Notification(notification))
            if matches!(
                notification.notification,
                ClientNotification::CustomNotification(_)
            ) =>
        {
            Ok(None)
        }
        Ok(message) => match misfits::of_params(&message) {
            Some(why) => Err(error(id.as_ref(), INVALID_PARAMS, &why)),
            None => Ok(Some(message)),
        },
        Err(_) if is_call && id.is_none() => Ok(None),
        Err(why) => {
            let why = misfit.map_or_else(|| format!("Invalid request: {why}"), str::to_owned);
            let id = id.as_ref().filter(|id| is_call && !id.is_null());
            Err(error(id, INVALID_REQUEST, &why))
        }
    }
}

fn error(id: Option<&Value>, code: i32, message: &str) -> Value {
    let mut error = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}});
    if let (Some(id), Some(fields)) = (id, error.as_object_mut()) {
        fields.insert("id".to_owned(), id.clone());
    }
    error
}

/// What to answer to a request that comes on top of `most` others.
pub(super) fn too_many(id: &RequestId, most: usize) -> Value {
    let why = format!(
        "{most} requests are unanswered, the most at once: make this one again when others have returned"
    );
    error(Some(&json!(id)), SERVER_BUSY, &why)
}

/// The id of an `initialize`.
pub(super) fn handshake(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::InitializeRequest(_)) =>
        {
            Some(&request.id)
        }
        _ => None,
    }
}

/// What to answer to an `initialize` after requests of the protocol that has none: rmcp would accept it, and then understand
/// nothing that follows.
pub(super) fn too_late_for_a_handshake(id: &RequestId) -> Value {
    let why = "this connection speaks protocol 2026-07-28, which has no handshake: go on with `_meta` in each \
               request, or start the server anew for another protocol";
    error(Some(&json!(id)), METHOD_NOT_FOUND, why)
}

/// What to answer to a request whose id another one has that is not answered yet.
pub(super) fn in_use(id: &RequestId) -> Value {
    let why =
        format!("Invalid request: the request {id} is not answered yet, and its id was used again");
    error(None, INVALID_REQUEST, &why)
}

/// What to answer to a request with the id of one that was cancelled.
pub(super) fn used_up(id: &RequestId) -> Value {
    let why = "Invalid request: the id was used by a request that was cancelled; make this one again with another id";
    error(Some(&json!(id)), INVALID_REQUEST, why)
}

/// The id of a request.
pub(super) fn request_id(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ClientJsonRpcMessage::Request(request) => Some(&request.id),
        _ => None,
    }
}

/// The request that the client does not want answered any more.
pub(super) fn cancelled(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    let ClientJsonRpcMessage::Notification(notification) = message else {
        return None;
    };
    match &notification.notification {
        ClientNotification::CancelledNotification(cancelled) => {
            cancelled.params.request_id.as_ref()
        }
        _ => None,
    }
}

/// What a message means before the client has made itself known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// It makes the client known: `initialize`, or a request of the stateless protocol.
    Greeting,
    /// A request that is answered, and leaves open who asks.
    Probe,
    /// Nothing that needs an answer. rmcp would end the process over it.
    Noise,
}

impl Opening {
    pub(super) fn of(message: &ClientJsonRpcMessage) -> Opening {
        let ClientJsonRpcMessage::Request(request) = message else {
            return Opening::Noise;
        };
        let meta = request.request.get_meta();
        let is_known =
            |version: &ProtocolVersion| ProtocolVersion::KNOWN_VERSIONS.contains(version);
        match &request.request {
            ClientRequest::InitializeRequest(_) => Opening::Greeting,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => Opening::Probe,
            _ if !meta
                .missing_required_keys(&ProtocolVersion::V_2026_07_28)
                .is_empty() =>
            {
                Opening::Probe
            }
            _ if meta.protocol_version().as_ref().is_some_and(is_known) => Opening::Greeting,
            _ => Opening::Probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(line: &str) -> Vec<(Value, i64)> {
        let said = read(line.as_bytes(), false);
        assert!(said.messages.is_empty(), "{line}");
        let parts = |error: Value| {
            (
                error["id"].clone(),
                error["error"]["code"].as_i64().unwrap(),
            )
        };
        said.errors.into_iter().map(parts).collect()
    }

    fn modern(mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        params
    }

    #[test]
    fn a_request_that_cannot_be_read_is_answered_by_its_id() {
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"deep\",\"method\":\"tools/call\",\"params\":{}{}}}",
            "[".repeat(200),
            "]".repeat(200)
        );
        for (line, id, code) in [
            (&*deep, json!("deep"), -32700),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{oops}}"#,
                json!(7),
                -32700,
            ),
            (
                r#"{"jsonrpc":"1.0","id":8,"method":"ping"}"#,
                json!(8),
                -32600,
            ),
            (r#"{"id":8,"method":"ping"}"#, json!(8), -32600),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                json!(1.5),
                -32600,
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                Value::Null,
                -32600,
            ),
            (r#"{"jsonrpc":"2.0","id":9,"method":7}"#, json!(9), -32600),
            (r#"{"jsonrpc":"2.0","id":9}"#, Value::Null, -32600),
            ("7", Value::Null, -32600),
            ("[]", Value::Null, -32600),
            ("[{}]", Value::Null, -32600),
        ] {
            assert_eq!(errors(line), [(id, code)], "{line}");
        }
    }

    #[test]
    fn parameters_that_do_not_fit_are_no_unknown_method() {
        for (method, params) in [
            ("tools/call", json!({})),
            ("tools/call", json!({"name": 5})),
            ("tools/call", json!({"name": "get_status", "arguments": []})),
            ("resources/read", json!({})),
            ("prompts/get", json!({})),
            ("completion/complete", json!({"ref": {"type": "ref/else"}})),
            ("tools/list", json!({"cursor": "next"})),
            ("initialize", json!({"protocolVersion": "2025-11-25"})),
            ("resources/subscribe", json!({})),
            ("resources/unsubscribe", json!({"uri": 7})),
            ("subscriptions/listen", modern(json!({}))),
            (
                "subscriptions/listen",
                modern(json!({"notifications": {"toolsListChanged": "yes"}})),
            ),
        ] {
            let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            assert_eq!(errors(&line.to_string()), [(json!(1), -32602)], "{line}");
        }
        // What a protocol does not know is an unknown method, whatever its parameters.
        for (method, params) in [
            ("tools/dance", json!({})),
            ("initialize", modern(json!({}))),
            ("resources/subscribe", modern(json!({}))),
            ("subscriptions/listen", json!({})),
        ] {
            let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let said = read(line.to_string().as_bytes(), false);
            assert_eq!(said.messages.len(), 1, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_around_the_parameters_is_said_and_the_id_is_as_it_was_sent() {
        for (id, rest, wrong) in [
            ("1.5", r#""method":"ping""#, "`id`"),
            ("9223372036854775808", r#""method":"ping""#, "`id`"),
            ("[7]", r#""method":"ping""#, "`id`"),
            ("1", r#""method":"ping","params":[]"#, "`params`"),
            ("1", r#""method":"tools/call","params":"x""#, "`params`"),
            (
                r#""a""#,
                r#""method":"tools/list","params":{"_meta":7}"#,
                "`_meta`",
            ),
            ("1", r#""method":7"#, "`method`"),
        ] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#);
            let error = read(line.as_bytes(), false).errors.remove(0);
            assert_eq!(error["id"].to_string(), id);
            assert_eq!(error["error"]["code"], -32600, "{error}");
            let why = error["error"]["message"].as_str().unwrap();
            assert!(
                why.starts_with(&format!("Invalid request: {wrong} must be")),
                "{why}"
            );
        }
    }

    #[test]
    fn half_a_character_of_the_client_loses_no_message() {
        let line = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","arguments":{"message":"cut \ud83d"}}}"#;
        let mut said = read(line.as_bytes(), false);
        assert_eq!(said.errors, Vec::<Value>::new());
        let message = json!(said.messages.remove(0));
        assert_eq!(message["params"]["arguments"]["message"], "cut \u{fffd}");
    }

    #[test]
    fn noise_and_notifications_of_others_get_no_answer() {
        for line in [
            "",
            " \r",
            "\u{feff}",
            "hello",
            "{",
            "{\"id\":1}x",
            r#"{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/unheard_of"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":7}"#,
        ] {
            assert_eq!(errors(line), [], "{line}");
        }
    }

    #[test]
    fn only_where_it_is_known_a_batch_is_read() {
        let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},7]"#;
        let said = read(batch, true);
        assert!(said.is_batch);
        assert_eq!((said.messages.len(), said.errors.len()), (2, 1));
        let refused = read(batch, false);
        assert_eq!((refused.messages.len(), refused.errors.len()), (0, 1));
    }

    #[test]
    fn only_a_greeting_makes_a_client_known() {
        let of = |text: &str| Opening::of(&read(text.as_bytes(), false).messages.remove(0));
        let meta = |version: &str| {
            json!({
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            })
        };
        let call = |method: &str, version: &str| {
            let params = json!({"name": "get_status", "_meta": meta(version)});
            of(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
        };
        assert_eq!(call("tools/call", "2026-07-28"), Opening::Greeting);
        assert_eq!(call("tools/call", "1999-01-01"), Opening::Probe);
        assert_eq!(call("server/discover", "2026-07-28"), Opening::Probe);
        assert_eq!(
            of(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
            Opening::Probe
        );
        assert_eq!(
            of(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#),
            Opening::Noise
        );
        assert_eq!(
            of(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Opening::Noise
        );
    }
}
