//! Each kind of fault does what it says.

use std::time::{Duration, Instant};

use managed_agents_mcp::simulator::{Acting, Fault, Kind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{End, Rig, Stream, kinds, of, said};

const STREAM: &str = "GET */events/stream";
const SOON: Duration = Duration::from_secs(5);

/// A session whose stream was struck by a fault, after one turn.
async fn struck(kind: Kind) -> (Rig, String, Stream) {
    let rig = Rig::start().await;
    let (session, _) = rig.told("before").await;
    rig.simulator.inject(Fault::new(STREAM, kind));
    let stream = rig.stream(&session).await;
    rig.send(&session, said("during")).await;
    (rig, session, stream)
}

#[tokio::test]
async fn a_stream_can_be_cut_at_any_byte() {
    for bytes in [0, 1, 57, 600] {
        let (_rig, _, mut stream) = struck(Kind::CutAfterBytes { bytes }).await;
        assert_eq!(
            stream.read_until(SOON, |_| false).await,
            End::Broken,
            "{bytes}"
        );
        assert_eq!(stream.bytes.len(), bytes);
    }
}

#[tokio::test]
async fn a_plain_answer_can_be_cut_or_go_silent() {
    let rig = Rig::start().await;
    rig.simulator.inject(Fault::new(
        "GET /v1/agents",
        Kind::CutAfterBytes { bytes: 9 },
    ));
    rig.simulator.inject(Fault::new(
        "GET /v1/sessions",
        Kind::Silence { after_bytes: 9 },
    ));
    let cut = rig.request(Method::GET, "/v1/agents").send().await.unwrap();
    assert!(cut.bytes().await.is_err());
    let silent = rig
        .request(Method::GET, "/v1/sessions")
        .send()
        .await
        .unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), silent.bytes())
            .await
            .is_err()
    );
    rig.get("/v1/agents").await;
}

#[tokio::test]
async fn a_silent_stream_stays_open_without_heartbeats() {
    let (_rig, _, mut stream) = struck(Kind::Silence { after_bytes: 100 }).await;
    assert_eq!(
        stream
            .read_until(Duration::from_millis(800), |_| false)
            .await,
        End::Silent
    );
    assert_eq!(stream.bytes.len(), 100);
}

#[tokio::test]
async fn headers_can_be_slow() {
    let rig = Rig::start().await;
    rig.simulator
        .inject(Fault::new("GET /v1/agents", Kind::SlowHeaders { ms: 150 }));
    let before = Instant::now();
    rig.get("/v1/agents").await;
    assert!(before.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_failing_call_may_have_been_carried_out_or_not() {
    let rig = Rig::start().await;
    let start = json!({"agent": rig.agent, "environment_id": rig.environment});
    let mut expected = 0;
    for (acting, made) in [(Acting::Before, 0), (Acting::After, 1)] {
        for code in [429, 500, 502, 503, 504, 529] {
            let retry_after = (code == 429).then(|| "7".to_owned());
            rig.simulator.inject(Fault::new(
                "POST /v1/sessions",
                Kind::Status {
                    code,
                    retry_after,
                    acting,
                    body: None,
                },
            ));
            let response = rig
                .request(Method::POST, "/v1/sessions")
                .json(&start)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), code);
            assert_eq!(response.headers().contains_key("retry-after"), code == 429);
            assert_eq!(response.json::<Value>().await.unwrap()["type"], "error");
            expected += made;
        }
        rig.simulator
            .inject(Fault::new("POST /v1/sessions", Kind::Drop { acting }));
        assert!(
            rig.request(Method::POST, "/v1/sessions")
                .json(&start)
                .send()
                .await
                .is_err()
        );
        expected += made;
    }
    assert_eq!(
        rig.get("/v1/sessions").await["data"]
            .as_array()
            .unwrap()
            .len(),
        expected
    );
}

#[tokio::test]
async fn a_status_can_bring_its_own_body() {
    let rig = Rig::start().await;
    let kind = Kind::Status {
        code: 502,
        retry_after: None,
        acting: Acting::Before,
        body: Some(json!("<html>Bad Gateway</html>")),
    };
    rig.simulator.inject(Fault::new("* *", kind));
    let response = rig.request(Method::GET, "/v1/agents").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "<html>Bad Gateway</html>");
}

#[tokio::test]
async fn a_message_whose_answer_was_dropped_is_still_answered() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    rig.simulator.inject(Fault::new(
        "POST */events",
        Kind::Drop {
            acting: Acting::After,
        },
    ));
    let path = format!("/v1/sessions/{session}/events");
    let body = json!({"events": [said("hello")]});
    assert!(
        rig.request(Method::POST, &path)
            .json(&body)
            .send()
            .await
            .is_err()
    );
    let events = rig.idle(&session, 1).await;
    assert_eq!(of(&events, "agent.message").len(), 1);
}

#[tokio::test]
async fn frames_can_come_twice_or_swapped() {
    let (_rig, _, mut stream) = struck(Kind::DuplicateFrames).await;
    let twice = stream.turn().await;
    assert!(
        twice
            .chunks(2)
            .all(|pair| pair.len() < 2 || pair[0] == pair[1])
    );
    let (rig, session, mut stream) = struck(Kind::ReorderFrames).await;
    stream.turn().await;
    stream
        .read_until(Duration::from_millis(200), |text| {
            text.matches("event: ping").count() > 3
        })
        .await;
    let mut swapped: Vec<Value> = stream.events();
    swapped.retain(|event| event["processed_at"].is_string());
    let listed = rig.events(&session).await.split_off(10);
    assert_ne!(kinds(&swapped), kinds(&listed));
    assert_eq!(swapped.len(), listed.len());
}

#[tokio::test]
async fn frames_can_have_other_names_and_line_ends() {
    let (_rig, _, mut stream) = struck(Kind::MessageFrames).await;
    stream.turn().await;
    assert!(
        String::from_utf8_lossy(&stream.bytes)
            .lines()
            .all(|line| !line.starts_with("event: ") || line == "event: message")
    );
    let (_rig, _, mut stream) = struck(Kind::BareFrames).await;
    stream.turn().await;
    assert!(
        String::from_utf8_lossy(&stream.bytes)
            .lines()
            .all(|line| line.is_empty() || line.starts_with("data: "))
    );
    let (_rig, _, mut stream) = struck(Kind::Crlf).await;
    assert_eq!(
        kinds(&stream.turn().await).last(),
        Some(&"session.status_idle")
    );
    let text = String::from_utf8_lossy(&stream.bytes).into_owned();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

#[tokio::test]
async fn a_replay_sends_the_whole_log_first() {
    let (rig, session, mut stream) = struck(Kind::Replay).await;
    let twice = |text: &str| text.matches("\"session.status_idle\"}").count() == 2;
    assert_eq!(stream.read_until(SOON, twice).await, End::Found);
    let mut streamed = stream.events();
    streamed.retain(|event| event["processed_at"].is_string());
    assert_eq!(streamed, rig.events(&session).await);
    let text = String::from_utf8_lossy(&stream.bytes).into_owned();
    assert!(text.contains("\nid: sevt_01") && text.contains("\nretry: 3000\n"));
}

#[tokio::test]
async fn garbage_comes_before_good_frames_and_instead_of_json() {
    let (rig, _, mut stream) = struck(Kind::Garbage).await;
    let events = stream.turn().await;
    assert!(
        stream.bytes.starts_with(b"\xef\xbb\xbf") && std::str::from_utf8(&stream.bytes).is_err()
    );
    assert!(kinds(&events).contains(&"agent.message"));
    rig.simulator
        .inject(Fault::new("GET /v1/agents", Kind::Garbage));
    let page = rig.request(Method::GET, "/v1/agents").send().await.unwrap();
    assert_eq!(
        (
            page.status().as_u16(),
            page.headers()["content-type"].to_str().unwrap()
        ),
        (200, "text/html")
    );
}

#[tokio::test]
async fn an_error_frame_ends_the_stream() {
    let kind = Kind::ErrorFrame {
        error: "overloaded_error".into(),
        after_frames: 2,
    };
    let (_rig, _, mut stream) = struck(kind).await;
    assert_eq!(stream.read_until(SOON, |_| false).await, End::Closed);
    let events = stream.events();
    assert_eq!(
        kinds(&events),
        [
            "session.status_running",
            "session.thread_status_running",
            "error"
        ]
    );
    assert_eq!(events[2]["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn a_trickle_brings_everything_byte_by_byte() {
    let (_rig, _, mut stream) = struck(Kind::Trickle).await;
    assert_eq!(
        kinds(&stream.turn().await).last(),
        Some(&"session.status_idle")
    );
    let rig = Rig::start().await;
    rig.simulator
        .inject(Fault::new("GET /v1/agents", Kind::Trickle));
    assert_eq!(
        rig.get("/v1/agents").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn events_can_be_listed_later_than_streamed() {
    let rig = Rig::start().await;
    let session = rig.session().await;
    let mut stream = rig.stream(&session).await;
    rig.send(&session, said("hello")).await;
    stream.turn().await;
    rig.simulator
        .inject(Fault::new("GET */events", Kind::ListLag { ms: 60_000 }));
    assert!(rig.events(&session).await.is_empty());
    assert_eq!(rig.events(&session).await.len(), 10);
}

#[tokio::test]
async fn answers_can_be_odd_in_every_listed_way() {
    let rig = Rig::start().await;
    let (session, _) = rig.told("hello").await;
    let path = format!("/v1/sessions/{session}/events");
    rig.simulator
        .inject(Fault::new("GET */events", Kind::EndlessPage).times(2));
    let first = rig.get(&path).await;
    let token = first["next_page"].as_str().unwrap();
    assert_eq!(
        rig.get(&format!("{path}?page={token}")).await["next_page"],
        token
    );

    rig.simulator
        .inject(Fault::new("POST */events", Kind::NoData));
    assert_eq!(
        rig.post(&path, json!({"events": [said("again")]})).await,
        json!({})
    );

    rig.simulator
        .inject(Fault::new("POST *", Kind::ExtraStatus { code: 201 }));
    let (status, _) = rig
        .call(
            Method::POST,
            "/v1/environments",
            Some(json!({"name": "another"})),
        )
        .await;
    assert_eq!(status, 201);

    rig.simulator
        .inject(Fault::new("GET */agents", Kind::Zoneless));
    let agents = rig.get("/v1/agents").await;
    assert!(
        !agents["data"][0]["created_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
}

#[tokio::test]
async fn a_fault_waits_repeats_and_can_be_cleared() {
    let rig = Rig::start().await;
    let broken = || Kind::Status {
        code: 503,
        retry_after: None,
        acting: Acting::Before,
        body: None,
    };
    rig.simulator
        .inject(Fault::new("GET /v1/agents", broken()).skip(1).times(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(rig.call(Method::GET, "/v1/agents", None).await.0);
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    rig.simulator.inject(Fault::new("* *", broken()).always());
    assert_eq!(rig.call(Method::GET, "/v1/sessions", None).await.0, 503);
    rig.simulator.clear_faults();
    rig.get("/v1/sessions").await;
}

#[tokio::test]
async fn another_process_can_do_the_same_over_http() {
    let rig = Rig::start().await;
    let url = |path: &str| format!("{}/_simulator/{path}", rig.simulator.base_url());
    let help = rig
        .http
        .get(url("help"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(help, managed_agents_mcp::simulator::help());
    let faults =
        json!([{"on": "GET /v1/agents", "kind": "status", "code": 529, "times": "always"}]);
    rig.http
        .post(url("faults"))
        .json(&faults)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    assert_eq!(rig.call(Method::GET, "/v1/agents", None).await.0, 529);
    rig.http
        .delete(url("faults"))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    rig.get("/v1/agents?limit=5").await;
    let wrong = json!({"on": "GET /v1/agents", "kind": "surprise"});
    assert_eq!(
        rig.http
            .post(url("faults"))
            .json(&wrong)
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let seen: Value = rig
        .http
        .get(url("requests"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let last = seen["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["method"], &last["path"], &last["query"]),
        (&json!("GET"), &json!("/v1/agents"), &json!("limit=5"))
    );
    assert_eq!(last["headers"]["x-api-key"], "sk-test");
    assert_eq!(
        rig.simulator.requests().len(),
        seen["data"].as_array().unwrap().len()
    );
}
