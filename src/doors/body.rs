//! The body of a request: read whole, and bounded in size and time, so that nobody
//! makes the server hold what it did not ask for; and the body's text in UTF-8. Knows nothing of
//! the content.

use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use encoding_rs::Encoding;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::time::timeout;
use tower::BoxError;

use super::problem::INVALID_REQUEST;
use crate::net::charset;

/// How long the body of a request may take: as long as its head.
pub(super) const BODY_MOST: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It has more bytes than were wanted.
    #[error("the body is too big")]
    TooBig,
    /// It took longer than [`BODY_MOST`].
    #[error("the body took longer than {} seconds", BODY_MOST.as_secs())]
    Late,
    /// The connection broke, or what came is no body.
    #[error("the body can't be read")]
    Broken,
    /// `Content-Type` names a charset that is not known.
    #[error("the charset that `Content-Type` names is not known: send UTF-8")]
    UnknownCharset,
    /// The body is not text of the charset that `Content-Type` names.
    #[error("the body is not text in the charset that `Content-Type` names, {0}")]
    NotInCharset(&'static str),
}

impl Unread {
    /// The stable code of the reason, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::TooBig => "too_big",
            Self::Late => "too_slow",
            Self::Broken | Self::UnknownCharset | Self::NotInCharset(_) => INVALID_REQUEST,
        }
    }

    /// What HTTP says of it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooBig => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::NotInCharset(_) => StatusCode::BAD_REQUEST,
            Self::UnknownCharset => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read_body<B>(body: B, most: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let read = async {
        let mut body = pin!(Limited::new(body, most));
        // Appended to one buffer, a body is in memory once; `collect` would hold its frames as
        // well.
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok::<_, BoxError>(Bytes::from(bytes))
    };
    match timeout(BODY_MOST, read).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooBig),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::Late),
    }
}

/// Reads the text of a body of at most `most` bytes, and decodes it as [`decode`] does.
pub(super) async fn read_text<B>(headers: &HeaderMap, body: B, most: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    decode(headers, read_body(body, most).await?)
}

/// Returns a body's text in UTF-8, from the charset that `Content-Type` names, and without a
/// byte order mark. Without a charset the bytes are taken for UTF-8, which is not checked here.
pub(super) fn decode(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unread> {
    let charset = match charset(headers) {
        Some(label) => Encoding::for_label_no_replacement(label).ok_or(Unread::UnknownCharset)?,
        None => encoding_rs::UTF_8,
    };
    if charset == encoding_rs::UTF_8 {
        let has_mark = body.starts_with(BYTE_ORDER_MARK);
        return Ok(body.slice(if has_mark { BYTE_ORDER_MARK.len() } else { 0 }..));
    }
    match charset.decode(&body) {
        (_, charset, true) => Err(Unread::NotInCharset(charset.name())),
        (text, ..) => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// U+FEFF in UTF-8, which some editors and libraries write before a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn decoded(kind: &str, body: &[u8]) -> Result<String, StatusCode> {
        let headers = [(header::CONTENT_TYPE, kind.parse().unwrap())];
        let text = decode(&headers.into_iter().collect(), Bytes::copy_from_slice(body));
        let text = text.map_err(|unread| unread.status())?;
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn text_is_decoded_from_the_charset_that_is_declared() {
        let latin = b"\"\xe9 \x80\"".as_slice();
        let mark = b"\xef\xbb\xbf\"\xc3\xa9\"".as_slice();
        let utf16: Vec<u8> = "\u{feff}\"é\""
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for (kind, body, expected) in [
            ("application/json", mark, Ok("\"é\"")),
            ("application/json; charset=utf-8", mark, Ok("\"é\"")),
            ("text/plain; charset=iso-8859-1", mark, Ok("\"é\"")),
            ("text/plain; charset=iso-8859-1", latin, Ok("\"é €\"")),
            ("text/plain;CHARSET=\"Windows-1252\"", latin, Ok("\"é €\"")),
            (
                "text/plain; a=b; charset = latin1 ; c",
                latin,
                Ok("\"é €\""),
            ),
            ("application/json; charset=utf-16", &utf16, Ok("\"é\"")),
            (
                "application/json; charset=utf-16le",
                b"\"\0\"\0",
                Ok("\"\""),
            ),
            ("text/plain; charset=utf-16", b"\"\0\"", Err(400)),
            ("text/plain; charset=klingon", latin, Err(415)),
            ("text/plain; charset=", latin, Err(415)),
            ("text/plain; charset=utf-7", latin, Err(415)),
            ("text/plain; charset=replacement", latin, Err(415)),
            ("text/plain; x", b"\"\"", Ok("\"\"")),
            ("", b"\xef\xbb\xbf", Ok("")),
        ] {
            let found = decoded(kind, body).map_err(|status| status.as_u16());
            assert_eq!(found.as_deref(), expected.as_deref(), "{kind}");
        }
    }
}
