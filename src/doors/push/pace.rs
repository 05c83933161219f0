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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_customer_have_one_pace() {
        // The second of two, once the first has made all of its requests
        let cases = [
            ("192.0.2.1", "192.0.2.1", false),
            ("192.0.2.1", "192.0.2.2", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::", false),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", true),
        ];
        for (first, second, admitted) in cases {
            let paces = Paces::new(3);
            for _ in 0..6 {
                assert!(paces.admits(address(first)));
            }
            assert!(!paces.admits(address(first)));
            assert_eq!(paces.admits(address(second)), admitted, "{first} {second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_may_be() {
        let paces = Paces::new(1);
        for number in 0..ADDRESSES_MOST as u32 {
            assert!(paces.admits(Ipv4Addr::from_bits(number).into()));
        }
        let one_more = address("192.0.2.1");
        assert!(!paces.admits(one_more));
        // Those that are remembered are served, and are forgotten in time.
        assert!(paces.admits(Ipv4Addr::from_bits(0).into()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(paces.admits(one_more));
        assert_eq!(
            paces.lock().len(),
            2,
            "the one that asked twice, and the new one"
        );
    }
}
