//! One Engine.IO session as the door sees it: what its requests and its clients
//! share. Knows which namespaces are open and what is still on its way out.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use socketioxide::socket::Sid;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::legacy::{self, Pending};
use super::outlet::SocketOutlet;
use super::packet::{Packet, PacketError, SocketPacket, Version};
use super::payload::namespace_of;
use super::session::Session;
use super::sessions::Place;
use crate::core::outlet::{CloseReason, Outlet};
use crate::core::pace::{Bucket, Pace};
use crate::core::source::{ClientOrigin, SourceKey};
use crate::net::frame::{close_frame, text_frame};
use crate::net::{self, FRAME_BYTES_MOST, Wire};

/// How long what follows a CONNECT waits for it; an answer takes milliseconds.
/// The same as a WebSocket's frames are held back, for the same reason.
const CONNECT_MOST: Duration = Duration::from_secs(10);

/// How often a session may connect to namespaces, or send events in `/`. An SDK connects once to
/// each namespace that its page uses, some ten at most; each CONNECT costs the server a task and a
/// client.
const CONNECTS: Pace = Pace {
    per_second: 5,
    burst: 32,
};

/// How often the server replaces the heartbeat of a client that it reads slowly: a few times within
/// a ping interval.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// The most bytes that wait in the engine for one session, which mostly polls: as many as
/// for a WebSocket.
const QUEUED_MOST: usize = FRAME_BYTES_MOST;

/// The most bytes that wait there for all sessions: each has a copy of its own, where
/// WebSockets share the frame of an event. Beyond, sessions with more than a small share
/// are closed.
const ALL_QUEUED_MOST: usize = 64 << 20;

/// What may wait for a session in any case, in bytes: some hundred small events.
const QUEUED_SHARE: usize = 32 << 10;

/// The opener of a session.
pub(super) struct Opener {
    /// Its address: a polling session accepts requests from no other address.
    pub(super) address: IpAddr,
    /// The address key under which it is counted.
    pub(super) source: Option<SourceKey>,
    pub(super) version: Version,
    /// The client cannot read binary answers.
    pub(super) is_base64: bool,
    /// Its SDK takes no notice of a close frame, nor of the end behind one.
    pub(super) deaf_to_close: bool,
}

/// One session; lives as long as the engine's.
pub(super) struct Link {
    pub(super) opener: Opener,
    /// A POST of it is being handled.
    posting: AtomicBool,
    /// How many bytes of data wait for it in the engine, at most.
    queued: AtomicUsize,
    /// Once it is on a WebSocket.
    wire: OnceLock<Wire>,
    /// Guards what is open and who waits; held for a look or a change only.
    state: Mutex<State>,
    place: Place,
}

#[derive(Default)]
struct State {
    /// The namespaces that are connected, `/` included.
    open: Vec<String>,
    /// The clients that are or were connected, one for each namespace.
    outlets: Vec<Arc<SocketOutlet>>,
    /// Whose CONNECT the engine is about to answer.
    opening: Vec<Arc<Session>>,
    connecting: Vec<(String, oneshot::Sender<()>)>,
    /// How many attachments of the last packet are still missing.
    attachments: usize,
    /// Packets of a client of Engine.IO v3 that wait; of a v4 client, refusals only.
    legacy: Option<Box<Pending>>,
    /// It was closed, with this as its last word: its requests are not answered
    /// any more.
    closed: Option<Box<Bytes>>,
    /// Counts the session for its address until it is in a namespace.
    unconfirmed: net::Place,
    /// The session's budget for CONNECTs; `None` before the first one.
    connects: Option<Bucket>,
}

impl Link {
    pub(super) fn new(opener: Opener, place: Place, unconfirmed: net::Place) -> Self {
        Self {
            opener,
            posting: AtomicBool::new(false),
            queued: AtomicUsize::new(0),
            wire: OnceLock::new(),
            state: Mutex::new(State {
                unconfirmed,
                ..State::default()
            }),
            place,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }

    /// The engine has named the session.
    pub(super) fn named(self: &Arc<Self>, sid: Sid) {
        self.place.named(sid, self);
    }

    /// The session is on this WebSocket from now on.
    pub(super) fn attach(&self, wire: Wire) {
        // `PacketRule` refuses a second one.
        if self.wire.set(wire.clone()).is_err() {
            return;
        }
        let state = self.lock();
        for outlet in &state.outlets {
            outlet.attach(wire.clone());
        }
        let closed = state.closed.clone();
        drop(state);
        // What no poll has taken along.
        for word in self.words() {
            self.say(&word);
        }
        if let Some(last) = closed {
            wire.close(*last);
        }
    }

    /// Whether the session has moved to a WebSocket, or began on one.
    pub(super) fn is_on_websocket(&self) -> bool {
        self.wire.get().is_some()
    }

    /// The moment before which the client must not be read: it has sent too fast in one of its
    /// namespaces, or has connected to namespaces too often.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        let state = self.lock();
        let connects = state.connects.as_ref().map(Bucket::ready_at);
        let connects = connects.filter(|ready| *ready > Instant::now());
        let budgets = state
            .outlets
            .iter()
            .map(|outlet| outlet.budget().ready_at());
        budgets.fold(connects, Option::max)
    }

    /// Whether output waits for the client, or waited in the last minute.
    pub(super) fn is_slow(&self) -> bool {
        self.wire.get().is_some_and(Wire::is_slow)
    }

    /// Whether a namespace whose CONNECT is answered does not take events yet.
    pub(super) fn is_opening(&self) -> bool {
        !self.lock().opening.is_empty()
    }

    /// The packet that shows the engine that the client is alive.
    pub(super) fn heartbeat(&self) -> Packet<'static> {
        match self.opener.version {
            Version::V3 => Packet::Ping,
            Version::V4 => Packet::Pong,
        }
    }

    /// The origin of the session's next client in a namespace. It continues the send budget of
    /// the one before it.
    pub(super) fn origin(&self, namespace: &str) -> ClientOrigin {
        let state = self.lock();
        let before = state.outlet(namespace);
        ClientOrigin {
            source: self.opener.source,
            budget: before.map(|outlet| outlet.budget()).unwrap_or_default(),
        }
    }

    /// A client has come to a namespace; the answer to its CONNECT is under way.
    pub(super) fn enter(&self, outlet: &Arc<SocketOutlet>) {
        let mut state = self.lock();
        state.unconfirmed = net::Place::default();
        let before = state
            .outlets
            .iter()
            .position(|before| before.namespace() == outlet.namespace());
        if let Some(before) = before {
            // What it was sent may still be under way.
            let before = state.outlets.swap_remove(before);
            before.leave();
            outlet.continues(&before);
        }
        state.outlets.reserve_exact(1);
        state.outlets.push(outlet.clone());
        drop(state);
        if let Some(wire) = self.wire.get() {
            outlet.attach(wire.clone());
        }
    }

    /// To be had again once the engine has answered the CONNECT: its own place
    /// for such things costs each client 160 bytes.
    pub(super) fn opens(&self, session: Arc<Session>) {
        self.lock().opening.push(session);
    }

    /// The session in the namespace whose CONNECT has just been answered.
    pub(super) fn opened(&self, namespace: &str) -> Option<Arc<Session>> {
        let opening = &mut self.lock().opening;
        let at = opening.iter().position(|s| s.namespace() == namespace)?;
        let session = opening.swap_remove(at);
        opening.shrink_to_fit();
        Some(session)
    }

    /// The CONNECT to a namespace is through, or refused.
    pub(super) fn answered(&self, namespace: &str, accepted: bool) {
        let mut state = self.lock();
        // On a WebSocket the answer itself is seen: this may come behind it,
        // when the client has left again.
        if accepted && !self.is_on_websocket() {
            state.opens(namespace);
        }
        let waiting = state
            .connecting
            .iter()
            .position(|(expected, _)| expected == namespace);
        let waiting = waiting.map(|at| state.connecting.swap_remove(at));
        drop(state);
        if let Some((_, tell)) = waiting {
            // Nobody waits any more: the request is gone.
            let _ = tell.send(());
        }
    }

    /// The client leaves a namespace, and may connect to it again at once.
    pub(super) fn leaves(&self, namespace: &str) {
        let mut state = self.lock();
        state.open.retain(|open| open != namespace);
        if let Some(outlet) = state.outlet(namespace) {
            outlet.leave();
        }
    }

    /// Whether a CONNECT to the namespace is answered: one that is open is not
    /// opened again.
    pub(super) fn is_open(&self, namespace: &str) -> bool {
        self.lock().is_open(namespace)
    }

    /// To be called before the engine sees a CONNECT; resolves once it is
    /// answered, or after [`CONNECT_MOST`].
    pub(super) fn expect(&self, namespace: &str) -> impl Future<Output = ()> + use<> {
        let mut state = self.lock();
        let is_answered = self.place.knows(namespace) && !state.is_open(namespace);
        let answered = is_answered.then(|| {
            let (tell, answered) = oneshot::channel();
            state.connecting.retain(|(_, tell)| !tell.is_closed());
            state.connecting.push((namespace.to_owned(), tell));
            answered
        });
        async move {
            if let Some(answered) = answered {
                // Late, or the session has ended: nothing is left to wait for.
                let _ = timeout(CONNECT_MOST, answered).await;
            }
        }
    }

    /// A POST begins, and ends when this is dropped; none while another goes on:
    /// their packets would be handled side by side.
    pub(super) fn posts(self: &Arc<Self>) -> Option<Posting> {
        let before = self.posting.swap(true, Ordering::AcqRel);
        (!before).then(|| Posting(self.clone()))
    }

    /// How many attachments of the last packet are still missing.
    pub(super) fn missing_attachments(&self) -> usize {
        self.lock().attachments
    }

    /// Undoes [`Link::receives`] for a POST of which nothing is handled.
    pub(super) fn expects_attachments(&self, missing: usize) {
        self.lock().attachments = missing;
    }

    /// Checks the order of packets: attachments follow directly behind the packet that
    /// announces them, on any transport.
    pub(super) fn receives(&self, packet: &Packet<'_>) -> Result<(), PacketError> {
        let mut state = self.lock();
        match packet {
            Packet::Binary(_) => {
                state.attachments = state
                    .attachments
                    .checked_sub(1)
                    .ok_or(PacketError::UnexpectedBinary)?;
            }
            Packet::Message(_) if state.attachments > 0 => return Err(PacketError::MissingBinary),
            Packet::Message(message) => state.attachments = message.attachments,
            Packet::Close
            | Packet::Ping
            | Packet::Probe
            | Packet::Pong
            | Packet::Upgrade
            | Packet::Noop => {}
        }
        Ok(())
    }

    /// Charges a CONNECT. Returns whether the engine answers it; otherwise it is answered here.
    pub(super) fn admits(&self, connect: &SocketPacket<'_>) -> bool {
        self.charge_connect();
        if self.opener.version == Version::V3 {
            return legacy::admits(self, connect);
        }
        if self.place.knows(connect.namespace) {
            return true;
        }
        self.say(&self.refused_connect(connect.namespace));
        // While the client polls, the engine answers as well, and `explained` replaces the engine's
        // answer. If the session has moved to a WebSocket in the meantime, our refusal comes first.
        !self.is_on_websocket()
    }

    /// Charges a CONNECT, or an event in `/`, against the session's rate of CONNECTs.
    pub(super) fn charge_connect(&self) {
        let full = || Bucket::full(CONNECTS);
        let mut state = self.lock();
        state.connects.get_or_insert_with(full).charge(CONNECTS, 1);
    }

    /// Returns our refusal of a CONNECT to an unknown namespace, which replaces the engine's: that
    /// one does not name the valid namespaces.
    pub(super) fn explained(&self, packet: &str) -> Option<String> {
        let refused = packet.strip_prefix("44")?;
        let namespace = refused.strip_suffix(r#",{"message":"Invalid namespace"}"#)?;
        let explained = self.refused_connect(namespace);
        if let Some(pending) = &mut self.lock().legacy {
            pending.unsay(&explained);
        }
        Some(explained)
    }

    fn refused_connect(&self, namespace: &str) -> String {
        let why = self.refusal(namespace).unwrap_or_default();
        let why = json!({"message": why, "data": {"code": "unknown_namespace"}});
        format!("44{namespace},{why}")
    }

    /// Whether the engine is about to answer a CONNECT to this namespace in a task of its
    /// own: until then nothing may follow.
    pub(super) fn answers_later(&self, namespace: &str) -> bool {
        self.place.knows(namespace) && !self.is_open(namespace)
    }

    /// Why nobody can be in this namespace, if that is so.
    pub(super) fn refusal(&self, namespace: &str) -> Option<Cow<'_, str>> {
        self.place.refusal(namespace)
    }

    /// The client asks for a namespace with a query.
    pub(super) fn asks(&self, namespace: &str, query: &str) {
        let mut state = self.lock();
        let pending = state.legacy.get_or_insert_default();
        pending.asks(namespace, query);
    }

    /// The query with which it asked for the namespace.
    pub(super) fn query(&self, namespace: &str) -> Option<String> {
        self.lock().legacy.as_mut()?.query(namespace)
    }

    /// Sends a packet that the engine does not know of.
    pub(super) fn say(&self, packet: &str) {
        match self.wire.get() {
            // Who is gone or too slow needs no word.
            Some(wire) => drop(wire.send(&text_frame(&[packet]))),
            None => self.lock().legacy.get_or_insert_default().say(packet),
        }
    }

    /// What was said since the last poll.
    pub(super) fn words(&self) -> Vec<String> {
        let mut state = self.lock();
        let pending = state.legacy.as_mut();
        pending.map(|pending| pending.words()).unwrap_or_default()
    }

    /// Counts data that the engine is given for this session.
    ///
    /// # Errors
    /// Too much waits for it already: it polls too seldom.
    pub(super) fn enqueue(&self, bytes: usize) -> Result<(), CloseReason> {
        let own = self.queued.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let all = self.place.queued().fetch_add(bytes, Ordering::AcqRel) + bytes;
        match own > QUEUED_MOST || (all > ALL_QUEUED_MOST && own > QUEUED_SHARE) {
            true => Err(CloseReason::TooSlow),
            false => Ok(()),
        }
    }

    /// The same when a packet is out. A packet is longer than its data, so never too many
    /// bytes stay counted.
    fn dequeue(&self, bytes: usize) {
        let before = self
            .queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
                Some(queued.saturating_sub(bytes))
            });
        let less = before.unwrap_or_default().min(bytes);
        self.place.queued().fetch_sub(less, Ordering::AcqRel);
    }

    /// Notes that a packet with this start and this many bytes was sent, on the wire or in the
    /// answer to a poll.
    pub(super) fn passed(&self, packet: &str, bytes: usize) {
        if !["40", "42", "43"]
            .iter()
            .any(|kind| packet.starts_with(kind))
        {
            return;
        }
        self.dequeue(bytes);
        let namespace = namespace_of(packet);
        let mut state = self.lock();
        let outlet = state.outlet(namespace).cloned();
        // An answer that was polled late is of no client that has left.
        let has_left = outlet.as_ref().is_some_and(|outlet| outlet.has_left());
        if packet.starts_with("40") && !has_left {
            state.opens(namespace);
        }
        // Under the lock: one that comes anew takes over what is under way.
        let ended = outlet.and_then(|outlet| outlet.passed());
        drop(state);
        if let Some(reason) = ended {
            self.close(reason, &[]);
        }
    }

    /// A packet that begins so is longer than any is read: the session ends.
    pub(super) fn sent_too_much(&self, start: &str) {
        metrics::counter!("roomcast_refused_total", "door" => "socketio", "reason" => "too_big")
            .increment(1);
        let outlet = self.lock().outlet(namespace_of(start)).cloned();
        match outlet {
            Some(outlet) if !outlet.has_left() => outlet.close(CloseReason::TooBig),
            _ => self.close(CloseReason::TooBig, &[]),
        }
    }

    /// Closes the session because its client violates the protocol: the close frame has this
    /// code (RFC 6455, section 7.4.1) and the reason in words.
    pub(super) fn refuse(&self, code: u16, why: &impl Display) {
        let why = why.to_string();
        debug!(%why, "a client violated the Socket.IO protocol");
        metrics::counter!("roomcast_refused_total", "door" => "socketio", "reason" => "protocol_error")
            .increment(1);
        self.end(&[], &close_frame(code, &why));
    }

    /// Ends the session: by its WebSocket, behind this last word, else by
    /// answering no more polls.
    pub(super) fn close(&self, reason: CloseReason, word: &[u8]) {
        self.end(word, &close_frame(reason.websocket_code(), reason.code()));
    }

    fn end(&self, word: &[u8], close: &[u8]) {
        let close = if self.opener.deaf_to_close {
            &[]
        } else {
            close
        };
        let last: Bytes = [word, close].concat().into();
        self.lock()
            .closed
            .get_or_insert_with(|| Box::new(last.clone()));
        if let Some(wire) = self.wire.get() {
            wire.close(last);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.dequeue(usize::MAX);
    }
}

/// A POST that is being handled.
pub(super) struct Posting(Arc<Link>);

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.posting.store(false, Ordering::Release);
    }
}

impl State {
    fn opens(&mut self, namespace: &str) {
        if !self.is_open(namespace) {
            // Almost always it stays the only one.
            self.open.reserve_exact(1);
            self.open.push(namespace.to_owned());
        }
    }

    /// The client that came to the namespace last.
    fn outlet(&self, namespace: &str) -> Option<&Arc<SocketOutlet>> {
        self.outlets.iter().find(|o| o.namespace() == namespace)
    }

    fn is_open(&self, namespace: &str) -> bool {
        self.open.iter().any(|open| open == namespace)
    }
}
