//! Answers that a CDN may keep: with an ETag, and 304 for who has it already.
//! Knows no content.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::doors::{etag, is_known};

/// An answer, or 304 where the asking one has the same.
///
/// `max_age` is in seconds; what is that old is no wrong data for anybody.
pub(super) fn cached(
    request: &HeaderMap,
    content_type: &'static str,
    max_age: u32,
    body: String,
) -> Response {
    let etag = etag(&body);
    let is_known = is_known(request, &etag);
    let head = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, format!("public, max-age={max_age}")),
        (header::VARY, "Accept".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
