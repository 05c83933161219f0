//! A polling client's POSTs, around the engine. All packets of a POST are checked before the
//! engine receives the first one. The engine receives them up to each CONNECT, and the rest
//! once that CONNECT is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode, Uri, header};
use hyper::body::{Body as HttpBody, Incoming};
use socketioxide::socket::Sid;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, Service};

use super::PATH;
use super::link::{HEARTBEAT_EVERY, Link};
use super::packet::{PROTOCOL_ERROR, Packet, PacketKind};
use super::payload::{self, Framing, PayloadError, SEPARATOR};
use super::refusal::{bad_request, busy};
use crate::core::outlet::CloseReason;
use crate::doors::{BODY_MOST, read_body};
use crate::net::{LargeMemory, NoMemory, Reservation};

/// The longest POST body that is read, in bytes. SDKs of version 1 and 2 send everything that
/// waits in one body and do not split it; 10 MiB is 10,000 messages of 1 KiB.
const POST_BYTES: usize = 10 << 20;

/// The most bytes of large bodies that are held at once: two of the largest and many of the
/// usual size. A server that has 256 MiB can spare them, whatever clients send.
const BODIES_MOST: usize = 24 << 20;

/// The most bytes of large bodies whose clients send too fast: they wait for minutes, and the
/// bodies of others must not wait for them.
const SLOW_BODIES_MOST: usize = 64 << 20;

/// A body up to this size needs no reservation: the POSTs of clients in normal use, which
/// never wait for large ones. Each session has one POST at a time.
const SMALL_BODY: usize = 16 << 10;

/// How many packets the engine handles before other tasks run. If the client sends too fast, it is
/// one.
const AT_ONCE: usize = 16;

const NO_MEMORY: &str = r#"{"code":"busy","message":"This server holds too many large POST bodies right now; send this again later"}"#;

/// A POST of a polling session.
pub(super) struct Post {
    pub(super) sid: Sid,
    pub(super) link: Arc<Link>,
    /// The longest packet that the server reads, in bytes.
    pub(super) packet_most: usize,
    pub(super) memory: BodyMemory,
}

/// The memory for the large bodies of all sessions.
#[derive(Clone)]
pub(super) struct BodyMemory {
    /// For bodies that are read and handled at once.
    reading: LargeMemory,
    /// For bodies of clients that send too fast.
    slow: LargeMemory,
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self {
            reading: LargeMemory::new(BODIES_MOST),
            slow: LargeMemory::new(SLOW_BODIES_MOST),
        }
    }
}

impl Post {
    /// Reads the whole body, then passes its packets to the `engine`: up to a CONNECT, and the
    /// rest once that CONNECT is answered.
    pub(super) async fn answered<S, B>(
        self,
        mut engine: S,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (link, framing) = (&self.link, self.framing(&request));
        let mut pauses = Pauses::new();
        // The client's data waits in its kernel.
        pauses.wait(link, self.sid, &mut engine).await;
        // Held until all packets are handled.
        let (body, mut memory) = match self.read(request).await {
            Ok(read) => read,
            Err(refusal) => return Ok(*refusal),
        };
        match self.check(&body, framing).await {
            Ok(()) => {}
            Err(error @ PayloadError::TooLong) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok(bad_request(status, &format!("Bad request: {error}")));
            }
            Err(error) => {
                link.refuse(PROTOCOL_ERROR, &error);
                let Ok(_ended) = engine.call(close(self.sid)).await;
                let status = StatusCode::BAD_REQUEST;
                return Ok(bad_request(status, &format!("Bad request: {error}")));
            }
        }
        let packets = payload::decode(&body, framing, self.packet_most);
        let mut batch = Batch::default();
        let mut answer = None;
        for packet in packets.into_iter().flatten().map_while(Result::ok) {
            let (mut connecting, mut leaving) = (None, None);
            let mut text = packet.encode();
            match &packet {
                Packet::Message(message) if message.kind == PacketKind::Connect => {
                    if link.admits(message) {
                        connecting = Some(link.expect(message.namespace));
                    } else {
                        // The engine answers a ping of v3 and a poll that waits: our own refusal
                        // is sent in that answer.
                        text = Packet::Ping.encode();
                    }
                }
                Packet::Message(message) if message.kind == PacketKind::Disconnect => {
                    leaving = Some(message.namespace);
                }
                _ => {}
            }
            if !batch.has_room(&text, self.packet_most) {
                let Ok(answered) = engine.call(post(self.sid, batch.take())).await;
                if !answered.status().is_success() {
                    return Ok(answered.map(Body::new));
                }
                consume_budget().await;
            }
            // After every call of the engine: the packets before this one are charged by now.
            if batch.packets == 0 && link.ready_at().is_some() {
                if !std::mem::replace(&mut batch.is_slow, true) {
                    let Some(slow) = self.slow_memory(body.len()) else {
                        link.close(CloseReason::TooFast, &[]);
                        let Ok(_ended) = engine.call(close(self.sid)).await;
                        return Ok(busy(StatusCode::SERVICE_UNAVAILABLE, NO_MEMORY));
                    };
                    memory = slow;
                }
                pauses.wait(link, self.sid, &mut engine).await;
            }
            batch.push(&text);
            answer = None;
            if packet == Packet::Close {
                // The session ignores packets behind a close packet.
                break;
            }
            if connecting.is_none() && leaving.is_none() {
                continue;
            }
            let Ok(answered) = engine.call(post(self.sid, batch.take())).await;
            if !answered.status().is_success() {
                return Ok(answered.map(Body::new));
            }
            answer = Some(answered);
            if let Some(namespace) = leaving {
                link.leaves(namespace);
            }
            if let Some(answered) = connecting {
                answered.await;
            }
            consume_budget().await;
        }
        let answer = match answer {
            // The last packet may have ended the session.
            Some(answer) => answer,
            None => engine.call(post(self.sid, batch.take())).await?,
        };
        drop((body, memory));
        pauses.wait(link, self.sid, &mut engine).await;
        Ok(answer.map(Body::new))
    }

    /// Reserves memory for a body whose client sends too fast; returns `None` if there is none.
    fn slow_memory(&self, bytes: usize) -> Option<Option<Reservation>> {
        if bytes <= SMALL_BODY {
            return Some(None);
        }
        let source = self.link.opener.source;
        self.memory.slow.try_reserve(source, bytes).map(Some)
    }

    fn framing<B>(&self, request: &Request<B>) -> Framing {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_binary = kind.is_some_and(|kind| kind == "application/octet-stream");
        Framing::of(self.link.opener.version, is_binary)
    }

    /// Reads the whole body before the engine receives any of it: a slow client must not block
    /// the engine. Returns it with its memory.
    async fn read(
        &self,
        request: Request<Incoming>,
    ) -> Result<(Bytes, Option<Reservation>), Box<Response<Body>>> {
        let most = POST_BYTES.max(self.packet_most);
        let body = request.into_body();
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > most as u64) {
            let refusal = bad_request(StatusCode::PAYLOAD_TOO_LARGE, "Bad request");
            return Err(refusal.into());
        }
        let length = length.map_or(most, |length| length as usize);
        let memory = if length <= SMALL_BODY {
            None
        } else {
            let source = self.link.opener.source;
            match self.memory.reading.reserve(source, length, BODY_MOST).await {
                Ok(memory) => Some(memory),
                Err(NoMemory) => {
                    return Err(busy(StatusCode::SERVICE_UNAVAILABLE, NO_MEMORY).into());
                }
            }
        };
        match read_body(body, most).await {
            Ok(body) => Ok((body, memory)),
            Err(unread) => Err(bad_request(unread.status(), "Bad request").into()),
        }
    }

    /// Checks all packets of a body. Other tasks run meanwhile.
    async fn check(&self, body: &[u8], framing: Framing) -> Result<(), PayloadError> {
        let missing = self.link.missing_attachments();
        for packet in payload::decode(body, framing, self.packet_most)? {
            let received = packet.and_then(|packet| Ok(self.link.receives(&packet)?));
            if received == Err(PayloadError::TooLong) {
                // The session goes on, as if there had been no POST.
                self.link.expects_attachments(missing);
            }
            received?;
            consume_budget().await;
        }
        Ok(())
    }
}

/// The packets that the engine receives next, with separators between them.
#[derive(Default)]
struct Batch {
    text: String,
    packets: usize,
    /// Whether the client sends too fast: then the engine receives one packet at a time.
    is_slow: bool,
}

impl Batch {
    /// Whether the batch can take one more packet: the engine reads at most as many bytes at once
    /// as a packet may have.
    fn has_room(&self, packet: &str, bytes_most: usize) -> bool {
        let bytes = self.text.len() + SEPARATOR.len_utf8() + packet.len();
        let at_once = if self.is_slow { 1 } else { AT_ONCE };
        self.packets == 0 || (self.packets < at_once && bytes <= bytes_most)
    }

    fn push(&mut self, packet: &str) {
        if self.packets > 0 {
            self.text.push(SEPARATOR);
        }
        self.text += packet;
        self.packets += 1;
    }

    fn take(&mut self) -> String {
        self.packets = 0;
        std::mem::take(&mut self.text)
    }
}

/// The pauses within a POST of a client that sends too fast.
struct Pauses {
    /// When the server last replaced the client's heartbeat: a session has one POST at a time, so
    /// the client can't send its own.
    heartbeat: Instant,
}

impl Pauses {
    fn new() -> Self {
        Self {
            heartbeat: Instant::now(),
        }
    }

    /// Waits until the client may send again, or the session has ended.
    async fn wait<S, B>(&mut self, link: &Link, sid: Sid, engine: &mut S)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    {
        while let Some(ready) = link.ready_at() {
            if link.is_closed() {
                break;
            }
            let heartbeat = self.heartbeat + HEARTBEAT_EVERY;
            let look = Instant::now() + LOOK_EVERY;
            sleep_until(ready.min(heartbeat).min(look)).await;
            if Instant::now() >= heartbeat {
                self.heartbeat = Instant::now();
                if !link.is_on_websocket() {
                    let alive = link.heartbeat().encode();
                    let Ok(_taken) = engine.call(post(sid, alive)).await;
                }
            }
        }
    }
}

/// How often a POST that waits looks whether its session has ended: a stop waits for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The request by which a client closes a session that polls.
pub(super) fn close(sid: Sid) -> Request<Body> {
    post(sid, Packet::Close.encode())
}

/// Makes a POST of packets for the engine. `EIO=4` only names the framing of this body; the
/// session keeps its version.
fn post(sid: Sid, body: String) -> Request<Body> {
    let target = format!("{PATH}/?EIO=4&transport=polling&sid={sid}");
    let mut post = Request::new(Body::from(body));
    *post.method_mut() = Method::POST;
    *post.uri_mut() = Uri::try_from(target).expect("an id has nothing to be escaped");
    post
}
