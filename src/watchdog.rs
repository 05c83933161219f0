//! A watchdog: logs when the runtime stops running tasks. A task counts beats, and a thread
//! outside the runtime checks them. Knows no server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

use crate::supervise;

/// The interval of beats and of checks.
const EVERY: Duration = Duration::from_secs(1);

/// After this many checks without a beat the runtime counts as stalled: longer than any
/// client waits for an answer, and than a machine under load takes to run a task. Counting
/// checks, not seconds, ignores the time in which the whole process was stopped.
const MISSED_MOST: u32 = 5;

/// Watches the runtime until it is dropped.
#[must_use]
pub struct Watchdog {
    beating: AbortHandle,
    /// Dropping it ends the thread.
    _thread: Sender<()>,
}

impl Watchdog {
    /// Watches the runtime, and logs when it stalls and when it recovers.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(runtime: &Handle) -> io::Result<Self> {
        Self::with(runtime, EVERY, |pulse| match pulse {
            Pulse::Stalled(since) => {
                metrics::counter!("roomcast_runtime_stalls_total").increment(1);
                error!(
                    seconds = since.as_secs_f64(),
                    "the runtime hangs: no task runs, and no client is answered; if it does not \
                     recover, restart the server (a second SIGTERM ends it at once)"
                );
            }
            Pulse::Back(after) => warn!(seconds = after.as_secs_f64(), "the runtime runs again"),
        })
    }

    fn with(
        runtime: &Handle,
        every: Duration,
        report: impl Fn(Pulse) + Send + 'static,
    ) -> io::Result<Self> {
        let beats = Arc::new(AtomicU64::new(0));
        let heart = beats.clone();
        let beating = runtime.spawn(async move {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                heart.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (thread, end) = channel();
        supervise::thread("watchdog", move || watch(&beats, every, &end, &report))?;
        Ok(Self {
            beating: beating.abort_handle(),
            _thread: thread,
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

fn watch(beats: &AtomicU64, every: Duration, end: &Receiver<()>, report: &impl Fn(Pulse)) {
    let mut last = LastBeat {
        beats: 0,
        at: Instant::now(),
        missed: 0,
    };
    while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(every) {
        let pulse = last.look(beats.load(Ordering::Relaxed), Instant::now());
        pulse.into_iter().for_each(report);
    }
}

/// The result of a check.
#[derive(Debug, PartialEq)]
enum Pulse {
    /// No beat for this long; reported once per stall.
    Stalled(Duration),
    /// A beat again, after this long.
    Back(Duration),
}

/// The last beat.
struct LastBeat {
    beats: u64,
    at: Instant,
    missed: u32,
}

impl LastBeat {
    fn look(&mut self, beats: u64, now: Instant) -> Option<Pulse> {
        let since = now - self.at;
        if beats == self.beats {
            self.missed = self.missed.saturating_add(1);
            return (self.missed == MISSED_MOST).then_some(Pulse::Stalled(since));
        }
        let stalled = self.missed >= MISSED_MOST;
        (self.beats, self.at, self.missed) = (beats, now, 0);
        stalled.then_some(Pulse::Back(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_once_and_its_end_as_well() {
        let start = Instant::now();
        let after = |seconds| start + EVERY * seconds;
        let mut last = LastBeat {
            beats: 7,
            at: start,
            missed: 0,
        };
        for second in 1..MISSED_MOST {
            assert_eq!(last.look(7, after(second)), None);
        }
        let stalled = Pulse::Stalled(EVERY * MISSED_MOST);
        assert_eq!(last.look(7, after(MISSED_MOST)), Some(stalled));
        assert_eq!(last.look(7, after(60)), None);
        assert_eq!(last.look(8, after(61)), Some(Pulse::Back(EVERY * 61)));
        assert_eq!(last.look(9, after(62)), None);
        // A process that was stopped for an hour misses one look.
        assert_eq!(last.look(9, after(3600)), None);
        assert_eq!(last.look(10, after(3601)), None);
    }

    #[test]
    fn a_runtime_whose_thread_is_blocked_is_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (tell, told) = channel();
        let report = move |pulse| drop(tell.send(pulse));
        let watchdog = Watchdog::with(runtime.handle(), Duration::from_millis(5), report);
        let watchdog = watchdog.unwrap();
        runtime.block_on(async {
            tokio::task::yield_now().await;
            // Blocks the only thread until the watchdog barks.
            assert!(matches!(told.recv(), Ok(Pulse::Stalled(_))));
            let back = tokio::task::spawn_blocking(move || told.recv());
            assert!(matches!(back.await.unwrap(), Ok(Pulse::Back(_))));
        });
        drop(watchdog);
    }
}
