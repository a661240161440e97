//! A stateful Managed Agents API on loopback with a scripted agent: for tests, and for trying the product without a key.
//!
//! It shares no type with the rooms that speak to the real API, or both would be wrong together. Messages choose what the
//! agent does through bracketed words, and [`Fault`]s make the wire go wrong; [`help`] lists both.
//!
//! It ships within the product, so what many calls share is `#[inline(never)]`: without, it is a fifth larger.

mod agents;
mod answer;
mod body;
mod budget;
mod calls;
mod carried;
mod checks;
mod children;
mod content;
mod control;
mod credentials;
mod cron;
mod delegate;
mod deployments;
mod directives;
mod environments;
mod events;
mod fault_json;
mod faults;
mod files;
mod frames;
mod grading;
mod help;
mod http;
mod json;
mod log;
mod memories;
mod memory_stores;
mod outputs;
mod page;
mod plan;
mod player;
mod requests;
mod resources;
mod roster;
mod route;
mod runs;
mod saying;
mod schedule;
mod script;
mod secrets;
mod sent;
mod session;
mod session_agent;
mod sessions;
mod shelf;
mod speech;
mod stamp;
mod state;
mod stream;
mod struck;
mod thread;
mod threads;
mod tools;
mod turn;
mod upload;
mod vaults;
mod waiting;
mod wire;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use faults::{Acting, Fault, Kind};
pub use requests::Request;

use state::World;

/// How a simulator behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// The only key that is accepted; without one, any that is not empty.
    pub key: Option<String>,
    /// The pause between the events of a turn; zero plays as fast as it goes.
    pub pace: Duration,
    /// The pause between the heartbeats of a stream.
    pub heartbeat: Duration,
    /// How long after a session is idle the files its agent wrote can be listed.
    pub deliverables_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            key: None,
            pace: Duration::from_millis(20),
            heartbeat: Duration::from_secs(5),
            deliverables_after: Duration::from_secs(1),
        }
    }
}

/// A running simulator. Dropping it stops listening, closes every connection and forgets everything.
pub struct Simulator {
    base_url: String,
    world: Arc<World>,
    _open: watch::Sender<()>,
}

impl Simulator {
    /// Starts listening on 127.0.0.1. Needs a tokio runtime, of either kind; fails if the port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let (open, closing) = watch::channel(());
        let world = World::new(options, closing);
        world.spawn(http::listen(listener, Arc::clone(&world)));
        Ok(Self {
            base_url,
            world,
            _open: open,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Makes something go wrong for requests to come.
    pub fn inject(&self, fault: Fault) {
        self.world.state().faults.inject(fault);
    }

    /// Forgets every fault that has not struck yet.
    pub fn clear_faults(&self) {
        self.world.state().faults.clear();
    }

    /// The requests received so far, oldest first: the last 10,000 of them, and at most 32 MiB of bodies.
    pub fn requests(&self) -> Vec<Request> {
        self.world.state().requests.all()
    }
}

/// The scripts and faults, listed for a person.
pub fn help() -> &'static str {
    help::TEXT
}
