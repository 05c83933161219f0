//! The open connections of the Zetta port. Limits their number, and decides which one gives way to
//! a new one. Knows no protocol.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

/// The most connections: a hot spare, some reconnects that the kernel has not noticed to be over,
/// and a colleague who tests, for several studios.
pub(super) const CONNECTIONS_MOST: usize = 64;

/// The most connections of one address, also a private one: the sender of one studio, its
/// reconnects, and the connections of a burst that sends each document on its own.
pub(super) const PER_ADDRESS_MOST: usize = 16;

/// The open connections. Only the port's accept loop uses them.
#[derive(Default)]
pub(super) struct Connections(Vec<Connection>);

struct Connection {
    address: IpAddr,
    /// Whether it has sent a document.
    has_sent: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// Why there is no room for a connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error(
        "{PER_ADDRESS_MOST} connections from this address have sent documents, so none is closed"
    )]
    Address,
    #[error("{CONNECTIONS_MOST} connections have sent documents")]
    Port,
}

impl Connections {
    /// Makes room for a connection from an address. Closes the oldest connection that has sent no
    /// document, if there is no room left: one of this address if that has too many, else one of
    /// the address with the most connections. Returns the address of the closed connection.
    pub(super) async fn make_room(&mut self, address: IpAddr) -> Result<Option<IpAddr>, Full> {
        self.0.retain(|connection| !connection.task.is_finished());
        let is_address_full = self.count(address) >= PER_ADDRESS_MOST;
        if !is_address_full && self.0.len() < CONNECTIONS_MOST {
            return Ok(None);
        }
        let idle = self.0.iter().enumerate().rev().filter(|(_, connection)| {
            let may_close = !is_address_full || connection.address == address;
            may_close && !connection.has_sent.load(Ordering::Relaxed)
        });
        let Some((at, _)) = idle.max_by_key(|(_, idle)| self.count(idle.address)) else {
            return Err(if is_address_full {
                Full::Address
            } else {
                Full::Port
            });
        };
        let closed = self.0.remove(at);
        closed.task.abort();
        // A task ends at its next await; its socket is closed then. A panic was logged.
        let _ = closed.task.await;
        Ok(Some(closed.address))
    }

    /// Adds a connection, once [`make_room`](Self::make_room) has admitted it; the newest is last.
    pub(super) fn add(&mut self, address: IpAddr, has_sent: Arc<AtomicBool>, task: JoinHandle<()>) {
        self.0.push(Connection {
            address,
            has_sent,
            task,
        });
    }

    fn count(&self, address: IpAddr) -> usize {
        self.0.iter().filter(|c| c.address == address).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a connection if there is room; returns the address of the one that gave way.
    async fn connect(
        to: &mut Connections,
        address: u8,
        has_sent: bool,
    ) -> Result<Option<u8>, Full> {
        let address = IpAddr::from([127, 0, 0, address]);
        let closed = to.make_room(address).await?;
        let task = tokio::spawn(std::future::pending());
        to.add(address, Arc::new(has_sent.into()), task);
        assert!(to.0.len() <= CONNECTIONS_MOST);
        Ok(closed.map(|closed| match closed {
            IpAddr::V4(closed) => closed.octets()[3],
            IpAddr::V6(_) => unreachable!(),
        }))
    }

    #[tokio::test]
    async fn idle_connections_of_a_full_address_give_way_to_its_own() {
        let mut connections = Connections::default();
        assert_eq!(connect(&mut connections, 2, false).await, Ok(None));
        for number in 0..PER_ADDRESS_MOST {
            let has_sent = number % 2 == 0;
            assert_eq!(connect(&mut connections, 1, has_sent).await, Ok(None));
        }
        for _ in 0..PER_ADDRESS_MOST / 2 {
            assert_eq!(connect(&mut connections, 1, true).await, Ok(Some(1)));
        }
        assert_eq!(connect(&mut connections, 1, true).await, Err(Full::Address));
        assert_eq!(connect(&mut connections, 2, false).await, Ok(None));
        // A connection that has ended makes room.
        connections.0[5].task.abort();
        while !connections.0[5].task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(connect(&mut connections, 1, true).await, Ok(None));
    }

    #[tokio::test]
    async fn idle_connections_of_the_busiest_address_give_way_first() {
        let mut connections = Connections::default();
        assert_eq!(connect(&mut connections, 9, false).await, Ok(None));
        for number in 1..CONNECTIONS_MOST {
            let address = 1 + (number / PER_ADDRESS_MOST) as u8;
            assert_eq!(connect(&mut connections, address, false).await, Ok(None));
        }
        let oldest = connections.0[16].task.abort_handle();
        for address in [100, 101] {
            let closed = connect(&mut connections, address, true).await;
            assert!(matches!(closed, Ok(Some(2..=4))), "{closed:?}");
        }
        assert!(oldest.is_finished());
        // There is no room once all connections have sent documents.
        let mut last = Ok(None);
        for address in 102..=255 {
            last = connect(&mut connections, address, true).await;
            if last.is_err() {
                break;
            }
        }
        assert_eq!(last, Err(Full::Port));
    }
}
