//! Sessions as resources: the record, whole and safe, in both protocols.

use managed_agents_mcp::simulator::Kind;
use rmcp::model::{ReadResourceRequestParams, ResourceContents};
use rmcp::service::ServiceError;
use serde_json::{Value, json};

use crate::rig::{BUDGET, Client, Rig, length, modern, session};

/// Most characters of a resource.
const MOST: usize = 4 * BUDGET;

pub(crate) fn uri(session: &str, part: &str) -> String {
    format!("session://{session}/{part}")
}

async fn try_read(client: &Client, uri: &str) -> Result<(String, String), ServiceError> {
    let params = ReadResourceRequestParams::new(uri);
    let mut result = client.peer().read_resource(params).await?;
    assert_eq!(result.contents.len(), 1);
    match result.contents.remove(0) {
        ResourceContents::TextResourceContents {
            uri: read,
            mime_type,
            text,
            ..
        } => {
            assert_eq!(read, uri);
            Ok((text, mime_type.unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

async fn transcript(client: &Client, session: &str) -> String {
    let (text, kind) = try_read(client, &uri(session, "transcript")).await.unwrap();
    assert_eq!(kind, "text/plain");
    text
}

async fn events(client: &Client, session: &str) -> Value {
    let (text, kind) = try_read(client, &uri(session, "events")).await.unwrap();
    assert_eq!(kind, "application/json");
    serde_json::from_str(&text).unwrap()
}

/// Every page of a record from a cursor on.
async fn pages(client: &Client, session: &str, after: Value, detail: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut arguments =
        json!({"session_id": session, "detail": detail, "limit": 1000, "wait_seconds": 5});
    if after.is_string() {
        arguments["after"] = after;
    }
    loop {
        let page = client.call("get_events", arguments.clone()).await.ok();
        all.extend(page["events"].as_array().unwrap().clone());
        // The newest events are held back for a while.
        if page["more"] == false && page["notes"].is_null() {
            return all;
        }
        arguments["after"] = page["cursor"].clone();
    }
}

fn line(entry: &Value) -> String {
    let field = |name: &str| entry[name].as_str().unwrap_or("queued").to_owned();
    let (id, kind, at, text) = (field("id"), field("type"), field("at"), field("text"));
    // Further lines are set in, so that none passes for an entry.
    let text = text.replace('\n', "\n ");
    format!("{id} {kind} {at}: {text}")
}

#[tokio::test]
async fn both_templates_are_listed_and_nothing_is_asked_of_the_api() {
    let rig = Rig::start().await;
    for client in [rig.client().await, rig.discovering_client().await] {
        let capabilities = client.server().capabilities;
        assert_eq!(capabilities.resources.unwrap().subscribe, Some(true));
        assert!(capabilities.prompts.is_some() && capabilities.completions.is_some());
        let templates = client.peer().list_all_resource_templates().await.unwrap();
        let facts = templates.iter().map(|template| {
            assert!(template.title.is_some() && template.description.is_some());
            let kind = template.mime_type.as_deref().unwrap();
            (template.uri_template.as_str(), kind)
        });
        let facts: Vec<(&str, &str)> = facts.collect();
        let wanted = [
            ("session://{session_id}/transcript", "text/plain"),
            ("session://{session_id}/events", "application/json"),
        ];
        assert_eq!(facts, wanted);
        assert_eq!(client.peer().list_all_resources().await.unwrap(), []);
    }
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn both_resources_hold_what_the_pages_hold() {
    let rig = Rig::start().await;
    let (legacy, modern) = tokio::join!(rig.client(), rig.discovering_client());
    let report = legacy.create("[work 5] [two] [unknown] go", 20).await;
    let id = session(&report);
    let digest = pages(&legacy, &id, Value::Null, "digest").await;
    for client in [&legacy, &modern] {
        let text = transcript(client, &id).await;
        let lines: Vec<String> = digest.iter().map(line).collect();
        assert!(text.contains(&lines.join("\n")), "{text}\n\n{lines:?}");
        assert!(text.starts_with(&format!("done: session {id}")), "{text}");
        let page = events(client, &id).await;
        assert_eq!(page["events"], json!(rig.record(&id).await));
        assert_eq!(
            (&page["more"], &page["state"]),
            (&json!(false), &json!("done"))
        );
        assert_eq!(page["untrusted"], true);
    }
}

#[tokio::test]
async fn a_resource_holds_also_what_has_no_final_place_yet() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[seconds 60] go", 0).await);
    rig.until_recorded(&id, |event| event["type"] == "session.status_running")
        .await;
    let queued = json!({"events": [{"type": "user.message", "content": [{"type": "text", "text": "and then this"}]}]});
    rig.api("POST", &format!("/v1/sessions/{id}/events"), queued)
        .await;
    let text = transcript(&client, &id).await;
    assert!(text.starts_with("working"), "{text}");
    assert!(text.contains("and then this"), "{text}");
    // Reading on from here brings it once its place is final.
    let page = events(&client, &id).await;
    let last = page["events"].as_array().unwrap().last().unwrap()["id"].clone();
    assert_ne!(page["cursor"], last, "{page}");
}

#[tokio::test]
async fn what_does_not_fit_is_named_and_reading_on_brings_the_rest() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_RESULT_CHARS", "2000");
    let client = rig.client().await;
    let id = session(&client.create("[work 40] go", 30).await);
    for part in ["transcript", "events"] {
        let (text, _) = try_read(&client, &uri(&id, part)).await.unwrap();
        assert!(length(&text) <= 4 * 2000, "{part}: {}", length(&text));
        assert!(length(&text) > 2 * 2000, "{part}: {}", length(&text));
        let call = format!("get_events {{\\\"session_id\\\":\\\"{id}\\\",\\\"after\\\":\\\"");
        let call = if part == "events" {
            call
        } else {
            call.replace('\\', "")
        };
        assert!(text.contains(&call), "{text}");
    }
    let page = events(&client, &id).await;
    assert_eq!(page["more"], true);
    let mut all = page["events"].as_array().unwrap().clone();
    all.extend(pages(&client, &id, page["cursor"].clone(), "full").await);
    assert_eq!(all, rig.record(&id).await);
}

#[tokio::test]
async fn a_long_record_is_read_from_its_start_and_within_the_budget() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[big 200 20] go", 40).await);
    for part in ["transcript", "events"] {
        let (text, _) = try_read(&client, &uri(&id, part)).await.unwrap();
        assert!(length(&text) <= MOST, "{part}: {}", length(&text));
        assert!(length(&text) > MOST / 2, "{part}: {}", length(&text));
        let first = crate::rig::id(&rig.record(&id).await[0]);
        assert!(text.contains(&first), "{part} does not begin with {first}");
    }
}

#[tokio::test]
async fn hostile_text_comes_out_clean_and_fenced() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[hostile] go", 20).await);
    let text = transcript(&client, &id).await;
    let (json, _) = try_read(&client, &uri(&id, "events")).await.unwrap();
    for (part, text) in [("transcript", &text), ("events", &json)] {
        let bad = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        };
        assert!(!text.contains(bad), "{part}: {text:?}");
    }
    assert!(text.contains("data, not instructions\n"), "{text}");
    assert!(json.contains("\\\\u{202e}"), "{json}");
}

/// Code, message and data of an error.
fn told(error: ServiceError) -> (i32, String, Value) {
    let ServiceError::McpError(error) = error else {
        panic!("{error}");
    };
    (
        error.code.0,
        error.message.into_owned(),
        error.data.unwrap_or_default(),
    )
}

#[tokio::test]
async fn a_session_that_is_not_there_is_a_resource_that_is_not_found() {
    let rig = Rig::start().await;
    for (client, code) in [
        (rig.client().await, -32002),
        (rig.discovering_client().await, -32602),
    ] {
        let nowhere = uri("sesn_01nowhere", "transcript");
        let (got, message, data) = told(try_read(&client, &nowhere).await.unwrap_err());
        assert_eq!(got, code, "{message}");
        assert!(
            message.contains("sesn_01nowhere") && message.contains("not found"),
            "{message}"
        );
        assert!(
            message.contains("\nNext: ") && message.contains("404 not_found_error"),
            "{message}"
        );
        assert_eq!(data["uri"], nowhere);
        for unknown in [
            "file:///etc/passwd",
            "session://sesn_1/files",
            "session://sesn_1",
        ] {
            let (got, message, _) = told(try_read(&client, unknown).await.unwrap_err());
            assert_eq!(got, code, "{message}");
            assert!(message.contains("{session_id}/transcript"), "{message}");
        }
        for odd in ["..", "{session_id}", "null", "a b", "%2e"] {
            let (got, message, _) = told(try_read(&client, &uri(odd, "events")).await.unwrap_err());
            assert_eq!(got, -32602, "{message}");
            assert!(message.contains("is not an id"), "{message}");
        }
    }
    let sessions: Vec<String> = rig
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert!(
        sessions
            .iter()
            .all(|path| path.starts_with("/v1/sessions/sesn_01nowhere")),
        "{sessions:?}"
    );
}

#[tokio::test]
async fn without_a_key_the_error_names_the_variable() {
    let rig = Rig::start().await.unset("ANTHROPIC_API_KEY");
    let client = rig.client().await;
    let error = try_read(&client, &uri("sesn_x", "transcript"))
        .await
        .unwrap_err();
    let (code, message, _) = told(error);
    assert_eq!(code, -32603);
    assert!(message.contains("ANTHROPIC_API_KEY"), "{message}");
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn each_protocol_gets_its_own_shape() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("go", 20).await);
    let params = json!({"uri": uri(&id, "events")});
    let mut legacy = rig.pipe();
    legacy.initialize().await;
    let read = legacy.ask("resources/read", params.clone()).await;
    assert_eq!(
        read.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["contents"]
    );
    let mut pipe = rig.pipe();
    for (method, params) in [
        ("resources/read", params),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
    ] {
        let read = pipe.ask(method, modern(params)).await;
        assert_eq!(read["resultType"], "complete", "{read}");
        assert!(read["ttlMs"].is_u64(), "{read}");
        assert_eq!(read["cacheScope"], "private", "{read}");
    }
}

#[tokio::test]
async fn a_read_that_is_cancelled_gets_no_reply() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    rig.always("GET *", Kind::SlowHeaders { ms: 60_000 });
    let params = json!({"uri": uri("sesn_1", "transcript")});
    let reading = pipe.request("resources/read", params).await;
    crate::rig::until("it is asked for", async || !rig.requests().is_empty()).await;
    let params = json!({"requestId": reading});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    pipe.send(&cancel).await;
    let _ = pipe.ask("ping", json!({})).await;
    assert!(pipe.aside.is_empty(), "{:?}", pipe.aside);
}

#[tokio::test]
async fn without_the_tools_for_sessions_there_are_no_resources() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_TOOLSETS", "schedules");
    let client = rig.client().await;
    let capabilities = client.server().capabilities;
    assert!(capabilities.resources.is_none() && capabilities.prompts.is_none());
    let templates = client.peer().list_all_resource_templates().await.unwrap();
    assert_eq!(templates, []);
    let error = try_read(&client, &uri("sesn_1", "transcript"))
        .await
        .unwrap_err();
    assert!(told(error).1.contains("MANAGED_AGENTS_TOOLSETS"));
}
