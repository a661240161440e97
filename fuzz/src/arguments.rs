//! Any arguments for every tool, through the whole server: an answer each time, and nothing leaves, since there is no key.
#![no_main]

use std::cell::OnceCell;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::config::Config;
use managed_agents_mcp::server::Server;
use rmcp::ServiceExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

struct Client {
    runtime: Runtime,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    input: WriteHalf<DuplexStream>,
    tools: Vec<String>,
}

impl Client {
    fn start() -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let lookup = |name: &str| match name {
            "MANAGED_AGENTS_TOOLSETS" => Some("all".to_owned()),
            "MANAGED_AGENTS_AUDIT" => Some("off".to_owned()),
            _ => None,
        };
        let server = Server::new(Arc::new(Config::read(&lookup).expect("settings")), CancellationToken::new());
        runtime.spawn(async move {
            let serving = server.serve(tokio::io::split(theirs)).await.expect("a greeting");
            let _ = serving.waiting().await;
        });
        let (output, input) = tokio::io::split(ours);
        let mut client = Client { runtime, lines: BufReader::new(output).lines(), input, tools: Vec::new() };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "fuzz", "version": "1"}});
        client.ask("initialize", hello);
        client.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let listed = client.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().expect("tools").iter();
        client.tools = tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect();
        client
    }

    fn write(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.runtime.block_on(self.input.write_all(line.as_bytes())).expect("an open pipe");
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.write(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        loop {
            let line = self.runtime.block_on(self.lines.next_line()).expect("a line").expect("an answer");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == 1 && message.get("method").is_none() {
                return message;
            }
        }
    }
}

thread_local! {
    static CLIENT: OnceCell<std::cell::RefCell<Client>> = const { OnceCell::new() };
}

fuzz_target!(|input: (u8, &str)| {
    let (tool, text) = input;
    let Ok(arguments @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
        return;
    };
    CLIENT.with(|client| {
        let mut client = client.get_or_init(|| std::cell::RefCell::new(Client::start())).borrow_mut();
        let name = client.tools[usize::from(tool) % client.tools.len()].clone();
        let answer = client.ask("tools/call", json!({"name": name, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let is_refused = result["isError"] == true || answer["error"].is_object();
        // Several sessions that cannot be read are a result.
        assert!(is_refused || text.contains("no API key is configured"), "{name}: {answer}");
        assert!(!is_refused || text.chars().count() <= 4000, "{name}: {}", text.chars().count());
        fuzz::check(text);
    });
});
