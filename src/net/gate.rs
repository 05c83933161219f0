//! The read gate: decides how much of a connection's input is read, and follows the
//! output. It knows HTTP heads and WebSocket messages; the meaning of a message is a
//! transport's [`MessageRule`].

use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Frame, Seen, Starts};
use super::head::{Requests, Switching};
use super::memory::{LargeMemory, Reservation};
use super::message::{Assembler, Message, ProtocolError, Received};
use crate::core::pace::{Bucket, Pace};
use crate::core::source::SourceKey;

/// A transport's rule about the messages of one WebSocket, called in their order.
///
/// Set with [`ConnectionHandle::set_rule`](super::ConnectionHandle::set_rule).
/// Must not block.
pub trait MessageRule: Send + 'static {
    /// The longest message that is read, in bytes.
    fn message_most(&self) -> usize;

    /// Decides about a message of the client before its reader receives it.
    fn inbound(&mut self, message: Message) -> Verdict;

    /// The moment before which the client is not read, if it has sent too fast.
    fn paused_until(&mut self) -> Option<Instant> {
        None
    }

    /// Called when reading resumes; returns a message that the reader receives first.
    fn resumed(&mut self) -> Option<Message> {
        None
    }

    /// Called when the client has violated the WebSocket protocol; it is not read any
    /// further.
    fn violated(&mut self, error: &ProtocolError);

    /// A frame of the server has been written up to its start.
    ///
    /// [`Next::Read`] ends a wait, [`Next::Wait`] leaves things as they are, [`Next::Heartbeat`]
    /// has the reader call [`heartbeat`](Self::heartbeat).
    fn outbound(&mut self, frame: Frame<'_>) -> Next;

    /// Returns the heartbeat that the reader receives in place of the client's, for a client that
    /// is alive but cannot answer in time.
    fn heartbeat(&mut self) -> Option<Message> {
        None
    }
}

/// The rule's decision about a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reader receives the message as given here.
    Pass(Message, Next),
    /// The reader receives it; it has no content and is charged like a ping.
    PassIdle(Message),
    /// The message is dropped and charged like a ping; the client is still read.
    Skip,
    /// The message and everything behind it are dropped. The connection is closing; the
    /// server still reads, since a peer that can't write would not see the reason.
    Discard,
}

/// Whether the client may be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Do not read beyond this message yet.
    Wait,
    /// The reader receives a heartbeat.
    Heartbeat,
}

/// The rate at which frames without content (pings, pongs, empty messages and fragments)
/// are read: SDKs send one per ten seconds. Above it, reading pauses.
const IDLE_FRAMES: Pace = Pace {
    per_second: 20,
    burst: 64,
};

/// How long reading pauses above that rate: the time until one more such frame is due.
const IDLE_PAUSE: Duration = Duration::from_millis(50);

/// How long reading pauses while others hold the memory for large messages.
const MEMORY_PAUSE: Duration = Duration::from_millis(50);

/// The gate of one connection.
pub(super) enum Gate {
    /// HTTP; looks for the head of an upgrade.
    Http(Requests),
    /// An upgrade has been read: nothing more until its answer is written.
    Answer(Switching),
    /// A WebSocket.
    WebSocket(Box<WebSocket>),
}

/// The messages of a WebSocket, and its transport's rule if it has one.
pub(super) struct WebSocket {
    assembler: Assembler,
    ruled: Option<RuleState>,
    reading: Reading,
    idle_frames: Bucket,
    memory: MessageMemory,
}

/// The memory for the large messages of one client.
pub(super) struct MessageMemory {
    pub(super) all: LargeMemory,
    /// The address of the client, if it has limits.
    pub(super) source: Option<SourceKey>,
    /// The bytes of the message that has begun, until they are reserved.
    wanted: usize,
    reserved: Option<Box<Reservation>>,
}

impl MessageMemory {
    pub(super) fn new(all: LargeMemory, source: Option<SourceKey>) -> Self {
        Self {
            all,
            source,
            wanted: 0,
            reserved: None,
        }
    }
}

struct RuleState {
    rule: Box<dyn MessageRule>,
    /// Follows the server's frames.
    outbound: Starts,
}

/// Whether the client is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    On,
    /// Not until the rule releases it, or the hold times out.
    Held,
    /// Not until this moment.
    Paused(Instant),
    /// Until the peer closes, but the input is discarded.
    Discard,
}

/// What was written calls for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing to do.
    Nothing,
    /// The reader may go on.
    Release,
    /// The upgrade is done: the stream puts the rule in.
    Upgraded(usize),
}

/// The result of reading some of a client's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// No message yet: more bytes are needed, or the reader has to wait.
    Nothing,
    /// A message for the reader.
    Message(Message),
    /// A ping that needs a pong.
    Ping(bytes::Bytes),
    /// Reading ends, with the protocol error unless the rule has handled it.
    Discard(Option<ProtocolError>),
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self::Http(Requests::new())
    }

    pub(super) fn websocket(rule: Option<Box<dyn MessageRule>>, memory: MessageMemory) -> Self {
        Self::WebSocket(Box::new(WebSocket {
            assembler: Assembler::default(),
            ruled: rule.map(|rule| RuleState {
                rule,
                outbound: Starts::default(),
            }),
            reading: Reading::On,
            idle_frames: Bucket::full(IDLE_FRAMES),
            memory,
        }))
    }

    /// Follows a request; returns how much of it may pass.
    pub(super) fn request(&mut self, input: &[u8]) -> usize {
        let Self::Http(requests) = self else { return 0 };
        let (used, upgrade) = requests.follow(input);
        if upgrade {
            *self = Self::Answer(Switching::new());
        }
        used
    }

    /// Follows what was written.
    pub(super) fn outbound(&mut self, output: &[u8]) -> Written {
        match self {
            Self::Answer(switching) => match switching.follow(output) {
                (used, true) => Written::Upgraded(used),
                (_, false) => Written::Nothing,
            },
            Self::WebSocket(websocket) => websocket.outbound(output),
            Self::Http(_) => Written::Nothing,
        }
    }

    /// The upgrade was refused: HTTP goes on.
    pub(super) fn refused(&mut self) {
        if let Self::Answer(_) = self {
            *self = Self::new();
        }
    }
}

impl WebSocket {
    /// Whether the client waits for the rule.
    pub(super) fn is_held(&self) -> bool {
        self.reading == Reading::Held
    }

    /// The end of a pause, if the client has sent too fast.
    pub(super) fn paused_until(&mut self) -> Option<Instant> {
        match self.reading {
            Reading::Paused(until) => Some(until),
            Reading::On => self.ruled.as_mut()?.rule.paused_until(),
            Reading::Held | Reading::Discard => None,
        }
    }

    /// Whether input is discarded.
    pub(super) fn discards(&self) -> bool {
        self.reading == Reading::Discard
    }

    /// Whether the rule may have a heartbeat for the reader.
    pub(super) fn has_rule(&self) -> bool {
        self.ruled.is_some()
    }

    /// Returns the heartbeat that the rule has for the reader.
    pub(super) fn heartbeat(&mut self) -> Option<Message> {
        self.ruled.as_mut()?.rule.heartbeat()
    }

    /// Frees the memory of the last message: the reader has handled it.
    pub(super) fn message_handled(&mut self) {
        if !self.assembler.is_large() {
            self.memory.reserved = None;
        }
    }

    /// From now on skips messages that are too long.
    pub(super) fn skip_too_big(&mut self) {
        self.assembler.skip_too_big();
    }

    /// Resumes reading after a hold or a pause. Returns a message for the reader, if the rule has
    /// one.
    pub(super) fn resume(&mut self) -> Option<Message> {
        if self.discards() {
            return None;
        }
        self.reading = Reading::On;
        self.ruled.as_mut()?.rule.resumed()
    }

    /// Reads the client's bytes up to the end of a message or frame; returns how many it used.
    ///
    /// `most` is the longest message if there is no rule that sets it.
    pub(super) fn inbound(&mut self, input: &[u8], most: usize) -> (usize, Inbound) {
        let mut used = 0;
        while self.reading == Reading::On {
            if !self.reserve() {
                self.reading = Reading::Paused(Instant::now() + MEMORY_PAUSE);
                break;
            }
            let most = self
                .ruled
                .as_ref()
                .map_or(most, |ruled| ruled.rule.message_most());
            let (taken, received) = self.assembler.feed(&input[used..], most);
            used += taken;
            match received {
                Ok(Received::Nothing) => break,
                Ok(Received::Empty) => self.charge(),
                Ok(Received::Large(bytes)) => self.memory.wanted = bytes,
                Ok(Received::Message(message)) => {
                    if message.is_idle() {
                        self.charge();
                    }
                    if let Some(inbound) = self.judge(message) {
                        return (used, inbound);
                    }
                }
                Err(error) => {
                    self.reading = Reading::Discard;
                    if let Some(ruled) = &mut self.ruled {
                        ruled.rule.violated(&error);
                    }
                    return (used, Inbound::Discard(Some(error)));
                }
            }
        }
        (used, Inbound::Nothing)
    }

    /// Reserves the memory for a large message that has begun; returns false if others hold it.
    fn reserve(&mut self) -> bool {
        let memory = &mut self.memory;
        if memory.wanted > 0 {
            let reserved = memory.all.try_reserve(memory.source, memory.wanted);
            let Some(reserved) = reserved else {
                return false;
            };
            memory.reserved = Some(Box::new(reserved));
            self.assembler.expect(std::mem::take(&mut memory.wanted));
        }
        true
    }

    /// Charges a frame without content to the rate, and pauses reading above it.
    fn charge(&mut self) {
        if !self.idle_frames.take(IDLE_FRAMES) {
            self.reading = Reading::Paused(Instant::now() + IDLE_PAUSE);
        }
    }

    fn judge(&mut self, message: Message) -> Option<Inbound> {
        let ruled = match (message, &mut self.ruled) {
            (Message::Ping(payload), _) => return Some(Inbound::Ping(payload)),
            (message @ (Message::Text(_) | Message::Binary(_)), Some(ruled)) => {
                ruled.rule.inbound(message)
            }
            (message, _) => return Some(Inbound::Message(message)),
        };
        match ruled {
            Verdict::Pass(message, next) => {
                if next == Next::Wait {
                    self.reading = Reading::Held;
                }
                Some(Inbound::Message(message))
            }
            Verdict::PassIdle(message) => {
                self.charge();
                Some(Inbound::Message(message))
            }
            Verdict::Skip => {
                self.charge();
                None
            }
            Verdict::Discard => {
                self.reading = Reading::Discard;
                Some(Inbound::Discard(None))
            }
        }
    }

    fn outbound(&mut self, output: &[u8]) -> Written {
        let Some(RuleState { rule, outbound }) = &mut self.ruled else {
            return Written::Nothing;
        };
        let mut used = 0;
        let mut written = Written::Nothing;
        loop {
            let (taken, seen) = outbound.follow(&output[used..]);
            used += taken;
            match seen {
                Seen::Need => return written,
                Seen::Start => match rule.outbound(outbound.frame()) {
                    Next::Read if self.reading == Reading::Held => {
                        self.reading = Reading::On;
                        written = Written::Release;
                    }
                    Next::Heartbeat => written = Written::Release,
                    Next::Read | Next::Wait => {}
                },
                Seen::End => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
