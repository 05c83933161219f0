//! The channel of the push door that is measured, requests that publish (by its token
//! there, by the HTTP API elsewhere), and a request that is waited for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, ensure};

use super::publisher::whole;

/// Creates the channel; what it answers is the token.
pub fn create(publishers: SocketAddr) -> anyhow::Result<String> {
    let create =
        r#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"r"}}"#;
    let answer = exchange(publishers, &post("/channel/create", create))?;
    let token = answer.split_once(r#""channelToken":""#);
    let token = token.and_then(|(_, rest)| rest.split('"').next());
    token.map(str::to_owned).context(answer.clone())
}

/// Sends a request over a connection of its own, and waits for the answer.
pub fn exchange(server: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while whole(&answer)?.is_none() {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "no answer to {request}");
        answer.extend_from_slice(&chunk[..read]);
    }
    Ok(String::from_utf8(answer)?)
}

/// The request that publishes a message: in the channel of this token, if there is
/// one, else in the room.
pub fn publish(token: Option<&str>, room: &str, message: &str) -> String {
    match token {
        Some(token) => post(
            "/push",
            &format!(
                r#"{{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{{"channel":"r","channelToken":"{token}","recipients":[],"messageJson":{message}}}}}"#
            ),
        ),
        None => post(&format!("/bus-message/{room}"), message),
    }
}

fn post(target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
