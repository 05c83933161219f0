//! A polling client's requests and their answers, around the engine. All packets of a POST
//! are checked before the engine receives the first one. The engine receives them up to
//! each CONNECT, and the rest once that CONNECT is answered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};
use socketioxide::socket::Sid;
use tokio::runtime::Handle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, Service};

use super::front::PATH;
use super::link::{HEARTBEAT_EVERY, Link};
use super::packet::{PROTOCOL_ERROR, Packet, PacketKind};
use super::payload::{self, counted};
use crate::doors::read_body;

/// The answer to the request that opens a session, whose id stands in it.
pub(super) async fn opened<F, B>(answer: F, link: Arc<Link>) -> Result<Response<Body>, Infallible>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: HttpBody<Data = Bytes>,
{
    let (head, text) = read(answer.await?).await;
    let sid = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.split_once(r#""sid":""#)?.1.split('"').next())
        .and_then(|sid| sid.parse().ok());
    if let Some(sid) = sid {
        link.named(sid);
    }
    Ok(Response::from_parts(head, Body::from(text)))
}

/// A poll. A client that gives it up can't know what it would have said, so the
/// session ends with it; the document has no word for it, but a case.
pub(super) struct Polled<E, F>
where
    E: FnOnce() -> F,
    F: Future,
{
    link: Arc<Link>,
    /// Ends the session; until the poll is answered.
    end: Option<E>,
}

impl<E, F> Polled<E, F>
where
    E: FnOnce() -> F,
    F: Future,
{
    pub(super) fn new(link: Arc<Link>, end: E) -> Self {
        Self {
            link,
            end: Some(end),
        }
    }

    /// The answer to the poll: what it holds has gone out.
    pub(super) async fn answered<A, B>(mut self, answer: A) -> Result<Response<Body>, Infallible>
    where
        A: Future<Output = Result<Response<B>, Infallible>>,
        B: HttpBody<Data = Bytes>,
    {
        let (mut head, mut text) = read(answer.await?).await;
        self.end = None;
        let words = match head.status.is_success() {
            true => self.link.words(),
            false => Vec::new(),
        };
        if !words.is_empty() {
            let words: String = words.iter().map(|word| counted(word)).collect();
            text = [&text[..], words.as_bytes()].concat().into();
            head.headers.remove(header::CONTENT_LENGTH);
        }
        let text_sent = std::str::from_utf8(&text).unwrap_or_default();
        for packet in payload::answered(text_sent, self.link.opener.version) {
            self.link.passed(packet, packet.len());
        }
        Ok(Response::from_parts(head, Body::from(text)))
    }
}

impl<E, F> Drop for Polled<E, F>
where
    E: FnOnce() -> F,
    F: Future,
{
    fn drop(&mut self) {
        let Some(end) = self.end.take() else { return };
        // What is dropped with the runtime ends nothing any more.
        if self.link.is_on_websocket() || Handle::try_current().is_err() {
            return;
        }
        // The engine does it at once: the whole packet is there.
        let _ = pin!(end()).poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// The request by which a client closes a session that polls.
pub(super) fn close(sid: Sid) -> Request<Body> {
    post(sid, vec![Packet::Close.encode()])
}

async fn read<B>(answer: Response<B>) -> (http::response::Parts, Bytes)
where
    B: HttpBody<Data = Bytes>,
{
    let (head, body) = answer.into_parts();
    // The engine's answers are in memory already.
    let body = body.collect().await.map(|body| body.to_bytes());
    (head, body.unwrap_or_default())
}

/// How many packets the engine handles before other tasks run: one of a client that sends too
/// fast.
const AT_ONCE: usize = 16;

/// A POST of a polling session.
pub(super) struct Post {
    pub(super) sid: Sid,
    pub(super) link: Arc<Link>,
    /// The longest body that is read, in bytes.
    pub(super) most: usize,
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
        let Self { sid, link, most } = self;
        let is_binary = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/octet-stream");
        // Read first: a slow client must not block the engine.
        let body = match read_body(request.into_body(), most).await {
            Ok(body) => body,
            Err(unread) => return Ok(refuse(unread.status(), "Bad request")),
        };
        let packets = payload::decode(&body, link.opener.version, is_binary).and_then(|packets| {
            let received = packets.iter().try_for_each(|packet| link.receives(packet));
            Ok(received.map(|()| packets)?)
        });
        let packets = match packets {
            Ok(packets) => packets,
            Err(error) => {
                link.refuse(PROTOCOL_ERROR, &error);
                let Ok(_ended) = engine.call(close(sid)).await;
                return Ok(refuse(
                    StatusCode::BAD_REQUEST,
                    &format!("Bad request: {error}"),
                ));
            }
        };
        let (mut batch, mut at_once) = (Vec::new(), AT_ONCE);
        let mut pauses = Pauses::new();
        let mut answer = None;
        for packet in &packets {
            let (mut connecting, mut leaving) = (None, None);
            match packet {
                Packet::Message(message) if message.kind == PacketKind::Connect => {
                    if !link.admits(message) {
                        // The engine answers a ping of v3, and with it a poll that waits: our
                        // own refusal goes out in that answer.
                        batch.push(Packet::Ping.encode());
                        continue;
                    }
                    connecting = Some(link.expect(message.namespace));
                }
                Packet::Message(message) if message.kind == PacketKind::Disconnect => {
                    leaving = Some(message.namespace);
                }
                _ => {}
            }
            batch.push(packet.encode());
            if *packet == Packet::Close {
                // The session ignores packets behind a close packet.
                break;
            }
            if connecting.is_none() && leaving.is_none() && batch.len() < at_once {
                continue;
            }
            let Ok(answered) = engine.call(post(sid, std::mem::take(&mut batch))).await;
            if pauses.wait(&link, sid, &mut engine).await {
                at_once = 1;
            }
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
            Some(answer) if batch.is_empty() => answer,
            _ => engine.call(post(sid, batch)).await?,
        };
        pauses.wait(&link, sid, &mut engine).await;
        Ok(answer.map(Body::new))
    }
}

/// Holds the POST of a client back that sends too fast.
struct Pauses {
    /// When the client's heartbeat was last replaced: a session has one POST at a time, so it
    /// can't send its own.
    heartbeat: Instant,
}

impl Pauses {
    fn new() -> Self {
        Self {
            heartbeat: Instant::now(),
        }
    }

    /// Waits until the client may send again; returns whether it had to.
    async fn wait<S, B>(&mut self, link: &Link, sid: Sid, engine: &mut S) -> bool
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    {
        let mut has_waited = false;
        while let Some(ready) = link.ready_at() {
            has_waited = true;
            let heartbeat = self.heartbeat + HEARTBEAT_EVERY;
            sleep_until(ready.min(heartbeat)).await;
            if Instant::now() >= heartbeat {
                self.heartbeat = Instant::now();
                if !link.is_on_websocket() {
                    let alive = vec![link.heartbeat().encode()];
                    let Ok(_taken) = engine.call(post(sid, alive)).await;
                }
            }
        }
        has_waited
    }
}

/// Makes a POST of packets for the engine. `EIO=4` names the form of this body only; the
/// session keeps its version.
fn post(sid: Sid, packets: Vec<String>) -> Request<Body> {
    let target = format!("{PATH}/?EIO=4&transport=polling&sid={sid}");
    let body = packets.join(payload::SEPARATOR.encode_utf8(&mut [0; 4]));
    let mut post = Request::new(Body::from(body));
    *post.method_mut() = Method::POST;
    *post.uri_mut() = Uri::try_from(target).expect("an id has nothing to be escaped");
    post
}

fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    let why = serde_json::json!({"code": "3", "message": why});
    let mut answer = Response::new(Body::from(why.to_string()));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
