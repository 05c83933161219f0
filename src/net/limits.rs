//! The limits that every connection lives under. Holds numbers only.

use std::time::Duration;

use super::addresses::Addresses;
use super::reserve::{Essential, RESERVED};

/// What one listener allows; the default is what the server runs with.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once, over all listeners that share a
    /// [`Connections`](super::Connections). One more is answered with 503.
    pub connections: usize,
    /// What the clients of one address may have.
    pub addresses: Addresses,
    /// Which requests are served beyond `connections`, on a few that are kept for them;
    /// none: none is.
    pub essential: Option<Essential>,
    /// Time for the TLS handshake, counted from the accept.
    pub handshake: Duration,
    /// Time for a request's head, counted from the accept or the last answer.
    pub header: Duration,
    /// Longest time in which a peer takes no byte although some are waiting.
    pub write: Duration,
    /// Longest time for which a [`FrameRule`](super::FrameRule) holds a reader
    /// back, and the gate one whose upgrade is not answered yet.
    pub hold: Duration,
}

/// Twice the 10,000 clients the server is measured with: a restart of a proxy
/// brings the new connections before the old ones are seen to be gone.
const CONNECTIONS: usize = 20_000;

/// A phone on a bad network needs seconds for a handshake; who needs more than
/// ten holds a slot for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The same reason, for a request's head.
const HEADER: Duration = Duration::from_secs(10);

/// Under Engine.IO's default of 25 s between pings plus 20 s for the answer, so
/// that a stalled writer ends before its session would.
const WRITE: Duration = Duration::from_secs(20);

/// An answer takes milliseconds; one that does not come is the door's to judge.
/// Under Engine.IO's ping timeout of 20 s, so that holding back ends no session.
const HOLD: Duration = Duration::from_secs(10);

/// Descriptors for what is no connection of a client: listeners, the feed's
/// senders (64), certificate files, the runtime's own; and the reserves of the three
/// listeners that have one: the main port, and those of publishers and of the backend.
const DESCRIPTORS_BESIDE: u64 = 128 + 3 * RESERVED as u64;

/// Raises the limit of open files as far as the system lets us, which is often
/// 1024 to begin with; returns how many connections that is good for.
///
/// # Errors
/// The system does not say what the limit is.
pub fn raise_descriptors(connections: usize) -> std::io::Result<u64> {
    let wanted = connections as u64 + DESCRIPTORS_BESIDE;
    let limit = rlimit::increase_nofile_limit(wanted)?;
    Ok(limit.saturating_sub(DESCRIPTORS_BESIDE))
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            addresses: Addresses::default(),
            essential: None,
            handshake: HANDSHAKE,
            header: HEADER,
            write: WRITE,
            hold: HOLD,
        }
    }
}
