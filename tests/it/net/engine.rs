//! The Socket.IO engine on top of the network layer: what a client sends right
//! behind its CONNECT reaches the handlers.

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use http_body_util::Empty;
use hyper::body::Incoming;
use roomcast::net::{self, ConnectionHandle, Connections, Limits};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::ConnectHandler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::served::long;
use super::{Connect, frame};

/// Clients that connect at once; without the gate some of them lose their JOIN.
const CLIENTS: usize = 300;

const REQUEST: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_in_the_same_instant_as_connect_is_never_lost() {
    let inner = tower::service_fn(async |_: Request<Incoming>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Empty::<Bytes>::new()))
    });
    let (engine, io) = SocketIo::builder().build_with_inner_svc(inner);
    let register = async |socket: SocketRef| {
        socket.on("JOIN", |ack: AckSender| {
            let _ = ack.send("joined");
            std::future::ready(())
        });
        Ok::<_, std::convert::Infallible>(())
    };
    io.ns("/metadata", (async || {}).with(register));
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let handle: &ConnectionHandle = request.extensions().get().unwrap();
        let _ = handle.set_rule(Connect);
        engine.clone().oneshot(request)
    });
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), "--port").unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let connections = Connections::new();
    let serving = net::serve(
        listener,
        None,
        Limits::default(),
        service,
        stop.clone(),
        connections.clone(),
    );
    let serving = tokio::spawn(serving);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(join_at_once(addr)))
        .collect();
    for client in clients {
        long(client).await.unwrap();
    }
    stop.cancel();
    serving.await.unwrap();
    long(connections.wait_closed()).await;
}

/// Upgrade, CONNECT and JOIN in one write; ends when the JOIN is answered.
async fn join_at_once(addr: std::net::SocketAddr) {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let mut all = REQUEST.as_bytes().to_vec();
    all.extend(frame("40/metadata,"));
    all.extend(frame("42/metadata,7[\"JOIN\",{}]"));
    tcp.write_all(&all).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut websocket = WebSocketStream::from_raw_socket(tcp, Role::Client, None).await;
    loop {
        let message = websocket.next().await.expect("an answer").unwrap();
        if message == Message::text("43/metadata,7[\"joined\"]") {
            break;
        }
        let text = message.to_text().unwrap();
        let other = text.starts_with('0') || text.starts_with("40") || text == "2";
        assert!(other, "{text}");
    }
    websocket.close(None).await.unwrap();
}
