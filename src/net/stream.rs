//! The stream under every connection: TCP or TLS, behind the read gate. Knows
//! no protocol of its own.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::frame::{bare_close_frame, close_frame, pong_frame};
use super::gate::{Gate, Inbound, MessageMemory, Written};
use super::memory::LargeMemory;
use super::message::{Message, ProtocolError};
use super::socket::Socket;
use super::{records, tcp};

/// Bytes read at once while not all of them may be for the reader: the most that is
/// ever held. A client's packets are some 100 bytes.
const HELD_MAX: usize = 4 * 1024;

/// How many messages of a client are read before other tasks run. The runtime's own budget
/// counts reads, and one read may contain hundreds of messages.
const MESSAGES_IN_A_ROW: u8 = 4;

/// One connection's bytes, as hyper and then the reader of a WebSocket see them.
pub(super) struct Stream {
    socket: Arc<Socket>,
    tls: bool,
    gate: Gate,
    /// Read from the peer but not handed out yet; at most [`HELD_MAX`].
    held: BytesMut,
    /// Whether the WebSocket's reader has taken over: until then hyper may still read, and
    /// must receive nothing.
    has_reader: bool,
    /// Whether the peer has sent anything since the last look.
    received: bool,
    /// Whether the peer has closed the connection or is gone.
    has_ended: bool,
    /// How many messages were read since the task last yielded.
    in_a_row: u8,
    /// The rest of the message that the engine is reading, as a frame.
    frame: Bytes,
    /// Runs while the gate holds the reader back.
    timer: Option<Pin<Box<Sleep>>>,
    hold_max: Duration,
    /// The memory for large messages of all clients.
    memory: LargeMemory,
}

/// Why no more messages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The peer has closed the WebSocket, or is gone.
    Gone,
    /// The peer has violated the protocol; the caller sends the close frame.
    Protocol(ProtocolError),
}

impl Stream {
    /// The stream over a socket; over TLS where that was put on its way out.
    pub(super) fn new(socket: Arc<Socket>, hold_max: Duration, memory: LargeMemory) -> Self {
        let tls = socket.out().tls().is_some();
        Self {
            socket,
            tls,
            gate: Gate::new(),
            held: BytesMut::new(),
            has_reader: false,
            received: false,
            has_ended: false,
            in_a_row: 0,
            frame: Bytes::new(),
            timer: None,
            hold_max,
            memory,
        }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Hands the stream to the WebSocket's reader. Returns false if the gate has seen no
    /// upgrade; then the stream must not be read as a WebSocket.
    pub(super) fn begin_reading(&mut self) -> bool {
        self.has_reader = matches!(self.gate, Gate::WebSocket(_));
        self.has_reader
    }

    /// From now on skips messages that are too long.
    pub(super) fn skip_too_big(&mut self) {
        if let Gate::WebSocket(websocket) = &mut self.gate {
            websocket.skip_too_big();
        }
    }

    /// Whether the peer has sent anything since the last call.
    pub(super) fn has_received(&mut self) -> bool {
        std::mem::take(&mut self.received)
    }

    /// Puts a message back, to be read again as a frame.
    pub(super) fn put_back(&mut self, message: &Message) {
        self.frame = message.frame();
    }

    /// Reads the next message of the client. Answers pings and close frames itself.
    ///
    /// `most` is the longest message, in bytes, if there is no rule that sets it.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<Message, ReadError>> {
        if let Gate::WebSocket(websocket) = &mut self.gate {
            websocket.message_handled();
        }
        loop {
            if self.discards() {
                return Poll::Ready(Err(ReadError::Gone));
            }
            match ready!(self.poll_reading(cx)) {
                Ok(None) => {}
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Err(_gone) => return Poll::Ready(Err(ReadError::Gone)),
            }
            if self.in_a_row == MESSAGES_IN_A_ROW {
                self.in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(inbound) = self.poll_inbound(cx, most) else {
                self.in_a_row = 0;
                return self.poll_heartbeat(cx);
            };
            self.in_a_row += 1;
            match inbound {
                Ok(Inbound::Nothing) => {}
                Ok(Inbound::Ping(payload)) => self.answer(pong_frame(&payload)),
                Ok(Inbound::Message(Message::Close(code))) => {
                    self.has_ended = true;
                    let mut out = self.socket.out();
                    out.finish(code.map_or_else(bare_close_frame, |code| close_frame(code, "")));
                    self.socket.flush(out);
                    return Poll::Ready(Err(ReadError::Gone));
                }
                Ok(Inbound::Message(message)) => return Poll::Ready(Ok(message)),
                Ok(Inbound::Discard(None)) => {}
                Ok(Inbound::Discard(Some(error))) => {
                    return Poll::Ready(Err(ReadError::Protocol(error)));
                }
                Err(_gone) => {
                    self.has_ended = true;
                    return Poll::Ready(Err(ReadError::Gone));
                }
            }
        }
    }

    /// Waits for a heartbeat from the rule while the client is silent.
    fn poll_heartbeat(&mut self, cx: &Context<'_>) -> Poll<Result<Message, ReadError>> {
        let Gate::WebSocket(websocket) = &mut self.gate else {
            return Poll::Pending;
        };
        if !websocket.has_rule() {
            return Poll::Pending;
        }
        if self.socket.park_reader(cx.waker()).is_err() {
            return Poll::Ready(Err(ReadError::Gone));
        }
        websocket
            .heartbeat()
            .map_or(Poll::Pending, |heartbeat| Poll::Ready(Ok(heartbeat)))
    }

    /// Waits until the gate allows reading the client. If a pause ends and the rule has a message,
    /// returns that message.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        loop {
            let Gate::WebSocket(websocket) = &mut self.gate else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let until = match websocket.paused_until() {
                Some(until) => until,
                None if websocket.is_held() => Instant::now() + self.hold_max,
                None => {
                    let resumed = self.timer.take().and_then(|_| websocket.resume());
                    return Poll::Ready(Ok(resumed));
                }
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            // It may be that of a hold which has ended, and would last longer.
            if timer.deadline() > until {
                timer.as_mut().reset(until);
            }
            if timer.as_mut().poll(cx).is_ready() {
                self.timer = None;
                match websocket.resume() {
                    Some(message) => return Poll::Ready(Ok(Some(message))),
                    None => continue,
                }
            }
            self.socket.park_reader(cx.waker())?;
            return Poll::Pending;
        }
    }

    /// Reads up to the end of a message or frame.
    fn poll_inbound(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Inbound>> {
        if self.held.is_empty() {
            let mut bytes = [const { MaybeUninit::uninit() }; HELD_MAX];
            let mut read = ReadBuf::uninit(&mut bytes);
            ready!(self.poll_peer(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.received = true;
            self.held.extend_from_slice(read.filled());
        }
        let Gate::WebSocket(websocket) = &mut self.gate else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let (used, inbound) = websocket.inbound(&self.held, most);
        self.held.advance(used);
        if self.held.is_empty() {
            // Free the buffer while the client is silent.
            self.held = BytesMut::new();
        }
        Poll::Ready(Ok(inbound))
    }

    fn discards(&self) -> bool {
        matches!(&self.gate, Gate::WebSocket(websocket) if websocket.discards())
    }

    /// Sends a control frame, unless too much output waits for the peer: the peer does not
    /// read, so it would not miss the frame.
    fn answer(&self, frame: Bytes) {
        let mut out = self.socket.out();
        let _ = out.send_joined(self.socket.tcp(), frame, &Bytes::new());
        self.socket.flush(out);
    }

    /// Reads from the peer, unless so much output waits that the peer has to read first.
    fn poll_peer(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.socket.out().is_congested() {
            self.socket.park_reader(cx.waker())?;
            // It may have been flushed between the look and the parking.
            if self.socket.out().is_congested() {
                return Poll::Pending;
            }
        }
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
        let mut left = written;
        for buf in bufs {
            let part = &buf[..buf.len().min(left)];
            left -= part.len();
            self.written(part);
        }
        Poll::Ready(Ok(written))
    }

    /// Reads HTTP, up to the end of an upgrade's head.
    fn poll_http(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let room = buf.remaining().min(HELD_MAX);
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(self.poll_peer(cx, &mut part))?;
            let pass = self.gate.request(part.filled());
            self.held.extend_from_slice(&part.filled()[pass..]);
            buf.advance(pass);
        } else {
            let most = self.held.len().min(buf.remaining());
            let pass = self.gate.request(&self.held[..most]);
            buf.put_slice(&self.held[..pass]);
            self.held.advance(pass);
        }
        if let Gate::Answer(_) = self.gate {
            // A refusal left over from an earlier request does not concern this upgrade.
            self.socket.take_refusal();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the answer to an upgrade, or for the peer to close.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.socket.take_refusal() {
                self.gate.refused();
                return Poll::Ready(Ok(()));
            }
            self.socket.park_reader(cx.waker())?;
            // A refusal between the look and the parking would be missed.
            if self.socket.is_refused() {
                continue;
            }
            let room = HELD_MAX - self.held.len();
            if room == 0 {
                return Poll::Pending;
            }
            let mut bytes = [const { MaybeUninit::uninit() }; HELD_MAX];
            let mut early = ReadBuf::uninit(&mut bytes[..room]);
            ready!(self.poll_peer(cx, &mut early))?;
            if early.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.held.extend_from_slice(early.filled());
        }
    }

    fn written(&mut self, output: &[u8]) {
        match self.gate.outbound(output) {
            Written::Nothing => {}
            Written::Release => self.socket.wake_reader(),
            Written::Upgraded(used) => {
                let memory = MessageMemory::new(self.memory.clone(), self.socket.source());
                self.gate = Gate::websocket(self.socket.take_rule(), memory);
                self.socket.out().upgraded(&output[used..]);
                self.socket.wake_reader();
                self.written(&output[used..]);
            }
        }
    }
}

impl AsyncRead for Stream {
    /// Reads HTTP unchanged; of a WebSocket only whole messages, each as one frame.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Gate::Answer(_) = this.gate {
            ready!(this.poll_answer(cx))?;
        }
        if let Gate::Http(_) = this.gate {
            return this.poll_http(cx, buf);
        }
        if !this.has_reader {
            return Poll::Pending;
        }
        while this.frame.is_empty() {
            match ready!(this.poll_message(cx, 0)) {
                // The stream has already handled control frames.
                Ok(Message::Ping(_) | Message::Pong | Message::Close(_) | Message::Skipped) => {}
                Ok(message) => this.put_back(&message),
                Err(ReadError::Gone | ReadError::Protocol(_)) => {
                    return Poll::Ready(this.socket.alive());
                }
            }
        }
        let part = this.frame.len().min(buf.remaining());
        buf.put_slice(&this.frame.split_to(part));
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

/// Keeps reading, and discards, from a peer that still writes after the close: otherwise
/// the kernel would reset the connection, and the peer might not see the reason.
impl Drop for Stream {
    fn drop(&mut self) {
        let is_closed = self.socket.out().is_taken();
        if is_closed && !self.has_ended && Handle::try_current().is_ok() {
            self.socket.spawn(tcp::linger(self.socket.clone()));
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
