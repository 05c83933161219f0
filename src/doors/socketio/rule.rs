//! The rule for a session's WebSocket messages. It checks each packet before the engine
//! reads it, holds the client's input until its CONNECT is answered, and tells the session
//! which packets were sent.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::link::{HEARTBEAT_EVERY, Link};
use super::packet::{PROTOCOL_ERROR, Packet, PacketError, PacketKind, Version};
use super::payload::namespace_of;
use crate::net::frame::{Frame, START_MAX, close_frame};
use crate::net::{Message, MessageRule, Next, ProtocolError, Verdict, Wire};

/// How long reading pauses when a CONNECT is answered and its namespace does not take events
/// yet: that takes less than a millisecond.
const OPENING_LOOK: Duration = Duration::from_millis(2);

/// A text frame's opcode (RFC 6455, section 5.2).
const TEXT: u8 = 1;

// The start of a frame must contain a packet's kind and the longest namespace with its comma.
const _: () = assert!(START_MAX > 2 + crate::core::name::NamespaceName::MOST_CHARS);

/// The packet rule of one WebSocket.
///
/// The engine opens a namespace in a task of its own; it closes the session if a packet for
/// the namespace arrives before that task is done.
pub(super) struct PacketRule {
    link: Arc<Link>,
    /// The wire to attach once the client upgrades to this WebSocket. The sender is dropped at
    /// the upgrade, or with the connection.
    upgrade: Option<(Wire, oneshot::Sender<()>)>,
    /// Whether the session began with polling.
    has_polled: bool,
    /// Whether the client has probed the WebSocket; before that, its packets are not the
    /// session's.
    is_tried: bool,
    /// The namespace whose CONNECT is not answered yet.
    connecting: Option<String>,
    /// When the server next replaces the client's heartbeat: while it reads the client slowly, or if
    /// the last heartbeat is long ago although the client sends events.
    heartbeat: Option<Instant>,
    /// When the engine last received a heartbeat.
    alive: Instant,
    /// Whether the last ping was sent while output waited: its answer may be late.
    pinged_slowly: bool,
    /// The longest message that is read, in bytes.
    most: usize,
}

impl PacketRule {
    /// The rule of a session that opens with a WebSocket.
    pub(super) fn opened(link: Arc<Link>, wire: Wire, most: usize) -> Self {
        link.attach(wire);
        Self::new(link, None, most)
    }

    /// The rule of a WebSocket to which a polling session may upgrade. `tried` is dropped once
    /// the session has upgraded, or can't any more.
    pub(super) fn upgrading(
        link: Arc<Link>,
        wire: Wire,
        tried: oneshot::Sender<()>,
        most: usize,
    ) -> Self {
        Self::new(link, Some((wire, tried)), most)
    }

    fn new(link: Arc<Link>, upgrade: Option<(Wire, oneshot::Sender<()>)>, most: usize) -> Self {
        Self {
            link,
            has_polled: upgrade.is_some(),
            is_tried: upgrade.is_none(),
            upgrade,
            connecting: None,
            heartbeat: None,
            alive: Instant::now(),
            pinged_slowly: false,
            most,
        }
    }

    /// Checks a packet, and decides whether the engine receives it.
    fn packet(&mut self, text: &str) -> Result<Verdict, PacketError> {
        let packet = Packet::parse(text, self.link.opener.version)?;
        match &packet {
            _ if !self.is_tried && packet != Packet::Probe => return Err(PacketError::NoProbe),
            Packet::Close => {}
            Packet::Ping | Packet::Pong => self.alive = Instant::now(),
            // From here on the client sends and receives only here (Engine.IO v4, "Upgrade").
            Packet::Upgrade if self.link.is_on_websocket() => {
                // Of two WebSockets that were probed, the session moves to the first.
                self.is_tried = self.upgrade.is_none();
                return Err(PacketError::Type('5'));
            }
            Packet::Upgrade => match self.upgrade.take() {
                Some((wire, _tried)) => self.link.attach(wire),
                None => return Err(PacketError::Type('5')),
            },
            Packet::Probe if self.upgrade.is_some() => self.is_tried = true,
            Packet::Probe => return Err(PacketError::Trailing('2')),
            // Swift's SDK sends a noop after its upgrade; the engine would close the session.
            Packet::Noop if self.has_polled => return Ok(Verdict::Skip),
            Packet::Noop => return Err(PacketError::Type('6')),
            Packet::Binary(_) => return Err(PacketError::Type('b')),
            Packet::Message(message) => {
                self.link.receives(&packet)?;
                match message.kind {
                    PacketKind::Connect => {
                        if !self.link.admits(message) {
                            return Ok(Verdict::Skip);
                        }
                        if self.link.answers_later(message.namespace) {
                            self.connecting = Some(message.namespace.to_owned());
                        }
                    }
                    PacketKind::Disconnect => self.link.leaves(message.namespace),
                    PacketKind::Event | PacketKind::Ack => {}
                }
            }
        }
        let is_event =
            matches!(&packet, Packet::Message(message) if message.kind == PacketKind::Event);
        if is_event && self.alive.elapsed() >= ALIVE_FOR {
            self.heartbeat = Some(Instant::now());
        }
        let encoded = Message::Text(packet.encode());
        Ok(match (&self.connecting, is_event) {
            (Some(_), _) => Verdict::Pass(encoded, Next::Wait),
            (None, true) => Verdict::Pass(encoded, Next::Read),
            // An event is charged by its namespace.
            (None, false) => Verdict::PassIdle(encoded),
        })
    }

    /// Checks an attachment.
    fn attachment(&self, bytes: Vec<u8>) -> Result<Verdict, PacketError> {
        let packet = Packet::Binary(bytes);
        self.link.receives(&packet)?;
        Ok(match packet {
            Packet::Binary(bytes) => Verdict::Pass(Message::Binary(bytes), Next::Read),
            _ => Verdict::Skip,
        })
    }
}

impl PacketRule {
    /// Closes the session, or only the WebSocket if the client has not probed it yet and can
    /// keep polling.
    fn refuse(&self, code: u16, why: &impl Display) {
        match &self.upgrade {
            Some((wire, _)) if !self.is_tried => wire.close(close_frame(code, &why.to_string())),
            _ => self.link.refuse(code, why),
        }
    }
}

impl MessageRule for PacketRule {
    fn message_most(&self) -> usize {
        self.most
    }

    fn inbound(&mut self, message: Message) -> Verdict {
        // The CONNECT is answered, or the wait for its answer has timed out.
        self.connecting = None;
        let verdict = match message {
            Message::Text(text) => self.packet(&text),
            Message::Binary(bytes) => self.attachment(bytes),
            control @ (Message::Ping(_) | Message::Pong | Message::Close(_) | Message::Skipped) => {
                Ok(Verdict::Pass(control, Next::Read))
            }
        };
        verdict.unwrap_or_else(|error| {
            self.refuse(PROTOCOL_ERROR, &error);
            Verdict::Discard
        })
    }

    fn paused_until(&mut self) -> Option<Instant> {
        let Some(ready) = self.link.ready_at() else {
            let now = Instant::now();
            let is_opening = self.link.is_opening();
            let look = is_opening.then(|| now + OPENING_LOOK);
            return self.heartbeat.filter(|due| *due <= now).or(look);
        };
        if self.upgrade.is_some() {
            return Some(ready);
        }
        // A client that is read slowly is alive, but its heartbeats wait behind its messages.
        let heartbeat = *self
            .heartbeat
            .get_or_insert_with(|| Instant::now() + HEARTBEAT_EVERY);
        Some(ready.min(heartbeat))
    }

    fn resumed(&mut self) -> Option<Message> {
        let now = Instant::now();
        let due = self.heartbeat.filter(|due| *due <= now)?;
        // After a pause the next one begins anew.
        self.heartbeat = self.link.ready_at().map(|_| due.max(now) + HEARTBEAT_EVERY);
        self.alive = now;
        Some(Message::Text(self.link.heartbeat().encode()))
    }

    fn violated(&mut self, error: &ProtocolError) {
        if let ProtocolError::TooBig { start, .. } = error {
            self.link.sent_too_much(text(start));
        } else {
            self.refuse(error.close_code(), error);
        }
    }

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.header.opcode != TEXT {
            return Next::Wait;
        }
        let start = text(frame.start);
        let length = usize::try_from(frame.header.len).unwrap_or(usize::MAX);
        self.link.passed(start, length);
        if start == PING && self.link.opener.version == Version::V4 && self.link.is_slow() {
            self.pinged_slowly = true;
            return Next::Heartbeat;
        }
        let answers = start.starts_with("40") || start.starts_with("44");
        let expected = self.connecting.as_deref() == Some(namespace_of(start));
        if !(answers && expected) {
            return Next::Wait;
        }
        self.connecting = None;
        Next::Read
    }

    /// Answers the engine's ping in place of a client on a slow link, which may not have received
    /// the ping yet: the write deadline decides whether such a client is alive.
    fn heartbeat(&mut self) -> Option<Message> {
        let pinged = std::mem::take(&mut self.pinged_slowly);
        pinged.then(|| Message::Text(self.link.heartbeat().encode()))
    }
}

/// How long after its last heartbeat a client's events replace the next one: half of the 20 s for
/// which the engine waits for a pong. The engine counts only pongs as signs of life, but the pong of
/// a busy client waits behind its events.
const ALIVE_FOR: Duration = Duration::from_secs(10);

/// The server's ping (Engine.IO v4).
const PING: &str = "2";

/// The start of a payload as text, without a character that is cut off at its end.
fn text(start: &[u8]) -> &str {
    match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()])
            .expect("what is valid up to there is valid"),
    }
}
