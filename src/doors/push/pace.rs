//! How fast each address may make requests: bounded in what it remembers of them.
//! Knows no request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use crate::core::pace::{Bucket, Pace};

/// How many addresses are remembered: those that made requests within the last two
/// seconds are, and who has so many may slow down the others.
const ADDRESSES_MOST: usize = 10_000;

/// The pace of every address.
pub(super) struct Paces {
    pace: Pace,
    /// Guards who has made how many requests; held to count one.
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Paces {
    /// So many per second for each, and twice as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        let pace = Pace {
            per_second,
            burst: per_second.saturating_mul(2),
        };
        let buckets = Mutex::default();
        Self { pace, buckets }
    }

    /// Whether this address may make another request now.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let address = network(address);
        let mut buckets = self.lock();
        if let Some(bucket) = buckets.get_mut(&address) {
            return bucket.take(self.pace);
        }
        if buckets.len() >= ADDRESSES_MOST {
            buckets.retain(|_, bucket| !bucket.is_full(self.pace));
        }
        if buckets.len() >= ADDRESSES_MOST {
            return false;
        }
        let mut bucket = Bucket::full(self.pace);
        let admitted = bucket.take(self.pace);
        buckets.insert(address, bucket);
        admitted
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Bucket>> {
        self.buckets.lock().expect("no code panics under this lock")
    }
}

/// What one customer of a provider has at least: of IPv6 a network of 64 bits (RFC
/// 6177, section 2), whose addresses all count as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
