//! Supervises the tasks and threads that live as long as the server. Restarts one that panics. If
//! it can't be restarted, ends the server, so that the service manager starts a new one.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::core::panics::{catch, report};

/// How long after a panic a task or thread is restarted: a bug that recurs at once logs one line
/// per second.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// The supervisor of the tasks of one server.
#[derive(Clone, Debug, Default)]
pub struct Supervisor(Arc<Supervised>);

#[derive(Debug, Default)]
struct Supervised {
    /// The tasks that have panicked and do not run.
    down: Mutex<Vec<&'static str>>,
    /// Cancelled when one of them can't be restarted.
    failed: CancellationToken,
}

impl Supervisor {
    /// Runs a task, and restarts it whenever it panics.
    pub fn restart<F>(
        &self,
        name: &'static str,
        mut start: impl FnMut() -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            while let Err(panic) = AssertUnwindSafe(start()).catch_unwind().await {
                report(name, &*panic);
                supervisor.down().push(name);
                tokio::time::sleep(RESTART_AFTER).await;
                info!(task = name, "started again");
                supervisor.down().retain(|down| *down != name);
            }
        })
    }

    /// Runs a task that can't be restarted: if it panics, the server stops.
    pub fn run(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        tokio::spawn(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                report(name, &*panic);
                error!(
                    task = name,
                    "the server can't run without this task: it stops"
                );
                supervisor.down().push(name);
                supervisor.0.failed.cancel();
            }
        })
    }

    /// Waits until a task has failed that the server cannot run without.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Whether such a task has failed.
    pub fn has_failed(&self) -> bool {
        self.0.failed.is_cancelled()
    }

    /// The names of the tasks that have panicked and do not run.
    pub fn tasks_down(&self) -> Vec<&'static str> {
        self.down().clone()
    }

    fn down(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.0.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` in a thread of its own, and restarts it whenever it panics.
///
/// # Errors
/// The system starts no thread.
pub fn thread(name: &'static str, mut work: impl FnMut() + Send + 'static) -> io::Result<()> {
    let run = move || {
        while catch(name, &mut work).is_none() {
            thread::sleep(RESTART_AFTER);
        }
    };
    Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::mpsc::channel;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_and_is_down_until_then() {
        let supervisor = Supervisor::default();
        let (starts, mut started) = unbounded_channel();
        let mut count = 0;
        supervisor.restart("t", move || {
            count += 1;
            starts.send(count).unwrap();
            async move {
                tokio::task::yield_now().await;
                assert_ne!(count, 1, "the first one fails");
                pending().await
            }
        });
        assert_eq!(started.recv().await, Some(1));
        while supervisor.tasks_down() != ["t"] {
            tokio::task::yield_now().await;
        }
        assert_eq!(started.recv().await, Some(2));
        assert!(supervisor.tasks_down().is_empty() && !supervisor.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_cannot_be_started_again_ends_the_server() {
        let supervisor = Supervisor::default();
        let other = supervisor.run("other", async {});
        other.await.unwrap();
        assert!(!supervisor.has_failed(), "it has ended without a panic");
        let failing = supervisor.run("t", async { panic!("a bug") });
        supervisor.failed().await;
        assert_eq!(supervisor.tasks_down(), ["t"]);
        failing
            .await
            .expect("whoever waits for it is told nothing of the panic");
    }

    #[test]
    fn a_thread_that_panics_goes_on() {
        let (tell, told) = channel();
        let mut count = 0;
        thread("t", move || {
            count += 1;
            tell.send(count).unwrap();
            assert_ne!(count, 1, "the first one fails");
        })
        .unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
