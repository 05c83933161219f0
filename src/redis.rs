//! Many nodes as one: a broker over Redis, or Valkey. Each room is a stream with its
//! offsets, its members and a channel; scripts keep them together. Knows the hub's
//! [`Broker`] and [`Cluster`], and no door.
//!
//! [`RedisBroker::new`] gives the broker for the hub and the [`Node`] that does the work,
//! in one task: it takes what the hub wants done, asks Redis for it in batches, one under
//! way at a time, and delivers what all nodes publish strictly by offset. Where Redis
//! does not answer, it goes on alone (`node/alone.rs`), and catches up (`node/sync.rs`).

mod follower;
mod frame;
mod job;
mod keys;
mod link;
mod node;
mod rules;
mod script;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Redis;
use crate::core::broker::{Broker, BrokerStatus, Cluster, Done, Presence, Told};
use crate::core::error::Error;
use crate::core::event::Publication;
use crate::core::hub::Hub;
use crate::core::name::RoomId;
use crate::core::presence::Page;
use crate::core::terms::Terms;
use crate::core::token::TokenHash;
use crate::supervise::Supervisor;

use job::Job;
use node::Running;

/// Most descriptors: in a cluster two for each master, of a usual number of masters, and as
/// many again while the node reconnects.
pub const DESCRIPTORS: usize = 64;

/// How much the hub may want done that is not done yet: beyond it publishers and who
/// joins are told `busy`. Twice what a node's clients send at once when all of them come
/// back.
const WANTED_MOST: usize = 65_536;

/// The most bytes of messages that may wait to be published: 32 messages of 1 MiB. A line of 1
/// Gbit/s takes a third of a second for them, so no publisher waits for much longer.
const WANTED_BYTES_MOST: usize = 32 << 20;

/// How long a client that waits for the first answer of Redis at a start has to wait: a
/// healthy one takes some milliseconds, and one that is not there keeps nobody waiting.
const READY_LIMIT: Duration = Duration::from_secs(1);

/// The broker, as the hub sees it.
pub struct RedisBroker {
    wanted: UnboundedSender<Job>,
    shared: Arc<Shared>,
}

/// What does the work of a [`RedisBroker`], once it is run.
pub struct Node {
    settings: Redis,
    wanted: UnboundedReceiver<Job>,
    shared: Arc<Shared>,
}

/// What the broker and its node both see.
#[derive(Default)]
struct Shared {
    /// Whether Redis answers, and all rooms are as all nodes have them.
    connected: AtomicBool,
    /// How much is wanted that was not looked at yet.
    waiting: AtomicUsize,
    /// How much was looked at, and is not done yet; and how many bytes are to be
    /// published of it.
    undone: AtomicUsize,
    undone_bytes: AtomicUsize,
    /// Whether Redis has answered, or could not be reached.
    tried: CancellationToken,
}

impl Shared {
    /// Whether whoever can be refused is.
    fn is_full(&self) -> bool {
        let wanted = self.waiting.load(Ordering::Relaxed) + self.undone.load(Ordering::Relaxed);
        wanted >= WANTED_MOST || self.undone_bytes.load(Ordering::Relaxed) >= WANTED_BYTES_MOST
    }
}

impl RedisBroker {
    /// The broker, and what has to be run for it.
    pub fn new(settings: Redis) -> (Self, Node) {
        let (wanted, taken) = unbounded_channel();
        let shared = Arc::<Shared>::default();
        let node = Node {
            settings,
            wanted: taken,
            shared: shared.clone(),
        };
        (Self { wanted, shared }, node)
    }

    /// Has the node do this, unless it has too much to do, or has ended; gives back then
    /// what was not taken.
    fn want(&self, job: Job) -> Result<(), Job> {
        if job.can_be_refused() && self.shared.is_full() {
            return Err(job);
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.wanted.send(job).map_err(|unsent| unsent.0)
    }

    /// The same, for one who waits for the answer.
    fn ask_node<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Job,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let (tell, told) = oneshot::channel();
        let wanted = self.want(job(tell));
        async move {
            match wanted {
                // The node has ended.
                Ok(()) => told.await.unwrap_or(Err(Error::Closing)),
                Err(_) => Err(Error::Busy),
            }
        }
        .boxed()
    }
}

impl Broker for RedisBroker {
    fn publish(&self, _: &Arc<Hub>, mut publication: Publication, done: Done) {
        let id = publication.same.map(|same| same.id);
        publication.id = Some(id.unwrap_or_else(Uuid::new_v4));
        let job = Job::publish(publication, done);
        if let Err(Job::Publish(refused)) = self.want(job) {
            refused.fail(Error::Busy);
        }
    }

    fn status(&self) -> BrokerStatus {
        BrokerStatus {
            kind: "redis",
            connected: self.shared.connected.load(Ordering::Relaxed),
        }
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }
}

impl Cluster for RedisBroker {
    fn follow(&self, room: RoomId) {
        // Nobody follows anything once the node has ended.
        drop(self.want(Job::Follow(room)));
    }

    fn is_busy(&self) -> bool {
        self.shared.is_full() || self.wanted.is_closed()
    }

    fn enter(&self, room: RoomId, who: Presence) {
        // Nobody comes into anything once the node has ended.
        drop(self.want(Job::Enter(room, who)));
    }

    fn exit(&self, room: RoomId, who: Presence) {
        // As above: the lease of the node ends as well.
        drop(self.want(Job::exit(room, who)));
    }

    fn clients(&self, room: RoomId, page: Page, told: Told) {
        if let Err(Job::Clients(_, _, told)) = self.want(Job::Clients(room, page, vec![told])) {
            told.into_iter().for_each(|told| told(Err(Error::Busy)));
        }
    }

    fn terms(&self, room: RoomId) -> BoxFuture<'static, Result<Option<Terms>, Error>> {
        self.ask_node(|tell| Job::Terms(room, tell))
    }

    fn create(&self, room: RoomId, terms: Terms) -> BoxFuture<'static, Result<(), Error>> {
        self.ask_node(|tell| Job::Count(room, terms, tell))
    }

    fn ask(&self, room: RoomId, question: String) -> BoxFuture<'static, Result<String, Error>> {
        self.ask_node(|tell| Job::Ask(room, question, tell))
    }

    fn delete(&self, room: RoomId, token: TokenHash) -> BoxFuture<'static, Result<(), Error>> {
        self.ask_node(|tell| Job::Delete(room, token, tell))
    }
}

/// Whether the file holds authorities that Redis may have its certificate from.
///
/// # Errors
/// It can't be read, or holds none.
pub fn check_ca(path: &Path) -> std::io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(()),
        false => Err(std::io::Error::other("it holds no certificate in PEM")),
    }
}

impl Node {
    /// Works for this hub from now on; returns once Redis has answered for the first
    /// time, or after a moment without it.
    pub async fn start(self, hub: Arc<Hub>, supervisor: &Supervisor) -> Started {
        let shutdown = CancellationToken::new();
        let tried = self.shared.tried.clone();
        hub.open_fixed();
        let running = Running::new(self, hub).run(shutdown.clone());
        let task = supervisor.run("cluster", running);
        // It goes on in the background.
        drop(tokio::time::timeout(READY_LIMIT, tried.cancelled()).await);
        Started { task, shutdown }
    }
}

/// A node at work.
pub struct Started {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Started {
    /// Ends it: it takes leave of the other nodes.
    pub async fn stop(self) {
        self.shutdown.cancel();
        // A panic was logged where it was caught.
        drop(self.task.await);
    }
}
