//! The reserves for probes, publishers and the feed when clients have filled the server.

use serde_json::json;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::http::{get, header, post};
use crate::server::{TestServer, feed, song};

/// The limit, and more idle connections than the limit and the reserve allow.
const MOST: usize = 20;
const FLOOD: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn probes_publishers_and_the_feed_get_through_a_flood() {
    let most = MOST.to_string();
    let options = [
        "--max-connections",
        &most,
        "--push",
        "--push-key",
        "0123456789abcdef",
    ];
    let server = TestServer::start_with(&options).await;
    let (push, _) = server.push.unwrap();
    let mut listener = Client::connect(server.address, "/metadata").await.unwrap();
    listener.join("now-playing").await;
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.push(TcpStream::connect(server.address).await.unwrap());
    }
    // A connection behind all others.
    let later = TcpStream::connect(server.address).await.unwrap();
    for (target, status) in [
        ("/health", 200),
        ("/healthcheck", 200),
        ("/metrics", 200),
        ("/", 503),
        ("/api/now-playing", 503),
        ("/events/metadata/now-playing", 503),
        ("/socket.io/?EIO=4&transport=polling", 503),
    ] {
        let answer = get(server.address, target, "").await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert_eq!(header(&answer, "connection"), Some("close"), "{target}");
        if status == 503 {
            assert!(header(&answer, "retry-after").is_some(), "{target}");
        }
    }
    let posted = post(server.address, "/bus-message/r", "1").await;
    assert_eq!(posted.status, 200, "{}", posted.body);
    // The publishers' own port, even when it is flooded.
    for _ in 0..FLOOD {
        flood.push(TcpStream::connect(push).await.unwrap());
    }
    let body = r#"{"action":{"type":"publisher-req","subtype":"channel-ping"}}"#;
    let answer = post(push, "/channel/ping", body).await;
    assert_ne!(answer.status, 503, "{}", answer.body);
    assert_ne!(answer.status, 0, "no answer");
    feed(server.zetta, &song(0, "Still here")).await;
    assert_eq!(listener.next().await["message"]["track"], "Still here");
    // Once the flood has ended, other requests are served again.
    drop((flood, later));
    while get(server.address, "/", "").await.status != 200 {
        tokio::task::yield_now().await;
    }
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    let joined = client.ask("JOIN", json!({"room": "r", "name": "a"})).await;
    assert_eq!(joined["status"], "ok");
    server.stop().await;
}
