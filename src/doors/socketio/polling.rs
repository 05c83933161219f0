//! A polling client's requests and their answers, around the engine: a body is
//! handed on up to each CONNECT, and further once that is answered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body as HttpBody, Incoming};
use socketioxide::socket::Sid;
use tokio::runtime::Handle;
use tower::BoxError;

use super::front::PATH;
use super::legacy;
use super::link::Link;
use super::payload::{Framing, counted, namespace_of, packets};
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
    framing: Framing,
    /// Ends the session; until the poll is answered.
    end: Option<E>,
}

impl<E, F> Polled<E, F>
where
    E: FnOnce() -> F,
    F: Future,
{
    pub(super) fn new(link: Arc<Link>, framing: Framing, end: E) -> Self {
        Self {
            link,
            framing,
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
        for (packet, _) in packets(text_sent, self.framing) {
            self.link.passed(packet);
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
pub(super) fn close(sid: Sid, framing: Framing) -> Request<Body> {
    let (version, packet) = match framing {
        Framing::Separated => (4, "1"),
        Framing::Counted => (3, "1:1"),
    };
    let target = format!("{PATH}/?EIO={version}&transport=polling&sid={sid}");
    let mut close = Request::new(Body::from(packet));
    *close.method_mut() = Method::POST;
    *close.uri_mut() = Uri::try_from(target).expect("an id has nothing to be escaped");
    close
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

/// Gives a POST to the engine, `pass`, part by part.
pub(super) async fn post<F, B>(
    request: Request<Incoming>,
    link: Arc<Link>,
    framing: Framing,
    bytes_most: usize,
    pass: impl FnOnce(Request<Body>) -> F,
) -> Result<Response<Body>, Infallible>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    // Once it is here, a slow client holds nothing of the engine.
    let body = match read_body(body, bytes_most).await {
        Ok(body) => body,
        Err(unread) => return Ok(refuse(unread.status())),
    };
    let is_text = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind != "application/octet-stream");
    let text = std::str::from_utf8(&body).ok().filter(|_| is_text);
    let rewritten = text
        .filter(|_| framing == Framing::Counted)
        .map(|text| legacy::body(text, &link));
    let text = rewritten.as_deref().or(text);
    let body = match &rewritten {
        Some(rewritten) => Bytes::copy_from_slice(rewritten.as_bytes()),
        None => body.clone(),
    };
    let (engine, channel) = Channel::<Bytes>::new(1);
    let mut answer = pin!(pass(Request::from_parts(head, Body::new(channel))));
    let mut fed = pin!(feed(
        engine,
        &body,
        text.unwrap_or_default(),
        framing,
        &link
    ));
    let answer = tokio::select! {
        () = &mut fed => answer.await?,
        answer = &mut answer => {
            let answer = answer?;
            if answer.status().is_success() {
                // Else the next request might overtake this one's last CONNECT.
                fed.await;
            }
            answer
        }
    };
    Ok(answer.map(Body::new))
}

/// Hands a body on; what stands behind a CONNECT waits until that is answered.
///
/// Up to the last CONNECT or DISCONNECT packet by packet: the engine asks for more of a body
/// before it looks at what it has.
async fn feed(mut engine: Sender<Bytes>, body: &Bytes, text: &str, framing: Framing, link: &Link) {
    let connects = |packet: &str| packet.starts_with("40");
    let leaves = |packet: &str| packet.starts_with("41");
    let last = packets(text, framing).filter(|(packet, _)| connects(packet) || leaves(packet));
    let last = last.last().map_or(0, |(_, end)| end);
    let mut given = 0;
    let mut connecting = None;
    for (packet, end) in packets(text, framing).take_while(|(_, end)| *end <= last) {
        if let Some(answered) = connecting.take() {
            answered.await;
        }
        if connects(packet) {
            connecting = Some(link.expect(namespace_of(packet)));
        }
        if engine.send_data(body.slice(given..end)).await.is_err() {
            // The engine has refused the request, or the client has gone.
            return;
        }
        if leaves(packet) {
            link.leaves(namespace_of(packet));
        }
        given = end;
    }
    if given < body.len() {
        if let Some(answered) = connecting.take() {
            answered.await;
        }
        if engine.send_data(body.slice(given..)).await.is_err() {
            return;
        }
    }
    // Without a separator behind it, a packet ends where the body does.
    drop(engine);
    if let Some(answered) = connecting {
        answered.await;
    }
}

fn refuse(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
