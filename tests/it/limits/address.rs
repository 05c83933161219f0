//! Limits of one address, direct or behind a proxy.

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::http::{Answer, get, header, post_with};
use crate::server::TestServer;
use crate::source::Source;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn server(options: &[&str]) -> TestServer {
    TestServer::start_with(&[&["--trusted-proxy", "127.0.0.1"], options].concat()).await
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    let seconds: u64 = header(answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..60).contains(&seconds));
}

async fn raw(server: &TestServer, address: &str) -> Client {
    let target = "/ws?target=bus&room=r";
    let headers = [("x-forwarded-for", address)];
    Client::websocket_at(server.address, target, &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_address_are_counted_behind_a_proxy() {
    let server = server(&["--address-connections", "3"]).await;
    // An IPv6 network of 64 bits counts as one address.
    let [one, other] = ["2001:db8:1:2::1", "2001:db8:1:2::2"];
    let mut first = raw(&server, one).await;
    let second = raw(&server, other).await;
    let mut source = Source::open(server.address, "/events/bus/r", &from(one)).await;
    assert_eq!(source.told().await.event, "joined");
    for target in [
        "/ws?target=bus&room=r",
        "/api/?target=metadata",
        "/socket.io/?EIO=4&transport=websocket",
        "/events/bus/r",
        "/",
    ] {
        let upgrade = if target.contains('?') { UPGRADE } else { "" };
        let refused = get(server.address, target, &(from(one) + upgrade)).await;
        is_refused(&refused);
    }
    // Other addresses, private ones and the proxy itself are not affected.
    for address in ["2001:db8:1:3::1", "192.168.1.1", "127.0.0.1"] {
        let answer = get(server.address, "/", &from(address)).await;
        assert_eq!(answer.status, 200, "{address}");
    }
    server.publish("/bus", "r", json!(1));
    assert!(first.any_packet().await.is_some());
    // A WebSocket and a stream release their places.
    drop(second);
    until_served(&server, one).await;
    let third = raw(&server, one).await;
    drop(source);
    until_served(&server, one).await;
    drop((first, third));
    server.stop().await;
}

/// Waits until this address is served again.
async fn until_served(server: &TestServer, address: &str) {
    let served = async { while get(server.address, "/", &from(address)).await.status != 200 {} };
    timeout(SOON, served)
        .await
        .expect("the place is not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address_are_counted_when_they_come() {
    let options = ["--address-connections", "3", "--address-private"];
    let server = TestServer::start_with(&options).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    is_refused(&get(server.address, "/", "").await);
    // A forwarding header of an untrusted peer changes nothing.
    is_refused(&get(server.address, "/", &from("192.0.2.1")).await);
    held.pop();
    let served = async { while get(server.address, "/", "").await.status != 200 {} };
    timeout(SOON, served)
        .await
        .expect("the place is not given back");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_of_one_address_have_a_pace() {
    let options = ["--address-connections", "5", "--address-rate", "1"];
    let server = server(&options).await;
    let mut refused = 0;
    for _ in 0..20 {
        let answer = get(server.address, "/ws", &(from("192.0.2.1") + UPGRADE)).await;
        refused += u64::from(answer.status == 429);
    }
    assert!(refused >= 10, "{refused} of 20");
    let other = get(server.address, "/ws", &(from("192.0.2.2") + UPGRADE)).await;
    assert_eq!(other.status, 400, "{}", other.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_connect_to_no_namespace_are_few() {
    let server = server(&["--address-unconfirmed", "3", "--address-sessions", "5"]).await;
    let headers = from("192.0.2.1");
    let open = || async {
        let answer = get(server.address, POLLING, &headers).await;
        let sid = answer.body.split(r#""sid":""#).nth(1);
        let sid = sid.map(|rest| rest.split('"').next().unwrap().to_owned());
        (answer, sid)
    };
    let mut sids = Vec::new();
    for _ in 0..3 {
        sids.push(open().await.1.unwrap());
    }
    is_refused(&open().await.0);
    let other = get(server.address, POLLING, &from("192.0.2.2")).await;
    assert_eq!(other.status, 200);
    // A session that connects to a namespace no longer counts as unconfirmed.
    for sid in &sids {
        let target = format!("{POLLING}&sid={sid}");
        let answer = post_with(server.address, &target, &headers, "40/bus,").await;
        assert_eq!(answer.status, 200);
    }
    for _ in 0..2 {
        sids.push(open().await.1.unwrap());
    }
    // It still counts as a session: the limit is five.
    is_refused(&open().await.0);
    for sid in &sids {
        let target = format!("{POLLING}&sid={sid}");
        post_with(server.address, &target, &headers, "1").await;
    }
    let served = async { while open().await.1.is_none() {} };
    timeout(SOON, served).await.expect("no place is given back");
    server.stop().await;
}

/// A refused client receives the whole answer, even if it has sent nothing yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_told_so_at_once() {
    let options = ["--address-connections", "1", "--address-private"];
    let server = TestServer::start_with(&options).await;
    let _held = TcpStream::connect(server.address).await.unwrap();
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, refused.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    server.stop().await;
}
