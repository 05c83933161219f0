//! The transport's own refusals of HTTP requests: JSON bodies of the form that SDKs know.

use axum::body::Body;
use http::{Response, StatusCode, header};

/// The value of `Retry-After` for refused clients, in seconds.
const COME_BACK: u64 = 5;

/// Refuses a request with this JSON body.
pub(super) fn refusal(status: StatusCode, why: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(why.into());
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Refuses a request that may succeed later.
pub(super) fn busy(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut answer = refusal(status, why);
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, COME_BACK.into());
    answer
}

/// Refuses a request that the client must not repeat, with the reason.
pub(super) fn bad_request(status: StatusCode, why: &str) -> Response<Body> {
    let why = serde_json::json!({"code": "3", "message": why});
    refusal(status, why.to_string())
}
