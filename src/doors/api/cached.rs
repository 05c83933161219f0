//! Answers that a CDN may cache: with an ETag, and 304 if the client has the answer already.
//! Bodies are sent in pieces. Knows no content.

use std::convert::Infallible;
use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::doors::{etag, is_known};

/// The size of a piece, in bytes: a socket's buffer holds several.
const PIECE: usize = 16 * 1024;

/// A body in pieces, so that the memory of each is freed once it is sent.
#[derive(Default)]
pub(super) struct Pieces {
    whole: Vec<Bytes>,
    last: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.last.extend(bytes);
        if self.last.len() >= PIECE {
            self.whole.push(std::mem::take(&mut self.last).into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer, or 304 where the asking one has the same.
///
/// `max_age` is in seconds; what is that old is no wrong data for anybody.
pub(super) fn cached(
    request: &HeaderMap,
    content_type: &'static str,
    max_age: u32,
    body: Pieces,
) -> Response {
    let mut pieces = body.whole;
    pieces.push(body.last.into());
    let etag = etag(&pieces);
    let is_known = is_known(request, &etag);
    let head = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, format!("public, max-age={max_age}")),
        (header::VARY, "Accept".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let content = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    (head, content, body).into_response()
}
