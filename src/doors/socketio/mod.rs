//! The Socket.IO door: socketioxide speaks the protocol, the hub owns the rooms.
//! Knows how a namespace is opened and closed; verbs are in the protocols' files.

mod answer;
mod client_script;
mod front;
mod head;
mod legacy;
mod link;
mod lobby;
mod outlet;
mod packet;
mod payload;
mod polling;
mod post;
mod refusal;
mod request;
mod room;
mod root;
mod rule;
mod session;
mod sessions;
mod shown;
mod trigger;
mod websocket;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, Value};
use socketioxide::service::SocketIoService;
use socketioxide::socket::Socket;
use socketioxide::{ParserConfig, SocketIo, TransportType};

use crate::core::error::Error;
use crate::core::hub::Hub;
use crate::core::name::NamespaceName;
use crate::core::namespace::{self, Namespace, Protocol, Rooms};
use crate::net::Addresses;

pub use client_script::ClientScript;
pub use front::Front;
use link::Link;
use outlet::SocketOutlet;
use post::BodyMemory;
use root::Root;
use session::{Dispatch, Session};
use sessions::Sessions;

/// The most packets that wait in the engine for a session. SDKs do not poll until their POST is
/// answered, so the acks of a long POST wait together; they are also bounded in bytes
/// (`Link::enqueue`).
const ENGINE_QUEUE: usize = 16_384;

/// The path of the Socket.IO transport: the default of SDKs.
const PATH: &str = "/socket.io";

/// The largest packet that is read from a client, in bytes; also the `maxPayload` by which SDKs
/// of version 4 split their POSTs.
///
/// Twice the largest message of any namespace, so that one in a string with
/// escapes fits as well. It bounds what a client can make the engine hold; the
/// namespace's own limit is the rule.
fn packet_bytes(hub: &Hub) -> usize {
    let known = hub.namespaces().filter(|namespace| is_known(namespace));
    let limits = known.map(|n| n.limits.message_bytes);
    2 * limits
        .max()
        .unwrap_or_default()
        .max(namespace::Limits::default().message_bytes)
}

/// Binary attachments are not understood here, but answered: as few as an SDK
/// may send by mistake, and no longer than an upload of that size takes.
const BINARIES_MOST: usize = 16;
const BINARIES_WITHIN: Duration = Duration::from_secs(10);

/// How much of a WebSocket is read at once. The engine keeps a buffer of this
/// size for each connection: at 10,000 that is 10 MiB, where the engine's own
/// default takes 40. A listener's packets are some 100 bytes; one of 64 KiB is
/// read in 64 parts. Under 1 KiB `bytes` would forget the size when it replaces
/// a buffer that a packet still lies in, and read the next ones in crumbs.
const READ_BYTES: usize = 1024;

/// How often the engine asks whether a client is there, and how long it waits.
/// The protocol's defaults (Engine.IO v4, "heartbeat").
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an upgrade may take once it is tried. SDKs upgrade when their POST is answered, and
/// that of a client above its rate is answered late.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a session may stay without a namespace: SDKs connect to one at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the door allows.
pub struct Limits {
    /// How many sessions there may be at once, polling ones included.
    pub sessions: usize,
    /// The limits per client address.
    pub addresses: Addresses,
    /// The proxies whose forwarding headers count.
    pub trusted: Arc<[IpNet]>,
}

/// The Socket.IO service around `inner`, which receives all requests that are not for
/// `/socket.io/`. Pages load `script` from `/socket.io/`.
pub fn service(
    hub: &Arc<Hub>,
    limits: Limits,
    script: Option<ClientScript>,
    inner: Router,
) -> (Front<SocketIoService<Router>>, SocketIo) {
    let packet_bytes = packet_bytes(hub);
    let parser = ParserConfig::common()
        .max_incoming_binaries(BINARIES_MOST)
        .max_incoming_binary_buf_size(packet_bytes)
        .packet_completion_timeout(BINARIES_WITHIN);
    let (service, io) = SocketIo::builder()
        .max_buffer_size(ENGINE_QUEUE)
        .max_payload(packet_bytes as u64)
        .ws_max_message_size(packet_bytes)
        .ws_max_frame_size(packet_bytes)
        .with_parser(parser)
        .ws_read_buffer_size(READ_BYTES)
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .upgrade_timeout(UPGRADE_TIMEOUT)
        .transports([TransportType::Polling, TransportType::Websocket])
        .build_with_inner_svc(inner);
    let served = hub.namespaces().filter(|namespace| is_served(namespace));
    let names: Vec<_> = served.map(|namespace| namespace.name.as_str()).collect();
    let root = Root {
        namespaces: names.join(", ").into(),
    };
    // An EIO 3 client is connected to `/` before it can ask for anything else.
    io.ns("/", root);
    for namespace in hub.namespaces().filter(|namespace| is_known(namespace)) {
        let door = Door {
            hub: hub.clone(),
            namespace: namespace.name.clone(),
            protocol: namespace.protocol,
        };
        io.ns(namespace.name.to_string(), door);
    }
    let refusal = |namespace: &Namespace| {
        let why = hub.refusal(&namespace.name)?;
        Some(why.to_string())
    };
    let known = hub.namespaces().filter(|namespace| is_known(namespace));
    let names = known.map(|n| (n.name.to_string(), refusal(n)));
    let names = names.chain([("/".to_owned(), None)]).collect();
    let front = Front {
        engine: service,
        sessions: Sessions::limited(limits.sessions, limits.addresses, names),
        trusted: limits.trusted,
        packet_bytes,
        body_memory: BodyMemory::default(),
        script,
    };
    (front, io)
}

/// Whether clients can join the namespace's rooms.
pub fn is_served(namespace: &Namespace) -> bool {
    namespace.reserved.is_none() && is_known(namespace)
}

/// Whether clients can ask for the namespace at all: not where each has a room to
/// itself, which another door gives.
fn is_known(namespace: &Namespace) -> bool {
    namespace.rooms != Rooms::Own
}

/// One namespace as a Socket.IO namespace.
#[derive(Clone)]
struct Door {
    hub: Arc<Hub>,
    namespace: NamespaceName,
    protocol: Protocol,
}

type Refusal = Box<dyn Display + Send>;

impl Door {
    fn open(&self, socket: &Arc<Socket<LocalAdapter>>) -> Result<(), Refusal> {
        let link = link_of(socket).ok_or_else(|| Box::new(Error::Closing) as Refusal)?;
        let origin = link.origin(self.namespace.as_str());
        let outlet = Arc::new(SocketOutlet::new(
            socket,
            self.namespace.clone(),
            self.protocol,
            link,
            origin.budget.clone(),
        ));
        let client = self
            .hub
            .connect_from(&self.namespace, outlet.clone(), origin)
            .map_err(|error| Box::new(error) as Refusal)?;
        link.enter(&outlet);
        let session = Arc::new(Session::new(&self.hub, client, outlet));
        link.opens(session.clone());
        socket.on_fallback(Dispatch(session));
        Ok(())
    }
}

/// The session that a socket belongs to.
fn link_of(socket: &Socket<LocalAdapter>) -> Option<&Arc<Link>> {
    socket.req_parts().extensions.get()
}

/// The handlers stand in the middleware's place: the answer to CONNECT goes out
/// before a connect handler runs, and what comes in between would be lost.
impl ConnectHandler<LocalAdapter, ()> for Door {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, _auth: Option<Value>) {
        if let Some(link) = link_of(&socket) {
            let namespace = self.namespace.as_str();
            if let Some(session) = link.opened(namespace) {
                // Taken in any case: nothing of it stays.
                let query = link.query(namespace);
                if self.protocol == Protocol::Lobby {
                    let queries = [query.as_deref(), socket.req_parts().uri.query()];
                    let answer = session.answer("JOIN".to_owned(), None);
                    lobby::arrive(queries.into_iter().flatten(), &answer);
                }
                session.opened();
            }
            link.answered(namespace, true);
        }
    }

    fn call_middleware<'a>(
        &'a self,
        socket: Arc<Socket<LocalAdapter>>,
        _auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        let opened = self.open(&socket);
        if opened.is_err()
            && let Some(link) = link_of(&socket)
        {
            link.answered(self.namespace.as_str(), false);
        }
        Box::pin(std::future::ready(opened))
    }
}
