//! HTTP on the Zetta port: takes documents by POST or PUT, and answers whether it understood them.
//! Knows requests and answers, not what becomes of a document.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use encoding_rs::{Encoding, UTF_8};
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, join};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use super::PARTIAL_MOST;
use super::framing::{HELD_MOST, decode};
use super::sender::{OTHER_FORMAT, Sender};
use crate::net::charset;

/// The largest head of a request, and hyper's read buffer: senders set few headers.
const HEAD_MOST: usize = 16 * 1024;

/// The most requests of a connection: two days of songs. Then the server closes it, so that no
/// connection stays open for ever.
const REQUESTS_MOST: u32 = 1_000;

const EMPTY: &str = "the body is empty: set this output to send the ZettaLite document as the body";
const FORM: &str = "a form, not XML: set this output to send the ZettaLite document itself as the \
                    body, with the content type text/xml";
const JSON: &str = "JSON, not XML: set the format of this Live Metadata output to ZettaLite. \
                    Tracks in JSON go to /api/metadata/now-playing on the main port";
const COMPRESSED: &str = "the body is compressed: set this output to send it without compression";

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("only POST and PUT of ZettaLite documents are served on this port")]
    Method,
    /// Any web page in a browser of the studio's network could pretend to be the studio.
    #[error("web pages may not send documents")]
    Page,
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    #[error("the request took longer than {} seconds", PARTIAL_MOST.as_secs())]
    Slow,
    #[error("the body can't be read")]
    Broken,
    /// The reason, and whether it has been logged already.
    #[error("{0}")]
    NotUnderstood(&'static str, bool),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Page => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NotUnderstood(..) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The kind under which it is counted; `None` if it was counted already.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Method | Self::Page => Some("intruder"),
            Self::TooLarge => Some("too_large"),
            Self::Slow => Some("slow"),
            Self::Broken => Some("unfinished"),
            Self::NotUnderstood(_, is_logged) => (!is_logged).then_some("no_document"),
        }
    }
}

/// Serves a connection to its end; `read` are its first bytes.
pub(super) async fn serve(sender: Sender, read: BytesMut, stream: TcpStream) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let stream = join(io::Cursor::new(read.freeze()).chain(reader), writer);
    let requests = AtomicU32::new(0);
    let service = service_fn(async |request: Request<Incoming>| {
        let is_last = requests.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_MOST;
        let taken = take(&sender, request).await;
        let mut response = answer(&sender, &taken);
        if is_last || taken.is_err() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        // A sender may close its side behind the request: its document is published all the same.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(PARTIAL_MOST)
        .max_buf_size(HEAD_MOST)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    let Err(error) = served else { return Ok(()) };
    let (port, peer) = (&sender.port, sender.peer);
    if error.is_parse() {
        port.trouble(
            "intruder",
            || warn!(%peer, %error, "an HTTP request can't be read"),
        );
    } else if error.is_timeout() && requests.into_inner() == 0 {
        port.trouble("slow", || warn!(%peer, "{}", Refusal::Slow));
    }
    Err(io::Error::other(error))
}

/// Publishes the documents of a request.
async fn take(sender: &Sender, request: Request<Incoming>) -> Result<(), Refusal> {
    let (head, body) = request.into_parts();
    let checked = check(&head, body.size_hint().lower());
    // A client that waits for `100 Continue` has not sent the body: refuse it at once. Read the
    // body of any other client first: if the server closed the connection earlier, the answer would
    // be lost.
    if checked.is_err() && head.headers.contains_key(EXPECT) {
        return checked;
    }
    let body = timeout(PARTIAL_MOST, read(body)).await;
    checked?;
    let body = body.map_err(|_| Refusal::Slow)??;
    let kind = head.headers.get(CONTENT_TYPE);
    let kind = kind.map(|kind| kind.as_bytes().to_ascii_lowercase());
    let is_form = kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
    let text = text(&head.headers, body);
    sender.take_whole(&text).map_err(|why| {
        let guess = match text.trim_ascii_start().first() {
            None => Some(EMPTY),
            Some(b'{' | b'[') => Some(JSON),
            _ if head.headers.contains_key(CONTENT_ENCODING) => Some(COMPRESSED),
            Some(first) if is_form && *first != b'<' => Some(FORM),
            _ => None,
        };
        Refusal::NotUnderstood(guess.or(why).unwrap_or(OTHER_FORMAT), why.is_some())
    })
}

/// Checks a request before its body is read.
fn check(head: &Parts, length: u64) -> Result<(), Refusal> {
    if ![Method::POST, Method::PUT].contains(&head.method) {
        return Err(Refusal::Method);
    }
    if head.headers.contains_key(ORIGIN) {
        return Err(Refusal::Page);
    }
    match length > HELD_MOST as u64 {
        true => Err(Refusal::TooLarge),
        false => Ok(()),
    }
}

/// Reads a body to its end; keeps at most [`HELD_MOST`] bytes of it.
async fn read(mut body: Incoming) -> Result<Vec<u8>, Refusal> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() {
            length += data.len();
            if length <= HELD_MOST {
                bytes.extend_from_slice(&data);
            }
        }
    }
    match length <= HELD_MOST {
        true => Ok(bytes),
        false => Err(Refusal::TooLarge),
    }
}

/// The body in UTF-8, if `Content-Type` names its charset; else unchanged, since a document may
/// declare its own encoding. The framer recognises UTF-16 by its bytes.
pub(super) fn text(headers: &HeaderMap, body: Vec<u8>) -> Vec<u8> {
    let charset = charset(headers).and_then(Encoding::for_label);
    match charset.filter(|charset| charset.is_ascii_compatible() && *charset != UTF_8) {
        Some(charset) => decode(body, Some(charset)).into_bytes(),
        None => body,
    }
}

fn answer(sender: &Sender, taken: &Result<(), Refusal>) -> Response<Full<Bytes>> {
    let (status, text) = match taken {
        Ok(()) => (StatusCode::OK, "OK".to_owned()),
        Err(refusal) => {
            if let Some(kind) = refusal.kind() {
                let peer = sender.peer;
                sender.port.trouble(
                    kind,
                    || warn!(%peer, %refusal, "an HTTP request was refused"),
                );
            }
            (refusal.status(), format!("{refusal}\n"))
        }
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST, PUT"));
    }
    response
}
