//! Many nodes as one set of rooms: what joins them and how that breaks, and one
//! scenario for all doors, on one node and on more.

mod access;
mod bounds;
mod bus;
mod channel;
mod disk;
mod doors;
mod ears;
mod feeds;
mod flow;
mod lives;
mod masters;
mod metadata;
mod nodes;
mod outage;
mod peers;
mod presence;
mod recovery;
pub mod redis;
mod since;
mod slow;
mod spare;
