//! Schedules: an agent that runs by the clock or when told to, within a budget, and what its runs came to; and the lists of
//! what sessions can be given.

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};

use crate::rig::{Client, Rig, id};

async fn furnished() -> (Rig, String, String) {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let agent = json!({"name": "Reporter", "model": "claude-sonnet-5-5"});
    let (agent, environment) = rig.furnish(agent, json!({"name": "reports"})).await;
    (rig, agent, environment)
}

async fn create(client: &Client, more: Value) -> Value {
    let mut arguments = json!({"name": "Nightly", "agent": "Reporter", "environment": "reports", "message": "Report."});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    client.call("create_schedule", arguments).await.ok()
}

async fn control(client: &Client, schedule: &Value, action: &str) -> Value {
    let arguments = json!({"schedule_id": schedule["schedule_id"], "action": action});
    client.call("control_schedule", arguments).await.ok()
}

#[tokio::test]
async fn a_schedule_runs_by_the_clock_in_its_time_zone_and_within_its_budget() {
    let (rig, agent, environment) = furnished().await;
    let client = rig.client().await;
    let cron = json!({"cron": "30 2 * * 1-5", "timezone": "Europe/Berlin", "budget_usd": 1.25});
    let made = create(&client, cron).await;
    assert_eq!(
        (&made["agent_id"], &made["environment_id"]),
        (&json!(agent), &json!(environment))
    );
    assert_eq!(
        (&made["cron"], &made["timezone"]),
        (&json!("30 2 * * 1-5"), &json!("Europe/Berlin"))
    );
    assert_eq!(made["budget_usd"], 1.25);
    assert_eq!(made["next_runs"].as_array().unwrap().len(), 3);
    let sent = rig.bodies("POST", "/v1/deployments").remove(0);
    assert_eq!(sent["budget"]["max_list_cost"]["amount"], "125");
    assert_eq!(sent["initial_events"][0]["content"][0]["text"], "Report.");
    // Without a budget of its own it has the configured one; without cron it runs only when told to.
    let manual = create(&client, json!({"name": "By hand"})).await;
    assert_eq!(
        (&manual["budget_usd"], &manual["cron"]),
        (&json!(10.0), &Value::Null)
    );
    let utc = create(&client, json!({"cron": "0 9 * * *"})).await;
    assert_eq!(utc["timezone"], "UTC");
}

#[tokio::test]
async fn a_run_starts_a_session_that_can_be_followed_and_found() {
    let (rig, ..) = furnished().await;
    let client = rig.client().await;
    let schedule = create(&client, json!({})).await;
    let ran = control(&client, &schedule, "run").await;
    let session = ran["run"]["session_id"].as_str().unwrap().to_owned();
    let next = ran["next"].as_str().unwrap();
    assert!(
        next.contains("get_status") && next.contains(&session),
        "{next}"
    );
    let report = client.wait_for(&session, 20).await;
    assert_eq!(
        (&report["state"], &report["usage"]["budget_usd"]),
        (&json!("done"), &json!(10.0))
    );
    let listed = client
        .call("list_schedules", json!({"name_contains": "night"}))
        .await
        .ok();
    let row = &listed["schedules"][0];
    assert_eq!(row["last_runs"][0]["session_id"], json!(session));
    let started = json!({"deployment_id": schedule["schedule_id"]});
    let sessions = client.call("list_sessions", started).await.ok();
    assert_eq!(sessions["sessions"][0]["session_id"], json!(session));
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_that_fails_says_why_here_and_in_the_list() {
    let (rig, _, environment) = furnished().await;
    let client = rig.client().await;
    let schedule = create(&client, json!({})).await;
    let path = format!("/v1/environments/{environment}/archive");
    let _ = rig.api("POST", &path, json!({})).await;
    let ran = control(&client, &schedule, "run").await;
    assert_eq!(ran["run"]["session_id"], Value::Null);
    let error = ran["run"]["error"].as_str().unwrap();
    assert!(error.contains("environment"), "{error}");
    let listed = client.call("list_schedules", json!({})).await;
    assert!(listed.text.contains("failed: "), "{}", listed.text);
    assert_eq!(
        listed.ok()["schedules"][0]["last_runs"][0]["error"],
        json!(error)
    );
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_and_archived() {
    let (rig, ..) = furnished().await;
    let client = rig.client().await;
    let schedule = create(&client, json!({"cron": "0 9 * * *"})).await;
    for (action, status) in [
        ("pause", "paused"),
        ("resume", "active"),
        ("archive", "archived"),
    ] {
        let changed = control(&client, &schedule, action).await;
        assert_eq!(
            (&changed["schedule"]["status"], &changed["run"]),
            (&json!(status), &Value::Null)
        );
    }
    let listed = client.call("list_schedules", json!({})).await.ok();
    assert_eq!(listed["schedules"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_before_anything_is_sent() {
    let (rig, ..) = furnished().await;
    let rig = rig.set("MANAGED_AGENTS_ALLOW_AGENTS", "Somebody");
    let client = rig.client().await;
    let with = |more: Value| {
        let mut arguments =
            json!({"name": "n", "message": "m", "agent": "Reporter", "environment": "reports"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        arguments
    };
    for (arguments, why) in [
        (with(json!({"cron": "daily"})), "five fields"),
        (with(json!({"timezone": "UTC"})), "without `cron`"),
        (with(json!({"budget_usd": 0})), "budget_usd"),
        (with(json!({"message": " "})), "message"),
        (with(json!({})), "may not be used"),
        (json!({"name": "n", "message": "m"}), "none is configured"),
    ] {
        let said = client.call("create_schedule", arguments).await.err();
        assert!(said.contains(why), "{said}");
    }
    assert!(rig.bodies("POST", "/v1/deployments").is_empty());
}

#[tokio::test]
async fn a_schedule_of_an_agent_that_is_not_allowed_does_not_run_here() {
    let (rig, ..) = furnished().await;
    let schedule = create(&rig.client().await, json!({})).await;
    let rig = rig.set("MANAGED_AGENTS_ALLOW_AGENTS", "Somebody");
    let client = rig.client().await;
    let arguments = json!({"schedule_id": schedule["schedule_id"], "action": "run"});
    let why = client.call("control_schedule", arguments).await.err();
    assert!(why.contains("Somebody"), "{why}");
    assert!(rig.bodies("POST", "/run").is_empty());
}

#[tokio::test]
async fn a_run_that_may_have_begun_is_not_begun_again() {
    let (rig, ..) = furnished().await;
    let client = rig.client().await;
    let schedule = create(&client, json!({})).await;
    rig.fault(
        "POST */run",
        Kind::Drop {
            acting: Acting::After,
        },
    );
    let arguments = json!({"schedule_id": schedule["schedule_id"], "action": "run"});
    let ran = client.call("control_schedule", arguments).await.ok();
    assert_eq!(rig.bodies("POST", "/run").len(), 1);
    let listed = client.call("list_schedules", json!({})).await.ok();
    let runs = listed["schedules"][0]["last_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["session_id"], ran["run"]["session_id"]);
}

#[tokio::test]
async fn vaults_and_memory_stores_are_listed_by_name_and_attached() {
    let (rig, ..) = furnished().await;
    let vault = rig
        .api(
            "POST",
            "/v1/vaults",
            json!({"display_name": "Team secrets"}),
        )
        .await;
    let store = json!({"name": "Lessons", "description": "What was learnt."});
    let store = rig.api("POST", "/v1/memory_stores", store).await;
    let client = rig.client().await;
    let vaults = client
        .call("list_vaults", json!({"name_contains": "team"}))
        .await
        .ok();
    assert_eq!(vaults["vaults"][0]["id"], vault["id"]);
    let stores = client
        .call("list_memory_stores", json!({"limit": 5}))
        .await
        .ok();
    assert_eq!(stores["memory_stores"][0]["name"], "Lessons");
    assert_eq!(
        stores["memory_stores"][0]["description"],
        "What was learnt."
    );
    let none = client
        .call("list_vaults", json!({"name_contains": "nothing"}))
        .await
        .ok();
    assert_eq!(none["vaults"], json!([]));
    let arguments = json!({
        "message": "hello", "wait_seconds": 20, "vault_ids": [id(&vault)],
        "memory_stores": [{"memory_store_id": id(&store), "access": "read_only", "instructions": "Read first."}],
    });
    let report = client.call("create_session", arguments).await.ok();
    assert_eq!(report["state"], "done");
    let with_store = json!({"memory_store_id": id(&store)});
    let sessions = client.call("list_sessions", with_store).await.ok();
    assert_eq!(sessions["sessions"][0]["session_id"], report["session_id"]);
}
