//! One scenario for all doors, whichever nodes they are on. Knows what is to happen,
//! and no broker.

use super::nodes::{Nodes, Stage};
use super::{bus, channel, masters, metadata, peers, recovery};
use crate::server::TestServer;
use crate::webhook::backend::Backend;

/// How many nodes there are, and at which of them it is published and listened.
const TOPOLOGIES: [(usize, usize, usize); 3] = [(1, 0, 0), (2, 0, 1), (2, 1, 0)];

/// Everything that goes from one client to another, at every door.
async fn scenario(publish_at: &TestServer, listen_at: &TestServer, backend: &Backend) {
    let stage = Stage {
        publish_at,
        listen_at,
        backend,
    };
    bus::one_order_at_every_door(stage).await;
    bus::a_backend_writes_to_one(stage).await;
    recovery::is_whole_at_the_other_node(stage).await;
    channel::reaches_all(stage).await;
    metadata::is_heard_live_and_later(stage).await;
    peers::meet_in_a_lobby(stage).await;
    peers::hear_triggers(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_doors_are_one_set_of_rooms() {
    for (many, publish_at, listen_at) in TOPOLOGIES {
        let nodes = Nodes::start(many).await;
        let at = |node: usize| &nodes.servers[node];
        scenario(at(publish_at), at(listen_at), &nodes.backend).await;
        nodes.stop().await;
    }
}

/// Rooms are in the slots of different masters.
#[tokio::test(flavor = "multi_thread")]
async fn all_doors_are_one_set_of_rooms_over_a_cluster() {
    let (redis, at) = masters::joined().await;
    let nodes = Nodes::over(redis, Some(at), 2).await;
    scenario(&nodes.servers[0], &nodes.servers[1], &nodes.backend).await;
    nodes.stop().await;
}
