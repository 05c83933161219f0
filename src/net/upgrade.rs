//! What remains of a connection after its upgrade: the stream alone, had back
//! from hyper. Knows nothing of what it was upgraded to.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::message::Message;
use super::stream::{ReadError, Stream};

/// The bytes of an upgraded connection.
///
/// As small as a pointer: whoever reads it in a task has it there several
/// times, for as long as the connection lives.
pub struct Upgraded(Box<Stream>);

/// The stream, once the upgrade is answered; none if it never is.
pub async fn upgraded(upgrade: OnUpgrade) -> Option<Upgraded> {
    let parts = upgrade.await.ok()?.downcast::<TokioIo<Stream>>().ok()?;
    let mut stream = Box::new(parts.io.into_inner());
    // If the gate has seen the upgrade, it has passed nothing behind the request.
    (parts.read_buf.is_empty() && stream.begin_reading()).then_some(Upgraded(stream))
}

impl Upgraded {
    /// Reads the next message of the client; `most` is its longest length in bytes if no
    /// [`MessageRule`](super::MessageRule) sets it. Pings and close frames are already
    /// answered. Cancel-safe.
    ///
    /// # Errors
    /// The client has closed, or has violated the protocol.
    pub async fn message(&mut self, most: usize) -> Result<Message, ReadError> {
        poll_fn(|cx| self.0.poll_message(cx, most)).await
    }

    /// From now on skips messages that are too long, and returns [`Message::Skipped`] for them.
    pub fn skip_too_big(&mut self) {
        self.0.skip_too_big();
    }

    /// Whether the client has sent anything since the last call.
    pub fn has_received(&mut self) -> bool {
        self.0.has_received()
    }

    /// Puts back the last message, to be read again as a frame.
    pub fn put_back(&mut self, message: &Message) {
        self.0.put_back(message);
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut *self.0).poll_write(cx, buf) {
            // The reader is told of the end, and the engine ends the session
            // there. Where it can't write its first packet it would forget to.
            Poll::Ready(Err(_)) => Poll::Ready(Ok(buf.len())),
            written => written,
        }
    }

    /// What was taken goes out by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
