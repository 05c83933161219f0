//! Answers that a CDN may keep: with an ETag, and 304 for who has it already
//! (RFC 9110, sections 8.8.3 and 13.1.2). Knows no content.

use std::hash::{DefaultHasher, Hasher};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

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
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|known| known.to_str().is_ok_and(|known| names(known, &etag)));
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

/// The same for the same content on every node.
fn etag(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether a list of tags names this one; a proxy that compresses makes it weak.
fn names(list: &str, etag: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_a_tag_in_whatever_form() {
        for (list, named) in [
            (r#""a""#, true),
            (r#"W/"a""#, true),
            (r#""b", "a""#, true),
            (r#""b",W/"a""#, true),
            ("*", true),
            (r#""ab""#, false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(names(list, r#""a""#), named, "{list}");
        }
    }
}
