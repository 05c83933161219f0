//! The reading and writing end of a socket, with the write deadline. Knows no
//! TLS and no protocol.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::socket::Socket;

/// One end of a socket, for one stream.
///
/// The deadline lies under TLS: it is the peer's taking of bytes that counts.
pub(super) struct Tcp {
    socket: Arc<Socket>,
    deadline: Duration,
    /// Runs while bytes wait that the peer does not take.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Tcp {
    pub(super) fn new(socket: Arc<Socket>, deadline: Duration) -> Self {
        Self {
            socket,
            deadline,
            stall: None,
        }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.socket.alive()?;
        if let Some(stall) = &mut self.stall
            && stall.as_mut().poll(cx).is_ready()
        {
            self.stall = None;
            // There may be room again, and the writer has lost interest.
            if self.socket.tcp().poll_write_ready(cx).is_pending() {
                // Also wakes the other half's task.
                self.socket.give_up();
                return self.socket.alive();
            }
        }
        Ok(())
    }

    fn write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        while let Poll::Ready(ready) = self.socket.tcp().poll_write_ready(cx) {
            ready?;
            match write(self.socket.tcp()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(self.socket.alive().and(Err(error))),
                Ok(written) => {
                    self.stall = None;
                    return Poll::Ready(Ok(written));
                }
            }
        }
        if self.stall.is_none() {
            let end = Instant::now() + self.deadline;
            self.stall = Some(Box::pin(tokio::time::sleep_until(end)));
        }
        // Registers the waker with the timer.
        self.check(cx)?;
        Poll::Pending
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        loop {
            ready!(self.socket.tcp().poll_read_ready(cx))?;
            match self.socket.tcp().try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(self.socket.alive().and(Err(error))),
                // A cut looks like the peer's end otherwise.
                Ok(0) => return Poll::Ready(self.socket.alive()),
                Ok(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.alive())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.alive()?;
        let end = SockRef::from(self.socket.tcp()).shutdown(std::net::Shutdown::Write);
        match end {
            // The peer has closed first: nothing is left to say.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            end => Poll::Ready(end),
        }
    }
}
