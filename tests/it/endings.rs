//! What ends in the middle: the process, the disk, the network, the right to ask. Nothing is lost, and the words say what to do.

use std::time::Duration;

use managed_agents_mcp::simulator::{Acting, Kind};
use serde_json::{Value, json};
#[cfg(unix)]
use tokio::process::Command;

use crate::files::{deliver, with_disk};
use crate::load::Lines;
use crate::rig::{GRACE, KEY, Pipe, Rig, reply, session, until};

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_the_process_at_once_and_the_work_goes_on() {
    for signal in ["TERM", "INT", "HUP"] {
        let rig = Rig::start().await;
        let mut pipe = rig.pipe();
        pipe.initialize().await;
        let arguments = json!({"message": "[work 5] go", "wait_seconds": 40, "request_key": "k"});
        let _ = pipe.tool("create_session", arguments.clone()).await;
        until("the session is there", async || rig.sessions().await == 1).await;
        send(signal, &pipe).await;
        let status = pipe.exit().await;
        assert!(status.success(), "{status}");
        assert!(
            !pipe.stderr.text().contains("panick"),
            "{}",
            pipe.stderr.text()
        );
        // Another process finds it by its key.
        let client = rig.client().await;
        let report = client.call("create_session", arguments).await.ok();
        assert_eq!(report["state"], "done", "{report}");
        assert_eq!(rig.sessions().await, 1);
    }
}

#[cfg(unix)]
async fn send(signal: &str, to: &Pipe) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &to.pid().to_string()])
        .status()
        .await;
    assert!(sent.unwrap().success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_download_that_is_cut_off_by_a_signal_leaves_no_part() {
    let (rig, disk) = with_disk().await;
    let (_, files) = deliver(&rig.client().await, "[deliver 1 500] go").await;
    let arguments = json!({"file_id": files[0]["file_id"]});
    for signal in ["TERM", "INT", "HUP"] {
        let mut pipe = rig.pipe();
        pipe.initialize().await;
        let stalled = Kind::Silence {
            after_bytes: 300_000,
        };
        rig.fault("GET */content", stalled);
        let _ = pipe.tool("download_file", arguments.clone()).await;
        until("a part is on the disk", async || !disk.names().is_empty()).await;
        send(signal, &pipe).await;
        let status = pipe.exit().await;
        assert!(status.success(), "{signal}: {status}");
        assert!(disk.names().is_empty(), "{signal}: {:?}", disk.names());
    }
}

/// As under `nohup`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_signal_that_was_to_be_ignored_ends_nothing() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe_of(under("trap '' HUP", &rig));
    pipe.initialize().await;
    send("HUP", &pipe).await;
    let tools = pipe.ask("tools/list", json!({})).await;
    assert!(tools.to_string().contains("create_session"), "{tools}");
    send("TERM", &pipe).await;
    let status = pipe.exit().await;
    assert!(status.success(), "{status}");
}

/// The binary, once a shell has done this.
#[cfg(unix)]
fn under(first: &str, rig: &Rig) -> Command {
    let mut command = Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_managed-agents-mcp");
    command
        .args(["-c", &format!("{first} && exec \"$0\""), binary])
        .env_clear()
        .kill_on_drop(true);
    rig.settings().for_each(|(name, value)| {
        command.env(name, value);
    });
    command
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_is_said_and_leaves_neither_a_part_nor_a_loss() {
    let (rig, disk) = with_disk().await;
    let client = rig.client().await;
    let (_, files) = deliver(&client, "[deliver 1 500] go").await;
    // No file may grow beyond 64 blocks, which is told by a signal first.
    let cramped = rig.client_as(under("ulimit -f 64", &rig)).await;
    disk.put("result-1.txt", b"what was there");
    let arguments = json!({"file_id": files[0]["file_id"], "overwrite": true});
    let text = cramped.call("download_file", arguments.clone()).await.err();
    assert!(
        text.contains("too large") || text.contains("space"),
        "{text}"
    );
    assert!(text.contains("Next:"), "{text}");
    assert_eq!(disk.names(), ["result-1.txt"]);
    let there = std::fs::read(disk.root().join("result-1.txt")).unwrap();
    assert_eq!(there, b"what was there");
    // With room it is saved.
    let saved = client.call("download_file", arguments).await.ok();
    assert_eq!(saved["saved"][0]["size_bytes"], 500_000);
}

#[tokio::test]
async fn a_network_that_goes_and_comes_back_during_a_wait_costs_nothing() {
    let rig = Rig::paced(Duration::from_millis(150)).await;
    let lines = Lines::to(rig.simulator.base_url()).await;
    let client = rig.client_through(&lines.url).await;
    let id = session(&client.create("[work 20] go", 0).await);
    let (report, ()) = tokio::join!(client.wait_for(&id, 40), async {
        until("the stream is open", async || {
            rig.requests()
                .iter()
                .any(|request| request.path.ends_with("/stream"))
        })
        .await;
        lines.set_down(true);
        until("the agent has gone on meanwhile", async || {
            rig.record(&id).await.len() > 20
        })
        .await;
        lines.set_down(false);
    });
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("[work 20]"), "{report}");
    let arguments = json!({"session_id": id, "detail": "full", "limit": 1000});
    let page = client.call("get_events", arguments).await.ok();
    let seen: Vec<&Value> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["id"])
        .collect();
    let record = rig.record(&id).await;
    assert_eq!(
        seen,
        record.iter().map(|event| &event["id"]).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_key_that_is_revoked_during_a_wait_ends_it_with_advice() {
    let rig = Rig::start().await;
    let lines = Lines::to(rig.simulator.base_url()).await;
    let client = rig.client_through(&lines.url).await;
    let id = session(&client.create("[seconds 60] go", 0).await);
    let revoked = Kind::Status {
        code: 401,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    let arguments = json!({"session_ids": [id], "wait_seconds": 40});
    let (waited, ()) = tokio::join!(client.call("get_status", arguments), async {
        until("the stream is open", async || {
            rig.requests()
                .iter()
                .any(|request| request.path.ends_with("/stream"))
        })
        .await;
        rig.always("* *", revoked);
        lines.cut();
    });
    let waited = waited.within(Duration::from_secs(20) + GRACE);
    assert!(
        waited.text.contains("401") && waited.text.contains("key"),
        "{}",
        waited.text
    );
    let message = json!({"session_id": id, "message": "more"});
    let text = client.call("send_message", message).await.err();
    assert!(text.contains("401") && text.contains("Next:"), "{text}");
    // The same process goes on once the key counts again.
    rig.simulator.clear_faults();
    let report = client.status(&id).await;
    assert_eq!(report["state"], "working", "{report}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_was_replaced_in_its_file_is_used_from_then_on() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-ant-of-yesterday-0123456789").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let rig = Rig::start()
        .await
        .unset("ANTHROPIC_API_KEY")
        .set("MANAGED_AGENTS_KEY_FILE", file.display().to_string());
    let client = rig.client().await;
    rig.fault("* *", Kind::SlowHeaders { ms: 500 });
    let (listed, ()) = tokio::join!(client.call("list_agents", json!({})), async {
        until("the old key was sent", async || !rig.requests().is_empty()).await;
        std::fs::write(&file, KEY).unwrap();
    });
    let _ = listed.ok();
    let report = client.create("hello", 20).await;
    assert_eq!(report["state"], "done", "{report}");
    let stale = rig.requests();
    let stale = stale
        .iter()
        .filter(|request| request.headers["x-api-key"] != KEY);
    assert_eq!(stale.count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_stays_refused_is_not_fetched_for_every_call() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (script, runs) = (folder.path().join("key.sh"), folder.path().join("runs"));
    let text = format!(
        "#!/bin/sh\necho run >> {}\necho sk-ant-revoked-0123456789\n",
        runs.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let rig = Rig::start()
        .await
        .unset("ANTHROPIC_API_KEY")
        .set("MANAGED_AGENTS_KEY_COMMAND", script.display().to_string());
    let client = rig.client().await;
    for _ in 0..5 {
        let text = client.call("list_agents", json!({})).await.err();
        assert!(text.contains("401") && text.contains("Next:"), "{text}");
    }
    let runs = std::fs::read_to_string(&runs).unwrap();
    assert_eq!(runs.lines().count(), 2, "{runs}");
}

#[tokio::test]
async fn a_client_that_stopped_reading_and_went_away_is_not_waited_for() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    // More answers than its pipe and ours hold, so that nothing more is read from it either.
    let sending = async {
        for _ in 0..1_000 {
            let _ = pipe.request("tools/list", json!({})).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), sending).await;
    pipe.hang_up();
    let status = pipe.exit().await;
    assert!(status.success(), "{status}");
}
