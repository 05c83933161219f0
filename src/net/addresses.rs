//! Limits per client address: open connections, new connections per second, and sessions.
//! Counts them, and maps each connection and request to the address it counts for. Knows
//! no protocol.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use ipnet::IpNet;

use super::memory::LargeMemory;
use super::peer::{is_private, sender};
use super::refusals::{Reason, Refusals};
use crate::core::pace::{Bucket, Pace};
use crate::core::source::SourceKey;

/// How many addresses are remembered for the rate of their new connections, beyond those
/// with open connections: this many take a few MiB.
const REMEMBERED_MOST: usize = 50_000;

/// The most bytes of large messages that clients have begun to send, all together.
const MESSAGES_MOST: usize = 48 << 20;

/// The limits of one address; by default there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Most open connections.
    pub connections: usize,
    /// Most Socket.IO sessions.
    pub sessions: usize,
    /// Most Socket.IO sessions that have not connected to a namespace yet.
    pub unconfirmed: usize,
    /// Most new connections per second on average, and most new sessions; the burst is
    /// `connections`, and `sessions`.
    pub per_second: u32,
    /// Whether private and loopback addresses have limits as well.
    pub private: bool,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            sessions: usize::MAX,
            unconfirmed: usize::MAX,
            per_second: u32::MAX,
            private: false,
        }
    }
}

impl AddressLimits {
    /// The burst is as high as the limit: after a restart all clients reconnect at once.
    fn pace(&self, limit: usize) -> Pace {
        let burst = u32::try_from(limit).unwrap_or(u32::MAX);
        Pace {
            per_second: self.per_second,
            burst: burst.max(self.per_second),
        }
    }
}

/// The counts of all addresses. Clones share them.
#[derive(Clone, Debug)]
pub struct Addresses(Arc<Inner>);

impl Default for Addresses {
    fn default() -> Self {
        Self::new(AddressLimits::default(), Arc::default())
    }
}

#[derive(Debug)]
struct Inner {
    limits: AddressLimits,
    trusted: Arc<[IpNet]>,
    refusals: Refusals,
    /// The memory for large messages.
    memory: LargeMemory,
    /// The counts of each address; the lock is held for one update.
    table: Mutex<HashMap<SourceKey, Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    connections: usize,
    sessions: usize,
    unconfirmed: usize,
    /// Of new connections.
    pace: Option<Bucket>,
    /// Of new sessions.
    session_pace: Option<Bucket>,
}

/// A resource that is counted per address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Connection,
    Session,
    Unconfirmed,
}

/// A resource that counts for an address until this is dropped.
#[derive(Debug, Default)]
pub struct Place(Option<Box<PlaceGuard>>);

#[derive(Debug)]
struct PlaceGuard {
    all: Addresses,
    source: SourceKey,
    what: Resource,
}

impl Place {
    /// Whether it counts for an address.
    pub(super) fn is_taken(&self) -> bool {
        self.0.is_some()
    }

    /// The address that it counts for.
    pub(super) fn source(&self) -> Option<SourceKey> {
        self.0.as_ref().map(|guard| guard.source)
    }
}

impl Drop for PlaceGuard {
    fn drop(&mut self) {
        let mut table = self.all.lock();
        if let Entry::Occupied(mut taken) = table.entry(self.source) {
            *taken.get_mut().count(self.what) -= 1;
            if taken.get_mut().is_nothing(&self.all.0.limits) {
                taken.remove();
            }
        }
    }
}

impl Addresses {
    /// `trusted` are the proxies whose forwarding headers count.
    #[must_use]
    pub fn new(limits: AddressLimits, trusted: Arc<[IpNet]>) -> Self {
        Self(Arc::new(Inner {
            limits,
            trusted,
            refusals: Refusals::default(),
            memory: LargeMemory::new(MESSAGES_MOST),
            table: Mutex::default(),
        }))
    }

    /// The key of the address (of its [`network`]) under which it is counted; `None` if it has
    /// no limits.
    #[must_use]
    pub fn source(&self, address: IpAddr) -> Option<SourceKey> {
        let address = address.to_canonical();
        let is_exempt = is_private(address) && !self.0.limits.private;
        if is_exempt || self.is_trusted(address) {
            return None;
        }
        Some(SourceKey(match network(address) {
            // In a part of the multicast addresses, which no client has.
            IpAddr::V4(v4) => u64::from(u32::MAX) << 32 | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
        }))
    }

    /// Whether this is a trusted proxy.
    #[must_use]
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.trusted.iter().any(|net| net.contains(&address))
    }

    /// The key of the client that sends a request, also behind a trusted proxy.
    #[must_use]
    pub fn source_of(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<SourceKey> {
        self.source(self.sender(peer, headers))
    }

    /// The address of the client that sends a request, as far as it is known.
    #[must_use]
    pub fn sender(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        sender(peer, headers, &self.0.trusted).address
    }

    /// Takes a place for a new connection.
    ///
    /// # Errors
    /// The address has as many connections as allowed, or opens them too fast.
    pub fn connect(&self, source: Option<SourceKey>) -> Result<Place, Reason> {
        self.take(source, |taken, limits| {
            let pace = limits.pace(limits.connections);
            if taken.connections >= limits.connections {
                return Err(Reason::AddressConnections);
            }
            let bucket = taken.pace.get_or_insert_with(|| Bucket::full(pace));
            if !bucket.take(pace) {
                return Err(Reason::AddressRate);
            }
            Ok(Resource::Connection)
        })
    }

    /// Takes a place for a request from a trusted proxy, until its answer ends.
    ///
    /// # Errors
    /// The address has as many connections and requests in progress as allowed.
    pub fn request(&self, source: Option<SourceKey>) -> Result<Place, Reason> {
        self.take(source, |taken, limits| {
            match taken.connections < limits.connections {
                true => Ok(Resource::Connection),
                false => Err(Reason::AddressConnections),
            }
        })
    }

    /// Takes a place for a session, and a second one until the session is in a namespace.
    ///
    /// # Errors
    /// The address has as many sessions as allowed, or opens them too fast.
    pub fn session(&self, source: Option<SourceKey>) -> Result<(Place, Place), Reason> {
        let unconfirmed = self.take(source, |taken, limits| {
            match taken.unconfirmed < limits.unconfirmed {
                true => Ok(Resource::Unconfirmed),
                false => Err(Reason::AddressUnconfirmed),
            }
        })?;
        let session = self.take(source, |taken, limits| {
            let pace = limits.pace(limits.sessions);
            if taken.sessions >= limits.sessions {
                return Err(Reason::AddressSessions);
            }
            let bucket = taken.session_pace.get_or_insert_with(|| Bucket::full(pace));
            if !bucket.take(pace) {
                return Err(Reason::AddressRate);
            }
            Ok(Resource::Session)
        })?;
        Ok((session, unconfirmed))
    }

    /// The memory for large messages of all clients.
    pub(super) fn memory(&self) -> &LargeMemory {
        &self.0.memory
    }

    /// Counts and logs refusals.
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    fn take(
        &self,
        source: Option<SourceKey>,
        may: impl FnOnce(&mut Usage, &AddressLimits) -> Result<Resource, Reason>,
    ) -> Result<Place, Reason> {
        let Some(source) = source else {
            return Ok(Place::default());
        };
        let mut table = self.lock();
        if table.len() >= REMEMBERED_MOST && !table.contains_key(&source) {
            self.forget(&mut table);
        }
        let taken = table.entry(source).or_default();
        let what = may(taken, &self.0.limits)?;
        *taken.count(what) += 1;
        drop(table);
        Ok(Place(Some(Box::new(PlaceGuard {
            all: self.clone(),
            source,
            what,
        }))))
    }

    /// Removes addresses that have nothing open and a full rate budget. If too many remain,
    /// removes all that have nothing open: other limits bound the total of all addresses.
    fn forget(&self, table: &mut HashMap<SourceKey, Usage>) {
        table.retain(|_, taken| !taken.is_nothing(&self.0.limits));
        if table.len() >= REMEMBERED_MOST {
            table.retain(|_, taken| taken.has_anything());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SourceKey, Usage>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn count(&mut self, what: Resource) -> &mut usize {
        match what {
            Resource::Connection => &mut self.connections,
            Resource::Session => &mut self.sessions,
            Resource::Unconfirmed => &mut self.unconfirmed,
        }
    }

    fn has_anything(&self) -> bool {
        self.connections + self.sessions + self.unconfirmed > 0
    }

    /// Whether the entry of the address can be removed.
    fn is_nothing(&mut self, limits: &AddressLimits) -> bool {
        let is_full = |bucket: &mut Option<Bucket>, limit| {
            let pace = limits.pace(limit);
            bucket.as_mut().is_none_or(|bucket| bucket.is_full(pace))
        };
        !self.has_anything()
            && is_full(&mut self.pace, limits.connections)
            && is_full(&mut self.session_pace, limits.sessions)
    }
}

/// The network that counts as one address: of IPv6 a /64, the least that a provider gives
/// to one customer (RFC 6177, section 2).
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn addresses(private: bool) -> Addresses {
        let limits = AddressLimits {
            connections: 2,
            sessions: 2,
            unconfirmed: 1,
            per_second: 1,
            private,
        };
        Addresses::new(limits, Arc::new(["10.0.0.1/32".parse().unwrap()]))
    }

    #[test]
    fn whose_limits_an_address_counts_against() {
        // Two addresses; whether the first has limits, without and with `private`; whether
        // both share one key.
        for (one, other, limited, private, same) in [
            ("192.0.2.1", "192.0.2.1", true, true, true),
            ("192.0.2.1", "192.0.2.2", true, true, false),
            ("192.0.2.1", "::ffff:192.0.2.1", true, true, true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::", true, true, true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", true, true, false),
            ("127.0.0.1", "127.0.0.1", false, true, true),
            ("192.168.1.1", "127.0.0.1", false, true, false),
            ("10.0.0.1", "127.0.0.1", false, false, false),
        ] {
            let source = |private, text: &str| addresses(private).source(text.parse().unwrap());
            assert_eq!(source(false, one).is_some(), limited, "{one}");
            assert_eq!(source(true, one).is_some(), private, "{one}");
            assert_eq!(
                source(true, one) == source(true, other),
                same,
                "{one} {other}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_takes_no_more_than_it_may() {
        let addresses = addresses(false);
        let source = addresses.source("192.0.2.1".parse().unwrap());
        let first = addresses.connect(source).unwrap();
        let second = addresses.connect(source).unwrap();
        let refused = addresses.connect(source).unwrap_err();
        assert_eq!(refused, Reason::AddressConnections);
        assert!(addresses.request(source).is_err());
        drop(first);
        assert_eq!(addresses.connect(source).unwrap_err(), Reason::AddressRate);
        assert!(addresses.request(source).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        let third = addresses.connect(source).unwrap();
        let (session, unconfirmed) = addresses.session(source).unwrap();
        let refused = addresses.session(source).unwrap_err();
        assert_eq!(refused, Reason::AddressUnconfirmed);
        drop(unconfirmed);
        let (another, unconfirmed) = addresses.session(source).unwrap();
        drop(unconfirmed);
        let refused = addresses.session(source).unwrap_err();
        assert_eq!(refused, Reason::AddressSessions);
        // Other addresses are not affected.
        let other = addresses.source("192.0.2.2".parse().unwrap());
        drop(addresses.connect(other).unwrap());
        for _ in 0..9 {
            assert!(addresses.connect(None).is_ok());
        }
        drop((second, third, session, another));
        tokio::time::advance(Duration::from_secs(2)).await;
        addresses.forget(&mut addresses.lock());
        assert!(addresses.lock().is_empty());
    }
}
