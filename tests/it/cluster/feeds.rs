//! One feed that goes to two nodes: each item is one event.

use serde_json::json;

use super::nodes::node_at;
use super::redis::{Keeps, Redis};
use crate::server::{TestServer, play, song};
use crate::source::Source;

const SONGS: &str = "/events/metadata/now-playing";

async fn track(source: &mut Source) -> (String, String) {
    let message = source.told().await.data["message"].take();
    let text = |key: &str| message[key].as_str().unwrap().to_owned();
    (text("type"), text("track"))
}

/// Both nodes are fed the same, one of them some time later, and each item is heard once.
#[tokio::test(flavor = "multi_thread")]
async fn one_feed_into_two_nodes_is_one_event_each() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let nodes: [TestServer; 2] = [node_at(&at).await, node_at(&at).await];
    let spot = song(300, "Buy it now").replace(r#"Type="SONG""#, r#"Type="SPOT""#);
    // What is played, and what is heard of it: one after the other, then a correction
    // and its taking back.
    let played = [
        (song(0, "One"), "SONG", "One"),
        (spot, "LINK", "You are listening to college radio"),
        (song(301, "Two"), "SONG", "Two"),
        (song(301, "Too"), "SONG", "Too"),
        (song(301, "Two"), "SONG", "Two"),
        (song(600, "Three"), "SONG", "Three"),
    ];
    let mut sources = Vec::new();
    for node in &nodes {
        let mut source = Source::open(node.address, SONGS, "").await;
        source.told().await;
        sources.push(source);
    }
    let mut feeds = [nodes[0].zetta().await, nodes[1].zetta().await];
    for (number, (document, kind, title)) in played.iter().enumerate() {
        // In turn one is ahead of the other, which is told when all have heard it.
        let ahead = number % 2;
        play(&mut feeds[ahead], document).await;
        for source in &mut sources {
            let heard = track(source).await;
            assert_eq!((heard.0.as_str(), heard.1.as_str()), (*kind, *title));
        }
        play(&mut feeds[1 - ahead], document).await;
    }
    // Both at once.
    let last = song(901, "Last");
    let [one, other] = &mut feeds;
    tokio::join!(play(one, &last), play(other, &last));
    for source in &mut sources {
        assert_eq!(track(source).await.1, "Last");
    }
    nodes[0].publish(
        "/metadata",
        "now-playing",
        json!({"type": "SONG", "track": "end"}),
    );
    for source in &mut sources {
        assert_eq!(track(source).await.1, "end", "nothing comes twice");
    }
    for node in nodes {
        node.stop().await;
    }
}
