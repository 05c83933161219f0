//! The body of an answer that counts for its client until it is at its end, and answers
//! to requests that are refused. Knows nothing of what is answered.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::addresses::Place;
use super::refusals::Reason;
use super::refuse::{FULL, MUCH, RETRY_AFTER_SECONDS};

/// A body, and the place that it takes; none: the text of a refusal.
pub(super) struct Counted<B> {
    body: Result<B, Option<Bytes>>,
    _place: Place,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, place: Place) -> Self {
        Self {
            body: Ok(body),
            _place: place,
        }
    }
}

/// The answer to a request that is refused; the connection ends with it.
pub(super) fn refusal<B>(reason: Reason) -> Response<Counted<B>> {
    let (status, answer) = match reason.is_of_address() {
        true => (StatusCode::TOO_MANY_REQUESTS, MUCH),
        false => (StatusCode::SERVICE_UNAVAILABLE, FULL),
    };
    let mut response = Response::new(Counted {
        body: Err(Some(Bytes::from_static(answer.text().as_bytes()))),
        _place: Place::default(),
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Ok(body) => Pin::new(body).poll_frame(cx),
            Err(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Ok(body) => body.is_end_stream(),
            Err(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Ok(body) => body.size_hint(),
            Err(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
