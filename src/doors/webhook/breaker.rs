//! The circuit breaker before the backend: while that can't be reached, nobody calls it
//! but one who tries. Knows no call.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// After how many failures in a row nobody calls any more: one call may meet a
/// restart, as many as this meet an outage.
const FAILURES: u32 = 5;

/// How long it is open at first, and at most: a backend that is back is noticed
/// within this.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);

/// Opens when the backend fails, and closes when it answers.
#[derive(Default)]
pub(super) struct Breaker {
    /// Guards the state; held to look at it or change it.
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// Until when nobody calls; then one tries.
    open: Option<Open>,
}

struct Open {
    until: Instant,
    wait: Duration,
    tried: bool,
}

impl Breaker {
    /// Waits until it is one's turn to call.
    pub(super) async fn pass(&self) -> Turn<'_> {
        loop {
            let changed = self.changed.notified();
            match self.turn() {
                Ok(turn) => return turn,
                Err(Some(until)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// Leave to call, for who does not wait for it. Also who only asks tries once it
    /// is time to: there may be nobody else.
    pub(super) fn try_pass(&self) -> Option<Turn<'_>> {
        self.turn().ok()
    }

    /// Leave to call; else until when nobody has it, if that is known.
    fn turn(&self) -> Result<Turn<'_>, Option<Instant>> {
        let mut state = self.lock();
        let tries = match &mut state.open {
            None => false,
            Some(open) if open.tried => return Err(None),
            Some(open) if Instant::now() < open.until => return Err(Some(open.until)),
            Some(open) => {
                open.tried = true;
                true
            }
        };
        Ok(Turn {
            breaker: self,
            tries,
        })
    }

    /// The backend was reached.
    fn works(&self) {
        let mut state = self.lock();
        state.failures = 0;
        if state.open.take().is_some() {
            info!("the backend can be reached again");
            metrics::gauge!("roomcast_webhook_breaker_open").set(0.0);
            self.changed.notify_waiters();
        }
    }

    /// The backend could not be reached.
    fn fails(&self) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let wait = match &state.open {
            // One that was under way when it opened.
            Some(open) if !open.tried => return,
            Some(open) => (open.wait * 2).min(LONGEST),
            None if state.failures < FAILURES => return,
            None => {
                warn!("the backend can't be reached; calls wait until it can");
                metrics::gauge!("roomcast_webhook_breaker_open").set(1.0);
                FIRST
            }
        };
        state.open = Some(Open {
            until: Instant::now() + wait,
            wait,
            tried: false,
        });
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

/// Leave to call the backend once.
pub(super) struct Turn<'a> {
    breaker: &'a Breaker,
    /// All others wait for how this one ends.
    tries: bool,
}

impl Turn<'_> {
    /// The backend was reached.
    pub(super) fn works(mut self) {
        self.tries = false;
        self.breaker.works();
    }

    /// The backend could not be reached.
    pub(super) fn fails(mut self) {
        self.tries = false;
        self.breaker.fails();
    }

    /// Whether all others wait for how this one ends.
    pub(super) fn tries(&self) -> bool {
        self.tries
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Given up without an answer: another one tries.
        if self.tries {
            if let Some(open) = &mut self.breaker.lock().open {
                open.tried = false;
            }
            self.breaker.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn pass(breaker: &Breaker) -> Option<Turn<'_>> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(breaker.pass()).as_mut().poll(&mut context) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn fail(breaker: &Breaker) {
        pass(breaker).expect("it is closed").fails();
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_some_failures_and_lets_one_try() {
        let breaker = Breaker::default();
        (0..FAILURES).for_each(|_| fail(&breaker));
        let mut wait = FIRST;
        for _ in 0..6 {
            assert!(breaker.try_pass().is_none() && pass(&breaker).is_none());
            tokio::time::advance(wait).await;
            drop(breaker.try_pass().expect("one tries"));
            let one = pass(&breaker).expect("another one, since that gave up");
            assert!(pass(&breaker).is_none(), "and no other");
            one.fails();
            wait = (wait * 2).min(LONGEST);
        }
        tokio::time::advance(wait).await;
        breaker.pass().await.works();
        assert!(breaker.try_pass().is_some() && pass(&breaker).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_failed_on_this_machine_do_not_count() {
        let breaker = Breaker::default();
        (0..FAILURES * 2).for_each(|_| drop(pass(&breaker)));
        assert!(breaker.try_pass().is_some(), "it stays closed");
        (0..FAILURES).for_each(|_| fail(&breaker));
        tokio::time::advance(FIRST).await;
        drop(pass(&breaker).expect("one tries"));
        assert!(breaker.lock().open.is_some(), "it stays open");
        assert!(pass(&breaker).is_some(), "and another one tries");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_now_and_then_keeps_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            (1..FAILURES).for_each(|_| fail(&breaker));
            pass(&breaker).unwrap().works();
        }
        assert!(breaker.try_pass().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_on_once_it_works() {
        let breaker = Breaker::default();
        (0..FAILURES).for_each(|_| fail(&breaker));
        tokio::time::advance(FIRST).await;
        let one = breaker.pass().await;
        let (turn, ()) = tokio::join!(breaker.pass(), async { one.works() });
        turn.works();
    }
}
