//! Connections as the originals' clients open them: by polling, then by a WebSocket.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::polling::framed;

/// Connects as socket.io-client 1.7 and 2.1 do in Node: they ask for the namespace by
/// polling, with this packet, and then move to a WebSocket.
pub async fn javascript(server: SocketAddr, connect: &str) -> Client {
    let target = "/socket.io/?EIO=3&transport=polling&t=Q8npQOU&b64=1";
    let sid = session(&poll(server, target, "").await);
    let target = format!("{target}&sid={sid}");
    assert_eq!(poll(server, &target, &framed(&[connect])).await, "ok");
    let namespace = connect.trim_start_matches("40").trim_end_matches(',');
    let mut answers = String::new();
    while !answers.contains(&format!("40{namespace}")) {
        answers.push_str(&poll(server, &target, "").await);
    }
    let mut client = probe(server, &sid, &[]).await;
    assert_eq!(poll(server, &target, "").await, "1:6");
    client.send("5").await;
    client.set_namespace(namespace);
    client
}

/// Connects as socketIO-client-2 0.7.5 does: with one polling request, whose answer must have the
/// binary framing, then with a WebSocket, on which it asks for the namespace.
pub async fn python(server: SocketAddr, namespace: &str) -> Client {
    let target = "/socket.io/?EIO=3&transport=polling&t=1796131679104-0";
    let sid = session(&poll(server, target, "").await);
    let origin = format!("http://{server}");
    let mut client = probe(server, &sid, &[("origin", &origin)]).await;
    for packet in ["5", "2"] {
        client.send(packet).await;
    }
    // The server connects the client to the namespace `/` unasked.
    while client.any_packet().await.expect("no pong") != "3" {}
    let connect = format!("40{namespace}");
    client.send(&connect).await;
    let answered = |packet: String| packet.trim_end_matches(',') == connect;
    while !answered(client.any_packet().await.expect("no answer")) {}
    client.set_namespace(namespace);
    client
}

/// The argument of an event as these clients send it: JSON in a string.
pub fn text(argument: Value) -> Value {
    argument.to_string().into()
}

/// Waits until a room of the witness's namespace has this many members.
pub async fn are_in(witness: &mut Client, room: &str, many: usize) {
    let joined =
        async { while witness.ask("CLIENTS", json!({"room": room})).await["total"] != many {} };
    timeout(SOON, joined).await.expect("nobody joined");
}

/// Checks the fields of an EVENT that the original has; ours has more.
pub fn assert_event(event: &Value, sender: &str, room: &str, message: &Value) {
    let event = (&event["sender"], &event["room"], &event["message"]);
    assert_eq!(event, (&sender.into(), &room.into(), message));
}

/// Opens a session's WebSocket, up to the answer to its probe.
async fn probe(server: SocketAddr, sid: &str, headers: &[(&'static str, &str)]) -> Client {
    let target = format!("/socket.io/?EIO=3&transport=websocket&sid={sid}");
    let mut client = Client::websocket_at(server, &target, headers).await;
    client.send("2probe").await;
    assert_eq!(client.any_packet().await.as_deref(), Some("3probe"));
    client
}

/// Sends one request of a polling client: a POST if there is a body. Returns the answer's body, which
/// is not UTF-8 in the binary framing.
async fn poll(server: SocketAddr, target: &str, body: &str) -> String {
    let (method, length) = match body.len() {
        0 => ("GET", String::new()),
        length => ("POST", format!("Content-Length: {length}\r\n")),
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nUser-Agent: node-XMLHttpRequest\r\nAccept: */*\r\nHost: {server}\r\n{length}Connection: close\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.expect("no answer").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The id of the session in an open packet.
fn session(opened: &str) -> String {
    let (_, rest) = opened.split_once(r#""sid":""#).expect("an open packet");
    rest.split('"').next().unwrap().to_owned()
}
