//! The rate limit of the play log: a feed that keeps announcing new items can't fill the
//! disk. Knows no item and no store.

use std::sync::Mutex;

use tokio::time::{Duration, Instant};
use tracing::warn;

use crate::core::tally::Tally;

/// The average time per entry: 30 entries a minute. A station has a few, including jingles
/// and corrections.
const EVERY: Duration = Duration::from_secs(2);

/// Most entries at once after a quiet time: a studio that reconnects sends recent items
/// again.
const BURST: u32 = 300;

/// Decides whether the play log takes another entry.
pub(super) struct LogPace {
    /// The time until which past entries have used up the rate; the lock is held to read and
    /// set it.
    paid_at: Mutex<Instant>,
    refused: Tally,
}

impl LogPace {
    pub(super) fn new() -> Self {
        Self {
            paid_at: Mutex::new(Instant::now()),
            refused: Tally::default(),
        }
    }

    /// Whether the play log takes another entry. Counts refused entries, and logs their number
    /// once a minute.
    pub(super) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut paid_at = self.paid_at.lock().expect("no code panics under this lock");
        if *paid_at > now + EVERY * (BURST - 1) {
            drop(paid_at);
            metrics::counter!("roomcast_unlogged_plays_total").increment(1);
            if let Some(count) = self.refused.due("unlogged") {
                warn!(
                    count,
                    "too many items for the play log (30 a minute): they are published, but missing in the history"
                );
            }
            return false;
        }
        *paid_at = (*paid_at).max(now) + EVERY;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_then_so_many_a_minute() {
        let pace = LogPace::new();
        let allowed = || (0..1_000).filter(|_| pace.allows()).count();
        assert_eq!(allowed(), 300);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(allowed(), 30);
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
        assert_eq!(allowed(), 300);
    }
}
