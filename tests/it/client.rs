//! A Socket.IO client over a real WebSocket, as it looks on the wire.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async};

/// How long anything that must happen may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// How often a client of Engine.IO v3 pings: within the server's 25 s and its patience of 20 s.
const PING_EVERY: Duration = Duration::from_secs(15);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Client {
    socket: Socket,
    namespace: String,
    events: VecDeque<Value>,
    /// The packets that were read ahead.
    packets: VecDeque<String>,
    next_ack: u64,
    /// When a client of Engine.IO v3 pings: in that version the server does not.
    pings: Option<Interval>,
}

impl Client {
    /// Opens the engine's connection, without any namespace.
    pub async fn open(server: SocketAddr) -> Self {
        Self::open_eio(server, 4).await
    }

    /// The same, by a version of Engine.IO.
    pub async fn open_eio(server: SocketAddr, version: u8) -> Self {
        let mut client = Self::websocket(server, &format!("EIO={version}")).await;
        let hello = client.packet().await.unwrap();
        assert!(hello.starts_with("0{"), "not an open packet: {hello}");
        client
    }

    /// A WebSocket with this query, on which nothing was said yet.
    pub async fn websocket(server: SocketAddr, query: &str) -> Self {
        Self::websocket_as(server, query, "roomcast's tests").await
    }

    /// The same, of an SDK that says what it is.
    pub async fn websocket_as(server: SocketAddr, query: &str, agent: &str) -> Self {
        let target = format!("/socket.io/?{query}&transport=websocket");
        let mut client = Self::websocket_at(server, &target, &[("user-agent", agent)]).await;
        if query.contains("EIO=3") {
            client.pings = Some(interval_at(Instant::now() + PING_EVERY, PING_EVERY));
        }
        client
    }

    /// The same with exactly this target, and with these headers besides.
    pub async fn websocket_at(
        server: SocketAddr,
        target: &str,
        headers: &[(&'static str, &str)],
    ) -> Self {
        let tcp = MaybeTlsStream::Plain(TcpStream::connect(server).await.unwrap());
        let url = format!("ws://{server}{target}");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = client_async(request, tcp).await.unwrap();
        Self {
            socket,
            namespace: String::new(),
            events: VecDeque::new(),
            packets: VecDeque::new(),
            next_ack: 0,
            pings: None,
        }
    }

    /// The code and reason of the close frame, behind whatever came before it.
    pub async fn close_frame(&mut self) -> (u16, String) {
        loop {
            let message = timeout(SOON, self.socket.next()).await.expect("no close");
            match message {
                Some(Ok(Message::Close(Some(close)))) => {
                    return (close.code.into(), close.reason.as_str().to_owned());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// Closes the WebSocket by a frame.
    pub async fn close(&mut self, why: Option<(u16, &'static str)>) {
        let frame = why.map(|(code, reason)| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        });
        self.socket.close(frame).await.unwrap();
    }

    /// The code of the close frame, or nothing where the end comes without one.
    pub async fn close_code(&mut self) -> Option<u16> {
        match timeout(SOON, self.socket.next()).await.expect("no end") {
            Some(Ok(Message::Close(close))) => close.map(|close| close.code.into()),
            None | Some(Err(_)) => None,
            Some(Ok(other)) => panic!("no end but {other:?}"),
        }
    }

    /// Sends one frame as it is, such as a part of a message.
    pub async fn send_frame(&mut self, payload: &'static str, opcode: OpCode, last: bool) {
        let frame = Frame::message(payload, opcode, last);
        self.socket.send(Message::Frame(frame)).await.unwrap();
    }

    /// Connects to a namespace: Ok, or what connect_error said.
    pub async fn connect(server: SocketAddr, namespace: &str) -> Result<Self, String> {
        let mut client = Self::open(server).await;
        client.namespace = namespace.to_owned();
        client.send(format!("40{namespace},")).await;
        client.connected().await.map(|()| client)
    }

    /// Waits for the answer to CONNECT.
    pub async fn connected(&mut self) -> Result<(), String> {
        let answer = self.packet().await.unwrap();
        match answer.strip_prefix("44") {
            Some(error) => Err(error.to_owned()),
            None => {
                assert!(answer.starts_with("40"), "not an answer: {answer}");
                Ok(())
            }
        }
    }

    /// What is under the WebSocket.
    pub fn into_stream(self) -> MaybeTlsStream<TcpStream> {
        self.socket.into_inner()
    }

    pub fn set_namespace(&mut self, namespace: &str) {
        self.namespace = namespace.to_owned();
    }

    pub async fn send(&mut self, packet: impl Into<String>) {
        let packet: String = packet.into();
        self.socket.send(Message::text(packet)).await.unwrap();
    }

    /// Sends several packets in one write.
    pub async fn send_at_once(&mut self, packets: &[String]) {
        for packet in packets {
            self.socket.feed(Message::text(packet)).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    pub async fn emit(&mut self, event: &str, argument: impl serde::Serialize) {
        let event = serde_json::to_string(&(event, argument)).unwrap();
        self.send(format!("42{}{event}", self.prefix())).await;
    }

    /// Emits an event with these arguments.
    pub async fn emit_all(&mut self, event: &str, arguments: &[Value]) {
        let all: Vec<_> = [&[event.into()], arguments].concat();
        let event = serde_json::to_string(&all).unwrap();
        self.send(format!("42{}{event}", self.prefix())).await;
    }

    /// Emits with an ack, and waits for it; events that come first are kept.
    pub async fn ask(&mut self, event: &str, argument: impl serde::Serialize) -> Value {
        let argument = serde_json::to_value(argument).unwrap();
        self.ask_all(event, &[argument]).await
    }

    /// The same with any number of arguments.
    pub async fn ask_all(&mut self, event: &str, arguments: &[Value]) -> Value {
        let id = self.next_ack;
        self.next_ack += 1;
        let all = [&[event.into()], arguments].concat();
        let event = serde_json::to_string(&all).unwrap();
        self.send(format!("42{}{id}{event}", self.prefix())).await;
        let prefix = format!("43{}{id}", self.prefix());
        loop {
            let packet = self
                .packet()
                .await
                .expect("the connection ended before the ack");
            if let Some(answer) = packet.strip_prefix(&prefix) {
                let mut answer: Vec<Value> = serde_json::from_str(answer).unwrap();
                assert_eq!(answer.len(), 1);
                return answer.remove(0);
            }
            self.keep(&packet);
        }
    }

    pub async fn join(&mut self, room: &str) -> Value {
        self.ask("JOIN", serde_json::json!({"room": room, "name": "anna"}))
            .await
    }

    /// The next event of the server, as `[name, argument]`.
    pub async fn event(&mut self) -> Value {
        self.try_event().await.expect("the connection ended")
    }

    /// The next event, or nothing once the connection has ended.
    pub async fn try_event(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let packet = self.packet().await?;
            self.keep(&packet);
        }
    }

    /// The next EVENT's body.
    pub async fn next(&mut self) -> Value {
        let event = self.event().await;
        assert_eq!(event[0], "EVENT", "{event}");
        event[1].clone()
    }

    /// The argument of the next event of this name.
    pub async fn the(&mut self, name: &str) -> Value {
        loop {
            let event = self.event().await;
            if event[0] == name {
                return event[1].clone();
            }
        }
    }

    /// The next event that has none of these names.
    pub async fn next_but(&mut self, names: &[&str]) -> Value {
        loop {
            let event = self.event().await;
            if !names.iter().any(|name| event[0] == *name) {
                return event;
            }
        }
    }

    /// What stands before the data of a packet: nothing for `/`.
    fn prefix(&self) -> String {
        match self.namespace.as_str() {
            "/" => String::new(),
            namespace => format!("{namespace},"),
        }
    }

    fn keep(&mut self, packet: &str) {
        let event = packet
            .strip_prefix("42")
            .and_then(|packet| packet.strip_prefix(&self.prefix()))
            .unwrap_or_else(|| panic!("not an event of {}: {packet}", self.namespace));
        self.events.push_back(serde_json::from_str(event).unwrap());
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// Reads the packets that have arrived, like a client that is not waiting for an answer.
    pub async fn read_ahead(&mut self) {
        while let Some(packet) = self.read_packet().now_or_never() {
            self.packets
                .push_back(packet.expect("the connection ended"));
        }
    }

    /// The next packet; pings are answered. Nothing once the connection is over.
    pub async fn packet(&mut self) -> Option<String> {
        match self.packets.pop_front() {
            Some(packet) => Some(packet),
            None => self.read_packet().await,
        }
    }

    async fn read_packet(&mut self) -> Option<String> {
        loop {
            let read = tokio::select! {
                biased;
                packet = next_text(&mut self.socket) => Some(packet),
                () = due(self.pings.as_mut()) => None,
            };
            let Some(packet) = read else {
                self.send("2").await;
                continue;
            };
            match packet?.as_str() {
                "2" => self.send("3").await,
                "3" if self.pings.is_some() => {}
                // Engine.IO's close packet.
                "1" => return None,
                packet => return Some(packet.to_owned()),
            }
        }
    }

    /// The next packet, whatever it is. Nothing once the connection is over.
    pub async fn any_packet(&mut self) -> Option<String> {
        next_text(&mut self.socket).await
    }
}

async fn next_text(socket: &mut Socket) -> Option<String> {
    loop {
        let message = timeout(SOON, socket.next()).await.expect("nothing came");
        match message {
            Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(other)) => panic!("unexpected: {other:?}"),
        }
    }
}

async fn due(pings: Option<&mut Interval>) {
    match pings {
        Some(pings) => drop(pings.tick().await),
        None => std::future::pending().await,
    }
}
