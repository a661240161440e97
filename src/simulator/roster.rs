//! The team of an agent: whom it may hand work to.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, items, set, text};
use super::shelf::archived;
use super::state::State;
use super::{agents, tools};

/// A team as sent, its members pinned to versions; `self` stays as it is until the agent has a version.
pub(super) fn checked(state: &State, value: &Value) -> Answer {
    let fields = Fields::of(value, "multiagent", &["type", "agents"])?;
    fields.need("type")?;
    fields.choice("type", &["coordinator"])?;
    let members = tools::each(&fields, "agents", 20, |entry, path| {
        member(state, entry, path)
    })?;
    if members.is_empty() {
        return Err(fields.wrong("agents", "List should have at least 1 item"));
    }
    Ok(json!({"type": "coordinator", "agents": members}))
}

fn member(state: &State, entry: &Value, path: &str) -> Answer {
    let (id, version) = match (entry.as_str(), text(entry, "/type")) {
        (Some(id), _) => (id, None),
        (_, "advisor") => {
            Fields::of(entry, path, &["type", "model"])?.need_text("model", 1..=256)?;
            return Ok(entry.clone());
        }
        (_, "self") => {
            Fields::of(entry, path, &["type"])?;
            return Ok(entry.clone());
        }
        _ => {
            let fields = Fields::of(entry, path, &["type", "id", "version"])?;
            fields.need("type")?;
            fields.choice("type", &["agent"])?;
            let version = fields.whole("version", 1..=u64::MAX)?;
            (fields.need_text("id", 1..=256)?, version)
        }
    };
    let agent = agents::find(state, id, version)?;
    if archived(agents::find(state, id, None)?) {
        return Err(Refusal::invalid(format!(
            "{path}: Agent `{id}` is archived"
        )));
    }
    if !at(agent, "/multiagent").is_null() {
        let why = format!("{path}: Agent `{id}` has a team of its own");
        return Err(Refusal::invalid(why));
    }
    Ok(json!({"type": "agent", "id": id, "version": at(agent, "/version")}))
}

/// Puts the agent itself where its team says `self`; members are distinct.
pub(super) fn name_self(agent: &mut Value) -> Result<(), Refusal> {
    let own = json!({"type": "agent", "id": at(agent, "/id"), "version": at(agent, "/version")});
    let named = items(agent, "/multiagent/agents").iter().map(|member| {
        let is_self = text(member, "/type") == "self";
        if is_self { own.clone() } else { member.clone() }
    });
    let named: Vec<Value> = named.collect();
    let mut seen = HashSet::new();
    if let Some(twice) = named.iter().find(|one| !seen.insert(text(one, "/id"))) {
        let why = format!("multiagent.agents: `{}` is there twice", text(twice, "/id"));
        return Err(Refusal::invalid(why));
    }
    if let Some(team) = agent.get_mut("multiagent").filter(|team| !team.is_null()) {
        set(team, "agents", named);
    }
    Ok(())
}
