//! The stream: no replay, echoes, heartbeats, previews.

use std::time::Duration;

use managed_agents_mcp::simulator::{Options, Simulator};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{End, Rig, kinds, of, said};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn only_what_happens_after_opening_is_streamed() {
    let rig = Rig::start().await;
    let (session, before) = rig.told("first").await;
    let mut stream = rig.stream(&session).await;
    rig.send(&session, said("second")).await;
    let streamed = stream.turn().await;
    assert!(
        before
            .iter()
            .all(|event| streamed.iter().all(|other| other["id"] != event["id"]))
    );
    assert!(
        String::from_utf8_lossy(&stream.bytes).contains("event: session.status_running\ndata: {")
    );
}

#[tokio::test]
async fn a_sent_event_is_streamed_queued_and_processed_and_listed_once() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let mut stream = rig.stream(&session).await;
    let sent = rig.send(&session, said("hello")).await;
    let streamed = stream.turn().await;
    let echoes = of(&streamed, "user.message");
    assert!(echoes.iter().all(|echo| echo["id"] == sent["id"]));
    assert_eq!(
        echoes
            .iter()
            .map(|echo| echo["processed_at"].is_null())
            .collect::<Vec<_>>(),
        [true, false]
    );
    let listed = rig.events(&session).await;
    assert_eq!(of(&listed, "user.message").len(), 1);
    let mut merged: Vec<Value> = streamed;
    merged.retain(|event| event["processed_at"].is_string());
    assert_eq!(merged, listed);
}

#[tokio::test]
async fn heartbeats_go_on_through_silence_and_after_the_end() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let mut stream = rig.stream(&session).await;
    let pings = |text: &str| text.matches("event: ping").count() >= 3;
    assert_eq!(stream.read_until(SOON, pings).await, End::Found);
    rig.call(Method::DELETE, &format!("/v1/sessions/{session}"), None)
        .await;
    assert_eq!(
        stream
            .read_until(SOON, |text| text.contains("session.deleted"))
            .await,
        End::Found
    );
    stream.bytes.clear();
    assert_eq!(stream.read_until(SOON, pings).await, End::Found);
}

#[tokio::test]
async fn previews_come_only_to_those_who_asked_and_are_never_listed() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let mut plain = rig.stream(&session).await;
    let path = format!("/v1/sessions/{session}/events/stream?event_deltas[]=agent.message");
    let mut previewed = rig.stream_at(&path).await;
    rig.send(&session, said("hello there")).await;
    let events = previewed.turn().await;
    let message = of(&events, "agent.message")[0];
    assert_eq!(
        of(&events, "event_start")[0]["event"],
        json!({"type": "agent.message", "id": message["id"]})
    );
    let deltas = of(&events, "event_delta");
    let text: String = deltas
        .iter()
        .map(|delta| delta["delta"]["content"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(message["content"][0]["text"], text);
    assert!(
        of(&events, "event_start").len() == 1
            && deltas
                .iter()
                .all(|delta| delta["event_id"] == message["id"])
    );
    let events = plain.turn().await;
    assert!(!kinds(&events).contains(&"event_start"));
    assert!(!kinds(&rig.events(&session).await).contains(&"event_delta"));
}

#[tokio::test]
async fn dropping_the_simulator_closes_streams_and_the_port() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let mut stream = rig.stream(&session).await;
    let url = rig.simulator.base_url().to_owned();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let Rig {
        simulator, http, ..
    } = rig;
    drop(simulator);
    assert_ne!(stream.read_until(SOON, |_| false).await, End::Silent);
    tokio::task::yield_now().await;
    let again = Simulator::start(Options {
        port,
        ..Options::default()
    })
    .await
    .unwrap();
    assert_eq!(again.base_url(), url);
    let fresh = http
        .get(format!("{url}/_simulator/requests"))
        .send()
        .await
        .unwrap();
    assert_eq!(fresh.json::<Value>().await.unwrap(), json!({"data": []}));
}
