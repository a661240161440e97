//! Every kind of write, under every failure that leaves open whether it was acted on: one effect, and a result that says so.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::files::{Disk, with_disk};
use crate::rig::{Client, Rig, id, pending, session};

const BOTH: [Acting; 2] = [Acting::Before, Acting::After];
const ONCE: &str = "only once";

fn status(code: u16, acting: Acting) -> Kind {
    Kind::Status {
        code,
        retry_after: None,
        acting,
        body: None,
    }
}

fn lost(acting: Acting) -> Kind {
    Kind::Drop { acting }
}

/// How many times something was done.
type Effects = for<'a> fn(&'a Rig, &'a str) -> BoxFuture<'a, usize>;

/// One kind of write.
struct Case {
    name: &'static str,
    /// The request that does it.
    on: String,
    tool: &'static str,
    arguments: Value,
    /// Asked of the simulator, with the id of what is written to, or the name of what is made.
    effects: Effects,
    key: String,
}

impl Case {
    async fn effects(&self, rig: &Rig) -> usize {
        (self.effects)(rig, &self.key).await
    }
}

/// The API's objects under a path.
async fn listed(rig: &Rig, path: &str) -> Vec<Value> {
    let page = rig.api("GET", path, Value::Null).await;
    page["data"].as_array().unwrap().clone()
}

async fn count(rig: &Rig, path: &str, fits: impl Fn(&Value) -> bool) -> usize {
    listed(rig, path)
        .await
        .iter()
        .filter(|one| fits(one))
        .count()
}

/// Events of one type in a session's record.
async fn events(rig: &Rig, session: &str, kind: &str) -> usize {
    let record = rig.record(session).await.into_iter();
    record.filter(|event| event["type"] == kind).count()
}

/// Whether something is archived.
async fn archived(rig: &Rig, path: String) -> usize {
    usize::from(rig.api("GET", &path, Value::Null).await["archived_at"].is_string())
}

const SESSIONS: &str = "/v1/sessions?limit=100&include_archived=true";
const AGENTS: &str = "/v1/agents?limit=100&include_archived=true";
const ENVIRONMENTS: &str = "/v1/environments?limit=100&include_archived=true";
const DEPLOYMENTS: &str = "/v1/deployments?limit=100&include_archived=true";

/// A simulator, a process, and one thing for every kind of write.
struct Bed {
    rig: Rig,
    client: Client,
    cases: Vec<Case>,
    _disk: Disk,
}

impl Bed {
    async fn made() -> Bed {
        let (rig, disk) = with_disk().await;
        disk.put("notes.txt", b"notes");
        let rig = rig.set("MANAGED_AGENTS_TOOLSETS", "all");
        let client = rig.client().await;
        let cases = [
            sessions(&client).await,
            endings(&rig, &client).await,
            definitions(&rig).await,
            schedules(&rig).await,
        ];
        Bed {
            rig,
            client,
            cases: cases.into_iter().flatten().collect(),
            _disk: disk,
        }
    }

    /// Makes all calls at once, each with these faults on its way; what was told, and what was done.
    async fn through(&self, kinds: &[Kind]) -> Vec<(&Case, Result<Value, String>, usize)> {
        for case in &self.cases {
            for (place, kind) in kinds.iter().enumerate() {
                let fault = Fault::new(&case.on, kind.clone());
                self.rig.simulator.inject(fault.skip(place));
            }
        }
        join_all(self.cases.iter().map(async |case| {
            let called = self.client.call(case.tool, case.arguments.clone()).await;
            let told = if called.is_error {
                Err(called.text)
            } else {
                Ok(called.structured)
            };
            (case, told, case.effects(&self.rig).await)
        }))
        .await
    }
}

/// Everything that is sent into sessions, and their start.
async fn sessions(client: &Client) -> Vec<Case> {
    let scripts = [
        "hello",
        "hello",
        "hello",
        "[approve] go",
        "[custom] go",
        "[seconds 60] go",
        "[seconds 60] go",
        "hello",
        "hello",
    ];
    // The default pair is there before those who have little time.
    let _ = client.create("hello", 30).await;
    let waits = scripts.map(|script| if script.contains("seconds") { 2 } else { 30 });
    let created = scripts.into_iter().zip(waits);
    let reports = join_all(created.map(|(script, wait)| client.create(script, wait))).await;
    let ids: Vec<String> = reports.iter().map(session).collect();
    let event = |place: usize| pending(&reports[place]).remove(0);
    let sent = |name, place: usize, tool, mut arguments: Value, effects| {
        arguments["session_id"] = json!(ids[place]);
        let on = format!("POST /v1/sessions/{}/events", ids[place]);
        let key = ids[place].clone();
        Case {
            name,
            on,
            tool,
            arguments,
            effects,
            key,
        }
    };
    let changed = |name, place: usize, mut arguments: Value, effects| {
        arguments["session_id"] = json!(ids[place]);
        let on = format!("POST /v1/sessions/{}", ids[place]);
        let (tool, key) = ("update_session", ids[place].clone());
        Case {
            name,
            on,
            tool,
            arguments,
            effects,
            key,
        }
    };
    let message: Effects = |rig, id| {
        async move {
            let told = rig.messages(id).await.into_iter();
            told.filter(|text| text == ONCE).count()
        }
        .boxed()
    };
    let outcome = json!({"description": "a report", "rubric": "it is there"});
    vec![
        Case {
            name: "start",
            on: "POST /v1/sessions".to_owned(),
            tool: "create_session",
            arguments: json!({"message": ONCE, "title": ONCE, "wait_seconds": 20}),
            effects: |rig, title| count(rig, SESSIONS, move |one| one["title"] == title).boxed(),
            key: ONCE.to_owned(),
        },
        sent(
            "message",
            0,
            "send_message",
            json!({"message": ONCE, "wait_seconds": 20}),
            message,
        ),
        sent(
            "outcome",
            1,
            "send_message",
            json!({"outcome": outcome, "wait_seconds": 20}),
            |rig, id| events(rig, id, "user.define_outcome").boxed(),
        ),
        sent(
            "message after an interrupt",
            5,
            "send_message",
            json!({"message": ONCE, "interrupt": true, "wait_seconds": 20}),
            message,
        ),
        sent(
            "approval",
            3,
            "resolve_action",
            json!({"decisions": [{"event_id": event(3), "decision": "allow"}], "wait_seconds": 20}),
            |rig, id| events(rig, id, "user.tool_confirmation").boxed(),
        ),
        sent(
            "result",
            4,
            "resolve_action",
            json!({"decisions": [{"event_id": event(4), "result": "42"}], "wait_seconds": 20}),
            |rig, id| events(rig, id, "user.custom_tool_result").boxed(),
        ),
        sent(
            "interrupt",
            6,
            "interrupt_session",
            json!({"wait_seconds": 20}),
            |rig, id| events(rig, id, "user.interrupt").boxed(),
        ),
        changed(
            "title and budget",
            7,
            json!({"title": "new", "metadata": {"ticket": "42"}, "budget_usd": 12.5}),
            |rig, id| {
                async move {
                    let read = rig
                        .api("GET", &format!("/v1/sessions/{id}"), Value::Null)
                        .await;
                    let is_so = read["title"] == "new"
                        && read["metadata"]["ticket"] == "42"
                        && read["budget"]["max_list_cost"]["amount"] == "1250";
                    usize::from(is_so) * events(rig, id, "session.updated").await
                }
                .boxed()
            },
        ),
        changed("no budget", 8, json!({"remove_budget": true}), |rig, id| {
            events(rig, id, "session.updated").boxed()
        }),
    ]
}

/// The ends of sessions, agents and environments.
async fn endings(rig: &Rig, client: &Client) -> Vec<Case> {
    let (agent, environment) = (
        json!({"name": "ending", "model": "claude-sonnet-5-5"}),
        "/v1/environments",
    );
    let kept = session(&client.create("hello", 20).await);
    let gone = session(&client.create("hello", 20).await);
    let (kept_agent, kept_place) = rig.furnish(agent.clone(), json!({"name": "kept"})).await;
    let gone_agent = id(&rig.api("POST", "/v1/agents", agent).await);
    let gone_place = id(&rig.api("POST", environment, json!({"name": "gone"})).await);
    let case = |name, tool, what: &str, list: &str, key: &str, effects: Effects| {
        let is_delete = name != "archive";
        let on = if is_delete {
            format!("DELETE {list}/{key}")
        } else {
            format!("POST {list}/{key}/archive")
        };
        let mode = if is_delete { "delete" } else { "archive" };
        let mut arguments = json!({"mode": mode});
        arguments[what] = json!(key);
        Case {
            name,
            on,
            tool,
            arguments,
            effects,
            key: key.to_owned(),
        }
    };
    vec![
        case(
            "archive",
            "close_session",
            "session_id",
            "/v1/sessions",
            &kept,
            |rig, id| archived(rig, format!("/v1/sessions/{id}")).boxed(),
        ),
        case(
            "delete a session",
            "close_session",
            "session_id",
            "/v1/sessions",
            &gone,
            |rig, id| async move { 1 - count(rig, SESSIONS, |one| one["id"] == id).await }.boxed(),
        ),
        case(
            "archive",
            "close_agent",
            "agent",
            "/v1/agents",
            &kept_agent,
            |rig, id| archived(rig, format!("/v1/agents/{id}")).boxed(),
        ),
        case(
            "delete an agent",
            "close_agent",
            "agent",
            "/v1/agents",
            &gone_agent,
            |rig, id| async move { 1 - count(rig, AGENTS, |one| one["id"] == id).await }.boxed(),
        ),
        case(
            "archive",
            "close_environment",
            "environment",
            "/v1/environments",
            &kept_place,
            |rig, id| archived(rig, format!("/v1/environments/{id}")).boxed(),
        ),
        case(
            "delete an environment",
            "close_environment",
            "environment",
            "/v1/environments",
            &gone_place,
            |rig, id| {
                async move { 1 - count(rig, ENVIRONMENTS, |one| one["id"] == id).await }.boxed()
            },
        ),
    ]
}

/// Agents, environments and files.
async fn definitions(rig: &Rig) -> Vec<Case> {
    let agent = json!({"name": "before", "model": "claude-sonnet-5-5"});
    let agent = id(&rig.api("POST", "/v1/agents", agent).await);
    let named: Effects = |rig, name| count(rig, AGENTS, move |one| one["name"] == name).boxed();
    vec![
        Case {
            name: "create an agent",
            on: "POST /v1/agents".to_owned(),
            tool: "create_agent",
            arguments: json!({"name": ONCE, "tools": "read_only", "metadata": {"team": "a"}}),
            effects: named,
            key: ONCE.to_owned(),
        },
        Case {
            name: "update an agent",
            on: format!("POST /v1/agents/{agent}"),
            tool: "update_agent",
            arguments: json!({"agent": agent, "version": 1, "name": "after", "tools": "ask", "model": "claude-opus-5"}),
            effects: |rig, id| {
                async move {
                    let read = rig
                        .api("GET", &format!("/v1/agents/{id}"), Value::Null)
                        .await;
                    assert_eq!(
                        read["name"],
                        if read["version"] == 1 {
                            "before"
                        } else {
                            "after"
                        }
                    );
                    read["version"].as_u64().unwrap() as usize - 1
                }
                .boxed()
            },
            key: agent,
        },
        Case {
            name: "create an environment",
            on: "POST /v1/environments".to_owned(),
            tool: "create_environment",
            arguments: json!({"name": ONCE}),
            effects: |rig, name| count(rig, ENVIRONMENTS, move |one| one["name"] == name).boxed(),
            key: ONCE.to_owned(),
        },
        Case {
            name: "upload a file",
            on: "POST /v1/files".to_owned(),
            tool: "upload_file",
            arguments: json!({"path": "notes.txt"}),
            effects: |rig, name| {
                async move {
                    rig.files()
                        .await
                        .iter()
                        .filter(|file| file["filename"] == name)
                        .count()
                }
                .boxed()
            },
            key: "notes.txt".to_owned(),
        },
    ]
}

/// Schedules: made, and all that can be done with one.
async fn schedules(rig: &Rig) -> Vec<Case> {
    let agent = json!({"name": "scheduled", "model": "claude-sonnet-5-5"});
    let (agent, environment) = rig.furnish(agent, json!({"name": "schedules"})).await;
    let schedule = async |name: &str| {
        let event =
            json!({"type": "user.message", "content": [{"type": "text", "text": "Report."}]});
        let body = json!({"name": name, "agent": agent, "environment_id": environment, "initial_events": [event]});
        id(&rig.api("POST", "/v1/deployments", body).await)
    };
    let control = |name, action, key: String, effects: Effects| {
        let verb = if action == "resume" {
            "unpause"
        } else {
            action
        };
        Case {
            name,
            on: format!("POST /v1/deployments/{key}/{verb}"),
            tool: "control_schedule",
            arguments: json!({"schedule_id": key, "action": action}),
            effects,
            key,
        }
    };
    let paused = schedule("resumed").await;
    let _ = rig
        .api(
            "POST",
            &format!("/v1/deployments/{paused}/pause"),
            json!({}),
        )
        .await;
    vec![
        Case {
            name: "create a schedule",
            on: "POST /v1/deployments".to_owned(),
            tool: "create_schedule",
            arguments: json!({"name": ONCE, "agent": agent, "environment": environment, "message": "Report."}),
            effects: |rig, name| count(rig, DEPLOYMENTS, move |one| one["name"] == name).boxed(),
            key: ONCE.to_owned(),
        },
        control("run", "run", schedule("run").await, |rig, id| {
            async move {
                let path = format!("/v1/deployment_runs?deployment_id={id}");
                listed(rig, &path).await.len()
            }
            .boxed()
        }),
        control("pause", "pause", schedule("paused").await, |rig, id| {
            async move {
                let read = rig
                    .api("GET", &format!("/v1/deployments/{id}"), Value::Null)
                    .await;
                usize::from(read["status"] == "paused")
            }
            .boxed()
        }),
        control("resume", "resume", paused, |rig, id| {
            async move {
                let read = rig
                    .api("GET", &format!("/v1/deployments/{id}"), Value::Null)
                    .await;
                usize::from(read["status"] == "active")
            }
            .boxed()
        }),
        control(
            "archive",
            "archive",
            schedule("archived").await,
            |rig, id| archived(rig, format!("/v1/deployments/{id}")).boxed(),
        ),
    ]
}

/// Under one such failure everything is done once, and said to be.
async fn each_is_done_once(kinds: impl IntoIterator<Item = Kind>) {
    join_all(kinds.into_iter().map(async |kind| {
        let bed = Bed::made().await;
        let all = bed.through(std::slice::from_ref(&kind)).await;
        assert!(all.len() >= 23, "{}", all.len());
        for (case, told, effects) in all {
            let name = format!("{} ({}), {kind:?}", case.name, case.tool);
            let told = told.unwrap_or_else(|text| panic!("{name}: {text}"));
            assert_eq!(effects, 1, "{name}: {told}");
            // It is ours, and not one that was there.
            assert!(told["note"].is_null(), "{name}: {told}");
        }
    }))
    .await;
}

#[tokio::test]
async fn what_is_refused_before_it_is_acted_on_is_done_once_all_the_same() {
    let codes = [408, 500, 502, 503, 504, 529];
    each_is_done_once(codes.map(|code| status(code, Acting::Before))).await;
}

#[tokio::test]
async fn what_is_refused_after_it_was_acted_on_is_not_done_again() {
    let codes = [408, 500, 502, 503, 504, 529];
    each_is_done_once(codes.map(|code| status(code, Acting::After))).await;
}

#[tokio::test]
async fn what_is_never_answered_or_half_or_in_garbage_is_done_once() {
    let kinds = BOTH.map(lost).into_iter().chain([
        Kind::CutAfterBytes { bytes: 0 },
        Kind::CutAfterBytes { bytes: 30 },
        Kind::Garbage,
        Kind::ExtraStatus { code: 202 },
    ]);
    each_is_done_once(kinds).await;
}

#[tokio::test]
async fn under_two_failures_in_a_row_nothing_is_doubled_and_nothing_that_happened_is_said_to_have_failed()
 {
    let pairs = [
        [status(429, Acting::Before), lost(Acting::After)],
        [status(500, Acting::Before), status(429, Acting::After)],
        [lost(Acting::Before), status(503, Acting::After)],
        [lost(Acting::Before), status(500, Acting::Before)],
        [status(529, Acting::Before), status(413, Acting::Before)],
        [status(503, Acting::Before), Kind::Garbage],
    ];
    join_all(pairs.into_iter().map(async |kinds| {
        let bed = Bed::made().await;
        let mut unknown = 0;
        for (case, told, effects) in bed.through(&kinds).await {
            let name = format!("{} ({}), {kinds:?}", case.name, case.tool);
            match told {
                Ok(told) => assert_eq!(effects, 1, "{name}: {told}"),
                Err(text) if text.contains("not known whether") => {
                    assert!(effects <= 1, "{name}: {effects}: {text}");
                    unknown += 1;
                }
                Err(text) => assert_eq!(effects, 0, "{name}: {text}"),
            }
        }
        // Only where both attempts leave it open and neither did it, nobody can tell.
        let may_be = kinds[1] == status(500, Acting::Before);
        assert!(may_be || unknown == 0, "{kinds:?}: {unknown} unknown");
    }))
    .await;
}

#[tokio::test]
async fn who_cannot_look_sends_nothing_again_and_names_the_call_that_shows_it() {
    let bed = Bed::made().await;
    let calls = bed.cases.iter().map(async |case| {
        let sent = |rig: &Rig| {
            let requests = rig.requests().into_iter();
            let of = |method: &str, path: &str| case.on == format!("{method} {path}");
            requests.filter(|one| of(&one.method, &one.path)).count()
        };
        // Carried out at once, and lost a little later.
        bed.rig.fault(&case.on, Kind::SlowHeaders { ms: 300 });
        bed.rig.fault(&case.on, lost(Acting::After));
        let before = sent(&bed.rig);
        let call = bed.client.call(case.tool, case.arguments.clone());
        let blinding = async {
            crate::rig::until("it was sent", async || sent(&bed.rig) > before).await;
            bed.rig.always("GET *", status(404, Acting::Before));
        };
        let (called, ()) = tokio::join!(call, blinding);
        (case, called, sent(&bed.rig) - before)
    });
    // One after the other: from the moment that something is sent nothing can be read.
    let mut told = Vec::new();
    for call in calls {
        told.push(call.await);
        bed.rig.simulator.clear_faults();
    }
    for (case, called, attempts) in told {
        let name = format!("{} ({})", case.name, case.tool);
        assert_eq!((attempts, case.effects(&bed.rig).await), (1, 1), "{name}");
        // That it cannot be read means that it is gone.
        if called.is_error {
            let text = called.text;
            assert!(text.contains("not known whether"), "{name}: {text}");
            let next = text.split("Next: ").nth(1).unwrap();
            let is_call = ["get_", "list_", "the same call", "the same arguments"];
            assert!(
                is_call.iter().any(|call| next.contains(call)),
                "{name}: {next}"
            );
        } else {
            assert!(case.name.starts_with("delete"), "{name}: {}", called.text);
        }
    }
}

#[tokio::test]
async fn the_default_pair_is_made_once_whatever_happens_to_the_first_attempts() {
    let kinds = [
        status(500, Acting::Before),
        status(503, Acting::After),
        lost(Acting::Before),
        lost(Acting::After),
        Kind::Garbage,
    ];
    join_all(kinds.map(async |kind| {
        let rig = Rig::start().await;
        let client = rig.client().await;
        for on in ["POST /v1/agents", "POST /v1/environments"] {
            rig.fault(on, kind.clone());
        }
        let (one, two) = tokio::join!(client.create("one", 30), client.create("two", 30));
        for report in [one, two] {
            assert_eq!(report["state"], "done", "{kind:?}: {report}");
        }
        let made = (
            count(&rig, AGENTS, |_| true).await,
            count(&rig, ENVIRONMENTS, |_| true).await,
        );
        assert_eq!(made, (1, 1), "{kind:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_slow_start_with_a_key_holds_up_only_the_same_key() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let _ = client.create("hello", 20).await;
    rig.fault("POST /v1/sessions", Kind::SlowHeaders { ms: 4000 });
    let start = |key: &str| {
        let arguments = json!({"message": key, "request_key": key, "wait_seconds": 20});
        client.call("create_session", arguments)
    };
    let others = async {
        crate::rig::until("the slow one has left", async || {
            rig.bodies("POST", "/v1/sessions").len() == 2
        })
        .await;
        start("tuesday").await
    };
    let (first, same, other) = tokio::join!(start("monday"), start("monday"), others);
    let other = other.within(Duration::from_millis(3000)).ok();
    let (first, same) = (first.ok(), same.ok());
    assert_eq!(first["session_id"], same["session_id"]);
    assert_ne!(first["session_id"], other["session_id"]);
    assert_eq!(rig.sessions().await, 3);
    assert_eq!(rig.messages(&session(&first)).await, ["monday"]);
}

#[tokio::test]
async fn a_change_that_was_made_is_no_failure_when_the_session_cannot_be_read_after_it() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let on = format!("POST /v1/sessions/{id}");
    rig.fault(&on, Kind::SlowHeaders { ms: 500 });
    let blinding = async {
        crate::rig::until("it was sent", async || !rig.bodies("POST", &id).is_empty()).await;
        rig.always("GET *", status(503, Acting::Before));
    };
    let arguments = json!({"session_id": id, "title": "new"});
    let (called, ()) = tokio::join!(client.call("update_session", arguments), blinding);
    rig.simulator.clear_faults();
    let report = called.ok();
    let notes = report["notes"].to_string();
    assert!(notes.contains("It was changed"), "{report}");
    assert_eq!(rig.bodies("POST", &id).len(), 1);
}

#[tokio::test]
async fn a_page_of_somebody_in_between_is_no_word_that_something_is_closed_or_stopped() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    let agent = json!({"name": "a", "model": "claude-sonnet-5-5"});
    let (agent, environment) = rig.furnish(agent, json!({"name": "e"})).await;
    // A proxy says 200 to everything that is posted, and passes nothing on.
    let page = || Kind::Status {
        code: 200,
        retry_after: None,
        acting: Acting::Before,
        body: Some(json!("<html><body>Sign in to the network.</body></html>")),
    };
    rig.always("POST *", page());
    rig.always("DELETE *", page());
    let closings = [
        ("close_session", json!({"session_id": id})),
        ("close_session", json!({"session_id": id, "mode": "delete"})),
        ("close_agent", json!({"agent": agent})),
        ("close_environment", json!({"environment": environment})),
    ];
    join_all(closings.map(async |(tool, arguments)| {
        let text = client.call(tool, arguments).await.err();
        assert!(text.contains("not known whether"), "{tool}: {text}");
    }))
    .await;
    rig.simulator.clear_faults();
    assert_eq!(archived(&rig, format!("/v1/sessions/{id}")).await, 0);
}

/// A line on which requests that start a session take their time to arrive, and then do.
async fn slow_to_start(target: &str, pause: Duration) -> (String, JoinSet<()>) {
    let target = target.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut piece = vec![0; 65536];
                while let Ok(count @ 1..) = from_client.read(&mut piece).await {
                    if piece.starts_with(b"POST /v1/sessions HTTP") {
                        tokio::time::sleep(pause).await;
                    }
                    let _ = to_server.write_all(&piece[..count]).await;
                }
                // A server may drop what it does for a line that is closed.
                tokio::time::sleep(pause).await;
            });
        }
    });
    (url, serving)
}

#[tokio::test]
async fn a_start_that_may_still_be_at_work_is_not_made_again() {
    let rig = Rig::start().await;
    // Makes the default pair.
    let _ = rig.client().await.create("hello", 20).await;
    let (url, _serving) = slow_to_start(rig.simulator.base_url(), Duration::from_secs(4)).await;
    let client = rig.client_through(&url).await;
    let arguments = json!({"message": "once", "request_key": "k", "wait_seconds": 0});
    let text = client.call("create_session", arguments.clone()).await.err();
    assert!(text.contains("not known whether"), "{text}");
    let text = client.call("create_session", arguments.clone()).await.err();
    assert!(text.contains("may still be at work"), "{text}");
    crate::rig::until("it is started", async || rig.sessions().await == 2).await;
    let report = client.call("create_session", arguments).await.ok();
    assert_eq!(rig.messages(&session(&report)).await, ["once"]);
    assert_eq!(rig.sessions().await, 2);
}

#[tokio::test]
async fn of_two_messages_that_are_the_same_neither_is_taken_for_the_other() {
    for acting in [Acting::Before, Acting::After] {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create("hello", 20).await);
        rig.fault("POST */events", lost(acting));
        let (one, two) = tokio::join!(client.send(&id, "go on", 20), client.send(&id, "go on", 20));
        for report in [one, two] {
            assert_eq!(report["state"], "done", "{report}");
        }
        assert_eq!(rig.messages(&id).await, ["hello", "go on", "go on"]);
    }
}
