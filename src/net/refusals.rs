//! What is refused since somebody has taken too much: counted by reason, and logged
//! once a minute at most. Knows reasons, not what was asked for.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// The least time between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// How many addresses are told apart between two lines of the log.
const ADDRESSES_MOST: usize = 1_000;

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There are as many connections as there may be.
    Full,
    /// There are as many sessions as there may be.
    FullSessions,
    /// The address has as many connections as it may.
    AddressConnections,
    /// The address opens connections too fast.
    AddressRate,
    /// The address has as many sessions as it may.
    AddressSessions,
    /// The address has as many sessions as it may that are in no namespace.
    AddressUnconfirmed,
}

impl Reason {
    /// The reason as a stable word, for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullSessions => "full_sessions",
            Self::AddressConnections => "address_connections",
            Self::AddressRate => "address_rate",
            Self::AddressSessions => "address_sessions",
            Self::AddressUnconfirmed => "address_unconfirmed",
        }
    }

    /// Whether another address would not have been refused.
    pub fn is_of_address(self) -> bool {
        !matches!(self, Self::Full | Self::FullSessions)
    }
}

/// Counts refusals, and logs them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Since>);

/// What was refused since the last line of the log.
#[derive(Debug, Default)]
struct Since {
    logged: Option<Instant>,
    refused: u64,
    addresses: HashSet<IpAddr>,
}

impl Refusals {
    /// Takes note that something of this address was refused.
    pub fn note(&self, reason: Reason, address: IpAddr) {
        metrics::counter!("roomcast_connections_refused_total", "reason" => reason.code())
            .increment(1);
        if let Some((refused, addresses)) = self.count(address, Instant::now()) {
            warn!(
                refused,
                addresses,
                reason = reason.code(),
                "connections or sessions are refused"
            );
        }
    }

    /// Counts one; what is to be logged now.
    fn count(&self, address: IpAddr, now: Instant) -> Option<(u64, usize)> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.refused += 1;
        if since.addresses.len() < ADDRESSES_MOST {
            since.addresses.insert(address);
        }
        let is_recent = |logged: Instant| now.duration_since(logged) < LOG_EVERY;
        if since.logged.is_some_and(is_recent) {
            return None;
        }
        let counted = (since.refused, since.addresses.len());
        *since = Since {
            logged: Some(now),
            ..Since::default()
        };
        Some(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_logged_once_a_minute_with_how_many_addresses() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert_eq!(refusals.count(a, start), Some((1, 1)));
        for _ in 0..5 {
            assert_eq!(refusals.count(a, start + LOG_EVERY / 2), None);
        }
        assert_eq!(refusals.count(b, start + LOG_EVERY), Some((6, 2)));
        assert_eq!(refusals.count(b, start + LOG_EVERY), None);
    }
}
