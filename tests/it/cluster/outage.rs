//! Redis dies, hangs and is slow while events flow: nobody misses one or hears it
//! twice. Knows what is done to Redis, not how events are carried.

use std::time::Duration;

use tokio::time::interval;

use super::flow::{EVENTS, Pace, is_heard_once, is_joined};
use super::nodes::node_at;
use super::redis::{Keeps, Redis};
use super::slow::{Delay, Slow};
use crate::server::TestServer;

/// What of its data outlives a death, all or nothing.
const KEEPS: [Keeps; 2] = [Keeps::Everything, Keeps::Nothing];

/// For how long Redis hangs: beyond every limit that a node has for it.
const HANGS_FOR: Duration = Duration::from_secs(10);

/// A link that a node gets along with, each way: its answers come within 250 ms, also
/// where the machine of the tests has much else to do.
const SLOW: Duration = Duration::from_millis(50);

/// And one that it does not.
const TOO_SLOW: Duration = Duration::from_millis(400);

/// How often the links are cut, which are cut anew before they are whole.
const CUTS: u64 = 20;

async fn stop(nodes: [TestServer; 2]) {
    for node in nodes {
        node.stop().await;
    }
}

/// So much is said while the nodes have nobody but their own clients.
async fn says_alone(pace: &Pace, nodes: &[TestServer; 2]) {
    for node in nodes {
        is_joined(node, false).await;
    }
    pace.have_said(EVENTS / 2).await;
    pace.allows(EVENTS * 3 / 4);
    pace.have_said(EVENTS * 3 / 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back() {
    for keeps in KEEPS {
        let mut redis = Redis::start(keeps).await;
        let at = redis.address().to_string();
        let nodes = [node_at(&at).await, node_at(&at).await];
        is_heard_once(&nodes, "hall", async |pace| {
            pace.allows(EVENTS / 2);
            pace.have_said(EVENTS / 4).await;
            redis.kill().await;
            says_alone(pace, &nodes).await;
            pace.allows(EVENTS);
            redis.restart().await;
        })
        .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_hangs_and_goes_on() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let nodes = [node_at(&at).await, node_at(&at).await];
    is_heard_once(&nodes, "hall", async |pace| {
        pace.allows(EVENTS / 2);
        pace.have_said(EVENTS / 4).await;
        redis.freeze().await;
        // Events flow all the time.
        let (from, many) = (EVENTS / 4, EVENTS / 2);
        let mut ticks = interval(HANGS_FOR / many as u32);
        for number in 0..=many {
            ticks.tick().await;
            pace.allows(from + number);
        }
        for node in &nodes {
            is_joined(node, false).await;
        }
        pace.allows(EVENTS);
        redis.thaw().await;
    })
    .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_cut_again_and_again() {
    let redis = Redis::start(Keeps::Nothing).await;
    let links = [(); 2].map(|()| Slow::before(redis.address()));
    let links = futures_util::future::join_all(links).await;
    let [one, other] = &links[..] else {
        unreachable!()
    };
    let nodes = [
        node_at(&one.address.to_string()).await,
        node_at(&other.address.to_string()).await,
    ];
    is_heard_once(&nodes, "hall", async |pace| {
        for cut in 0..CUTS {
            pace.allows((cut + 1) * EVENTS / CUTS);
            // At another place of what flows each time.
            let after = cut * 7 % (EVENTS / CUTS);
            pace.have_said(cut * EVENTS / CUTS + after).await;
            links[cut as usize % links.len()].cut();
        }
    })
    .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_used_and_one_that_is_too_slow_is_not() {
    let redis = Redis::start(Keeps::Nothing).await;
    let link = Slow::before(redis.address()).await;
    let takes = |there| link.takes(Delay { there, back: there });
    takes(SLOW);
    let nodes = [
        node_at(&link.address.to_string()).await,
        node_at(&redis.address().to_string()).await,
    ];
    let [slow, _] = &nodes;
    is_joined(slow, true).await;
    is_heard_once(&nodes, "hall", async |pace| {
        // Each publication takes a way there and back.
        const FEW: u64 = 5;
        for number in 0..=FEW {
            pace.have_said(number).await;
            assert!(slow.hub.broker_status().connected, "after {number}");
            pace.allows(number + 1);
        }
        pace.have_said(FEW + 1).await;
        takes(TOO_SLOW);
        pace.allows(EVENTS / 2);
        is_joined(slow, false).await;
        pace.have_said(EVENTS / 2).await;
        takes(Duration::ZERO);
    })
    .await;
    stop(nodes).await;
}
