//! What a server has on disk, while its rooms are those of many nodes.

use super::redis::{Keeps, Redis, free};
use crate::push::{answer_for, create};
use crate::server::{TestServer, feed, song};
use crate::source::Source;

const EVENTS: &str = "/events/metadata/now-playing";

/// The title of the next track that is heard.
async fn heard(server: &TestServer) -> String {
    let mut source = Source::open(server.address, EVENTS, "").await;
    loop {
        let told = source.told().await;
        if told.event == "message" {
            return told.data["message"]["track"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_there_for_a_start_without_redis() {
    let state = tempfile::tempdir().unwrap();
    let redis = Redis::start(Keeps::Nothing).await;
    let alone = TestServer::start_in(state.path(), &["--push"]).await;
    create(&alone, "news").await;
    feed(alone.zetta, &song(1, "One")).await;
    assert_eq!(heard(&alone).await, "One");
    let known = r#""subscribedChannels":["news"]"#;
    assert!(answer_for(&alone, "news").await.contains(known));
    alone.stop().await;
    for at in [redis.address(), free().await] {
        let at = at.to_string();
        let node = TestServer::start_in(state.path(), &["--push", "--redis", &at]).await;
        node.stop().await;
    }
    let alone = TestServer::start_in(state.path(), &["--push"]).await;
    assert_eq!(heard(&alone).await, "One");
    assert!(answer_for(&alone, "news").await.contains(known));
    alone.stop().await;
}
