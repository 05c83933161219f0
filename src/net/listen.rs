//! Opening a listening port. Knows the address and the flag it came from, and
//! nothing of what is served there.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel holds for us until they are accepted. tokio's
/// own 128 stalls a burst of connects for a second. The kernel caps it at
/// `net.core.somaxconn`, which is 4096 on current Linux.
const BACKLOG: u32 = 4096;

/// A port that could not be opened. The text names it and its flag.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something listens there already.
    #[error("port {} ({flag} {addr}) is already in use", addr.port())]
    InUse {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The option it came from, such as `--port`.
        flag: &'static str,
    },
    /// The process may not open it; ports below 1024 are often reserved.
    #[error("not allowed to open port {} ({flag} {addr}); ports below 1024 often need privileges", addr.port())]
    Denied {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The option it came from.
        flag: &'static str,
    },
    /// The address is none of this machine's.
    #[error("{} is not an address of this machine ({flag} {addr})", addr.ip())]
    NotOurs {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The option it came from.
        flag: &'static str,
    },
    /// Anything else that the system refused.
    #[error("cannot listen on {addr} ({flag})")]
    Other {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The option it came from.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens a listening port; `flag` is named in the error.
///
/// Must be called inside a tokio runtime.
///
/// # Errors
/// [`BindError`], by what the system answered.
pub fn bind(addr: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    open(addr).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { addr, flag },
        io::ErrorKind::PermissionDenied => BindError::Denied { addr, flag },
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs { addr, flag },
        _ => BindError::Other { addr, flag, source },
    })
}

/// The most ports that [`bind_next`] tries: more in a row are hardly ever in use.
const NEXT_MOST: usize = 16;

/// Opens a listening port: this one or, if it is in use, the next one that is not.
///
/// Must be called inside a tokio runtime.
///
/// # Errors
/// [`BindError`] of the first port.
pub fn bind_next(addr: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    let ports = (addr.port()..=u16::MAX).take(NEXT_MOST);
    let mut opened = ports.map(|port| bind(SocketAddr::new(addr.ip(), port), flag));
    let first = opened.next().expect("there is at least this port");
    let is_next = |opened: &Result<_, BindError>| !matches!(opened, Err(BindError::InUse { .. }));
    match is_next(&first) {
        true => first,
        false => opened.find(is_next).unwrap_or(first),
    }
}

/// Whether an address is one of this machine's: only such a socket can be bound. No port of a
/// service is touched.
pub fn is_own_address(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else a restart waits a minute for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_flag() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "--port").unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind(addr, "--zetta-listen").unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }));
        let text = error.to_string();
        assert!(text.contains(&addr.port().to_string()), "{text}");
        assert!(text.contains("--zetta-listen"), "{text}");
    }

    #[tokio::test]
    async fn a_taken_port_is_passed_over() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "--port").unwrap();
        let addr = first.local_addr().unwrap();
        let next = bind_next(addr, "--port").unwrap().local_addr().unwrap();
        assert!(next.port() > addr.port(), "{next} after {addr}");
    }

    #[test]
    fn addresses_of_this_machine() {
        for (ip, expected) in [("127.8.0.1", true), ("::1", true), ("192.0.2.1", false)] {
            assert_eq!(is_own_address(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_said_to_be_one() {
        let error = bind("192.0.2.1:0".parse().unwrap(), "--host").unwrap_err();
        assert!(matches!(error, BindError::NotOurs { .. }), "{error}");
    }
}
