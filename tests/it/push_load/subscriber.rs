//! A subscriber of the push door, cheap enough for ten thousand of them.
//! Knows no publisher.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::crowd::line::{Line, Next, Way};

/// What stands before the subscriber itself in what it is answered.
const ACK: &str = r#"{"messageType":"CLIENT_ACK","code":200,"message":"Connected","#;

/// The same in what it is pushed.
const PUSH: &str = r#"{"messageType":"CLIENT_PUSH","code":200,"message":"Push Message","#;

/// One connection.
pub struct Subscriber {
    line: Line,
    pub uuid: String,
    /// What each push begins with, by the last answer.
    head: String,
}

impl Subscriber {
    /// Connects, and waits until it is told who it is.
    pub async fn connect(ws: SocketAddr) -> Self {
        let (address, cert, polls) = (ws, None, false);
        let way = Way {
            address,
            cert,
            polls,
        };
        let mut subscriber = Self {
            line: Line::websocket(&way, false, "/").await,
            uuid: String::new(),
            head: String::new(),
        };
        let answer = subscriber.packet().await;
        let answer = subscriber.acknowledged(&answer).expect("an answer");
        let uuid = answer["data"]["uuid"].as_str().expect("a uuid");
        subscriber.uuid = uuid.to_owned();
        subscriber
    }

    /// Subscribes to a channel; what is pushed before the answer is given.
    pub async fn subscribe(&mut self, channel: &str) -> Vec<Value> {
        let mut meanwhile = Vec::new();
        let data = json!({"channel": channel});
        let ask = json!({"messageType": "CLIENT_ACTION", "action": "SUBSCRIBE", "data": data});
        self.line.send(&[&ask.to_string()]).await;
        loop {
            let packet = self.packet().await;
            match self.acknowledged(&packet) {
                Some(answer) => {
                    let channels = answer["data"]["subscribedChannels"].as_array().unwrap();
                    assert!(channels.contains(&channel.into()), "{answer}");
                    return meanwhile;
                }
                None => meanwhile.push(pushed(&packet)),
            }
        }
    }

    /// The next push: its channel and message.
    pub async fn next(&mut self) -> Value {
        pushed(&self.packet().await)
    }

    /// The next push as it is written, but for what is this subscriber's own.
    pub async fn next_written(&mut self) -> Bytes {
        let packet = self.packet().await;
        let own = packet.starts_with(self.head.as_bytes());
        assert!(own, "{packet:?} begins otherwise than {}", self.head);
        packet.slice(self.head.len()..)
    }

    async fn packet(&mut self) -> Bytes {
        match self.line.next().await {
            Next::Packet(packet) => packet,
            end => panic!("{end:?}"),
        }
    }

    fn acknowledged(&mut self, packet: &Bytes) -> Option<Value> {
        let text = std::str::from_utf8(packet).unwrap();
        let own = text.strip_prefix(ACK)?;
        self.head = format!("{PUSH}{}", own.strip_suffix("}}").unwrap());
        Some(serde_json::from_str(text).unwrap())
    }
}

/// How a push goes on behind what is its subscriber's own.
pub fn written(channel: &str, message: &Value) -> String {
    format!(r#","pushMessage":{{"channel":"{channel}","message":{message}}}}}}}"#)
}

fn pushed(packet: &Bytes) -> Value {
    let push: Value = serde_json::from_slice(packet).unwrap();
    assert_eq!(push["messageType"], "CLIENT_PUSH", "{push}");
    push["data"]["pushMessage"].clone()
}
