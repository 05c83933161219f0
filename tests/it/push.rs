//! The push door on the wire, byte by byte: what publishers and subscribers of the
//! program that it stands in for send, and what they have to be answered.

mod creation;
mod kept;
mod limits;
mod messages;
mod publishers;
mod reaches;
mod refused;
mod subscribers;

use std::net::SocketAddr;

use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::http::{Answer, post};
use crate::server::TestServer;

/// The characters of a channel's token: 256 bits in hexadecimal.
const TOKEN_CHARS: usize = 64;

async fn start() -> TestServer {
    TestServer::start_with(&["--push"]).await
}

/// Where publishers post.
fn publishers(server: &TestServer) -> SocketAddr {
    server.push.unwrap().0
}

async fn publish(server: &TestServer, target: &str, body: impl AsRef<[u8]>) -> Answer {
    post(publishers(server), target, body).await
}

/// What a publisher sends.
fn action(action: &str, data: &str) -> String {
    format!(r#"{{"messageType":"SERVER_ACTION","action":"{action}","data":{data}}}"#)
}

/// What it is answered.
fn done(message: &str, channel: &str, token: &str) -> String {
    format!(
        r#"{{"messageType":"SERVER_ACK","code":200,"message":"{message}","data":{{"channel":"{channel}","channelToken":{token}}}}}"#
    )
}

/// What it is answered, or a subscriber, of what is refused.
fn error(code: u16, message: &str, details: &str) -> String {
    format!(
        r#"{{"messageType":"ERROR","code":{code},"message":"{message}","data":{{"errorDetails":"{details}"}}}}"#
    )
}

/// Creates a channel; its token.
pub async fn create(server: &TestServer, channel: &str) -> String {
    create_as(server, channel, "").await
}

/// The same with more to its `data`.
async fn create_as(server: &TestServer, channel: &str, terms: &str) -> String {
    let data = format!(r#"{{"channel":"{channel}"{terms}}}"#);
    let answer = publish(server, "/channel/create", action("CREATE_CHANNEL", &data)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = done("Created", channel, r#""TOKEN""#);
    token_in(&expected, &answer.body).to_owned()
}

/// What somebody is answered who asks for this channel.
pub async fn answer_for(server: &TestServer, channel: &str) -> String {
    let mut subscriber = Subscriber::connect(server).await;
    subscriber.asks("SUBSCRIBE", channel).await;
    subscriber.hears().await
}

/// Deletes a channel, which is to succeed.
pub async fn delete(server: &TestServer, channel: &str, token: &str) {
    let data = format!(r#"{{"channel":"{channel}","channelToken":"{token}"}}"#);
    let body = action("DELETE_CHANNEL", &data);
    let answer = publish(server, "/channel/delete", body).await;
    assert_eq!(answer.body, done("Deleted", channel, "null"));
}

/// What stands where TOKEN is expected.
fn token_in<'a>(expected: &str, answer: &'a str) -> &'a str {
    let (before, behind) = expected.split_once("TOKEN").unwrap();
    let token = answer
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(behind))
        .unwrap_or_else(|| panic!("{answer} instead of {expected}"));
    assert_eq!(token.len(), TOKEN_CHARS, "{token}");
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    token
}

/// A push of this to everybody: `message` is what is said, and how.
pub fn push(channel: &str, token: &str, message: &str) -> String {
    push_to(channel, token, "", message)
}

pub fn push_to(channel: &str, token: &str, recipients: &str, message: &str) -> String {
    let data = format!(
        r#"{{"channel":"{channel}","channelToken":"{token}","recipients":[{recipients}],{message}}}"#
    );
    action("PUSH_MESSAGE", &data)
}

/// Pushes, which is to succeed.
pub async fn pushed(server: &TestServer, channel: &str, body: String) {
    let answer = publish(server, "/push", &body).await;
    let expected = done("Sent", channel, "null");
    assert_eq!((answer.status, answer.body), (200, expected), "{body}");
}

/// Waits until the server has so many clients: a raw WebSocket is let in behind the
/// answer, and then in its room at once.
async fn are_there(server: &TestServer, many: usize) {
    let there = async {
        while server.hub.client_count() < many {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, there).await.expect("not there");
}

/// A WebSocket of the subscribers' port.
pub struct Subscriber {
    client: Client,
    pub uuid: String,
}

impl Subscriber {
    async fn connect(server: &TestServer) -> Self {
        Self::connect_at(server, "/").await
    }

    async fn connect_at(server: &TestServer, target: &str) -> Self {
        let (_, address) = server.push.unwrap();
        let mut client = Client::websocket_at(address, target, &[]).await;
        let hello = client.any_packet().await.expect("a word at the start");
        let (_, rest) = hello.split_once(r#""uuid":""#).expect("a UUID");
        let (uuid, _) = rest.split_once('"').unwrap();
        let uuid = uuid::Uuid::parse_str(uuid).unwrap().to_string();
        let subscriber = Self { client, uuid };
        let expected = subscriber.acknowledged("");
        assert_eq!(hello, expected);
        subscriber
    }

    /// Connects, and subscribes.
    pub async fn of(server: &TestServer, channel: &str) -> Self {
        let mut subscriber = Self::connect(server).await;
        subscriber.asks("SUBSCRIBE", channel).await;
        let expected = subscriber.acknowledged(&format!(r#""{channel}""#));
        assert_eq!(subscriber.hears().await, expected);
        subscriber
    }

    async fn asks(&mut self, action: &str, channel: &str) {
        self.client.send(ask(action, channel)).await;
    }

    /// The next message.
    pub async fn hears(&mut self) -> String {
        self.client
            .any_packet()
            .await
            .expect("the connection ended")
    }

    /// What it is answered when it hears these channels.
    fn acknowledged(&self, channels: &str) -> String {
        let uuid = &self.uuid;
        format!(
            r#"{{"messageType":"CLIENT_ACK","code":200,"message":"Connected","data":{{"uuid":"{uuid}","subscribedChannels":[{channels}]}}}}"#
        )
    }

    /// What a push is when it hears these channels; `message` is as it is written.
    fn pushed(&self, channels: &str, channel: &str, message: &str) -> String {
        let uuid = &self.uuid;
        format!(
            r#"{{"messageType":"CLIENT_PUSH","code":200,"message":"Push Message","data":{{"uuid":"{uuid}","subscribedChannels":[{channels}],"pushMessage":{{"channel":"{channel}","message":{message}}}}}}}"#
        )
    }
}

/// What a subscriber sends.
fn ask(action: &str, channel: &str) -> String {
    format!(
        r#"{{"messageType":"CLIENT_ACTION","action":"{action}","data":{{"channel":"{channel}"}}}}"#
    )
}
