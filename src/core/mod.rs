//! The rooms: namespaces, clients, events, and the hub that joins them.
//! Knows no axum, no socketioxide, no Redis and no files.

mod area;
pub mod broker;
pub mod client;
pub mod durable;
pub mod encoded;
pub mod error;
pub mod event;
pub mod hub;
pub mod kept;
pub mod name;
pub mod namespace;
mod offsets;
pub mod outlet;
pub mod pace;
pub mod panics;
pub mod presence;
pub mod room;
mod roster;
mod rules;
pub mod secret;
mod shard;
pub mod source;
pub mod tally;
pub mod terms;
pub mod token;
