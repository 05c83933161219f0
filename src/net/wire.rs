//! The wire: by it the fan-out writes finished frames to a connection, between
//! those of the engine. What goes out when is decided in `out`.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::time::timeout;

use super::socket::{Kill, Socket};

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
    /// More waits for the peer than may: 512 frames, or 4 MiB of them.
    #[error("too much waits for this peer")]
    Full,
}

impl Wire {
    pub(super) fn of(kill: &Kill) -> Self {
        Self(kill.weak())
    }

    /// Looks at what [`Wire::send`] will need, so that it is at hand then.
    pub fn prepare(&self) {
        std::hint::black_box(self.0.strong_count());
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

    /// Ends the WebSocket with a close frame; frames that wait are dropped.
    pub fn close(&self, code: u16, reason: &str) {
        let Some(socket) = self.0.upgrade() else {
            return;
        };
        let mut out = socket.out();
        let closed = out.close(code, reason);
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
        let ready = timeout(socket.deadline(), socket.tcp().writable()).await;
        let done = match ready {
            Ok(Ok(())) => socket.out().step(socket.tcp()),
            Ok(Err(error)) => Err(error),
            Err(_late) => {
                socket.give_up();
                Ok(true)
            }
        };
        match done {
            Ok(false) => {}
            Ok(true) => return,
            Err(_gone) => {
                socket.kill();
                return;
            }
        }
    }
}
