//! Who is connected, in all namespaces: taken in until the server stops.
//! Knows no rooms; what a client leaves behind is the hub's matter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tracing::debug;

use super::area::Area;
use super::client::{Client, ClientId, ClientKey};
use super::error::Error;
use super::outlet::{CloseReason, Outlet};
use super::source::ClientOrigin;

/// At a stop clients are closed over a second and a half, in this many rounds:
/// they all come back, and should not come at once.
const ROUNDS: usize = 30;
const BETWEEN: Duration = Duration::from_millis(50);

/// So many at once are no storm.
const AT_ONCE: usize = 100;

#[derive(Default)]
pub(super) struct Roster {
    last_key: AtomicU64,
    stopping: AtomicBool,
    /// Guards who is connected; held to add, remove, find or copy only.
    clients: Mutex<HashMap<ClientId, Arc<Client>>>,
}

impl Roster {
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn add(
        &self,
        area: &Arc<Area>,
        outlet: Arc<dyn Outlet>,
        origin: ClientOrigin,
    ) -> Result<Arc<Client>, Error> {
        let key = ClientKey(self.last_key.fetch_add(1, Ordering::Relaxed) + 1);
        let client = Arc::new(Client::new(key, area.clone(), outlet, origin));
        {
            let mut clients = self.lock();
            // Under the lock, so that `stop` sees every client that came before it.
            if self.is_stopping() {
                return Err(Error::Closing);
            }
            clients.insert(client.id(), client.clone());
        }
        let namespace = &area.spec.name;
        metrics::gauge!("roomcast_clients", "namespace" => namespace.to_string()).increment(1);
        debug!(client = %client.id(), %namespace, "connected");
        Ok(client)
    }

    /// Forgets a client that is in no room any more; to be called once for each.
    pub(super) fn remove(&self, client: &Client) {
        self.lock().remove(&client.id());
        let namespace = &client.area.spec.name;
        metrics::gauge!("roomcast_clients", "namespace" => namespace.to_string()).decrement(1);
        debug!(client = %client.id(), %namespace, "disconnected");
    }

    /// Those of these clients that are connected, each once.
    pub(super) fn keys_of(&self, these: &[ClientId]) -> Vec<ClientKey> {
        let mut keys: Vec<_> = {
            let clients = self.lock();
            let connected = these.iter().filter_map(|id| clients.get(id));
            connected.map(|client| client.key()).collect()
        };
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Takes nobody any more, and closes those there are, not all at once.
    pub(super) async fn stop(&self) {
        let clients: Vec<_> = {
            let clients = self.lock();
            self.stopping.store(true, Ordering::Relaxed);
            clients.values().cloned().collect()
        };
        let mut rounds = clients
            .chunks((clients.len() / ROUNDS).max(AT_ONCE))
            .peekable();
        while let Some(round) = rounds.next() {
            for client in round {
                client.close(CloseReason::Stopping);
            }
            if rounds.peek().is_some() {
                tokio::time::sleep(BETWEEN).await;
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Arc<Client>>> {
        self.clients.lock().expect("no code panics under this lock")
    }
}
