//! The set of open connections: counted, waited for, and cut at shutdown.
//! Knows sockets, not what is spoken on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::socket::Socket;

/// All connections of one server; clones are the same set.
///
/// A connection counts until its stream is dropped, so an upgraded one counts
/// for as long as its WebSocket lives.
#[derive(Clone, Default)]
pub struct Connections {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Guards the table of open sockets and the next number to give.
    open: Mutex<Table>,
    /// How many of them belong to a reserve.
    reserved: AtomicUsize,
    tracker: TaskTracker,
}

#[derive(Default)]
struct Table {
    next: u64,
    sockets: HashMap<u64, Weak<Socket>>,
}

impl Connections {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.table().sockets.len()
    }

    /// How many of them count against the limit of clients: all that belong to no reserve.
    pub(super) fn open_to_clients(&self) -> usize {
        self.open()
            .saturating_sub(self.inner.reserved.load(Ordering::Relaxed))
    }

    /// Cuts every open connection at once; returns how many.
    pub fn kill_all(&self) -> usize {
        // Collected first: a socket that drops takes the table's lock.
        let sockets: Vec<_> = self.table().sockets.values().cloned().collect();
        sockets
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|socket| socket.kill())
            .count()
    }

    /// Resolves when every connection and its tasks are gone.
    ///
    /// To be called when nothing more is accepted.
    pub async fn wait_closed(&self) {
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }

    /// The tracker under which the connections' tasks run.
    #[must_use]
    pub fn tracker(&self) -> &TaskTracker {
        &self.inner.tracker
    }

    pub(super) fn admit(&self, tcp: TcpStream, deadline: Duration) -> Arc<Socket> {
        self.take_in(tcp, deadline, false)
    }

    /// The same for a connection in a reserve.
    pub(super) fn admit_reserved(&self, tcp: TcpStream, deadline: Duration) -> Arc<Socket> {
        self.take_in(tcp, deadline, true)
    }

    fn take_in(&self, tcp: TcpStream, deadline: Duration, is_reserved: bool) -> Arc<Socket> {
        self.inner
            .reserved
            .fetch_add(usize::from(is_reserved), Ordering::Relaxed);
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        let socket = Arc::new(Socket::new(
            tcp,
            deadline,
            Admission {
                number,
                is_reserved,
                inner: Arc::clone(&self.inner),
                _token: self.inner.tracker.token(),
            },
        ));
        table.sockets.insert(number, Arc::downgrade(&socket));
        metrics::gauge!("roomcast_connections_open").increment(1.0);
        socket
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.inner)
    }
}

/// A socket's place in the set, given back when it is dropped.
pub(super) struct Admission {
    number: u64,
    is_reserved: bool,
    inner: Arc<Inner>,
    _token: TaskTrackerToken,
}

impl Admission {
    pub(super) fn tracker(&self) -> &TaskTracker {
        &self.inner.tracker
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        lock(&self.inner).sockets.remove(&self.number);
        let reserved = usize::from(self.is_reserved);
        self.inner.reserved.fetch_sub(reserved, Ordering::Relaxed);
        metrics::gauge!("roomcast_connections_open").decrement(1.0);
    }
}

fn lock(inner: &Inner) -> MutexGuard<'_, Table> {
    inner.open.lock().unwrap_or_else(PoisonError::into_inner)
}
