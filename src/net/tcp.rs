//! The reading and writing end of a socket before there is a stream: for the
//! TLS handshake and short refusals. Whoever uses it sets a time limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout};

use super::kernel::Kernel;
use super::socket::Socket;

/// One end of a socket.
pub(super) struct Tcp(Arc<Socket>);

impl Tcp {
    pub(super) fn new(socket: Arc<Socket>) -> Self {
        Self(socket)
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.0
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_read(&self.0, cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.alive()?;
        loop {
            ready!(self.0.tcp().poll_write_ready(cx))?;
            match self.0.tcp().try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.alive())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.alive()?;
        self.0.tcp().end();
        Poll::Ready(Ok(()))
    }
}

/// Longest wait for a peer to close after everything was sent: a few round trips on a bad
/// network.
const LINGER: Duration = Duration::from_secs(2);

/// Reads and discards until the peer closes, for at most [`LINGER`].
pub(super) async fn linger(socket: Arc<Socket>) {
    let mut waste = [0; 4096];
    let mut ended = None;
    while socket.alive().is_ok() {
        // Waiting for readiness spends none of the runtime's budget.
        consume_budget().await;
        let now = Instant::now();
        if socket.out().has_ended() && *ended.get_or_insert(now) + LINGER <= now {
            return;
        }
        match timeout(LINGER, socket.tcp().readable()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            // The output may still be flushing.
            Err(_late) => continue,
        }
        match socket.tcp().try_read(&mut waste) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Reads what the peer has sent; nothing at its end.
pub(super) fn poll_read(
    socket: &Socket,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    socket.alive()?;
    loop {
        ready!(socket.tcp().poll_read_ready(cx))?;
        match socket.tcp().try_read_buf(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(socket.alive().and(Err(error))),
            // A cut looks like the peer's end otherwise.
            Ok(0) => return Poll::Ready(socket.alive()),
            Ok(_) => return Poll::Ready(Ok(())),
        }
    }
}
