//! What a client sends right behind its upgrade and its CONNECT reaches the handlers.

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::frame;
use super::served::long;
use crate::server::TestServer;

/// Clients that connect at once; without the gate some of them lose their JOIN.
const CLIENTS: usize = 300;

const REQUEST: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_in_the_same_instant_as_connect_is_never_lost() {
    let server = TestServer::start().await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(join_at_once(server.address)))
        .collect();
    for client in clients {
        long(client).await.unwrap();
    }
    server.stop().await;
}

/// Upgrade, CONNECT and JOIN in one write; ends when the JOIN is answered.
async fn join_at_once(addr: std::net::SocketAddr) {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let mut all = REQUEST.as_bytes().to_vec();
    all.extend(frame("40/metadata,"));
    all.extend(frame("42/metadata,7[\"JOIN\",{\"room\":\"next\"}]"));
    tcp.write_all(&all).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut websocket = WebSocketStream::from_raw_socket(tcp, Role::Client, None).await;
    loop {
        let message = websocket.next().await.expect("an answer").unwrap();
        let text = message.to_text().unwrap();
        if text.starts_with(r#"43/metadata,7[{"status":"ok""#) {
            break;
        }
        let other = text.starts_with('0') || text.starts_with("40") || text == "2";
        assert!(other, "{text}");
    }
    websocket.close(None).await.unwrap();
}
