//! What a model is shown before it calls anything: short, described, portable, and true.

use rmcp::model::Tool;
use serde_json::{Value, json};

use crate::rig::{Rig, length, modern};

/// Bytes of the tool list that a model sees, and of all of it.
const SHOWN_BYTES: usize = 12_000;
const WIRE_BYTES: usize = 24_000;

/// All of them; the default list has a budget of its own.
async fn tools() -> Vec<Tool> {
    let rig = Rig::start().await.set("MANAGED_AGENTS_TOOLSETS", "all");
    rig.client().await.tools
}

/// Every schema inside a schema, with its path.
fn walk<'a>(path: &str, schema: &'a Value, see: &mut impl FnMut(&str, &'a Value)) {
    see(path, schema);
    let Some(fields) = schema.as_object() else {
        return;
    };
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    walk(&format!("{path}.{name}"), property, see);
                }
            }
            ("items" | "additionalProperties", Value::Object(_)) => {
                walk(&format!("{path}[]"), value, see)
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(choices)) => {
                choices.iter().for_each(|choice| walk(path, choice, see));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_list_stays_within_its_budget() {
    let rig = Rig::start().await;
    let mut pipe = rig.pipe();
    pipe.initialize().await;
    let id = pipe.request("tools/list", json!({})).await;
    let reply = pipe.reply(id).await;
    let stateless = rig.pipe().ask("tools/list", modern(json!({}))).await;
    for answer in [&reply["result"], &stateless] {
        let wire = json!({"jsonrpc": "2.0", "id": 1, "result": answer}).to_string();
        let bytes = wire.len();
        assert!(bytes <= WIRE_BYTES, "{bytes} bytes on the wire");
    }
    let tools = reply["result"]["tools"].as_array().unwrap().iter();
    let shown = tools.map(|tool| {
        let text = |name: &str| tool[name].as_str().unwrap().len();
        text("name") + text("description") + tool["inputSchema"].to_string().len()
    });
    let shown: usize = shown.sum();
    assert!(
        shown <= SHOWN_BYTES,
        "{shown} bytes of names, descriptions and schemas"
    );
}

#[tokio::test]
async fn every_tool_and_every_parameter_is_described() {
    for tool in tools().await {
        let name = tool.name.as_ref();
        assert!(length(name) <= 40, "{name}");
        let words = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(words && name.contains('_'), "{name}");
        let description = tool.description.as_deref().unwrap_or_default();
        assert!(
            (30..=2000).contains(&description.len()),
            "{name}: {description}"
        );
        assert!(tool.title.is_some(), "{name} has no title");
        walk(name, &json!(tool.input_schema), &mut |path, schema| {
            let Some(properties) = schema["properties"].as_object() else {
                return;
            };
            for (field, property) in properties {
                let text = property["description"].as_str().unwrap_or_default();
                assert!(!text.trim().is_empty(), "{path}.{field} is not described");
            }
        });
    }
}

#[tokio::test]
async fn every_hint_is_explicit_and_true() {
    for tool in tools().await {
        let name = tool.name.as_ref();
        let hints = tool
            .annotations
            .unwrap_or_else(|| panic!("{name} has no hints"));
        let reads = name.starts_with("get_") || name.starts_with("list_");
        assert_eq!(hints.read_only_hint, Some(reads), "{name}");
        assert_eq!(
            hints.destructive_hint,
            Some(name.starts_with("close_")),
            "{name}"
        );
        assert!(hints.idempotent_hint.is_some(), "{name}");
        assert!(hints.open_world_hint.is_some(), "{name}");
        let starts_work = [
            "create_session",
            "send_message",
            "resolve_action",
            "create_schedule",
            "control_schedule",
        ];
        if starts_work.contains(&name) {
            assert_eq!(hints.open_world_hint, Some(true), "{name} starts work");
        }
        if reads {
            assert_eq!(hints.idempotent_hint, Some(true), "{name}");
        }
    }
}

#[tokio::test]
async fn schemas_use_nothing_that_a_client_may_not_understand() {
    for tool in tools().await {
        let name = tool.name.as_ref();
        let input = json!(tool.input_schema);
        assert_eq!(input["type"], "object", "{name}");
        for combinator in ["anyOf", "oneOf", "allOf", "not", "enum", "if"] {
            assert!(
                input.get(combinator).is_none(),
                "{name}: {combinator} at the root"
            );
        }
        let strict = input["additionalProperties"] == json!(false);
        assert!(strict, "{name} takes parameters that it does not know");
        let output = json!(tool.output_schema.unwrap_or_default());
        assert_eq!(output["type"], "object", "{name} output");
        for schema in [&input, &output] {
            walk(name, schema, &mut |path, schema| {
                for keyword in [
                    "$ref", "$defs", "$schema", "format", "const", "oneOf", "allOf",
                ] {
                    assert!(schema.get(keyword).is_none(), "{path}: {keyword}");
                }
                assert!(!schema["type"].is_array(), "{path}: several types");
            });
        }
        walk(name, &input, &mut |path, schema| {
            assert!(schema.get("anyOf").is_none(), "{path}: anyOf in an input");
        });
    }
}

/// Words that look like the name of a tool.
pub(crate) fn named_tools(text: &str) -> Vec<String> {
    let verbs = [
        "create_",
        "send_",
        "get_",
        "resolve_",
        "interrupt_",
        "list_",
        "update_",
        "close_",
        "upload_",
        "download_",
        "control_",
    ];
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| verbs.iter().any(|verb| word.starts_with(verb)))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_tool_that_a_text_names_exists() {
    let rig = Rig::start().await;
    let client = rig.client().await;
    let names: Vec<&str> = client.tools.iter().map(|tool| tool.name.as_ref()).collect();
    let instructions = client.server().instructions.unwrap();
    let mut texts = vec![instructions.clone(), json!(client.tools).to_string()];
    for script in [
        "hello",
        "[seconds 60]",
        "[approve]",
        "[budget]",
        "[refuse]",
        "[error]",
        "[terminate]",
    ] {
        texts.push(client.create(script, 1).await.to_string());
    }
    for text in texts {
        for named in named_tools(&text) {
            assert!(names.contains(&named.as_str()), "{named} does not exist");
        }
    }
    for tool in ["create_session", "send_message", "get_events", "get_status"] {
        assert!(names.contains(&tool), "{tool}");
    }
    for flow in [
        "create_session",
        "get_status",
        "resolve_action",
        "send_message",
        "close_session",
    ] {
        assert!(
            instructions.contains(flow),
            "the instructions leave out {flow}"
        );
    }
}

#[tokio::test]
async fn the_instructions_are_short_and_reviewed() {
    let rig = Rig::start().await;
    let instructions = rig.client().await.server().instructions.unwrap();
    assert!(
        length(&instructions) <= 2000,
        "{} characters",
        length(&instructions)
    );
    insta::assert_snapshot!("instructions", instructions);
}

#[tokio::test]
async fn each_tool_is_as_reviewed() {
    for tool in tools().await {
        let mut shown = json!(tool);
        // Icons and the like say nothing to a model.
        shown.as_object_mut().unwrap().remove("icons");
        insta::assert_json_snapshot!(tool.name.as_ref(), shown);
    }
}
