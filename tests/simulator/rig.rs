//! One simulator and a plain HTTP client for it.

use std::time::{Duration, Instant};

use managed_agents_mcp::simulator::{Options, Simulator};
use reqwest::{Method, Response};
use serde_json::{Value, json};

pub(crate) const BETA: &str = "managed-agents-2026-04-01";

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
    pub(crate) agent: String,
    pub(crate) environment: String,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::paced(Duration::from_millis(1)).await
    }

    pub(crate) async fn paced(pace: Duration) -> Self {
        let options = Options {
            pace,
            heartbeat: Duration::from_millis(40),
            deliverables_after: Duration::ZERO,
            ..Options::default()
        };
        Self::with(options).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let key = options.key.clone();
        let simulator = Simulator::start(options).await.unwrap();
        let mut rig = Self {
            simulator,
            http,
            agent: String::new(),
            environment: String::new(),
        };
        if key.is_none() {
            let tools = json!([{"type": "agent_toolset_20260401"}]);
            rig.agent = rig.agent_with(tools).await;
            let environment = rig.post("/v1/environments", json!({"name": "usual"})).await;
            rig.environment = environment["id"].as_str().unwrap().to_owned();
        }
        rig
    }

    pub(crate) async fn agent_with(&self, tools: Value) -> String {
        let agent = json!({"name": "Tester", "model": "claude-sonnet-5-5", "tools": tools});
        self.post("/v1/agents", agent).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.simulator.base_url());
        let request = self
            .http
            .request(method, url)
            .header("x-api-key", "sk-test");
        request
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", beta_of(path))
    }

    /// An answer of any kind to a request that was finished by hand.
    pub(crate) async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A form with these parts: name, further parameters and headers, content.
    pub(crate) async fn form(&self, parts: &[(&str, &str, &[u8])]) -> (u16, Value) {
        let mut body = Vec::new();
        for (name, more, content) in parts {
            let head = format!(
                "--frontier\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n"
            );
            body.extend(head.as_bytes());
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"--frontier--\r\n");
        let request = self.request(Method::POST, "/v1/files").body(body);
        let kind = "multipart/form-data; boundary=frontier";
        self.answer(request.header("content-type", kind)).await
    }

    /// The id of a new resource.
    pub(crate) async fn made(&self, path: &str, body: Value) -> String {
        let made = self.post(path, body).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The id of a new file.
    pub(crate) async fn upload(&self, name: &str, content: &[u8]) -> String {
        let more = format!("; filename=\"{name}\"\r\nContent-Type: text/plain");
        let (status, file) = self.form(&[("file", &more, content)]).await;
        assert_eq!(status, 200, "{file}");
        file["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert!(
            response.headers().contains_key("request-id"),
            "every response has a request id"
        );
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "POST {path}: {answer}");
        answer
    }

    /// The status and message of a refusal.
    pub(crate) async fn refusal(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, String) {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(answer["type"], "error", "{answer}");
        assert!(
            answer["request_id"]
                .as_str()
                .unwrap()
                .starts_with("req_011")
        );
        (
            status,
            answer["error"]["message"].as_str().unwrap().to_owned(),
        )
    }

    pub(crate) async fn session(&self) -> String {
        self.session_with(json!({})).await
    }

    pub(crate) async fn session_with(&self, more: Value) -> String {
        let mut body = json!({"agent": self.agent, "environment_id": self.environment});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.post("/v1/sessions", body).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn send(&self, session: &str, event: Value) -> Value {
        self.post(
            &format!("/v1/sessions/{session}/events"),
            json!({"events": [event]}),
        )
        .await["data"][0]
            .clone()
    }

    pub(crate) async fn events(&self, session: &str) -> Vec<Value> {
        self.get(&format!("/v1/sessions/{session}/events")).await["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Polls the list until it satisfies `done`.
    pub(crate) async fn until(&self, session: &str, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let events = self.events(session).await;
            if done(&events) {
                return events;
            }
            assert!(
                Instant::now() < deadline,
                "never came true; the log is {:#?}",
                kinds(&events)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the n-th idle event.
    pub(crate) async fn idle(&self, session: &str, nth: usize) -> Vec<Value> {
        self.until(session, |events| idles(events).len() >= nth)
            .await
    }

    /// A new session in which this was said and the turn is over.
    pub(crate) async fn told(&self, text: &str) -> (String, Vec<Value>) {
        let session = self.session().await;
        self.send(&session, said(text)).await;
        let events = self.idle(&session, 1).await;
        (session, events)
    }

    /// Waits until the status that can be read is this one.
    pub(crate) async fn status(&self, session: &str, wanted: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let found = self.get(&format!("/v1/sessions/{session}")).await;
            if found["status"] == wanted {
                return found;
            }
            assert!(Instant::now() < deadline, "still {}", found["status"]);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stream(&self, session: &str) -> Stream {
        self.stream_at(&format!("/v1/sessions/{session}/events/stream"))
            .await
    }

    pub(crate) async fn stream_at(&self, path: &str) -> Stream {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Stream {
            response,
            bytes: Vec::new(),
        }
    }
}

fn beta_of(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/v1/files") && path.contains("scope_id") => {
            "managed-agents-2026-04-01,files-api-2025-04-14"
        }
        path if path.starts_with("/v1/files") => "files-api-2025-04-14",
        path if path.starts_with("/v1/memory_stores") => "agent-memory-2026-07-22",
        _ => BETA,
    }
}

/// The bytes of an open stream so far.
pub(crate) struct Stream {
    response: Response,
    pub(crate) bytes: Vec<u8>,
}

/// How reading a stream came to an end.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// What was waited for has come.
    Found,
    /// The server ended it properly.
    Closed,
    /// The connection broke.
    Broken,
    /// Nothing came for a while.
    Silent,
}

impl Stream {
    pub(crate) async fn read_until(
        &mut self,
        patience: Duration,
        done: impl Fn(&str) -> bool,
    ) -> End {
        loop {
            if done(&String::from_utf8_lossy(&self.bytes)) {
                return End::Found;
            }
            match tokio::time::timeout(patience, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.bytes.extend_from_slice(&chunk),
                Ok(Ok(None)) => return End::Closed,
                Ok(Err(_)) => return End::Broken,
                Err(_) => return End::Silent,
            }
        }
    }

    /// Reads up to the end of the turn.
    pub(crate) async fn turn(&mut self) -> Vec<Value> {
        let end = self
            .read_until(Duration::from_secs(5), |text| {
                text.contains("\"session.status_idle\"}")
            })
            .await;
        assert_eq!(end, End::Found);
        self.events()
    }

    /// The events in the frames so far, heartbeats left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        events
            .filter(|event| event.is_object() && event["type"] != "ping")
            .collect()
    }
}

pub(crate) fn said(text: &str) -> Value {
    json!({"type": "user.message", "content": [{"type": "text", "text": text}]})
}

pub(crate) fn allow(id: &str) -> Value {
    json!({"type": "user.tool_confirmation", "tool_use_id": id, "result": "allow"})
}

pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

pub(crate) fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .collect()
}

pub(crate) fn idles(events: &[Value]) -> Vec<&Value> {
    of(events, "session.status_idle")
}

/// The stop reasons so far.
pub(crate) fn stops(events: &[Value]) -> Vec<&str> {
    idles(events)
        .iter()
        .map(|idle| idle["stop_reason"]["type"].as_str().unwrap())
        .collect()
}

/// The ids of the last announcement of what is pending.
pub(crate) fn pending(events: &[Value]) -> Vec<String> {
    let ids = idles(events).last().unwrap()["stop_reason"]["event_ids"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    ids.iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}

/// The texts of the agent's messages.
pub(crate) fn messages(events: &[Value]) -> Vec<&str> {
    of(events, "agent.message")
        .iter()
        .map(|event| event["content"][0]["text"].as_str().unwrap())
        .collect()
}
