//! Environments: networking, packages, names that are taken, and their end.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn networking_and_packages_reach_the_api() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let limited = json!({
        "name": "narrow", "description": "for builds", "networking": "limited", "allowed_hosts": ["example.com"],
        "allow_package_managers": true, "allow_mcp_servers": false, "packages": {"pip": ["ruff"], "cargo": ["ripgrep"]},
    });
    let made = client.call("create_environment", limited).await.ok();
    assert_eq!(
        (&made["networking"], &made["kind"]),
        (&json!("limited"), &json!("cloud"))
    );
    let mut sent = rig.bodies("POST", "/v1/environments").remove(0);
    // By this it would be found again.
    let mark = sent["metadata"]["managed-agents-mcp-request"].take();
    assert!(mark.is_string(), "{sent}");
    sent.as_object_mut().unwrap().remove("metadata");
    assert_eq!(
        sent,
        json!({"name": "narrow", "description": "for builds", "config": {
            "type": "cloud",
            "networking": {
                "type": "limited", "allowed_hosts": ["example.com"], "allow_package_managers": true,
                "allow_mcp_servers": false,
            },
            "packages": {"pip": ["ruff"], "cargo": ["ripgrep"]},
        }})
    );
    let odd = json!({"name": "odd", "allowed_hosts": ["example.com"]});
    let why = client.call("create_environment", odd).await.err();
    assert!(why.contains("not `limited`"), "{why}");
}

#[tokio::test]
async fn a_taken_name_is_answered_with_the_environment_that_has_it() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"name": "builds"});
    let first = client
        .call("create_environment", arguments.clone())
        .await
        .ok();
    let second = client.call("create_environment", arguments).await.ok();
    assert_eq!(first["id"], second["id"]);
    assert!(first["note"].is_null());
    let note = second["note"].as_str().unwrap();
    assert!(note.contains("left as it is"), "{note}");
}

#[tokio::test]
async fn an_environment_is_closed_by_name_and_the_default_one_is_made_anew_when_needed() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let _ = client.create("hello", 20).await;
    let default = json!({"environment": "managed-agents-mcp default"});
    let closed = client.call("close_environment", default).await.ok();
    assert_eq!(closed["closed"], "archived");
    let again = client.create("hello again", 20).await;
    assert_eq!(again["state"], "done");
    assert_eq!(rig.bodies("POST", "/v1/environments").len(), 2);
    let made = client
        .call("create_environment", json!({"name": "short-lived"}))
        .await
        .ok();
    let delete = json!({"environment": made["id"], "mode": "delete"});
    let closed = client.call("close_environment", delete).await.ok();
    assert_eq!(closed["closed"], "deleted");
    let list = client.call("list_environments", json!({})).await.ok();
    let names: Vec<&Value> = list["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|environment| &environment["name"])
        .collect();
    assert!(!names.contains(&&json!("short-lived")), "{names:?}");
}
