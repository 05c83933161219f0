//! The answers to a polling client's GETs, in the framing that the client can read. The engine
//! frames all answers of Engine.IO v3 as text.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use axum::body::{Body, Bytes};
use http::{Response, header};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use tokio::runtime::Handle;

use super::link::Link;
use super::packet::Version;
use super::payload::{self, Framing};

/// The answer to the request that opens a session, whose id stands in it.
pub(super) async fn opened<F, B>(
    answer: F,
    link: Arc<Link>,
    framing: Framing,
) -> Result<Response<Body>, Infallible>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: HttpBody<Data = Bytes>,
{
    let (mut head, text) = read(answer.await?).await;
    let sid = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.split_once(r#""sid":""#)?.1.split('"').next())
        .and_then(|sid| sid.parse().ok());
    if let Some(sid) = sid {
        link.named(sid);
    }
    let packets: Vec<_> = payload::answered(&text, link.opener.version).collect();
    let body = framed(&mut head, &packets, framing).unwrap_or_else(|| text.clone());
    Ok(Response::from_parts(head, Body::from(body)))
}

/// The body with these packets, in the framing of v3 that the client can read. `None` if the
/// engine's own body is sent as it is: in v4, and with an error.
fn framed(head: &mut http::response::Parts, packets: &[&str], framing: Framing) -> Option<Bytes> {
    if framing == Framing::Separated || !head.status.is_success() {
        return None;
    }
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers
        .insert(header::CONTENT_TYPE, framing.content_type());
    Some(payload::encode(packets, framing).into())
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
        if let Some(explained) = self.explained(&text) {
            head.headers.remove(header::CONTENT_LENGTH);
            text = explained;
        }
        // In v4, `explained` has replaced the engine's refusals by ours.
        let is_v3 = self.link.opener.version == Version::V3;
        let words = match is_v3 && head.status.is_success() {
            true => self.link.words(),
            false => Vec::new(),
        };
        let packets = payload::answered(&text, self.link.opener.version);
        let packets: Vec<_> = packets.chain(words.iter().map(String::as_str)).collect();
        for packet in &packets {
            self.link.passed(packet, packet.len());
        }
        let body = framed(&mut head, &packets, self.framing).unwrap_or_else(|| text.clone());
        Ok(Response::from_parts(head, Body::from(body)))
    }

    /// Returns the engine's answer with its refusals of unknown namespaces replaced by ours, if it
    /// has any.
    fn explained(&self, answer: &Bytes) -> Option<Bytes> {
        let version = self.link.opener.version;
        let packets = payload::answered(answer, version).filter(|_| version == Version::V4);
        let refusals = packets.filter_map(|packet| Some((packet, self.link.explained(packet)?)));
        let mut explained: Option<String> = None;
        for (packet, refusal) in refusals {
            let text = explained.as_deref().or(std::str::from_utf8(answer).ok())?;
            explained = Some(text.replacen(packet, &refusal, 1));
        }
        explained.map(Bytes::from)
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

async fn read<B>(answer: Response<B>) -> (http::response::Parts, Bytes)
where
    B: HttpBody<Data = Bytes>,
{
    let (head, body) = answer.into_parts();
    // The engine's answers are in memory already.
    let body = body.collect().await.map(|body| body.to_bytes());
    (head, body.unwrap_or_default())
}
