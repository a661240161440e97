//! Completions: what a user who types may mean, at once or not at all.

use std::time::{Duration, Instant};

use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use rmcp::model::{ArgumentInfo, CompleteRequestParams, CompletionInfo, Reference};
use serde_json::json;

use crate::rig::{Client, Rig, id, until};

/// What is promised, and what the way there and back adds.
const AT_ONCE: Duration = Duration::from_millis(300 + 100);
/// A busy machine makes a single answer late or empty.
const TRIES: usize = 20;

fn prompt(name: &str) -> Reference {
    Reference::for_prompt(name)
}

async fn complete(
    client: &Client,
    reference: Reference,
    name: &str,
    value: &str,
) -> CompletionInfo {
    let params = CompleteRequestParams::new(reference, ArgumentInfo::new(name, value));
    client.peer().complete(params).await.unwrap().completion
}

/// The answer that knows of everything, however busy the machine is.
async fn all(client: &Client, reference: Reference, name: &str, value: &str) -> CompletionInfo {
    let mut found = CompletionInfo::default();
    until("everything is known", async || {
        found = complete(client, reference.clone(), name, value).await;
        found.total.is_some()
    })
    .await;
    found
}

async fn values(client: &Client, reference: Reference, name: &str, value: &str) -> Vec<String> {
    all(client, reference, name, value).await.values
}

/// Sessions with these titles, the last of them the newest; their ids.
async fn sessions(rig: &Rig, titles: &[String]) -> Vec<String> {
    let agent = json!({"name": "Code Reviewer", "model": "claude-sonnet-5-5"});
    let config = json!({"type": "cloud", "networking": {"type": "unrestricted"}});
    let environment = json!({"name": "Node 22", "config": config});
    let (agent, environment) = rig.furnish(agent, environment).await;
    let mut ids = Vec::new();
    for title in titles {
        let body = json!({"agent": agent, "environment_id": environment, "title": title});
        ids.push(id(&rig.api("POST", "/v1/sessions", body).await));
    }
    ids
}

fn titles(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

#[tokio::test]
async fn sessions_are_found_by_the_start_of_the_id_and_by_part_of_the_title() {
    let rig = Rig::start().await;
    let ids = sessions(&rig, &titles(&["Flaky tests", "the CART", ""])).await;
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    for client in [rig.client().await, rig.discovering_client().await] {
        let found = all(&client, prompt("follow_up"), "session_id", "").await;
        assert_eq!(found.values, newest_first);
        assert_eq!((found.total, found.has_more), (Some(3), Some(false)));
        for (typed, wanted) in [
            ("flaky", &ids[..1]),
            ("Y TEST", &ids[..1]),
            ("cart", &ids[1..2]),
            (ids[2].as_str(), &ids[2..]),
            ("sesn_", &newest_first),
            ("nothing like it", &[]),
        ] {
            for reference in [
                prompt("follow_up"),
                prompt("review_session"),
                Reference::for_resource("session://{session_id}/transcript"),
                Reference::for_resource("session://{session_id}/events"),
            ] {
                let found = values(&client, reference, "session_id", typed).await;
                assert_eq!(found, wanted, "{typed}");
            }
        }
    }
}

#[tokio::test]
async fn agents_and_environments_are_found_by_part_of_the_name() {
    let rig = Rig::start().await;
    let _ = sessions(&rig, &[]).await;
    for name in ["Review all", "Writer", "odd\u{202e}name"] {
        let agent = json!({"name": name, "model": "claude-sonnet-5-5"});
        rig.api("POST", "/v1/agents", agent).await;
    }
    let client = rig.client().await;
    let agents = values(&client, prompt("delegate"), "agent", "REVIEW").await;
    let begins = ["Review all", "Code Reviewer"];
    assert_eq!(agents, begins, "what begins so goes first");
    let odd = values(&client, prompt("delegate"), "agent", "odd").await;
    assert!(odd[0].starts_with("agent_"), "nobody can type it: {odd:?}");
    let environments = values(&client, prompt("delegate"), "environment", "node").await;
    assert_eq!(environments, ["Node 22"]);
    let rig = rig.set("MANAGED_AGENTS_ALLOW_AGENTS", "Writer");
    let client = rig.client().await;
    let agents = values(&client, prompt("delegate"), "agent", "").await;
    assert_eq!(agents, ["Writer"], "only those that may be used");
}

#[tokio::test]
async fn for_what_cannot_be_completed_the_answer_is_empty_and_nothing_is_asked() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    for (reference, argument) in [
        (prompt("delegate"), "task"),
        (prompt("delegate"), "repository"),
        (prompt("delegate"), "session_id"),
        (prompt("review_session"), "agent"),
        (prompt("make_coffee"), "agent"),
        (
            Reference::for_resource("session://{session_id}/events"),
            "agent",
        ),
    ] {
        let found = complete(&client, reference, argument, "").await;
        assert_eq!(found, CompletionInfo::default(), "{argument}");
    }
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn of_more_than_a_hundred_the_newest_hundred_are_offered_and_the_rest_is_counted() {
    let rig = Rig::start().await;
    let numbered = (0..130).map(|n| format!("job {n} {}", if n < 5 { "early" } else { "late" }));
    let ids = sessions(&rig, &numbered.collect::<Vec<_>>()).await;
    let client = rig.client().await;
    let found = all(&client, prompt("follow_up"), "session_id", "job").await;
    assert_eq!((found.values.len(), found.total), (100, Some(130)));
    assert_eq!(found.has_more, Some(true));
    assert_eq!(found.values[0], ids[129]);
    let early = all(&client, prompt("follow_up"), "session_id", "EARLY").await;
    assert_eq!((early.values.len(), early.total), (5, Some(5)));
    assert_eq!(early.has_more, Some(false));
}

#[tokio::test]
async fn the_next_letters_that_are_typed_ask_nothing_of_the_api() {
    let rig = Rig::start().await;
    let _ = sessions(&rig, &titles(&["Flaky tests"])).await;
    let client = rig.client().await;
    for _ in 0..TRIES {
        let before = Instant::now();
        let _ = all(&client, prompt("follow_up"), "session_id", "f").await;
        let asked = rig.requests().len();
        for typed in ["fl", "fla", "flak"] {
            let _ = complete(&client, prompt("follow_up"), "session_id", typed).await;
        }
        if before.elapsed() < Duration::from_secs(3) {
            return assert_eq!(rig.requests().len(), asked);
        }
    }
    panic!("this machine is too slow to tell");
}

#[tokio::test]
async fn when_the_api_hangs_the_answer_is_empty_and_in_time() {
    for kind in [
        Kind::SlowHeaders { ms: 60_000 },
        Kind::Silence { after_bytes: 10 },
    ] {
        let rig = Rig::start().await;
        rig.always("GET *", kind.clone());
        let client = rig.client().await;
        for (name, argument) in [
            ("follow_up", "session_id"),
            ("delegate", "agent"),
            ("delegate", "environment"),
        ] {
            let mut fastest = Duration::MAX;
            for _ in 0..TRIES {
                let began = Instant::now();
                let found = complete(&client, prompt(name), argument, "").await;
                assert_eq!(found, CompletionInfo::default(), "{kind:?}");
                fastest = fastest.min(began.elapsed());
                if fastest <= AT_ONCE {
                    break;
                }
            }
            assert!(fastest <= AT_ONCE, "{kind:?}: {fastest:?}");
        }
    }
}

#[tokio::test]
async fn an_api_that_fails_leaves_the_answer_empty_and_nothing_of_it_is_kept() {
    let status = |code| Kind::Status {
        code,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    for kind in [status(500), status(401), Kind::Garbage] {
        let rig = Rig::start().await;
        let ids = sessions(&rig, &titles(&["one"])).await;
        rig.always("GET *", kind);
        let client = rig.client().await;
        let found = complete(&client, prompt("follow_up"), "session_id", "").await;
        assert_eq!(found, CompletionInfo::default());
        rig.simulator.clear_faults();
        let found = values(&client, prompt("follow_up"), "session_id", "").await;
        assert_eq!(found, ids);
    }
}

#[tokio::test]
async fn a_page_that_does_not_come_leaves_what_came_before() {
    let rig = Rig::start().await;
    let numbered: Vec<String> = (0..110).map(|n| format!("job {n}")).collect();
    let ids = sessions(&rig, &numbered).await;
    let client = rig.client().await;
    // The second page of a list is asked for with a token.
    for _ in 0..TRIES {
        rig.simulator.clear_faults();
        let slow = Kind::SlowHeaders { ms: 60_000 };
        rig.simulator
            .inject(Fault::new("GET */sessions", slow).skip(1).always());
        let newest = complete(&client, prompt("follow_up"), "session_id", "job 109").await;
        if newest.values.is_empty() {
            continue;
        }
        assert_eq!(newest.values, [ids[109].clone()]);
        let others = (newest.total, newest.has_more);
        return assert_eq!(others, (None, Some(true)), "there may be others");
    }
    panic!("this machine is too slow to tell");
}

#[tokio::test]
async fn without_a_key_nothing_is_offered_and_no_key_command_is_run() {
    let rig = Rig::start().await.unset("ANTHROPIC_API_KEY");
    let client = rig.client().await;
    let found = complete(&client, prompt("follow_up"), "session_id", "").await;
    assert_eq!(found, CompletionInfo::default());
    let mark = std::env::temp_dir().join(format!("managed-agents-mark-{}", fastrand::u64(..)));
    let command = format!("touch {}", mark.display());
    let rig = rig.set("MANAGED_AGENTS_KEY_COMMAND", command);
    let client = rig.client().await;
    let found = complete(&client, prompt("follow_up"), "session_id", "").await;
    assert_eq!(found, CompletionInfo::default());
    assert!(!mark.exists(), "typing ran the command");
    assert!(rig.requests().is_empty());
}
