//! Many nodes as one set of rooms: what joins them and how that breaks, and one
//! scenario for all doors, on one node and on more.

mod bus;
mod channel;
mod doors;
mod ears;
mod flow;
mod lives;
mod metadata;
mod nodes;
mod outage;
mod peers;
mod presence;
mod recovery;
mod redis;
mod slow;
