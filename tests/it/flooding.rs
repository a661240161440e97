//! Arguments that hold as much as they may, and more: whatever they are for, the answer keeps to its size.

use serde_json::{Map, Value, json};

use crate::files::with_disk;
use crate::rig::{Client, session};

/// Longest text of an error.
const ERROR_CHARS: usize = 4000;
/// Lengths of a text: what a name, a path and a message may have.
const LENGTHS: [usize; 3] = [300, 4096, 12_000];
const ITEMS: usize = 1000;

/// What a schema calls a text, as long and as odd as can be.
fn texts() -> Vec<Value> {
    let repeated = |text: &str, length| {
        let text: String = text.chars().cycle().take(length).collect();
        Value::String(text)
    };
    let long = LENGTHS.map(|length| repeated("x", length));
    let odd = repeated("`\"\\\n\u{202e}字 ", 12_000);
    [long.to_vec(), vec![odd]].concat()
}

/// Values that flood a parameter.
fn floods(schema: &Value) -> Vec<Value> {
    match schema["type"].as_str() {
        Some("array") => {
            let items = floods(&schema["items"]);
            let mut lists: Vec<Value> = items.into_iter().map(|item| json!([item])).collect();
            let short = match schema["items"]["type"].as_str() {
                Some("object") => json!({"event_id": "sevt_1", "reason": "x".repeat(900)}),
                _ => json!("x".repeat(100)),
            };
            lists.extend([ITEMS, 50].map(|count| json!(vec![&short; count])));
            // Ids that no list would show twice.
            let ids: Vec<String> = (0..50)
                .map(|at| format!("{}{at}", "x".repeat(120)))
                .collect();
            lists.push(json!(ids));
            lists
        }
        Some("object") => {
            let field = |(name, schema): (&String, &Value)| {
                let values = floods(schema).into_iter();
                let named = values.map(|value| json!({name.as_str(): value}));
                named.collect::<Vec<_>>()
            };
            let known = schema["properties"].as_object();
            let mut objects: Vec<Value> = known.into_iter().flatten().flat_map(field).collect();
            let many = |count: usize, length: usize| {
                let fields =
                    (0..count).map(|at| (format!("{at}{}", "k".repeat(length)), json!("v")));
                Value::Object(fields.collect())
            };
            objects.extend([many(1, 12_000), many(ITEMS, 10), many(16, 500)]);
            objects
        }
        Some("string") | None => texts(),
        _ => Vec::new(),
    }
}

/// Arguments that are all right, as far as a tool needs them.
fn plain(tool: &str, schema: &Value, known: &Map<String, Value>) -> Map<String, Value> {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut arguments: Map<String, Value> = required
        .map(|name| {
            let name = name.as_str().unwrap();
            (
                name.to_owned(),
                known.get(name).cloned().unwrap_or(json!("x")),
            )
        })
        .collect();
    let properties = schema["properties"].as_object().unwrap();
    if properties.contains_key("wait_seconds") {
        arguments.insert("wait_seconds".to_owned(), json!(0));
    }
    if matches!(tool, "create_session" | "send_message") {
        arguments.insert("message".to_owned(), json!("go"));
    }
    arguments
}

async fn call(client: &Client, tool: &'static str, parameter: &str, arguments: Map<String, Value>) {
    // Every result is measured against its budget there.
    let called = client.call(tool, Value::Object(arguments)).await;
    let length = called.text.chars().count();
    assert!(
        !called.is_error || length <= ERROR_CHARS,
        "{tool} {parameter}: {length}: {}",
        called.text.chars().take(300).collect::<String>()
    );
}

#[tokio::test]
async fn whatever_an_argument_holds_the_answer_keeps_to_its_size() {
    let (rig, disk) = with_disk().await;
    disk.put("a.txt", b"a");
    let rig = rig.set("MANAGED_AGENTS_TOOLSETS", "all");
    let agent = json!({"name": "Reviewer", "model": "claude-sonnet-5-5"});
    let (agent, environment) = rig.furnish(agent, json!({"name": "builds"})).await;
    let file = rig.upload("a.txt", "a").await;
    let client = rig.client().await;
    let session = session(&client.create("hello", 20).await);
    let known = json!({
        "session_id": session, "session_ids": [session], "agent": agent, "environment": environment, "file_id": file,
        "path": disk.root().join("a.txt"), "version": 1, "action": "pause", "schedule_id": "depl_1", "message": "go",
        "decisions": [{"event_id": "sevt_1", "decision": "allow"}],
    });
    let known = known.as_object().unwrap();
    let mut tools: Vec<&'static str> = client
        .tools
        .iter()
        .map(|tool| &*String::leak(tool.name.to_string()))
        .collect();
    // What ends something comes last.
    tools.sort_by_key(|tool| tool.starts_with("close_"));
    let mut calls = 0;
    for tool in tools {
        let found = client.tools.iter().find(|found| found.name == tool);
        let schema = json!(found.unwrap().input_schema);
        let fine = plain(tool, &schema, known);
        let mut unknown = fine.clone();
        unknown.insert("k".repeat(12_000), json!("x"));
        call(&client, tool, "an unknown one", unknown).await;
        for (parameter, kind) in schema["properties"].as_object().unwrap() {
            for flood in floods(kind) {
                let mut arguments = fine.clone();
                arguments.insert(parameter.clone(), flood);
                call(&client, tool, parameter, arguments).await;
                calls += 1;
            }
        }
    }
    assert!(calls >= 400, "{calls}");
}
