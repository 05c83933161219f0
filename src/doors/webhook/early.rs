//! The frames that the backend writes to a client before it has accepted the client: kept in order
//! and bounded, and sent once the client is connected. Knows no call and no socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

/// Most frames that wait for one client: as many as may wait for a connected client.
const FRAMES_MOST: usize = 512;

/// Most bytes of frames that wait for one client: the longest message, 4 MiB, with its header.
const BYTES_MOST: usize = (4 << 20) + 64;

/// Most bytes of frames that wait for all clients together, about 64 MiB: the history of a chat for
/// thousands of clients that connect at once.
const ALL_BYTES_MOST: usize = 16 * BYTES_MOST;

/// The bytes of frames that wait for all clients.
#[derive(Clone, Default)]
pub(super) struct AllBytes(Arc<AtomicUsize>);

impl AllBytes {
    fn reserve(&self, bytes: usize) -> bool {
        let reserve = |all: usize| Some(all + bytes).filter(|all| *all <= ALL_BYTES_MOST);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, reserve).is_ok()
    }
}

/// The frames that wait for one client.
pub(super) struct Early {
    /// Guards the frames; held to add one, and to send all when the client is connected.
    state: Mutex<State>,
    all: AllBytes,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    is_sent: bool,
}

/// Why a frame is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EarlyError {
    /// The client is connected: send the frame as usual.
    Connected,
    /// The backend has closed the connection.
    Closed,
    /// Too many frames or bytes wait already.
    Full,
}

impl Early {
    pub(super) fn new(all: AllBytes) -> Self {
        Self {
            state: Mutex::default(),
            all,
        }
    }

    /// Keeps a frame; an empty frame means that the backend closes the connection.
    pub(super) fn keep(&self, frame: Bytes) -> Result<(), EarlyError> {
        let mut state = self.lock();
        if state.is_sent {
            return Err(EarlyError::Connected);
        }
        if state.frames.last().is_some_and(Bytes::is_empty) {
            return Err(EarlyError::Closed);
        }
        let fits = state.frames.len() < FRAMES_MOST && state.bytes + frame.len() <= BYTES_MOST;
        if !fits || !self.all.reserve(frame.len()) {
            return Err(EarlyError::Full);
        }
        state.bytes += frame.len();
        state.frames.push(frame);
        Ok(())
    }

    /// Sends all frames, then calls `connect`, which marks the client as connected. A frame that
    /// arrives meanwhile is sent as usual, after them.
    pub(super) fn send_all(&self, send: impl FnMut(&Bytes), connect: impl FnOnce()) {
        let mut state = self.lock();
        state.is_sent = true;
        std::mem::take(&mut state.frames).iter().for_each(send);
        connect();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.all.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(all: &AllBytes, frame: usize) -> (Early, usize) {
        let early = Early::new(all.clone());
        let frame = Bytes::from(vec![0; frame]);
        let mut count = 0;
        while early.keep(frame.clone()).is_ok() {
            count += 1;
        }
        assert_eq!(early.keep(frame), Err(EarlyError::Full));
        (early, count)
    }

    #[test]
    fn what_waits_is_bounded_for_one_client_and_for_all() {
        let all = AllBytes::default();
        assert_eq!(filled(&all, 1).1, FRAMES_MOST);
        assert_eq!(filled(&all, BYTES_MOST / 2).1, 2);
        let full: Vec<_> = (0..ALL_BYTES_MOST / BYTES_MOST)
            .map(|_| filled(&all, BYTES_MOST))
            .collect();
        assert!(full.iter().all(|(_, count)| *count == 1));
        assert_eq!(filled(&all, 1).1, 0);
        drop(full);
        assert_eq!(filled(&all, 1).1, FRAMES_MOST);
    }

    #[test]
    fn frames_are_sent_in_order_and_none_after_the_end() {
        let early = Early::new(AllBytes::default());
        for frame in ["a", "b", ""] {
            early.keep(frame.into()).unwrap();
        }
        assert_eq!(early.keep("c".into()), Err(EarlyError::Closed));
        let mut sent = Vec::new();
        early.send_all(|frame| sent.push(frame.clone()), || ());
        assert_eq!(sent, ["a", "b", ""]);
        assert_eq!(early.keep("d".into()), Err(EarlyError::Connected));
    }
}
