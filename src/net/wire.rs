//! The wire: by it the fan-out writes finished frames to a connection, between
//! those of the engine. What goes out when is decided in `out`.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, timeout};

use super::out::Out;
use super::socket::{Kill, Socket};
use crate::core::outlet::CloseReason;

/// Writes frames to one connection from anywhere; clones are the same wire.
///
/// Holds no resource of the connection.
#[derive(Clone)]
pub struct Wire(Weak<Socket>);

/// Why a wire did not take a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untaken {
    /// The connection is closed or closing.
    #[error("the connection is gone")]
    Gone,
    /// More waits for the peer than may: `FRAMES_MOST`, `FRAME_BYTES_MOST` or
    /// `OWN_BYTES_MOST`.
    #[error("too much waits for this peer")]
    Full,
}

impl From<Untaken> for CloseReason {
    /// What it means for the client whose frame it was.
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Gone => Self::Gone,
            Untaken::Full => Self::TooSlow,
        }
    }
}

impl Wire {
    pub(super) fn of(kill: &Kill) -> Self {
        Self(kill.weak())
    }

    /// Looks at what [`Wire::send`] will need, so that it is at hand then.
    pub fn prepare(&self) {
        std::hint::black_box(self.0.strong_count());
    }

    /// Whether the peer's backlog is less than half full, or the peer is gone.
    pub fn is_half_empty(&self) -> bool {
        let socket = self.0.upgrade();
        socket.is_none_or(|socket| socket.out().is_half_empty())
    }

    /// Whether output waits for the peer, or waited in the last minute, so that its answer to a
    /// ping may be late.
    pub fn is_slow(&self) -> bool {
        let socket = self.0.upgrade();
        socket.is_some_and(|socket| socket.out().is_slow())
    }

    /// The same as [`Wire::send`] for the answer to something that the peer has sent:
    /// while many of them wait, the peer is not read.
    ///
    /// # Errors
    /// [`Untaken`]; then nothing of the frame was written.
    pub fn answer(&self, frame: Bytes) -> Result<(), Untaken> {
        self.send_joined(frame, &Bytes::new())
    }

    /// Writes one whole WebSocket frame, behind what was begun before it.
    ///
    /// Never blocks: what the kernel does not take at once waits, bounded.
    ///
    /// # Errors
    /// [`Untaken`]; then nothing of the frame was written.
    pub fn send(&self, frame: &Bytes) -> Result<(), Untaken> {
        let socket = self.0.upgrade().ok_or(Untaken::Gone)?;
        socket.alive().map_err(|_| Untaken::Gone)?;
        let mut out = socket.out();
        let sent = out.send(socket.tcp(), frame);
        socket.flush(out);
        sent
    }

    /// The same for a frame that begins in a way of its own, as
    /// [`text_frame_before`](super::frame::text_frame_before) makes it, and ends as it
    /// does on all wires: what waits of that is there once.
    ///
    /// # Errors
    /// [`Untaken`]; then nothing of the frame was written.
    pub fn send_joined(&self, own: Bytes, shared: &Bytes) -> Result<(), Untaken> {
        let socket = self.0.upgrade().ok_or(Untaken::Gone)?;
        socket.alive().map_err(|_| Untaken::Gone)?;
        let mut out = socket.out();
        let sent = out.send_joined(socket.tcp(), own, shared);
        socket.flush(out);
        sent
    }

    /// Ends the connection behind these last frames; those that wait are dropped.
    ///
    /// With [`close_frame`](super::frame::close_frame) as the last one the peer
    /// is told why; without, the end is all that it sees.
    pub fn close(&self, last: Bytes) {
        self.end(|out| out.close(last));
    }

    /// The same, but those that wait go out first.
    pub fn finish(&self, last: Bytes) {
        self.end(|out| out.finish(last));
    }

    fn end(&self, close: impl FnOnce(&mut Out) -> bool) {
        let Some(socket) = self.0.upgrade() else {
            return;
        };
        let mut out = socket.out();
        let closed = close(&mut out);
        socket.flush(out);
        if !closed {
            socket.kill();
        }
    }

    /// Cuts the connection; false if it was cut or gone already.
    pub fn kill(&self) -> bool {
        self.0.upgrade().is_some_and(|socket| socket.kill())
    }
}

/// Sees to it that what waits goes out, as fast as the peer takes it.
///
/// The connection is cut when the peer takes nothing until the deadline.
pub(super) async fn flush_all(socket: Arc<Socket>) {
    loop {
        // Waiting for readiness spends none of the runtime's budget.
        consume_budget().await;
        let ready = timeout(socket.deadline(), socket.tcp().writable()).await;
        let done = match ready {
            Ok(Ok(())) => step(&socket),
            Ok(Err(error)) => Err(error),
            Err(_late) => {
                socket.give_up();
                Ok(true)
            }
        };
        match done {
            Ok(false) => {}
            Ok(true) => break,
            Err(_gone) => {
                socket.kill();
                return;
            }
        }
    }
    if socket.out().has_ended() {
        outlive(socket).await;
    }
}

/// Writes some of the backlog; returns true once it is empty. Wakes a reader that waits for
/// the peer to receive output.
fn step(socket: &Socket) -> io::Result<bool> {
    let mut out = socket.out();
    let done = out.step(socket.tcp());
    let is_congested = out.is_congested();
    drop(out);
    if !is_congested {
        socket.wake_reader();
    }
    done
}

/// How long a peer may keep the connection open after the server has closed its side.
const STAY_MOST: Duration = Duration::from_secs(20);

/// How often it is looked whether a peer has hung up: seldom enough for ten
/// thousand at once, and a stop is held up no longer than this.
const LOOK: Duration = Duration::from_millis(250);

/// Cuts the connection of a peer that does not hang up although all was said.
async fn outlive(socket: Arc<Socket>) {
    let until = Instant::now() + socket.deadline().min(STAY_MOST);
    let socket = {
        let weak = Arc::downgrade(&socket);
        drop(socket);
        weak
    };
    while socket.strong_count() > 0 {
        if Instant::now() >= until {
            socket.upgrade().inspect(|socket| socket.throw_out());
            return;
        }
        sleep(LOOK).await;
    }
}
