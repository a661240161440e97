//! What the calls of one piece of work took: requests, retries, and the API's id of the last one.

use std::cell::RefCell;

tokio::task_local! {
    static TALLY: RefCell<Tally>;
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: u32,
    /// Those of them that repeated one that failed.
    pub retries: u32,
    /// The API's id of the last that was answered.
    pub request_id: Option<String>,
}

/// Does the work and counts what it sends. What it spawns is not counted.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, Tally) {
    let counted = async {
        let done = work.await;
        (done, TALLY.with(|tally| tally.take()))
    };
    TALLY.scope(RefCell::default(), counted).await
}

pub(super) fn sent() {
    count(|tally| tally.requests += 1);
}

/// What failed is sent again.
pub fn retried() {
    count(|tally| tally.retries += 1);
}

pub(super) fn answered(request_id: Option<String>) {
    count(|tally| tally.request_id = request_id.or(tally.request_id.take()));
}

/// Work that nobody counts is none of ours.
fn count(change: impl FnOnce(&mut Tally)) {
    let _ = TALLY.try_with(|tally| change(&mut tally.borrow_mut()));
}
