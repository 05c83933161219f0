//! A WebSocket that a door reads itself: how it is opened, pinged, and read one
//! message after the other. What is sent on it goes by its wire. Knows no message.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::OptionFuture;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tracing::debug;

use crate::net::frame::{close_frame, ping_frame};
use crate::net::{ConnectionHandle, Message, ProtocolError, ReadError, Upgraded, Wire, upgraded};

/// How often the server asks whether a peer is there. Under the minute after
/// which proxies close what is silent; the same as Socket.IO's here.
const PING_EVERY: Duration = Duration::from_secs(25);

/// How many pings in a row may stay without a word of the peer.
const PINGS_UNANSWERED: u32 = 2;

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
        let request = request.map(|_| ());
        let answer = create_response(&request);
        match (answer, upgrade, connection) {
            (Ok(mut answer), Some(upgrade), Some(connection)) => {
                if let Some(first) = subprotocol(request.headers()) {
                    answer
                        .headers_mut()
                        .insert(header::SEC_WEBSOCKET_PROTOCOL, first);
                }
                Ok(Self {
                    answer,
                    upgrade,
                    connection,
                })
            }
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

/// The longest subprotocol that the server answers, in bytes: registered names have about 40 at
/// most.
const SUBPROTOCOL_MOST: usize = 256;

/// The first subprotocol that the client offers (RFC 6455, section 4.2.2). The server speaks none
/// of them, but browsers and other clients that offer some close the connection if none is
/// answered.
fn subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    let mut offers = offers.flat_map(|offers| offers.as_bytes().split(|byte| *byte == b','));
    // A copy, because a slice would keep the whole request in memory.
    offers.find_map(|offer| {
        let offer = offer.trim_ascii();
        let is_one = (1..=SUBPROTOCOL_MOST).contains(&offer.len())
            && offer.iter().all(|byte| is_token(*byte));
        HeaderValue::from_bytes(offer).ok().filter(|_| is_one)
    })
}

/// Whether a byte may be in a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
    stream: Upgraded,
    wire: Wire,
    message_most: usize,
    ping: Interval,
    unanswered: u32,
    unanswered_most: u32,
    /// The moment before which the client is not read, if it has sent too fast.
    paused_until: Option<Instant>,
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

impl Reader {
    /// Reads messages of at most so many bytes.
    pub(super) fn new(stream: Upgraded, wire: Wire, message_most: usize, silence: Silence) -> Self {
        let every = silence.ping_every;
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream,
            wire,
            message_most,
            ping,
            unanswered: 0,
            unanswered_most: silence.unanswered,
            paused_until: None,
        }
    }

    /// Keeps [`Reader::next`] from reading a message before this moment.
    pub(super) fn pause_until(&mut self, moment: Option<Instant>) {
        self.paused_until = moment;
    }

    /// Reads the next message: text, bytes or a pong. Call it for as long as the connection
    /// lives: it also sends the pings. Cancel-safe.
    ///
    /// # Errors
    /// The client has closed or violated the protocol. In the latter case it is closed here,
    /// unless its message is too big: then the transport closes it with its own reason.
    pub(super) async fn next(&mut self) -> Result<Message, ReadError> {
        loop {
            tokio::select! {
                // Messages that have already arrived come first: if the server did not read
                // for a while, the answer to a ping may be among them.
                biased;
                Some(()) = OptionFuture::from(self.paused_until.map(sleep_until)) => {
                    self.paused_until = None;
                }
                read = self.stream.message(self.message_most), if self.paused_until.is_none() => {
                    self.unanswered = 0;
                    if let Err(ReadError::Protocol(error)) = &read {
                        self.refuse(error);
                    }
                    return read;
                }
                _ = self.ping.tick() => {
                    // A part of a long message also shows that the peer is alive. While output
                    // waits for it, a pong may be late: then the write deadline decides.
                    let is_read = self.stream.has_received() || self.paused_until.is_some();
                    if is_read || self.wire.is_slow() {
                        self.unanswered = 0;
                    }
                    let is_silent = self.unanswered == self.unanswered_most;
                    if is_silent || self.wire.send(&ping_frame()).is_err() {
                        self.wire.kill();
                        return Err(ReadError::Gone);
                    }
                    self.unanswered += 1;
                }
            }
        }
    }

    fn refuse(&self, error: &ProtocolError) {
        debug!(%error, "a client violated the WebSocket protocol");
        if !matches!(error, ProtocolError::TooBig { .. }) {
            let close = close_frame(error.close_code(), &error.to_string());
            self.wire.close(close);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subprotocol_that_is_one_is_answered() {
        let long = "x".repeat(SUBPROTOCOL_MOST + 1);
        for (offers, expected) in [
            (&[][..], None),
            (&["chat"], Some("chat")),
            (&["v12.stomp, v11.stomp"], Some("v12.stomp")),
            (&[" , chat"], Some("chat")),
            (&["a b,\"c\",d/e , f"], Some("f")),
            (&["", "chat"], Some("chat")),
            (&["\u{e9}"], None),
            (&["a:b"], None),
            (&[&long], None),
        ] {
            let mut headers = HeaderMap::new();
            for offer in offers {
                let value = HeaderValue::from_bytes(offer.as_bytes()).unwrap();
                headers.append(header::SEC_WEBSOCKET_PROTOCOL, value);
            }
            let found = subprotocol(&headers);
            let found = found.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(found, expected, "{offers:?}");
        }
    }
}
