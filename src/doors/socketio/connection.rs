//! What comes before the engine: a client's packets wait for its CONNECT.
//! Knows requests and a packet's first characters, no client and no verb.
//!
//! The engine opens a namespace in a task of its own and closes the session on
//! whatever comes for the namespace before that task is through.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use socketioxide::TransportType;
use tower::{BoxError, Service};

use super::connecting::Connecting;
use super::payload::Framing;
use super::polling;
use crate::net::frame::Frame;
use crate::net::{ConnectionHandle, FrameRule, Next};

/// A text frame's opcode (RFC 6455, section 5.2).
const TEXT: u8 = 1;

/// Has each CONNECT answered before the client is read on.
#[derive(Clone)]
pub struct Ordered<S> {
    pub(super) engine: S,
    pub(super) connecting: Connecting,
    /// The largest polling body that is read.
    pub(super) packet_bytes: usize,
}

impl<S, B> Service<Request<Incoming>> for Ordered<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.engine.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let asked = Asked::of(&request);
        let upgrade = asked.transport == Some(TransportType::Websocket);
        if upgrade && let Some(connection) = request.extensions().get::<ConnectionHandle>() {
            // Too late only where the connection is gone.
            let _ = connection.set_rule(ConnectFirst);
        }
        let post =
            asked.transport == Some(TransportType::Polling) && request.method() == Method::POST;
        if post && let Some(sid) = asked.sid {
            let posted = polling::Posted {
                sid,
                framing: asked.framing,
                bytes_most: self.packet_bytes,
            };
            let (mut engine, connecting) = (self.engine.clone(), self.connecting.clone());
            let pass = move |request| engine.call(request);
            return Box::pin(polling::post(request, posted, connecting, pass));
        }
        let answer = self.engine.call(request.map(Body::new));
        Box::pin(async { Ok(answer.await?.map(Body::new)) })
    }
}

/// What the query of an Engine.IO request says; of others nothing of interest.
struct Asked {
    transport: Option<TransportType>,
    sid: Option<socketioxide::socket::Sid>,
    framing: Framing,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let query = if request.uri().path().starts_with(PATH) {
            query
        } else {
            ""
        };
        let value = |name: &str| {
            let pair = query.split('&').filter_map(|pair| pair.split_once('='));
            pair.filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .next()
        };
        Self {
            transport: value("transport").and_then(|name| name.parse().ok()),
            sid: value("sid").and_then(|sid| sid.parse().ok()),
            framing: match value("EIO") {
                Some("3") => Framing::Counted,
                _ => Framing::Separated,
            },
        }
    }
}

/// Where the engine serves; its default, and the SDKs'.
const PATH: &str = "/socket.io";

/// Holds back what a client sends behind its CONNECT until that is answered.
///
/// Packets as in Engine.IO v4 ("message", `4`) and Socket.IO v5 (CONNECT `0`,
/// CONNECT_ERROR `4`).
struct ConnectFirst;

impl FrameRule for ConnectFirst {
    fn inbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.header.opcode == TEXT && frame.start.starts_with(b"40") {
            Next::Wait
        } else {
            Next::Read
        }
    }

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        let answers = frame.start.starts_with(b"40") || frame.start.starts_with(b"44");
        if frame.header.opcode == TEXT && answers {
            Next::Read
        } else {
            Next::Wait
        }
    }
}
