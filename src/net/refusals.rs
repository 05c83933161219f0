//! Counts refusals above a limit, and logs those of each reason at most once a minute.
//! Knows reasons, not requests.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// The least time between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Most addresses that are counted between two lines of the log.
const ADDRESSES_MOST: usize = 1_000;

/// Why a connection, session or request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The server has as many connections as allowed.
    Full,
    /// The server has as many sessions as allowed.
    FullSessions,
    /// The address has as many connections as allowed.
    AddressConnections,
    /// The address opens connections too fast.
    AddressRate,
    /// The address has as many sessions as allowed.
    AddressSessions,
    /// The address has as many sessions without a namespace as allowed.
    AddressUnconfirmed,
}

impl Reason {
    /// The stable code of the reason, for metrics.
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

    /// Whether it is a limit of the address, not of the whole server.
    pub fn is_of_address(self) -> bool {
        !matches!(self, Self::Full | Self::FullSessions)
    }
}

/// Counts refusals, and logs them.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Reason, RefusalWindow>>);

/// The refusals of one reason since its last line of the log.
#[derive(Debug, Default)]
struct RefusalWindow {
    logged: Option<Instant>,
    refused: u64,
    addresses: HashSet<IpAddr>,
}

impl Refusals {
    /// Counts a refusal of a client at this address; logs a line if one is due.
    pub fn note(&self, reason: Reason, address: IpAddr) {
        metrics::counter!("roomcast_connections_refused_total", "reason" => reason.code())
            .increment(1);
        if let Some((refused, addresses)) = self.count(reason, address, Instant::now()) {
            let reason = reason.code();
            warn!(reason, refused, addresses, "refused clients above a limit");
        }
    }

    /// Counts a refusal; if a line is due, returns the numbers of refusals and addresses.
    fn count(&self, reason: Reason, address: IpAddr, now: Instant) -> Option<(u64, usize)> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = windows.entry(reason).or_default();
        since.refused += 1;
        if since.addresses.len() < ADDRESSES_MOST {
            since.addresses.insert(address);
        }
        let is_recent = |logged: Instant| now.duration_since(logged) < LOG_EVERY;
        if since.logged.is_some_and(is_recent) {
            return None;
        }
        let counted = (since.refused, since.addresses.len());
        *since = RefusalWindow {
            logged: Some(now),
            ..RefusalWindow::default()
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
        let count = |address, now| refusals.count(Reason::Full, address, now);
        assert_eq!(count(a, start), Some((1, 1)));
        for _ in 0..5 {
            assert_eq!(count(a, start + LOG_EVERY / 2), None);
        }
        let other = refusals.count(Reason::AddressRate, a, start + LOG_EVERY / 2);
        assert_eq!(other, Some((1, 1)), "another reason has a line of its own");
        assert_eq!(count(b, start + LOG_EVERY), Some((6, 2)));
        assert_eq!(count(b, start + LOG_EVERY), None);
    }
}
