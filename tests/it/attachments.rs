//! Images and documents go with a message, by the ids of uploaded files.

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::files::with_disk;
use crate::rig::{Client, reply, session};

async fn upload(client: &Client, path: &str) -> Value {
    let uploaded = client.call("upload_file", json!({"path": path})).await.ok();
    uploaded["file_id"].clone()
}

#[tokio::test]
async fn images_and_documents_are_told_apart_and_shown_in_their_order() {
    let (rig, disk) = with_disk().await;
    disk.put("plan.pdf", b"%PDF-1.7");
    disk.put("photo.png", b"\x89PNG");
    let client = rig.client().await;
    let (plan, photo) = (
        upload(&client, "plan.pdf").await,
        upload(&client, "photo.png").await,
    );
    let arguments = json!({"message": "look", "attachments": [photo, plan], "wait_seconds": 20});
    let report = client.call("create_session", arguments).await.ok();
    let block =
        |kind: &str, id: &Value| json!({"type": kind, "source": {"type": "file", "file_id": id}});
    let shown =
        json!([{"type": "text", "text": "look"}, block("image", &photo), block("document", &plan)]);
    let sent = rig.bodies("POST", "/v1/sessions").remove(0);
    assert_eq!(sent["initial_events"][0]["content"], shown);
    let arguments = json!({
        "session_id": session(&report), "message": "again", "attachments": [plan], "wait_seconds": 20,
    });
    let report = client.call("send_message", arguments).await.ok();
    assert!(reply(&report).contains("again"), "{report}");
    let sent = rig.sent_events().remove(0);
    assert_eq!(
        sent["content"],
        json!([{"type": "text", "text": "again"}, block("document", &plan)])
    );
}

#[tokio::test]
async fn a_message_whose_fate_is_unknown_is_recognized_with_its_attachments() {
    let (rig, disk) = with_disk().await;
    disk.put("photo.png", b"\x89PNG");
    let client = rig.client().await;
    let photo = upload(&client, "photo.png").await;
    let id = session(&client.create("hello", 20).await);
    rig.fault(
        "POST */events",
        Kind::Drop {
            acting: Acting::After,
        },
    );
    let arguments =
        json!({"session_id": id, "message": "look", "attachments": [photo], "wait_seconds": 20});
    let report = client.call("send_message", arguments).await.ok();
    assert_eq!(report["state"], "done");
    assert_eq!(rig.messages(&id).await, ["hello", "look"]);
}

#[tokio::test]
async fn what_cannot_be_attached_is_refused_and_nothing_is_started() {
    let (rig, _disk) = with_disk().await;
    let client = rig.client().await;
    let outcome = json!({"description": "d", "rubric": "r"});
    for arguments in [
        json!({"message": "look", "attachments": ["file_nobody"]}),
        json!({"message": "look", "attachments": ["../secret"]}),
        json!({"outcome": outcome, "attachments": ["file_1"]}),
        json!({"attachments": ["file_1"]}),
        json!({"message": "look", "attachments": vec!["file_1"; 21]}),
    ] {
        let why = client.call("create_session", arguments.clone()).await.err();
        assert!(why.contains("attach"), "{arguments}: {why}");
    }
    assert_eq!(rig.sessions().await, 0);
}
