//! Who is in a room of many nodes, also when one of them is killed or stops.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::bus::post;
use super::flow::is_joined;
use super::nodes::node_at;
use super::redis::{Keeps, Redis};
use crate::client::Client;
use crate::lobby::Peer;
use crate::program::Program;
use crate::server::TestServer;

const ROOM: &str = "hall";

/// How many are on the node that is killed.
const CROWD: usize = 500;

/// How many of them come back, and what they have missed.
const BACK: usize = 10;
const MISSED: u64 = 5;

/// A node that says nothing any more is believed for 15 s; the others look every 5 s.
const BURIED_IN: Duration = Duration::from_secs(40);

/// How often it is looked who is there: nobody tells.
const LOOK: Duration = Duration::from_millis(200);

/// A client in the room, and what it was answered.
async fn comes(server: SocketAddr, name: &str, since: Value) -> (Client, Value) {
    let mut client = Client::connect(server, "/bus").await.unwrap();
    let asked = json!({"room": ROOM, "name": name, "since": since});
    let joined = client.ask("JOIN", asked).await;
    assert_eq!(joined["status"], "ok", "{joined}");
    (client, joined)
}

/// All pages of the clients in the room.
async fn listed(client: &mut Client) -> (Vec<String>, u64) {
    let (mut names, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = json!({"room": ROOM, "after": after});
        let mut listed = client.ask("CLIENTS", page).await;
        assert_eq!(listed["status"], "ok", "{listed}");
        let page: Vec<String> = serde_json::from_value(listed["clients"].take()).unwrap();
        names.extend(page);
        after = listed["next"].take();
        if after.is_null() {
            return (names, listed["total"].as_u64().unwrap());
        }
    }
}

async fn say(server: &TestServer, number: u64) -> Value {
    let answer = post(server, &format!("/api/bus/{ROOM}"), &number.into()).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["offset"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_leaves_nobody_behind() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let nodes = [node_at(&at).await, node_at(&at).await];
    let killed = Program::start(&["--redis", &at]).await;
    let [one, other] = &nodes;

    let mut names = vec!["anna".to_owned()];
    let (mut anna, _) = comes(one.address, "anna", Value::Null).await;
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let name = format!("one of {number}");
        crowd.push(comes(killed.address, &name, Value::Null).await.0);
        names.push(name);
    }
    let (mut ben, joined) = comes(other.address, "ben", Value::Null).await;
    names.push("ben".to_owned());
    let total = names.len() as u64;
    assert_eq!(joined["clients"], total, "{joined}");
    for client in [&mut anna, &mut ben, &mut crowd[0]] {
        assert_eq!(listed(client).await, (names.clone(), total));
    }
    let mut first = Peer::come(one, 4, "den").await;
    let second = Peer::come(other, 4, "den").await;
    first.hears("JOINED", second.id.as_str()).await;
    let mut peers = [first, second];
    let mut gone = Vec::new();
    for _ in 0..2 {
        let peer = Peer::come_at(killed.address, 4, "den").await;
        gone.push(peer.id.clone());
        for there in &mut peers {
            there.hears("JOINED", peer.id.as_str()).await;
        }
        crowd.push(peer.client);
    }

    let last = say(one, 0).await;
    for client in &mut crowd[..BACK] {
        assert_eq!(client.next().await["offset"], last);
    }
    killed.signal("KILL").await;
    for number in 1..=MISSED {
        say(other, number).await;
    }
    for number in 0..BACK {
        let (mut client, joined) = comes(other.address, &names[1 + number], last.clone()).await;
        assert_eq!(joined["recovered"], true, "{joined}");
        for number in 1..=MISSED {
            assert_eq!(client.next().await["message"], number);
        }
        crowd.push(client);
    }
    for client in [&mut anna, &mut ben] {
        let mut look = interval(LOOK);
        let left = async {
            while listed(client).await.1 != (2 + BACK) as u64 {
                look.tick().await;
            }
        };
        timeout(BURIED_IN, left)
            .await
            .expect("they are still there");
    }
    let mut there = vec!["anna".to_owned(), "ben".to_owned()];
    there.extend_from_slice(&names[1..=BACK]);
    assert_eq!(listed(&mut anna).await.0, there);
    // Of each peer once: what comes next is something else.
    for peer in &mut peers {
        let mut left = [(); 2].map(|()| String::new());
        for id in &mut left {
            *id = peer.hears_of_one("LEFT").await;
        }
        left.sort();
        gone.sort();
        assert_eq!(left[..], gone[..]);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        hears_next(&mut peers, from, to).await;
    }
    for node in nodes {
        node.stop().await;
    }
}

/// What one peer says is the next that another hears.
async fn hears_next(peers: &mut [Peer; 2], from: usize, to: usize) {
    let said = peers[from]
        .client
        .ask("BROADCAST", json!({"message": from}));
    assert_eq!(said.await["status"], "ok");
    let heard = json!({"from": peers[from].id, "message": from});
    peers[to].hears("MESSAGE", heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_leaves_nobody_behind_at_once() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let (one, other) = (node_at(&at).await, node_at(&at).await);
    let mut anna = Peer::come(&one, 4, "den").await;
    let ben = Peer::come(&other, 4, "den").await;
    anna.hears("JOINED", ben.id.as_str()).await;
    let (mut cleo, _) = comes(one.address, "cleo", Value::Null).await;
    let (dora, _) = comes(other.address, "dora", Value::Null).await;
    assert_eq!(listed(&mut cleo).await.1, 2);
    other.stop().await;
    assert_eq!(listed(&mut cleo).await, (vec!["cleo".to_owned()], 1));
    anna.hears("LEFT", ben.id.as_str()).await;
    drop((ben, dora));
    one.stop().await;
}

/// Whether Redis forgets everything or nothing, peers are told nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn peers_do_not_hear_that_redis_was_away() {
    for keeps in [Keeps::Everything, Keeps::Nothing] {
        let mut redis = Redis::start(keeps).await;
        let at = redis.address().to_string();
        let nodes = [node_at(&at).await, node_at(&at).await];
        let mut anna = Peer::come(&nodes[0], 4, "den").await;
        let ben = Peer::come(&nodes[1], 4, "den").await;
        anna.hears("JOINED", ben.id.as_str()).await;
        let mut peers = [anna, ben];
        redis.kill().await;
        for node in &nodes {
            is_joined(node, false).await;
        }
        redis.restart().await;
        for node in &nodes {
            is_joined(node, true).await;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            hears_next(&mut peers, from, to).await;
        }
        // And both are known everywhere.
        let mut known = Peer::come(&nodes[0], 4, "den").await.peers;
        let mut there = [peers[0].id.clone(), peers[1].id.clone()];
        known.sort();
        there.sort();
        assert_eq!(known, there);
        for node in nodes {
            node.stop().await;
        }
    }
}
