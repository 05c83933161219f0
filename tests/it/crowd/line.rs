//! One session of the crowd, frame by frame: cheap enough for 10,000 of them.
//! Knows Engine.IO and its upgrade, and nothing of rooms.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::http;
use crate::net::tls;
use crate::program::Stream;

/// How a crowd comes to its server.
pub struct Way {
    pub address: SocketAddr,
    /// Whom to trust, where TLS is spoken.
    pub cert: Option<PathBuf>,
    /// Whether sessions begin by polling and move to a WebSocket.
    pub polls: bool,
}

/// How long a crowd may take for what one client does at once.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where a session of Engine.IO begins.
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// A ping's opcode, and the pong to an empty one: masked, by nothing.
const PING: u8 = 9;
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// How much is read at once.
const READ: usize = 4 * 1024;

/// What comes next on a line.
#[derive(Debug, PartialEq)]
pub enum Next {
    Packet(Bytes),
    Close(u16, String),
    /// The end without a close frame.
    End,
}

impl Way {
    /// A connection; `small` where little is to fit into it.
    pub async fn connect(&self, small: bool) -> Box<dyn Stream> {
        let tcp = match small {
            false => TcpStream::connect(self.address).await.unwrap(),
            true => {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                socket.connect(self.address).await.unwrap()
            }
        };
        // A crowd that said goodbye would leave no port free for a minute.
        let linger = SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        match &self.cert {
            None => Box::new(tcp),
            Some(cert) => Box::new(tls::handshake(tcp, cert, tls::BOTH).await.unwrap()),
        }
    }

    pub async fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let answer = http::ask(self.connect(false).await, &request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

pub struct Line {
    stream: Box<dyn Stream>,
    read: BytesMut,
    /// What came by polling.
    polled: VecDeque<Bytes>,
}

impl Line {
    /// Opens a session; `packets` are the first that it sends.
    pub async fn open(way: &Way, small: bool, packets: &[&str]) -> Self {
        if !way.polls {
            let mut line = Self::websocket(way, small, WEBSOCKET).await;
            line.send(packets).await;
            return line;
        }
        let target = "/socket.io/?EIO=4&transport=polling";
        let opened = way.ask("GET", target, "").await;
        let (_, rest) = opened.split_once(r#""sid":""#).unwrap();
        let (sid, _) = rest.split_once('"').unwrap();
        let target = format!("{target}&sid={sid}");
        way.ask("POST", &target, &packets.join("\u{1e}")).await;
        let mut polled = way.ask("GET", &target, "").await;
        let mut line = Self::websocket(way, small, &format!("{WEBSOCKET}&sid={sid}")).await;
        line.send(&["2probe"]).await;
        assert_eq!(line.next().await, Next::Packet("3probe".into()));
        // As an SDK does: the last poll ends before the client moves.
        polled.push('\u{1e}');
        polled += &way.ask("GET", &target, "").await;
        line.send(&["5"]).await;
        // A noop only ends a poll.
        let packets = polled.split('\u{1e}').filter(|packet| *packet != "6");
        line.polled = packets.map(|packet| packet.to_owned().into()).collect();
        line
    }

    /// A WebSocket to this path and query, on which nothing was said yet.
    pub async fn websocket(way: &Way, small: bool, target: &str) -> Self {
        let mut line = Self {
            stream: way.connect(small).await,
            read: BytesMut::new(),
            polled: VecDeque::new(),
        };
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        line.stream.write_all(request.as_bytes()).await.unwrap();
        let end = loop {
            match line.read.windows(4).position(|at| at == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(line.more().await.unwrap() > 0, "no answer"),
            }
        };
        assert!(line.read.starts_with(b"HTTP/1.1 101"), "{:?}", line.read);
        line.read.advance(end);
        line
    }

    /// Sends packets in one write.
    pub async fn send(&mut self, packets: &[&str]) {
        let mut frames = Vec::new();
        for packet in packets {
            // Masked, by nothing.
            frames.extend([0x81, 0x80 | 126]);
            frames.extend((packet.len() as u16).to_be_bytes());
            frames.extend([0; 4]);
            frames.extend(packet.as_bytes());
        }
        self.write(&frames).await;
    }

    /// Writes what may be anything.
    pub async fn write(&mut self, bytes: &[u8]) {
        // Who was closed in the meantime reads so.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends nothing more.
    pub async fn half_close(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Waits for the packet that begins with these words.
    pub async fn hears(&mut self, words: &str) {
        loop {
            match self.next().await {
                Next::Packet(packet) if packet.starts_with(words.as_bytes()) => return,
                Next::Packet(_) => {}
                end => panic!("{end:?} before {words}"),
            }
        }
    }

    /// Waits until the other end has closed.
    pub async fn read_to_end(&mut self) {
        while self.next().await != Next::End {}
    }

    /// What comes next; pings are answered.
    pub async fn next(&mut self) -> Next {
        loop {
            let polled = self.polled.pop_front().map(|packet| (1, packet));
            if let Some((opcode, payload)) = polled.or_else(|| self.frame()) {
                match opcode {
                    1 if payload == "2" => self.send(&["3"]).await,
                    1 => return Next::Packet(payload),
                    PING => self.write(&PONG).await,
                    8 if payload.len() >= 2 => {
                        let code = u16::from_be_bytes([payload[0], payload[1]]);
                        let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
                        return Next::Close(code, reason);
                    }
                    _ => return Next::End,
                }
            } else if !self.more().await.is_ok_and(|read| read > 0) {
                return Next::End;
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.read.reserve(READ);
        let read = self.stream.read_buf(&mut self.read);
        timeout(PATIENCE, read).await.expect("nothing came")
    }

    /// The opcode and payload of the next frame, once it is here.
    fn frame(&mut self) -> Option<(u8, Bytes)> {
        let (head, length) = match self.read.get(1)? {
            126 => {
                let length = self.read.get(2..4)?.try_into().unwrap();
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => panic!("nothing as long as this was published"),
            length => (2, usize::from(*length)),
        };
        if self.read.len() < head + length {
            return None;
        }
        let first = self.read[0];
        assert_eq!(first & 0xf0, 0x80, "a whole frame, and nothing reserved");
        self.read.advance(head);
        Some((first & 0x0f, self.read.split_to(length).freeze()))
    }
}
