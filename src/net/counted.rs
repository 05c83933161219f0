//! The body of an answer that counts for its client's address until it ends, and the
//! answers to refused requests. Knows nothing of the content.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use super::addresses::Place;
use super::refusals::Reason;
use super::refuse::{ADDRESS_FULL, FULL, RETRY_AFTER_SECONDS};

/// A body and the place that it takes, or the text of a refusal.
pub(super) struct CountedBody<B> {
    body: Result<B, Option<Bytes>>,
    _place: Place,
}

impl<B> CountedBody<B> {
    pub(super) fn new(body: B, place: Place) -> Self {
        Self {
            body: Ok(body),
            _place: place,
        }
    }
}

/// The answer to a refused request; the connection closes after it.
pub(super) fn refusal<B>(reason: Reason) -> Response<CountedBody<B>> {
    let (status, answer) = match reason.is_of_address() {
        true => (StatusCode::TOO_MANY_REQUESTS, ADDRESS_FULL),
        false => (StatusCode::SERVICE_UNAVAILABLE, FULL),
    };
    let mut response = Response::new(CountedBody {
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

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
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
