//! Where requests go: to the API and nowhere else, whatever a server or an argument says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::rig::Rig;

/// Answers every request in the same way, and counts them.
struct Listener {
    url: String,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Listener {
    async fn start(answer: String) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 64 * 1024];
                    let _ = connection.read(&mut request).await;
                    let _ = connection.write_all(answer.as_bytes()).await;
                    let _ = connection.shutdown().await;
                });
            }
        });
        Listener {
            url,
            asked,
            serving,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn calls() -> [(&'static str, Value); 8] {
    [
        (
            "create_session",
            json!({"message": "go", "agent": "agent_01x", "environment": "env_01x"}),
        ),
        (
            "send_message",
            json!({"session_id": "sesn_01x", "message": "go"}),
        ),
        (
            "get_status",
            json!({"session_ids": ["sesn_01x"], "wait_seconds": 1}),
        ),
        (
            "get_events",
            json!({"session_id": "sesn_01x", "wait_seconds": 1}),
        ),
        ("list_agents", json!({})),
        ("create_agent", json!({"name": "a"})),
        (
            "close_session",
            json!({"session_id": "sesn_01x", "mode": "delete"}),
        ),
        ("list_files", json!({"session_id": "sesn_01x"})),
    ]
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere_and_the_key_stays_here() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere =
            Listener::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
        let here = Listener::start(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}/v1/sessions\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            elsewhere.url
        ))
        .await;
        let rig = Rig::start().await;
        let client = rig.client_through(&here.url).await;
        for (tool, arguments) in calls() {
            let text = client.call(tool, arguments).await.err();
            assert!(
                text.contains("never followed") && text.contains("Next:"),
                "{tool}: {text}"
            );
        }
        assert!(here.asked() >= calls().len(), "{}", here.asked());
        assert_eq!(elsewhere.asked(), 0, "{status}");
    }
}

#[tokio::test]
async fn what_answers_in_place_of_the_api_is_not_taken_for_it() {
    const PAGE: &str = "<html>Please log in</html>";
    const OTHER: &str = r#"{"error":{"message":"Invalid URL","type":"not_found_error"}}"#;
    for (status, kind, body) in [
        ("200 OK", "text/html", PAGE),
        ("401 Unauthorized", "text/html", PAGE),
        ("403 Forbidden", "text/html", PAGE),
        ("400 Bad Request", "text/html", PAGE),
        ("404 Not Found", "application/json", OTHER),
        ("404 Not Found", "text/plain", "Not Found"),
    ] {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let here = Listener::start(answer).await;
        let rig = Rig::start().await;
        let client = rig.client_through(&here.url).await;
        for (tool, arguments) in [
            ("list_agents", json!({})),
            (
                "create_session",
                json!({"message": "go", "agent": "agent_01x", "environment": "env_01x", "wait_seconds": 1}),
            ),
        ] {
            let text = client.call(tool, arguments).await.err();
            let next = text.split("Next: ").nth(1).unwrap_or_default();
            assert!(
                next.starts_with("this is not the API's answer"),
                "{tool}: {text}"
            );
            assert!(next.contains("doctor"), "{tool}: {text}");
        }
    }
}

#[tokio::test]
async fn an_address_that_an_agent_is_given_is_passed_on_and_not_visited() {
    let elsewhere =
        Listener::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
    let rig = Rig::start().await.set("GITHUB_TOKEN", "ghp_canary5d20b8");
    let client = rig.client().await;
    let host = elsewhere.url.trim_start_matches("http://");
    let url = format!("https://{host}/o/r");
    let arguments = json!({
        "name": "a", "mcp_servers": [{"name": "m", "url": format!("https://{host}/mcp")}],
    });
    client.call("create_agent", arguments).await.ok();
    let arguments = json!({
        "message": "go", "agent": "a", "repositories": [{"url": url}], "wait_seconds": 20,
    });
    client.call("create_session", arguments).await.ok();
    let passed = rig.bodies("POST", "/v1/sessions").remove(0).to_string();
    assert!(
        passed.contains(&url) && !passed.contains("canary"),
        "{passed}"
    );
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn no_argument_changes_where_requests_go() {
    let elsewhere =
        Listener::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned()).await;
    let rig = Rig::start().await;
    let client = rig.client().await;
    for tool in &client.tools {
        let properties = json!(tool.input_schema)["properties"].clone();
        for name in properties
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            assert!(
                !name.contains("base_url") && !name.contains("host_url") && name != "api_url",
                "{}: {name}",
                tool.name
            );
        }
    }
    for address in [&*elsewhere.url, "//127.0.0.1", "..", "@127.0.0.1", "a?b#c"] {
        for (tool, arguments) in [
            ("get_status", json!({"session_ids": [address]})),
            ("get_agent", json!({"agent": address})),
            ("get_events", json!({"session_id": address})),
            ("close_session", json!({"session_id": address})),
        ] {
            client.call(tool, arguments).await.err();
        }
    }
    assert_eq!(elsewhere.asked(), 0);
    let strange = rig
        .requests()
        .into_iter()
        .find(|request| !request.path.starts_with("/v1/agents"));
    assert!(strange.is_none(), "{strange:?}");
}
