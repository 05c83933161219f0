//! A whole server on free ports, for the tests.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use roomcast::config::Config;
use roomcast::core::event::To;
use roomcast::core::hub::{Granted, Hub, Outside};
use roomcast::core::name::{NamespaceName, Nickname, RoomName};
use roomcast::core::namespace::Publisher;
use roomcast::{Server, Stopped};
use serde_json::value::to_raw_value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::SOON;

pub struct TestServer {
    pub address: SocketAddr,
    pub zetta: SocketAddr,
    /// The port more for raw WebSockets, where there is one.
    pub gateway: Option<SocketAddr>,
    /// Where clients and the backend of the webhook door connect, where there is one.
    pub webhook: Option<(SocketAddr, SocketAddr)>,
    /// Where publishers and subscribers of the push door connect, where it is served.
    pub push: Option<(SocketAddr, SocketAddr)>,
    pub hub: Arc<Hub>,
    shutdown: CancellationToken,
    running: JoinHandle<Stopped>,
    /// What it keeps, unless the test has a folder of its own for that.
    _state: Option<TempDir>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server on free ports of this machine unless the options say which.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::start_as(config(options)).await
    }

    /// Starts one with these settings, but what it keeps.
    pub async fn start_as(config: Config) -> Self {
        let state = tempfile::tempdir().unwrap();
        let server = Self::run(Config {
            state: state.path().to_owned(),
            ..config
        });
        Self {
            _state: Some(state),
            ..server.await
        }
    }

    /// The same, with what is in this folder.
    pub async fn start_in(state: &Path, options: &[&str]) -> Self {
        let state = ["--state", state.to_str().unwrap()];
        Self::run(config(&[&state, options].concat())).await
    }

    async fn run(config: Config) -> Self {
        let server = Server::bind(config).await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            address: server.address().unwrap(),
            zetta: server.zetta_address().unwrap(),
            gateway: server.gateway_address(),
            webhook: server.webhook_addresses(),
            push: server.push_addresses(),
            hub: server.hub(),
            shutdown: shutdown.clone(),
            running: tokio::spawn(server.serve(shutdown)),
            _state: None,
        }
    }

    pub async fn stop(self) -> Stopped {
        self.shutdown.cancel();
        self.running.await.unwrap()
    }

    /// Publishes as a backend would.
    pub fn publish(&self, namespace: &str, room: &str, message: serde_json::Value) {
        let from = Outside {
            publisher: Publisher::Http,
            namespace: &NamespaceName::parse(namespace).unwrap(),
            room: RoomName::parse(room).unwrap(),
            sender: Nickname::http(),
            to: To::Everybody,
            message: to_raw_value(&message).unwrap(),
            retain: &[],
            granted: Granted::default(),
            same: None,
        };
        self.hub
            .publish(from, Box::new(|done| assert!(done.is_ok())));
    }

    /// A connection of a studio's automation.
    pub async fn zetta(&self) -> TcpStream {
        TcpStream::connect(self.zetta).await.unwrap()
    }
}

pub fn config(options: &[&str]) -> Config {
    let free = [
        ["--host", "127.0.0.1"],
        ["--port", "0"],
        ["--zetta-listen", "127.0.0.1:0"],
    ];
    let push = [["--push-http", "127.0.0.1:0"], ["--push-ws", "127.0.0.1:0"]];
    let push = push.iter().filter(|_| options.contains(&"--push"));
    let not_given = free.iter().chain(push);
    let not_given = not_given.filter(|[flag, _]| !options.contains(flag));
    let arguments = [
        &["server"],
        &not_given.flatten().copied().collect::<Vec<_>>()[..],
        options,
    ];
    let arguments = arguments.concat().into_iter().map(Into::into);
    Config::load(arguments, None).unwrap()
}

/// A document that makes a song current; `start` counts seconds of one evening.
pub fn song(start: u32, title: &str) -> String {
    let time = format!(
        "2026-03-01T{:02}:{:02}:{:02}Z",
        1 + start / 3600,
        start / 60 % 60,
        start % 60
    );
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><ZettaLite Version="0.0.0"><LogEventCollection><LogEvent Type="SONG" StartTime="{time}" Status="CURRENT" LastStarted="true" ZettaId="{id}"><Asset Type="SONG" Title="{title}" Artist1="The Smiths" Album1="The Queen Is Dead" TotalLength="347.9" /></LogEvent></LogEventCollection></ZettaLite>"#,
        id = 1000 + start,
    )
}

/// Writes a document to the Zetta port.
pub async fn play(zetta: &mut TcpStream, document: &str) {
    zetta.write_all(document.as_bytes()).await.unwrap();
}

/// Writes to a Zetta port, and waits until the server has taken it all.
pub async fn feed(zetta: SocketAddr, text: &str) {
    let mut zetta = TcpStream::connect(zetta).await.unwrap();
    zetta.write_all(text.as_bytes()).await.unwrap();
    zetta.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // An intruder may be reset; that is an end as well.
    let _ = timeout(SOON, zetta.read_to_end(&mut answer))
        .await
        .expect("the Zetta port goes on");
}
