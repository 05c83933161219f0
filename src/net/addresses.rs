//! How much the clients of one address may take: connections, new ones per second, and
//! sessions. Counts, and says whose limits a connection or a request counts against;
//! knows no protocol.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use ipnet::IpNet;

use super::peer::{is_private, sender};
use super::refusals::{Reason, Refusals};
use crate::core::pace::{Bucket, Pace};
use crate::core::source::SourceKey;

/// How many addresses are remembered beyond those that have something open, for the
/// rate of their new connections: what this many take is a few MiB.
const REMEMBERED_MOST: usize = 50_000;

/// What the clients of one address may have; the default has no limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections open at once, and as many Socket.IO sessions.
    pub connections: usize,
    /// Socket.IO sessions that are in no namespace yet.
    pub unconfirmed: usize,
    /// New connections per second in the long run; as many as may be open at once.
    pub per_second: u32,
    /// Whether private and loopback addresses have limits as well.
    pub private: bool,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            unconfirmed: usize::MAX,
            per_second: u32::MAX,
            private: false,
        }
    }
}

/// What all addresses have; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    limits: AddressLimits,
    trusted: Arc<[IpNet]>,
    refusals: Refusals,
    /// Guards what each address has; held to count one thing.
    table: Mutex<HashMap<SourceKey, Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    sessions: usize,
    unconfirmed: usize,
    pace: Option<Bucket>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Connection,
    Session,
    Unconfirmed,
}

/// One thing that is counted for an address, until this is dropped.
#[derive(Debug, Default)]
pub struct Place(Option<Box<Held>>);

#[derive(Debug)]
struct Held {
    all: Addresses,
    source: SourceKey,
    what: What,
}

impl Place {
    /// Whether it counts for anybody.
    pub(super) fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.all.lock();
        if let Entry::Occupied(mut taken) = table.entry(self.source) {
            *taken.get_mut().count(self.what) -= 1;
            if taken.get_mut().is_nothing(self.all.pace()) {
                taken.remove();
            }
        }
    }
}

impl Addresses {
    /// `trusted` are the proxies that speak for others.
    #[must_use]
    pub fn new(limits: AddressLimits, trusted: Arc<[IpNet]>) -> Self {
        Self(Arc::new(Inner {
            limits,
            trusted,
            ..Inner::default()
        }))
    }

    /// Whose limits this address counts against, with its [`network`]; none: nobody's.
    #[must_use]
    pub fn source(&self, address: IpAddr) -> Option<SourceKey> {
        let address = address.to_canonical();
        let is_exempt = is_private(address) && !self.0.limits.private;
        if is_exempt || self.is_trusted(address) {
            return None;
        }
        Some(SourceKey(match network(address) {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        }))
    }

    /// Whether this is a proxy that speaks for others.
    #[must_use]
    pub fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.trusted.iter().any(|net| net.contains(&address))
    }

    /// Whose limits a request counts against: the client's, also behind a proxy.
    #[must_use]
    pub fn source_of(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<SourceKey> {
        self.source(self.sender(peer, headers))
    }

    /// Whose request this is, as far as that is known.
    #[must_use]
    pub fn sender(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        sender(peer, headers, &self.0.trusted).address
    }

    /// Takes a place for a new connection.
    ///
    /// # Errors
    /// The address has as many as it may, or opens them too fast.
    pub fn connect(&self, source: Option<SourceKey>) -> Result<Place, Reason> {
        let pace = self.pace();
        self.take(source, |taken, limits| {
            if taken.connections >= limits.connections {
                return Err(Reason::AddressConnections);
            }
            let bucket = taken.pace.get_or_insert_with(|| Bucket::full(pace));
            if !bucket.take(pace) {
                return Err(Reason::AddressRate);
            }
            Ok(What::Connection)
        })
    }

    /// Takes a place for a request that a proxy passes on, for as long as it is answered.
    ///
    /// # Errors
    /// As many requests of the address are being answered as it may have connections.
    pub fn request(&self, source: Option<SourceKey>) -> Result<Place, Reason> {
        self.take(source, |taken, limits| {
            match taken.connections < limits.connections {
                true => Ok(What::Connection),
                false => Err(Reason::AddressConnections),
            }
        })
    }

    /// Takes a place for a session, and one until it is in a namespace.
    ///
    /// # Errors
    /// The address has as many as it may.
    pub fn session(&self, source: Option<SourceKey>) -> Result<(Place, Place), Reason> {
        let unconfirmed = self.take(source, |taken, limits| {
            match taken.unconfirmed < limits.unconfirmed {
                true => Ok(What::Unconfirmed),
                false => Err(Reason::AddressUnconfirmed),
            }
        })?;
        let session = self.take(source, |taken, limits| {
            match taken.sessions < limits.connections {
                true => Ok(What::Session),
                false => Err(Reason::AddressSessions),
            }
        })?;
        Ok((session, unconfirmed))
    }

    /// Where refusals are counted and logged.
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    fn take(
        &self,
        source: Option<SourceKey>,
        may: impl FnOnce(&mut Taken, &AddressLimits) -> Result<What, Reason>,
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
        Ok(Place(Some(Box::new(Held {
            all: self.clone(),
            source,
            what,
        }))))
    }

    /// Forgets the rate of addresses that have nothing open; of all of them where too
    /// many come too fast: what all addresses have together is bounded elsewhere.
    fn forget(&self, table: &mut HashMap<SourceKey, Taken>) {
        table.retain(|_, taken| !taken.is_nothing(self.pace()));
        if table.len() >= REMEMBERED_MOST {
            table.retain(|_, taken| taken.has_anything());
        }
    }

    /// A restart brings back everybody at once.
    fn pace(&self) -> Pace {
        let AddressLimits {
            connections,
            per_second,
            ..
        } = self.0.limits;
        let burst = u32::try_from(connections).unwrap_or(u32::MAX);
        Pace {
            per_second,
            burst: burst.max(per_second),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SourceKey, Taken>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn count(&mut self, what: What) -> &mut usize {
        match what {
            What::Connection => &mut self.connections,
            What::Session => &mut self.sessions,
            What::Unconfirmed => &mut self.unconfirmed,
        }
    }

    fn has_anything(&self) -> bool {
        self.connections + self.sessions + self.unconfirmed > 0
    }

    /// Whether there is nothing to remember of the address.
    fn is_nothing(&mut self, pace: Pace) -> bool {
        !self.has_anything() && self.pace.as_mut().is_none_or(|bucket| bucket.is_full(pace))
    }
}

/// What one customer of a provider has at least: of IPv6 a network of 64 bits (RFC
/// 6177, section 2), whose addresses all count as one.
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
            unconfirmed: 1,
            per_second: 1,
            private,
        };
        Addresses::new(limits, Arc::new(["10.0.0.1/32".parse().unwrap()]))
    }

    #[test]
    fn whose_limits_an_address_counts_against() {
        // Two addresses: whether the first has limits, also with those of private ones;
        // and whether both have the same.
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
        // Nobody else notices.
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
