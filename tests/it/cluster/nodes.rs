//! The nodes of one test, with what they have in common: a backend, and a Redis
//! where there are several. Knows no door.

use std::sync::Arc;

use roomcast::core::name::{NamespaceName, RoomId, RoomName};
use roomcast::core::presence::Page;
use tokio::time::timeout;

use super::redis::{Keeps, Redis};
use crate::api::with_tokens;
use crate::client::SOON;
use crate::server::{TestServer, config};
use crate::webhook::backend::Backend;

/// Servers that are one set of rooms, with all doors open.
pub struct Nodes {
    pub backend: Backend,
    pub servers: Vec<TestServer>,
    /// What joins them.
    _redis: Vec<Redis>,
}

/// Where it is published, and where it is listened: maybe the same.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    pub publish_at: &'a TestServer,
    pub listen_at: &'a TestServer,
    /// That of the webhook door, of all nodes.
    pub backend: &'a Backend,
}

impl Nodes {
    pub async fn start(many: usize) -> Self {
        if many <= 1 {
            return Self::over(Vec::new(), None, many).await;
        }
        let redis = Redis::start(Keeps::Nothing).await;
        let at = redis.address().to_string();
        Self::over(vec![redis], Some(at), many).await
    }

    /// Joined by what is there, if anything is.
    pub async fn over(redis: Vec<Redis>, at: Option<String>, many: usize) -> Self {
        let backend = Backend::start().await;
        let target = backend.target();
        let mut options = vec!["--push", "--target-address", &target];
        options.extend(["--webhook-ws", "127.0.0.1:0"]);
        options.extend(["--webhook-http", "127.0.0.1:0", "--webhook-style", "rest"]);
        if let Some(at) = &at {
            options.extend(["--redis", at]);
        }
        let mut servers = Vec::new();
        for _ in 0..many {
            let settings = with_tokens(config(&options));
            servers.push(TestServer::start_as(settings).await);
        }
        Self {
            backend,
            servers,
            _redis: redis,
        }
    }

    pub async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}

/// One more node of those that this Redis joins, for clients and their backends.
pub async fn node_at(redis: &str) -> TestServer {
    node_with(redis, &[]).await
}

/// The same, with more to its settings.
pub async fn node_with(redis: &str, options: &[&str]) -> TestServer {
    let options = [&["--redis", redis], options].concat();
    TestServer::start_as(with_tokens(config(&options))).await
}

impl Stage<'_> {
    /// The nodes as ways from one to the other.
    pub fn both_ways(&self) -> [(&TestServer, &TestServer); 2] {
        let (publish_at, listen_at) = (self.publish_at, self.listen_at);
        [(publish_at, listen_at), (listen_at, publish_at)]
    }
}

/// Waits until so many of a node's own clients are in a room: not every door tells
/// its clients that they are.
pub async fn are_in(server: &TestServer, namespace: &str, room: &str, many: usize) {
    let hub = Arc::clone(&server.hub);
    let id = RoomId {
        namespace: NamespaceName::parse(namespace).unwrap(),
        room: RoomName::parse(room).unwrap(),
    };
    let there = async {
        while hub.clients_here(&id, Page::default()).total < many {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, there).await.expect("not there");
}
