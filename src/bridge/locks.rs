//! One lock for each name: who works under one name holds up nobody under another. A name that nobody holds or waits for
//! takes no memory.

use std::collections::HashMap;
use std::sync::{self, Arc, MutexGuard, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// What a mutex holds; it is whole whatever a panicking holder was doing.
pub(super) fn lock<T>(mutex: &sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The locks that are held or waited for.
#[derive(Default)]
pub(super) struct Locks {
    held: sync::Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// The lock of one name; let go when it is dropped.
pub(super) struct Held<'a> {
    // Dropped first, so that the place behind it can tell whether anybody is left.
    _guard: OwnedMutexGuard<()>,
    _place: Place<'a>,
}

/// Somebody who holds the lock of a name, or waits for it.
struct Place<'a> {
    locks: &'a Locks,
    name: String,
    lock: Arc<Mutex<()>>,
}

impl Locks {
    /// Waits until nobody else holds this name.
    pub(super) async fn lock(&self, name: &str) -> Held<'_> {
        let place = self.place(name);
        let guard = Arc::clone(&place.lock).lock_owned().await;
        Held {
            _guard: guard,
            _place: place,
        }
    }

    fn place(&self, name: &str) -> Place<'_> {
        let mut held = self.held();
        let lock = held.entry(name.to_owned()).or_default();
        Place {
            locks: self,
            name: name.to_owned(),
            lock: Arc::clone(lock),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<()>>>> {
        lock(&self.held)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.held();
        // The map's and this one: nobody else is there, and nobody can come while the map is locked.
        if Arc::strong_count(&self.lock) <= 2 {
            held.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn only_the_same_name_is_waited_for() {
        let locks = Locks::default();
        let first = locks.lock("a").await;
        assert!(timeout(SOON, locks.lock("a")).await.is_err());
        assert!(timeout(SOON, locks.lock("b")).await.is_ok());
        drop(first);
        assert!(timeout(SOON, locks.lock("a")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_nobody_wants_any_more_is_forgotten() {
        let locks = Locks::default();
        let first = locks.lock("a").await;
        // Whoever gives up waiting leaves nothing behind, and takes nothing away from the others.
        assert!(timeout(SOON, locks.lock("a")).await.is_err());
        assert_eq!(locks.held().len(), 1);
        let next = locks.lock("a");
        tokio::pin!(next);
        assert!(timeout(SOON, &mut next).await.is_err());
        drop(first);
        let next = next.await;
        assert_eq!(locks.held().len(), 1);
        assert!(timeout(SOON, locks.lock("a")).await.is_err());
        drop(next);
        assert_eq!(locks.held().len(), 0);
        for number in 0..10_000 {
            drop(locks.lock(&number.to_string()).await);
        }
        assert_eq!(locks.held().len(), 0);
    }
}
