//! How often a line may be logged: what repeats a thousand times is counted
//! and not written. Knows kinds of lines, not what they say.

use std::sync::Mutex;

use tokio::time::{Duration, Instant};

/// The time that lines are counted over.
const PERIOD: Duration = Duration::from_secs(10);

/// Lets the first lines of each kind through, in each period.
pub(super) struct Paced {
    most: u32,
    /// Guards when the period of each kind began, and how many lines it had;
    /// as long as there are kinds, which the code names.
    kinds: Mutex<Vec<(&'static str, Instant, u32)>>,
}

impl Paced {
    /// Lets `most` lines of each kind through in a period.
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            kinds: Mutex::default(),
        }
    }

    /// Whether another line of this kind may be written.
    pub(super) fn lets(&self, kind: &'static str) -> bool {
        let now = Instant::now();
        let mut kinds = self.kinds.lock().expect("no code panics under this lock");
        let Some((_, since, lines)) = kinds.iter_mut().find(|(known, ..)| *known == kind) else {
            kinds.push((kind, now, 1));
            return true;
        };
        if now - *since >= PERIOD {
            (*since, *lines) = (now, 0);
        }
        *lines += 1;
        *lines <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_lines_of_each_kind_and_period_are_written() {
        let paced = Paced::new(2);
        let written = || (0..100).filter(|_| paced.lets("a")).count();
        assert_eq!(written(), 2);
        assert!(paced.lets("b"));
        tokio::time::advance(PERIOD - Duration::from_millis(1)).await;
        assert_eq!(written(), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(written(), 2);
    }
}
