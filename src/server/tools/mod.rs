//! One file per tool, named like the tool. This file is the list.

mod agent_fields;
mod close_agent;
mod close_environment;
mod close_session;
mod control_schedule;
mod create_agent;
mod create_environment;
mod create_schedule;
mod create_session;
mod download_file;
mod ending;
mod get_agent;
mod get_events;
mod get_status;
mod interrupt_session;
mod list_agents;
mod list_environments;
mod list_files;
mod list_memory_stores;
mod list_schedules;
mod list_sessions;
mod list_vaults;
mod outcome;
pub(super) mod parameters;
mod resolve_action;
mod schedule;
mod send_message;
mod update_agent;
mod update_session;
mod upload_file;

use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::Server;
use super::present::{ToolError, list_schema, text_or_null};
use crate::api::Id;
use crate::bridge::catalog::{NamedRow, Query};
use crate::config::{Config, Toolset};

/// The tools that the settings ask for.
pub(super) fn offered(config: &Config) -> ToolRouter<Server> {
    let mut router = ToolRouter::new();
    for toolset in &config.toolsets {
        router += match toolset {
            Toolset::Core => core(),
            Toolset::Admin => admin(),
            Toolset::Schedules => schedules(),
        };
    }
    if config.read_only {
        router.map.retain(|_, route| {
            let hints = route.attr.annotations.as_ref();
            hints.and_then(|hints| hints.read_only_hint) == Some(true)
        });
    }
    if let Some(route) = router.map.get_mut("get_events") {
        // A host that cuts results lets this one be as long as it can get.
        let most = json!(config.result_chars);
        let hint = json!({"anthropic/maxResultSizeChars": most});
        route.attr.meta = serde_json::from_value(hint).ok();
    }
    portable(router)
}

/// Why a tool that there is does not stand in the list.
pub(super) fn left_out(config: &Config, name: &str) -> Option<String> {
    let toolsets = [
        (Toolset::Core, "core", core as fn() -> ToolRouter<Server>),
        (Toolset::Admin, "admin", admin),
        (Toolset::Schedules, "schedules", schedules),
    ];
    let mut toolsets = toolsets.into_iter();
    let (toolset, word, _) = toolsets.find(|(_, _, tools)| tools().has_route(name))?;
    Some(match config.toolsets.contains(&toolset) {
        true => "this server is read-only (MANAGED_AGENTS_READ_ONLY)".to_owned(),
        false => format!("it is in the toolset {word}, which MANAGED_AGENTS_TOOLSETS leaves out"),
    })
}

/// To delegate: sessions, and what they are made of.
fn core() -> ToolRouter<Server> {
    Server::create_session_router()
        + Server::send_message_router()
        + Server::get_status_router()
        + Server::get_events_router()
        + Server::resolve_action_router()
        + Server::interrupt_session_router()
        + Server::list_sessions_router()
        + Server::update_session_router()
        + Server::close_session_router()
        + Server::list_agents_router()
        + Server::get_agent_router()
        + Server::create_agent_router()
        + Server::list_environments_router()
        + Server::create_environment_router()
        + Server::upload_file_router()
        + Server::list_files_router()
        + Server::download_file_router()
}

/// To look after agents and environments, and to find what sessions can be given.
fn admin() -> ToolRouter<Server> {
    Server::update_agent_router()
        + Server::close_agent_router()
        + Server::close_environment_router()
        + Server::list_vaults_router()
        + Server::list_memory_stores_router()
}

/// To let agents run by the clock.
fn schedules() -> ToolRouter<Server> {
    Server::list_schedules_router()
        + Server::create_schedule_router()
        + Server::control_schedule_router()
}

/// Brings the input schemas into the form that every client reads: no `format`, no type arrays, no null, no dialect.
fn portable(mut router: ToolRouter<Server>) -> ToolRouter<Server> {
    for route in router.map.values_mut() {
        let mut schema = (*route.attr.input_schema).clone();
        // The root refuses unknown parameters; saying so again inside only costs words.
        let strict = schema.remove("additionalProperties");
        let mut schema = Value::Object(schema);
        plain(&mut schema);
        if let Value::Object(mut schema) = schema {
            schema.extend(strict.map(|strict| ("additionalProperties".to_owned(), strict)));
            route.attr.input_schema = Arc::new(schema);
        }
    }
    router
}

fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            simplify(fields);
            for (keyword, value) in fields.iter_mut() {
                match value {
                    // Its keys are names of parameters, not keywords.
                    Value::Object(parameters) if keyword == "properties" => {
                        parameters.values_mut().for_each(plain);
                    }
                    other => plain(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn simplify(fields: &mut JsonObject) {
    // An optional parameter is one that may be left out; that it may be null as well helps nobody.
    let alternatives = fields
        .get("anyOf")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut real = alternatives
        .iter()
        .filter(|schema| schema.get("type").and_then(Value::as_str) != Some("null"));
    if let (Some(Value::Object(only)), None) = (real.next(), real.next()) {
        fields.remove("anyOf");
        fields.extend(only.clone());
    }
    if let Some(Value::Array(kinds)) = fields.get("type") {
        let kind = kinds
            .iter()
            .find(|kind| kind.as_str() != Some("null"))
            .cloned();
        fields.extend(kind.map(|kind| ("type".to_owned(), kind)));
    }
    if let Some(Value::Array(choices)) = fields.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    for noise in ["format", "$schema", "default", "additionalProperties"] {
        fields.remove(noise);
    }
    if fields.get("minimum").and_then(Value::as_f64) == Some(0.0) {
        fields.remove("minimum");
    }
}

/// Checks an id argument.
fn id(parameter: &str, text: &str) -> Result<Id, ToolError> {
    Id::parse(text).map_err(|why| {
        ToolError::argument(
            format!("`{parameter}`: {why}."),
            "pass an id as another tool returned it.",
        )
    })
}

/// Checks an optional id argument.
fn optional_id(parameter: &str, text: Option<&str>) -> Result<Option<Id>, ToolError> {
    text.map(|text| id(parameter, text)).transpose()
}

/// Dollars as whole cents.
fn budget_cents(dollars: f64) -> Result<u64, ToolError> {
    crate::config::cents(dollars).ok_or_else(|| {
        ToolError::argument(
            "`budget_usd` must be above 0, with at most two decimals.",
            "pass dollars, such as 2.50.",
        )
    })
}

/// Refuses an empty or overlong text.
fn text(parameter: &str, text: &str, longest: usize) -> Result<(), ToolError> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(ToolError::argument(
            format!("`{parameter}` is empty."),
            format!("say something in `{parameter}`."),
        ));
    }
    if length > longest {
        return Err(ToolError::argument(
            format!("`{parameter}` has {length} characters; at most {longest} are taken."),
            "shorten it, or put long material into a repository or a mounted file.",
        ));
    }
    Ok(())
}

/// What list_agents and list_environments look for.
fn catalog_query(
    name_contains: Option<String>,
    include_archived: bool,
    limit: Option<u32>,
    page: Option<String>,
) -> Result<Query, ToolError> {
    if limit.is_some_and(|limit| !(1..=100).contains(&limit)) {
        return Err(ToolError::argument(
            "`limit` must be 1 to 100.",
            "pass a number from 1 to 100; `page` reads on.",
        ));
    }
    Ok(Query {
        name_contains,
        include_archived,
        limit,
        page,
    })
}

/// Shape of a list of vaults or memory stores.
fn named_schema(name: &str) -> Value {
    let fields = json!({
        "id": {"type": "string"},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "created_at": text_or_null(),
    });
    list_schema(name, fields, &["id", "name"])
}

/// A vault or memory store on a line.
fn named_row(row: &NamedRow) -> String {
    let description = row.description.as_ref();
    let description = description
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    format!("{} {}{description}", row.id, row.name)
}

/// Longest message, in characters.
const MESSAGE_CHARS: usize = 1_000_000;
