//! Clients of the door, packet by packet and nothing more: what they are sent
//! is given as it came, heartbeats included.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{JOIN, JOINED, Transport, Way};
use crate::client::Client;
use crate::http::{Answer, ask, get, header, post};
use crate::polling::framed;
use crate::server::TestServer;

/// A session that polls.
pub struct Polling<'a> {
    pub server: &'a TestServer,
    pub eio: u8,
    pub target: String,
    /// What was polled and not yet asked for.
    pub polled: VecDeque<String>,
}

impl<'a> Polling<'a> {
    /// Opens a session; gives what the server says of it, too.
    pub async fn open(server: &'a TestServer, eio: u8) -> (Self, Value) {
        let target = format!("/socket.io/?EIO={eio}&transport=polling");
        let opened = get(server.address, &target, "").await;
        assert_eq!(opened.status, 200, "{}", opened.body);
        let packets = packets(&opened, eio);
        assert_eq!(packets.len(), 1, "{packets:?}");
        let said = handshake(&packets[0]);
        let polling = Self {
            server,
            eio,
            target: format!("{target}&sid={}", said["sid"].as_str().unwrap()),
            polled: VecDeque::new(),
        };
        (polling, said)
    }

    /// Opens a session, and answers its first ping: the engine sends one with
    /// the handshake, where the document has it after the first interval. SDKs
    /// answer at any time.
    pub async fn begin(server: &'a TestServer, eio: u8) -> Self {
        let (mut polling, _) = Self::open(server, eio).await;
        if eio == 4 {
            assert_eq!(polling.packet().await.as_deref(), Some("2"));
            assert_eq!(polling.post(&["3"]).await.status, 200);
        }
        polling
    }

    pub fn sid(&self) -> &str {
        self.target.split_once("&sid=").unwrap().1
    }

    /// Sends packets in one body.
    pub async fn post(&self, packets: &[&str]) -> Answer {
        let body = match self.eio {
            3 => framed(packets),
            _ => packets.join("\u{1e}"),
        };
        self.post_body(&body).await
    }

    pub async fn post_body(&self, body: &str) -> Answer {
        post(self.server.address, &self.target, body).await
    }

    pub async fn poll(&self) -> Answer {
        get(self.server.address, &self.target, "").await
    }

    /// A poll that the server has, and that is to be answered later: what is
    /// asked behind it is answered first.
    pub async fn waiting(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address).await.unwrap();
        let target = &self.target;
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(self.post_body("").await.status, 200);
        stream
    }

    /// What a poll that was waiting is told.
    pub async fn told(&self, waiting: TcpStream) -> Vec<String> {
        let answer = ask(waiting, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        packets(&answer, self.eio)
    }

    /// The next packet that came, whatever it is; nothing once the session is over.
    pub async fn packet(&mut self) -> Option<String> {
        while self.polled.is_empty() {
            let polled = self.poll().await;
            if polled.status != 200 {
                assert_eq!(polled.status, 400, "{}", polled.body);
                return None;
            }
            self.polled.extend(packets(&polled, self.eio));
        }
        self.polled.pop_front()
    }
}

/// What the server says in the packet that opens a session.
pub fn handshake(packet: &str) -> Value {
    let said = packet.strip_prefix('0').expect("an open packet");
    serde_json::from_str(said).unwrap()
}

/// The packets of an answer, read as the official SDKs read them.
pub fn packets(answer: &Answer, eio: u8) -> Vec<String> {
    let payload = &answer.body;
    if payload.is_empty() {
        return Vec::new();
    }
    if eio == 4 {
        return payload.split('\u{1e}').map(ToOwned::to_owned).collect();
    }
    if header(answer, "content-type") == Some("application/octet-stream") {
        return binary_packets(&answer.bytes);
    }
    // Engine.IO v3, "Payload": characters are those of JavaScript.
    let mut rest: Vec<u16> = payload.encode_utf16().collect();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let colon = rest.iter().position(|unit| *unit == u16::from(b':'));
        let colon = colon.unwrap_or_else(|| panic!("no length: {payload}"));
        let length = String::from_utf16(&rest[..colon]).unwrap();
        let end = colon + 1 + length.parse::<usize>().unwrap();
        packets.push(String::from_utf16(&rest[colon + 1..end]).unwrap());
        rest.drain(..end);
    }
    packets
}

/// Reads the packets of a body in the binary framing (Engine.IO v3, "Payload", "XHR2"); this server
/// sends text packets only.
fn binary_packets(mut payload: &[u8]) -> Vec<String> {
    let mut packets = Vec::new();
    while let Some((kind, rest)) = payload.split_first() {
        assert_eq!(*kind, 0, "{payload:?}");
        let end = rest.iter().position(|byte| *byte == 255).unwrap();
        let digits = rest[..end].iter();
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(*digit));
        let (packet, rest) = rest[end + 1..].split_at(length);
        packets.push(String::from_utf8(packet.to_vec()).unwrap());
        payload = rest;
    }
    packets
}

/// A session of either kind.
pub enum Peer<'a> {
    Polling(Polling<'a>),
    WebSocket(Box<Client>),
}

impl<'a> Peer<'a> {
    pub async fn open(server: &'a TestServer, (transport, eio): Way) -> Self {
        match transport {
            Transport::Polling => Self::Polling(Polling::begin(server, eio).await),
            Transport::WebSocket => {
                let mut client = Client::open_eio(server.address, eio).await;
                if eio == 4 {
                    assert_eq!(client.any_packet().await.as_deref(), Some("2"));
                    client.send("3").await;
                }
                Self::WebSocket(Box::new(client))
            }
        }
    }

    /// Opens a session, and connects it to a namespace.
    pub async fn connected(server: &'a TestServer, way: Way, namespace: &str) -> Self {
        let mut peer = Self::open(server, way).await;
        peer.send(&[&format!("40{namespace},")]).await;
        peer.hears(&format!("40{namespace}")).await;
        peer
    }

    /// Opens a session, and has it in the room `r` of `/bus`.
    pub async fn joined(server: &'a TestServer, way: Way) -> Self {
        let mut peer = Self::connected(server, way, "/bus").await;
        peer.send(&[JOIN]).await;
        peer.hears(JOINED).await;
        peer
    }

    /// Sends packets, by polling in one body: whatever they hold, it is one.
    pub async fn send(&mut self, packets: &[&str]) {
        match self {
            Self::Polling(polling) => {
                let posted = polling.post(packets).await;
                assert_eq!((posted.status, posted.body.as_str()), (200, "ok"));
            }
            Self::WebSocket(client) => {
                for packet in packets {
                    client.send(*packet).await;
                }
            }
        }
    }

    /// Sends invalid packets, or packets in a wrong order; a POST with them is refused.
    pub async fn send_wrong(&mut self, packets: &[&str]) {
        match self {
            Self::Polling(polling) => {
                let posted = polling.post(packets).await;
                assert_eq!(posted.status, 400, "{packets:?}");
                assert!(posted.body.contains("Bad request: "), "{}", posted.body);
            }
            Self::WebSocket(_) => self.send(packets).await,
        }
    }

    /// The next packet, whatever it is; nothing once the session is over.
    pub async fn any_packet(&mut self) -> Option<String> {
        match self {
            Self::Polling(polling) => polling.packet().await,
            Self::WebSocket(client) => client.any_packet().await,
        }
    }

    /// The next packet that is no heartbeat, which is answered.
    pub async fn packet(&mut self) -> Option<String> {
        loop {
            match self.any_packet().await?.as_str() {
                "2" => self.send(&["3"]).await,
                packet => return Some(packet.to_owned()),
            }
        }
    }

    /// Waits for a packet that begins like this; gives the rest of it.
    pub async fn hears(&mut self, start: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let packet = self.packet().await;
            let packet = packet.unwrap_or_else(|| panic!("over after {heard:?}, not {start}"));
            if let Some(rest) = packet.strip_prefix(start) {
                return rest.to_owned();
            }
            heard.push(packet);
        }
    }

    /// Waits for the session's end; gives what came before.
    pub async fn ends(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(packet) = self.any_packet().await {
            heard.push(packet);
        }
        heard
    }
}
