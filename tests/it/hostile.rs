//! Hostile arguments: whatever is passed for an id, and whatever does not fit a schema, is refused with a sentence, and no
//! request leaves the process.

use managed_agents_mcp::api::Id;
use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, GetPromptRequestParams, ReadResourceRequestParams,
    Reference,
};
use serde_json::{Map, Value, json};

use crate::rig::{Client, Rig, modern};

/// How many random calls are made; more with `HOSTILE_CALLS`.
const CALLS: u64 = 500;

/// Parameters that hold an id, or a list of them.
const IDS: [&str; 12] = [
    "session_id",
    "session_ids",
    "event_id",
    "thread_id",
    "file_id",
    "schedule_id",
    "deployment_id",
    "memory_store_id",
    "vault_ids",
    "attachments",
    "after",
    "rubric_file_id",
];

/// What is no id: 200 and more of them.
fn hostile_ids() -> Vec<String> {
    let parts = [
        "..", ".", "", "/", "\\", "?", "#", "%2e%2e", "%2f", "@", ":", ";", "&", "=", "\n", "\r\n",
        "\0", "\u{202e}", "ü", " ", "\t", "'", "\"", "`", "$",
    ];
    let mut ids: Vec<String> = Vec::new();
    for part in parts {
        for around in [
            "{}",
            "a{}",
            "{}a",
            "a{}b",
            "sesn_01{}",
            "../{}",
            "{}/vaults",
            "sesn_01{}?limit=1",
        ] {
            let id = around.replace("{}", part);
            ids.push(id);
        }
    }
    ids.extend(
        [
            "null",
            "undefined",
            "-rf",
            "_x",
            "--help",
            "a b",
            "http://127.0.0.1/",
            "//host/x",
            "a".repeat(129).as_str(),
        ]
        .map(str::to_owned),
    );
    ids.extend([
        "9".repeat(100_000),
        "\u{feff}sesn_01".to_owned(),
        "sesn_01\u{200b}".to_owned(),
        "ｓｅｓｎ".to_owned(),
        "..;x".to_owned(),
    ]);
    // The allowlist takes more than the API makes.
    ids.retain(|id| managed_agents_mcp::api::Id::parse(id).is_err());
    ids
}

/// A value that the schema of a parameter allows.
fn fitting(name: &str, schema: &Value) -> Value {
    if let Some(choice) = schema["enum"].get(0) {
        return choice.clone();
    }
    match schema["type"].as_str() {
        Some("integer") => json!(1),
        Some("number") => json!(1),
        Some("boolean") => json!(false),
        Some("array") if name == "decisions" => {
            json!([{"event_id": "sevt_01", "decision": "allow"}])
        }
        Some("array") => json!([fitting(name, &schema["items"])]),
        Some("object") => json!({}),
        _ => json!("sesn_01x"),
    }
}

/// The required arguments of a tool, as they should be.
fn required(schema: &Value) -> Map<String, Value> {
    let names = schema["required"].as_array().into_iter().flatten();
    let named = names.map(|name| name.as_str().unwrap());
    named
        .map(|name| (name.to_owned(), fitting(name, &schema["properties"][name])))
        .collect()
}

async fn refused(client: &Client, tool: &'static str, arguments: &Map<String, Value>) {
    let called = client.call(tool, Value::Object(arguments.clone())).await;
    // Several ids are answered one by one; a list may hold the failures of each.
    let shown: String = json!(arguments).to_string().chars().take(300).collect();
    assert!(called.is_error, "{tool} took {shown}");
    let text = called.err();
    assert!(
        text.contains("Next:") || text.contains("expected"),
        "{tool}: {text}"
    );
    assert!(
        text.chars().count() <= 4000,
        "{tool}: {}",
        text.chars().count()
    );
    assert!(
        !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
        "{tool}: {text:?}"
    );
}

#[tokio::test]
async fn nothing_that_is_no_id_leaves_the_process() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let ids = hostile_ids();
    assert!(ids.len() >= 200, "{}", ids.len());
    let mut places = 0;
    for tool in &client.tools {
        let name: &'static str = String::leak(tool.name.to_string());
        let schema = json!(tool.input_schema);
        for (parameter, kind) in schema["properties"].as_object().unwrap() {
            if !IDS.contains(&parameter.as_str()) {
                continue;
            }
            places += 1;
            let is_list = kind["type"] == "array";
            for id in &ids {
                let mut arguments = required(&schema);
                if name == "create_session" {
                    arguments.insert("message".to_owned(), json!("go"));
                }
                if name == "send_message" {
                    arguments.insert("message".to_owned(), json!("go"));
                }
                arguments.insert(
                    parameter.clone(),
                    if is_list { json!([id]) } else { json!(id) },
                );
                refused(&client, name, &arguments).await;
            }
        }
    }
    assert!(places >= 15, "{places}");
    for id in &ids {
        let decisions = json!([{"event_id": id, "decision": "allow"}]);
        let arguments = json!({"session_id": "sesn_01x", "decisions": decisions});
        refused(&client, "resolve_action", arguments.as_object().unwrap()).await;
    }
    assert_eq!(rig.requests().len(), 0);
}

#[tokio::test]
async fn nothing_that_is_no_id_leaves_the_process_by_a_resource_a_task_or_a_prompt() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let mut pipe = rig.pipe();
    let ids = hostile_ids();
    assert!(ids.len() >= 200, "{}", ids.len());
    let mut words = Vec::new();
    for id in &ids {
        for part in ["transcript", "events"] {
            let uri = format!("session://{id}/{part}");
            let read = client
                .peer()
                .read_resource(ReadResourceRequestParams::new(uri));
            words.push(read.await.unwrap_err().to_string());
        }
        for task in [
            id.clone(),
            format!("{id}.sevt_1.0"),
            format!("sesn_1.{id}.0"),
            format!("sesn_1.sevt_1.{id}"),
        ] {
            // An empty id of a message stands for the first one.
            if task == "sesn_1..0" {
                continue;
            }
            for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
                let mut params = modern(json!({"taskId": task, "inputResponses": {}}));
                params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
                let refused = pipe.ask(method, params).await;
                assert_eq!(
                    refused["error"]["code"], -32602,
                    "{method} {task:?}: {refused}"
                );
                words.push(refused["error"]["message"].as_str().unwrap().to_owned());
            }
        }
        // White space around an id and what cannot be seen are no part of it.
        for prompt in ["follow_up", "review_session"] {
            let mut arguments = json!({"session_id": id});
            if prompt == "follow_up" {
                arguments["message"] = json!("go");
            }
            let asked = GetPromptRequestParams::new(prompt)
                .with_arguments(arguments.as_object().unwrap().clone());
            match client.peer().get_prompt(asked).await {
                Ok(told) => {
                    let seen: String = id
                        .chars()
                        .filter(|c| Id::parse(&c.to_string()).is_ok() || *c == '-')
                        .collect();
                    assert!(
                        Id::parse(&seen).is_ok() && json!(told).to_string().contains(&seen),
                        "{prompt} took {id:?}"
                    );
                }
                Err(error) => words.push(error.to_string()),
            }
        }
    }
    for words in words {
        assert!(words.chars().count() <= 4000, "{words}");
        assert!(
            !words.chars().any(|c| c.is_control() && c != '\n'),
            "{words:?}"
        );
    }
    assert_eq!(rig.requests().len(), 0);
    // What is typed is never sent: the list is read as for nothing typed, and searched here.
    for id in &ids {
        for reference in [
            Reference::for_prompt("follow_up"),
            Reference::for_resource("session://{session_id}/events"),
        ] {
            let argument = ArgumentInfo::new("session_id", id.as_str());
            let _ = client
                .peer()
                .complete(CompleteRequestParams::new(reference, argument))
                .await;
        }
    }
    for request in rig.requests() {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/v1/sessions")
        );
    }
}

/// A value that does not fit, whatever was wanted.
fn misfit(rng: &mut fastrand::Rng, kind: &str) -> Value {
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    let all = [
        json!(null),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(true),
        json!(""),
        json!(" \u{0} "),
        json!([]),
        json!([[]]),
        json!({"a": {"b": {}}}),
        json!("x".repeat(1_100_000)),
        json!(["x".repeat(300)]),
        deep,
        json!("\u{202e}\u{1b}[31m"),
        json!([null, 1, "a"]),
    ];
    loop {
        let value = all[rng.usize(..all.len())].clone();
        let fits = match kind {
            "string" => value.as_str().is_some_and(|text| text.len() < 1000),
            "integer" | "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            _ => value.is_object(),
        };
        if !fits && !value.is_null() {
            return value;
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_a_schema_is_refused_and_nothing_is_sent() {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    let client = rig.client().await;
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("HOSTILE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut rng = fastrand::Rng::with_seed(seed);
    let tools: Vec<(&'static str, Value)> = client
        .tools
        .iter()
        .map(|tool| {
            (
                &*String::leak(tool.name.to_string()),
                json!(tool.input_schema),
            )
        })
        .collect();
    let calls = number("HOSTILE_CALLS").unwrap_or(CALLS);
    for call in 0..calls {
        let (name, schema) = &tools[rng.usize(..tools.len())];
        let mut arguments = required(schema);
        let properties = schema["properties"].as_object().unwrap();
        let parameter = properties
            .keys()
            .nth(rng.usize(..properties.len().max(1)))
            .cloned();
        match (rng.u8(..5), parameter) {
            (0, _) | (_, None) => {
                arguments.insert(format!("x{}", rng.u8(..)), json!(1));
            }
            (1, Some(_)) if !arguments.is_empty() => {
                let name = arguments
                    .keys()
                    .nth(rng.usize(..arguments.len()))
                    .cloned()
                    .unwrap();
                arguments.remove(&name);
            }
            (_, Some(parameter)) => {
                let kind = properties[&parameter]["type"].as_str().unwrap_or("string");
                arguments.insert(parameter, misfit(&mut rng, kind));
            }
        }
        let before = rig.requests().len();
        let called = client.call(name, Value::Object(arguments.clone())).await;
        let sent = rig.requests().len() - before;
        let shown: String = json!(arguments).to_string().chars().take(300).collect();
        assert!(
            called.is_error,
            "HOSTILE_SEED={seed}, call {call}: {name} took {shown}"
        );
        assert_eq!(
            sent, 0,
            "HOSTILE_SEED={seed}, call {call}: {name} {shown}: {}",
            called.text
        );
    }
}
