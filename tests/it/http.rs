//! HTTP as it looks on the wire: one request, one connection.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::SOON;

pub struct Answer {
    pub status: u16,
    pub head: String,
    /// The body as text; bytes of a binary body that are not UTF-8 are replaced.
    pub body: String,
    pub bytes: Vec<u8>,
}

/// The value of a header, which may stand there once.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    let value = found.next().map(|(_, value)| value);
    assert!(found.next().is_none(), "{name} twice: {}", answer.head);
    value
}

pub async fn get(server: SocketAddr, target: &str, headers: &str) -> Answer {
    let host = host_unless_in(headers);
    let request = format!("GET {target} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
    ask(TcpStream::connect(server).await.unwrap(), &request).await
}

/// The header `Host`, unless these headers have their own.
pub fn host_unless_in(headers: &str) -> &'static str {
    match headers.contains("Host: ") {
        true => "",
        false => "Host: x\r\n",
    }
}

pub async fn post(server: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Answer {
    post_with(server, target, "", body).await
}

/// The same with these headers more.
pub async fn post_with(
    server: SocketAddr,
    target: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> Answer {
    let stream = TcpStream::connect(server).await.unwrap();
    ask(stream, posted(target, headers, body)).await
}

/// A request that posts this, to be the only one of its connection.
pub fn posted(target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let (length, host) = (body.len(), host_unless_in(headers));
    let head = format!(
        "POST {target} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Writes a request, and reads until the server closes.
pub async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: impl AsRef<[u8]>,
) -> Answer {
    // Who is refused by the head, or for its size, may not get rid of the rest.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    // A close without TLS's own goodbye, or a reset, is a close as well.
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("the server did not close");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.unwrap_or(answer.len()));
    let head = String::from_utf8(head.to_vec()).unwrap();
    let bytes = body.get(4..).unwrap_or_default().to_vec();
    let body = match head.contains("application/octet-stream") {
        true => String::from_utf8_lossy(&bytes).into_owned(),
        false => String::from_utf8(bytes.clone()).unwrap(),
    };
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .map_or(0, |code| code.parse().unwrap()),
        head,
        body,
        bytes,
    }
}
