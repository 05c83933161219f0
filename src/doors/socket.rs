//! A WebSocket that a door reads itself: how it is opened, pinged, and read one
//! message after the other. What is sent on it goes by its wire. Knows no message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::net::frame::ping_frame;
use crate::net::{ConnectionHandle, Upgraded, Wire, upgraded};

/// How often the server asks whether a peer is there. Under the minute after
/// which proxies close what is silent; the same as Socket.IO's here.
const PING_EVERY: Duration = Duration::from_secs(25);

/// How many pings in a row may stay without a word of the peer.
const PINGS_UNANSWERED: u32 = 2;

/// How long a peer may take to take a close frame: it has just sent one itself.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much is read at once: a ping, a pong, a close frame, or a short message.
const READ_BYTES: usize = 256;

/// A request for a WebSocket, to be answered.
pub(super) struct Asked {
    answer: http::Response<()>,
    upgrade: OnUpgrade,
    connection: ConnectionHandle,
}

impl Asked {
    /// What was asked for, if the request is one for a WebSocket; else its answer.
    pub(super) fn of(mut request: Request) -> Result<Self, Box<Response>> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let connection = request.extensions_mut().remove::<ConnectionHandle>();
        let answer = create_response(&request.map(|_| ()));
        match (answer, upgrade, connection) {
            (Ok(answer), Some(upgrade), Some(connection)) => Ok(Self {
                answer,
                upgrade,
                connection,
            }),
            (Err(wrong), Some(_), _) => {
                let why = format!("{wrong}\n");
                Err(Box::new((StatusCode::BAD_REQUEST, why).into_response()))
            }
            _ => {
                let asked = [(header::UPGRADE, HeaderValue::from_static("websocket"))];
                let why = "This is a WebSocket: connect to it with ws:// or wss://\n";
                let refused = (StatusCode::UPGRADE_REQUIRED, asked, why);
                Err(Box::new(refused.into_response()))
            }
        }
    }

    /// Opens it, and serves it in a task of its connection; `serve` is dropped where
    /// the peer is gone before it is open.
    pub(super) fn open<F>(
        self,
        serve: impl FnOnce(Upgraded, Wire) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let wire = self.connection.wire();
        let upgrade = self.upgrade;
        self.connection.spawn(async move {
            if let Some(stream) = upgraded(upgrade).await {
                serve(stream, wire).await;
            }
        });
        self.answer.map(|()| Body::empty())
    }
}

/// Answers a request for a WebSocket, and serves it; refuses what is none.
pub(super) fn open_socket<F>(
    request: Request,
    serve: impl FnOnce(Upgraded, Wire) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    match Asked::of(request) {
        Ok(asked) => asked.open(serve),
        Err(refusal) => *refusal,
    }
}

/// The inbound half of a WebSocket.
pub(super) struct Reader {
    socket: WebSocketStream<Heard>,
    wire: Wire,
    ping: Interval,
    unanswered: u32,
    unanswered_most: u32,
}

/// When a peer counts as gone that says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// How often it is asked whether it is there.
    pub(super) ping_every: Duration,
    /// How many pings in a row may stay without a word of it.
    pub(super) unanswered: u32,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            ping_every: PING_EVERY,
            unanswered: PINGS_UNANSWERED,
        }
    }
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The peer has closed it, is gone, or does not speak the protocol.
    Gone,
    /// It has sent more in one message than is read.
    TooBig,
}

impl Reader {
    /// Reads messages of at most so many bytes.
    pub(super) async fn new(
        stream: Upgraded,
        wire: Wire,
        message_most: usize,
        silence: Silence,
    ) -> Self {
        let config = limits(message_most);
        let every = silence.ping_every;
        let heard = Heard {
            stream,
            anything: false,
        };
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket: WebSocketStream::from_raw_socket(heard, Role::Server, Some(config)).await,
            wire,
            ping,
            unanswered: 0,
            unanswered_most: silence.unanswered,
        }
    }

    /// The next message: text, bytes, a ping or a pong. To be asked for as long as
    /// the connection lives, since it is pinged meanwhile. May be dropped.
    ///
    /// # Errors
    /// There is none any more.
    pub(super) async fn next(&mut self) -> Result<Message, Ended> {
        loop {
            tokio::select! {
                // What is there already comes first: who was not read for a while may
                // have answered long ago.
                biased;
                read = self.socket.next() => return match read {
                    Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                        Err(Ended::TooBig)
                    }
                    Some(Ok(Message::Close(_))) => {
                        self.say_goodbye().await;
                        Err(Ended::Gone)
                    }
                    Some(Err(_)) | None => Err(Ended::Gone),
                    Some(Ok(message)) => {
                        self.unanswered = 0;
                        Ok(message)
                    }
                },
                _ = self.ping.tick() => {
                    // A long message that is under way is a word too.
                    if std::mem::take(&mut self.socket.get_mut().anything) {
                        self.unanswered = 0;
                    }
                    let is_silent = self.unanswered == self.unanswered_most;
                    if is_silent || self.wire.send(&ping_frame()).is_err() {
                        self.wire.kill();
                        return Err(Ended::Gone);
                    }
                    self.unanswered += 1;
                }
            }
        }
    }

    /// Answers the peer's close frame (RFC 6455, section 5.5.1), which the engine has
    /// ready; else a browser takes the end for an accident.
    async fn say_goodbye(&mut self) {
        // Who does not take it is gone anyway.
        let _ = timeout(GOODBYE, self.socket.flush()).await;
    }
}

/// How the library reads messages of at most so many bytes.
fn limits(message_most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(message_most))
        .max_frame_size(Some(message_most))
}

/// A stream that notes whether anything came.
struct Heard {
    stream: Upgraded,
    anything: bool,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.anything |= buf.filled().len() > before;
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
