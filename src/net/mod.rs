//! Listeners, TLS, limits and the stream under every connection. Knows no
//! protocol above WebSocket frames, and neither rooms nor doors.
//!
//! `serve` takes connections from a listener and gives their requests to a
//! service. Each request carries its [`PeerAddr`] and a [`ConnectionHandle`],
//! by which a door cuts the connection or sets a [`FrameRule`] on it.

mod accept;
mod backlog;
mod certificate;
mod connection;
mod connections;
pub mod frame;
#[cfg(test)]
mod fuzz_tests;
mod gate;
mod head;
mod kernel;
mod limits;
mod listen;
pub mod origin;
mod out;
pub mod peer;
mod records;
mod refuse;
mod request;
mod socket;
mod stream;
mod tcp;
pub mod tls;
mod upgrade;
mod wire;

pub use accept::serve;
pub use connections::Connections;
pub use gate::{FrameRule, Next};
pub use limits::{Limits, raise_descriptors};
pub use listen::{BindError, bind};
pub use request::{ConnectionHandle, PeerAddr, asks_for_websocket};
pub use socket::{Kill, TooLate};
pub use upgrade::{Upgraded, upgraded};
pub use wire::{Untaken, Wire};
