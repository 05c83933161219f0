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
    /// The limits per client address.
    pub addresses: Addresses,
    /// The requests that are served beyond `connections`, on reserved connections; `None`: no
    /// requests.
    pub essential: Option<Essential>,
    /// Time for the TLS handshake, counted from the accept.
    pub handshake: Duration,
    /// Time for a request's head, counted from the accept or the last answer.
    pub header: Duration,
    /// Longest time for which the kernel may take no byte for a peer while some are waiting.
    pub write: Duration,
    /// Longest time for which a [`MessageRule`](super::MessageRule) holds a reader
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

/// The kernel takes bytes in steps: it holds up to 128 KiB of unsent bytes (64 KiB and one segment
/// of 64 KiB) and takes more when 32 KiB are left. On a link of 20 kbit/s it takes bytes every 39
/// s. The same time as `USER_TIMEOUT`, after which the kernel ends the connection.
const WRITE: Duration = Duration::from_secs(60);

/// An answer takes milliseconds; one that does not come is the door's to judge.
/// Under Engine.IO's ping timeout of 20 s, so that holding back ends no session.
const HOLD: Duration = Duration::from_secs(10);

/// Descriptors of one listener beside its clients' connections: its own, 64 for connections
/// that it is refusing, and those of its reserve.
pub const LISTENER_DESCRIPTORS: usize = 1 + 64 + RESERVED;

/// Descriptors of the process itself: standard streams, runtime, signals, files of
/// certificates and pages, DNS lookups.
const PROCESS_DESCRIPTORS: usize = 64;

/// The fewest client connections for which a server must have descriptors. One browser opens six.
const CONNECTIONS_LEAST: u64 = 16;

/// Why the server cannot use the limit of open files.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// The system does not report the limit.
    #[error("the limit of open files is not known")]
    Unknown(#[from] std::io::Error),
    /// The limit is too low for these settings.
    #[error(
        "the limit of open files is {limit}, and the server needs at least {needed} with these \
         settings, {beside} of them for itself: raise it (ulimit -n, LimitNOFILE= of systemd, or \
         ulimits of Docker)"
    )]
    TooFew {
        /// The highest limit that the system allows.
        limit: u64,
        /// What the server needs at least.
        needed: u64,
        /// How many of these are not for clients.
        beside: u64,
    },
}

/// Raises the limit of open files as far as the system allows, which is often
/// 1024 to begin with; returns how many connections that is good for, beside what
/// else needs descriptors.
///
/// # Errors
/// The limit is unknown, or too low for any useful server.
pub fn raise_descriptors(connections: usize, beside: usize) -> Result<u64, DescriptorsError> {
    let beside = (beside + PROCESS_DESCRIPTORS) as u64;
    let connections = connections as u64;
    let limit = rlimit::increase_nofile_limit(connections + beside)?;
    let needed = beside + connections.min(CONNECTIONS_LEAST);
    if limit < needed {
        return Err(DescriptorsError::TooFew {
            limit,
            needed,
            beside,
        });
    }
    Ok(good_for(limit, beside))
}

/// How many connections a limit of open files allows: at least half of the limit, since the
/// server rarely needs all `beside` descriptors at once.
fn good_for(limit: u64, beside: u64) -> u64 {
    (limit - beside).max(limit / 2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_half_of_the_descriptors_at_least() {
        for (limit, beside, expected) in [(20_000, 200, 19_800), (1_024, 900, 512)] {
            assert_eq!(good_for(limit, beside), expected);
        }
    }
}
