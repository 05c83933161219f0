//! Listeners, TLS, limits and the stream under every connection. Knows no
//! protocol above WebSocket frames, and neither rooms nor doors.
//!
//! `serve` takes connections from a listener and gives their requests to a
//! service. Each request carries its [`PeerAddr`] and a [`ConnectionHandle`],
//! by which a door cuts the connection or sets a [`MessageRule`] on it.

mod accept;
pub mod access;
mod addresses;
mod backlog;
mod certificate;
mod charset;
mod connection;
mod connections;
mod counted;
pub mod frame;
#[cfg(test)]
mod fuzz_tests;
mod gate;
mod head;
mod kernel;
mod limits;
mod listen;
mod memory;
mod message;
pub mod origin;
mod out;
pub mod peer;
mod pem_file;
mod records;
mod refusals;
mod refuse;
mod request;
mod reserve;
mod socket;
mod stream;
mod tcp;
pub mod tls;
mod upgrade;
mod wire;

pub use accept::serve;
pub use addresses::{AddressLimits, Addresses, Place, network};
pub use backlog::FRAME_BYTES_MOST;
pub use charset::charset;
pub use connections::Connections;
pub use gate::{MessageRule, Next, Verdict};
pub use limits::{DescriptorsError, LISTENER_DESCRIPTORS, Limits, raise_descriptors};
pub use listen::{BindError, bind, bind_next, bind_when_free, is_own_address};
pub use memory::{LargeMemory, NoMemory, Reservation};
pub use message::{Message, ProtocolError};
pub use pem_file::PemFile;
pub use refusals::{Reason, Refusals};
pub use request::{ClientSource, ConnectionHandle, PeerAddr, asks_for_websocket};
pub use reserve::Essential;
pub use socket::{Kill, TooLate};
pub use stream::ReadError;
pub use upgrade::{Upgraded, upgraded};
pub use wire::{Untaken, Wire};
