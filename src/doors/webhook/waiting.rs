//! What a client has sent and the backend has not taken yet: in order, and bounded,
//! for one connection and for all of them. Knows no call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// How many messages of one connection wait, with the one that is under way: a burst
/// of a lively client. Beyond it the client is not read, and its own sends wait.
const MESSAGES_MOST: usize = 16;

/// How many bytes wait of all connections together: 64 MiB. Beyond it each has only
/// one message waiting, whatever its size; and another one half read, at most.
const BYTES_MOST: usize = 64 << 20;

/// A client's message.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) is_text: bool,
}

/// How many bytes wait of all connections.
#[derive(Default)]
pub(super) struct Total(AtomicUsize);

impl Total {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What waits of one connection.
pub(super) struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    total: Arc<Total>,
}

impl Waiting {
    pub(super) fn new(total: Arc<Total>) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            total,
        }
    }

    /// Whether another message may be read.
    pub(super) fn has_room(&self) -> bool {
        self.messages.is_empty()
            || (self.messages.len() < MESSAGES_MOST && self.total.bytes() < BYTES_MOST)
    }

    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.body.len();
        let bytes = message.body.len();
        self.total.0.fetch_add(bytes, Ordering::Relaxed);
        metrics::gauge!("roomcast_webhook_waiting_bytes").increment(bytes as f64);
        self.messages.push_back(message);
    }

    /// The first one; it waits until it is delivered.
    pub(super) fn front(&self) -> Option<&Message> {
        self.messages.front()
    }

    /// The first one is delivered.
    pub(super) fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.forget(message.body.len());
        }
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
    }

    pub(super) fn clear(&mut self) {
        self.messages = VecDeque::new();
        self.forget(self.bytes);
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.total.0.fetch_sub(bytes, Ordering::Relaxed);
        metrics::gauge!("roomcast_webhook_waiting_bytes").decrement(bytes as f64);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}
