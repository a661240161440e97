//! `/v1/memory_stores`: what agents remember beyond a session.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{set, text};
use super::shelf::{new_metadata, patch_metadata};
use super::stamp;
use super::state::{Call, State};

const FIELDS: [&str; 3] = ["name", "description", "metadata"];
const FILTERS: [&str; 5] = [
    "limit",
    "page",
    "include_archived",
    "created_at[gte]",
    "created_at[lte]",
];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    fields.need("name")?;
    let now = stamp::now();
    let store = json!({
        "id": stamp::id("memstore"), "type": "memory_store", "name": name(&fields)?,
        "description": fields.text("description", 0..=1024)?.unwrap_or_default(),
        "metadata": new_metadata(&fields)?, "created_at": now, "updated_at": now, "archived_at": null,
    });
    let key = state.next();
    Ok(state.memory_stores.put(key, store))
}

fn name<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    let name = fields.text("name", 1..=255)?;
    if name.is_some_and(|name| name.contains(char::is_control)) {
        return Err(fields.wrong("name", "Control characters are not allowed"));
    }
    Ok(name)
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&FILTERS)?;
    state.memory_stores.list(call, &|_| true)
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    state.memory_stores.get(call.id(0)).cloned()
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &FIELDS)?;
    let mut store = state.memory_stores.changeable(call.id(0))?.clone();
    if let Some(name) = name(&fields)? {
        set(&mut store, "name", name);
    }
    if fields.has("description") {
        let words = fields.text("description", 0..=1024)?.unwrap_or_default();
        set(&mut store, "description", words);
    }
    patch_metadata(&mut store, &fields)?;
    state.memory_stores.replace(store)
}

pub(super) fn archive(state: &mut State, call: &Call) -> Answer {
    state.memory_stores.archive(call.id(0))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let deleted = state
        .memory_stores
        .remove(call.id(0), "memory_store_deleted")?;
    state
        .memories
        .retain(&|memory| text(memory, "/memory_store_id") != call.id(0));
    Ok(deleted)
}

/// A store as a resource of a session: checked, with what the session keeps of it.
pub(super) fn attached(state: &State, value: &Value, path: &str) -> Answer {
    let keys = ["type", "memory_store_id", "access", "instructions"];
    let fields = Fields::of(value, path, &keys)?;
    let id = fields.need_text("memory_store_id", 1..=256)?;
    let store = state
        .memory_stores
        .usable(id, &fields.path("memory_store_id"))?;
    let name = text(store, "/name");
    Ok(json!({
        "type": "memory_store", "memory_store_id": id, "name": name, "description": text(store, "/description"),
        "access": fields.choice("access", &["read_write", "read_only"])?.unwrap_or("read_write"),
        "instructions": fields.text("instructions", 0..=4096)?,
        "mount_path": format!("/mnt/memory/{}", slug(name)),
    }))
}

/// A name in lower case with one hyphen for every run of other characters.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}
