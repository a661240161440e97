//! Everything the simulator remembers, behind one lock that is never held over an await.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::Options;
use super::answer::Refusal;
use super::faults::Faults;
use super::files::Files;
use super::page::Query;
use super::requests::Requests;
use super::session::Session;
use super::shelf::Shelf;
use super::upload::Upload;

/// What the tasks of one simulator share.
pub(super) struct World {
    pub(super) options: Options,
    state: Mutex<State>,
    closing: watch::Receiver<()>,
}

/// The resources, the faults and the requests.
pub(super) struct State {
    pub(super) agents: BTreeMap<u64, Vec<Value>>,
    pub(super) environments: Shelf,
    pub(super) sessions: HashMap<String, Session>,
    pub(super) files: Files,
    pub(super) vaults: Shelf,
    pub(super) credentials: Shelf,
    pub(super) memory_stores: Shelf,
    pub(super) memories: Shelf,
    pub(super) deployments: Shelf,
    pub(super) runs: Shelf,
    pub(super) faults: Faults,
    pub(super) requests: Requests,
    /// Sessions in which a call gave the agent something to do; the server starts it after the call.
    pub(super) woken: Vec<String>,
    sequence: u64,
}

/// A call that route and headers let through.
#[derive(Default)]
pub(super) struct Call {
    /// The ids in the path, in order.
    pub(super) ids: Vec<String>,
    pub(super) query: Query,
    pub(super) body: Value,
    /// The form that came instead of a JSON body.
    pub(super) upload: Option<Upload>,
    /// How much later than recorded events are listed to this call.
    pub(super) list_lag: Duration,
}

impl Call {
    /// One of the ids in the path.
    pub(super) fn id(&self, place: usize) -> &str {
        self.ids.get(place).map_or("", String::as_str)
    }
}

impl World {
    /// A new one; its tasks end when `closing` does.
    pub(super) fn new(options: Options, closing: watch::Receiver<()>) -> Arc<Self> {
        let state = State::new(options.deliverables_after);
        Arc::new(Self {
            options,
            state: Mutex::new(state),
            closing,
        })
    }

    /// The state, locked.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a session, if it still exists.
    pub(super) fn session<T>(&self, id: &str, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
        self.state().sessions.get_mut(id).map(act)
    }

    /// Starts a task that ends with the simulator.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut closing = self.closing.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = closing.changed() => {}
                () = task => {}
            }
        });
    }
}

impl State {
    fn new(deliverables_after: Duration) -> Self {
        Self {
            agents: BTreeMap::new(),
            environments: Shelf::of("Environment"),
            sessions: HashMap::new(),
            files: Files::new(deliverables_after),
            vaults: Shelf::of("Vault"),
            credentials: Shelf::of("Credential"),
            memory_stores: Shelf::of("Memory store"),
            memories: Shelf::of("Memory"),
            deployments: Shelf::of("Deployment"),
            runs: Shelf::of("Deployment run"),
            faults: Faults::default(),
            requests: Requests::default(),
            woken: Vec::new(),
            sequence: 0,
        }
    }

    /// The next number of a resource; lists are ordered by it.
    pub(super) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A session, or 404.
    pub(super) fn session(&mut self, id: &str) -> Result<&mut Session, Refusal> {
        self.sessions
            .get_mut(id)
            .ok_or_else(|| Refusal::unknown("Session", id))
    }
}
