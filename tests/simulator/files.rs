//! Files: uploaded, mounted, and delivered by the agent.

use std::time::Duration;

use managed_agents_mcp::simulator::{Fault, Kind, Options};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::rig::{Rig, idles, pending, said};

const AS_TEXT: &str = "; filename=\"notes.txt\"\r\nContent-Type: text/plain";

async fn names(rig: &Rig, session: &str) -> Vec<String> {
    let path = format!("/v1/files?scope_id={session}&limit=1000");
    let list = rig.get(&path).await["data"].as_array().unwrap().clone();
    let name = |file: &Value| file["filename"].as_str().unwrap().to_owned();
    list.iter().rev().map(name).collect()
}

/// The only file of a session.
async fn delivered(rig: &Rig, session: &str) -> Value {
    let list = rig.get(&format!("/v1/files?scope_id={session}")).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    list["data"][0].clone()
}

async fn download(rig: &Rig, file: &Value) -> Response {
    let path = format!("/v1/files/{}/content", file["id"].as_str().unwrap());
    rig.request(Method::GET, &path).send().await.unwrap()
}

#[tokio::test]
async fn an_upload_is_described_listed_and_deleted_but_not_given_back() {
    let rig = Rig::start().await;
    let parts: [(&str, &str, &[u8]); 2] = [
        ("file", AS_TEXT, b"four"),
        ("expires_in_seconds", "", b"3600"),
    ];
    let (status, file) = rig.form(&parts).await;
    assert_eq!(status, 200, "{file}");
    assert_eq!(
        (&file["filename"], &file["mime_type"]),
        (&json!("notes.txt"), &json!("text/plain"))
    );
    assert_eq!(
        (&file["size_bytes"], &file["downloadable"]),
        (&json!(4), &json!(false))
    );
    assert!(
        file["expires_at"].is_string() && file["scope"].is_null(),
        "{file}"
    );
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(rig.get(&path).await, file);
    assert_eq!(rig.get("/v1/files").await["data"], json!([file]));
    let (status, refused) = rig
        .call(Method::GET, &format!("{path}/content"), None)
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        refused["error"]["details"]["error_code"],
        "file_not_downloadable"
    );
    let (_, deleted) = rig.call(Method::DELETE, &path, None).await;
    assert_eq!(deleted["type"], "file_deleted");
    for gone in [path.clone(), format!("{path}/content")] {
        assert_eq!(rig.refusal(Method::GET, &gone, None).await.0, 404);
    }
}

#[tokio::test]
async fn a_form_that_is_not_quite_right_is_refused() {
    let rig = Rig::start().await;
    let file = ("file", AS_TEXT, &b"x"[..]);
    for (parts, word) in [
        (vec![], "file"),
        (vec![("fiel", AS_TEXT, &b"x"[..])], "fiel"),
        (vec![file, ("purpose", "", b"agent")], "purpose"),
        (
            vec![file, ("expires_in_seconds", "", b"60")],
            "expires_in_seconds",
        ),
        (vec![("file", "; filename=\"a?b\"", b"x")], "filename"),
    ] {
        let (status, refused) = rig.form(&parts).await;
        let why = refused["error"]["message"].as_str().unwrap();
        assert_eq!((status, why.contains(word)), (400, true), "{word}: {why}");
    }
    let json = rig.refusal(Method::POST, "/v1/files", Some(json!({})));
    assert_eq!(json.await.0, 400);
    let cut = rig
        .request(Method::POST, "/v1/files")
        .body("--frontier\r\n");
    let kind = "multipart/form-data; boundary=frontier";
    assert_eq!(rig.answer(cut.header("content-type", kind)).await.0, 400);
    assert_eq!(rig.get("/v1/files").await["data"], json!([]));
}

#[tokio::test]
async fn files_want_their_own_header_and_those_of_a_session_both() {
    let rig = Rig::start().await;
    for (path, betas, served) in [
        ("/v1/files", "managed-agents-2026-04-01", false),
        ("/v1/files", "files-api-2025-04-14", true),
        ("/v1/files?scope_id=sesn_1", "files-api-2025-04-14", false),
        (
            "/v1/files?scope_id=sesn_1",
            "managed-agents-2026-04-01",
            false,
        ),
        (
            "/v1/files?scope_id=sesn_1",
            "files-api-2025-04-14,managed-agents-2026-04-01",
            true,
        ),
    ] {
        let request = rig.http.get(format!("{}{path}", rig.simulator.base_url()));
        let request = request
            .header("x-api-key", "k")
            .header("anthropic-beta", betas);
        let status = rig
            .answer(request.header("anthropic-version", "2023-06-01"))
            .await
            .0;
        assert_eq!(
            status,
            if served { 200 } else { 404 },
            "{path} with {betas}"
        );
    }
}

#[tokio::test]
async fn a_file_beyond_the_limit_of_other_bodies_is_taken_and_no_request_keeps_it() {
    let rig = Rig::start().await;
    let content = vec![b'\r'; 40 << 20];
    let id = rig.upload("big.bin", &content).await;
    assert_eq!(
        rig.get(&format!("/v1/files/{id}")).await["size_bytes"],
        content.len()
    );
    let requests = rig.simulator.requests();
    let upload = requests.iter().find(|one| one.path == "/v1/files").unwrap();
    let part = json!({"name": "file", "filename": "big.bin", "content_type": "text/plain", "size": content.len()});
    assert_eq!(upload.body, json!({"multipart": [part]}));
}

#[tokio::test]
async fn files_are_paged_newest_first_or_picked_by_id() {
    let rig = Rig::start().await;
    let mut made = Vec::new();
    for place in 0..5 {
        made.push(rig.upload(&format!("{place}.txt"), b"x").await);
    }
    let mut walked = Vec::new();
    let mut path = "/v1/files?limit=2".to_owned();
    loop {
        let list = rig.get(&path).await;
        let files = list["data"].as_array().unwrap();
        walked.extend(
            files
                .iter()
                .map(|file| file["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = list["next_page"].as_str() else {
            break;
        };
        path = format!("/v1/files?limit=2&page={next}");
    }
    walked.reverse();
    assert_eq!(walked, made);
    let picked = format!("/v1/files?ids[]={}&ids[]=file_unknown", made[1]);
    assert_eq!(rig.get(&picked).await["data"][0]["filename"], "1.txt");
    for wrong in [
        format!("{picked}&limit=3"),
        "/v1/files?after_id=x".into(),
        "/v1/files?limit=1001".into(),
    ] {
        assert_eq!(
            rig.refusal(Method::GET, &wrong, None).await.0,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_mounted_file_is_a_copy_that_belongs_to_the_session() {
    let rig = Rig::start().await;
    let source = rig.upload("notes.txt", b"notes").await;
    let resource = json!({"type": "file", "file_id": source, "mount_path": "/mnt/notes"});
    let session = rig.session_with(json!({"resources": [resource]})).await;
    let path = format!("/v1/sessions/{session}/resources");
    let mounted = rig.get(&path).await["data"][0].clone();
    let copy = delivered(&rig, &session).await;
    assert_eq!(copy["id"], mounted["file_id"]);
    assert_ne!(copy["id"], json!(source));
    assert_eq!(copy["scope"], json!({"type": "session", "id": session}));
    assert_eq!(
        (&copy["size_bytes"], &copy["downloadable"]),
        (&json!(5), &json!(false))
    );
    let second = rig
        .post(&path, json!({"type": "file", "file_id": source}))
        .await;
    assert_eq!(names(&rig, &session).await, ["notes.txt", "notes.txt"]);
    let resource = format!("{path}/{}", second["id"].as_str().unwrap());
    rig.call(Method::DELETE, &resource, None).await;
    assert_eq!(names(&rig, &session).await.len(), 1);
    let unknown = json!({"type": "file", "file_id": "file_01unknown"});
    let start =
        json!({"agent": rig.agent, "environment_id": rig.environment, "resources": [unknown]});
    for (path, body) in [("/v1/sessions", start), (path.as_str(), unknown)] {
        let (status, why) = rig.refusal(Method::POST, path, Some(body)).await;
        assert_eq!(
            (status, why.contains("file_01unknown")),
            (404, true),
            "{why}"
        );
    }
}

#[tokio::test]
async fn what_the_agent_delivers_can_be_read() {
    let rig = Rig::start().await;
    let (session, _) = rig.told("[deliver 3]").await;
    assert_eq!(
        names(&rig, &session).await,
        ["result-1.txt", "result-2.txt", "result-3.txt"]
    );
    rig.send(&session, said("[outcome]")).await;
    rig.idle(&session, 2).await;
    let list = rig.get(&format!("/v1/files?scope_id={session}")).await;
    let file = &list["data"][0];
    assert_eq!(
        (&file["filename"], &file["downloadable"]),
        (&json!("result.md"), &json!(true))
    );
    let response = download(&rig, file).await;
    assert_eq!(response.headers()["content-type"], "text/markdown");
    assert_eq!(response.content_length(), file["size_bytes"].as_u64());
    assert!(response.text().await.unwrap().contains("(turn 2)"));
}

#[tokio::test]
async fn deliverables_can_be_listed_only_some_time_after_idle() {
    let late = Options {
        pace: Duration::ZERO,
        deliverables_after: Duration::from_secs(3600),
        ..Options::default()
    };
    let rig = Rig::with(late).await;
    let (session, _) = rig.told("[deliver]").await;
    assert_eq!(names(&rig, &session).await, [""; 0]);
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.send(&session, said("[deliver 9] [quiet 60]")).await;
    rig.until(&session, |events| {
        events
            .iter()
            .any(|event| event["type"] == "agent.tool_result")
    })
    .await;
    assert_eq!(names(&rig, &session).await, [""; 0], "it still works");
    rig.send(&session, json!({"type": "user.interrupt"})).await;
    rig.idle(&session, 1).await;
    assert!(
        names(&rig, &session)
            .await
            .contains(&"result-1.txt".to_owned())
    );
}

#[tokio::test]
async fn what_was_not_allowed_is_not_delivered() {
    let rig = Rig::start().await;
    let ask = json!([{"type": "agent_toolset_20260401", "default_config": {"permission_policy": {"type": "always_ask"}}}]);
    let agent = rig.agent_with(ask).await;
    let session = rig.session_with(json!({"agent": agent})).await;
    rig.send(&session, said("[deliver 2]")).await;
    for (nth, answer) in [(1, "deny"), (2, "allow")] {
        let events = rig.idle(&session, nth).await;
        let id = &pending(&events)[0];
        let confirmation =
            json!({"type": "user.tool_confirmation", "tool_use_id": id, "result": answer});
        rig.send(&session, confirmation).await;
    }
    rig.until(&session, |events| {
        idles(events).last().unwrap()["stop_reason"]["type"] == "end_turn"
    })
    .await;
    assert_eq!(names(&rig, &session).await, ["result-2.txt"]);
}

#[tokio::test]
async fn a_huge_deliverable_streams_and_can_be_cut() {
    let rig = Rig::start().await;
    let (session, _) = rig.told("[deliver 1 200000]").await;
    let file = delivered(&rig, &session).await;
    assert_eq!(file["size_bytes"], 200_000_000);
    let mut response = download(&rig, &file).await;
    assert_eq!(response.content_length(), Some(200_000_000));
    assert!(
        response
            .chunk()
            .await
            .unwrap()
            .unwrap()
            .starts_with(b"Simulated result 1")
    );
    drop(response);
    let cut = Kind::CutAfterBytes { bytes: 100_000 };
    rig.simulator.inject(Fault::new("GET */content", cut));
    let mut response = download(&rig, &file).await;
    assert_eq!(response.content_length(), Some(200_000_000));
    let mut count = 0;
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => count += chunk.len(),
            end => break end.is_err(),
        }
    };
    assert_eq!((count, broken), (100_000, true));
    rig.simulator
        .inject(Fault::new("GET */content", Kind::Garbage));
    let text = download(&rig, &file).await.text().await.unwrap();
    assert!(text.starts_with("<!doctype html>"));
}

#[tokio::test]
async fn hostile_names_come_as_they_are_and_some_twice() {
    let rig = Rig::start().await;
    let (session, _) = rig.told("[deliver_hostile]").await;
    let found = names(&rig, &session).await;
    assert!(found.len() > 12, "{found:?}");
    for name in [
        "../../etc/passwd",
        "C:\\Windows\\system.ini",
        "con",
        ".ssh",
        "-rf",
        "nul\0byte",
        "",
    ] {
        assert!(found.iter().any(|one| one == name), "{name:?}");
    }
    assert_eq!(found.iter().filter(|name| *name == "same.txt").count(), 2);
    assert!(found.iter().any(|name| name.len() > 1000));
}
