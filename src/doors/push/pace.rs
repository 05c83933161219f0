//! How fast each address may make requests, and how many big ones at once: bounded in
//! what it remembers of them.
//! Knows no request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::core::pace::{Bucket, Pace};
use crate::net::network;

/// How many addresses are remembered: those that made requests within the last two
/// seconds are, and who has so many may slow down the others.
const ADDRESSES_MOST: usize = 10_000;

/// Up to this many bytes of a body are read without a turn: channels are created and
/// deleted with less, and most messages pushed.
pub(super) const SMALL_BODY: usize = 16 * 1024;

/// How many bigger bodies of one address are read at once: what is held for it stays
/// below 16 MiB, and a body takes a millisecond where its sender is not slow.
const BODIES_MOST: usize = 16;

/// The pace of every address.
pub(super) struct Paces {
    pace: Pace,
    /// Guards who has made how many requests; held to count one.
    visitors: Mutex<HashMap<IpAddr, Visitor>>,
}

struct Visitor {
    bucket: Bucket,
    bodies: Arc<Semaphore>,
}

/// Leave to make one request.
pub(super) struct Visit(Arc<Semaphore>);

impl Visit {
    /// Waits until a body of at most so many bytes may be read, if that is known.
    pub(super) async fn turn(&self, bytes: Option<u64>) -> Option<SemaphorePermit<'_>> {
        match bytes {
            Some(small) if small <= SMALL_BODY as u64 => None,
            // Nobody closes it.
            _ => self.0.acquire().await.ok(),
        }
    }
}

impl Paces {
    /// So many per second for each, and twice as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        let pace = Pace {
            per_second,
            burst: per_second.saturating_mul(2),
        };
        let visitors = Mutex::default();
        Self { pace, visitors }
    }

    /// Whether this address may make another request now.
    pub(super) fn visit(&self, address: IpAddr) -> Option<Visit> {
        let address = network(address);
        let mut visitors = self.lock();
        if !visitors.contains_key(&address) {
            if visitors.len() >= ADDRESSES_MOST {
                visitors.retain(|_, visitor| !visitor.is_new(self.pace));
            }
            if visitors.len() >= ADDRESSES_MOST {
                return None;
            }
        }
        let visitor = visitors.entry(address).or_insert_with(|| Visitor {
            bucket: Bucket::full(self.pace),
            bodies: Arc::new(Semaphore::new(BODIES_MOST)),
        });
        let admitted = visitor.bucket.take(self.pace);
        admitted.then(|| Visit(visitor.bodies.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Visitor>> {
        self.visitors
            .lock()
            .expect("no code panics under this lock")
    }
}

impl Visitor {
    /// Whether there is nothing to remember of it.
    fn is_new(&mut self, pace: Pace) -> bool {
        Arc::strong_count(&self.bodies) == 1 && self.bucket.is_full(pace)
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
                assert!(paces.visit(address(first)).is_some());
            }
            assert!(paces.visit(address(first)).is_none());
            let second_may = paces.visit(address(second)).is_some();
            assert_eq!(second_may, admitted, "{first} {second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_may_be() {
        let paces = Paces::new(1);
        for number in 0..ADDRESSES_MOST as u32 {
            assert!(paces.visit(Ipv4Addr::from_bits(number).into()).is_some());
        }
        let one_more = address("192.0.2.1");
        assert!(paces.visit(one_more).is_none());
        // Those that are remembered are served, and are forgotten in time.
        assert!(paces.visit(Ipv4Addr::from_bits(0).into()).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(paces.visit(one_more).is_some());
        assert_eq!(
            paces.lock().len(),
            2,
            "the one that asked twice, and the new one"
        );
    }
}
