//! What waits to go out on a connection, in order and bounded: frames of the
//! fan-out and bytes of the engine. Knows no kernel and no TLS.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// How many frames may wait on one wire. The same as a client's queue in the
/// core: whoever lags further is told to come back for what it missed.
pub(super) const FRAMES_MOST: usize = 512;

/// The most bytes of frames that may wait on one wire: 24 events of the largest size, 1 MiB. So
/// many can be sent in a row to a client that reads them slowly.
///
/// The bytes are shared by all wires they wait on, so this bounds what one
/// client can keep alive, not what each of thousands costs.
pub const FRAME_BYTES_MOST: usize = 8 << 20;

/// The most bytes of frames that one wire has to itself, answers among them: half a KiB
/// for each of as many frames as may wait. Ten thousand stalled clients cost 2.5 GiB for 60 s; then
/// they are cut.
pub(super) const OWN_BYTES_MOST: usize = 256 * 1024;

/// The most bytes of the engine that wait here; beyond, the engine waits.
pub(super) const ENGINE_BYTES_MOST: usize = 64 * 1024;

/// What the kernel has not taken.
#[derive(Default)]
#[repr(C)]
pub(super) struct Backlog {
    /// Frames in both queues; first, since it is looked at for every frame.
    frames: usize,
    queue: VecDeque<Chunk>,
    /// Frames that wait for the end of one that the engine has begun.
    behind: VecDeque<Frame>,
    frame_bytes: usize,
    own_bytes: usize,
    engine_bytes: usize,
}

/// One whole frame: a beginning that is this wire's own, if it has one, and what all
/// wires share that it goes out on.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) own: Bytes,
    pub(super) shared: Bytes,
}

impl Frame {
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.shared.len()
    }
}

enum Chunk {
    Engine(Bytes),
    Frame { rest: Frame, begun: bool },
}

impl Backlog {
    pub(super) fn has_frames(&self) -> bool {
        self.frames > 0
    }

    /// Whether frames wait for the end of one of the engine's.
    pub(super) fn has_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Nothing waits for the kernel; something may wait for the engine.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn has_room_for(&self, frame: &Frame) -> bool {
        self.frames < FRAMES_MOST
            && self.frame_bytes + frame.len() <= FRAME_BYTES_MOST
            && self.own_bytes + frame.own.len() <= OWN_BYTES_MOST
    }

    /// Whether less than half of the frames and bytes that may wait are waiting.
    pub(super) fn is_half_empty(&self) -> bool {
        self.frames < FRAMES_MOST / 2 && self.frame_bytes < FRAME_BYTES_MOST / 2
    }

    /// Whether the peer must not be read now, because too many answers wait for it: its
    /// input may need more of them. True above half of the limit, so that answers to input
    /// that is already read still fit. Room events do not count: a peer on a slow link is
    /// read, and so shows that it is alive, while many of them wait.
    pub(super) fn is_congested(&self) -> bool {
        self.engine_bytes > ENGINE_BYTES_MOST / 2 || self.own_bytes > OWN_BYTES_MOST / 2
    }

    /// How many bytes more of the engine may wait.
    pub(super) fn engine_room(&self) -> usize {
        ENGINE_BYTES_MOST.saturating_sub(self.engine_bytes)
    }

    /// A frame of which so much is written already.
    pub(super) fn push_frame(&mut self, mut rest: Frame, written: usize) {
        let of_own = written.min(rest.own.len());
        rest.own.advance(of_own);
        rest.shared.advance(written - of_own);
        self.count(&rest);
        let begun = written > 0;
        self.queue.push_back(Chunk::Frame { rest, begun });
    }

    /// A frame that waits until [`release`](Self::release).
    pub(super) fn push_behind(&mut self, frame: Frame) {
        self.count(&frame);
        self.behind.push_back(frame);
    }

    fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.frame_bytes += frame.len();
        self.own_bytes += frame.own.len();
    }

    pub(super) fn push_engine(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.engine_bytes += bytes.len();
        self.queue.push_back(Chunk::Engine(bytes));
    }

    /// The engine's frame is at its end: those behind it follow.
    pub(super) fn release(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        let frame = |rest| Chunk::Frame { rest, begun: false };
        self.queue.extend(behind.into_iter().map(frame));
    }

    /// The engine's frame was its last: nothing follows.
    pub(super) fn drop_behind(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        self.frames -= behind.len();
        self.frame_bytes -= behind.iter().map(Frame::len).sum::<usize>();
        self.own_bytes -= behind.iter().map(|frame| frame.own.len()).sum::<usize>();
    }

    /// Drops the frames of which nothing is written.
    pub(super) fn drop_frames(&mut self) {
        self.drop_behind();
        self.queue
            .retain(|chunk| !matches!(chunk, Chunk::Frame { begun: false, .. }));
        (self.frames, self.frame_bytes, self.own_bytes) = (0, 0, 0);
        for chunk in &self.queue {
            if let Chunk::Frame { rest, .. } = chunk {
                self.frames += 1;
                self.frame_bytes += rest.len();
                self.own_bytes += rest.own.len();
            }
        }
    }

    /// What is to be written next.
    pub(super) fn front(&self) -> Option<Bytes> {
        match self.queue.front()? {
            Chunk::Engine(rest) => Some(rest.clone()),
            Chunk::Frame { rest, .. } if !rest.own.is_empty() => Some(rest.own.clone()),
            Chunk::Frame { rest, .. } => Some(rest.shared.clone()),
        }
    }

    /// Takes what was written from the front.
    pub(super) fn wrote(&mut self, written: usize) {
        let is_done = match self.queue.front_mut() {
            Some(Chunk::Engine(rest)) => {
                self.engine_bytes -= written;
                rest.advance(written);
                rest.is_empty()
            }
            Some(Chunk::Frame { rest, begun }) => {
                *begun = true;
                self.frame_bytes -= written;
                if rest.own.is_empty() {
                    rest.shared.advance(written);
                } else {
                    self.own_bytes -= written;
                    rest.own.advance(written);
                }
                self.frames -= usize::from(rest.len() == 0);
                rest.len() == 0
            }
            None => return,
        };
        if is_done {
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            // Its memory is of use only while the peer is slow.
            self.queue = VecDeque::new();
        }
    }
}
