//! The Socket.IO door: socketioxide speaks the protocol, the hub owns the rooms.
//! Knows how a namespace is opened and closed; verbs are in the protocols' files.

mod connecting;
mod connection;
mod outlet;
mod payload;
mod polling;
mod room;
mod root;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, MessageHandler, Value};
use socketioxide::service::SocketIoService;
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide::{SocketIo, TransportType};

use crate::core::client::Client;
use crate::core::hub::Hub;
use crate::core::name::NamespaceName;
use crate::core::namespace::{Limits, Namespace, Protocol};
use crate::core::outlet::OUTLET_QUEUE;

use connecting::Connecting;
pub use connection::Ordered;
use outlet::SocketOutlet;
use root::Root;

/// The largest packet that is read from a client, in bytes.
///
/// Twice the largest message of any namespace, so that one in a string with
/// escapes fits as well. It bounds what a client can make the engine hold; the
/// namespace's own limit is the rule.
fn packet_bytes(hub: &Hub) -> usize {
    let limits = hub.namespaces().map(|n| n.limits.message_bytes);
    2 * limits
        .max()
        .unwrap_or_default()
        .max(Limits::default().message_bytes)
}

/// How often the engine asks whether a client is there, and how long it waits.
/// The protocol's defaults (Engine.IO v4, "heartbeat").
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may stay without a namespace.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);

/// How many events of one client wait for its CONNECT to be complete.
const HELD_MOST: usize = 64;

/// The Socket.IO service over `inner`, which gets what is not for `/socket.io/`.
pub fn service(hub: &Arc<Hub>, inner: Router) -> (Ordered<SocketIoService<Router>>, SocketIo) {
    let packet_bytes = packet_bytes(hub);
    let (service, io) = SocketIo::builder()
        .max_buffer_size(OUTLET_QUEUE)
        .max_payload(packet_bytes as u64)
        .ws_max_message_size(packet_bytes)
        .ws_max_frame_size(packet_bytes)
        .ws_read_buffer_size(4096)
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .transports([TransportType::Polling, TransportType::Websocket])
        .build_with_inner_svc(inner);
    let connecting = Connecting::new(io.clone());
    let served = hub.namespaces().filter(|namespace| is_served(namespace));
    let names: Vec<_> = served.map(|namespace| namespace.name.as_str()).collect();
    let advice = format!("/ has no rooms; connect to one of {}", names.join(", "));
    let root = Root {
        connecting: connecting.clone(),
        advice: advice.into(),
    };
    io.ns("/", root);
    for namespace in hub.namespaces() {
        let door = Door {
            hub: hub.clone(),
            namespace: namespace.name.clone(),
            protocol: namespace.protocol,
            reserved: namespace.reserved.is_some(),
            connecting: connecting.clone(),
        };
        io.ns(namespace.name.to_string(), door);
    }
    let ordered = Ordered {
        engine: service,
        connecting,
        packet_bytes,
    };
    (ordered, io)
}

/// Whether clients can join the namespace's rooms.
pub fn is_served(namespace: &Namespace) -> bool {
    namespace.reserved.is_none() && namespace.protocol == Protocol::Room
}

/// One namespace as a Socket.IO namespace.
#[derive(Clone)]
struct Door {
    hub: Arc<Hub>,
    namespace: NamespaceName,
    protocol: Protocol,
    reserved: bool,
    connecting: Connecting,
}

type Refusal = Box<dyn Display + Send>;

impl Door {
    fn open(&self, socket: &Arc<Socket<LocalAdapter>>) -> Result<(), Refusal> {
        if self.protocol != Protocol::Room && !self.reserved {
            return Err(Box::new(format!(
                "{} can't be joined: this version serves the room protocol only",
                self.namespace
            )));
        }
        let outlet = Arc::new(SocketOutlet::new(socket));
        let client = self
            .hub
            .connect(&self.namespace, outlet)
            .map_err(|error| Box::new(error) as Refusal)?;
        let session = Arc::new(Session {
            hub: self.hub.clone(),
            client,
            gate: Mutex::default(),
        });
        socket.extensions.insert(session.clone());
        socket.on_disconnect({
            let session = session.clone();
            move |_: DisconnectReason| {
                session.hub.disconnect(&session.client);
                std::future::ready(())
            }
        });
        socket.on_fallback(Dispatch(session));
        Ok(())
    }
}

/// The handlers stand in the middleware's place: the answer to CONNECT goes out
/// before a connect handler runs, and what comes in between would be lost.
impl ConnectHandler<LocalAdapter, ()> for Door {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, _auth: Option<Value>) {
        if let Some(session) = socket.extensions.get::<Arc<Session>>() {
            session.opened(&socket);
        }
        self.connecting.answered(socket.id, self.namespace.as_str());
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket<LocalAdapter>>,
        _auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        let opened = self.open(&socket);
        if opened.is_err() {
            self.connecting.answered(socket.id, self.namespace.as_str());
        }
        Box::pin(std::future::ready(opened))
    }
}

/// A client of the hub behind a socket; dropped with the socket.
struct Session {
    hub: Arc<Hub>,
    client: Arc<Client>,
    /// Guards what came before the engine lets us answer; held while it is
    /// worked off, so that nothing overtakes it.
    gate: Mutex<Gate>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    held: Vec<(Value, Option<i64>)>,
}

impl Session {
    fn opened(&self, socket: &Arc<Socket<LocalAdapter>>) {
        let mut gate = self.gate.lock().expect("no code panics under this lock");
        for (value, ack) in std::mem::take(&mut gate.held) {
            room::handle(&self.hub, &self.client, socket, value, ack);
        }
        gate.open = true;
    }
}

impl Drop for Session {
    /// A socket that is gone before its CONNECT was complete is never told so
    /// by the engine: its client ends with it.
    fn drop(&mut self) {
        self.hub.disconnect(&self.client);
    }
}

/// Handles every event of a client, in the order in which it sent them: the
/// engine calls it from the task that reads the connection.
struct Dispatch(Arc<Session>);

/// Tells this handler from those that socketioxide makes of functions.
struct InOrder;

impl MessageHandler<LocalAdapter, InOrder> for Dispatch {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, value: Value, ack: Option<i64>) {
        let session = &self.0;
        {
            let mut gate = session.gate.lock().expect("no code panics under this lock");
            if !gate.open {
                if gate.held.len() < HELD_MOST {
                    gate.held.push((value, ack));
                }
                return;
            }
        }
        room::handle(&session.hub, &session.client, &socket, value, ack);
    }
}
