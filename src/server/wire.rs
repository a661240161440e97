//! The line to the client as rmcp wants it: messages in, messages out. What it cannot read gets its answer here, and no
//! secret passes it.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerResult,
};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::batches::Batches;
use super::messages::{self, LONGEST_LINE, Opening, Said};
use super::outgoing::make_safe;
use super::skeleton::Skeleton;
use super::stamps::stamp;
use super::stdio::{Input, Output};

/// What is kept of the room that a long line took.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Requests without an answer, of which each takes memory; one more is refused.
const MOST_UNANSWERED: usize = 512;
/// Cancelled requests whose ids are remembered.
const MOST_CANCELLED: usize = 64;
/// Bytes that may wait to be written before nothing more is read.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// One message a line, in both directions.
pub struct Wire {
    input: BufReader<Input>,
    gone: CancellationToken,
    /// The line that is being read.
    line: Vec<u8>,
    /// The same, once it is too long to be kept.
    too_long: Option<Skeleton>,
    /// Messages that were read and not yet handed on.
    ready: VecDeque<ClientJsonRpcMessage>,
    /// The client has made itself known.
    is_known: bool,
    /// It did so without a handshake, and can make none any more.
    is_stateless: bool,
    knows_batches: bool,
    batches: Batches,
    /// Requests that rmcp has and that have no answer yet.
    unanswered: HashSet<RequestId>,
    /// The newest of those that were cancelled instead, on which rmcp may still be at work.
    cancelled: VecDeque<RequestId>,
    outbox: Arc<Outbox>,
    /// Answers of its own are in the outbox.
    has_answered: bool,
}

impl Wire {
    /// Over these two ends.
    pub fn new((input, output): (Input, Output)) -> Wire {
        Wire {
            gone: input.gone(),
            input: BufReader::new(input),
            line: Vec::new(),
            too_long: None,
            ready: VecDeque::new(),
            is_known: false,
            is_stateless: false,
            knows_batches: false,
            batches: Batches::default(),
            unanswered: HashSet::new(),
            cancelled: VecDeque::new(),
            has_answered: false,
            outbox: Arc::new(Outbox {
                waiting: Mutex::default(),
                writer: tokio::sync::Mutex::new(Writer {
                    output,
                    leaving: BytesMut::new(),
                }),
            }),
        }
    }

    /// What the next line says; nothing at the end. Dropping the future loses nothing.
    async fn next_line(&mut self) -> Option<Said> {
        loop {
            let read = self.input.fill_buf().await;
            let available = read
                .inspect_err(|error| tracing::error!(%error, "standard input cannot be read"))
                .ok()?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let piece = match end {
                Some(end) => available.get(..=end).unwrap_or_default(),
                None => available,
            };
            // A last line needs no end: an object that is whole was not cut.
            let is_end = available.is_empty();
            let count = piece.len();
            match &mut self.too_long {
                Some(skeleton) => skeleton.take(piece),
                None if self.line.len() + count > LONGEST_LINE => {
                    let mut skeleton = Skeleton::default();
                    skeleton.take(&std::mem::take(&mut self.line));
                    skeleton.take(piece);
                    self.too_long = Some(skeleton);
                }
                None => self.line.extend_from_slice(piece),
            }
            self.input.consume(count);
            if is_end && self.line.is_empty() {
                return None;
            }
            if is_end || end.is_some() {
                return Some(self.end_line());
            }
        }
    }

    fn end_line(&mut self) -> Said {
        if let Some(skeleton) = self.too_long.take() {
            return messages::too_long(skeleton);
        }
        let said = messages::read(&self.line, self.knows_batches);
        self.line.clear();
        self.line.shrink_to(KEPT_CAPACITY);
        said
    }

    fn take(&mut self, said: Said) {
        if said.is_batch {
            let requests = said.messages.iter().filter_map(messages::request_id);
            let requests: HashSet<RequestId> = requests.cloned().collect();
            self.batches.add(requests, said.errors);
        } else {
            self.has_answered |= !said.errors.is_empty();
            said.errors.into_iter().for_each(|error| self.post(error));
        }
        for message in said.messages {
            if let Some(id) = messages::cancelled(&message) {
                self.cancel(id);
            }
            match messages::request_id(&message) {
                // Its answer could not be told from that of the first, which rmcp would forget.
                Some(id) if self.unanswered.contains(id) => {
                    self.has_answered = true;
                    self.post(messages::in_use(id));
                }
                // rmcp would take the answer of the first for one to this.
                Some(id) if self.cancelled.contains(id) => {
                    self.has_answered = true;
                    self.post_answer(messages::used_up(id), id);
                }
                Some(id) if self.unanswered.len() >= MOST_UNANSWERED => {
                    self.has_answered = true;
                    self.post_answer(messages::too_many(id, MOST_UNANSWERED), id);
                }
                Some(id) => {
                    self.unanswered.insert(id.clone());
                    self.hand_on(message);
                }
                None => self.hand_on(message),
            }
        }
        self.post_batches();
    }

    /// There will be no answer, also where rmcp has one already.
    fn cancel(&mut self, id: &RequestId) {
        self.batches.cancel(id);
        if self.unanswered.remove(id) {
            self.cancelled.push_back(id.clone());
        }
        if self.cancelled.len() > MOST_CANCELLED {
            self.cancelled.pop_front();
        }
    }

    fn hand_on(&mut self, message: ClientJsonRpcMessage) {
        if self.is_stateless
            && let Some(id) = messages::handshake(&message)
        {
            self.has_answered = true;
            self.post_answer(messages::too_late_for_a_handshake(id), id);
            self.unanswered.remove(id);
            return;
        }
        if self.concerns_rmcp(&message) {
            self.ready.push_back(message);
        }
    }

    fn concerns_rmcp(&mut self, message: &ClientJsonRpcMessage) -> bool {
        if self.is_known {
            return true;
        }
        let opening = Opening::of(message);
        self.is_known = opening == Opening::Greeting;
        self.is_stateless = self.is_known && messages::handshake(message).is_none();
        opening != Opening::Noise
    }

    fn post_batches(&mut self) {
        for answers in self.batches.complete() {
            self.has_answered = true;
            self.post(answers);
        }
    }

    fn post(&self, mut message: Value) {
        make_safe(&mut message);
        self.outbox.add(message.to_string().as_bytes());
    }

    /// Puts a message of rmcp's into the outbox.
    fn post_message(&mut self, message: &ServerJsonRpcMessage) {
        let mut value = match serde_json::to_value(message) {
            Ok(value) => value,
            Err(error) => return tracing::error!(%error, "a message could not be written"),
        };
        let id = match message {
            ServerJsonRpcMessage::Response(response) => {
                if let ServerResult::InitializeResult(result) = &response.result {
                    self.knows_batches = result.protocol_version == ProtocolVersion::V_2025_03_26;
                }
                if self.is_stateless {
                    stamp(&mut value, &response.result);
                }
                Some(&response.id)
            }
            ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        match id {
            // It was on its way when the client cancelled.
            Some(id) if !self.unanswered.remove(id) => {}
            Some(id) => {
                self.post_answer(value, id);
                self.post_batches();
            }
            None => self.post(value),
        }
    }

    /// Posts an answer, or lays it aside until its batch is complete.
    fn post_answer(&mut self, answer: Value, id: &RequestId) {
        if !self.knows_batches {
            self.post(answer);
        } else if let Some(answer) = self.batches.hold(id, answer) {
            self.post(answer);
        }
    }
}

impl Transport<RoleServer> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.post_message(&message);
        let outbox = Arc::clone(&self.outbox);
        async move { outbox.empty().await }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            // A client that does not read is not read from either, once much waits for it.
            if self.has_answered || self.outbox.is_full() {
                tokio::select! {
                    emptied = self.outbox.empty() => emptied.ok()?,
                    () = Input::hung_up(&self.gone) => return None,
                }
                self.has_answered = false;
            }
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            let said = self.next_line().await?;
            self.take(said);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.outbox.empty().await
    }
}

/// Lines on their way out, whole and in order, whoever is dropped while writing them.
struct Outbox {
    waiting: Mutex<BytesMut>,
    writer: tokio::sync::Mutex<Writer>,
}

struct Writer {
    output: Output,
    /// What is being written.
    leaving: BytesMut,
}

impl Outbox {
    fn add(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        waiting.extend_from_slice(line);
        waiting.extend_from_slice(b"\n");
    }

    fn is_full(&self) -> bool {
        self.waiting().len() > MOST_WAITING
    }

    /// Writes until nothing waits.
    async fn empty(&self) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        let Writer { output, leaving } = &mut *writer;
        loop {
            if leaving.is_empty() {
                *leaving = std::mem::take(&mut *self.waiting());
            }
            if leaving.is_empty() {
                return output.flush().await;
            }
            if output.write_buf(leaving).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BytesMut> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
