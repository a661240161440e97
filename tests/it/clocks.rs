//! A machine whose clock is wrong: what is young is judged by the clock of the server, which dated it.

use chrono::{Datelike, Utc};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::rig::{Rig, reply, session, until};

/// A line to a server whose clock is four hundred years ahead: as many days of each kind, so that every date stays one.
struct Ahead {
    url: String,
    _lines: JoinSet<()>,
}

impl Ahead {
    async fn of(target: &str) -> Ahead {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut lines = JoinSet::new();
        lines.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&target).await.unwrap();
                open.spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let (year, later) = years();
                    let asks = pass(from_client, to_server, &later, &year);
                    let answers = pass(from_server, to_client, &year, &later);
                    tokio::select! { () = asks => {} () = answers => {} }
                });
            }
        });
        Ahead { url, _lines: lines }
    }
}

fn years() -> (String, String) {
    let year = Utc::now().year();
    (year.to_string(), (year + 400).to_string())
}

/// Passes bytes on, with one year in the place of another wherever it stands; both have four digits.
async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    year: &str,
    instead: &str,
) {
    let mut held = Vec::new();
    let mut piece = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        held.extend_from_slice(&piece[..count]);
        while let Some(at) = held.windows(4).position(|four| four == year.as_bytes()) {
            held[at..at + 4].copy_from_slice(instead.as_bytes());
        }
        // The end may be the beginning of a year.
        let begins = |length: &usize| held.ends_with(&year.as_bytes()[..*length]);
        let kept = (1..4).rev().find(begins).unwrap_or(0);
        let rest = held.split_off(held.len() - kept);
        if to.write_all(&held).await.is_err() {
            return;
        }
        held = rest;
    }
}

#[tokio::test]
async fn late_words_are_waited_for_whatever_this_machine_takes_for_the_time() {
    let rig = Rig::start().await;
    let ahead = Ahead::of(rig.simulator.base_url()).await;
    let client = rig.client_through(&ahead.url).await;
    let id = session(&client.create("first", 20).await);
    // Nobody follows while the turn ends; its words come only then.
    let _ = client.send(&id, "[seconds 1] [late 1.5] second", 0).await;
    until("the second turn is over", async || {
        let record = rig.record(&id).await.into_iter();
        record
            .filter(|event| event["type"] == "session.status_idle")
            .count()
            == 2
    })
    .await;
    let report = client.wait_for(&id, 20).await;
    assert_eq!(report["state"], "done", "{report}");
    assert!(reply(&report).contains("second"), "{report}");
    let age = report["last_event_age_seconds"].as_i64().unwrap();
    assert!(age.abs() < 60, "{report}");
}

#[tokio::test]
async fn a_cursor_does_not_pass_a_late_word_whatever_this_machine_takes_for_the_time() {
    let rig = Rig::start().await;
    let ahead = Ahead::of(rig.simulator.base_url()).await;
    let client = rig.client_through(&ahead.url).await;
    let id = session(&client.create("[seconds 1] [late 1.5] go", 0).await);
    rig.until_recorded(&id, |event| event["type"] == "session.status_idle")
        .await;
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        // What is not there yet when its place is read over is never read.
        let is_spoken = rig
            .record(&id)
            .await
            .iter()
            .any(|event| event["type"] == "agent.message");
        let mut arguments = json!({"session_id": id, "detail": "full"});
        if let Some(after) = &after {
            arguments["after"] = json!(after);
        }
        let page = client.call("get_events", arguments).await.ok();
        read.extend(page["events"].as_array().unwrap().clone());
        after = page["cursor"].as_str().map(str::to_owned);
        if is_spoken && page["more"] == false && page["notes"].is_null() {
            break;
        }
    }
    let ids = |events: &[serde_json::Value]| -> Vec<String> {
        events.iter().map(|event| event["id"].to_string()).collect()
    };
    assert_eq!(ids(&read), ids(&rig.record(&id).await));
}
