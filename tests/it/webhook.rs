//! The webhook door: what the backend is told and what it can do, on the wire.

pub mod backend;
mod crowd;
mod door;
mod ends;
mod messages;
mod opening;
mod outage;
mod pressure;
pub mod program;
mod rooms;
mod security;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use self::backend::Backend;
use crate::client::SOON;
use crate::http::{Answer, ask, host_unless_in};
use crate::server::TestServer;

/// Both styles of the door.
const STYLES: [&str; 2] = ["wsaas", "rest"];

/// A server for a backend, and the backend.
pub struct Pair {
    pub server: TestServer,
    pub backend: Backend,
    pub ws: SocketAddr,
    pub rest: SocketAddr,
}

/// The style that these options do not choose.
fn style(options: &[&str]) -> &'static [&'static str] {
    match options.contains(&"--webhook-style") {
        true => &[],
        false => &["--webhook-style", "rest"],
    }
}

impl Pair {
    pub async fn start(options: &[&str]) -> Self {
        Self::start_for(Backend::start().await, options).await
    }

    pub async fn start_for(backend: Backend, options: &[&str]) -> Self {
        let target = backend.target();
        let own = ["--target-address", &target, "--webhook-ws", "127.0.0.1:0"];
        let rest = ["--webhook-http", "127.0.0.1:0"];
        let server =
            TestServer::start_with(&[&own[..], &rest, style(options), options].concat()).await;
        let (ws, rest) = server.webhook.unwrap();
        Self {
            server,
            backend,
            ws,
            rest,
        }
    }

    /// A client that is let in, and its id.
    pub async fn client(&self) -> (Client, String) {
        let before = self.backend.calls().len();
        let client = Client::connect(self.ws).await.unwrap();
        let calls = self.backend.called(before + 1).await;
        (client, calls[before].id.clone())
    }

    /// A request to the REST side.
    pub async fn rest(&self, method: &str, path: &str, body: &str) -> Answer {
        rest(self.rest, method, path, "", body).await
    }
}

/// A request to a REST side; `headers` end with a line's end each.
pub async fn rest(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let (length, host) = (body.len(), host_unless_in(headers));
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    ask(TcpStream::connect(to).await.unwrap(), &request).await
}

/// The status and the code that the REST side answers.
pub fn answered(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    (answer.status, body["code"].as_str().unwrap().to_owned())
}

/// Lets so much time pass, for all of the test's own runtime.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Somebody with a plain WebSocket.
pub struct Client(pub WebSocketStream<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Result<Self, u16> {
        Self::connect_with(address, &[]).await
    }

    /// Connects, or gets the status of the answer.
    pub async fn connect_with(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{address}/").into_client_request().unwrap();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(address).await.unwrap();
        match timeout(SOON, client_async(request, tcp))
            .await
            .expect("hangs")
        {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    pub async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    pub async fn next(&mut self) -> Message {
        let next = timeout(SOON, self.0.next()).await.expect("nothing came");
        next.expect("it has ended").unwrap()
    }

    pub async fn text(&mut self) -> String {
        self.content("rest").await
    }

    /// The content of the next frame, which must be of the kind that this style uses for text.
    pub async fn content(&mut self, style: &str) -> String {
        match (self.next().await, style) {
            (Message::Text(text), "rest") => text.to_string(),
            (Message::Binary(bytes), "wsaas") => String::from_utf8(bytes.to_vec()).unwrap(),
            (other, _) => panic!("not of {style}: {other:?}"),
        }
    }

    /// The code that it is closed with.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Message::Close(Some(CloseFrame { code, .. })) => return code.into(),
                Message::Close(None) => return 0,
                _ => {}
            }
        }
    }
}
