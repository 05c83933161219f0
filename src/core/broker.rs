//! What carries publications between nodes. Here: the memory broker of one node.
//! Knows no rooms: every node gives what arrives to `Hub::deliver`.

use std::sync::Arc;

use super::error::Error;
use super::event::{Offset, Publication};
use super::hub::Hub;

/// Told how a publication ended, once: with the offset, or with the reason.
pub type Done = Box<dyn FnOnce(Result<Offset, Error>) + Send>;

/// Carries publications to every node of the cluster, this one included.
pub trait Broker: Send + Sync + 'static {
    /// Takes a publication that the hub has let pass; each node then delivers it.
    ///
    /// Never blocks; `done` may be called later and from another thread.
    fn publish(&self, hub: &Arc<Hub>, publication: Publication, done: Done);

    /// What `health` says of it.
    fn status(&self) -> BrokerStatus;
}

/// The state of a broker.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct BrokerStatus {
    /// `memory`, or the name of what connects the nodes.
    pub kind: &'static str,
    /// Whether events reach the other nodes.
    pub connected: bool,
}

/// The broker of a node that is alone.
#[derive(Debug, Default)]
pub struct Memory;

impl Broker for Memory {
    fn publish(&self, hub: &Arc<Hub>, publication: Publication, done: Done) {
        done(hub.deliver(publication));
    }

    fn status(&self) -> BrokerStatus {
        BrokerStatus {
            kind: "memory",
            connected: true,
        }
    }
}
