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
        let source = Self::try_open(server, target, headers).await;
        source.expect("no answer")
    }

    /// Nothing where the server goes before it has answered.
    pub async fn try_open(server: SocketAddr, target: &str, headers: &str) -> Option<Self> {
        let mut tcp = TcpStream::connect(server).await.ok()?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        tcp.write_all(request.as_bytes()).await.ok()?;
        let mut source = Self {
            tcp,
            read: String::new(),
            head: String::new(),
            last_id: String::new(),
        };
        while !source.read.contains("\r\n\r\n") {
            if !source.more().await {
                return None;
            }
        }
        let (head, rest) = source.read.split_once("\r\n\r\n").unwrap();
        (source.head, source.read) = (head.to_lowercase(), rest.to_owned());
        assert!(source.head.starts_with("http/1.1 200"), "{}", source.head);
        Some(source)
    }

    pub async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = timeout(SOON, self.tcp.read(&mut bytes)).await;
        // A reset is an end as well.
        let read = read.expect("nothing came").unwrap_or(0);
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
                if let Some(id) = field(&block, "id") {
                    self.last_id = id.to_owned();
                }
                return Some(block);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub async fn told(&mut self) -> Told {
        self.next().await.expect("the end")
    }

    /// The next block that has data, until the end.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let block = self.block().await?;
            if let Some(data) = field(&block, "data") {
                return Some(Told {
                    event: field(&block, "event").unwrap_or("message").to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                });
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

fn field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = block.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
