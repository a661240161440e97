//! Agents, environments and sessions as resources: versions, names, filters, pages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, said};

#[tokio::test]
async fn an_agent_keeps_its_versions() {
    let rig = Rig::start().await;
    let path = format!("/v1/agents/{}", rig.agent);
    let first = rig.get(&path).await;
    assert_eq!(
        (&first["version"], &first["model"]["id"]),
        (&json!(1), &json!("claude-sonnet-5-5"))
    );
    let second = rig
        .post(
            &path,
            json!({"version": 1, "system": "Be brief.", "metadata": {"team": "a"}}),
        )
        .await;
    assert_eq!(
        (&second["version"], &second["name"]),
        (&json!(2), &json!("Tester"))
    );
    for stale in [json!({"version": 1, "name": "x"}), json!({"name": "x"})] {
        let (status, why) = rig.refusal(Method::POST, &path, Some(stale)).await;
        assert_eq!(
            (status, why.contains("current version, which is 2")),
            (409, true)
        );
    }
    assert_eq!(rig.get(&format!("{path}?version=1")).await, first);
    assert_eq!(rig.get(&path).await, second);
    let versions = rig.get(&format!("{path}/versions")).await;
    assert_eq!(versions["data"].as_array().unwrap().len(), 2);
    rig.post(&format!("{path}/archive"), json!({})).await;
    assert!(
        rig.get("/v1/agents").await["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        rig.get("/v1/agents?include_archived=true").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let start = json!({"agent": rig.agent, "environment_id": rig.environment});
    assert_eq!(
        rig.refusal(Method::POST, "/v1/sessions", Some(start))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn environment_names_are_unique() {
    let rig = Rig::start().await;
    let again = Some(json!({"name": "usual"}));
    assert_eq!(
        rig.refusal(Method::POST, "/v1/environments", again.clone())
            .await
            .0,
        409
    );
    let path = format!("/v1/environments/{}", rig.environment);
    let limited =
        json!({"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["a.example"]}});
    let changed = rig
        .post(&path, json!({"name": "renamed", "config": limited}))
        .await;
    assert_eq!(changed["config"]["networking"]["allow_mcp_servers"], false);
    assert_eq!(
        rig.call(Method::POST, "/v1/environments", again).await.0,
        200
    );
    assert!(rig.post(&format!("{path}/archive"), json!({})).await["archived_at"].is_string());
    assert_eq!(
        rig.call(Method::DELETE, &path, None).await.1["type"],
        "environment_deleted"
    );
    assert_eq!(rig.refusal(Method::GET, &path, None).await.0, 404);
}

#[tokio::test]
async fn a_session_resolves_its_agent_and_hides_its_token() {
    let rig = Rig::start().await;
    let file = rig.upload("notes.txt", b"notes").await;
    let vault = rig.made("/v1/vaults", json!({"display_name": "v"})).await;
    let store = rig
        .made("/v1/memory_stores", json!({"name": "User's Notes!"}))
        .await;
    let overrides = json!({"type": "agent_with_overrides", "id": rig.agent, "version": 1, "model": "claude-opus-5-5", "system": null});
    let session = rig
        .post(
            "/v1/sessions",
            json!({
                "agent": overrides, "environment_id": rig.environment, "title": "Review", "vault_ids": [vault],
                "resources": [
                    {"type": "github_repository", "url": "https://github.com/o/name.git", "authorization_token": "ghp_canary",
                     "checkout": {"type": "branch", "name": "main"}},
                    {"type": "file", "file_id": file},
                    {"type": "memory_store", "memory_store_id": store, "access": "read_only"},
                ],
            }),
        )
        .await;
    assert_eq!(session["agent"]["model"]["id"], "claude-opus-5-5");
    assert!(!session.to_string().contains("canary"));
    assert_eq!(session["resources"][0]["mount_path"], "/workspace/name");
    assert_ne!(session["resources"][1]["file_id"], json!(file));
    assert_eq!(
        session["resources"][2]["mount_path"],
        "/mnt/memory/user-s-notes"
    );
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    assert_eq!(
        rig.get(&format!("{path}/resources")).await["data"],
        session["resources"]
    );
    let changed = rig
        .post(
            &path,
            json!({"title": "Second", "metadata": {"a": "1", "b": "2"}}),
        )
        .await;
    assert_eq!(changed["metadata"], json!({"a": "1", "b": "2"}));
    let changed = rig.post(&path, json!({"metadata": {"a": null}})).await;
    assert_eq!(
        (&changed["metadata"], &changed["title"]),
        (&json!({"b": "2"}), &json!("Second"))
    );
    assert_eq!(
        rig.refusal(Method::POST, &path, Some(json!({"vault_ids": []})))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn tools_and_servers_must_fit_each_other_also_after_a_change() {
    let rig = Rig::start().await;
    let toolset = json!({"type": "mcp_toolset", "mcp_server_name": "hub"});
    let built_in = json!({"type": "agent_toolset_20260401"});
    let server = json!({"type": "url", "name": "hub", "url": "https://hub.example"});
    let agent = json!({"name": "n", "model": "claude-sonnet-5-5", "tools": [toolset], "mcp_servers": [server]});
    let agent = rig.post("/v1/agents", agent).await["id"].clone();
    let start = |tools: Value| {
        let overrides = json!({"type": "agent_with_overrides", "id": agent, "tools": tools});
        json!({"agent": overrides, "environment_id": rig.environment})
    };
    let session = rig
        .post("/v1/sessions", start(json!([toolset, built_in])))
        .await;
    assert_eq!(session["agent"]["mcp_servers"][0]["name"], "hub");
    let (status, why) = rig
        .refusal(Method::POST, "/v1/sessions", Some(start(json!([built_in]))))
        .await;
    assert_eq!((status, why.contains("hub")), (400, true));
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    let changed = rig
        .post(
            &path,
            json!({"agent": {"tools": [built_in], "mcp_servers": []}}),
        )
        .await;
    assert_eq!(changed["agent"]["tools"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_filtered_by_everything() {
    let rig = Rig::start().await;
    let other = rig.agent_with(json!([])).await;
    let store = rig.made("/v1/memory_stores", json!({"name": "m"})).await;
    let memory = json!([{"type": "memory_store", "memory_store_id": store}]);
    let plain = rig.session().await;
    let special = rig
        .session_with(json!({"agent": other, "resources": memory}))
        .await;
    let busy = rig
        .session_with(json!({"initial_events": [said("[quiet 30]")]}))
        .await;
    let gone = rig.session().await;
    rig.post(&format!("/v1/sessions/{gone}/archive"), json!({}))
        .await;
    rig.status(&busy, "running").await;
    let created = rig.get(&format!("/v1/sessions/{special}")).await["created_at"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, wanted) in [
        (String::new(), vec![&busy, &special, &plain]),
        (
            "order=asc&include_archived=true".into(),
            vec![&plain, &special, &busy, &gone],
        ),
        (format!("agent_id={other}&agent_version=1"), vec![&special]),
        (format!("agent_id={other}&agent_version=2"), vec![]),
        (
            "statuses[]=running&statuses%5B%5D=terminated".into(),
            vec![&busy],
        ),
        ("statuses[]=idle".into(), vec![&special, &plain]),
        (format!("memory_store_id={store}"), vec![&special]),
        ("deployment_id=depl_1".into(), vec![]),
        (format!("created_at[gte]={created}"), vec![&busy, &special]),
        (format!("created_at[gt]={created}"), vec![&busy]),
        (format!("created_at[lte]={created}"), vec![&special, &plain]),
        (format!("created_at[lt]={created}"), vec![&plain]),
    ] {
        let list = rig.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!(ids(&list), wanted, "{query}");
    }
    let refused = rig
        .refusal(Method::GET, "/v1/sessions?statuses[]=asleep", None)
        .await;
    assert_eq!(refused.0, 400);
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn sessions_page_both_ways() {
    let rig = Rig::start().await;
    for _ in 0..5 {
        rig.session().await;
    }
    let all = rig.get("/v1/sessions").await;
    let first = rig.get("/v1/sessions?limit=2").await;
    assert!(first["prev_page"].is_null());
    rig.session().await;
    let second = rig
        .get(&format!(
            "/v1/sessions?limit=2&page={}",
            first["next_page"].as_str().unwrap()
        ))
        .await;
    assert_eq!(ids(&second), ids(&all)[2..4]);
    let back = rig
        .get(&format!(
            "/v1/sessions?limit=2&page={}",
            second["prev_page"].as_str().unwrap()
        ))
        .await;
    assert_eq!(ids(&back), ids(&first));
    let third = rig
        .get(&format!(
            "/v1/sessions?limit=2&page={}",
            second["next_page"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (ids(&third), third["next_page"].is_null()),
        (ids(&all)[4..].to_vec(), true)
    );
    let mixed = format!(
        "/v1/sessions?order=asc&page={}",
        first["next_page"].as_str().unwrap()
    );
    assert_eq!(rig.refusal(Method::GET, &mixed, None).await.0, 400);
}

#[tokio::test]
async fn events_are_filtered_ordered_and_paged() {
    let rig = Rig::start().await;
    let (session, all) = rig.told("[work 20]").await;
    let path = format!("/v1/sessions/{session}/events");
    let mut walked = Vec::new();
    let mut page = String::new();
    loop {
        let list = rig.get(&format!("{path}?limit=7{page}")).await;
        walked.extend(list["data"].as_array().unwrap().clone());
        match list["next_page"].as_str() {
            Some(next) => page = format!("&page={next}"),
            None => break,
        }
    }
    assert_eq!(walked, all);
    let newest = rig.get(&format!("{path}?order=desc&limit=1")).await;
    assert_eq!(newest["data"][0], *all.last().unwrap());
    let some = rig
        .get(&format!(
            "{path}?types[]=agent.message&types[]=user.message"
        ))
        .await;
    assert_eq!(some["data"].as_array().unwrap().len(), 2);
    let time = some["data"][0]["processed_at"].as_str().unwrap();
    let later = rig
        .get(&format!(
            "{path}?types[]=user.message&created_at[gt]={time}"
        ))
        .await;
    assert!(later["data"].as_array().unwrap().is_empty());
    assert_eq!(
        rig.refusal(Method::GET, &format!("{path}?limit=1001"), None)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn the_one_thread_shows_the_same_log() {
    let rig = Rig::start().await;
    let (session, all) = rig.told("hello").await;
    let threads = rig.get(&format!("/v1/sessions/{session}/threads")).await;
    assert!(threads["data"][0]["parent_thread_id"].is_null());
    let thread = threads["data"][0]["id"].as_str().unwrap();
    let path = format!("/v1/sessions/{session}/threads/{thread}");
    assert_eq!(rig.get(&format!("{path}/events")).await["data"], json!(all));
    let mut stream = rig.stream_at(&format!("{path}/stream")).await;
    rig.send(&session, said("again")).await;
    assert!(!stream.turn().await.is_empty());
    let wrong = format!("/v1/sessions/{session}/threads/sthr_x/events");
    assert_eq!(rig.refusal(Method::GET, &wrong, None).await.0, 404);
}
