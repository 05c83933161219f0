//! A Redis that comes late, or knows less than the nodes do: an empty one, or one that
//! has forgotten everything while it goes on.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::bus::post;
use super::flow::{EVENTS, is_heard_once, is_joined};
use super::nodes::node_at;
use super::redis::{Keeps, Redis};
use crate::client::Client;
use crate::server::{TestServer, play, song};
use crate::source::Source;
use crate::store::listener_at;

const SONGS: &str = "/events/metadata/now-playing";
const HALL: &str = "/events/bus/hall";

async fn say(server: &TestServer, number: u64) -> String {
    let answer = post(server, "/api/bus/hall", &number.into()).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["offset"].as_str().unwrap().to_owned()
}

/// The epoch of an offset.
fn epoch(offset: &str) -> &str {
    offset.split_once('-').unwrap().0
}

async fn both(nodes: &[TestServer; 2], joined: bool) {
    for node in nodes {
        is_joined(node, joined).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_start_without_redis_and_are_joined_when_it_comes() {
    let mut redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    redis.kill().await;
    let nodes = [node_at(&at).await, node_at(&at).await];
    both(&nodes, false).await;
    is_heard_once(&nodes, "hall", async |pace| {
        pace.allows(EVENTS / 2);
        pace.have_said(EVENTS / 2).await;
        pace.allows(EVENTS);
        redis.restart().await;
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

/// By what Redis forgets.
#[derive(Clone, Copy, Debug)]
enum Forgets {
    /// It comes back empty.
    ByItsDeath,
    /// It goes on, and nobody is told.
    ByItself,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgets_the_nodes_tell_it() {
    for forgets in [Forgets::ByItsDeath, Forgets::ByItself] {
        let mut redis = Redis::start(Keeps::Nothing).await;
        let at = redis.address().to_string();
        let nodes = [node_at(&at).await, node_at(&at).await];
        let addresses = nodes.each_ref().map(|node| node.address);
        let mut zetta = nodes[0].zetta().await;
        let mut songs = Source::open(nodes[1].address, SONGS, "").await;
        songs.told().await;
        play(&mut zetta, &song(0, "First")).await;
        assert_eq!(songs.told().await.data["message"]["track"], "First");
        let mut ears = heard_at(addresses).await;
        let before = say(&nodes[0], 1).await;
        hear(&mut ears, 1).await;
        match forgets {
            Forgets::ByItsDeath => {
                redis.kill().await;
                both(&nodes, false).await;
                redis.restart().await;
                both(&nodes, true).await;
            }
            Forgets::ByItself => {
                redis.ask(&["FLUSHALL"]).await;
            }
        }
        // Nobody hears anything twice, or misses anything.
        let after = say(&nodes[1], 2).await;
        hear(&mut ears, 2).await;
        assert_ne!(epoch(&before), epoch(&after), "{forgets:?}");
        let last = say(&nodes[0], 3).await;
        hear(&mut ears, 3).await;
        assert_eq!(epoch(&after), epoch(&last), "{forgets:?}");
        for at in addresses {
            newcomers(at, &before, &after).await;
        }
        // Who comes to a node that has never heard of all that, as well.
        let late = node_at(&redis.address().to_string()).await;
        newcomers(late.address, &before, &after).await;
        play(&mut zetta, &song(300, "Second")).await;
        assert_eq!(songs.told().await.data["message"]["track"], "Second");
        late.stop().await;
        for node in nodes {
            node.stop().await;
        }
    }
}

/// Somebody at each node.
async fn heard_at(addresses: [SocketAddr; 2]) -> Vec<Source> {
    let mut ears = Vec::new();
    for at in addresses {
        let mut ear = Source::open(at, HALL, "").await;
        assert_eq!(ear.told().await.event, "joined");
        ears.push(ear);
    }
    ears
}

async fn hear(ears: &mut [Source], number: u64) {
    for ear in ears {
        assert_eq!(ear.told().await.data["message"], number);
    }
}

/// Who comes back with an offset of the life before can't know what it has missed; who
/// knows one of this life, does. The song is still there.
async fn newcomers(at: SocketAddr, before: &str, after: &str) {
    let (_, recovered) = listener_at(at, HALL, before).await;
    assert!(!recovered);
    let (mut back, recovered) = listener_at(at, HALL, after).await;
    assert!(recovered);
    assert_eq!(back.told().await.data["message"], 3);
    let mut client = Client::connect(at, "/metadata").await.unwrap();
    let joined = client.ask("JOIN", json!({"room": "now-playing"})).await;
    assert_eq!(joined["status"], "ok", "{joined}");
    assert_eq!(client.next().await["message"]["track"], "First");
}
