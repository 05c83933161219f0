//! Detects the protocol of a connection to the Zetta port by its first bytes.
//! Knows no document, and no more of HTTP than the request line.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest method: `BASELINE-CONTROL` (RFC 3253) has 16 characters.
const METHOD_MOST: usize = 20;

/// The longest target: 8,000 bytes are the least that servers should take (RFC 9110,
/// section 4.1) for the whole line.
const TARGET_MOST: usize = 8 * 1024;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Documents without a protocol around them, or any other text, which may contain documents.
    Documents,
    Http,
    Tls,
    Ssh,
}

/// Reads from a connection until its protocol is known or it ends. Also returns the bytes.
pub(super) async fn recognise(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(Protocol, BytesMut)> {
    let mut read = BytesMut::with_capacity(super::READ);
    loop {
        let is_over = stream.read_buf(&mut read).await? == 0;
        match by_first_bytes(&read) {
            Some(protocol) => return Ok((protocol, read)),
            None if is_over => return Ok((Protocol::Documents, read)),
            None => {}
        }
    }
}

/// The protocol of a connection that begins with these bytes; `None` as long as several are
/// possible.
pub(super) fn by_first_bytes(bytes: &[u8]) -> Option<Protocol> {
    const SIGNS: [(&[u8], Protocol); 2] = [(b"SSH-", Protocol::Ssh), (&[0x16, 3], Protocol::Tls)];
    let known = SIGNS.iter().find(|(sign, _)| bytes.starts_with(sign));
    if let Some((_, protocol)) = known {
        return Some(*protocol);
    }
    if SIGNS.iter().any(|(sign, _)| sign.starts_with(bytes)) {
        return None;
    }
    begins_request(bytes).map(|is_http| match is_http {
        true => Protocol::Http,
        false => Protocol::Documents,
    })
}

/// Whether the bytes begin with `METHOD target HTTP/`; `None` until that is decided. Free text
/// before a document may begin with a method: `POST MALONE - Circles`.
fn begins_request(bytes: &[u8]) -> Option<bool> {
    const VERSION: &[u8] = b"HTTP/";
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    if method.len() > METHOD_MOST || !method.iter().all(is_method) {
        return Some(false);
    }
    let target = words.next()?;
    let is_target = |byte: &u8| !byte.is_ascii_control() && *byte != b'<';
    if method.is_empty() || target.len() > TARGET_MOST || !target.iter().all(is_target) {
        return Some(false);
    }
    let version = words.next()?;
    if target.is_empty() || version.starts_with(VERSION) {
        return Some(!target.is_empty());
    }
    (!VERSION.starts_with(version)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_known_by_the_first_bytes_however_they_are_split() {
        use Protocol::*;
        let long_body = format!("POST / HTTP/1.1\r\n\r\n{}", "x".repeat(TARGET_MOST));
        let long_target = format!("GET /{} HTTP/1.1", "x".repeat(TARGET_MOST));
        for (sent, expected) in [
            (&b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"[..], Http),
            (b"PUT /x?y=z HTTP/1.0\r\n\r\n", Http),
            (b"GET http://x/ HTTP/1.1\r\n\r\n", Http),
            (b"OPTIONS * HTTP/1.1\r\n\r\n", Http),
            (b"CONNECT x:443 HTTP/1.1\r\n\r\n", Http),
            (b"PROPFIND / HTTP/1.1\r\n\r\n", Http),
            (b"BASELINE-CONTROL / HTTP/1.1\r\n\r\n", Http),
            (long_body.as_bytes(), Http),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http),
            (&[0x16, 3, 1, 2, 0, 1], Tls),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Ssh),
            (b"<ZettaLite />", Documents),
            (b"<?xml version=\"1.0\"?>", Documents),
            (b"\xEF\xBB\xBF<ZettaLite />", Documents),
            (b"<\0Z\0e\0", Documents),
            (b"\r\n<ZettaLite />", Documents),
            (b"POST MALONE - Circles <ZettaLite />", Documents),
            (b"GET <ZettaLite />", Documents),
            (b"GET  HTTP/1.1\r\n", Documents),
            (b"GET /\r\n", Documents),
            (b"GET / HTCPCP/1.0\r\n", Documents),
            (b" / HTTP/1.1\r\n", Documents),
            (b"get / HTTP/1.1\r\n", Documents),
            (b"NOWPLAYINGISTHENEXTSONG", Documents),
            (b"SSH<", Documents),
            (&[0x16, 4], Documents),
            (long_target.as_bytes(), Documents),
        ] {
            let known = (1..=sent.len()).filter_map(|end| by_first_bytes(&sent[..end]));
            let known: Vec<_> = known.collect();
            assert_eq!(known.first(), Some(&expected), "{}", sent.escape_ascii());
            assert!(known.iter().all(|known| *known == expected));
        }
        for sent in [
            "",
            "P",
            "POST",
            "POST ",
            "POST /x",
            "POST /x HTT",
            "\u{16}",
            "SS",
        ] {
            assert_eq!(by_first_bytes(sent.as_bytes()), None, "{sent}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_searched_for_documents() {
        let (protocol, read) = recognise(&mut &b"POST "[..]).await.unwrap();
        assert_eq!((protocol, &read[..]), (Protocol::Documents, &b"POST "[..]));
    }
}
