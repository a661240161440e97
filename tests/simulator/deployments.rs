//! Deployments and their runs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Rig, messages, said};

fn plain(rig: &Rig) -> Value {
    json!({
        "name": "Nightly", "agent": rig.agent, "environment_id": rig.environment,
        "initial_events": [{"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]}, said("check")],
    })
}

fn with(mut body: Value, more: Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

fn cron(expression: &str, timezone: &str) -> Value {
    json!({"type": "cron", "expression": expression, "timezone": timezone})
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_run_makes_a_session_of_the_deployment_with_all_it_was_given() {
    let rig = Rig::start().await;
    let file = rig.upload("notes.txt", b"notes").await;
    let vault = rig.made("/v1/vaults", json!({"display_name": "v"})).await;
    let repository = json!({"type": "github_repository", "url": "https://github.com/o/r", "authorization_token": "canary"});
    let budget = json!({"type": "limit", "max_list_cost": {"amount": "50", "currency": "USD"}});
    let body = with(
        plain(&rig),
        json!({
            "budget": budget, "resources": [{"type": "file", "file_id": file}, repository], "vault_ids": [vault],
        }),
    );
    let deployment = rig.post("/v1/deployments", body).await;
    assert_eq!(
        deployment["agent"],
        json!({"type": "agent", "id": rig.agent, "version": 1})
    );
    assert!(!deployment.to_string().contains("canary"));
    let id = deployment["id"].as_str().unwrap();
    let run = rig
        .post(&format!("/v1/deployments/{id}/run"), json!({}))
        .await;
    assert_eq!(
        (&run["error"], &run["trigger_context"]["type"]),
        (&Value::Null, &json!("manual"))
    );
    let session = run["session_id"].as_str().unwrap();
    let object = rig.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!(
        (&object["deployment_id"], &object["budget"]),
        (&json!(id), &budget)
    );
    assert_eq!(
        (
            &object["vault_ids"],
            object["resources"].as_array().unwrap().len()
        ),
        (&json!([vault]), 2)
    );
    let events = rig.idle(session, 1).await;
    assert!(messages(&events)[0].contains("check"));
    let listed = rig.get(&format!("/v1/sessions?deployment_id={id}")).await;
    assert_eq!(ids(&listed), [session]);
    let run_id = run["id"].as_str().unwrap();
    assert_eq!(rig.get(&format!("/v1/deployment_runs/{run_id}")).await, run);
}

#[tokio::test]
async fn a_run_notes_what_has_gone_wrong_since() {
    let rig = Rig::start().await;
    let file = rig.upload("notes.txt", b"notes").await;
    let store = rig.made("/v1/memory_stores", json!({"name": "m"})).await;
    let vault = rig.made("/v1/vaults", json!({"display_name": "v"})).await;
    let resources = json!([{"type": "file", "file_id": file}, {"type": "memory_store", "memory_store_id": store}]);
    let body = with(
        plain(&rig),
        json!({"resources": resources, "vault_ids": [vault]}),
    );
    let id = rig.made("/v1/deployments", body).await;
    let run = format!("/v1/deployments/{id}/run");
    let file = format!("/v1/files/{file}");
    assert!(rig.post(&run, json!({})).await["error"].is_null());
    for (method, path, wanted) in [
        (
            Method::POST,
            format!("/v1/memory_stores/{store}/archive"),
            "memory_store_archived_error",
        ),
        (
            Method::DELETE,
            format!("/v1/memory_stores/{store}"),
            "session_resource_not_found_error",
        ),
        (Method::DELETE, file, "file_not_found_error"),
        (
            Method::POST,
            format!("/v1/vaults/{vault}/archive"),
            "vault_archived_error",
        ),
        (
            Method::DELETE,
            format!("/v1/vaults/{vault}"),
            "vault_not_found_error",
        ),
        (
            Method::POST,
            format!("/v1/environments/{}/archive", rig.environment),
            "environment_archived_error",
        ),
        (
            Method::DELETE,
            format!("/v1/environments/{}", rig.environment),
            "environment_not_found_error",
        ),
        (
            Method::POST,
            format!("/v1/agents/{}/archive", rig.agent),
            "agent_archived_error",
        ),
    ] {
        assert_eq!(rig.call(method, &path, None).await.0, 200, "{path}");
        let run = rig.post(&run, json!({})).await;
        assert_eq!(
            (&run["error"]["type"], &run["session_id"]),
            (&json!(wanted), &Value::Null)
        );
    }
    let runs = format!("/v1/deployment_runs?deployment_id={id}");
    for (query, count) in [
        ("", 9),
        ("&has_error=true", 8),
        ("&has_error=false", 1),
        ("&trigger_type=schedule", 0),
        ("&limit=2", 2),
    ] {
        assert_eq!(
            ids(&rig.get(&format!("{runs}{query}")).await).len(),
            count,
            "{query}"
        );
    }
    let none = rig
        .get("/v1/deployment_runs?deployment_id=depl_unknown")
        .await;
    assert_eq!(none["data"], json!([]));
}

#[tokio::test]
async fn a_schedule_shows_its_times_until_the_deployment_is_archived() {
    let rig = Rig::start().await;
    let schedule = json!({"schedule": cron("30 9 * * 1-5", "Europe/Berlin")});
    let deployment = rig
        .post("/v1/deployments", with(plain(&rig), schedule))
        .await;
    let times = deployment["schedule"]["upcoming_runs_at"]
        .as_array()
        .unwrap();
    assert_eq!(times.len(), 5);
    for time in times {
        let time = time.as_str().unwrap();
        assert!(
            time.ends_with("T07:30:00Z") || time.ends_with("T08:30:00Z"),
            "{time}"
        );
    }
    let path = format!("/v1/deployments/{}", deployment["id"].as_str().unwrap());
    let paused = rig.post(&format!("{path}/pause"), json!({})).await;
    assert_eq!(
        (&paused["status"], &paused["paused_reason"]),
        (&json!("paused"), &json!({"type": "manual"}))
    );
    assert_eq!(
        paused["schedule"]["upcoming_runs_at"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    let active = rig.post(&format!("{path}/unpause"), json!({})).await;
    assert_eq!(
        (&active["status"], &active["paused_reason"]),
        (&json!("active"), &Value::Null)
    );
    let manual = rig
        .post(&path, json!({"schedule": null, "description": "d"}))
        .await;
    assert_eq!(
        (&manual["schedule"], &manual["description"]),
        (&Value::Null, &json!("d"))
    );
    rig.post(
        &path,
        json!({"schedule": cron("0 0 * * 0", "UTC"), "description": ""}),
    )
    .await;
    rig.post(&format!("{path}/pause"), json!({})).await;
    let archived = rig.post(&format!("{path}/archive"), json!({})).await;
    assert_eq!(archived["schedule"]["upcoming_runs_at"], json!([]));
    assert_eq!(
        (&archived["status"], &archived["description"]),
        (&json!("active"), &Value::Null)
    );
    for verb in ["", "/run", "/pause", "/unpause"] {
        let late = format!("{path}{verb}");
        assert_eq!(
            rig.refusal(Method::POST, &late, Some(json!({}))).await.0,
            409,
            "{verb}"
        );
    }
}

#[tokio::test]
async fn a_deployment_that_could_never_run_is_refused() {
    let rig = Rig::start().await;
    let unpriced = json!({"name": "n", "model": "local-model"});
    let unpriced = rig.made("/v1/agents", unpriced).await;
    let budget = json!({"type": "limit", "max_list_cost": {"amount": "50", "currency": "USD"}});
    for (more, status, word) in [
        (json!({"name": ""}), 400, "name"),
        (json!({"agent": "agent_unknown"}), 404, "agent_unknown"),
        (json!({"environment_id": "env_unknown"}), 404, "env_unknown"),
        (json!({"vault_ids": ["vlt_unknown"]}), 404, "vlt_unknown"),
        (json!({"initial_events": []}), 400, "initial_events"),
        (
            json!({"initial_events": [{"type": "user.interrupt"}]}),
            400,
            "initial_events.0.type",
        ),
        (
            json!({"agent": unpriced, "budget": budget}),
            400,
            "model_not_budgetable",
        ),
        (
            json!({"schedule": cron("@daily", "UTC")}),
            400,
            "schedule.expression: Five fields",
        ),
        (
            json!({"schedule": cron("0 25 * * *", "UTC")}),
            400,
            "`25` is no hour",
        ),
        (
            json!({"schedule": cron("0 0 * * *", "Mars/Base")}),
            400,
            "schedule.timezone: `Mars/Base`",
        ),
        (
            json!({"schedule": {"type": "cron", "expression": "0 0 * * *"}}),
            400,
            "schedule.timezone",
        ),
        (json!({"colour": "red"}), 400, "colour"),
    ] {
        let body = with(plain(&rig), more);
        let (found, why) = rig
            .refusal(Method::POST, "/v1/deployments", Some(body))
            .await;
        assert_eq!((found, why.contains(word)), (status, true), "{word}: {why}");
    }
    let id = rig.made("/v1/deployments", plain(&rig)).await;
    let cleared = Some(json!({"agent": null}));
    let path = format!("/v1/deployments/{id}");
    assert_eq!(rig.refusal(Method::POST, &path, cleared).await.0, 400);
}

#[tokio::test]
async fn deployments_are_filtered_by_everything() {
    let rig = Rig::start().await;
    let other = rig.agent_with(json!([])).await;
    let first = rig.made("/v1/deployments", plain(&rig)).await;
    let second = rig
        .made(
            "/v1/deployments",
            with(plain(&rig), json!({"agent": other})),
        )
        .await;
    let gone = rig.made("/v1/deployments", plain(&rig)).await;
    rig.post(&format!("/v1/deployments/{second}/pause"), json!({}))
        .await;
    rig.post(&format!("/v1/deployments/{gone}/archive"), json!({}))
        .await;
    let created = rig.get(&format!("/v1/deployments/{second}")).await["created_at"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, wanted) in [
        (String::new(), vec![&second, &first]),
        ("include_archived=true".into(), vec![&gone, &second, &first]),
        ("status=paused".into(), vec![&second]),
        ("status=active".into(), vec![&first]),
        (format!("agent_id={other}"), vec![&second]),
        (format!("created_at[gte]={created}"), vec![&second]),
        ("limit=1".into(), vec![&second]),
    ] {
        let list = rig.get(&format!("/v1/deployments?{query}")).await;
        assert_eq!(ids(&list), wanted, "{query}");
    }
    for wrong in [
        "status=asleep",
        "status=active&include_archived=true",
        "name=x",
    ] {
        let path = format!("/v1/deployments?{wrong}");
        assert_eq!(
            rig.refusal(Method::GET, &path, None).await.0,
            400,
            "{wrong}"
        );
    }
}
