//! The stream under every connection: TCP or TLS, behind the read gate. Knows
//! no protocol of its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::gate::{Gate, Written};
use super::socket::Socket;
use super::{records, tcp};

/// Bytes read at once while the gate may close: the most that is ever held.
const HELD_MAX: usize = 8 * 1024;

/// Reads that are thrown away in one turn of the task.
const DISCARDS: usize = 16;

/// One connection's bytes, as hyper and then the WebSocket engine see them.
pub(super) struct Stream {
    socket: Arc<Socket>,
    tls: bool,
    gate: Gate,
    /// Read from the peer but not to be handed out yet; at most [`HELD_MAX`].
    held: Vec<u8>,
    /// Runs while the gate holds the reader back.
    hold: Option<Pin<Box<Sleep>>>,
    hold_max: Duration,
}

impl Stream {
    /// The stream over a socket; over TLS where that was put on its way out.
    pub(super) fn new(socket: Arc<Socket>, hold_max: Duration) -> Self {
        let tls = socket.out().tls().is_some();
        Self {
            socket,
            tls,
            gate: Gate::new(),
            held: Vec::new(),
            hold: None,
            hold_max,
        }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Takes back what hyper has read and not used: nothing, unless the gate
    /// has given up waiting for the answer.
    pub(super) fn put_back(&mut self, unused: &[u8]) {
        self.held.splice(..0, unused.iter().copied());
    }

    fn poll_peer(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.tls {
            records::poll_read(&self.socket, cx, buf)
        } else {
            tcp::poll_read(&self.socket, cx, buf)
        }
    }

    fn poll_out(&mut self, cx: &Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut out = self.socket.out();
        // Behind the lock: who cuts stores that first, and then wakes who waits.
        self.socket.alive()?;
        let written = out.poll_engine(cx, self.socket.tcp(), bufs);
        self.socket.flush(out);
        let written = ready!(written)?;
        if !self.gate.is_open() {
            let mut left = written;
            for buf in bufs {
                let part = &buf[..buf.len().min(left)];
                left -= part.len();
                self.written(part);
            }
        }
        Poll::Ready(Ok(written))
    }

    /// Reads to the peer's end, for nothing.
    fn poll_discard(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        for _ in 0..DISCARDS {
            let mut unread = ReadBuf::new(buf.initialize_unfilled());
            ready!(self.poll_peer(cx, &mut unread))?;
            if unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits while the gate holds; afterwards it doesn't.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gate.holds() {
            if matches!(self.gate, Gate::Answer(_)) && self.socket().take_refusal() {
                self.gate.refused();
                break;
            }
            let hold = self
                .hold
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.hold_max)));
            if hold.as_mut().poll(cx).is_ready() {
                tracing::debug!("no answer for the held frames; reading on");
                self.gate.give_up();
                break;
            }
            self.socket().park_reader(cx.waker())?;
            // A refusal between the look above and the parking would be missed.
            if !(matches!(self.gate, Gate::Answer(_)) && self.socket().is_refused()) {
                return Poll::Pending;
            }
        }
        self.hold = None;
        Poll::Ready(Ok(()))
    }

    /// A new upgrade begins: a refusal that is left over is not about it.
    fn forget_refusal(&self) {
        if let Gate::Answer(_) = self.gate {
            self.socket().take_refusal();
        }
    }

    fn written(&mut self, output: &[u8]) {
        match self.gate.outbound(output) {
            Written::Nothing => {}
            Written::Release => self.socket().wake_reader(),
            Written::Upgraded(used) => {
                self.gate = match self.socket().take_rule() {
                    Some(rule) => Gate::with_rule(rule),
                    None => Gate::Open,
                };
                self.socket.out().upgraded(&output[used..]);
                self.socket.wake_reader();
                self.written(&output[used..]);
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_gate(cx))?;
        if this.gate.discards() {
            this.held = Vec::new();
            return this.poll_discard(cx, buf);
        }
        if !this.held.is_empty() {
            let most = this.held.len().min(buf.remaining());
            let offer = &mut this.held[..most];
            let pass = this.gate.inbound(offer);
            buf.put_slice(&offer[..pass]);
            this.held.drain(..pass);
            if this.gate.discards() && pass == 0 {
                return this.poll_discard(cx, buf);
            }
            if this.held.is_empty() {
                this.held = Vec::new();
            }
            this.forget_refusal();
            return Poll::Ready(Ok(()));
        }
        if this.gate.is_open() {
            return this.poll_peer(cx, buf);
        }
        let room = buf.remaining().min(HELD_MAX);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(this.poll_peer(cx, &mut part))?;
        let pass = this.gate.inbound(part.filled_mut());
        this.held.extend_from_slice(&part.filled()[pass..]);
        buf.advance(pass);
        if this.gate.discards() && pass == 0 {
            return this.poll_discard(cx, buf);
        }
        this.forget_refusal();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_out(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_out(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was taken goes out by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.alive())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.socket.out();
        self.socket.alive()?;
        let ended = out.poll_end(cx, self.socket.tcp());
        self.socket.flush(out);
        ended.map(Ok)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
