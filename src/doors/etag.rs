//! ETags: what names the content of an answer, and who has it already (RFC 9110,
//! sections 8.8.3 and 13.1.2). Knows no content.

use std::hash::{DefaultHasher, Hasher};

use axum::http::{HeaderMap, header};

/// The same for the same content, as long as the server is of the same build: the
/// hash may be another one in the next. That costs an answer that was known
/// already, and never gives a wrong one.
pub(super) fn etag<P: AsRef<[u8]>>(body: &[P]) -> String {
    let mut hasher = DefaultHasher::new();
    body.iter().for_each(|part| hasher.write(part.as_ref()));
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether the asking one has what bears this tag.
pub(super) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let mut lists = request.get_all(header::IF_NONE_MATCH).iter();
    lists.any(|list| list.to_str().is_ok_and(|list| names(list, etag)))
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
