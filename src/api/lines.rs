//! How many connections this process holds open at once, how many streams it would like to, and how many records it keeps:
//! descriptors and memory are few.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Delivery, Error};

/// Streams that are open at once at most, and calls that are.
const MOST_STREAMS: usize = 1000;
const MOST_CALLS: usize = 128;

/// The connections of one process.
pub(super) struct Lines {
    /// Places for calls, each of which may take a connection as well.
    pub(super) calls: Semaphore,
    most: usize,
    places: Arc<Semaphore>,
    wanted: Arc<AtomicUsize>,
    keepers: Arc<()>,
}

/// Somebody wants a stream, for as long as this lives.
pub struct Wanted(Arc<AtomicUsize>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Somebody keeps the record of a session in memory, for as long as this lives.
pub struct Keeper(Arc<()>);

impl Keeper {
    /// How many there are in this process.
    pub fn count(&self) -> usize {
        // One of these is the client's.
        Arc::strong_count(&self.0) - 1
    }
}

impl Lines {
    /// As many as the process may have descriptors for.
    pub(super) fn new() -> Lines {
        let descriptors = descriptors();
        let most = (descriptors / 2).clamp(1, MOST_STREAMS);
        Lines {
            calls: Semaphore::new((descriptors / 4).clamp(1, MOST_CALLS)),
            most,
            places: Arc::new(Semaphore::new(most)),
            wanted: Arc::default(),
            keepers: Arc::default(),
        }
    }

    pub(super) fn want(&self) -> Wanted {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        Wanted(Arc::clone(&self.wanted))
    }

    pub(super) fn keeper(&self) -> Keeper {
        Keeper(Arc::clone(&self.keepers))
    }

    /// A place for a stream, once there is one.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        // The semaphore is never closed.
        place.map_err(|closed| Error::Unreachable {
            reason: closed.to_string(),
            delivery: Delivery::NotSent,
        })
    }

    pub(super) fn use_of(&self) -> Use {
        let open = self.most.saturating_sub(self.places.available_permits());
        Use {
            most: self.most,
            open,
            without: self.wanted.load(Ordering::Relaxed).saturating_sub(open),
        }
    }
}

/// How the streams of a process are used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// So many can be open at once.
    pub most: usize,
    /// So many are open.
    pub open: usize,
    /// So many are wanted beside these.
    pub without: usize,
}

#[cfg(unix)]
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

#[cfg(not(unix))]
fn descriptors() -> usize {
    usize::MAX
}
