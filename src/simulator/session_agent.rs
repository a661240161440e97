//! The agent of a session: a snapshot of the resource, with what the session overrides.

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, items, set, text};
use super::session::Session;
use super::state::State;
use super::{agents, tools};

/// The agent a session is created with: an id, a reference, or a reference with overrides.
pub(super) fn resolved(state: &State, value: &Value) -> Answer {
    if let Some(id) = value.as_str() {
        return usable(state, id, None);
    }
    let allowed: &[&str] = match text(value, "/type") {
        "agent" => &["type", "id", "version"],
        "agent_with_overrides" => &[
            "type",
            "id",
            "version",
            "model",
            "system",
            "tools",
            "mcp_servers",
            "skills",
        ],
        kind => {
            let why = format!("agent.type: Input tag '{kind}' does not match any expected tag");
            return Err(Refusal::invalid(why));
        }
    };
    let fields = Fields::of(value, "agent", allowed)?;
    let version = fields.whole("version", 1..=u64::MAX)?;
    let mut agent = usable(state, fields.need_text("id", 1..=256)?, version)?;
    override_with(&mut agent, &fields)?;
    Ok(agent)
}

fn usable(state: &State, id: &str, version: Option<u64>) -> Answer {
    let agent = agents::find(state, id, version)?;
    if !at(agents::find(state, id, None)?, "/archived_at").is_null() {
        return Err(Refusal::invalid(format!("agent: Agent `{id}` is archived")));
    }
    Ok(snapshot(state, agent))
}

fn override_with(agent: &mut Value, fields: &Fields<'_>) -> Result<(), Refusal> {
    if let Some(value) = fields.get("model") {
        set(agent, "model", agents::model(value, "agent.model")?);
    }
    if fields.has("system") {
        set(agent, "system", fields.text("system", 0..=100_000)?);
    }
    if fields.has("skills") {
        set(
            agent,
            "skills",
            tools::each(fields, "skills", 20, agents::skill)?,
        );
    }
    let (tools, servers) = tools::resolve(fields, agent)?;
    set(agent, "tools", tools);
    set(agent, "mcp_servers", servers);
    Ok(())
}

/// The agent after an update of its session, which may change tools and servers while it is idle.
pub(super) fn updated(session: &Session, value: &Value) -> Answer {
    let fields = Fields::of(value, "agent", &["tools", "mcp_servers"])?;
    if session.busy().is_some() {
        let why = "agent: the session is running; its agent can be changed when it is idle";
        return Err(Refusal::invalid(why));
    }
    let mut agent = at(&session.object, "/agent").clone();
    override_with(&mut agent, &fields)?;
    Ok(agent)
}

/// The agent as sessions keep it: the snapshot without what belongs to the resource alone.
fn snapshot(state: &State, agent: &Value) -> Value {
    let mut snapshot = agent.clone();
    if let Some(fields) = snapshot.as_object_mut() {
        fields.retain(|key, _| {
            !matches!(
                key.as_str(),
                "created_at" | "updated_at" | "archived_at" | "metadata"
            )
        });
    }
    let members = items(agent, "/multiagent/agents").iter().map(|member| {
        match agents::find(state, text(member, "/id"), at(member, "/version").as_u64()) {
            Ok(found) => {
                let mut found = snapshot_alone(found);
                set(&mut found, "version", at(member, "/version").clone());
                found
            }
            Err(_) => member.clone(),
        }
    });
    let members: Vec<Value> = members.collect();
    if let Some(team) = snapshot
        .get_mut("multiagent")
        .filter(|team| !team.is_null())
    {
        set(team, "agents", members);
    }
    snapshot
}

/// The snapshot of an agent within a team: without a team of its own.
pub(super) fn snapshot_alone(agent: &Value) -> Value {
    let mut snapshot = agent.clone();
    if let Some(fields) = snapshot.as_object_mut() {
        let drop = [
            "created_at",
            "updated_at",
            "archived_at",
            "metadata",
            "multiagent",
        ];
        fields.retain(|key, _| !drop.contains(&key.as_str()));
    }
    snapshot
}
