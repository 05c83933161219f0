//! Turns at what blocks: so many at once, each on a thread of its own, and nobody
//! waits for long. Knows not what is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::doors::Problem;

/// How long somebody waits for a turn: a page has long been given up by then, and
/// a disk that hangs gathers no more waiting requests than come in that time.
const WAIT_MOST: Duration = Duration::from_secs(5);

/// Does what blocks, once it is its turn.
///
/// The turn lasts as long as the work, and not as long as somebody waits for it:
/// who asks and goes away, again and again, would take a thread each time.
pub(super) async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let turn = timeout(WAIT_MOST, turns.clone().acquire_owned()).await;
    let busy = |_| Problem::unavailable("busy", "too many ask for this; try again later");
    let turn = turn.map_err(busy)?.expect("nobody closes the turns");
    let done = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    // It has panicked, or the server was stopping before it began.
    let failed = |_| Problem::unavailable("failed", "this can't be answered now; try again later");
    done.await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn who_goes_away_leaves_no_turn_behind_that_is_still_in_use() {
        let turns = Arc::new(Semaphore::new(1));
        let (end, ended) = mpsc::channel::<()>();
        {
            let mut asked = pin!(in_turn(&turns, move || ended.recv()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(asked.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(turns.available_permits(), 0, "its thread is at work");
        drop(end);
        assert!(in_turn(&turns, || true).await.is_ok_and(|done| done));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_is_told_to_come_back() {
        let turns = Arc::new(Semaphore::new(1));
        let _taken = turns.acquire().await.unwrap();
        let refused = in_turn(&turns, || ()).await.err().unwrap();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.code, "busy");
    }
}
