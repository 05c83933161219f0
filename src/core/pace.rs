//! How fast somebody may do something: so often per second, and some more at once
//! after a quiet time. Knows neither who nor what.

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

/// A token bucket: refilled at the allowed rate, holding one burst at most.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// That of somebody who comes.
    pub fn full(pace: Pace) -> Self {
        Self {
            tokens: f64::from(pace.burst),
            filled: Instant::now(),
        }
    }

    /// Whether it may be done once more now; then it is counted.
    pub fn take(&mut self, pace: Pace) -> bool {
        self.take_many(pace, 1)
    }

    /// As [`Bucket::take`], for `cost` tokens; a cost above the burst counts as the burst.
    pub fn take_many(&mut self, pace: Pace, cost: u32) -> bool {
        self.fill(pace);
        let cost = f64::from(cost.min(pace.burst));
        if self.tokens < cost {
            return false;
        }
        self.tokens -= cost;
        true
    }

    /// Whether it is as that of somebody who comes.
    pub fn is_full(&mut self, pace: Pace) -> bool {
        self.fill(pace);
        self.tokens >= f64::from(pace.burst)
    }

    fn fill(&mut self, pace: Pace) {
        let now = Instant::now();
        let gained = (now - self.filled).as_secs_f64() * f64::from(pace.per_second);
        self.filled = now;
        self.tokens = (self.tokens + gained).min(f64::from(pace.burst));
    }
}
