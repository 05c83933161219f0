//! A hostile client's connections: bytes on the wire, with TLS where the server has it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::net::tls;
use crate::program::{Program, Stream};

/// Where the server listens.
#[derive(Clone)]
pub struct Target {
    pub main: SocketAddr,
    pub push_http: SocketAddr,
    pub push_ws: SocketAddr,
    pub webhook: SocketAddr,
    pub gateway: SocketAddr,
    pub zetta: SocketAddr,
    certificate: Option<PathBuf>,
}

impl Target {
    pub fn of(program: &Program) -> Self {
        let certificate = program.folder.path().join("certs").join(tls::CERT_FILE);
        Self {
            main: program.address,
            push_http: program.address_of("push http"),
            push_ws: program.address_of("push ws"),
            webhook: program.address_of("webhook ws"),
            gateway: program.address_of("gateway"),
            zetta: program.address_of("Zetta"),
            certificate: certificate.exists().then_some(certificate),
        }
    }

    /// The ports for HTTP and WebSockets.
    pub fn ports(&self) -> [SocketAddr; 5] {
        [
            self.main,
            self.push_http,
            self.push_ws,
            self.webhook,
            self.gateway,
        ]
    }

    pub async fn secured(&self, tcp: TcpStream) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.certificate {
            Some(certificate) => Box::new(tls::handshake(tcp, certificate, tls::BOTH).await?),
            None => Box::new(tcp),
        })
    }

    pub async fn connect(&self, port: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.secured(TcpStream::connect(port).await?).await
    }

    /// A WebSocket: the answer to its request is read, and nothing behind it.
    pub async fn websocket(&self, port: SocketAddr, path: &str) -> io::Result<Box<dyn Stream>> {
        let mut stream = self.connect(port).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        // Else it is refused, as one too many.
        match head.starts_with(b"HTTP/1.1 101 ") {
            true => Ok(stream),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Sends a request and gives the answer's body as far as it has come at once.
    pub async fn ask(&self, port: SocketAddr, request: &[u8]) -> io::Result<String> {
        let mut stream = self.connect(port).await?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
    }
}

/// A client's frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A text message.
pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}
