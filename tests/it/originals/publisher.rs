//! WS-PushServer: publishers that are written in PHP, and the subscribers of its README.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::server::TestServer;

/// How a program writes its requests.
#[derive(Clone, Copy)]
struct Form {
    name: &'static str,
    version: &'static str,
    headers: &'static str,
    /// The bytes before the JSON.
    start: &'static str,
}

const FORMS: [Form; 6] = [
    Form {
        name: "streams",
        version: "1.1",
        headers: "Host: localhost:5223\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        start: "",
    },
    Form {
        name: "old-streams",
        version: "1.0",
        headers: "Host: localhost:5223\r\nContent-type: application/json\r\n",
        start: "",
    },
    Form {
        name: "curl",
        version: "1.1",
        headers: "Host: localhost:5223\r\nAccept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        start: "",
    },
    Form {
        name: "curl-that-waits",
        version: "1.1",
        headers: "Host: localhost:5223\r\nAccept: */*\r\nExpect: 100-continue\r\n",
        start: "",
    },
    Form {
        name: "guzzle",
        version: "1.1",
        headers: "host: pushserver:5223\r\nuser-agent: GuzzleHttp/7\r\ncontent-type: application/json; charset=utf-8\r\n",
        start: "",
    },
    Form {
        name: "mark",
        version: "1.1",
        headers: "HOST: 127.0.0.1:5223\r\nCONTENT-TYPE: application/json\r\n",
        start: "\u{feff}",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_receive_what_programs_in_php_push() {
    let server = TestServer::start_with(&["--push"]).await;
    for form in FORMS {
        pushes(&server, form).await;
    }
    server.stop().await;
}

async fn pushes(server: &TestServer, form: Form) {
    let channel = form.name;
    let mut publisher = Publisher {
        address: server.push.unwrap().0,
        form,
    };

    // A backend asks whether its channel is there before it creates it.
    let ask = json!({"channel": channel, "channelToken": null});
    assert_eq!(
        publisher
            .post("/channel/ping", "PING_CHANNEL", ask.clone())
            .await
            .0,
        404
    );
    let created = publisher.post(
        "/channel/create",
        "CREATE_CHANNEL",
        json!({"channel": channel}),
    );
    let (status, created) = created.await;
    assert_eq!((status, &created["message"]), (200, &json!("Created")));
    let token = &created["data"]["channelToken"];
    assert_eq!(
        publisher.post("/channel/ping", "PING_CHANNEL", ask).await.0,
        401
    );

    let mut anna = Subscriber::connect(server, channel).await;
    let mut ben = Subscriber::connect(server, channel).await;
    let texts = ["Hello", "Grüße / €", r#"{"id":7,"html":"<b>\"x\"</b>"}"#];
    for text in texts {
        let data = push(channel, token, json!([]), text);
        assert_eq!(publisher.post("/push", "PUSH_MESSAGE", data).await.0, 200);
        anna.receives(channel, text).await;
        ben.receives(channel, text).await;
    }
    let data = push(channel, token, json!([ben.uuid]), "for ben");
    assert_eq!(publisher.post("/push", "PUSH_MESSAGE", data).await.0, 200);
    ben.receives(channel, "for ben").await;

    let data = json!({"channel": channel, "channelToken": "wrong"});
    assert_eq!(
        publisher
            .post("/channel/delete", "DELETE_CHANNEL", data)
            .await
            .0,
        403
    );
    let data = json!({"channel": channel, "channelToken": token});
    let (status, deleted) = publisher
        .post("/channel/delete", "DELETE_CHANNEL", data)
        .await;
    assert_eq!((status, &deleted["message"]), (200, &json!("Deleted")));
    let data = push(channel, token, json!([]), "too late");
    assert_eq!(publisher.post("/push", "PUSH_MESSAGE", data).await.0, 404);
    // No other message arrived, in particular not the one for ben.
    anna.says("SUBSCRIBE", channel).await;
    assert_eq!(anna.message().await["code"], 404);
}

fn push(channel: &str, token: &Value, recipients: Value, message: &str) -> Value {
    json!({"channel": channel, "channelToken": token, "recipients": recipients, "message": message})
}

struct Publisher {
    address: SocketAddr,
    form: Form,
}

impl Publisher {
    /// Posts an action on a connection of its own; returns the status and the answer.
    async fn post(&mut self, path: &str, action: &str, data: Value) -> (u16, Value) {
        let action = json!({"messageType": "SERVER_ACTION", "action": action, "data": data});
        let body = format!("{}{}", self.form.start, php_json(&action));
        let Form {
            version, headers, ..
        } = self.form;
        let length = body.len();
        let head =
            format!("POST {path} HTTP/{version}\r\n{headers}Content-Length: {length}\r\n\r\n");
        let mut stream = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        stream.write_all(head.as_bytes()).await.unwrap();
        if headers.contains("Expect:") {
            assert_eq!(head_of(&mut stream).await.0, 100);
        }
        stream.write_all(body.as_bytes()).await.unwrap();
        let (status, length) = head_of(&mut stream).await;
        let mut answer = vec![0; length];
        let read = timeout(SOON, stream.read_exact(&mut answer)).await;
        read.expect("no answer").unwrap();
        (status, serde_json::from_slice(&answer).unwrap())
    }
}

/// JSON as PHP's `json_encode` writes it.
fn php_json(value: &Value) -> String {
    let mut text = String::new();
    for unit in value.to_string().replace('/', r"\/").encode_utf16() {
        match char::from_u32(unit.into()).filter(char::is_ascii) {
            Some(ascii) => text.push(ascii),
            None => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text
}

/// The status of an answer, and the length of its body.
async fn head_of(stream: &mut BufReader<TcpStream>) -> (u16, usize) {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        let read = timeout(SOON, stream.read_line(&mut line)).await;
        read.expect("no answer").unwrap();
        match line.trim_end().to_ascii_lowercase().split_once(' ') {
            None => return (status.expect("a status"), length),
            Some(("content-length:", value)) => length = value.parse().unwrap(),
            Some((version, rest)) if version.starts_with("http/1.") => {
                status = Some(rest[..3].parse().unwrap());
            }
            Some(_) => {}
        }
    }
}

/// A page that subscribes with the messages of the original's README.
struct Subscriber {
    client: Client,
    uuid: Value,
}

impl Subscriber {
    async fn connect(server: &TestServer, channel: &str) -> Self {
        let (_, address) = server.push.unwrap();
        let client = Client::websocket_at(address, "/", &[]).await;
        let mut subscriber = Self {
            client,
            uuid: Value::Null,
        };
        let hello = subscriber.message().await;
        let connected = (&hello["messageType"], &hello["code"], &hello["message"]);
        assert_eq!(
            connected,
            (&json!("CLIENT_ACK"), &json!(200), &json!("Connected"))
        );
        subscriber.uuid = hello["data"]["uuid"].clone();
        subscriber.says("SUBSCRIBE", channel).await;
        let data = json!({"uuid": subscriber.uuid, "subscribedChannels": [channel]});
        assert_eq!(subscriber.message().await["data"], data);
        subscriber
    }

    async fn says(&mut self, action: &str, channel: &str) {
        let data = json!({"channel": channel});
        let uuid = &self.uuid;
        let message =
            json!({"messageType": "CLIENT_ACTION", "uuid": uuid, "action": action, "data": data});
        self.client.send(message.to_string()).await;
    }

    async fn receives(&mut self, channel: &str, text: &str) {
        let data = json!({
            "uuid": self.uuid,
            "subscribedChannels": [channel],
            "pushMessage": {"channel": channel, "message": text},
        });
        let push = json!({"messageType": "CLIENT_PUSH", "code": 200, "message": "Push Message", "data": data});
        assert_eq!(self.message().await, push);
    }

    async fn message(&mut self) -> Value {
        let message = self
            .client
            .any_packet()
            .await
            .expect("the connection ended");
        serde_json::from_str(&message).unwrap()
    }
}
