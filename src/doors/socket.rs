//! A WebSocket that a door reads itself: how it is opened, pinged, and read one
//! message after the other. What is sent on it goes by its wire. Knows no message.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
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

/// How much is read at once: a ping, a pong, a close frame, or a short message.
const READ_BYTES: usize = 256;

/// Answers a request for a WebSocket, and serves it in a task of its connection;
/// refuses what is no such request.
pub(super) fn open_socket<F>(
    mut request: Request,
    serve: impl FnOnce(Upgraded, Wire) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let connection = request.extensions_mut().remove::<ConnectionHandle>();
    let answer = create_response(&request.map(|_| ()));
    match (answer, upgrade, connection) {
        (Ok(answer), Some(upgrade), Some(connection)) => {
            let wire = connection.wire();
            connection.spawn(async move {
                if let Some(stream) = upgraded(upgrade).await {
                    serve(stream, wire).await;
                }
            });
            answer.map(|()| Body::empty())
        }
        (Err(wrong), Some(_), _) => (StatusCode::BAD_REQUEST, format!("{wrong}\n")).into_response(),
        _ => {
            let asked = [(header::UPGRADE, HeaderValue::from_static("websocket"))];
            let why = "This is a WebSocket: connect to it with ws:// or wss://\n";
            (StatusCode::UPGRADE_REQUIRED, asked, why).into_response()
        }
    }
}

/// The inbound half of a WebSocket.
pub(super) struct Reader {
    socket: WebSocketStream<Upgraded>,
    wire: Wire,
    ping: Interval,
    unanswered: u32,
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
    pub(super) async fn new(stream: Upgraded, wire: Wire, message_most: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(message_most))
            .max_frame_size(Some(message_most));
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            wire,
            ping,
            unanswered: 0,
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
                read = self.socket.next() => return match read {
                    Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                        Err(Ended::TooBig)
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ended::Gone),
                    Some(Ok(message)) => {
                        self.unanswered = 0;
                        Ok(message)
                    }
                },
                _ = self.ping.tick() => {
                    let is_silent = self.unanswered == PINGS_UNANSWERED;
                    if is_silent || self.wire.send(&ping_frame()).is_err() {
                        self.wire.kill();
                        return Err(Ended::Gone);
                    }
                    self.unanswered += 1;
                }
            }
        }
    }
}
