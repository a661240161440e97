//! Which call a method and a path mean.

use super::answer::Answer;
use super::state::{Call, State};
use super::{
    agents, credentials, deployments, environments, events, files, memories, memory_stores,
    resources, runs, sessions, threads, vaults,
};

/// What carries a call out.
pub(super) type Act = fn(&mut State, &Call) -> Answer;

/// What a path leads to.
pub(super) enum Route {
    /// A call with one answer.
    Call(Act),
    /// A stream of events.
    Stream,
    /// The content of a file.
    Content,
}

/// The beta header a call wants.
#[derive(Clone, Copy)]
pub(super) enum Beta {
    /// That of Managed Agents.
    Agents,
    /// The older one, alone.
    Older,
    /// That of files, for those of a session both.
    Files,
    /// That of memory, or that of Managed Agents.
    Memory,
}

/// What a request leads to.
pub(super) struct Found<'a> {
    pub(super) route: Route,
    pub(super) beta: Beta,
    /// The ids in the path.
    pub(super) ids: Vec<&'a str>,
}

/// The route of a request.
#[inline(never)]
pub(super) fn find<'a>(method: &str, path: &[&'a str]) -> Option<Found<'a>> {
    let ["v1", collection, rest @ ..] = path else {
        return None;
    };
    let (beta, (route, ids)) = match (*collection, method, rest) {
        ("agents", "DELETE", [id]) => (Beta::Older, called((agents::delete, vec![*id]))),
        ("agents", ..) => (Beta::Agents, called(agent(method, rest)?)),
        ("environments", ..) => (Beta::Agents, called(environment(method, rest)?)),
        ("files", "GET", [id, "content"]) => (Beta::Files, (Route::Content, vec![*id])),
        ("files", ..) => (Beta::Files, called(file(method, rest)?)),
        ("deployments", ..) => (Beta::Agents, called(deployment(method, rest)?)),
        ("deployment_runs", "GET", []) => (Beta::Agents, called((runs::list, vec![]))),
        ("deployment_runs", "GET", [id]) => (Beta::Agents, called((runs::get, vec![*id]))),
        ("vaults", ..) => (Beta::Agents, called(vault(method, rest)?)),
        ("memory_stores", ..) => (Beta::Memory, called(memory_store(method, rest)?)),
        ("sessions", "GET", [id, "events", "stream"]) => (Beta::Agents, (Route::Stream, vec![*id])),
        ("sessions", "GET", [id, "threads", thread, "stream"]) => {
            (Beta::Agents, (Route::Stream, vec![*id, *thread]))
        }
        ("sessions", ..) => (Beta::Agents, called(session(method, rest)?)),
        _ => return None,
    };
    Some(Found { route, beta, ids })
}

fn called((act, ids): (Act, Vec<&str>)) -> (Route, Vec<&str>) {
    (Route::Call(act), ids)
}

fn agent<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (agents::create, vec![]),
        ("GET", []) => (agents::list, vec![]),
        ("GET", [id]) => (agents::get, vec![*id]),
        ("POST", [id]) => (agents::update, vec![*id]),
        ("POST", [id, "archive"]) => (agents::archive, vec![*id]),
        ("GET", [id, "versions"]) => (agents::versions, vec![*id]),
        _ => return None,
    })
}

fn file<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (files::create, vec![]),
        ("GET", []) => (files::list, vec![]),
        ("GET", [id]) => (files::get, vec![*id]),
        ("DELETE", [id]) => (files::delete, vec![*id]),
        _ => return None,
    })
}

fn environment<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (environments::create, vec![]),
        ("GET", []) => (environments::list, vec![]),
        ("GET", [id]) => (environments::get, vec![*id]),
        ("POST", [id]) => (environments::update, vec![*id]),
        ("POST", [id, "archive"]) => (environments::archive, vec![*id]),
        ("DELETE", [id]) => (environments::delete, vec![*id]),
        _ => return None,
    })
}

fn deployment<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (deployments::create, vec![]),
        ("GET", []) => (deployments::list, vec![]),
        ("GET", [id]) => (deployments::get, vec![*id]),
        ("POST", [id]) => (deployments::update, vec![*id]),
        ("POST", [id, "run"]) => (runs::create, vec![*id]),
        ("POST", [id, "pause"]) => (deployments::pause, vec![*id]),
        ("POST", [id, "unpause"]) => (deployments::unpause, vec![*id]),
        ("POST", [id, "archive"]) => (deployments::archive, vec![*id]),
        _ => return None,
    })
}

fn vault<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (vaults::create, vec![]),
        ("GET", []) => (vaults::list, vec![]),
        ("GET", [id]) => (vaults::get, vec![*id]),
        ("POST", [id]) => (vaults::update, vec![*id]),
        ("DELETE", [id]) => (vaults::delete, vec![*id]),
        ("POST", [id, "archive"]) => (vaults::archive, vec![*id]),
        ("POST", [id, "credentials"]) => (credentials::create, vec![*id]),
        ("GET", [id, "credentials"]) => (credentials::list, vec![*id]),
        ("GET", [id, "credentials", one]) => (credentials::get, vec![*id, *one]),
        ("POST", [id, "credentials", one]) => (credentials::update, vec![*id, *one]),
        ("DELETE", [id, "credentials", one]) => (credentials::delete, vec![*id, *one]),
        ("POST", [id, "credentials", one, "archive"]) => (credentials::archive, vec![*id, *one]),
        ("POST", [id, "credentials", one, "mcp_oauth_validate"]) => {
            (credentials::validate, vec![*id, *one])
        }
        _ => return None,
    })
}

fn memory_store<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (memory_stores::create, vec![]),
        ("GET", []) => (memory_stores::list, vec![]),
        ("GET", [id]) => (memory_stores::get, vec![*id]),
        ("POST", [id]) => (memory_stores::update, vec![*id]),
        ("DELETE", [id]) => (memory_stores::delete, vec![*id]),
        ("POST", [id, "archive"]) => (memory_stores::archive, vec![*id]),
        ("POST", [id, "memories"]) => (memories::create, vec![*id]),
        ("GET", [id, "memories"]) => (memories::list, vec![*id]),
        ("GET", [id, "memories", one]) => (memories::get, vec![*id, *one]),
        ("POST", [id, "memories", one]) => (memories::update, vec![*id, *one]),
        ("DELETE", [id, "memories", one]) => (memories::delete, vec![*id, *one]),
        _ => return None,
    })
}

fn session<'a>(method: &str, path: &[&'a str]) -> Option<(Act, Vec<&'a str>)> {
    Some(match (method, path) {
        ("POST", []) => (sessions::create, vec![]),
        ("GET", []) => (sessions::list, vec![]),
        ("GET", [id]) => (sessions::get, vec![*id]),
        ("POST", [id]) => (sessions::update, vec![*id]),
        ("DELETE", [id]) => (sessions::delete, vec![*id]),
        ("POST", [id, "archive"]) => (sessions::archive, vec![*id]),
        ("GET", [id, "events"]) => (events::list, vec![*id]),
        ("POST", [id, "events"]) => (events::send, vec![*id]),
        ("GET", [id, "resources"]) => (resources::list, vec![*id]),
        ("POST", [id, "resources"]) => (resources::add, vec![*id]),
        ("GET", [id, "resources", resource]) => (resources::get, vec![*id, *resource]),
        ("POST", [id, "resources", resource]) => (resources::update, vec![*id, *resource]),
        ("DELETE", [id, "resources", resource]) => (resources::remove, vec![*id, *resource]),
        ("GET", [id, "threads"]) => (threads::list, vec![*id]),
        ("GET", [id, "threads", thread]) => (threads::get, vec![*id, *thread]),
        ("POST", [id, "threads", thread, "archive"]) => (threads::archive, vec![*id, *thread]),
        ("GET", [id, "threads", thread, "events"]) => (threads::events, vec![*id, *thread]),
        _ => return None,
    })
}
