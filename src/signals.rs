//! Reads the signals of the process in a thread of its own, so that the second SIGTERM or
//! SIGINT ends the process even if the runtime hangs. Knows no server.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::supervise::thread;

/// Longest wait for the last line of the log: a blocked log must not keep the process alive.
const LAST_LINE: Duration = Duration::from_millis(500);

/// Most lines that wait for the log: one for each of the two stop signals.
const LINES_MOST: usize = 2;

/// The exit code after the second signal.
const AT_ONCE: i32 = 1;

/// The signals that the server follows.
pub struct Signals(iterator::Signals);

/// A line for the log, and a channel to report that it is written.
type Line = (String, Option<SyncSender<()>>);

impl Signals {
    /// Handles the signals from now on, so that none ends the process by default.
    ///
    /// # Errors
    /// The system rejects a handler.
    pub fn new() -> io::Result<Self> {
        iterator::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]).map(Self)
    }

    /// Cancels `stop` at the first SIGTERM or SIGINT and exits at the second;
    /// notifies `reload` at each SIGHUP; ignores SIGUSR1 and SIGUSR2, which log rotation sends to
    /// other servers.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn follow(self, stop: CancellationToken, reload: Arc<Notify>) -> io::Result<()> {
        let (log, lines) = sync_channel(LINES_MOST);
        // A thread of its own: writing the log blocks if nobody reads it.
        thread("signal-log", move || write(&lines))?;
        let (mut signals, mut stopping) = (self.0, false);
        thread("signals", move || {
            run(&mut signals, &mut stopping, &stop, &reload, &log);
        })
    }
}

fn run(
    signals: &mut iterator::Signals,
    stopping: &mut bool,
    stop: &CancellationToken,
    reload: &Notify,
    log: &SyncSender<Line>,
) {
    for signal in signals.forever() {
        let name = match signal {
            SIGTERM => "SIGTERM",
            SIGINT => "SIGINT",
            SIGHUP => {
                reload.notify_one();
                continue;
            }
            // Ignored.
            _ => continue,
        };
        if *stopping {
            let (done, written) = sync_channel(1);
            let line = format!("{name} while stopping: exiting at once");
            // If the queue is full, the log is blocked.
            if log.try_send((line, Some(done))).is_ok() {
                let _ = written.recv_timeout(LAST_LINE);
            }
            exit(AT_ONCE);
        }
        *stopping = true;
        let line = format!("{name}: stopping; a second signal exits at once");
        let _ = log.try_send((line, None));
        stop.cancel();
    }
}

fn write(lines: &Receiver<Line>) {
    for (line, done) in lines {
        match done {
            Some(done) => {
                warn!("{line}");
                let _ = done.send(());
            }
            None => info!("{line}"),
        }
    }
}
