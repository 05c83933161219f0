//! The task of one connection: handshake, HTTP, end. Gives requests to a service
//! and knows nothing of what it does with them.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::debug;

use super::connections::Connections;
use super::limits::Limits;
use super::refuse;
use super::request::{ConnectionHandle, PeerAddr, asks_for_websocket, refresh};
use super::socket::Kill;
use super::stream::Stream;
use super::tcp::Tcp;
use super::tls;

/// Largest request head, and hyper's largest read buffer: cookies of a shared
/// domain make heads of some 10 KiB.
const HEAD_MAX: usize = 64 * 1024;

/// Finds a peer that vanished in about two minutes: a minute of silence, then
/// four probes. Engines have their own pings; SSE and idle HTTP have not.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// A year, as is usual (RFC 6797). Not for subdomains, which are not ours.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Bytes the kernel takes that it has not sent yet. By itself it takes up to
/// 4 MiB: that much for each client that stalls, and room is reported only when
/// a third of it has become free, so a slow peer would look like a stalled one.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_MAX: u32 = 128 * 1024;

/// What all connections of one listener share.
pub(super) struct Host {
    pub(super) tls: Option<tls::Acceptor>,
    pub(super) limits: Limits,
    pub(super) shutdown: CancellationToken,
    pub(super) connections: Connections,
}

impl Host {
    /// A new connection, counted from here on.
    pub(super) fn admit(&self, tcp: TcpStream) -> Tcp {
        prepare(&tcp);
        Tcp::new(self.connections.admit(tcp, self.limits.write))
    }

    /// Serves a connection to its end, or to its upgrade.
    pub(super) async fn run<S, B>(self: Arc<Self>, tcp: Tcp, peer: PeerAddr, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let stream = tokio::select! {
            () = self.shutdown.cancelled() => return,
            stream = timeout(self.limits.handshake, self.open(tcp)) => match stream {
                Ok(Ok(Some(stream))) => stream,
                Ok(Ok(None)) => return,
                Ok(Err(error)) => return handshake_failed(peer, "error", &error),
                Err(late) => return handshake_failed(peer, "timeout", &late),
            },
        };
        let handle = ConnectionHandle::new(Kill::of(stream.socket()));
        let is_certified = self.tls.as_ref().is_some_and(tls::Acceptor::is_certified);
        let answer = service_fn(move |request: Request<Incoming>| {
            let handle = handle.clone();
            let service = service.clone();
            async move {
                let upgrade = asks_for_websocket(request.headers());
                let request = refresh(request, peer, handle.clone());
                let mut response = service.oneshot(request).await?;
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    handle.stays_http(upgrade);
                    secure(response.headers_mut(), is_certified);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), answer)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(peer = %peer.0, %error, "connection ended");
        }
    }

    /// The stream of a new connection; none if it was told to use HTTPS.
    async fn open(&self, mut tcp: Tcp) -> io::Result<Option<Stream>> {
        let Some(tls) = &self.tls else {
            return Ok(Some(Stream::new(tcp.socket().clone(), self.limits.hold)));
        };
        let mut first = [0];
        if tcp.socket().tcp().peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != TLS_HANDSHAKE {
            refuse::SPEAKS_HTTPS.send(&mut tcp).await;
            return Ok(None);
        }
        let (tcp, tls) = tls.accept(tcp).await?.into_inner();
        let socket = tcp.socket().clone();
        socket.out().use_tls(tls);
        Ok(Some(Stream::new(socket, self.limits.hold)))
    }

    /// Tells a connection above the limit so.
    pub(super) async fn refuse(&self, mut tcp: TcpStream) {
        // Also over TLS: a browser shows nothing of a plain answer.
        let Some(tls) = &self.tls else {
            return refuse::FULL.send(&mut tcp).await;
        };
        if let Ok(Ok(mut tcp)) = timeout(refuse::LINGER, tls.accept(tcp)).await {
            refuse::FULL.send(&mut tcp).await;
        }
    }
}

/// Makes sure that a browser takes an answer for nothing but what it says it is, and,
/// where it has seen a certificate of the operator's own, comes by HTTPS again: to a
/// self-signed one it would never come back.
fn secure(headers: &mut HeaderMap, is_certified: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_certified {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// A TLS record of type handshake, which opens every TLS connection
/// (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

fn handshake_failed(peer: PeerAddr, reason: &'static str, error: &dyn std::fmt::Display) {
    metrics::counter!("roomcast_handshakes_failed_total", "reason" => reason).increment(1);
    debug!(peer = %peer.0, %error, "no connection after the handshake");
}

fn prepare(tcp: &TcpStream) {
    let options = tcp
        .set_nodelay(true)
        .and_then(|()| SockRef::from(tcp).set_tcp_keepalive(&KEEPALIVE));
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let options = options.and_then(|()| SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT_MAX));
    if let Err(error) = options {
        // The peer is gone already, as a rule.
        debug!(%error, "cannot set socket options");
    }
}
