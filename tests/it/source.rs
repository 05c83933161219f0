//! A browser's EventSource, as it reads the wire.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::SOON;

/// An EventSource: what it has read, and the last id.
pub struct Source {
    tcp: TcpStream,
    pub read: String,
    pub head: String,
    pub last_id: String,
}

/// A block that has data.
#[derive(Debug)]
pub struct Told {
    pub event: String,
    pub data: Value,
}

impl Source {
    pub async fn open(server: SocketAddr, target: &str, headers: &str) -> Self {
        let mut tcp = TcpStream::connect(server).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut source = Self {
            tcp,
            read: String::new(),
            head: String::new(),
            last_id: String::new(),
        };
        while !source.read.contains("\r\n\r\n") {
            assert!(source.more().await, "{}", source.read);
        }
        let (head, rest) = source.read.split_once("\r\n\r\n").unwrap();
        (source.head, source.read) = (head.to_lowercase(), rest.to_owned());
        assert!(source.head.starts_with("http/1.1 200"), "{}", source.head);
        source
    }

    pub async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = timeout(SOON, self.tcp.read(&mut bytes)).await;
        let read = read.expect("nothing came").unwrap();
        self.read
            .push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        read > 0
    }

    /// The next block, of whatever kind; the lengths of chunks are skipped.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let lines = block.lines().filter(|line| line.contains(':'));
                let block = lines.collect::<Vec<_>>().join("\n");
                self.read = rest.to_owned();
                return Some(block);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub async fn told(&mut self) -> Told {
        loop {
            let block = self.block().await.expect("the end");
            let field = |name: &str| {
                let mut lines = block.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let Some(id) = field("id") {
                self.last_id = id.to_owned();
            }
            if let Some(data) = field("data") {
                return Told {
                    event: field("event").unwrap_or("message").to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                };
            }
        }
    }

    /// Hears messages until this one; their numbers.
    pub async fn until(&mut self, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            let told = self.told().await;
            numbers.push(told.data["message"].as_u64().unwrap());
        }
        numbers
    }
}
