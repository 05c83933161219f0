//! The task of one connection: handshake, HTTP, end. Gives requests to a service
//! and knows nothing of what it does with them.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::debug;

use super::addresses::Place;
use super::connections::Connections;
use super::counted::{CountedBody, refusal};
use super::limits::Limits;
use super::refusals::Reason;
use super::refuse;
use super::request::{ClientSource, ConnectionHandle, PeerAddr, asks_for_websocket, refresh};
use super::reserve::{self, Reserve, Reserved};
use super::socket::{Kill, Socket};
use super::stream::Stream;
use super::tcp::Tcp;
use super::tls;

/// Largest request head, and hyper's largest read buffer: cookies of a shared
/// domain make heads of some 10 KiB.
const HEAD_MAX: usize = 64 * 1024;

/// Detects a peer that vanished while the server sends nothing to it: after 30 s of silence the
/// kernel sends three probes, 15 s apart. [`USER_TIMEOUT`] applies as well where the system has it.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(15))
    .with_retries(3);

/// How long a peer may leave data, or a probe of its closed window, unacknowledged before the
/// kernel ends the connection; by default Linux tries for 15 minutes. All transports send something
/// at least every 30 s, so the server notices within 90 s that a peer has vanished.
#[cfg(any(target_os = "android", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// One year, as is usual (RFC 6797). Without subdomains, which may be other servers.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// How many unsent bytes the kernel holds for a connection. By default it holds up to 4 MiB for
/// each client that stalls. It reports room only when half of this is free: if this were large, a
/// client on a slow link would look like one that takes nothing.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_MAX: u32 = 64 * 1024;

/// What all connections of one listener share.
pub(super) struct Host {
    pub(super) tls: Option<tls::Acceptor>,
    pub(super) limits: Limits,
    pub(super) shutdown: CancellationToken,
    pub(super) connections: Connections,
    pub(super) reserve: Reserve,
}

impl Host {
    /// Counts a new connection. If clients have taken all connections, it takes one of the
    /// reserve. Returns the stream if there is no connection left.
    pub(super) fn admit(
        &self,
        tcp: TcpStream,
        place: Place,
    ) -> Result<AdmittedConnection, TcpStream> {
        let is_full = self.connections.open_to_clients() >= self.limits.connections;
        if is_full && self.limits.essential.is_none() {
            return Err(tcp);
        }
        prepare(&tcp);
        let socket = match is_full {
            true => self.connections.admit_reserved(tcp, self.limits.write),
            false => self.connections.admit(tcp, self.limits.write),
        };
        socket.keep(place);
        let reserved = is_full.then(|| self.reserve.admit(Kill::of(&socket)));
        let tcp = Tcp::new(socket);
        Ok(AdmittedConnection { tcp, reserved })
    }

    /// Serves a connection to its end, or to its upgrade.
    pub(super) async fn run<S, B>(
        self: Arc<Self>,
        admitted: AdmittedConnection,
        peer: PeerAddr,
        service: S,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let AdmittedConnection { tcp, reserved } = admitted;
        let header = match reserved {
            Some(_) => self.limits.header.min(reserve::HEADER),
            None => self.limits.header,
        };
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
        let host = &self;
        let answer = service_fn(move |request: Request<Incoming>| {
            let handle = handle.clone();
            let service = service.clone();
            let reserved = reserved.clone();
            async move {
                // Pipelined requests are already here: let other tasks run in between.
                yield_now().await;
                let upgrade = asks_for_websocket(request.headers());
                let (source, place) = match host.let_in(&request, peer, reserved.as_ref()) {
                    Ok(let_in) => let_in,
                    Err(reason) => {
                        handle.stays_http(upgrade);
                        let mut response = refusal(reason);
                        secure(response.headers_mut(), is_certified);
                        return Ok(response);
                    }
                };
                let request = refresh(request, peer, source, handle.clone());
                let mut response = service.oneshot(request).await?;
                if reserved.is_some() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    handle.stays_http(upgrade);
                    secure(response.headers_mut(), is_certified);
                    return Ok(response.map(|body| CountedBody::new(body, place)));
                }
                if let Some(place) = Some(place).filter(Place::is_taken) {
                    handle.keep(place);
                }
                Ok::<_, Infallible>(response.map(|body| CountedBody::new(body, Place::default())))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header)
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

    /// Returns the address that a request counts for, and the place that it takes there.
    fn let_in<B>(
        &self,
        request: &Request<B>,
        PeerAddr(peer): PeerAddr,
        reserved: Option<&Reserved>,
    ) -> Result<(ClientSource, Place), Reason> {
        let addresses = &self.limits.addresses;
        let source = addresses.source_of(peer, request.headers());
        let admitted = || {
            if let (Some(reserved), Some(serves)) = (reserved, self.limits.essential) {
                reserved.is_at_work();
                if !serves(request.method(), request.uri().path()) {
                    return Err(Reason::Full);
                }
            }
            // A direct client already has a place for its connection.
            match addresses.is_trusted(peer.ip()) {
                false => Ok(Place::default()),
                true if asks_for_websocket(request.headers()) => addresses.connect(source),
                true => addresses.request(source),
            }
        };
        let refused = |reason| {
            let address = addresses.sender(peer, request.headers());
            addresses.refusals().note(reason, address);
            reason
        };
        let place = admitted().map_err(refused)?;
        Ok((ClientSource(source), place))
    }

    /// The stream of a new connection; none if it was told to use HTTPS.
    async fn open(&self, mut tcp: Tcp) -> io::Result<Option<Stream>> {
        let Some(tls) = &self.tls else {
            return Ok(Some(self.stream(tcp.socket().clone())));
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
        Ok(Some(self.stream(socket)))
    }

    fn stream(&self, socket: Arc<Socket>) -> Stream {
        let memory = self.limits.addresses.memory().clone();
        Stream::new(socket, self.limits.hold, memory)
    }

    /// Answers a connection above a limit with the reason.
    pub(super) async fn refuse(&self, mut tcp: TcpStream, reason: Reason) {
        let answer = match reason.is_of_address() {
            true => refuse::ADDRESS_FULL,
            false => refuse::FULL,
        };
        // Also over TLS: a browser shows nothing of a plain answer.
        let Some(tls) = &self.tls else {
            return answer.send(&mut tcp).await;
        };
        if let Ok(Ok(mut tcp)) = timeout(refuse::LINGER, tls.accept(tcp)).await {
            answer.send(&mut tcp).await;
        }
    }
}

/// Sets the security headers of an answer: browsers must not guess its content type, and,
/// if the certificate is the operator's own, use only HTTPS from now on. With a
/// self-signed certificate HSTS would lock browsers out.
fn secure(headers: &mut HeaderMap, is_certified: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_certified {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// An admitted connection.
pub(super) struct AdmittedConnection {
    tcp: Tcp,
    /// Its place in the reserve, if it has taken one.
    reserved: Option<Reserved>,
}

/// A TLS record of type handshake, which opens every TLS connection
/// (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

fn handshake_failed(peer: PeerAddr, reason: &'static str, error: &dyn std::fmt::Display) {
    metrics::counter!("roomcast_handshakes_failed_total", "reason" => reason).increment(1);
    debug!(peer = %peer.0, %error, "no connection after the handshake");
}

fn prepare(tcp: &TcpStream) {
    let socket = SockRef::from(tcp);
    let options = tcp
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&KEEPALIVE));
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let options = options
        .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_MAX))
        .and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if let Err(error) = options {
        // The peer is gone already, as a rule.
        debug!(%error, "cannot set socket options");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Every listener admits its connections by this function.
    #[tokio::test]
    async fn an_admitted_socket_has_its_timeouts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap());
        let (_peer, accepted) = tokio::join!(peer, listener.accept());
        let host = Host {
            tls: None,
            limits: Limits::default(),
            shutdown: CancellationToken::new(),
            connections: Connections::default(),
            reserve: Reserve::default(),
        };
        let admitted = host.admit(accepted.unwrap().0, Place::default()).ok();
        let admitted = admitted.expect("the server is full");
        let socket = SockRef::from(admitted.tcp.socket().tcp());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert!(socket.keepalive().unwrap());
        let silence = Duration::from_secs(30);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), silence);
        assert!(silence + USER_TIMEOUT <= Duration::from_secs(90));
    }
}
