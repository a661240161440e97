//! What was received, for tests to look at afterwards: a bounded ring.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

const MOST: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;

/// A request the simulator received, whether or not it was served.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path as it came, still percent-encoded.
    pub path: String,
    /// The query as it came, without the question mark; empty if there was none.
    pub query: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON if it was, a string if it was something else, null if there was none.
    pub body: Value,
}

impl Request {
    /// The request as an object, for `GET /_simulator/requests`.
    pub(super) fn show(&self) -> Value {
        json!({
            "method": self.method, "path": self.path, "query": self.query,
            "headers": self.headers, "body": self.body,
        })
    }
}

/// The last requests, bounded in number and bytes.
#[derive(Default)]
pub(super) struct Requests {
    ring: VecDeque<(Request, usize)>,
    bytes: usize,
}

impl Requests {
    /// Keeps a request whose body had so many bytes, and forgets the oldest if there are too many.
    pub(super) fn keep(&mut self, request: Request, bytes: usize) {
        self.bytes += bytes;
        self.ring.push_back((request, bytes));
        while self.ring.len() > MOST || (self.bytes > MOST_BYTES && self.ring.len() > 1) {
            if let Some((_, bytes)) = self.ring.pop_front() {
                self.bytes -= bytes;
            }
        }
    }

    /// All that is kept, oldest first.
    pub(super) fn all(&self) -> Vec<Request> {
        self.ring
            .iter()
            .map(|(request, _)| request.clone())
            .collect()
    }
}
