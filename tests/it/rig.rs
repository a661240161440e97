//! What every test starts: the simulator in this process, the binary as a child with a bare environment, and a client.

use std::collections::HashMap;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use managed_agents_mcp::simulator::{Fault, Kind, Options, Request, Simulator};
use rmcp::model::{CallToolRequestParams, ProtocolVersion, ServerPeerInfo, Tool};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, Peer, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::host::Host;

/// The key the binary is given; it must never come out again.
pub(crate) const KEY: &str = "sk-ant-canary-7f3a91";
/// Most characters of one half of a result.
pub(crate) const BUDGET: usize = 16_000;
/// Nothing in these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(75);
/// What a call may take beyond its `wait_seconds`, and what a busy machine may add.
pub(crate) const GRACE: Duration = Duration::from_millis(2000 + 2000);
/// Marks the rig's own requests, so that they can be told from the binary's.
const OWN: &str = "x-rig";

/// The simulator, and what the binary is to be started with.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
}

impl Rig {
    /// A simulator that plays fast and accepts [`KEY`] only.
    pub(crate) async fn start() -> Rig {
        Rig::paced(Duration::from_millis(2)).await
    }

    /// A simulator with another pause between events.
    pub(crate) async fn paced(pace: Duration) -> Rig {
        let options = Options {
            key: Some(KEY.to_owned()),
            pace,
            heartbeat: Duration::from_millis(500),
            ..Options::default()
        };
        let simulator = Simulator::start(options).await.unwrap();
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rig = Rig {
            simulator,
            settings: Vec::new(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        let url = rig.simulator.base_url().to_owned();
        rig.set("ANTHROPIC_BASE_URL", url)
            .set("ANTHROPIC_API_KEY", KEY)
    }

    /// A setting of the binary.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Rig {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// The binary without a setting.
    pub(crate) fn unset(mut self, name: &str) -> Rig {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    /// The binary, not yet started.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_managed-agents-mcp"));
        command.env_clear().kill_on_drop(true);
        for (name, value) in &self.settings {
            command.env(name, value);
        }
        command
    }

    /// The settings of the binary.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &(String, String)> {
        self.settings.iter()
    }

    fn budget(&self) -> usize {
        let set = self
            .settings
            .iter()
            .find(|(name, _)| name == "MANAGED_AGENTS_RESULT_CHARS");
        set.map_or(BUDGET, |(_, value)| value.parse().unwrap())
    }

    /// A new process and a client that greets it with `initialize`.
    pub(crate) async fn client(&self) -> Client {
        self.client_of(
            self.command(),
            ClientLifecycleMode::Initialize,
            Host::default(),
        )
        .await
    }

    /// A new process and a client whose host can ask its user, of either protocol.
    pub(crate) async fn client_with(&self, host: &Host, lifecycle: ClientLifecycleMode) -> Client {
        self.client_of(self.command(), lifecycle, host.clone())
            .await
    }

    /// A new process and a client of protocol 2026-07-28, which does not greet.
    pub(crate) async fn discovering_client(&self) -> Client {
        self.client_of(self.command(), discovering(), Host::default())
            .await
    }

    /// A new process that reaches the simulator at another address.
    pub(crate) async fn client_through(&self, base_url: &str) -> Client {
        let mut command = self.command();
        command.env("ANTHROPIC_BASE_URL", base_url);
        self.client_of(command, ClientLifecycleMode::Initialize, Host::default())
            .await
    }

    /// A client of a process that was started in some other way.
    pub(crate) async fn client_as(&self, command: Command) -> Client {
        self.client_of(command, ClientLifecycleMode::Initialize, Host::default())
            .await
    }

    async fn client_of(
        &self,
        command: Command,
        lifecycle: ClientLifecycleMode,
        host: Host,
    ) -> Client {
        let (process, stderr) = TokioChildProcess::builder(command)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = collect(stderr.unwrap());
        let running = match lifecycle {
            ClientLifecycleMode::Initialize => host.serve(process).await.unwrap(),
            other => host.serve_with_lifecycle(process, other).await.unwrap(),
        };
        let tools = running.list_all_tools().await.unwrap();
        let schemas = tools
            .iter()
            .map(|tool| (tool.name.to_string(), Schema::of(tool)));
        Client {
            schemas: schemas.collect(),
            tools,
            running,
            budget: self.budget(),
            stderr,
        }
    }

    /// A new process whose pipes the test holds in its own hands.
    pub(crate) fn pipe(&self) -> Pipe {
        self.pipe_of(self.command())
    }

    /// The same with another setting.
    pub(crate) fn pipe_with(&self, name: &str, value: &str) -> Pipe {
        let mut command = self.command();
        command.env(name, value);
        self.pipe_of(command)
    }

    /// The same through a command of one's own.
    pub(crate) fn pipe_of(&self, mut command: Command) -> Pipe {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Pipe {
            stdin: child.stdin.take(),
            lines: Some(BufReader::new(child.stdout.take().unwrap()).lines()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
            aside: Vec::new(),
            next_id: 0,
        }
    }

    /// Makes something go wrong with the next request that matches.
    pub(crate) fn fault(&self, on: &str, kind: Kind) {
        self.simulator.inject(Fault::new(on, kind));
    }

    /// Makes something go wrong every time.
    pub(crate) fn always(&self, on: &str, kind: Kind) {
        self.simulator.inject(Fault::new(on, kind).always());
    }

    /// What the binary asked of the API so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = self.simulator.requests();
        requests.retain(|request| !request.headers.contains_key(OWN));
        requests
    }

    /// The bodies of the binary's requests to one path, by its end.
    pub(crate) fn bodies(&self, method: &str, path_end: &str) -> Vec<Value> {
        let requests = self.requests().into_iter();
        requests
            .filter(|request| request.method == method && request.path.ends_with(path_end))
            .map(|request| request.body)
            .collect()
    }

    /// Every event that the binary sent.
    pub(crate) fn sent_events(&self) -> Vec<Value> {
        let bodies = self.bodies("POST", "/events").into_iter();
        bodies
            .flat_map(|body| body["events"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// Asks the API directly, as somebody else would.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.simulator.base_url());
        let request = self
            .http
            .request(method.parse().unwrap(), url)
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "managed-agents-2026-04-01")
            .header(OWN, "1");
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let answer = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Every file there is.
    pub(crate) async fn files(&self) -> Vec<Value> {
        let request = self
            .http
            .get(format!("{}/v1/files?limit=1000", self.simulator.base_url()))
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "files-api-2025-04-14")
            .header(OWN, "1");
        let answer = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        page["data"].as_array().unwrap().clone()
    }

    /// The id of a new file, uploaded by somebody else.
    pub(crate) async fn upload(&self, name: &str, content: &str) -> String {
        let head = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
        let request = self
            .http
            .post(format!("{}/v1/files", self.simulator.base_url()))
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "files-api-2025-04-14")
            .header("content-type", "multipart/form-data; boundary=frontier")
            .header(OWN, "1")
            .body(format!(
                "--frontier\r\n{head}\r\n\r\n{content}\r\n--frontier--\r\n"
            ));
        let answer = timeout(PATIENCE, request.send()).await.unwrap().unwrap();
        let text = answer.text().await.unwrap();
        id(&serde_json::from_str(&text).unwrap())
    }

    /// The whole record of a session, oldest first.
    pub(crate) async fn record(&self, session: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut path = format!("/v1/sessions/{session}/events?limit=1000");
        loop {
            let page = self.api("GET", &path, Value::Null).await;
            events.extend(page["data"].as_array().unwrap().clone());
            let Some(token) = page["next_page"].as_str() else {
                return events;
            };
            // A fault makes lists name the same next page for ever.
            if path.ends_with(token) {
                return events;
            }
            path = format!("/v1/sessions/{session}/events?limit=1000&page={token}");
        }
    }

    /// The texts of the messages that a session received, oldest first.
    pub(crate) async fn messages(&self, session: &str) -> Vec<String> {
        let record = self.record(session).await.into_iter();
        record
            .filter(|event| event["type"] == "user.message")
            .map(|event| event["content"][0]["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How many sessions there are.
    pub(crate) async fn sessions(&self) -> usize {
        let page = self.api("GET", "/v1/sessions?limit=100", Value::Null).await;
        page["data"].as_array().unwrap().len()
    }

    /// Waits until a session's record holds what is looked for.
    pub(crate) async fn until_recorded(&self, session: &str, wanted: impl Fn(&Value) -> bool) {
        until("the record holds it", async || {
            self.record(session).await.iter().any(&wanted)
        })
        .await;
    }

    /// An agent and an environment made behind the binary's back; their ids.
    pub(crate) async fn furnish(&self, agent: Value, environment: Value) -> (String, String) {
        let agent = self.api("POST", "/v1/agents", agent).await;
        let environment = self.api("POST", "/v1/environments", environment).await;
        (id(&agent), id(&environment))
    }
}

/// Without a greeting, as protocol 2026-07-28 has it.
pub(crate) fn discovering() -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    ClientLifecycleMode::Discover { preferred_versions }
}

/// The `id` of an object.
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// Waits for a condition; a test that waits in vain fails.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Replaces what differs from run to run: ids, ports and the rig's own key.
pub(crate) fn stable(text: &str) -> String {
    let mut stable = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            word.push(c);
            continue;
        }
        let known = word.split_once('_').filter(|(prefix, rest)| {
            rest.len() > 20 && rest.starts_with("01") && prefix.len() <= 6
        });
        match known {
            Some((prefix, _)) => stable.push_str(&format!("{prefix}_…")),
            None if stable.ends_with("127.0.0.1:") => stable.push_str("PORT"),
            None => stable.push_str(&word),
        }
        word.clear();
        stable.push(c);
    }
    stable.pop();
    stable
}

/// What a child says on stderr, as it comes.
#[derive(Clone)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

fn collect(mut from: impl tokio::io::AsyncRead + Unpin + Send + 'static) -> Said {
    let said = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&said);
    tokio::spawn(async move {
        let mut piece = vec![0; 65536];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            let text = String::from_utf8_lossy(&piece[..count]).into_owned();
            into.lock().unwrap().push_str(&text);
        }
    });
    Said(said)
}

struct Schema {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Schema {
    fn of(tool: &Tool) -> Schema {
        let declared = tool.output_schema.as_ref();
        let declared = declared.unwrap_or_else(|| panic!("{} has no outputSchema", tool.name));
        Schema::read(Value::Object(declared.as_ref().clone()))
    }

    fn read(schema: Value) -> Schema {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler.add_resource("tool.json", schema).unwrap();
        let index = compiler.compile("tool.json", &mut schemas).unwrap();
        Schema { schemas, index }
    }
}

/// A client of one process.
pub(crate) struct Client {
    running: RunningService<RoleClient, Host>,
    pub(crate) tools: Vec<Tool>,
    schemas: HashMap<String, Schema>,
    budget: usize,
    pub(crate) stderr: Said,
}

/// What a tool call returned.
#[must_use = "a result that nobody looks at proves nothing"]
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) structured: Value,
    pub(crate) text: String,
    pub(crate) is_error: bool,
    pub(crate) took: Duration,
}

impl Client {
    /// For what is not a tool call.
    pub(crate) fn peer(&self) -> &Peer<RoleClient> {
        self.running.peer()
    }

    /// Calls a tool and checks what holds for every result.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Called {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let began = Instant::now();
        let result = timeout(PATIENCE, self.running.call_tool(params)).await;
        let result = result
            .unwrap_or_else(|_| panic!("{tool} never returned"))
            .unwrap_or_else(|error| panic!("{tool}: {error}\n{}", self.stderr.text()));
        let took = began.elapsed();
        let texts: Vec<String> = result
            .content
            .iter()
            .filter_map(|block| Some(block.as_text()?.text.clone()))
            .collect();
        let called = Called {
            structured: result.structured_content.unwrap_or_default(),
            text: texts.join("\n"),
            is_error: result.is_error.unwrap_or(false),
            took,
        };
        self.check(tool, &called);
        called
    }

    fn check(&self, tool: &str, called: &Called) {
        assert!(!called.text.trim().is_empty(), "{tool}: no text");
        assert!(length(&called.text) <= self.budget, "{tool}: text too long");
        if called.is_error {
            assert!(called.text.contains("\nNext: "), "{tool}: {}", called.text);
            return;
        }
        let json = called.structured.to_string();
        assert!(length(&json) <= self.budget, "{tool}: JSON too long");
        let Schema { schemas, index } = &self.schemas[tool];
        if let Err(error) = schemas.validate(&called.structured, *index) {
            panic!("{tool}: {error:#}\n{json}");
        }
    }

    /// How one session stands, at once.
    pub(crate) async fn status(&self, session: &str) -> Value {
        self.wait_for(session, 0).await
    }

    /// How one session stands after a wait.
    pub(crate) async fn wait_for(&self, session: &str, seconds: u64) -> Value {
        let arguments = json!({"session_ids": [session], "wait_seconds": seconds});
        let mut statuses = self.call("get_status", arguments).await.ok();
        statuses["sessions"][0].take()
    }

    /// A new session that was told something; its report.
    pub(crate) async fn create(&self, message: &str, wait_seconds: u64) -> Value {
        let arguments = json!({"message": message, "wait_seconds": wait_seconds});
        self.call("create_session", arguments).await.ok()
    }

    /// The next message to a session; its report.
    pub(crate) async fn send(&self, session: &str, message: &str, wait_seconds: u64) -> Value {
        let arguments =
            json!({"session_id": session, "message": message, "wait_seconds": wait_seconds});
        self.call("send_message", arguments).await.ok()
    }

    /// How the server introduced itself.
    pub(crate) fn server(&self) -> ServerPeerInfo {
        self.running
            .peer_info()
            .expect("an introduction")
            .as_ref()
            .clone()
    }
}

impl Called {
    /// The facts of a call that succeeded.
    pub(crate) fn ok(self) -> Value {
        assert!(!self.is_error, "{}", self.text);
        self.structured
    }

    /// The words of a call that failed.
    pub(crate) fn err(self) -> String {
        assert!(self.is_error, "it succeeded: {}", self.text);
        self.text
    }

    /// Checks how long it took.
    pub(crate) fn within(self, most: Duration) -> Called {
        assert!(self.took <= most, "took {:?}: {}", self.took, self.text);
        self
    }
}

/// Parameters of a request of protocol 2026-07-28, which greets nobody.
pub(crate) fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "pipe", "version": "1"},
    });
    params
}

/// Characters.
pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

/// The session id of a report.
pub(crate) fn session(report: &Value) -> String {
    report["session_id"].as_str().unwrap().to_owned()
}

/// The reply of a report.
pub(crate) fn reply(report: &Value) -> &str {
    report["reply"]
        .as_str()
        .unwrap_or_else(|| panic!("no reply: {report}"))
}

/// The ids of what is pending in a report.
pub(crate) fn pending(report: &Value) -> Vec<String> {
    let pending = report["pending"].as_array().unwrap().iter();
    pending
        .map(|entry| entry["event_id"].as_str().unwrap().to_owned())
        .collect()
}

/// A process whose pipes are held by hand.
pub(crate) struct Pipe {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    pub(crate) stderr: Said,
    /// Messages that came before the one that was waited for.
    pub(crate) aside: Vec<Value>,
    next_id: u64,
}

impl Pipe {
    /// Greets as a client of protocol 2025-06-18; returns the answer.
    pub(crate) async fn initialize(&mut self) -> Value {
        self.initialize_with(json!({})).await
    }

    /// The same, with these capabilities.
    pub(crate) async fn initialize_with(&mut self, capabilities: Value) -> Value {
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": {"name": "pipe", "version": "1"},
        });
        let id = self.request("initialize", hello).await;
        let answer = self.reply(id).await;
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.send(&done).await;
        answer
    }

    /// Sends a request; returns its id.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    /// Sends a request and returns its result or its error.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let mut answer = self.reply(id).await;
        if answer["error"].is_null() {
            answer["result"].take()
        } else {
            answer
        }
    }

    /// Calls a tool, without waiting for its answer; returns the request's id.
    pub(crate) async fn tool(&mut self, name: &str, arguments: Value) -> u64 {
        self.request("tools/call", json!({"name": name, "arguments": arguments}))
            .await
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.line(&message.to_string()).await;
    }

    /// Sends a line as it stands.
    pub(crate) async fn line(&mut self, line: &str) {
        self.text(line).await;
        self.text("\n").await;
    }

    /// Writes without ending the line.
    pub(crate) async fn text(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("an open stdin");
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// The next line, which may hold several messages.
    pub(crate) async fn any_line(&mut self) -> Value {
        let lines = self.lines.as_mut().expect("an open stdout");
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("a line in time")
            .unwrap()
            .expect("a line before the end");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }

    /// The next message; nothing at the end of the output. Every line must be one of JSON-RPC.
    pub(crate) async fn receive(&mut self) -> Option<Value> {
        let lines = self.lines.as_mut().expect("an open stdout");
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("a line in time")
            .unwrap()?;
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    /// Sends many requests without waiting, and returns an answer for each, as they come.
    pub(crate) async fn flood(&mut self, requests: Vec<Value>) -> Vec<Value> {
        let count = requests.len();
        let mut stdin = self.stdin.take().expect("an open stdin");
        let sending = tokio::spawn(async move {
            for request in requests {
                let line = format!("{request}\n");
                stdin.write_all(line.as_bytes()).await.unwrap();
            }
            stdin
        });
        let mut answers = Vec::new();
        while answers.len() < count {
            answers.push(self.receive().await.expect("an answer before the end"));
        }
        self.stdin = Some(sending.await.unwrap());
        answers
    }

    /// The answer to a request; what comes before is laid aside.
    pub(crate) async fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.receive().await.expect("an answer before the end");
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.aside.push(message);
        }
    }

    /// The answer to a request, which must come soon.
    pub(crate) async fn reply_within(&mut self, id: u64, most: Duration) -> Value {
        let began = Instant::now();
        let reply = self.reply(id).await;
        assert!(began.elapsed() <= most, "took {:?}", began.elapsed());
        reply
    }

    /// The most memory that the process ever had, in bytes; Linux only.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = format!(
            "/proc/{}/status",
            self.child.id().expect("a living process")
        );
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("a living process")
    }

    /// Closes the binary's stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Closes the binary's stdout on our side.
    pub(crate) fn stop_listening(&mut self) {
        self.lines = None;
    }

    /// Asks for something, which may fail; whether the process has ended.
    pub(crate) async fn has_ended_when_asked(&mut self) -> bool {
        let ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(ping.as_bytes()).await;
            let _ = stdin.flush().await;
        }
        self.child.try_wait().unwrap().is_some()
    }

    /// How the process ended, which it must do soon: at once, but for what else a busy machine does.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        timeout(Duration::from_secs(10), self.child.wait())
            .await
            .expect("the process should have ended")
            .unwrap()
    }
}
