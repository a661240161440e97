//! `/v1/memory_stores/{id}/memories`: text documents at paths within a store.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, set, text};
use super::page::{Page, Query};
use super::stamp;
use super::state::{Call, State};

const MOST_BYTES: usize = 102_400;
const MOST_FULL: usize = 20;

/// Characters that show nothing and are no control characters.
const FORMAT: [std::ops::RangeInclusive<char>; 10] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0001}'..='\u{e007f}',
];

pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    state.memory_stores.changeable(call.id(0))?;
    let full = view(&call.query, &["view"], "basic")?;
    let fields = Fields::of(&call.body, "", &["content", "path"])?;
    if !fields.has("content") {
        return Err(fields.wrong("content", "Field required"));
    }
    let path = fields.need_text("path", 1..=1024)?;
    check_path(&fields, path)?;
    free_path(state, call, path, "")?;
    let now = stamp::now();
    let mut memory = json!({
        "id": stamp::id("mem"), "type": "memory", "memory_store_id": call.id(0), "path": path,
        "created_at": now, "updated_at": now,
    });
    write(&mut memory, content(&fields)?.unwrap_or_default());
    let key = state.next();
    Ok(shown(&state.memories.put(key, memory), full))
}

/// Puts content into a memory, which makes a version.
fn write(memory: &mut Value, content: &str) {
    let hash = digest(&SHA256, content.as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    set(memory, "content", content);
    set(memory, "content_size_bytes", content.len());
    set(memory, "content_sha256", hash);
    set(memory, "memory_version_id", stamp::id("memver"));
}

fn content<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    let content = fields.text("content", 0..=usize::MAX)?;
    if content.is_some_and(|content| content.len() > MOST_BYTES) {
        let why = format!("Input should have at most {MOST_BYTES} bytes");
        return Err(fields.wrong("content", &why));
    }
    Ok(content)
}

fn check_path(fields: &Fields<'_>, path: &str) -> Result<(), Refusal> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let odd =
        |letter: char| letter.is_control() || FORMAT.iter().any(|range| range.contains(&letter));
    let fine = path.starts_with('/')
        && path.len() <= 1024
        && segments.len() <= 20
        && segments
            .iter()
            .all(|part| !matches!(*part, "" | "." | ".."))
        && !path.contains(odd);
    if fine {
        return Ok(());
    }
    let why = "A path starts with / and has 1 to 20 segments, none empty, . or .., and no hidden characters";
    Err(fields.wrong("path", why))
}

fn free_path(state: &State, call: &Call, path: &str, own: &str) -> Result<(), Refusal> {
    let mut others = state
        .memories
        .iter()
        .filter(|(_, one)| text(one, "/memory_store_id") == call.id(0) && text(one, "/id") != own);
    if others.any(|(_, one)| text(one, "/path") == path) {
        let why = format!("A memory at `{path}` already exists in this store.");
        return Err(Refusal::conflict(why));
    }
    Ok(())
}

/// Whether content is to be shown, which `view` says.
fn view(query: &Query, allowed: &[&str], usual: &str) -> Result<bool, Refusal> {
    query.only(allowed)?;
    match query.one("view").unwrap_or(usual) {
        "full" => Ok(true),
        "basic" => Ok(false),
        _ => Err(Refusal::invalid("view: Input should be 'basic' or 'full'")),
    }
}

fn shown(memory: &Value, full: bool) -> Value {
    let mut memory = memory.clone();
    if !full {
        set(&mut memory, "content", Value::Null);
    }
    memory
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    let query = &call.query;
    let allowed = ["limit", "page", "path_prefix", "depth", "view"];
    let full = view(query, &allowed, "basic")?;
    state.memory_stores.get(call.id(0))?;
    let prefix = query.one("path_prefix").unwrap_or("/");
    if !prefix.starts_with('/') || !prefix.ends_with('/') {
        let why = "path_prefix: Input should start and end with /";
        return Err(Refusal::invalid(why));
    }
    let most = if full { MOST_FULL } else { 100 };
    let page = Page::read(query, "asc", 20, 100)?.at_most(most);
    let levels = match query.whole("depth")? {
        None | Some(0) => usize::MAX,
        Some(depth) => usize::try_from(depth).unwrap_or(usize::MAX),
    };
    let mut items = BTreeMap::new();
    for (_, memory) in state.memories.iter() {
        let path = text(memory, "/path");
        if text(memory, "/memory_store_id") != call.id(0) {
            continue;
        }
        if let Some(below) = path.strip_prefix(prefix) {
            let (path, item) = match below.match_indices('/').nth(levels.saturating_sub(1)) {
                Some((end, _)) if levels < usize::MAX => {
                    let folder = format!("{prefix}{}/", below.get(..end).unwrap_or_default());
                    let marker = json!({"type": "memory_prefix", "path": folder});
                    (folder, marker)
                }
                _ => (path.to_owned(), shown(memory, full)),
            };
            items.insert(path, item);
        }
    }
    let numbered = items.into_values().enumerate();
    let numbered: Vec<_> = numbered.map(|(key, item)| (key as u64, item)).collect();
    Ok(page.cut(numbered.into_iter()).one_way())
}

/// The memory of a path, or 404.
fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Value, Refusal> {
    state.memory_stores.get(call.id(0))?;
    let found = state.memories.get(call.id(1))?;
    if text(found, "/memory_store_id") != call.id(0) {
        return Err(Refusal::unknown("Memory", call.id(1)));
    }
    Ok(found)
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let full = view(&call.query, &["view"], "full")?;
    Ok(shown(find(state, call)?, full))
}

pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let full = view(&call.query, &["view"], "basic")?;
    let mut memory = find(state, call)?.clone();
    state.memory_stores.changeable(call.id(0))?;
    let fields = Fields::of(&call.body, "", &["content", "path", "precondition"])?;
    if let Some(value) = fields.get("precondition") {
        let condition = Fields::of(value, "precondition", &["type", "content_sha256"])?;
        condition.need("type")?;
        condition.choice("type", &["content_sha256"])?;
        check_hash(&memory, condition.need_text("content_sha256", 64..=64)?)?;
    }
    if let Some(path) = fields.text("path", 1..=1024)? {
        check_path(&fields, path)?;
        free_path(state, call, path, call.id(1))?;
        set(&mut memory, "path", path);
    }
    let old = text(&memory, "/content").to_owned();
    write(&mut memory, content(&fields)?.unwrap_or(&old));
    Ok(shown(&state.memories.replace(memory)?, full))
}

fn check_hash(memory: &Value, wanted: &str) -> Result<(), Refusal> {
    if at(memory, "/content_sha256") == wanted {
        return Ok(());
    }
    let why = "The memory has changed: content_sha256 does not match. Read it again.";
    Err(Refusal::conflict(why))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["expected_content_sha256"])?;
    let memory = find(state, call)?;
    if let Some(hash) = call.query.one("expected_content_sha256") {
        check_hash(memory, hash)?;
    }
    state.memories.remove(call.id(1), "memory_deleted")
}
