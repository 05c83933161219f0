//! One Engine.IO session as the door sees it: what its requests and its clients
//! share. Knows which namespaces are open and what is still on its way out.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use socketioxide::socket::Sid;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::outlet::SocketOutlet;
use super::session::Session;
use super::sessions::Place;
use crate::net::Wire;

/// How long what follows a CONNECT waits for it; an answer takes milliseconds.
/// The same as a WebSocket's frames are held back, for the same reason.
const CONNECT_MOST: Duration = Duration::from_secs(10);

/// One session; lives as long as the engine's.
pub(super) struct Link {
    /// Who opened it: a polling session answers to nobody else.
    pub(super) address: IpAddr,
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
    /// It was closed as too slow: its requests are not answered any more.
    closed: bool,
}

impl Link {
    pub(super) fn new(address: IpAddr, place: Place) -> Self {
        Self {
            address,
            wire: OnceLock::new(),
            state: Mutex::default(),
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
        // A second one is the engine's to refuse.
        if self.wire.set(wire.clone()).is_ok() {
            for outlet in &self.lock().outlets {
                outlet.attach(wire.clone());
            }
        }
    }

    /// Whether the session has moved to a WebSocket, or began on one.
    pub(super) fn is_on_websocket(&self) -> bool {
        self.wire.get().is_some()
    }

    /// A client has come to a namespace; the answer to its CONNECT is under way.
    pub(super) fn enter(&self, outlet: &Arc<SocketOutlet>) {
        let mut state = self.lock();
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

    /// A packet has gone out, by the wire or in the answer to a poll.
    pub(super) fn passed(&self, packet: &str) {
        if !["40", "42", "43"]
            .iter()
            .any(|kind| packet.starts_with(kind))
        {
            return;
        }
        let namespace = namespace_of(packet);
        let mut state = self.lock();
        let outlet = state.outlet(namespace).cloned();
        // An answer that was polled late is of no client that has left.
        let has_left = outlet.as_ref().is_some_and(|outlet| outlet.has_left());
        if packet.starts_with("40") && !has_left {
            state.opens(namespace);
        }
        drop(state);
        if let Some(reason) = outlet.and_then(|outlet| outlet.passed()) {
            self.close(reason.websocket_code(), reason.code());
        }
    }

    /// Ends the session: by its WebSocket, else by answering no more polls.
    pub(super) fn close(&self, code: u16, reason: &str) {
        self.lock().closed = true;
        if let Some(wire) = self.wire.get() {
            wire.close(code, reason);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl State {
    fn opens(&mut self, namespace: &str) {
        if !self.is_open(namespace) {
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

/// The namespace of a packet: `/name` up to a comma or the end, else `/`
/// (Socket.IO protocol v5, "packet encoding").
pub(super) fn namespace_of(packet: &str) -> &str {
    match packet.get(2..) {
        Some(rest) if rest.starts_with('/') => rest.split(',').next().unwrap_or(rest),
        _ => "/",
    }
}
