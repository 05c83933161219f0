//! A backend of the push door: each request on a connection that is kept.
//! Knows no subscriber.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::crowd::line::PATIENCE;

/// One backend; it asks for one thing after the other.
pub struct Publisher {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Publisher {
    pub async fn connect(http: SocketAddr) -> Self {
        let stream = TcpStream::connect(http).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let read = Vec::new();
        Self { stream, read }
    }

    /// Creates a channel, and gives its token.
    pub async fn create(&mut self, data: Value) -> String {
        let (status, answer) = self.ask("/channel/create", "CREATE_CHANNEL", data).await;
        assert_eq!(status, 200, "{answer}");
        let token = &answer["data"]["channelToken"];
        token.as_str().expect("a token").to_owned()
    }

    /// The status of the answer to a ping.
    pub async fn ping(&mut self, channel: &str, token: &str) -> u16 {
        let data = json!({"channel": channel, "channelToken": token});
        self.ask("/channel/ping", "PING_CHANNEL", data).await.0
    }

    /// The status of the answer to a deletion.
    pub async fn delete(&mut self, channel: &str, token: &str) -> u16 {
        let data = json!({"channel": channel, "channelToken": token});
        self.ask("/channel/delete", "DELETE_CHANNEL", data).await.0
    }

    /// Pushes to everybody, or to these; the status of the answer.
    pub async fn push(&mut self, channel: &str, token: &str, to: &[String], json: Value) -> u16 {
        let data = json!({
            "channel": channel, "channelToken": token, "recipients": to, "messageJson": json,
        });
        self.ask("/push", "PUSH_MESSAGE", data).await.0
    }

    /// Posts an action; its status and body.
    pub async fn ask(&mut self, target: &str, action: &str, data: Value) -> (u16, Value) {
        let body = json!({"messageType": "SERVER_ACTION", "action": action, "data": data});
        let body = body.to_string();
        let length = body.len();
        let request =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            if let Some(answer) = self.answer() {
                return answer;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read));
            let read = read.await.expect("no answer").unwrap();
            assert!(
                read > 0,
                "cut off: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// The next answer, once all of it is here.
    fn answer(&mut self) -> Option<(u16, Value)> {
        let end = self.read.windows(4).position(|at| at == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.read[..end]).unwrap();
        let head = head.to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length: usize = length.lines().next()?.parse().unwrap();
        let body = self.read.get(end + 4..end + 4 + length)?;
        let answer = (
            head.split(' ').nth(1)?.parse().unwrap(),
            serde_json::from_slice(body).unwrap(),
        );
        self.read.drain(..end + 4 + length);
        Some(answer)
    }
}
