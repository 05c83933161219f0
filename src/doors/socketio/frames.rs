//! A session's WebSocket frame by frame: a client is not read on before its
//! CONNECT is answered, and what has gone out is told to its session.
//! Knows packets by their first characters only.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::legacy::{PONG, Queries, refuses};
use super::link::Link;
use super::payload::{Framing, namespace_of};
use crate::net::frame::{Frame, Header, START_MAX};
use crate::net::{FrameRule, Next, Wire};

/// A text frame's opcode (RFC 6455, section 5.2).
const TEXT: u8 = 1;

/// A CONNECT packet's start: a message (`4`, Engine.IO v4) that is a CONNECT
/// (`0`, Socket.IO v5).
const CONNECT: &str = "40";

/// A packet that says nothing (`6`, Engine.IO v4, "noop"). Swift's SDK sends one
/// behind its upgrade, and the engine would close the session on it.
const NOOP: u8 = b'6';

// A packet's kind and the longest namespace with its comma have to be seen.
const _: () = assert!(START_MAX > 2 + crate::core::name::NamespaceName::MOST_CHARS);

/// The engine opens a namespace in a task of its own and closes the session on
/// whatever comes for the namespace before that task is through.
pub(super) struct Frames {
    link: Arc<Link>,
    /// To be attached once the client says that it has moved here. The other
    /// is dropped then, or with the connection.
    upgrade: Option<(Wire, oneshot::Sender<()>)>,
    /// It began with polling.
    has_polled: bool,
    waiting: Waiting,
    /// The longest frame that the engine reads, in bytes.
    most: usize,
    /// Of a client of Engine.IO v3.
    legacy: Option<Box<Legacy>>,
}

#[derive(Default)]
struct Legacy {
    queries: Queries,
    /// The CONNECT that is read was answered here.
    refused: bool,
}

enum Waiting {
    No,
    /// For the answer to the CONNECT to this namespace.
    For(String),
    /// The CONNECT came in fragments: for any answer.
    Any,
}

impl Frames {
    /// The frames of a session that is opened by a WebSocket.
    pub(super) fn opened(link: Arc<Link>, wire: Wire, read: Read) -> Self {
        link.attach(wire);
        Self::new(link, None, read)
    }

    /// The frames of a WebSocket that a polling session may move to; `tried` is
    /// dropped when it has, or can't any more.
    pub(super) fn upgrading(
        link: Arc<Link>,
        wire: Wire,
        tried: oneshot::Sender<()>,
        read: Read,
    ) -> Self {
        Self::new(link, Some((wire, tried)), read)
    }

    fn new(link: Arc<Link>, upgrade: Option<(Wire, oneshot::Sender<()>)>, read: Read) -> Self {
        Self {
            link,
            has_polled: upgrade.is_some(),
            upgrade,
            waiting: Waiting::No,
            most: read.most,
            legacy: (read.framing == Framing::Counted).then(Box::default),
        }
    }
}

/// How a client's frames are read.
pub(super) struct Read {
    /// Of which version of Engine.IO they are.
    pub(super) framing: Framing,
    /// The longest one, in bytes.
    pub(super) most: usize,
}

impl FrameRule for Frames {
    fn inbound(&mut self, frame: Frame<'_>) -> Next {
        let start = text(frame.start);
        if !self.reads(frame.header) {
            self.link.sent_too_much(start);
            return Next::Discard;
        }
        if frame.header.opcode != TEXT {
            return Next::Read;
        }
        if !frame.header.fin {
            let connects = start.starts_with(CONNECT) || CONNECT.starts_with(start);
            if connects {
                self.waiting = Waiting::Any;
                return Next::Wait;
            }
            return Next::Read;
        }
        // The upgrade packet (Engine.IO v4, "upgrade"): nothing comes by
        // polling any more, and the client reads here.
        if start == "5"
            && let Some((wire, _tried)) = self.upgrade.take()
        {
            self.link.attach(wire);
        }
        if start.starts_with("41") {
            self.link.leaves(namespace_of(start));
        }
        let refused = self.legacy.as_mut().map(|legacy| &mut legacy.refused);
        if refused.is_some_and(std::mem::take) {
            return Next::Read;
        }
        if start.starts_with(CONNECT) && !self.link.is_open(namespace_of(start)) {
            self.waiting = Waiting::For(namespace_of(start).to_owned());
            return Next::Wait;
        }
        Next::Read
    }

    fn reads(&self, header: Header) -> bool {
        header.len <= self.most as u64
    }

    fn rewrites(&self) -> bool {
        self.legacy.is_some() || self.has_polled
    }

    fn payload(&mut self, header: Header, at: u64, part: &mut [u8]) {
        if header.opcode != TEXT || !header.fin {
            return;
        }
        if self.has_polled && header.len == 1 && *part == [NOOP] {
            part[0] = PONG;
            return;
        }
        let Some(legacy) = &mut self.legacy else {
            return;
        };
        let whole = at == 0 && part.len() as u64 == header.len;
        if whole && refuses(&self.link, text(part)) {
            legacy.refused = true;
            part[0] = PONG;
            return;
        }
        legacy.queries.pass(&self.link, header.len, at, part);
    }

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.header.opcode != TEXT {
            return Next::Wait;
        }
        let start = text(frame.start);
        self.link.passed(start);
        let answers = start.starts_with(CONNECT) || start.starts_with("44");
        let expected = match &self.waiting {
            Waiting::No => false,
            Waiting::For(namespace) => answers && namespace == namespace_of(start),
            Waiting::Any => answers,
        };
        if !expected {
            return Next::Wait;
        }
        self.waiting = Waiting::No;
        Next::Read
    }
}

/// The start of a payload as text, up to where it may be cut in a character.
fn text(start: &[u8]) -> &str {
    match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()])
            .expect("what is valid up to there is valid"),
    }
}
