//! How fast somebody may do something: so often per second, and some more at once
//! after a quiet time. Knows neither who nor what.

use std::time::Duration;

use tokio::time::Instant;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often per second, in the long run.
    pub per_second: u32,
    /// How often at once after a quiet time.
    pub burst: u32,
}

impl Pace {
    /// So many times as often.
    pub(super) fn times(self, factor: u32) -> Self {
        Self {
            per_second: self.per_second.saturating_mul(factor),
            burst: self.burst.saturating_mul(factor),
        }
    }
}

/// A token bucket: refilled at the allowed rate, holding at most one burst. It may be
/// overdrawn: a charge above the rate delays the next ones.
///
/// The bucket is stored as the moment from which a token is available (the generic cell rate
/// algorithm, ITU-T I.371, with the burst counted backwards from now).
#[derive(Debug)]
pub struct Bucket {
    ready: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn full(pace: Pace) -> Self {
        Self {
            ready: earliest(pace),
        }
    }

    /// Takes one token; returns false, and takes nothing, if there is none.
    pub fn take(&mut self, pace: Pace) -> bool {
        let is_ready = self.ready <= Instant::now();
        if is_ready {
            self.charge(pace, 1);
        }
        is_ready
    }

    /// Takes `cost` tokens, even if the bucket holds fewer. A cost above the burst counts as
    /// the burst, so that one charge never delays for longer than an empty bucket needs to fill.
    pub fn charge(&mut self, pace: Pace, cost: u32) {
        let cost = cost.min(pace.burst);
        self.ready = self.ready.max(earliest(pace)) + time_of(pace, cost);
    }

    /// The moment from which a token is available; it may be in the past.
    pub fn ready_at(&self) -> Instant {
        self.ready
    }

    /// Keeps the bucket empty until this moment; does nothing if it is empty for longer.
    pub fn hold_until(&mut self, moment: Instant) {
        self.ready = self.ready.max(moment);
    }

    /// Forgives what would keep the bucket empty after this moment.
    pub fn ready_by(&mut self, moment: Instant) {
        self.ready = self.ready.min(moment);
    }

    /// Whether the bucket is full.
    pub fn is_full(&self, pace: Pace) -> bool {
        self.ready <= earliest(pace)
    }
}

/// The moment from which a token has been available in a bucket that is full now.
fn earliest(pace: Pace) -> Instant {
    let now = Instant::now();
    // A full bucket gives its last token at `ready`, so the others became available before now.
    let full = time_of(pace, pace.burst.saturating_sub(1));
    now.checked_sub(full).unwrap_or(now)
}

/// The time in which this many tokens are refilled.
fn time_of(pace: Pace, tokens: u32) -> Duration {
    Duration::from_secs(tokens.into()) / pace.per_second
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        per_second: 10,
        burst: 4,
    };

    fn takes(bucket: &mut Bucket) -> usize {
        (0..100).take_while(|_| bucket.take(PACE)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_at_once_and_then_the_rate() {
        let mut bucket = Bucket::full(PACE);
        assert!(bucket.is_full(PACE));
        assert_eq!(takes(&mut bucket), 4);
        for (milliseconds, expected) in [(99, 0), (1, 1), (200, 2), (10_000, 4)] {
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            assert_eq!(takes(&mut bucket), expected, "after {milliseconds} ms");
        }
        assert!(!bucket.is_full(PACE));
        tokio::time::advance(Duration::from_millis(400)).await;
        assert!(bucket.is_full(PACE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_charge_above_the_burst_delays_the_next() {
        // Charges, and the delay after them in milliseconds.
        let cases: [(&[u32], u64); 6] = [
            (&[], 0),
            (&[3], 0),
            (&[4], 100),
            (&[1, 1, 1, 1, 1], 200),
            (&[1_000], 100),
            (&[4, 1_000], 500),
        ];
        for (charges, delay) in cases {
            let mut bucket = Bucket::full(PACE);
            charges.iter().for_each(|cost| bucket.charge(PACE, *cost));
            let delayed = bucket.ready_at().saturating_duration_since(Instant::now());
            assert_eq!(delayed, Duration::from_millis(delay), "{charges:?}");
        }
    }
}
