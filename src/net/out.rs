//! What goes out on a connection: the engine's bytes and the fan-out's frames,
//! never one inside the other. Pure but for the kernel that it writes to.

use std::io::{self, IoSlice, Write};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConnection;
use tokio::time::Instant;

use super::backlog::{Backlog, Frame};
use super::frame::{CLOSE, Follower, Step};
use super::kernel::{Kernel, or_zero, write_records};
use super::wire::Untaken;

/// How many pieces are written under one lock: a fan-out waits for it, and one
/// write takes some microseconds.
const AT_ONCE: usize = 16;

/// Up to this length the two parts of a frame are put side by side and written as one:
/// the kernel takes more time for two parts than that (measured at 429 bytes: 1.24 x a
/// loop of `send(2)`, against 0.99 x).
const JOINED_MOST: usize = 1024;

/// From this size on, a frame may delay the peer's answer to a ping beyond its time limit: it takes
/// 6 s at 20 kbit/s, and the kernel may hold several such frames.
const LARGE: usize = 16 * 1024;

/// How long a peer counts as slow after its backlog is empty: the kernel still holds some output.
/// The same as the write deadline, which applies while the backlog is not empty.
const SLOW_FOR: Duration = Duration::from_secs(60);

/// What goes out, and what waits to; behind the socket's lock.
#[derive(Default)]
#[repr(C)]
pub(super) struct Out {
    // First what is looked at for every frame.
    mode: Mode,
    flushing: bool,
    tls: Option<Box<ServerConnection>>,
    /// Where the last byte in the backlog stands within the engine's frames.
    tail: Follower,
    backlog: Backlog,
    /// Our last frames, while they wait for the end of the engine's frame.
    closing: Option<Box<Bytes>>,
    /// The engine, waiting for room or for the end.
    engine: Option<Waker>,
    /// When output last waited, or when the kernel last took a large frame.
    waited: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Http,
    /// A WebSocket: frames may be sent.
    Frames,
    /// A close frame has gone out: nothing may follow it.
    Closed,
    /// The same, and it was ours: what the engine still says is dropped.
    Taken,
}

impl Out {
    pub(super) fn use_tls(&mut self, tls: ServerConnection) {
        self.tls = Some(Box::new(tls));
    }

    pub(super) fn tls(&mut self) -> Option<&mut ServerConnection> {
        self.tls.as_deref_mut()
    }

    /// From here on the engine writes WebSocket frames; `begun` it has written.
    pub(super) fn upgraded(&mut self, begun: &[u8]) {
        self.mode = Mode::Frames;
        self.follow(begun);
    }

    /// Writes what TLS has to say by itself.
    pub(super) fn pump(&mut self, kernel: &dyn Kernel) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => write_records(tls, kernel).map(drop),
            None => Ok(()),
        }
    }

    /// Takes one whole frame, or nothing of it.
    pub(super) fn send(&mut self, kernel: &dyn Kernel, frame: &Bytes) -> Result<(), Untaken> {
        self.take(kernel, frame.len(), &[frame], || Frame {
            own: Bytes::new(),
            shared: frame.clone(),
        })
    }

    /// The same for one whose beginning is this wire's own, and whose end all wires
    /// share that it goes out on.
    pub(super) fn send_joined(
        &mut self,
        kernel: &dyn Kernel,
        own: Bytes,
        shared: &Bytes,
    ) -> Result<(), Untaken> {
        let parts: [&[u8]; 2] = [&own, shared];
        self.take(kernel, own.len() + shared.len(), &parts, || Frame {
            own: own.clone(),
            shared: shared.clone(),
        })
    }

    fn take(
        &mut self,
        kernel: &dyn Kernel,
        length: usize,
        parts: &[&[u8]],
        frame: impl FnOnce() -> Frame,
    ) -> Result<(), Untaken> {
        if self.mode != Mode::Frames || self.closing.is_some() {
            return Err(Untaken::Gone);
        }
        let mut written = 0;
        let at_boundary = self.tail.at_boundary();
        if !self.backlog.has_frames() && !self.waits() && at_boundary {
            written = self.write_parts(kernel, parts).map_err(|_| Untaken::Gone)?;
            self.note_large(written);
            if written == length {
                return Ok(());
            }
        }
        let frame = frame();
        // What has been begun has to be finished.
        if written == 0 && !self.backlog.has_room_for(&frame) {
            return Err(Untaken::Full);
        }
        if at_boundary {
            self.backlog.push_frame(frame, written);
        } else {
            self.backlog.push_behind(frame);
        }
        Ok(())
    }

    /// Ends the WebSocket: behind the engine's frame, if one is under way.
    /// False where there is none to end.
    pub(super) fn close(&mut self, last: Bytes) -> bool {
        if self.mode == Mode::Frames && self.closing.is_none() {
            self.backlog.drop_frames();
        }
        self.finish(last)
    }

    /// The same, behind all that waits.
    pub(super) fn finish(&mut self, last: Bytes) -> bool {
        match self.mode {
            Mode::Http => return false,
            Mode::Closed | Mode::Taken => return true,
            Mode::Frames => {}
        }
        if self.closing.is_none() {
            self.closing = Some(Box::new(last));
            self.release();
        }
        true
    }

    /// Takes what the engine writes: all of it, or as much as there is room for.
    pub(super) fn poll_engine(
        &mut self,
        cx: &Context<'_>,
        kernel: &dyn Kernel,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.mode == Mode::Taken {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        // No further than to the frame's end, where others wait for it.
        let waited_for = self.backlog.has_behind() || self.closing.is_some();
        let only = waited_for.then(|| {
            let end = self.tail.clone().to_boundary(first);
            [IoSlice::new(&first[..end])]
        });
        let bufs = only.as_ref().map_or(bufs, |only| &only[..]);
        let first = only.as_ref().map_or(&**first, |only| &only[0]);
        if !self.waits() {
            let written = self.write_vectored(kernel, bufs, first)?;
            self.note_large(written);
            if written > 0 {
                let mut left = written;
                for buf in bufs {
                    let part = &buf[..buf.len().min(left)];
                    left -= part.len();
                    self.follow(part);
                }
                self.release();
                return Poll::Ready(Ok(written));
            }
        }
        let room = self.backlog.engine_room();
        if room == 0 {
            self.park_engine(cx);
            return Poll::Pending;
        }
        let part = &first[..first.len().min(room)];
        self.backlog.push_engine(Bytes::copy_from_slice(part));
        self.follow(part);
        self.release();
        Poll::Ready(Ok(part.len()))
    }

    /// Waits until all is out, then says goodbye.
    pub(super) fn poll_end(&mut self, cx: &Context<'_>, kernel: &dyn Kernel) -> Poll<()> {
        if self.mode == Mode::Taken {
            return Poll::Ready(());
        }
        if self.waits() {
            self.park_engine(cx);
            return Poll::Pending;
        }
        if !self.end(kernel) {
            self.park_engine(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Whether our close frame is sent, or waits to be sent.
    pub(super) fn is_taken(&self) -> bool {
        self.mode == Mode::Taken || self.closing.is_some()
    }

    /// Whether nothing more is to be said, and the peer should hang up.
    pub(super) fn has_ended(&self) -> bool {
        self.mode == Mode::Taken && !self.waits()
    }

    /// Whether the backlog is less than half full.
    pub(super) fn is_half_empty(&self) -> bool {
        self.backlog.is_half_empty()
    }

    /// Whether output waits for the peer, or waited within [`SLOW_FOR`]. The answer to a ping may
    /// be late then: the write deadline decides whether the peer is gone.
    pub(super) fn is_slow(&self) -> bool {
        self.waits() || self.waited.is_some_and(|at| at.elapsed() < SLOW_FOR)
    }

    fn note_large(&mut self, written: usize) {
        if written >= LARGE {
            self.waited = Some(Instant::now());
        }
    }

    /// Whether the peer has to receive some output before the server reads more from it.
    pub(super) fn is_congested(&self) -> bool {
        self.backlog.is_congested()
    }

    /// One round of flushing; true once there is nothing more to flush.
    pub(super) fn step(&mut self, kernel: &dyn Kernel) -> io::Result<bool> {
        let done = self.flush(kernel)?;
        self.flushing = !done;
        self.waited = Some(Instant::now());
        if done || self.backlog.engine_room() > 0 {
            self.wake_engine();
        }
        Ok(done)
    }

    /// Writes some of what waits; true once nothing does.
    fn flush(&mut self, kernel: &dyn Kernel) -> io::Result<bool> {
        for _ in 0..AT_ONCE {
            let Some(bytes) = self.backlog.front() else {
                break;
            };
            let written = self.write(kernel, &bytes)?;
            if written == 0 {
                return Ok(false);
            }
            self.backlog.wrote(written);
        }
        if !self.backlog.is_empty() {
            return Ok(false);
        }
        if let Some(tls) = &mut self.tls
            && !write_records(tls, kernel)?
        {
            return Ok(false);
        }
        Ok(self.mode != Mode::Taken || self.end(kernel))
    }

    /// Follows the engine's frames; after its close frame nothing goes out.
    fn follow(&mut self, mut part: &[u8]) {
        if self.mode != Mode::Frames {
            return;
        }
        loop {
            let (used, step) = self.tail.step(part);
            part = &part[used..];
            match step {
                Step::Need => return,
                Step::Header(header) if header.opcode == CLOSE => self.mode = Mode::Closed,
                Step::Header(_) | Step::Payload(_) | Step::End => {}
            }
        }
    }

    /// At the end of the engine's frame come those that waited for it.
    fn release(&mut self) {
        if !self.tail.at_boundary() {
            return;
        }
        if let Some(last) = self.closing.take()
            && self.mode == Mode::Frames
        {
            self.backlog.release();
            self.backlog.push_engine(*last);
            self.mode = Mode::Taken;
            self.wake_engine();
            return;
        }
        if !self.backlog.has_behind() {
            return;
        }
        match self.mode {
            Mode::Frames => self.backlog.release(),
            Mode::Http | Mode::Closed | Mode::Taken => self.backlog.drop_behind(),
        }
    }

    /// Whether something waits for the kernel.
    fn waits(&self) -> bool {
        !self.backlog.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether somebody has to see to it from now on that it goes out.
    pub(super) fn begins_to_flush(&mut self) -> bool {
        let begins = !self.flushing && self.waits();
        self.flushing |= begins;
        begins
    }

    /// Hands bytes to the kernel, by TLS where it is spoken; 0 if it is full.
    fn write(&mut self, kernel: &dyn Kernel, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => or_zero(kernel.try_write(bytes)),
            Some(tls) => {
                if !write_records(tls, kernel)? {
                    return Ok(0);
                }
                let taken = tls.writer().write(bytes)?;
                write_records(tls, kernel)?;
                Ok(taken)
            }
        }
    }

    /// Hands the parts of a frame to the kernel, all at once where that is possible.
    fn write_parts(&mut self, kernel: &dyn Kernel, parts: &[&[u8]]) -> io::Result<usize> {
        match parts {
            [whole] => self.write(kernel, whole),
            [own, shared] if self.tls.is_none() => {
                let length = own.len() + shared.len();
                let mut joined = [0; JOINED_MOST];
                match joined.get_mut(..length) {
                    Some(joined) => {
                        let (before, behind) = joined.split_at_mut(own.len());
                        before.copy_from_slice(own);
                        behind.copy_from_slice(shared);
                        or_zero(kernel.try_write(joined))
                    }
                    None => or_zero(
                        kernel.try_write_vectored(&[IoSlice::new(own), IoSlice::new(shared)]),
                    ),
                }
            }
            _ => {
                let mut written = 0;
                for part in parts {
                    let taken = self.write(kernel, part)?;
                    written += taken;
                    if taken < part.len() {
                        break;
                    }
                }
                Ok(written)
            }
        }
    }

    fn write_vectored(
        &mut self,
        kernel: &dyn Kernel,
        bufs: &[IoSlice<'_>],
        first: &[u8],
    ) -> io::Result<usize> {
        match self.tls {
            None => or_zero(kernel.try_write_vectored(bufs)),
            Some(_) => self.write(kernel, first),
        }
    }

    /// Says goodbye; false if the kernel has no room for it yet.
    fn end(&mut self, kernel: &dyn Kernel) -> bool {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // A peer that is gone needs no goodbye.
            if let Ok(false) = write_records(tls, kernel) {
                return false;
            }
        }
        kernel.end();
        true
    }

    fn park_engine(&mut self, cx: &Context<'_>) {
        match &mut self.engine {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    pub(super) fn wake_engine(&mut self) {
        self.engine.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[path = "out_tests.rs"]
mod tests;
