//! Where the bytes of a connection go, by TLS where it is spoken: never waits.
//! Knows no frames.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;

/// Where bytes go; never waits.
pub(super) trait Kernel {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Nothing comes after what was written.
    fn end(&self);
}

impl Kernel for TcpStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }

    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        TcpStream::try_write_vectored(self, bufs)
    }

    fn end(&self) {
        // Fails where the peer has closed first: nothing is left to say then.
        let _ = SockRef::from(self).shutdown(Shutdown::Write);
    }
}

/// Writes the records that are ready; true once none is left.
pub(super) fn write_records(tls: &mut ServerConnection, kernel: &dyn Kernel) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Records(kernel)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The kernel as rustls writes to it.
struct Records<'a>(&'a dyn Kernel);

impl Write for Records<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn or_zero(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}
