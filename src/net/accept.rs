//! The accept loop. Knows that there are connections, not what is spoken on
//! them.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::warn;

use super::connection::Host;
use super::connections::Connections;
use super::limits::Limits;
use super::refusals::Reason;
use super::request::PeerAddr;
use super::reserve::Reserve;
use super::tls;

/// Pause after an accept that failed for want of something. The connection
/// stays in the backlog meanwhile; without a pause the loop would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Errors of one kind with less time than this between them are one burst.
const BURST: Duration = Duration::from_secs(10);

/// Refusals under way at once. Each lives four seconds at most; above this a
/// connection is closed without a word, since a flood must cost nothing.
const REFUSALS: usize = 64;

/// Accepts connections and serves their requests until `shutdown`.
///
/// Returns once nothing more is accepted. The connections then end by
/// themselves: idle ones at once, others after their answer, WebSockets when
/// their door closes them; see [`Connections::wait_closed`].
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<tls::Acceptor>,
    limits: Limits,
    service: S,
    shutdown: CancellationToken,
    connections: Connections,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let host = Arc::new(Host {
        tls,
        limits,
        shutdown,
        connections,
        reserve: Reserve::default(),
    });
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut failing = Burst::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = host.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok((tcp, peer)) => (tcp, canonical(peer)),
            Err(error) => {
                metrics::counter!("roomcast_accept_errors_total").increment(1);
                if concerns_one_peer(&error) {
                    continue;
                }
                if failing.begins(Instant::now()) {
                    warn!(%error, "cannot accept connections; trying on");
                }
                tokio::select! {
                    () = host.shutdown.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        let source = host.limits.addresses.source(peer.ip());
        let place = match host.limits.addresses.connect(source) {
            Ok(place) => place,
            Err(reason) => {
                refuse(&host, &refusals, tcp, peer, reason);
                continue;
            }
        };
        match host.admit(tcp, place) {
            Ok(admitted) => {
                let task = Arc::clone(&host).run(admitted, PeerAddr(peer), service.clone());
                host.connections.tracker().spawn(task);
            }
            Err(tcp) => refuse(&host, &refusals, tcp, peer, Reason::Full),
        }
    }
}

/// Answers a refused connection with the reason, in a task of its own; only closes it if
/// many refusals are in progress.
fn refuse(
    host: &Arc<Host>,
    refusals: &Arc<Semaphore>,
    tcp: TcpStream,
    peer: SocketAddr,
    reason: Reason,
) {
    host.limits.addresses.refusals().note(reason, peer.ip());
    if let Ok(permit) = Arc::clone(refusals).try_acquire_owned() {
        let host = Arc::clone(host);
        host.connections.tracker().clone().spawn(async move {
            host.refuse(tcp, reason).await;
            drop(permit);
        });
    }
}

fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Whether the error is about one connection only (accept(2), "Error
/// handling": network errors of the new socket are reported by accept).
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::TimedOut
    )
}

/// Tells the first error of a burst from the others.
#[derive(Default)]
struct Burst {
    last: Option<Instant>,
}

impl Burst {
    fn begins(&mut self, now: Instant) -> bool {
        let before = self.last.replace(now);
        before.is_none_or(|before| now.duration_since(before) >= BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_no_matter_of_one_peer() {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ECONNABORTED: i32 = 103;
        assert!(!concerns_one_peer(&io::Error::from_raw_os_error(EMFILE)));
        assert!(!concerns_one_peer(&io::Error::from_raw_os_error(ENFILE)));
        if cfg!(target_os = "linux") {
            assert!(concerns_one_peer(&io::Error::from_raw_os_error(
                ECONNABORTED
            )));
        }
    }

    #[test]
    fn a_burst_is_told_once() {
        let start = Instant::now();
        let mut burst = Burst::default();
        assert!(burst.begins(start));
        assert!(!burst.begins(start + BURST / 2));
        assert!(!burst.begins(start + BURST));
        assert!(burst.begins(start + BURST * 2));
    }

    #[test]
    fn a_mapped_address_is_seen_as_ipv4() {
        let peer = canonical("[::ffff:10.1.2.3]:80".parse().unwrap());
        assert_eq!(peer, "10.1.2.3:80".parse().unwrap());
    }
}
