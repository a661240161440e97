//! Subscriptions: a client that asked for it hears of every change, in both protocols, until it has enough.

use std::time::{Duration, Instant};

use managed_agents_mcp::simulator::Kind;
use rmcp::model::{ServerNotification, SubscriptionFilter};
use rmcp::service::{Subscription, SubscriptionEnd};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::resources::uri;
use crate::rig::{self, Client, Pipe, Rig, id, until};

const SOON: Duration = Duration::from_secs(20);
const UPDATED: &str = "notifications/resources/updated";

/// A session made behind the binary's back, which nobody has told anything.
async fn made(rig: &Rig) -> String {
    let agent = json!({"name": "a", "model": "claude-sonnet-5-5"});
    let environment = json!({"name": format!("e{}", fastrand::u64(..)), "config": {"type": "cloud", "networking": {"type": "unrestricted"}}});
    let (agent, environment) = rig.furnish(agent, environment).await;
    another(rig, &agent, &environment).await
}

async fn another(rig: &Rig, agent: &str, environment: &str) -> String {
    let body = json!({"agent": agent, "environment_id": environment});
    id(&rig.api("POST", "/v1/sessions", body).await)
}

/// Somebody else says something to a session.
async fn say(rig: &Rig, session: &str, text: &str) {
    let message = json!({"type": "user.message", "content": [{"type": "text", "text": text}]});
    let path = format!("/v1/sessions/{session}/events");
    rig.api("POST", &path, json!({"events": [message]})).await;
}

async fn until_done(rig: &Rig, session: &str) {
    rig.until_recorded(session, |event| event["type"] == "session.status_idle")
        .await;
}

async fn until_streamed(rig: &Rig, streams: usize) {
    until("the streams are open", async || {
        let requests = rig.requests().into_iter();
        requests
            .filter(|request| request.path.ends_with("/stream"))
            .count()
            >= streams
    })
    .await;
}

/// The URI of the next update.
async fn update(pipe: &mut Pipe) -> String {
    loop {
        let message = match pipe.aside.is_empty() {
            true => timeout(SOON, pipe.receive())
                .await
                .expect("an update")
                .unwrap(),
            false => pipe.aside.remove(0),
        };
        if message["method"] == UPDATED {
            return message["params"]["uri"].as_str().unwrap().to_owned();
        }
    }
}

/// The updates that came before the answer to a ping.
async fn updates(pipe: &mut Pipe) -> usize {
    let _ = pipe.ask("ping", json!({})).await;
    let aside = std::mem::take(&mut pipe.aside);
    aside
        .iter()
        .filter(|message| message["method"] == UPDATED)
        .count()
}

async fn subscribe(pipe: &mut Pipe, uri: &str) -> Value {
    pipe.ask("resources/subscribe", json!({"uri": uri})).await
}

async fn unsubscribe(pipe: &mut Pipe, uri: &str) -> Value {
    pipe.ask("resources/unsubscribe", json!({"uri": uri})).await
}

async fn listen(client: &Client, uris: &[String]) -> Subscription {
    let filter = SubscriptionFilter::builder()
        .resource_subscriptions(uris)
        .build();
    client.peer().listen(filter).await.unwrap()
}

/// The URI of the next update; nothing at the end.
async fn heard(subscription: &mut Subscription) -> Option<String> {
    let next = timeout(SOON, subscription.next()).await.expect("an update");
    match next.unwrap()? {
        ServerNotification::ResourceUpdatedNotification(update) => Some(update.params.uri),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subscriber_hears_of_a_change_and_no_more_after_it_unsubscribed() {
    let rig = Rig::start().await;
    let session = made(&rig).await;
    let (transcript, events) = (uri(&session, "transcript"), uri(&session, "events"));
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    assert_eq!(subscribe(&mut pipe, &transcript).await, json!({}));
    assert_eq!(subscribe(&mut pipe, &events).await, json!({}));
    say(&rig, &session, "go").await;
    let mut told = [update(&mut pipe).await, update(&mut pipe).await];
    told.sort();
    assert_eq!(told, [events.clone(), transcript.clone()]);
    until_done(&rig, &session).await;
    assert_eq!(unsubscribe(&mut pipe, &events).await, json!({}));
    pipe.aside.clear();
    say(&rig, &session, "go on").await;
    assert_eq!(update(&mut pipe).await, transcript, "the other goes on");
    assert_eq!(unsubscribe(&mut pipe, &transcript).await, json!({}));
    // One that there is not is none to end.
    assert_eq!(unsubscribe(&mut pipe, &transcript).await, json!({}));
    pipe.aside.clear();
    let before = rig.requests().len();
    say(&rig, &session, "[work 3] [seconds 1] and on").await;
    rig.until_recorded(&session, |event| event.to_string().contains("(turn 3)"))
        .await;
    assert_eq!(updates(&mut pipe).await, 0);
    assert_eq!(rig.requests().len(), before, "nothing is asked any more");
}

#[tokio::test]
async fn a_listener_hears_of_changes_in_the_sessions_it_named() {
    let rig = Rig::start().await;
    let (first, second) = (made(&rig).await, made(&rig).await);
    let uris = [uri(&first, "transcript"), uri(&second, "events")];
    let client = rig.discovering_client().await;
    let odd = ["session://../events".to_owned(), "file:///x".to_owned()];
    let asked = [&uris[..], &odd].concat();
    let mut subscription = listen(&client, &asked).await;
    let acknowledged = subscription.acknowledged().resource_subscriptions.clone();
    assert_eq!(acknowledged.as_deref(), Some(&uris[..]));
    until_streamed(&rig, 2).await;
    say(&rig, &second, "go").await;
    assert_eq!(heard(&mut subscription).await, Some(uris[1].clone()));
    until_done(&rig, &second).await;
    say(&rig, &first, "go").await;
    while heard(&mut subscription).await != Some(uris[0].clone()) {}
    subscription.cancel().await.unwrap();
    // Its places are free again, so that others can be watched.
    let _ = listen(&client, &uris).await;
}

#[tokio::test]
async fn what_happened_as_the_listener_began_is_told() {
    let rig = Rig::start().await;
    let client = rig.discovering_client().await;
    let session = made(&rig).await;
    say(&rig, &session, "go").await;
    until_done(&rig, &session).await;
    // Its status lags behind; from here on nothing changes any more.
    until("it is idle", async || {
        let path = format!("/v1/sessions/{session}");
        rig.api("GET", &path, Value::Null).await["status"] == "idle"
    })
    .await;
    let uris = [uri(&session, "events")];
    let mut subscription = listen(&client, &uris).await;
    assert_eq!(heard(&mut subscription).await.as_ref(), Some(&uris[0]));
}

#[tokio::test]
async fn a_busy_session_is_told_once_a_second_and_its_last_change_is_never_lost() {
    let rig = Rig::start().await;
    let session = made(&rig).await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let transcript = uri(&session, "transcript");
    subscribe(&mut pipe, &transcript).await;
    let began = Instant::now();
    say(&rig, &session, "[work 40] [seconds 3] go").await;
    let mut count = 0;
    loop {
        update(&mut pipe).await;
        count += 1;
        let read = pipe.ask("resources/read", json!({"uri": transcript})).await;
        let text = read["contents"][0]["text"].as_str().unwrap().to_owned();
        if text.starts_with("done") {
            break;
        }
    }
    let most = began.elapsed().as_secs() + 2;
    assert!(count <= most, "{count} updates in {:?}", began.elapsed());
    assert!(count >= 2, "{count}");
}

#[tokio::test]
async fn a_line_that_is_cut_again_and_again_still_tells_of_every_change() {
    for kind in [
        Kind::CutAfterBytes { bytes: 0 },
        Kind::Status {
            code: 503,
            retry_after: None,
            acting: managed_agents_mcp::simulator::Acting::Before,
            body: None,
        },
    ] {
        let rig = Rig::start().await;
        let session = made(&rig).await;
        rig.fault("GET */events/stream", kind.clone());
        rig.fault("GET */events/stream", kind);
        let client = rig.discovering_client().await;
        let uris = [uri(&session, "transcript")];
        let mut subscription = listen(&client, &uris).await;
        until_streamed(&rig, 1).await;
        // The line is down now, and the list tells it as soon as it is up again.
        say(&rig, &session, "go").await;
        assert_eq!(heard(&mut subscription).await.as_ref(), Some(&uris[0]));
    }
}

#[tokio::test]
async fn a_change_that_the_list_shows_late_is_told_again() {
    let rig = Rig::start().await;
    rig.always("GET */events", Kind::ListLag { ms: 1500 });
    let session = made(&rig).await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let events = uri(&session, "events");
    subscribe(&mut pipe, &events).await;
    until_streamed(&rig, 1).await;
    say(&rig, &session, "go").await;
    loop {
        update(&mut pipe).await;
        let read = pipe.ask("resources/read", json!({"uri": events})).await;
        if read.to_string().contains("session.status_idle") {
            return;
        }
    }
}

#[tokio::test]
async fn a_session_that_ends_is_told_and_watched_no_more() {
    let rig = Rig::start().await;
    let client = rig.discovering_client().await;
    let session = made(&rig).await;
    let uris = [uri(&session, "events")];
    let mut subscription = listen(&client, &uris).await;
    until_streamed(&rig, 1).await;
    rig.api("DELETE", &format!("/v1/sessions/{session}"), Value::Null)
        .await;
    assert_eq!(heard(&mut subscription).await.as_ref(), Some(&uris[0]));
    while heard(&mut subscription).await.is_some() {}
    assert!(
        matches!(subscription.end(), Some(SubscriptionEnd::Graceful(_))),
        "{subscription:?}"
    );
    // One that was over before is not watched at all.
    let archived = made(&rig).await;
    rig.api(
        "POST",
        &format!("/v1/sessions/{archived}/archive"),
        json!({}),
    )
    .await;
    let streams = rig.requests().len();
    let mut subscription = listen(&client, &[uri(&archived, "events")]).await;
    assert_eq!(heard(&mut subscription).await, None);
    assert_eq!(rig.requests().len(), streams + 2, "one look");
}

#[tokio::test]
async fn no_more_than_32_sessions_are_watched_and_a_place_that_is_given_up_is_free() {
    let rig = Rig::start().await;
    let agent = json!({"name": "a", "model": "claude-sonnet-5-5"});
    let environment =
        json!({"name": "e", "config": {"type": "cloud", "networking": {"type": "unrestricted"}}});
    let (agent, environment) = rig.furnish(agent, environment).await;
    let mut sessions = Vec::new();
    for _ in 0..34 {
        sessions.push(another(&rig, &agent, &environment).await);
    }
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for session in &sessions[..32] {
        for part in ["transcript", "events"] {
            assert_eq!(subscribe(&mut pipe, &uri(session, part)).await, json!({}));
        }
    }
    let refused = subscribe(&mut pipe, &uri(&sessions[32], "events")).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("32") && message.contains("\nNext: "),
        "{refused}"
    );
    unsubscribe(&mut pipe, &uri(&sessions[0], "events")).await;
    let refused = subscribe(&mut pipe, &uri(&sessions[32], "events")).await;
    assert!(
        refused["error"].is_object(),
        "the transcript is still watched"
    );
    unsubscribe(&mut pipe, &uri(&sessions[0], "transcript")).await;
    assert_eq!(
        subscribe(&mut pipe, &uri(&sessions[32], "events")).await,
        json!({})
    );
    // A session that ends gives up its place as well.
    until_streamed(&rig, 32).await;
    let doomed = format!("/v1/sessions/{}", sessions[5]);
    rig.api("DELETE", &doomed, Value::Null).await;
    update(&mut pipe).await;
    until("its place is free", async || {
        subscribe(&mut pipe, &uri(&sessions[33], "events")).await == json!({})
    })
    .await;
}

#[tokio::test]
async fn a_listener_for_which_there_is_no_place_costs_the_others_nothing() {
    let rig = Rig::start().await;
    let first = made(&rig).await;
    let path = format!("/v1/sessions/{first}");
    let about = rig.api("GET", &path, Value::Null).await;
    let (agent, environment) = (id(&about["agent"]), about["environment_id"].clone());
    let mut sessions = vec![first];
    for _ in 0..33 {
        sessions.push(another(&rig, &agent, environment.as_str().unwrap()).await);
    }
    let uris: Vec<String> = sessions
        .iter()
        .map(|session| uri(session, "events"))
        .collect();
    let client = rig.discovering_client().await;
    let mut subscription = listen(&client, &uris[..33]).await;
    until_streamed(&rig, 32).await;
    let mut late = listen(&client, &uris[33..]).await;
    assert_eq!(heard(&mut late).await, None);
    assert!(
        matches!(late.end(), Some(SubscriptionEnd::Graceful(_))),
        "{late:?}"
    );
    // Of two, one at least has a place.
    for session in &sessions[..2] {
        say(&rig, session, "go").await;
    }
    let told = heard(&mut subscription).await.unwrap();
    assert!(uris[..2].contains(&told), "{told}");
}

#[tokio::test]
async fn a_resource_that_is_named_twice_is_told_of_once() {
    let rig = Rig::start().await;
    let session = made(&rig).await;
    let client = rig.discovering_client().await;
    let (events, transcript) = (uri(&session, "events"), uri(&session, "transcript"));
    let named = [
        events.clone(),
        events.clone(),
        transcript.clone(),
        events.clone(),
    ];
    let mut subscription = listen(&client, &named).await;
    until_streamed(&rig, 1).await;
    for _ in 0..3 {
        say(&rig, &session, "go").await;
        // Each change is told of in the order in which the resources were named.
        assert_eq!(heard(&mut subscription).await.as_ref(), Some(&events));
        assert_eq!(heard(&mut subscription).await.as_ref(), Some(&transcript));
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_in_words_that_help() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    for (asked, code, word) in [
        (uri("sesn_01nowhere", "events"), -32002, "not found"),
        ("session://sesn_1/files".to_owned(), -32002, "transcript"),
        (uri("..", "events"), -32602, "is not an id"),
    ] {
        let refused = subscribe(&mut pipe, &asked).await;
        assert_eq!(refused["error"]["code"], code, "{refused}");
        assert!(
            refused["error"]["message"].as_str().unwrap().contains(word),
            "{refused}"
        );
    }
    let client = rig.discovering_client().await;
    let lost = [uri("sesn_01nowhere", "events")];
    let mut subscription = listen(&client, &lost).await;
    // An error would make the client ask for it again and again.
    assert_eq!(heard(&mut subscription).await, None);
    assert!(
        matches!(subscription.end(), Some(SubscriptionEnd::Graceful(_))),
        "{subscription:?}"
    );
    // Among others, one that is gone is left out.
    let session = made(&rig).await;
    let both = [lost[0].clone(), uri(&session, "events")];
    let before = rig.requests().len();
    let mut subscription = listen(&client, &both).await;
    until("it is watched", async || rig.requests().len() > before + 4).await;
    say(&rig, &session, "go").await;
    assert_eq!(heard(&mut subscription).await.as_ref(), Some(&both[1]));
}

#[tokio::test]
async fn without_a_key_a_subscription_is_refused_with_the_variable() {
    let rig = Rig::start().await.unset("ANTHROPIC_API_KEY");
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let refused = subscribe(&mut pipe, &uri("sesn_1", "events")).await;
    assert!(
        refused.to_string().contains("ANTHROPIC_API_KEY"),
        "{refused}"
    );
    assert!(rig.requests().is_empty());
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_process_with_subscriptions_open() {
    let rig = Rig::start().await;
    let session = made(&rig).await;
    let events = uri(&session, "events");
    let mut legacy = rig.pipe();
    legacy.initialize().await;
    subscribe(&mut legacy, &events).await;
    let mut modern = rig.pipe();
    let notifications = json!({"resourceSubscriptions": [events]});
    let params = rig::modern(json!({"notifications": notifications}));
    modern.request("subscriptions/listen", params).await;
    until_streamed(&rig, 2).await;
    for pipe in [&mut legacy, &mut modern] {
        pipe.hang_up();
        let status = pipe.exit().await;
        assert!(status.success(), "{}", pipe.stderr.text());
    }
}
