//! Agents: made, shown in each version, changed only from the version that was read, closed.

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::rig::{Client, Rig};

async fn create(client: &Client, arguments: Value) -> Value {
    let mut answer = client.call("create_agent", arguments).await.ok();
    answer["agent"].take()
}

fn id(agent: &Value) -> String {
    agent["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_preset_and_each_kind_of_tool_reaches_the_api() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let toolset = "agent_toolset_20260401";
    let off = |name: &str| json!({"name": name, "enabled": false});
    let custom =
        json!({"name": "lookup", "description": "Looks up.", "input_schema": {"type": "object"}});
    for (arguments, tools) in [
        (json!({}), json!([{"type": toolset}])),
        (json!({"tools": "all"}), json!([{"type": toolset}])),
        (
            json!({"tools": "read_only"}),
            json!([{"type": toolset, "configs": [off("bash"), off("edit"), off("write")]}]),
        ),
        (
            json!({"tools": "ask"}),
            json!([{"type": toolset, "default_config": {"permission_policy": {"type": "always_ask"}}}]),
        ),
        (
            json!({"tool_list": [{"type": toolset, "configs": []}]}),
            json!([{"type": toolset, "configs": []}]),
        ),
        (json!({"tool_list": []}), json!([])),
        (
            json!({"mcp_servers": [{"name": "github", "url": "https://mcp.example"}], "custom_tools": [custom]}),
            json!([
                {"type": toolset},
                {"type": "mcp_toolset", "mcp_server_name": "github"},
                {"type": "custom", "name": "lookup", "description": "Looks up.", "input_schema": {"type": "object"}},
            ]),
        ),
    ] {
        let mut arguments = arguments;
        arguments["name"] = json!("made");
        let _ = create(&client, arguments.clone()).await;
        let sent = rig.bodies("POST", "/v1/agents").pop().unwrap();
        assert_eq!(sent["tools"], tools, "{arguments}");
        assert_eq!(sent["model"], "claude-sonnet-5-5");
    }
    let sent = rig.bodies("POST", "/v1/agents").pop().unwrap();
    let server = json!([{"type": "url", "name": "github", "url": "https://mcp.example"}]);
    assert_eq!(sent["mcp_servers"], server);
    let both = json!({"name": "made", "tools": "all", "tool_list": []});
    let why = client.call("create_agent", both).await.err();
    assert!(why.contains("exclude each other"), "{why}");
}

#[tokio::test]
async fn an_update_changes_what_is_named_and_nothing_else() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let made = json!({
        "name": "Reviewer", "system": "Review.", "tools": "ask", "metadata": {"team": "a", "kept": "yes"},
        "mcp_servers": [{"name": "github", "url": "https://mcp.example"}],
        "custom_tools": [{"name": "lookup", "description": "Looks up.", "input_schema": {"type": "object"}}],
    });
    let agent = create(&client, made).await;
    let change = json!({
        "agent": "Reviewer", "version": 1, "system": "Review twice.", "tools": "read_only", "metadata": {"team": null},
    });
    let changed = client.call("update_agent", change).await.ok()["agent"].take();
    assert_eq!(changed["version"], 2);
    assert_eq!(changed["system"], "Review twice.");
    assert_eq!(changed["name"], "Reviewer");
    assert_eq!(changed["metadata"]["kept"], "yes");
    assert_eq!(changed["metadata"]["team"], Value::Null);
    let kinds: Vec<&str> = changed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["agent_toolset_20260401", "mcp_toolset", "custom"]);
    let sent = rig.bodies("POST", &format!("/v1/agents/{}", id(&agent)));
    assert_eq!(sent[0]["version"], 1);
    assert!(sent[0].get("mcp_servers").is_none() && sent[0].get("name").is_none());
    // A server that goes takes its tools along.
    let without = json!({"agent": id(&agent), "version": 2, "mcp_servers": [], "custom_tools": []});
    let changed = client.call("update_agent", without).await.ok()["agent"].take();
    assert_eq!(changed["tools"].as_array().unwrap().len(), 1);
    for (version, system) in [(1, "Review."), (2, "Review twice."), (3, "Review twice.")] {
        let asked = json!({"agent": id(&agent), "version": version});
        let read = client.call("get_agent", asked).await.ok();
        assert_eq!(
            (&read["agent"]["version"], &read["agent"]["system"]),
            (&json!(version), &json!(system))
        );
    }
}

#[tokio::test]
async fn a_stale_update_changes_nothing_and_says_what_changed() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_TOOLSETS", "core,admin");
    let client = rig.client().await;
    let agent = id(&create(&client, json!({"name": "Reviewer", "system": "Old words."})).await);
    let other = json!({"version": 1, "system": "New words."});
    let _ = rig.api("POST", &format!("/v1/agents/{agent}"), other).await;
    let mine = json!({"agent": agent, "version": 1, "name": "Mine"});
    let why = client.call("update_agent", mine.clone()).await.err();
    assert!(why.contains("is at version 2, not 1"), "{why}");
    assert!(
        why.contains("Old words") && why.contains("New words"),
        "{why}"
    );
    assert!(
        rig.bodies("POST", &format!("/v1/agents/{agent}"))
            .is_empty()
    );
    // The same when somebody is faster in the very moment: the API refuses, and the answer explains.
    let missing = json!({"agent": agent, "version": 9, "name": "Mine"});
    let why = client.call("update_agent", missing).await.err();
    assert!(why.contains("no version 9"), "{why}");
    let nothing = json!({"agent": agent, "version": 2});
    let why = client.call("update_agent", nothing).await.err();
    assert!(why.contains("Nothing to change"), "{why}");
}

#[tokio::test]
async fn an_update_that_may_have_arrived_is_not_sent_again() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let agent = id(&create(&client, json!({"name": "Reviewer"})).await);
    let path = format!("/v1/agents/{agent}");
    rig.fault(
        &format!("POST {path}"),
        Kind::Drop {
            acting: Acting::After,
        },
    );
    let change = json!({"agent": agent, "version": 1, "name": "Renamed"});
    let changed = client.call("update_agent", change).await.ok();
    let (name, version) = (&changed["agent"]["name"], &changed["agent"]["version"]);
    assert_eq!((name, version), (&json!("Renamed"), &json!(2)));
    assert_eq!(rig.bodies("POST", &path).len(), 1);
}

#[tokio::test]
async fn an_update_that_met_another_one_is_neither_claimed_nor_denied() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let agent = id(&create(&client, json!({"name": "Reviewer"})).await);
    let path = format!("/v1/agents/{agent}");
    let hanging = Kind::SlowHeaders { ms: 1500 };
    let refused = Kind::Status {
        code: 502,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    for kind in [hanging, refused] {
        rig.fault(&format!("POST {path}"), kind);
    }
    // The first attempt takes a while and fails; meanwhile somebody else makes the next version.
    let change = json!({"agent": agent, "version": 1, "name": "Ours"});
    let ours = client.call("update_agent", change);
    let theirs = async {
        crate::rig::until("the first attempt has failed", async || {
            !rig.bodies("POST", &path).is_empty()
        })
        .await;
        let body = json!({"version": 1, "name": "Theirs"});
        rig.api("POST", &path, body).await
    };
    let (ours, theirs) = tokio::join!(ours, theirs);
    assert_eq!(theirs["version"], 2);
    let why = ours.err();
    assert!(
        why.contains("not known whether") && why.contains("get_agent"),
        "{why}"
    );
    let read = client.call("get_agent", json!({"agent": agent})).await.ok();
    assert_eq!(read["agent"]["name"], "Theirs");
}

#[tokio::test]
async fn an_agent_is_archived_or_deleted_and_where_it_cannot_be_deleted_the_answer_says_why() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let first = id(&create(&client, json!({"name": "First"})).await);
    let closed = client
        .call("close_agent", json!({"agent": "First"}))
        .await
        .ok();
    assert_eq!(
        (&closed["closed"], &closed["id"]),
        (&json!("archived"), &json!(first))
    );
    let second = id(&create(&client, json!({"name": "Second"})).await);
    let delete = |agent: &str| json!({"agent": agent, "mode": "delete"});
    let closed = client.call("close_agent", delete(&second)).await.ok();
    assert_eq!(
        (&closed["closed"], &closed["note"]),
        (&json!("deleted"), &Value::Null)
    );
    let request = rig
        .requests()
        .into_iter()
        .find(|request| request.method == "DELETE")
        .unwrap();
    assert_eq!(request.headers["anthropic-beta"], "agent-api-2026-03-01");
    let third = id(&create(&client, json!({"name": "Third"})).await);
    rig.fault(
        "DELETE /v1/agents/*",
        Kind::Status {
            code: 404,
            retry_after: None,
            acting: Acting::Before,
            body: None,
        },
    );
    let closed = client.call("close_agent", delete(&third)).await.ok();
    assert_eq!(closed["closed"], "archived");
    let note = closed["note"].as_str().unwrap();
    assert!(note.contains("archived instead"), "{note}");
    let read = client.call("get_agent", json!({"agent": third})).await.ok();
    assert!(read["agent"]["archived_at"].is_string());
}

#[tokio::test]
async fn nothing_new_takes_a_name_that_is_allowed() {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_ALLOW_AGENTS", "Reviewer")
        .set("MANAGED_AGENTS_ALLOW_ENVIRONMENTS", "builds")
        .set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let why = client
        .call("create_agent", json!({"name": "reviewer"}))
        .await
        .err();
    assert!(why.contains("list of allowed agents"), "{why}");
    let other = id(&create(&client, json!({"name": "Other"})).await);
    let rename = json!({"agent": other, "version": 1, "name": "Reviewer"});
    let why = client.call("update_agent", rename).await.err();
    assert!(why.contains("list of allowed agents"), "{why}");
    let why = client
        .call("create_environment", json!({"name": "builds"}))
        .await
        .err();
    assert!(why.contains("list of allowed environments"), "{why}");
    let there = rig
        .api("POST", "/v1/environments", json!({"name": "builds"}))
        .await;
    let found = client
        .call("create_environment", json!({"name": "builds"}))
        .await
        .ok();
    assert_eq!(found["id"], there["id"]);
}

#[tokio::test]
async fn a_near_miss_changes_and_closes_nothing() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let upper = id(&create(&client, json!({"name": "Reviewer"})).await);
    let lower = id(&create(&client, json!({"name": "reviewer"})).await);
    for _ in 0..2 {
        // The second time nothing of this very name is left.
        let _ = client
            .call("close_agent", json!({"agent": "Reviewer"}))
            .await;
    }
    let archived = async |agent: &str| {
        let read = client.call("get_agent", json!({"agent": agent})).await.ok();
        read["agent"]["archived_at"].is_string()
    };
    assert!(archived(&upper).await && !archived(&lower).await);
    let why = client
        .call(
            "update_agent",
            json!({"agent": "REVIEWER", "version": 1, "name": "x"}),
        )
        .await
        .err();
    assert!(why.contains("named exactly"), "{why}");
}

#[tokio::test]
async fn no_agent_gets_the_marks_of_this_product_or_credentials_in_an_address() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    for wrong in [
        json!({"name": "Evil", "metadata": {"managed-agents-mcp": "default"}}),
        json!({"name": "Evil", "mcp_servers": [{"name": "s", "url": "https://user:word@host/mcp"}]}),
    ] {
        let _ = client.call("create_agent", wrong).await.err();
    }
    assert!(rig.bodies("POST", "/v1/agents").is_empty());
}

#[tokio::test]
async fn an_agent_that_may_have_been_made_is_not_made_again() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    rig.fault(
        "POST /v1/agents",
        Kind::Drop {
            acting: Acting::After,
        },
    );
    let made = create(&client, json!({"name": "Once"})).await;
    assert_eq!(rig.bodies("POST", "/v1/agents").len(), 1);
    let listed = client.call("list_agents", json!({})).await.ok();
    assert_eq!(listed["agents"].as_array().unwrap().len(), 1);
    assert_eq!(listed["agents"][0]["id"], made["id"]);
}

#[tokio::test]
async fn a_search_finds_what_is_far_down_the_list_and_skips_nothing() {
    let rig = Rig::start().await;
    for place in 0..60 {
        let name = if place % 20 == 0 { "Needle" } else { "Hay" };
        let agent = json!({"name": format!("{name} {place}"), "model": "claude-sonnet-5-5"});
        let _ = rig.api("POST", "/v1/agents", agent).await;
    }
    let client = rig.client().await;
    let (mut names, mut page) = (Vec::new(), Value::Null);
    loop {
        let mut arguments = json!({"name_contains": "needle", "limit": 1});
        if page.is_string() {
            arguments["page"] = page;
        }
        let list = client.call("list_agents", arguments).await.ok();
        names.extend(
            list["agents"]
                .as_array()
                .unwrap()
                .iter()
                .map(|agent| agent["name"].clone()),
        );
        page = list["next_page"].clone();
        if page.is_null() {
            break;
        }
    }
    assert_eq!(names, ["Needle 40", "Needle 20", "Needle 0"]);
}
