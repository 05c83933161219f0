//! The TCP socket under a stream, shared with those who may cut it. Knows no
//! TLS and no protocol.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use futures_util::FutureExt;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::addresses::Place;
use super::connections::Admission;
use super::gate::MessageRule;
use super::out::Out;
use super::wire::flush_all;
use crate::core::panics::report;
use crate::core::source::SourceKey;

/// Cuts one connection from anywhere: its readers and writers get an error.
///
/// Holds no resource of the connection; clones are the same switch.
#[derive(Clone)]
pub struct Kill(Weak<Socket>);

impl Kill {
    pub(super) fn of(socket: &Arc<Socket>) -> Self {
        Self(Arc::downgrade(socket))
    }

    /// Cuts the connection; false if it was cut or gone already.
    ///
    /// What was not sent yet is thrown away.
    pub fn kill(&self) -> bool {
        self.0.upgrade().is_some_and(|socket| socket.kill())
    }

    /// Whether the connection's stream still exists and was not cut.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0
            .upgrade()
            .is_some_and(|socket| socket.state.load(Ordering::Acquire) == OPEN)
    }

    pub(super) fn socket(&self) -> Option<Arc<Socket>> {
        self.0.upgrade()
    }

    pub(super) fn weak(&self) -> Weak<Socket> {
        self.0.clone()
    }
}

/// The connection has been upgraded already, or is gone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has been upgraded already, or is gone")]
pub struct TooLate;

const OPEN: u8 = 0;
const KILLED: u8 = 1;
const STALLED: u8 = 2;

/// One accepted TCP connection; lives as long as its stream.
///
/// What each event of a fan-out needs stands together at the beginning: with
/// thousands of sockets every cache line is a miss.
#[repr(C)]
pub(super) struct Socket {
    state: AtomicU8,
    tcp: TcpStream,
    /// Guards what goes out; held for some writes to the kernel at most.
    out: Mutex<Out>,
    /// Guards what a request's handler leaves for the stream, and the waker of
    /// a reader that is held back without waiting on the socket.
    desk: Mutex<Desk>,
    /// Longest time in which the peer takes no byte although some wait.
    deadline: Duration,
    admission: Admission,
}

#[derive(Default)]
struct Desk {
    rule: Option<Box<dyn MessageRule>>,
    reader: Option<Waker>,
    refused: bool,
    upgraded: bool,
    /// The connection's place in the limits of its client's address.
    place: Place,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, deadline: Duration, admission: Admission) -> Self {
        Self {
            tcp,
            state: AtomicU8::new(OPEN),
            desk: Mutex::default(),
            out: Mutex::default(),
            deadline,
            admission,
        }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sees to it that what waits goes out, if nobody does yet.
    pub(super) fn flush(self: &Arc<Self>, out: MutexGuard<'_, Out>) {
        let mut out = out;
        let begins = out.begins_to_flush();
        drop(out);
        if begins {
            // The flush task waits until nothing else holds the socket.
            let socket = Arc::downgrade(self);
            let flushed = AssertUnwindSafe(flush_all(self.clone())).catch_unwind();
            self.spawn(async move {
                if let Err(panic) = flushed.await {
                    // The flush task has failed: nothing would be sent any more.
                    report("connection", &*panic);
                    socket.upgrade().map(|socket| socket.kill());
                }
            });
        }
    }

    /// Runs a task that counts as open for as long as it goes on.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.admission.tracker().spawn(task);
    }

    /// Keeps the place of the connection until it closes.
    pub(super) fn keep(&self, place: Place) {
        self.desk().place = place;
    }

    /// Cuts the connection; false if it was cut before.
    pub(super) fn kill(&self) -> bool {
        self.cut(KILLED, "killed")
    }

    /// The address that the connection counts for, if it has limits.
    pub(super) fn source(&self) -> Option<SourceKey> {
        self.desk().place.source()
    }

    /// Cuts the connection whose peer takes nothing.
    pub(super) fn give_up(&self) {
        self.cut(STALLED, "write_deadline");
    }

    /// Cuts the connection whose peer was told to go and stays.
    pub(super) fn throw_out(&self) {
        self.cut(KILLED, "stayed");
    }

    /// Leaves the rule that the stream takes up with the upgrade.
    pub(super) fn leave_rule(&self, rule: Box<dyn MessageRule>) -> Result<(), TooLate> {
        let mut desk = self.desk();
        if desk.upgraded {
            return Err(TooLate);
        }
        desk.rule = Some(rule);
        Ok(())
    }

    /// The upgrade is done: no rule is taken after this.
    pub(super) fn take_rule(&self) -> Option<Box<dyn MessageRule>> {
        let mut desk = self.desk();
        desk.upgraded = true;
        desk.rule.take()
    }

    /// No upgrade came of a request: HTTP goes on, and a rule that was left for
    /// it holds for nothing.
    pub(super) fn stays_http(&self, asked: bool) {
        let mut desk = self.desk();
        desk.rule = None;
        if !asked {
            return;
        }
        desk.refused = true;
        let reader = desk.reader.take();
        drop(desk);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(super) fn take_refusal(&self) -> bool {
        std::mem::take(&mut self.desk().refused)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.desk().refused
    }

    /// The reader waits here when it may not wait on the socket.
    pub(super) fn park_reader(&self, waker: &Waker) -> io::Result<()> {
        {
            let mut desk = self.desk();
            match &mut desk.reader {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        // After parking: a kill in between would not have found the waker.
        self.alive()
    }

    pub(super) fn wake_reader(&self) {
        let reader = self.desk().reader.take();
        reader.into_iter().for_each(Waker::wake);
    }

    /// An error once the connection was cut.
    pub(super) fn alive(&self) -> io::Result<()> {
        match self.state.load(Ordering::Acquire) {
            OPEN => Ok(()),
            STALLED => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer took nothing until the write deadline",
            )),
            _ => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection was cut",
            )),
        }
    }

    fn cut(&self, state: u8, reason: &'static str) -> bool {
        if self
            .state
            .compare_exchange(OPEN, state, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return false;
        }
        metrics::counter!("roomcast_connections_cut_total", "reason" => reason).increment(1);
        let socket = SockRef::from(&self.tcp);
        // A stalled peer's bytes would else stay in the kernel for minutes.
        let _ = socket.set_linger(Some(Duration::ZERO));
        // Wakes whoever waits on the socket. It fails only if the peer is gone,
        // and then they have been woken.
        let _ = socket.shutdown(std::net::Shutdown::Both);
        self.wake_reader();
        self.out().wake_engine();
        true
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
