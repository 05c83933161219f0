//! How fast the play log may grow: a feed that announces ever new items fills no disk.
//! Knows no item and no store.

use std::sync::Mutex;

use tokio::time::{Duration, Instant};
use tracing::warn;

use crate::core::tally::Tally;

/// One entry in this time, in the long run: 30 a minute. A station has a few, with its
/// jingles and corrections.
const EVERY: Duration = Duration::from_secs(2);

/// How many entries at once after a quiet time: a studio that comes back tells again what
/// was on, and tests an hour of it.
const BURST: u32 = 300;

/// What may be entered into the play log.
pub(super) struct LogPace {
    /// Guards when all that was entered is paid for at [`EVERY`]; held to read and set it.
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

    /// Whether another entry may be made; one that may not is counted, and logged once a
    /// minute.
    pub(super) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut paid_at = self.paid_at.lock().expect("no code panics under this lock");
        if *paid_at > now + EVERY * (BURST - 1) {
            drop(paid_at);
            metrics::counter!("roomcast_unlogged_plays_total").increment(1);
            if let Some(count) = self.refused.due("unlogged") {
                warn!(
                    count,
                    "the feed announces more items than the play log takes: they are published, and not logged"
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
