//! CONNECTs that came by polling and are not answered yet: who waits for one
//! is told when it is. Knows no packet and no client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use socketioxide::SocketIo;
use socketioxide::socket::Sid;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long what follows a CONNECT waits for it; an answer takes milliseconds.
/// The same as a WebSocket's frames are held back, for the same reason.
const CONNECT_MOST: Duration = Duration::from_secs(10);

/// The CONNECTs under way; clones are the same set.
#[derive(Clone)]
pub(super) struct Connecting {
    io: SocketIo,
    /// Guards who waits; an entry lives as long as its [`Wait`], at most.
    waiting: Arc<Mutex<Waiting>>,
}

type Waiting = HashMap<(Sid, String), oneshot::Sender<()>>;

/// Waits for the answer to one CONNECT.
pub(super) struct Wait {
    all: Connecting,
    key: (Sid, String),
    answered: oneshot::Receiver<()>,
}

impl Connecting {
    pub(super) fn new(io: SocketIo) -> Self {
        Self {
            io,
            waiting: Arc::default(),
        }
    }

    /// To be called before the engine sees the CONNECT; nothing where there is
    /// no namespace to be opened, or it is open already.
    pub(super) fn expect(&self, sid: Sid, namespace: &str) -> Option<Wait> {
        let (tell, answered) = oneshot::channel();
        let key = (sid, namespace.to_owned());
        // One that is replaced counts as answered: it was a repeated CONNECT.
        self.lock().insert(key.clone(), tell);
        let wait = Wait {
            all: self.clone(),
            key,
            answered,
        };
        let namespace = self.io.of(namespace)?;
        namespace.get_socket(sid).is_none().then_some(wait)
    }

    /// The CONNECT is through, or refused.
    pub(super) fn answered(&self, sid: Sid, namespace: &str) {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        let tell = waiting.remove(&(sid, namespace.to_owned()));
        drop(waiting);
        if let Some(tell) = tell {
            // Nobody waits any more: the request is gone.
            let _ = tell.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics under this lock")
    }
}

impl Wait {
    /// Returns once the CONNECT is answered, or after [`CONNECT_MOST`].
    pub(super) async fn over(mut self) {
        // Late or replaced: in both cases there is nothing left to wait for.
        let _ = timeout(CONNECT_MOST, &mut self.answered).await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.answered.close();
        let mut waiting = self.all.lock();
        // Another one may have taken the place.
        if waiting.get(&self.key).is_some_and(|tell| tell.is_closed()) {
            waiting.remove(&self.key);
        }
    }
}
