//! One crowd at a time: a process has descriptors for one. Knows nothing of what
//! a crowd does.

use tokio::sync::{Mutex, MutexGuard};

/// Descriptors for everything but the clients.
const SPARE: u64 = 300;

/// Held by the crowd that there is.
static CROWD: Mutex<()> = Mutex::const_new(());

/// Waits until no other crowd is there; how many of these clients there can be.
pub async fn alone(clients: usize) -> (MutexGuard<'static, ()>, usize) {
    let alone = CROWD.lock().await;
    let open = rlimit::increase_nofile_limit(clients as u64 + SPARE).unwrap();
    (alone, clients.min(open.saturating_sub(SPARE) as usize))
}
