//! Opening a listening port. Knows the address and the flag it came from, and
//! nothing of what is served there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

/// Connections that the kernel holds for us until they are accepted. tokio's
/// own 128 stalls a burst of connects for a second. The kernel caps it at
/// `net.core.somaxconn`, which is 4096 on current Linux.
const BACKLOG: u32 = 4096;

/// How long to wait for a port that is taken although nothing listens on it. Linux keeps the closed
/// connections of a stopped server for 60 s (`TCP_TIMEWAIT_LEN`), and its timer may be late. They
/// block the port if that server did not set `SO_REUSEADDR`; so do outgoing connections from the port.
const TAKEN_MOST: Duration = Duration::from_secs(61);

/// The time between two attempts to open a taken port.
const RETRY: Duration = Duration::from_millis(250);

/// The longest wait for a listener on this machine to take a connection.
const PROBE: Duration = Duration::from_secs(1);

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

/// Opens a listening port as [`bind`] does. While the port is taken but nothing listens on it,
/// tries again for a minute, and logs that once.
///
/// # Errors
/// [`BindError`] of the last attempt.
pub async fn bind_when_free(
    addr: SocketAddr,
    flag: &'static str,
) -> Result<TcpListener, BindError> {
    let until = Instant::now() + TAKEN_MOST;
    let mut is_logged = false;
    loop {
        let error = match bind(addr, flag) {
            Err(error @ BindError::InUse { .. }) => error,
            done => return done,
        };
        if Instant::now() >= until || is_served(addr).await {
            return Err(error);
        }
        if !is_logged {
            warn!(
                "{error}, but nothing listens there: trying again for a minute, until the closed \
                 connections of the previous server are gone"
            );
            is_logged = true;
        }
        sleep(RETRY).await;
    }
}

/// Whether something listens, or may listen, on a port of this machine: only a refused connection
/// proves that nothing does.
async fn is_served(addr: SocketAddr) -> bool {
    let hosts: &[IpAddr] = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        // On most systems, such a socket also accepts IPv4.
        IpAddr::V6(ip) if ip.is_unspecified() => &[
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V4(Ipv4Addr::LOCALHOST),
        ],
        ip => &[ip],
    };
    for host in hosts {
        let probe = timeout(PROBE, TcpStream::connect((*host, addr.port()))).await;
        let is_refused = match probe {
            // A connection from the port to itself: the system chose the same port as the local one.
            Ok(Ok(stream)) => stream.local_addr().ok() == stream.peer_addr().ok(),
            Ok(Err(error)) => error.kind() == io::ErrorKind::ConnectionRefused,
            Err(_) => false,
        };
        if !is_refused {
            return true;
        }
    }
    false
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

/// The most ports that [`bind_next`] tries: rarely are more in use in a row.
const NEXT_MOST: usize = 16;

/// Opens a listening port: the given one or, if it is in use, the next one that is free.
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

/// Whether an address is one of this machine's: only then can a socket be bound to it. The check
/// uses a random UDP port, so that it disturbs no service.
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

    /// A port that is taken although nothing listens on it.
    fn held() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_on_which_nothing_listens_is_waited_for() {
        let (socket, addr) = held();
        let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
        for addr in [addr, every] {
            let error = bind_when_free(addr, "--port").await.unwrap_err();
            assert!(matches!(error, BindError::InUse { .. }), "{error}");
        }
        let began = Instant::now();
        let release = async {
            sleep(Duration::from_secs(50)).await;
            drop(socket);
        };
        let (bound, ()) = tokio::join!(bind_when_free(addr, "--port"), release);
        assert_eq!(bound.unwrap().local_addr().unwrap(), addr);
        assert!(began.elapsed() <= Duration::from_secs(51));
    }

    /// A server that did not set `SO_REUSEADDR` leaves its port blocked by closed connections.
    #[tokio::test(start_paused = true)]
    async fn the_connections_of_the_server_before_are_waited_for() {
        let (socket, addr) = held();
        let listener = socket.listen(1).unwrap();
        let client = TcpStream::connect(addr).await.unwrap();
        // The side that closes first stays in TIME_WAIT.
        drop(listener.accept().await.unwrap());
        client.readable().await.unwrap();
        drop((client, listener));
        let waits = timeout(TAKEN_MOST / 2, bind_when_free(addr, "--port"));
        assert!(waits.await.is_err(), "the port was free, or given up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_on_which_something_listens_is_refused_at_once() {
        for local in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
            let first = bind(local.parse().unwrap(), "--port").unwrap();
            let began = Instant::now();
            let addr = first.local_addr().unwrap();
            let error = bind_when_free(addr, "--port").await.unwrap_err();
            assert!(matches!(error, BindError::InUse { .. }), "{error}");
            assert!(began.elapsed() < RETRY, "{local}");
        }
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
