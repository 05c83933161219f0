//! The channel of the push door that is measured, and requests that publish: by
//! its token there, by the HTTP API elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, ensure};

use super::publisher::whole;

/// Creates the channel; what it answers is the token.
pub fn create(publishers: SocketAddr) -> anyhow::Result<String> {
    let create =
        r#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"r"}}"#;
    let mut stream = TcpStream::connect(publishers)?;
    stream.write_all(post("/channel/create", create).as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while whole(&answer)?.is_none() {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "no answer to the channel's creation");
        answer.extend_from_slice(&chunk[..read]);
    }
    let answer = String::from_utf8(answer)?;
    let token = answer.split_once(r#""channelToken":""#);
    let token = token.and_then(|(_, rest)| rest.split('"').next());
    token.map(str::to_owned).context(answer.clone())
}

/// The request that publishes a message: in the channel of this token, if there is
/// one, else in the room.
pub fn publish(token: Option<&str>, message: &str) -> String {
    match token {
        Some(token) => post(
            "/push",
            &format!(
                r#"{{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{{"channel":"r","channelToken":"{token}","recipients":[],"messageJson":{message}}}}}"#
            ),
        ),
        None => post("/bus-message/r", message),
    }
}

fn post(target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
