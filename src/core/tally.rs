//! Limits log lines to one per kind and minute, with the number of occurrences since the
//! last one. Knows kinds of lines, not their text.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Least time between two lines of a kind.
const EVERY: Duration = Duration::from_secs(60);

/// Counts occurrences by kind.
#[derive(Default)]
pub struct Tally {
    /// Guards, for each kind, the time of its last line and the occurrences since then. Kinds
    /// are constants in the code, so the list stays short.
    kinds: Mutex<Vec<(&'static str, Instant, u64)>>,
}

impl Tally {
    /// Counts an occurrence of this kind. If a line is due, returns the number of occurrences
    /// since the last line.
    pub fn due(&self, kind: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut kinds = self.kinds.lock().expect("no code panics under this lock");
        let Some((_, written, count)) = kinds.iter_mut().find(|(known, ..)| *known == kind) else {
            kinds.push((kind, now, 0));
            return Some(1);
        };
        *count += 1;
        if now - *written < EVERY {
            return None;
        }
        *written = now;
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_a_minute_says_how_often_it_happened() {
        let tally = Tally::default();
        assert_eq!(tally.due("a"), Some(1));
        assert!((0..100).all(|_| tally.due("a").is_none()));
        assert_eq!(tally.due("b"), Some(1), "another kind");
        tokio::time::advance(EVERY).await;
        assert_eq!(tally.due("a"), Some(101));
        assert_eq!(tally.due("a"), None);
    }
}
