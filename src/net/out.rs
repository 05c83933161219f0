//! What goes out on a connection: the engine's bytes and the fan-out's frames,
//! never one inside the other. Pure but for the kernel that it writes to.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use rustls::ServerConnection;

use super::frame::{Follower, Step};
use super::kernel::{Kernel, or_zero, write_records};
use super::wire::Untaken;

/// How many frames may wait on one wire. The same as a client's queue in the
/// core: whoever lags further is told to come back for what it missed.
pub(super) const FRAMES_MOST: usize = 512;

/// The most bytes of frames that may wait on one wire: four full histories.
///
/// The bytes are shared by all wires they wait on, so this bounds what one
/// client can keep alive, not what each of thousands costs.
const FRAME_BYTES_MOST: usize = 4 << 20;

/// The most bytes of the engine that wait here; beyond, the engine waits.
const ENGINE_BYTES_MOST: usize = 64 * 1024;

/// A close frame's opcode (RFC 6455, section 5.2).
const CLOSE: u8 = 8;

/// The longest reason of a close frame (RFC 6455, section 5.5: 125 bytes, two
/// of them the code).
const REASON_MOST: usize = 123;

/// What goes out, and what waits to; behind the socket's lock.
#[derive(Default)]
#[repr(C)]
pub(super) struct Out {
    // First what is looked at for every frame.
    mode: Mode,
    flushing: bool,
    /// Frames, and their bytes, in both queues.
    frames: usize,
    tls: Option<Box<ServerConnection>>,
    /// Where the last byte in the queue stands within the engine's frames.
    tail: Follower,
    /// What the kernel has not taken, in order.
    queue: VecDeque<Chunk>,
    /// Frames that wait for the end of one that the engine has begun.
    behind: VecDeque<Bytes>,
    frame_bytes: usize,
    engine_bytes: usize,
    /// The engine, waiting for room or for the end.
    engine: Option<Waker>,
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

enum Chunk {
    Engine(Bytes),
    Frame { rest: Bytes, begun: bool },
}

impl Chunk {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Engine(bytes) | Self::Frame { rest: bytes, .. } => bytes,
        }
    }
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
        if self.mode != Mode::Frames {
            return Err(Untaken::Gone);
        }
        let mut written = 0;
        if self.frames == 0 && !self.waits() && self.tail.at_boundary() {
            written = self.write(kernel, frame).map_err(|_| Untaken::Gone)?;
            if written == frame.len() {
                return Ok(());
            }
        }
        // What has been begun has to be finished.
        let full = self.frames >= FRAMES_MOST || self.frame_bytes + frame.len() > FRAME_BYTES_MOST;
        if full && written == 0 {
            return Err(Untaken::Full);
        }
        self.frames += 1;
        self.frame_bytes += frame.len() - written;
        if self.tail.at_boundary() {
            self.queue.push_back(Chunk::Frame {
                rest: frame.slice(written..),
                begun: written > 0,
            });
        } else {
            self.behind.push_back(frame.clone());
        }
        Ok(())
    }

    /// False where the engine's own frame is in the way.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> bool {
        match self.mode {
            Mode::Frames if self.tail.at_boundary() => {}
            Mode::Closed | Mode::Taken => return true,
            Mode::Http | Mode::Frames => return false,
        }
        self.queue
            .retain(|chunk| !matches!(chunk, Chunk::Frame { begun: false, .. }));
        self.behind = VecDeque::new();
        self.queue
            .push_back(Chunk::Engine(close_frame(code, reason)));
        self.mode = Mode::Taken;
        self.wake_engine();
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
        if !self.waits() {
            let written = self.write_vectored(kernel, bufs, first)?;
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
        let room = ENGINE_BYTES_MOST.saturating_sub(self.engine_bytes);
        if room == 0 {
            self.park_engine(cx);
            return Poll::Pending;
        }
        let part = &first[..first.len().min(room)];
        self.engine_bytes += part.len();
        self.queue
            .push_back(Chunk::Engine(Bytes::copy_from_slice(part)));
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
        self.end(kernel);
        Poll::Ready(())
    }

    /// One round of flushing; true once there is nothing more to flush.
    pub(super) fn step(&mut self, kernel: &dyn Kernel) -> io::Result<bool> {
        let done = self.flush(kernel)?;
        self.flushing = !done;
        if done || self.engine_bytes < ENGINE_BYTES_MOST {
            self.wake_engine();
        }
        Ok(done)
    }

    /// Writes what waits; true once nothing does.
    fn flush(&mut self, kernel: &dyn Kernel) -> io::Result<bool> {
        while let Some(chunk) = self.queue.front() {
            let bytes = chunk.bytes().clone();
            let written = self.write(kernel, &bytes)?;
            if written == 0 {
                return Ok(false);
            }
            self.wrote(written);
        }
        if let Some(tls) = &mut self.tls
            && !write_records(tls, kernel)?
        {
            return Ok(false);
        }
        self.queue = VecDeque::new();
        if self.mode == Mode::Taken {
            self.end(kernel);
        }
        Ok(true)
    }

    /// Takes what was written from the head of the queue.
    fn wrote(&mut self, written: usize) {
        let done = match self.queue.front_mut() {
            Some(Chunk::Engine(rest)) => {
                rest.advance(written);
                self.engine_bytes = self.engine_bytes.saturating_sub(written);
                rest.is_empty()
            }
            Some(Chunk::Frame { rest, begun }) => {
                rest.advance(written);
                *begun = true;
                self.frame_bytes -= written;
                self.frames -= usize::from(rest.is_empty());
                rest.is_empty()
            }
            None => false,
        };
        if done {
            self.queue.pop_front();
        }
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
        if self.behind.is_empty() || !self.tail.at_boundary() {
            return;
        }
        let behind = std::mem::take(&mut self.behind);
        if self.mode == Mode::Frames {
            let frame = |rest| Chunk::Frame { rest, begun: false };
            self.queue.extend(behind.into_iter().map(frame));
        } else {
            self.frames -= behind.len();
            self.frame_bytes -= behind.iter().map(Bytes::len).sum::<usize>();
        }
    }

    /// Whether something waits for the kernel.
    fn waits(&self) -> bool {
        !self.queue.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
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

    fn end(&mut self, kernel: &dyn Kernel) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // A peer that is gone needs no goodbye.
            let _ = write_records(tls, kernel);
        }
        kernel.end();
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

/// A server's close frame (RFC 6455, section 5.5.1).
fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(REASON_MOST);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut frame = vec![0x80 | CLOSE, (2 + end) as u8];
    frame.extend(code.to_be_bytes());
    frame.extend(&reason.as_bytes()[..end]);
    frame.into()
}

#[cfg(test)]
#[path = "out_tests.rs"]
mod tests;
