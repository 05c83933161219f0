//! The charset that a request names for its body. Decodes nothing.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The parameter `charset` of `Content-Type` (RFC 9110, section 8.3.1), without quotes.
pub fn charset(headers: &HeaderMap) -> Option<&[u8]> {
    let kind = headers.get(CONTENT_TYPE)?.as_bytes();
    let mut parameters = kind.split(|byte| *byte == b';').skip(1);
    parameters.find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (parameter[..at].trim_ascii(), &parameter[at + 1..]);
        let is_charset = name.eq_ignore_ascii_case(b"charset");
        is_charset
            .then(|| value.trim_ascii().strip_prefix(b"\"").unwrap_or(value))
            .map(|value| value.strip_suffix(b"\"").unwrap_or(value))
    })
}
