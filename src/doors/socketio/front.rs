//! What comes before the engine: each request is brought together with its
//! session. Knows requests, and nothing of what packets mean.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode, Uri, header};
use hyper::body::{Body as HttpBody, Incoming};
use ipnet::IpNet;
use socketioxide::TransportType;
use socketioxide::socket::Sid;
use tokio::sync::oneshot;
use tower::{BoxError, Service};

use super::PATH;
use super::client_script::{self, ClientScript};
use super::head;
use super::link::{Link, Opener};
use super::packet::Version;
use super::payload::Framing;
use super::polling::{self, Polled};
use super::post::{self, BodyMemory, Post};
use super::refusal::{busy, refusal};
use super::rule::PacketRule;
use super::sessions::Sessions;
use super::websocket::{self, Moving};
use crate::net::peer::sender;
use crate::net::{ConnectionHandle, PeerAddr, Upgraded};

/// The engine, behind what is done to its requests and answers.
#[derive(Clone)]
pub struct Front<S> {
    pub(super) engine: S,
    pub(super) sessions: Sessions,
    pub(super) trusted: Arc<[IpNet]>,
    /// The largest packet that is read, in bytes.
    pub(super) packet_bytes: usize,
    pub(super) body_memory: BodyMemory,
    /// The Socket.IO client that pages load, if there is one.
    pub(super) script: Option<ClientScript>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S, B> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Service<(Upgraded, Request<()>), Response = ()>,
    S: Clone + Send + 'static,
    <S as Service<Request<Body>>>::Future: Send,
    <S as Service<(Upgraded, Request<()>)>>::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.engine, cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        if !is_engines(request.uri().path()) {
            let answer = self.engine.call(request.map(Body::new));
            return Box::pin(async { Ok(answer.await?.map(Body::new)) });
        }
        if let Some(answer) = client_script::answer(self.script.as_ref(), &request) {
            return Box::pin(std::future::ready(Ok(answer)));
        }
        let asked = match Asked::of(&request) {
            Ok(asked) => asked,
            Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
        };
        let request = asked.rebuilt(request);
        let transport = asked.transport;
        let peer = request.extensions().get::<PeerAddr>().copied();
        let connection = request.extensions().get::<ConnectionHandle>().cloned();
        let (Some(PeerAddr(peer)), Some(connection)) = (peer, connection) else {
            // Every request of a listener carries both.
            return refuse(StatusCode::BAD_REQUEST, BAD_REQUEST);
        };
        let address = sender(peer, request.headers(), &self.trusted).address;
        let link = match asked.sid {
            Some(sid) => match self.session(sid, address) {
                Some(link) => link,
                None => return refuse(StatusCode::BAD_REQUEST, UNKNOWN),
            },
            None => {
                let opener = Opener {
                    address,
                    source: self.sessions.source(address),
                    version: asked.version,
                    is_base64: asked.is_base64,
                    deaf_to_close: is_deaf_to_close(&request),
                };
                match self.sessions.open(opener) {
                    Ok(link) => link,
                    Err(reason) if reason.is_of_address() => {
                        return come_back(StatusCode::TOO_MANY_REQUESTS, ADDRESS_FULL);
                    }
                    Err(_full) => return come_back(StatusCode::SERVICE_UNAVAILABLE, FULL),
                }
            }
        };
        if transport == TransportType::Polling && link.is_on_websocket() {
            // Before anything of it is taken for the session's.
            return refuse(StatusCode::BAD_REQUEST, BAD_REQUEST);
        }
        let most = self.packet_bytes;
        let is_binary = !(asked.is_base64 || link.opener.is_base64);
        let framing = Framing::of(link.opener.version, is_binary);
        let mut engine = self.engine.clone();
        match (transport, asked.sid, request.method()) {
            (TransportType::Websocket, None, _) => {
                // Too late only where the connection is gone.
                let rule = PacketRule::opened(link.clone(), connection.wire(), most);
                let _ = connection.set_rule(rule);
                Box::pin(websocket::opened(engine, request, link, connection))
            }
            (TransportType::Websocket, Some(sid), _) => {
                let (trying, tried) = oneshot::channel();
                let wire = connection.wire();
                let rule = PacketRule::upgrading(link.clone(), wire, trying, most);
                // Too late only where the connection is gone.
                let _ = connection.set_rule(rule);
                let moving = Moving {
                    close: post::close(sid),
                    link,
                    tried,
                };
                Box::pin(websocket::upgrading(engine, request, moving, connection))
            }
            (TransportType::Polling, Some(sid), &Method::POST) => {
                let Some(posting) = link.posts() else {
                    return refuse(StatusCode::BAD_REQUEST, OVERLAPS);
                };
                let post = Post {
                    sid,
                    link,
                    packet_most: most,
                    memory: self.body_memory.clone(),
                };
                let (tell, answered) = oneshot::channel();
                // In a task of its own: its packets are handled even if the client, or a proxy,
                // does not wait for the answer.
                connection.spawn(async move {
                    let Ok(answer) = post.answered(engine, request).await;
                    drop(posting);
                    // Nobody waits if the request was given up.
                    let _ = tell.send(answer);
                });
                Box::pin(async move {
                    Ok(answered
                        .await
                        .unwrap_or_else(|_| refusal(StatusCode::BAD_REQUEST, BAD_REQUEST)))
                })
            }
            (TransportType::Polling, Some(sid), _) => {
                let answer = engine.call(request.map(Body::new));
                let poll = Polled::new(link, framing, move || engine.call(post::close(sid)));
                Box::pin(poll.answered(answer))
            }
            (TransportType::Polling, None, _) => {
                let request = head::lean(request, Some(link.clone()));
                let answer = engine.call(request.map(Body::new));
                Box::pin(polling::opened(answer, link, framing))
            }
        }
    }
}

impl<S> Front<S> {
    /// The session, for whoever opened it.
    fn session(&self, sid: Sid, address: IpAddr) -> Option<Arc<Link>> {
        let link = self.sessions.find(sid)?;
        (link.opener.address == address && !link.is_closed()).then_some(link)
    }
}

/// As the engine says it; SDKs begin anew.
const UNKNOWN: &str = r#"{"code":"1","message":"Session ID unknown"}"#;

/// What the engine has no words for, such as a request of a session that does not poll any
/// more.
const BAD_REQUEST: &str = r#"{"code":"3","message":"Bad request"}"#;

const UNKNOWN_TRANSPORT: &str = r#"{"code":"0","message":"Transport unknown"}"#;
const BAD_METHOD: &str = r#"{"code":"2","message":"Bad handshake method"}"#;
const UNSUPPORTED_VERSION: &str = r#"{"code":"5","message":"Unsupported protocol version"}"#;

/// As Engine.IO's own server takes it.
const OVERLAPS: &str =
    r#"{"code":"3","message":"Bad request: another POST of the session is not answered yet"}"#;

const FULL: &str =
    r#"{"code":"full_sessions","message":"This server has no room for more sessions right now"}"#;

const ADDRESS_FULL: &str =
    r#"{"code":"address_sessions","message":"Your address has too many sessions right now"}"#;

fn refuse(status: StatusCode, why: &'static str) -> Answering {
    Box::pin(std::future::ready(Ok(refusal(status, why))))
}

fn come_back(status: StatusCode, why: &'static str) -> Answering {
    Box::pin(std::future::ready(Ok(busy(status, why))))
}

/// The start of the `User-Agent` of SDKs that do not handle a close frame. The server ends their
/// connections without one, which they notice at once.
///
/// OkHttp reads nothing behind a close frame, and engine.io-client-java 1 and 2 don't implement
/// the callback for it (`onClosing`): they would notice the end only when their heartbeat fails,
/// 45 s later. socketIO-client for Python (with `requests`) takes a close frame for an empty
/// packet, and the program ends with an `IndexError`.
const DEAF_TO_CLOSE: [&[u8]; 2] = [b"okhttp/", b"python-requests/"];

fn is_deaf_to_close<B>(request: &Request<B>) -> bool {
    let agent = request.headers().get(header::USER_AGENT);
    agent.is_some_and(|agent| {
        let agent = agent.as_bytes();
        DEAF_TO_CLOSE.iter().any(|start| agent.starts_with(start))
    })
}

/// Whether the engine serves this path.
fn is_engines(path: &str) -> bool {
    let rest = path.strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The query of an Engine.IO request.
#[derive(Debug)]
struct Asked {
    transport: TransportType,
    sid: Option<Sid>,
    /// Which counts for a session that is opened; later it is the session's.
    version: Version,
    /// The client cannot read binary bodies. SDKs say so only where they open a session.
    is_base64: bool,
    /// What is left of the query: a lobby's id may be in it.
    rest: String,
}

impl Asked {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// It is none of the engine's, or the method does not fit: the body of the refusal.
    fn of<B>(request: &Request<B>) -> Result<Self, &'static str> {
        let (mut transport, mut sid, mut version) = (None, None, None);
        let (mut is_base64, mut rest) = (false, Vec::new());
        for pair in request.uri().query().unwrap_or_default().split('&') {
            // Of a name that comes twice the first value counts.
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("transport", value) => drop(transport.get_or_insert(value)),
                ("sid", value) => drop(sid.get_or_insert(value)),
                ("EIO", value) => drop(version.get_or_insert(value)),
                ("b64", value) => is_base64 |= matches!(value, "1" | "true"),
                // Only keeps caches away.
                ("t", _) => {}
                _ => rest.push(pair),
            }
        }
        let version = match version {
            Some("4") => Version::V4,
            // Swift's SDK names none before 16, and Socket.IO's own server takes it so
            // (socketio/engine.io, pull request 616).
            Some("3") | None => Version::V3,
            Some(_) => return Err(UNSUPPORTED_VERSION),
        };
        let transport = match transport {
            Some("polling") => TransportType::Polling,
            Some("websocket") => TransportType::Websocket,
            _ => return Err(UNKNOWN_TRANSPORT),
        };
        let sid = sid
            .map(|sid| sid.parse().map_err(|_| UNKNOWN))
            .transpose()?;
        match (request.method(), transport, sid) {
            (&Method::GET, _, _) | (&Method::POST, TransportType::Polling, Some(_)) => {}
            (_, _, None) => return Err(BAD_METHOD),
            _ => return Err(BAD_REQUEST),
        }
        Ok(Self {
            transport,
            sid,
            version,
            is_base64,
            rest: rest.join("&"),
        })
    }

    /// The request with a query that the engine reads as it was read here.
    fn rebuilt<B>(&self, mut request: Request<B>) -> Request<B> {
        let (version, transport) = (self.version.number(), transport_name(self.transport));
        let mut target = format!("{PATH}/?EIO={version}&transport={transport}");
        if let Some(sid) = self.sid {
            target += &format!("&sid={sid}");
        }
        // The engine then frames all answers of v3 alike, and `polling` reframes them.
        let opens_v3 = self.version == Version::V3
            && self.transport == TransportType::Polling
            && self.sid.is_none();
        if self.is_base64 || opens_v3 {
            target += "&b64=1";
        }
        if !self.rest.is_empty() {
            target.push('&');
            target += &self.rest;
        }
        *request.uri_mut() = Uri::try_from(target).expect("parts of a URI make a URI");
        request
    }
}

fn transport_name(transport: TransportType) -> &'static str {
    match transport {
        TransportType::Polling => "polling",
        TransportType::Websocket => "websocket",
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
