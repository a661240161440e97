//! Work that takes its time, beside the runtime, which has others to serve. One thread does it all: each thread of the
//! system's allocator keeps memory of its own, and what one has freed another does not use.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Does the work after what came before it. `None` where it panicked.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, outcome) = oneshot::channel();
    // Whoever gave up waiting does not want the outcome.
    let work: Work = Box::new(move || drop(done.send(work())));
    match worker() {
        Some(worker) => {
            if let Err(unsent) = worker.send(work) {
                unsent.0();
            }
        }
        None => work(),
    }
    outcome.await.ok()
}

/// The thread, begun with the first work; `None` where the system gives none.
fn worker() -> Option<&'static Sender<Work>> {
    static WORKER: OnceLock<Option<Sender<Work>>> = OnceLock::new();
    let worker = WORKER.get_or_init(|| {
        let (worker, works) = channel::<Work>();
        let thread = thread::Builder::new().name("aside".to_owned());
        let begun = thread.spawn(move || works.into_iter().for_each(|work| work()));
        begun.ok().map(|_| worker)
    });
    worker.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_work_is_done_by_one_thread_in_its_order() {
        let works = (0..20).map(|number| aside(move || (number, thread::current().id())));
        let done = futures_util::future::join_all(works).await;
        let (numbers, threads): (Vec<i32>, Vec<_>) = done.into_iter().flatten().unzip();
        assert_eq!(numbers, (0..20).collect::<Vec<i32>>());
        assert!(threads.iter().all(|thread| *thread == threads[0]));
        assert_ne!(threads[0], thread::current().id());
    }
}
