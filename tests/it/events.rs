//! No event is lost and none is shown twice: across pages, cut streams, slow lists and new processes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use managed_agents_mcp::simulator::Kind;
use serde_json::{Value, json};

use crate::rig::{Client, Rig, length, reply, session};

fn ids(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

fn ids_of(record: &[Value]) -> Vec<String> {
    ids(&json!(record))
}

/// What the digest leaves out.
fn is_noise(event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap();
    kind.starts_with("span.model_request") || kind == "agent.thinking" || kind == "session.usage"
}

/// One page of a record; the arguments are added to the session's id.
async fn page(client: &Client, session: &str, arguments: Value) -> Value {
    let mut all = json!({"session_id": session});
    let more = arguments.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    client.call("get_events", all).await.ok()
}

/// Every entry of a record that is not written any more, page by page.
async fn read(client: &Client, session: &str, arguments: Value) -> Vec<Value> {
    let mut all = Vec::new();
    let mut arguments = arguments;
    for _ in 0..500 {
        let page = page(client, session, arguments.clone()).await;
        all.extend(page["events"].as_array().unwrap().clone());
        if page["more"] == false {
            return all;
        }
        arguments["after"] = page["cursor"].clone();
    }
    panic!("the record never ends: {} entries", all.len());
}

#[tokio::test]
async fn pages_of_any_size_hold_every_event_once_and_in_order() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(
        &client
            .create("[work 12] [two] [unknown] [retrying] go", 20)
            .await,
    );
    let _ = client.send(&id, "[outcome] [thinking] go", 20).await;
    let _ = client.send(&id, "[approve 2] [custom] go", 20).await;
    let record = rig.record(&id).await;
    let whole = ids_of(&record);
    let shown: Vec<Value> = record
        .iter()
        .filter(|event| !is_noise(event))
        .cloned()
        .collect();
    let shown = ids_of(&shown);
    assert!(shown.len() > 40 && whole.len() > shown.len() + 5);
    join_all([1, 7, 50, 1000].map(async |limit| {
        for (detail, wanted) in [("full", &whole), ("digest", &shown)] {
            if limit == 1 && detail == "full" {
                continue;
            }
            let forward = read(&client, &id, json!({"limit": limit, "detail": detail})).await;
            assert_eq!(&ids_of(&forward), wanted, "{limit} {detail}");
            let arguments = json!({"limit": limit, "detail": detail, "order": "desc"});
            let mut backward = ids_of(&read(&client, &id, arguments).await);
            backward.reverse();
            assert_eq!(&backward, wanted, "{limit} {detail} desc");
        }
    }))
    .await;
    let full = read(&client, &id, json!({"detail": "full"})).await;
    assert_eq!(full, record, "the API's own objects");
}

#[tokio::test]
async fn a_page_holds_no_more_entries_than_its_limit_and_says_whether_there_are_more() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 5] go", 20).await);
    let first = page(&client, &id, json!({"limit": 4})).await;
    assert_eq!(first["events"].as_array().unwrap().len(), 4);
    assert_eq!(first["more"], true);
    assert!(
        first["next"]
            .as_str()
            .unwrap()
            .contains(first["cursor"].as_str().unwrap())
    );
    let all = page(&client, &id, json!({"limit": 1000})).await;
    assert_eq!(all["more"], false);
    let end = page(&client, &id, json!({"after": all["cursor"]})).await;
    assert_eq!((&end["events"], &end["more"]), (&json!([]), &json!(false)));
    assert_eq!(
        end["cursor"], all["cursor"],
        "a cursor at the end stays good"
    );
}

/// What is wrong with a reading of a record: nothing, if it holds every event once and in order.
fn wrong(seen: &[String], record: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut at = 0;
    for event in record {
        let id = crate::rig::id(event);
        let places: Vec<usize> = (0..seen.len()).filter(|place| seen[*place] == id).collect();
        let about = format!("{} {}", event["type"], event["processed_at"]);
        match places.as_slice() {
            [] => wrong.push(format!("lost {about}")),
            [place] if *place >= at => at = *place,
            [place] => wrong.push(format!("{about} at {place}, before {at}")),
            _ => wrong.push(format!("doubled {about}")),
        }
    }
    if wrong.is_empty() && seen.len() != record.len() {
        wrong.push(format!(
            "{} events, {} in the record",
            seen.len(),
            record.len()
        ));
    }
    wrong
}

/// Follows a record with new processes from a cursor on, until it has as many events as it will ever have.
async fn follow(rig: &Rig, id: &str, after: Value, is_over: impl AsyncFn() -> bool) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(25);
    let mut seen: Vec<String> = Vec::new();
    let mut after = after;
    let mut looks_after_the_end = 0;
    let mut last = Value::Null;
    // A late word may need as long as this to get its place.
    while looks_after_the_end < 5 {
        let client = rig.client().await;
        for _ in 0..3 {
            let mut arguments = json!({"detail": "full", "wait_seconds": 1});
            if after.is_string() {
                arguments["after"] = after.clone();
            }
            let over = is_over().await;
            let page = page(&client, id, arguments).await;
            seen.extend(ids(&page["events"]));
            after = page["cursor"].clone();
            let idle = page["events"] == json!([]) && page["notes"].is_null();
            last = page;
            looks_after_the_end = if over && idle {
                looks_after_the_end + 1
            } else {
                0
            };
        }
        assert!(Instant::now() < deadline, "the record never ends: {last}");
    }
    seen
}

/// Two readers follow a busy session from its start and from a cursor; a fault strikes all the while.
async fn assert_nothing_is_lost_or_doubled(fault: Option<(&str, Kind)>) {
    let rig = Rig::paced(Duration::from_millis(15)).await;
    let client = rig.client().await;
    let report = client.create("[work 15] [seconds 1] first", 0).await;
    let id = session(&report);
    if let Some((on, kind)) = fault {
        rig.always(on, kind);
    }
    // Messages that wait in the queue move in the record, and late words come before what is already there.
    let writer = async {
        let _ = client.send(&id, "[work 2] [late 1] second", 0).await;
        let _ = client.send(&id, "[two] third", 0).await;
        rig.until_recorded(&id, |event| {
            event.to_string().contains("Simulated answer (turn 3)")
        })
        .await;
        let _ = client.send(&id, "[late 1.5] fourth", 20).await;
    };
    let done = async || {
        let path = format!("/v1/sessions/{id}/events?order=desc&limit=100");
        let newest = rig.api("GET", &path, Value::Null).await.to_string();
        newest.contains("(turn 4)")
    };
    let (from_start, from_cursor, ()) = tokio::join!(
        follow(&rig, &id, Value::Null, done),
        follow(&rig, &id, report["cursor"].clone(), done),
        writer
    );
    rig.simulator.clear_faults();
    let record = rig.record(&id).await;
    let nothing = Vec::<String>::new();
    assert_eq!(wrong(&from_start, &record), nothing);
    let after = record
        .iter()
        .position(|event| event["id"] == report["cursor"]);
    let after = after.map_or(0, |place| place + 1);
    assert_eq!(
        wrong(&from_cursor, &record[after..]),
        nothing,
        "from the cursor"
    );
}

#[tokio::test]
async fn a_reader_that_starts_anew_again_and_again_gets_every_event_once() {
    assert_nothing_is_lost_or_doubled(None).await;
}

#[tokio::test]
async fn a_list_that_lags_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some(("GET */events", Kind::ListLag { ms: 700 }))).await;
}

#[tokio::test]
async fn a_list_that_never_ends_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some(("GET */events", Kind::EndlessPage))).await;
}

#[tokio::test]
async fn a_stream_that_replays_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some(("GET */events/stream", Kind::Replay))).await;
}

#[tokio::test]
async fn of_a_long_record_that_a_stream_replays_the_older_turns_are_not_taken_for_the_newest() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("first", 20).await);
    for message in ["[work 40] second", "[work 40] third", "[work 40] fourth"] {
        let _ = client.send(&id, message, 20).await;
    }
    rig.always("GET */events/stream", Kind::Replay);
    // Longer than what only the stream has told is waited for.
    let report = rig.client().await.send(&id, "[quiet 4] fifth", 20).await;
    assert_eq!(report["state"], "done", "{report}");
    let words = reply(&report);
    assert!(
        words.contains("(turn 5)") && !words.contains("(turn 1)"),
        "{words}"
    );
}

#[tokio::test]
async fn a_stream_that_says_everything_twice_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some(("GET */events/stream", Kind::DuplicateFrames))).await;
}

#[tokio::test]
async fn a_stream_out_of_order_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some(("GET */events/stream", Kind::ReorderFrames))).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_again_and_again_costs_a_reader_nothing() {
    assert_nothing_is_lost_or_doubled(Some((
        "GET */events/stream",
        Kind::CutAfterBytes { bytes: 900 },
    )))
    .await;
}

#[tokio::test]
async fn the_cursor_of_a_report_leads_another_process_to_what_came_later() {
    let rig = Rig::start().await;
    let report = rig
        .client()
        .await
        .create("[work 20] [seconds 3] go", 1)
        .await;
    assert_eq!(report["state"], "working");
    let id = session(&report);
    let done = rig.client().await.wait_for(&id, 20).await;
    let later = read(
        &rig.client().await,
        &id,
        json!({"detail": "full", "after": report["cursor"]}),
    )
    .await;
    let record = ids_of(&rig.record(&id).await);
    let after = record
        .iter()
        .position(|id| report["cursor"] == *id)
        .unwrap();
    assert_eq!(ids_of(&later), record[after + 1..]);
    assert_eq!(done["cursor"], *record.last().unwrap());
}

#[tokio::test]
async fn one_event_read_in_slices_is_the_whole_event() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(
        &client
            .create("[huge 60] [big 1 40] \"quoted\" \\ back", 20)
            .await,
    );
    let record = rig.record(&id).await;
    let big = |kind: &str| {
        let found = record.iter().find(|event| event["type"] == kind);
        found.unwrap().clone()
    };
    for event in [big("agent.message"), big("agent.tool_result")] {
        let whole = event["content"][0]["text"].as_str().unwrap();
        for detail in ["digest", "full"] {
            let mut text = String::new();
            loop {
                let arguments =
                    json!({"event_id": event["id"], "detail": detail, "offset": length(&text)});
                let page = page(&client, &id, arguments).await;
                let entry = &page["events"][0];
                assert_eq!(entry["id"], event["id"]);
                text.push_str(entry["text"].as_str().unwrap());
                if page["more"] == false {
                    assert_eq!(page["omitted"], Value::Null);
                    break;
                }
                let call = page["omitted"].as_str().unwrap();
                assert!(
                    call.contains(&format!("\"offset\":{}", length(&text))),
                    "{call}"
                );
            }
            if detail == "digest" {
                assert_eq!(text, whole);
            } else {
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), event);
            }
        }
    }
    let small = record
        .iter()
        .find(|event| event["type"] == "user.message")
        .unwrap();
    let arguments = json!({"event_id": small["id"], "detail": "full"});
    assert_eq!(
        page(&client, &id, arguments).await["events"],
        json!([small])
    );
}

#[tokio::test]
async fn a_cursor_that_is_not_in_the_record_is_explained() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("hello", 20).await);
    for arguments in [
        json!({"session_id": id, "after": "sevt_01nowhere"}),
        json!({"session_id": id, "after": "sevt_01nowhere", "order": "desc"}),
        json!({"session_id": id, "event_id": "sevt_01nowhere"}),
    ] {
        let text = client.call("get_events", arguments).await.err();
        assert!(
            text.contains("sevt_01nowhere") && text.contains(&id),
            "{text}"
        );
        assert!(text.contains("without `after`"), "{text}");
    }
}

#[tokio::test]
async fn a_filter_by_type_shows_those_types_only_and_all_of_them() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 9] [unknown] [two] go", 20).await);
    let record = rig.record(&id).await;
    for types in [
        json!(["agent.message"]),
        json!(["agent.tool_use", "agent.tool_result"]),
        json!(["agent.daydream"]),
        json!(["user.message", "session.status_idle"]),
        json!(["agent.never_seen"]),
    ] {
        let wanted: Vec<Value> = record
            .iter()
            .filter(|event| types.as_array().unwrap().contains(&event["type"]))
            .cloned()
            .collect();
        for (detail, limit) in [("full", 1000), ("digest", 2)] {
            let arguments = json!({"types": types, "detail": detail, "limit": limit});
            let found = read(&client, &id, arguments).await;
            assert_eq!(ids_of(&found), ids_of(&wanted), "{types} {detail}");
        }
    }
}

#[tokio::test]
async fn event_types_that_nobody_knows_are_shown_by_name() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let report = client.create("[unknown] go", 20).await;
    let called = client
        .call("get_events", json!({"session_id": session(&report)}))
        .await;
    for name in [
        "agent.daydream",
        "session.weather_changed",
        "span.reflection_end",
    ] {
        assert!(called.text.contains(name), "{}", called.text);
        assert!(called.structured.to_string().contains(name));
    }
}

#[tokio::test]
async fn a_list_without_end_does_not_hold_up_a_call() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 5] go", 20).await);
    rig.always("GET */events", Kind::EndlessPage);
    let record = client
        .call("get_events", json!({"session_id": id, "detail": "full"}))
        .await;
    let record = record.within(Duration::from_secs(2)).ok();
    rig.simulator.clear_faults();
    assert_eq!(ids(&record["events"]), ids_of(&rig.record(&id).await));
}

#[tokio::test]
async fn a_list_that_turns_in_a_circle_is_read_in_order_and_the_result_says_so() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 480] go", 40).await);
    let record = ids_of(&rig.record(&id).await);
    assert!(record.len() > 1000, "{}", record.len());
    rig.always("GET */events", Kind::EndlessPage);
    // With time to read it: what is over is not waited for.
    let report = rig.client().await.wait_for(&id, 20).await;
    assert_eq!(report["state"], "done");
    assert!(report.to_string().contains("in a circle"), "{report}");
    let mut newest = page(
        &client,
        &id,
        json!({"detail": "full", "order": "desc", "limit": 20, "wait_seconds": 20}),
    )
    .await;
    let shown = ids(&newest["events"].take());
    let expected: Vec<String> = record.iter().rev().take(shown.len()).cloned().collect();
    assert_eq!(shown, expected, "the newest events stay the newest");
    let mut arguments = json!({"detail": "full", "limit": 1000, "wait_seconds": 20});
    let mut seen = Vec::new();
    let last = loop {
        let page = page(&client, &id, arguments.clone()).await;
        seen.extend(ids(&page["events"]));
        if page["more"] == false {
            break page;
        }
        arguments["after"] = page["cursor"].clone();
    };
    assert_eq!(seen, record);
    let first = page(
        &client,
        &id,
        json!({"types": ["agent.never_seen"], "wait_seconds": 20}),
    )
    .await;
    assert!(first.to_string().contains("in a circle"), "{first}, {last}");
}

#[tokio::test]
async fn a_turn_too_long_to_be_read_in_time_is_told_by_its_newest_events() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 700] go", 40).await);
    rig.always("GET */events", Kind::SlowHeaders { ms: 800 });
    let arguments = json!({"session_ids": [id]});
    let called = rig.client().await.call("get_status", arguments).await;
    let stands = called.within(Duration::from_secs(4)).ok();
    let report = &stands["sessions"][0];
    assert_eq!(report["state"], "done", "{stands}");
    assert!(reply(report).contains("[work 700]"), "{stands}");
    assert!(
        report["notes"].to_string().contains("further back"),
        "{stands}"
    );
}

#[tokio::test]
async fn what_the_agent_wrote_is_cleaned_and_fenced() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let arguments = json!({"message": "[hostile] go", "wait_seconds": 20});
    let called = client.call("create_session", arguments).await;
    let id = session(&called.structured);
    let page = client.call("get_events", json!({"session_id": id})).await;
    let full = client
        .call("get_events", json!({"session_id": id, "detail": "full"}))
        .await;
    for result in [called, page, full] {
        assert_eq!(result.structured["untrusted"], true);
        assert!(
            result.text.contains("data, not instructions"),
            "{}",
            result.text
        );
        // JSON on the wire escapes what is below U+0020; the texts inside must not hold it either.
        let mut texts = vec![result.text.clone()];
        collect(&result.structured, &mut texts);
        for text in texts {
            let odd = text.chars().find(|c| {
                (c.is_control() && !matches!(c, '\n' | '\t'))
                    || matches!(*c as u32, 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
            });
            assert_eq!(odd, None, "{text:?}");
        }
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, into)),
        _ => {}
    }
}

#[tokio::test]
async fn a_search_for_what_is_rare_goes_on_from_where_its_time_ended() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let id = session(&client.create("[work 300] go", 40).await);
    rig.always("GET */events", Kind::SlowHeaders { ms: 500 });
    let mut arguments =
        json!({"types": ["session.never_heard_of"], "limit": 20, "wait_seconds": 2});
    let mut calls = 0;
    loop {
        let page = page(&client, &id, arguments.clone()).await;
        calls += 1;
        assert_eq!(page["events"], json!([]), "{page}");
        if page["more"] == false {
            break;
        }
        assert_ne!(arguments["after"], page["cursor"], "it does not move on");
        assert!(calls < 20, "{page}");
        arguments["after"] = page["cursor"].clone();
    }
    assert!(calls > 1, "one call had time enough");
}

/// What is held back until its place is final is said to follow, and a reader who goes on gets it.
#[tokio::test]
async fn a_reader_who_goes_on_while_there_is_more_has_the_whole_of_a_turn_that_just_ended() {
    for task in ["[delegate 2 1] go", "[work 3] [late] go", "[two] go"] {
        let rig = Rig::start().await;
        let client = rig.client().await;
        let id = session(&client.create(task, 30).await);
        let mut arguments = json!({"session_id": id, "detail": "full"});
        let mut seen = Vec::new();
        loop {
            let page = client.call("get_events", arguments.clone()).await.ok();
            let events = page["events"].as_array().unwrap().iter();
            seen.extend(events.map(|event| event["id"].as_str().unwrap().to_owned()));
            if page["more"] == false {
                break;
            }
            arguments["after"] = page["cursor"].clone();
        }
        let record = rig.record(&id).await.into_iter();
        let record: Vec<String> = record.map(|event| crate::rig::id(&event)).collect();
        assert_eq!(seen, record, "{task}");
    }
}
