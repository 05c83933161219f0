//! All Engine.IO sessions: counted, bounded, and found by their id.
//! Knows no packet and no client.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use socketioxide::socket::Sid;

use super::link::{Link, Opener};
use crate::core::source::SourceKey;
use crate::hint::Hint;
use crate::net::{self, Addresses, Reason};

/// The share of sessions that is reserved for private addresses, from which backends
/// publish by Socket.IO: one in this many.
const SHARE_RESERVED: usize = 64;

/// How much of an unknown namespace its refusal repeats, in characters.
const NAMESPACE_SHOWN: usize = 64;

/// The sessions of the engine; clones are the same set.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Inner>);

struct Inner {
    most: usize,
    addresses: Addresses,
    /// The namespaces, and why those are refused that can't be connected to.
    namespaces: Vec<(String, Option<String>)>,
    open: AtomicUsize,
    /// How many bytes of data wait in the engine for all of them.
    queued: AtomicUsize,
    /// Guards who has which id; only sessions that began with polling are here.
    by_sid: Mutex<HashMap<Sid, Weak<Link>>>,
}

impl Sessions {
    /// No more than `most` at once: a polling session costs memory without
    /// holding a connection.
    pub(super) fn limited(
        most: usize,
        addresses: Addresses,
        namespaces: Vec<(String, Option<String>)>,
    ) -> Self {
        Self(Arc::new(Inner {
            most,
            addresses,
            namespaces,
            open: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            by_sid: Mutex::default(),
        }))
    }

    /// The key under which an address is counted.
    pub(super) fn source(&self, address: IpAddr) -> Option<SourceKey> {
        self.0.addresses.source(address)
    }

    /// Opens a session, within the limits of the server and of the address.
    pub(super) fn open(&self, opener: Opener) -> Result<Arc<Link>, Reason> {
        let Opener {
            address, source, ..
        } = opener;
        let refused = |reason| {
            self.0.addresses.refusals().note(reason, address);
            reason
        };
        let of_address = self.0.addresses.session(source).map_err(refused)?;
        let (counted, unconfirmed) = of_address;
        let place = Place {
            all: self.clone(),
            sid: OnceLock::new(),
            _counted: counted,
        };
        let before = self.0.open.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("roomcast_sessions_open").increment(1.0);
        // Clients without limits of their address may use the reserved share as well.
        let most = match source {
            Some(_) => self.0.most - self.0.most / SHARE_RESERVED,
            None => self.0.most,
        };
        if before >= most {
            // Dropping `place` releases it.
            return Err(refused(Reason::FullSessions));
        }
        Ok(Arc::new(Link::new(opener, place, unconfirmed)))
    }

    /// The session of that id.
    pub(super) fn find(&self, sid: Sid) -> Option<Arc<Link>> {
        self.lock().get(&sid)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, Weak<Link>>> {
        self.0
            .by_sid
            .lock()
            .expect("no code panics under this lock")
    }
}

/// A session's place among all; given back when it is dropped.
pub(super) struct Place {
    all: Sessions,
    sid: OnceLock<Sid>,
    _counted: net::Place,
}

impl Place {
    /// The session can be found by this id from now on.
    pub(super) fn named(&self, sid: Sid, link: &Arc<Link>) {
        if self.sid.set(sid).is_ok() {
            self.all.lock().insert(sid, Arc::downgrade(link));
        }
    }
}

impl Place {
    /// How many bytes of data wait in the engine for all sessions.
    pub(super) fn queued(&self) -> &AtomicUsize {
        &self.all.0.queued
    }

    /// Whether the door answers for this namespace; else the engine does.
    pub(super) fn knows(&self, namespace: &str) -> bool {
        self.find(namespace).is_some()
    }

    /// Why nobody can be in this namespace, if that is so.
    pub(super) fn refusal(&self, namespace: &str) -> Option<Cow<'_, str>> {
        if let Some((_, why)) = self.find(namespace) {
            return why.as_deref().map(Cow::Borrowed);
        }
        let known = self.all.0.namespaces.iter();
        let open = known.filter(|(name, why)| name != "/" && why.is_none());
        let hint = Hint::new(namespace, open.map(|(name, _)| name.as_str()));
        let shown: String = namespace.chars().take(NAMESPACE_SHOWN).collect();
        // Begins with the text of Socket.IO's own server.
        Some(format!("Invalid namespace `{shown}`; {hint}").into())
    }

    fn find(&self, namespace: &str) -> Option<&(String, Option<String>)> {
        let mut known = self.all.0.namespaces.iter();
        known.find(|(known, _)| known == namespace)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(sid) = self.sid.get() {
            self.all.lock().remove(sid);
        }
        self.all.0.open.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("roomcast_sessions_open").decrement(1.0);
    }
}
