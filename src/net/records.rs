//! Reading over TLS: records in, text out. Knows nothing of what the text says.

use std::io::{self, Read};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;

use super::socket::Socket;

/// Reads text that the peer has sent; nothing at its end.
pub(super) fn poll_read(
    socket: &Arc<Socket>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    socket.alive()?;
    // Buffered records are read without the socket, which would spend the task budget: a
    // peer that sends many small records would never let other tasks run.
    let coop = ready!(poll_proceed(cx));
    loop {
        let mut out = socket.out();
        let Some(tls) = out.tls() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match tls.reader().read(buf.initialize_unfilled()) {
            Ok(read) => {
                buf.advance(read);
                coop.made_progress();
                return Poll::Ready(Ok(()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Many peers end without TLS's own goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Poll::Ready(socket.alive());
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        match tls.read_tls(&mut Records(socket.tcp())) {
            Ok(_) => {
                let processed = tls.process_new_packets();
                // Also the alert that says what was wrong.
                let pumped = out.pump(socket.tcp());
                socket.flush(out);
                processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                pumped?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(out);
                ready!(socket.tcp().poll_read_ready(cx))?;
            }
            Err(error) => return Poll::Ready(socket.alive().and(Err(error))),
        }
    }
}

/// A socket as rustls reads from it.
struct Records<'a>(&'a TcpStream);

impl Read for Records<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}
