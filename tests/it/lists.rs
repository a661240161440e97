//! `list_sessions`: every filter, and pages in both directions.

use serde_json::{Value, json};

use crate::rig::{Client, Rig, session};

async fn listed(client: &Client, arguments: Value) -> (Vec<String>, Value) {
    let list = client.call("list_sessions", arguments).await.ok();
    let ids = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["session_id"].as_str().unwrap().to_owned());
    (ids.collect(), list.clone())
}

async fn made(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(session(&client.create("hello", 20).await));
    }
    ids
}

#[tokio::test]
async fn pages_lead_forth_and_back_and_hold_every_session_once() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let mut expected = made(&client, 5).await;
    expected.reverse();
    let (first, page) = listed(&client, json!({"limit": 2})).await;
    let next = page["next_page"].as_str().unwrap().to_owned();
    let (second, page) = listed(&client, json!({"limit": 2, "page": next})).await;
    let (back, next) = (page["prev_page"].clone(), page["next_page"].clone());
    let (third, last) = listed(&client, json!({"limit": 2, "page": next})).await;
    assert_eq!([first.clone(), second, third].concat(), expected);
    assert_eq!(last["next_page"], Value::Null);
    let (again, _) = listed(&client, json!({"limit": 2, "page": back})).await;
    assert_eq!(again, first);
    // Both halves say how to go on, in both directions.
    let text = client
        .call(
            "list_sessions",
            json!({"limit": 2, "page": page["prev_page"]}),
        )
        .await
        .text;
    assert!(text.contains("page "), "{text}");
    let (oldest, _) = listed(&client, json!({"order": "asc", "limit": 1})).await;
    assert_eq!(oldest, expected[4..]);
}

#[tokio::test]
async fn every_filter_reaches_the_api() {
    let rig = Rig::start().await;
    let agent = json!({"name": "Reviewer", "model": "claude-sonnet-5-5"});
    let (agent, _) = rig.furnish(agent, json!({"name": "builds"})).await;
    let client = rig.client().await;
    let arguments = json!({"message": "hello", "agent": "Reviewer", "wait_seconds": 20});
    let of_agent = session(&client.call("create_session", arguments).await.ok());
    let other = made(&client, 1).await.remove(0);
    let foreign = json!({"agent": agent, "environment_id": rig.api("GET", "/v1/environments", Value::Null).await["data"][0]["id"]});
    let foreign = rig.api("POST", "/v1/sessions", foreign).await;
    let foreign = foreign["id"].as_str().unwrap().to_owned();
    let only = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<Vec<_>>();

    let (found, _) = listed(&client, json!({"agent": "Reviewer"})).await;
    assert_eq!(found, only(&[&foreign, &of_agent]));
    let (found, _) = listed(
        &client,
        json!({"agent": agent, "agent_version": 1, "mine": true}),
    )
    .await;
    assert_eq!(found, only(&[&of_agent]));
    let (found, _) = listed(&client, json!({"agent": agent, "agent_version": 2})).await;
    assert!(found.is_empty());
    let _ = client
        .call("close_session", json!({"session_id": other}))
        .await
        .ok();
    let (found, _) = listed(&client, json!({"mine": true})).await;
    assert_eq!(found, only(&[&of_agent]));
    let (found, list) = listed(&client, json!({"mine": true, "include_archived": true})).await;
    assert_eq!(found, only(&[&other, &of_agent]));
    assert_eq!(list["sessions"][0]["state"], "terminated");
    for (arguments, expected) in [
        (
            json!({"created_after": "2000-01-01T00:00:00Z", "status": ["idle", "running"]}),
            2,
        ),
        (json!({"created_before": "2000-01-01T00:00:00Z"}), 0),
        (json!({"created_after": "2200-01-01T00:00:00Z"}), 0),
        (json!({"status": ["terminated"]}), 0),
        (json!({"deployment_id": "depl_1"}), 0),
        (json!({"memory_store_id": "memstore_1"}), 0),
    ] {
        let (found, _) = listed(&client, arguments.clone()).await;
        assert_eq!(found.len(), expected, "{arguments}");
    }
    for wrong in [
        json!({"limit": 0}),
        json!({"limit": 101}),
        json!({"created_after": "yesterday"}),
        json!({"status": ["idel"]}),
    ] {
        let _ = client.call("list_sessions", wrong).await.err();
    }
}

#[tokio::test]
async fn mine_are_found_among_many_others_and_none_is_skipped() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let first = made(&client, 1).await;
    let report = client.status(&first[0]).await;
    assert_eq!(report["state"], "done");
    let agent = rig.api("GET", "/v1/agents", Value::Null).await["data"][0]["id"].clone();
    let environment =
        rig.api("GET", "/v1/environments", Value::Null).await["data"][0]["id"].clone();
    for _ in 0..40 {
        let body = json!({"agent": agent, "environment_id": environment});
        let _ = rig.api("POST", "/v1/sessions", body).await;
    }
    let second = made(&client, 2).await;
    let (mut found, mut page) = (Vec::new(), Value::Null);
    loop {
        let mut arguments = json!({"mine": true, "limit": 1});
        if page.is_string() {
            arguments["page"] = page;
        }
        let (ids, list) = listed(&client, arguments).await;
        found.extend(ids);
        page = list["next_page"].clone();
        if page.is_null() {
            break;
        }
    }
    assert_eq!(
        found,
        [second[1].clone(), second[0].clone(), first[0].clone()]
    );
}
