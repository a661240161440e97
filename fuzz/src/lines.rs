//! Any line of a client: messages, or errors that are JSON-RPC; a request that can be told by its id is never left without either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::server::messages::read;
use serde_json::Value;

fuzz_target!(|line: &[u8]| {
    for may_be_batch in [false, true] {
        let said = read(line, may_be_batch);
        for error in &said.errors {
            assert_eq!(error["jsonrpc"], "2.0");
            assert!(error["error"]["code"].is_i64() && error["error"]["message"].is_string());
        }
        let whole = serde_json::from_slice::<Value>(line.trim_ascii()).unwrap_or_default();
        let is_request = whole["method"].is_string() && (whole["id"].is_i64() || whole["id"].is_string());
        assert!(!is_request || said.messages.len() + said.errors.len() == 1, "{whole}");
        assert!(said.is_batch || said.messages.len() + said.errors.len() <= 1);
    }
});
