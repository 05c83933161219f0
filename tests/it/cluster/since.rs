//! `recovered:true` after outages: a client that rejoins with the last offset it received
//! misses nothing and receives nothing twice, whichever node it comes back to.

use futures_util::future::join_all;
use roomcast::core::event::To;
use roomcast::core::hub::{Granted, Outside};
use roomcast::core::name::{NamespaceName, Nickname, RoomName};
use roomcast::core::namespace::Publisher;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::bus::post;
use super::flow::{EVENTS, is_heard_once, is_joined};
use super::nodes::node_at;
use super::redis::{Keeps, Redis};
use super::slow::{Delay, Slow};
use crate::client::{Client, SOON};
use crate::server::TestServer;

const API: &str = "/api/bus/hall";

/// How many events a node keeps for Redis.
const WAITING_MOST: u64 = 10_000;

/// A client that leaves and rejoins the room again and again, and the last offset it received.
struct Member {
    client: Client,
    last: Value,
}

impl Member {
    /// Joins; also returns whether the answer was `recovered:true`.
    async fn at(node: &TestServer, since: &Value) -> (Self, bool) {
        let mut client = Client::connect(node.address, "/bus").await.unwrap();
        let joining = json!({"room": "hall", "name": "cleo", "since": since});
        let joined = client.ask("JOIN", joining).await;
        assert_eq!(joined["status"], "ok", "{joined}");
        let recovered = joined["recovered"] == true;
        let last = match since.is_null() || !recovered {
            true => joined["offset"].clone(),
            false => since.clone(),
        };
        (Self { client, last }, recovered)
    }

    async fn receives(&mut self) -> Value {
        let event = self.client.next().await;
        self.last = event["offset"].clone();
        event["message"].clone()
    }
}

async fn both(nodes: &[TestServer; 2], joined: bool) {
    for node in nodes {
        is_joined(node, joined).await;
    }
}

async fn stop(nodes: [TestServer; 2]) {
    for node in nodes {
        node.stop().await;
    }
}

/// Each node publishes one event while Redis is down. The clients of the node whose event
/// comes second in the stream received it first.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_another_order_is_not_told_that_it_recovered() {
    let mut redis = Redis::start(Keeps::Everything).await;
    let at = redis.address().to_string();
    let nodes = [node_at(&at).await, node_at(&at).await];
    let mut members = Vec::new();
    for node in &nodes {
        members.push(Member::at(node, &Value::Null).await.0);
    }
    post(&nodes[0], API, &json!("before")).await;
    for member in &mut members {
        assert_eq!(member.receives().await, "before");
    }
    redis.kill().await;
    both(&nodes, false).await;
    let own = [json!("of A"), json!("of B")];
    for (at, node) in nodes.iter().enumerate() {
        post(node, API, &own[at]).await;
        assert_eq!(members[at].receives().await, own[at]);
    }
    redis.restart().await;
    both(&nodes, true).await;
    for (at, member) in members.iter_mut().enumerate() {
        assert_eq!(member.receives().await, own[1 - at]);
    }
    // Both events are in the stream by now, and each node has both.
    post(&nodes[0], API, &json!("marks the end")).await;
    let before_end: Vec<_> = members.iter().map(|member| member.last.clone()).collect();
    for member in &mut members {
        assert_eq!(member.receives().await, "marks the end");
    }
    let mut recovered = Vec::new();
    for (since, own) in before_end.iter().zip(&own) {
        for node in &nodes {
            let (mut back, whole) = Member::at(node, since).await;
            if whole {
                assert_eq!(
                    back.receives().await,
                    "marks the end",
                    "{own} since {since}"
                );
            }
            recovered.push(whole);
        }
    }
    recovered.sort();
    assert_eq!(
        recovered,
        [false, false, true, true],
        "one order is the stream's"
    );
    // From the next event on all clients have received the same events.
    for member in members {
        for node in &nodes {
            assert!(Member::at(node, &member.last).await.1, "{}", member.last);
        }
    }
    stop(nodes).await;
}

/// A client that follows both publishers while it leaves and rejoins.
struct Wanderer<'a> {
    nodes: &'a [TestServer; 2],
    /// The next number of each publisher; `None` while any number may come first.
    next: [Option<u64>; 2],
    recoveries: u64,
}

impl Wanderer<'_> {
    fn takes(&mut self, event: &Value) {
        let by = event["by"].as_u64().unwrap() as usize;
        let number = event["number"].as_u64().unwrap();
        let expected = self.next[by].unwrap_or(number);
        assert_eq!(
            number, expected,
            "of {by}, after {} recoveries",
            self.recoveries
        );
        self.next[by] = Some(number + 1);
    }

    /// Receives until both publishers have ended; rejoins when `moves` changes.
    async fn run(mut self, mut moves: watch::Receiver<usize>, first: usize) -> u64 {
        let (mut member, _) = Member::at(&self.nodes[first % 2], &Value::Null).await;
        while self.next != [Some(EVENTS + 1); 2] {
            tokio::select! {
                event = member.receives() => self.takes(&event),
                Ok(()) = moves.changed() => {
                    let node = &self.nodes[(first + *moves.borrow()) % 2];
                    let since = member.last.clone();
                    drop(member);
                    let recovered;
                    (member, recovered) = Member::at(node, &since).await;
                    match recovered {
                        true => self.recoveries += 1,
                        false => self.next = [None; 2],
                    }
                }
            }
        }
        self.recoveries
    }
}

/// The ways to break the cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outage {
    Killed,
    Frozen,
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_recover_after_an_outage_miss_nothing_and_receive_nothing_twice() {
    const OUTAGES: u64 = 6;
    let mut redis = Redis::start(Keeps::Everything).await;
    let at = redis.address().to_string();
    let nodes = [node_at(&at).await, node_at(&at).await];
    let moves = watch::Sender::new(0);
    let wanderers = (0..6).map(|first| {
        let wanderer = Wanderer {
            nodes: &nodes,
            next: [None; 2],
            recoveries: 0,
        };
        // Some clients come back to the node that they were at, some to the other one.
        wanderer.run(moves.subscribe(), first)
    });
    let moving = is_heard_once(&nodes, "hall", async |pace| {
        for outage in 0..OUTAGES {
            let (from, share) = (outage * EVENTS / OUTAGES, EVENTS / OUTAGES);
            pace.allows(from + share / 3);
            pace.have_said(from + share / 4).await;
            let how = [Outage::Killed, Outage::Frozen][outage as usize % 2];
            match how {
                Outage::Killed => redis.kill().await,
                Outage::Frozen => redis.freeze().await,
            }
            both(&nodes, false).await;
            pace.allows(from + share * 2 / 3);
            pace.have_said(from + share / 2).await;
            if outage % 3 == 1 {
                moves.send_modify(|moves| *moves += 1);
            }
            pace.have_said(from + share * 2 / 3).await;
            match how {
                Outage::Killed => redis.restart().await,
                Outage::Frozen => redis.thaw().await,
            }
            // While the nodes catch up, and again once they have.
            moves.send_modify(|moves| *moves += outage as usize);
            both(&nodes, true).await;
            moves.send_modify(|moves| *moves += 1);
            pace.allows(from + share);
            pace.have_said(from + share).await;
            moves.send_modify(|moves| *moves += 1);
        }
    });
    let (recoveries, ()) = tokio::join!(join_all(wanderers), moving);
    let recoveries: u64 = recoveries.iter().sum();
    assert!(recoveries >= OUTAGES, "only {recoveries} recoveries");
    stop(nodes).await;
}

/// Publishes at a node as a backend does, without a connection for each event.
async fn publish(node: &TestServer, number: u64) {
    let (tell, told) = oneshot::channel();
    let namespace = NamespaceName::parse("/bus").unwrap();
    node.hub.publish(
        Outside {
            publisher: Publisher::Http,
            namespace: &namespace,
            room: RoomName::parse("hall").unwrap(),
            sender: Nickname::http(),
            to: To::Everybody,
            message: to_raw_value(&number).unwrap(),
            retain: &[],
            granted: Granted::default(),
            same: None,
        },
        Box::new(move |done| drop(tell.send(done))),
    );
    told.await.unwrap().unwrap();
}

/// An event reaches Redis, but its answer does not come back; then more events are
/// published at that node than it keeps for Redis.
#[tokio::test(flavor = "multi_thread")]
async fn events_beyond_what_waits_are_lost_for_the_other_node_alone() {
    let redis = Redis::start(Keeps::Nothing).await;
    let link = Slow::before(redis.address()).await;
    let nodes = [
        node_at(&link.address.to_string()).await,
        node_at(&redis.address().to_string()).await,
    ];
    both(&nodes, true).await;
    let [cut_off, other] = &nodes;
    let (mut here, _) = Member::at(cut_off, &Value::Null).await;
    let (mut there, _) = Member::at(other, &Value::Null).await;
    let back = Duration::from_secs(600);
    link.takes(Delay {
        there: Duration::ZERO,
        back,
    });
    publish(cut_off, 0).await;
    assert_eq!(
        (here.receives().await, there.receives().await),
        (json!(0), json!(0))
    );
    let since = there.last.clone();
    is_joined(cut_off, false).await;
    for number in 1..=WAITING_MOST + 10 {
        publish(cut_off, number).await;
        assert_eq!(here.receives().await, number);
    }
    link.takes(Delay::default());
    link.cut();
    is_joined(cut_off, true).await;
    publish(cut_off, u64::MAX).await;
    assert_eq!(
        here.receives().await,
        u64::MAX,
        "the event in flight comes once"
    );
    let error = there.client.the("ERROR").await;
    assert_eq!(error["code"], "behind", "{error}");
    // A client that was away in the meantime receives `recovered:false`, at both nodes.
    for node in &nodes {
        assert!(!Member::at(node, &since).await.1);
    }
    // The members of the node that published have missed nothing. Once the remaining events are in
    // the stream, they recover at every node.
    let whole = async {
        for number in 0.. {
            publish(other, number).await;
            assert_eq!(here.receives().await, number);
            if Member::at(other, &here.last).await.1 {
                return;
            }
        }
    };
    timeout(SOON, whole).await.expect("they never recover");
    stop(nodes).await;
}
