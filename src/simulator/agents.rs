//! `/v1/agents`: agents and their versions.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};
use super::body::{Fields, Nulls, check_pairs};
use super::json::{at, merge_metadata, set, text};
use super::page::Page;
use super::state::{Call, State};
use super::{roster, stamp, tools};

const FIELDS: [&str; 10] = [
    "name",
    "model",
    "description",
    "system",
    "tools",
    "mcp_servers",
    "skills",
    "multiagent",
    "metadata",
    "execution_identity",
];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    fields.need("name")?;
    fields.need("model")?;
    fields.metadata("metadata", Nulls::Refuse)?;
    let now = stamp::now();
    let mut agent = json!({
        "id": stamp::id("agent"), "type": "agent", "version": 1, "created_at": now, "updated_at": now,
        "archived_at": null, "metadata": fields.get("metadata").cloned().unwrap_or_else(|| json!({})),
    });
    merge(&mut agent, checked(state, &fields, &Value::Null)?);
    roster::name_self(&mut agent)?;
    let key = state.next();
    state.agents.insert(key, vec![agent.clone()]);
    Ok(agent)
}

/// Every field but the metadata, checked and resolved as the API returns it; `base` is what an update changes.
fn checked(state: &State, fields: &Fields<'_>, base: &Value) -> Result<Value, Refusal> {
    let (tools, servers) = tools::resolve(fields, base)?;
    let identity = fields.get("execution_identity").cloned();
    Ok(json!({
        "name": fields.text("name", 1..=256)?,
        "model": fields.get("model").map(|value| model(value, "model")).transpose()?,
        "description": fields.text("description", 0..=2048)?,
        "system": fields.text("system", 0..=100_000)?,
        "tools": tools,
        "mcp_servers": servers,
        "skills": tools::each(fields, "skills", 20, skill)?,
        "multiagent": fields.get("multiagent").map(|value| roster::checked(state, value)).transpose()?,
        "execution_identity": identity.unwrap_or_else(|| json!({"type": "service_account"})),
    }))
}

/// A model as a string or an object, as the API returns it.
pub(super) fn model(value: &Value, path: &str) -> Answer {
    if let Some(id) = value.as_str() {
        if id.is_empty() {
            return Err(Refusal::invalid(format!(
                "{path}: String should not be empty"
            )));
        }
        return Ok(json!({"id": id, "speed": "standard"}));
    }
    let fields = Fields::of(value, path, &["id", "speed", "effort", "inference_geo"])?;
    fields.need_text("id", 1..=256)?;
    fields.choice("speed", &["standard", "fast"])?;
    let mut model = json!({"speed": "standard"});
    merge(&mut model, value.clone());
    if let Some(effort) = fields.get("effort").and_then(Value::as_str) {
        fields.choice("effort", &["low", "medium", "high", "xhigh", "max"])?;
        set(&mut model, "effort", json!({"type": effort}));
    }
    Ok(model)
}

/// One skill; without a version the API pins the latest.
pub(super) fn skill(value: &Value, path: &str) -> Answer {
    let fields = Fields::of(value, path, &["type", "skill_id", "version"])?;
    fields.need("type")?;
    fields.choice("type", &["anthropic", "custom"])?;
    fields.need_text("skill_id", 1..=256)?;
    let mut skill = value.clone();
    set(
        &mut skill,
        "version",
        fields.text("version", 1..=64)?.unwrap_or("latest"),
    );
    Ok(skill)
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&[
        "limit",
        "page",
        "order",
        "include_archived",
        "created_at[gte]",
        "created_at[lte]",
    ])?;
    let page = Page::read(&call.query, "desc", 20, 100)?;
    let (archived, within) = (call.query.flag("include_archived")?, call.query.window()?);
    let all = state
        .agents
        .iter()
        .filter_map(|(key, versions)| versions.last().map(|agent| (*key, agent)));
    let kept = all.filter(|(_, agent)| archived || at(agent, "/archived_at").is_null());
    let kept = kept.filter(|(_, agent)| within(text(agent, "/created_at")));
    Ok(page
        .cut(kept.map(|(key, agent)| (key, agent.clone())))
        .one_way())
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["version"])?;
    find(state, call.id(0), call.query.whole("version")?).cloned()
}

pub(super) fn versions(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page"])?;
    let page = Page::read(&call.query, "desc", 20, 100)?;
    let versions = all_versions(state, call.id(0))?.iter();
    let keyed = versions.map(|agent| {
        (
            at(agent, "/version").as_u64().unwrap_or_default(),
            agent.clone(),
        )
    });
    Ok(page.cut(keyed.collect::<Vec<_>>().into_iter()).one_way())
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let mut allowed = FIELDS.to_vec();
    allowed.push("version");
    let fields = Fields::of(&call.body, "", &allowed)?;
    let current = find(state, call.id(0), None)?.clone();
    if !at(&current, "/archived_at").is_null() {
        return Err(Refusal::conflict(format!(
            "Agent `{}` is archived and cannot be updated.",
            call.id(0)
        )));
    }
    let version = at(&current, "/version").as_u64().unwrap_or_default();
    if fields.whole("version", 1..=u64::MAX)? != Some(version) {
        return Err(Refusal::conflict(format!(
            "version: the update must carry the agent's current version, which is {version}. Read the agent again."
        )));
    }
    let next = updated(state, &fields, current, version)?;
    if let Some(versions) = state
        .agents
        .values_mut()
        .find(|versions| has_id(versions, call.id(0)))
    {
        versions.push(next.clone());
    }
    Ok(next)
}

fn updated(state: &State, fields: &Fields<'_>, mut agent: Value, version: u64) -> Answer {
    for key in ["name", "model"] {
        if fields.has(key) {
            fields.need(key)?;
        }
    }
    let sent: Map<String, Value> = match checked(state, fields, &agent)? {
        Value::Object(all) => all.into_iter().filter(|(key, _)| fields.has(key)).collect(),
        _ => Map::new(),
    };
    merge(&mut agent, Value::Object(sent));
    if let Some(patch) = fields.metadata("metadata", Nulls::Delete)? {
        merge_metadata(&mut agent, patch);
        check_pairs(at(&agent, "/metadata").as_object().map_or(0, Map::len))
            .map_err(|why| fields.wrong("metadata", &why))?;
    }
    set(&mut agent, "version", version + 1);
    set(&mut agent, "updated_at", stamp::now());
    roster::name_self(&mut agent)?;
    Ok(agent)
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    all_versions(state, call.id(0))?;
    let versions = state
        .agents
        .values_mut()
        .find(|versions| has_id(versions, call.id(0)));
    let latest = versions.and_then(|versions| versions.last_mut());
    let Some(agent) = latest else {
        return Err(Refusal::unknown("Agent", call.id(0)));
    };
    if at(agent, "/archived_at").is_null() {
        set(agent, "archived_at", stamp::now());
    }
    Ok(agent.clone())
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    all_versions(state, call.id(0))?;
    state
        .agents
        .retain(|_, versions| !has_id(versions, call.id(0)));
    Ok(json!({"id": call.id(0), "type": "agent_deleted"}))
}

/// An agent in a version, the latest unless told otherwise.
pub(super) fn find<'a>(
    state: &'a State,
    id: &str,
    version: Option<u64>,
) -> Result<&'a Value, Refusal> {
    let versions = all_versions(state, id)?;
    let wanted = versions
        .iter()
        .rev()
        .find(|agent| version.is_none_or(|n| at(agent, "/version").as_u64() == Some(n)));
    wanted.ok_or_else(|| {
        let version = version.unwrap_or_default();
        Refusal {
            message: format!("Agent `{id}` has no version {version}."),
            ..Refusal::unknown("Agent", id)
        }
    })
}

fn all_versions<'a>(state: &'a State, id: &str) -> Result<&'a [Value], Refusal> {
    let found = state.agents.values().find(|versions| has_id(versions, id));
    found
        .map(Vec::as_slice)
        .ok_or_else(|| Refusal::unknown("Agent", id))
}

fn has_id(versions: &[Value], id: &str) -> bool {
    versions
        .first()
        .is_some_and(|agent| text(agent, "/id") == id)
}

fn merge(value: &mut Value, new: Value) {
    if let (Some(fields), Value::Object(new)) = (value.as_object_mut(), new) {
        fields.extend(new);
    }
}
