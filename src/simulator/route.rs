//! Which call a method and a path mean.

use super::answer::Answer;
use super::state::{Call, State};
use super::{agents, environments, events, resources, sessions};

/// What carries a call out.
pub(super) type Act = fn(&mut State, &Call) -> Answer;

/// What a path leads to.
pub(super) enum Route {
    /// A call with one answer.
    Call(Act),
    /// The older call that wants the older beta header alone.
    Older(Act),
    /// A stream.
    Stream,
}

/// The route of a request and the ids in its path.
pub(super) fn find<'a>(method: &str, path: &[&'a str]) -> Option<(Route, Vec<&'a str>)> {
    let ["v1", collection, rest @ ..] = path else {
        return None;
    };
    let (act, ids) = match *collection {
        "agents" => return agent(method, rest),
        "environments" => environment(method, rest)?,
        "sessions" => match (method, rest) {
            ("GET", [id, "events", "stream"]) => return Some((Route::Stream, vec![id])),
            ("GET", [id, "threads", thread, "stream"]) => {
                return Some((Route::Stream, vec![id, thread]));
            }
            _ => session(method, rest)?,
        },
        _ => return None,
    };
    Some((Route::Call(act), ids))
}

fn agent<'a>(method: &str, path: &[&'a str]) -> Option<(Route, Vec<&'a str>)> {
    let (act, ids): (Act, _) = match (method, path) {
        ("POST", []) => (agents::create, vec![]),
        ("GET", []) => (agents::list, vec![]),
        ("GET", [id]) => (agents::get, vec![*id]),
        ("POST", [id]) => (agents::update, vec![*id]),
        ("POST", [id, "archive"]) => (agents::archive, vec![*id]),
        ("GET", [id, "versions"]) => (agents::versions, vec![*id]),
        ("DELETE", [id]) => return Some((Route::Older(agents::delete), vec![*id])),
        _ => return None,
    };
    Some((Route::Call(act), ids))
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
        ("DELETE", [id, "resources", resource]) => (resources::remove, vec![*id, *resource]),
        ("GET", [id, "threads"]) => (resources::threads, vec![*id]),
        ("GET", [id, "threads", thread]) => (resources::thread, vec![*id, *thread]),
        ("GET", [id, "threads", thread, "events"]) => (events::of_thread, vec![*id, *thread]),
        _ => return None,
    })
}
