//! Lists without end, of items that say almost nothing, and words that hardly end: what is remembered of them is bounded as
//! well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::rig::Rig;

/// Items of a page; the reader takes no more than 10,000.
const ITEMS: usize = 9_990;
/// How long a call waits, where it can.
const WAIT: u64 = 8;

/// A server whose lists go on for ever, made of what `item` says for each number.
async fn serve(item: fn(usize) -> String) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pages = Arc::new(AtomicUsize::new(0));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let pages = Arc::clone(&pages);
            tokio::spawn(answer(connection, pages, item));
        }
    });
    (url, serving)
}

async fn answer(
    mut connection: TcpStream,
    pages: Arc<AtomicUsize>,
    item: fn(usize) -> String,
) -> std::io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    loop {
        let count = connection.read(&mut request).await?;
        if count == 0 {
            return Ok(());
        }
        let asked = String::from_utf8_lossy(&request[..count]).into_owned();
        let path = asked.split([' ', '?']).nth(1).unwrap_or_default();
        let (status, body) = match path.rsplit('/').next().unwrap_or_default() {
            "stream" => (503, String::new()),
            "events" | "agents" | "files" => (200, page(&pages, item)),
            _ => (
                200,
                json!({"id": "sesn_1", "status": "running"}).to_string(),
            ),
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection
            .write_all(format!("{head}{body}").as_bytes())
            .await?;
        // Without end need not be without a pause: the other tests want some of the processor.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn page(pages: &AtomicUsize, item: fn(usize) -> String) -> String {
    let page = pages.fetch_add(1, Ordering::Relaxed);
    let items: Vec<String> = (0..ITEMS).map(|at| item(page * ITEMS + at)).collect();
    format!(
        "{{\"data\":[{}],\"next_page\":\"p{page}\"}}",
        items.join(",")
    )
}

/// The words of an answer, and how many bytes of memory it took.
async fn cost(tool: &str, arguments: Value, item: fn(usize) -> String) -> (String, u64) {
    let (url, _serving) = serve(item).await;
    let rig = Rig::start().await;
    let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
    pipe.initialize().await;
    let before = pipe.peak_memory();
    let call = pipe.tool(tool, arguments).await;
    let reply = pipe.reply_within(call, Duration::from_secs(55)).await;
    let text = reply["result"]["content"][0]["text"].as_str().unwrap();
    (text.to_owned(), pipe.peak_memory() - before)
}

#[tokio::test]
async fn lists_without_end_of_what_says_almost_nothing_are_read_in_little_memory() {
    type Case = (&'static str, Value, fn(usize) -> String, &'static str);
    let cases: [Case; 4] = [
        (
            "get_status",
            json!({"session_ids": ["sesn_1"], "wait_seconds": WAIT}),
            |number| {
                let call = "x".repeat(200);
                format!(
                    r#"{{"id":"e{number}","type":"agent.tool_result","tool_use_id":"{call}{number}"}}"#
                )
            },
            "sesn_1",
        ),
        (
            "get_events",
            json!({"session_id": "sesn_1", "after": "sevt_gone", "wait_seconds": WAIT}),
            |number| format!(r#"{{"id":"e{number}"}}"#),
            "Next:",
        ),
        (
            "create_session",
            json!({"agent": "some name", "environment": "env_1", "message": "go", "wait_seconds": 30}),
            |number| {
                let words = "x".repeat(300);
                format!(r#"{{"id":"agent_{number}","name":"{number}","description":"{words}"}}"#)
            },
            "agent",
        ),
        (
            "list_files",
            json!({"session_id": "sesn_1"}),
            |number| {
                let name = "x".repeat(300);
                format!(r#"{{"id":"file_{number}","filename":"{name}"}}"#)
            },
            "file_0",
        ),
    ];
    let costs = cases.map(async |(tool, arguments, item, says)| {
        let (text, grown) = cost(tool, arguments, item).await;
        assert!(text.contains(says), "{tool}: {text}");
        (tool, grown)
    });
    for (tool, grown) in join_all(costs).await {
        assert!(grown < 40_000_000, "{tool}: {grown}");
    }
}

#[tokio::test]
async fn what_no_parser_reads_to_its_end_hides_no_weight() {
    let heavy = |number: usize| match number % ITEMS {
        0 => format!(
            r#"{{"x":"\ud800","id":"e","type":"session.status_idle","processed_at":[{}7]}}"#,
            "[],".repeat(3_000_000)
        ),
        number => format!(r#"{{"id":"e{number}"}}"#),
    };
    let arguments = json!({"session_id": "sesn_1", "wait_seconds": 40});
    let (text, grown) = cost("get_events", arguments, heavy).await;
    assert!(text.contains("more than 300000 values"), "{text}");
    assert!(grown < 40_000_000, "{grown}");
}

/// Words that can be told apart by their place.
fn words() -> String {
    (0..1_000_000)
        .map(|number| format!("{number:07} "))
        .collect()
}

/// A server on which every session ended with very many words.
async fn verbose() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let at = |second: u32| format!("2026-11-01T10:00:0{second}Z");
    let content = json!([{"type": "text", "text": words()}]);
    let events = json!([
        {"id": "sevt_3", "type": "session.status_idle", "processed_at": at(2), "stop_reason": {"type": "end_turn"}},
        {"id": "sevt_2", "type": "agent.message", "processed_at": at(1), "content": content},
        {"id": "sevt_1", "type": "user.message", "processed_at": at(0), "content": [{"type": "text", "text": "go"}]},
    ]);
    let events = Arc::new(json!({"data": events, "next_page": null}).to_string());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let events = Arc::clone(&events);
            tokio::spawn(async move {
                let mut request = vec![0; 16 * 1024];
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|count| count > 0)
                {
                    let asked = String::from_utf8_lossy(&request).into_owned();
                    let path = asked.split([' ', '?']).nth(1).unwrap_or_default();
                    let session = json!({"id": "sesn_1", "status": "idle"}).to_string();
                    let (status, body) = match path.rsplit('/').next().unwrap_or_default() {
                        "stream" => (503, ""),
                        "events" => (200, events.as_str()),
                        _ => (200, session.as_str()),
                    };
                    let head = format!(
                        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    let _ = connection.write_all(head.as_bytes()).await;
                    let _ = connection.write_all(body.as_bytes()).await;
                }
            });
        }
    });
    (url, serving)
}

#[tokio::test]
async fn of_many_sessions_that_said_very_much_the_beginnings_are_kept_and_the_rest_can_be_read() {
    let (url, _serving) = verbose().await;
    let rig = Rig::start().await;
    let mut pipe = rig.pipe_with("ANTHROPIC_BASE_URL", &url);
    pipe.initialize().await;
    let before = pipe.peak_memory();
    let ids: Vec<String> = (0..10).map(|number| format!("sesn_{number}")).collect();
    let arguments = json!({"session_ids": ids, "wait_seconds": 40, "until": "all"});
    let call = pipe.tool("get_status", arguments).await;
    let stands = pipe.reply(call).await["result"]["structuredContent"].take();
    let grown = pipe.peak_memory() - before;
    assert_eq!(stands["failures"], json!([]));
    let report = &stands["sessions"][0];
    assert_eq!(report["state"], "done", "{stands}");
    let (said, whole) = (report["reply"].as_str().unwrap(), words());
    assert!(whole.starts_with(said), "{said}");
    // The call that is named reads on where the reply ends.
    let omitted = report["omitted"].as_str().unwrap();
    assert!(
        omitted.contains(&format!("after its first {} characters", said.len())),
        "{omitted}"
    );
    let from = omitted.find("{\"session_id\"").unwrap();
    let mut named = serde_json::Deserializer::from_str(&omitted[from..]).into_iter::<Value>();
    let mut named = named.next().unwrap().unwrap();
    // A busy machine takes its time for megabytes.
    named["wait_seconds"] = json!(40);
    let call = pipe.tool("get_events", named).await;
    let answer = pipe.reply(call).await;
    let page = &answer["result"]["structuredContent"];
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    let rest = page["events"][0]["text"].as_str().unwrap();
    assert!(whole[said.len()..].starts_with(rest), "{rest}");
    let omitted = page["omitted"].as_str().unwrap();
    assert!(
        omitted.contains(&format!("to {}", whole.len())),
        "{omitted}"
    );
    assert!(grown < 60_000_000, "{grown}");
}
