//! `/v1/sessions/{id}/resources`: what is mounted.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{items, set, text};
use super::page::Page;
use super::state::{Call, State};
use super::{memory_stores, stamp};

/// A resource as sent with a session, checked, and as the API returns it: with an id, without its token.
pub(super) fn checked(state: &State, value: &Value, path: &str) -> Answer {
    match text(value, "/type") {
        "github_repository" => repository(value, path),
        "file" => file(state, value, path),
        "memory_store" => memory_stores::attached(state, value, path),
        kind => Err(Refusal::invalid(format!(
            "{path}.type: Input tag '{kind}' does not match any of the expected tags"
        ))),
    }
}

fn repository(value: &Value, path: &str) -> Answer {
    let fields = Fields::of(
        value,
        path,
        &[
            "type",
            "url",
            "authorization_token",
            "mount_path",
            "checkout",
        ],
    )?;
    let url = fields.need_text("url", 1..=2048)?;
    if !url.starts_with("https://") {
        return Err(fields.wrong("url", "Input should be an https URL of a repository"));
    }
    fields.text("authorization_token", 1..=4096)?;
    if let Some(value) = fields.get("checkout") {
        check_checkout(value, &fields.path("checkout"))?;
    }
    let name = url
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .rsplit('/')
        .next()
        .unwrap_or("repository");
    let place = fields
        .text("mount_path", 1..=1024)?
        .map_or_else(|| format!("/workspace/{name}"), str::to_owned);
    let now = stamp::now();
    Ok(json!({
        "id": stamp::id("sesrsc"), "type": "github_repository", "url": url, "mount_path": place,
        "checkout": fields.get("checkout"), "created_at": now, "updated_at": now,
    }))
}

fn check_checkout(value: &Value, path: &str) -> Result<(), Refusal> {
    let key = if text(value, "/type") == "branch" {
        "name"
    } else {
        "sha"
    };
    let checkout = Fields::of(value, path, &["type", key])?;
    checkout.need("type")?;
    checkout.choice("type", &["branch", "commit"])?;
    checkout.need_text(key, 1..=256).map(|_| ())
}

fn file(state: &State, value: &Value, path: &str) -> Answer {
    let fields = Fields::of(value, path, &["type", "file_id", "mount_path"])?;
    let source = fields.need_text("file_id", 1..=256)?;
    state.files.check(source)?;
    let usual = || format!("/mnt/session/uploads/{source}");
    let place = fields
        .text("mount_path", 1..=1024)?
        .map_or_else(usual, str::to_owned);
    let now = stamp::now();
    Ok(json!({
        "id": stamp::id("sesrsc"), "type": "file", "file_id": source, "mount_path": place,
        "created_at": now, "updated_at": now,
    }))
}

/// Mounts what was checked: a mounted file is a copy, so it has an id of its own.
pub(super) fn mount(state: &mut State, mut resource: Value, session: &str) -> Answer {
    if text(&resource, "/type") == "file" {
        let copy = state.mount_file(text(&resource, "/file_id"), session)?;
        set(&mut resource, "file_id", copy);
    }
    Ok(resource)
}

pub(super) fn list(state: &mut State, call: &Call) -> Answer {
    call.query.only(&["limit", "page"])?;
    let page = Page::read(&call.query, "asc", 100, 100)?;
    let resources = items(&state.session(call.id(0))?.object, "/resources").iter();
    Ok(page
        .cut(
            resources
                .enumerate()
                .map(|(key, resource)| (key as u64, resource.clone())),
        )
        .one_way())
}

pub(super) fn get(state: &mut State, call: &Call) -> Answer {
    let resources = items(&state.session(call.id(0))?.object, "/resources");
    let found = resources
        .iter()
        .find(|resource| text(resource, "/id") == call.id(1));
    found
        .cloned()
        .ok_or_else(|| Refusal::unknown("Resource", call.id(1)))
}

pub(super) fn add(state: &mut State, call: &Call) -> Answer {
    state.session(call.id(0))?;
    if text(&call.body, "/type") != "file" {
        return Err(Refusal::invalid(
            "type: only files can be added to a session that exists",
        ));
    }
    let resource = file(state, &call.body, "")?;
    let resource = mount(state, resource, call.id(0))?;
    let session = state.session(call.id(0))?;
    if let Some(resources) = session
        .object
        .get_mut("resources")
        .and_then(Value::as_array_mut)
    {
        resources.push(resource.clone());
    }
    Ok(resource)
}

/// A repository's token can be renewed; nobody sees it in either state.
pub(super) fn update(state: &mut State, call: &Call) -> Answer {
    let fields = Fields::of(&call.body, "", &["authorization_token"])?;
    fields.need_text("authorization_token", 1..=4096)?;
    if text(&get(state, call)?, "/type") != "github_repository" {
        let why = "Only the token of a repository can be changed";
        return Err(Refusal::invalid(why));
    }
    let session = state.session(call.id(0))?;
    let resources = session
        .object
        .get_mut("resources")
        .and_then(Value::as_array_mut);
    let mut resources = resources.into_iter().flatten();
    let found = resources.find(|resource| text(resource, "/id") == call.id(1));
    let resource = found.ok_or_else(|| Refusal::unknown("Resource", call.id(1)))?;
    set(resource, "updated_at", stamp::now());
    Ok(resource.clone())
}

pub(super) fn remove(state: &mut State, call: &Call) -> Answer {
    let resource = get(state, call)?;
    state.forget_file(text(&resource, "/file_id"));
    if let Some(resources) = state
        .session(call.id(0))?
        .object
        .get_mut("resources")
        .and_then(Value::as_array_mut)
    {
        resources.retain(|resource| text(resource, "/id") != call.id(1));
    }
    Ok(json!({"id": call.id(1), "type": "session_resource_deleted"}))
}
