//! The work of one node: its connection, what the hub wants, and what is done time and
//! again. How Redis is asked stands in `batch`, what it publishes in `events`, what is
//! done without it in `alone`, and how it goes on in `sync`.

mod alone;
mod answers;
mod asking;
mod batch;
mod events;
#[cfg(test)]
mod fuzz_tests;
mod goodbye;
mod places;
mod sync;
mod waiting;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{RedisError, RedisResult};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use super::follower::{Follower, State};
use super::frame::NodeId;
use super::job::{Job, LEASE};
use super::keys::Prefix;
use super::link::{Link, Push, Pushes};
use super::rules::Rules;
use super::{Node, Shared};
use crate::config::Redis;
use crate::core::event::Offset;
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomId};
use crate::core::panics::catch;
use asking::Asked;
use batch::{Flying, answered};
use waiting::Waiting;

/// After how long without an answer a batch that asks what rooms have, some megabytes,
/// has failed; and so has a connection that is not there by then.
const SYNC_LIMIT: Duration = Duration::from_secs(2);

/// How often a node says that it is there: three times within its lease.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How often it is asked whether Redis answers, where nothing else is.
const PULSE_EVERY: Duration = Duration::from_secs(1);

/// How long to wait between attempts to connect, and up to as much more with each one
/// that fails, to [`CONNECT_EVERY_MOST`]: Redis is busy when it comes back.
const CONNECT_EVERY: Duration = Duration::from_millis(100);
const CONNECT_EVERY_MOST: Duration = Duration::from_secs(1);

/// How much is looked at in one go before others have their turn.
const AT_ONCE: usize = 256;

/// The name under which panics in a message or job of this task are counted; the task continues.
const PART: &str = "cluster";

type Opening = Pin<Box<dyn Future<Output = RedisResult<Link>> + Send>>;
/// A node at work.
pub(super) struct Running {
    hub: Arc<Hub>,
    node: NodeId,
    settings: Redis,
    shared: Arc<Shared>,
    prefix: Prefix,
    rules: BTreeMap<NamespaceName, Rules>,
    wanted: UnboundedReceiver<Job>,
    pushes: Pushes,
    pushed: UnboundedReceiver<(u64, Push)>,
    link: LinkState,
    /// The number of the connection: what comes from one before is not looked at.
    connection: u64,
    /// What is needed to know the rooms again; asked before all else.
    urgent: VecDeque<Job>,
    jobs: Waiting,
    /// What is done time and again, a part of each batch.
    chores: VecDeque<Job>,
    flying: Option<Flying>,
    /// What the batch under way publishes, and where it was delivered already.
    came: HashMap<Uuid, Option<Offset>>,
    followers: HashMap<RoomId, Follower>,
    /// Which rooms were not heard of since the connection is there.
    unknown: HashSet<RoomId>,
    ticks: Interval,
    pulse: Interval,
    /// What other nodes were asked.
    asked: Asked,
    /// What this node is about to answer others.
    answering: FuturesUnordered<BoxFuture<'static, Option<Job>>>,
    /// What is for some only, and could not be delivered yet.
    tells: VecDeque<(RoomId, String)>,
    /// What is to be asked again in a moment.
    later: Vec<Job>,
    /// When something that could not be done is tried again.
    retry_at: Option<Instant>,
    /// How many connections have failed since one was good for a while.
    failures: u32,
    /// Of how many rooms Redis knew less than this node, since they were all known.
    forgotten: usize,
}

enum LinkState {
    Opening(Opening),
    /// To be opened at this time.
    Closed(Instant),
    Open {
        link: Link,
        since: Instant,
        /// Whether all rooms were asked for once more, when all nodes had time to say who
        /// is there.
        is_complete: bool,
    },
}

impl Running {
    pub(super) fn new(node: Node, hub: Arc<Hub>) -> Self {
        let (sender, pushed) = unbounded_channel();
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        Self {
            rules: Rules::of_all(&hub),
            hub,
            node: NodeId::random(),
            prefix: Prefix::of(node.settings.database),
            settings: node.settings,
            shared: node.shared,
            wanted: node.wanted,
            pushes: Pushes {
                sender,
                waiting: Arc::default(),
            },
            pushed,
            link: LinkState::Closed(Instant::now()),
            connection: 0,
            urgent: VecDeque::new(),
            jobs: Waiting::default(),
            chores: VecDeque::new(),
            flying: None,
            came: HashMap::new(),
            followers: HashMap::new(),
            unknown: HashSet::new(),
            ticks: every(RENEW_EVERY),
            pulse: every(PULSE_EVERY),
            asked: Asked::default(),
            answering: FuturesUnordered::new(),
            tells: VecDeque::new(),
            later: Vec::new(),
            retry_at: None,
            failures: 0,
            forgotten: 0,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut wanted = Vec::with_capacity(AT_ONCE);
        let _ended = Ended(self.shared.clone());
        loop {
            self.open_link();
            self.take_off();
            metrics::gauge!("roomcast_broker_waiting").set(self.jobs.heard_count() as f64);
            let (undone, bytes) = self.jobs.undone();
            self.shared.undone.store(undone, Ordering::Relaxed);
            self.shared.undone_bytes.store(bytes, Ordering::Relaxed);
            tokio::select! {
                () = shutdown.cancelled() => break,
                answers = answered(&mut self.flying) => self.land(answers),
                Some(push) = self.pushed.recv() => self.take_pushes(push),
                _ = self.wanted.recv_many(&mut wanted, AT_ONCE) => {
                    self.shared.waiting.fetch_sub(wanted.len(), Ordering::Relaxed);
                    for job in wanted.drain(..) {
                        catch(PART, || self.take(job));
                    }
                }
                opened = opened(&mut self.link) => self.opened(opened),
                () = at(self.retry_at) => drop(catch(PART, || self.retry())),
                () = at(self.asked.until()) => self.asked.give_up(),
                Some(answer) = self.answering.next() => self.jobs.extend(answer),
                _ = self.ticks.tick() => drop(catch(PART, || self.tick())),
                _ = self.pulse.tick() => self.ping(),
            }
        }
        self.say_goodbye().await;
    }

    /// Whether Redis has not answered, and this node goes on without the others.
    fn is_alone(&self) -> bool {
        self.failures > 0 && !matches!(self.link, LinkState::Open { .. })
    }

    fn rules(&self, room: &RoomId) -> Option<&Rules> {
        self.rules.get(&room.namespace)
    }

    /// Begins to connect, where it is time to.
    fn open_link(&mut self) {
        if let LinkState::Closed(when) = &self.link
            && *when <= Instant::now()
        {
            self.connection += 1;
            let (settings, number) = (self.settings.clone(), self.connection);
            let pushes = self.pushes.clone();
            let open = async move { Link::open(&settings, number, pushes).await };
            let open = async move {
                let opened = timeout(SYNC_LIMIT, open).await;
                opened.unwrap_or_else(|_| Err(no_answer()))
            };
            self.link = LinkState::Opening(Box::pin(open));
        }
    }

    fn opened(&mut self, opened: Opened) {
        match opened {
            Opened::Link(Ok(link)) => {
                self.link = LinkState::Open {
                    link,
                    since: Instant::now(),
                    is_complete: false,
                };
                self.catch_up();
            }
            Opened::Link(Err(error)) => {
                let what = match error.code() {
                    Some("WRONGPASS" | "NOAUTH" | "NOPERM") => "Redis does not let this node in",
                    _ => "Redis can't be reached",
                };
                self.has_failed(&error, what);
                self.shared.tried.cancel();
                if self.failures == 1 {
                    self.go_alone();
                }
            }
            Opened::Due => {}
        }
    }

    /// The connection is no good: another one is opened, the later the more have failed.
    fn has_failed(&mut self, error: &RedisError, what: &'static str) {
        let failures = self.failures;
        if failures == 0 {
            warn!(redis = %self.settings, %error, "{what}: this node goes on alone");
        } else {
            debug!(redis = %self.settings, %error, failures, "{what}");
        }
        let wait = (CONNECT_EVERY * failures).min(CONNECT_EVERY_MOST);
        self.link = LinkState::Closed(Instant::now() + wait);
        self.failures = failures.saturating_add(1);
    }

    /// Takes what the hub wants.
    fn take(&mut self, job: Job) {
        match job {
            Job::Follow(room) => self.follow(room),
            Job::Ask(room, question, tell) if !self.is_alone() => {
                self.ask_owner(room, &question, tell);
            }
            job if self.is_alone() => self.do_alone(job),
            job => self.jobs.push(job),
        }
    }

    fn ping(&mut self) {
        if let LinkState::Open { .. } = self.link {
            self.urgent.push_back(Job::Ping);
        }
    }

    /// Says that this node and its clients are there, and forgets rooms that are not.
    fn tick(&mut self) {
        let LinkState::Open {
            since, is_complete, ..
        } = &mut self.link
        else {
            return;
        };
        if since.elapsed() >= RENEW_EVERY {
            self.failures = 0;
        }
        let completes = !*is_complete && since.elapsed() >= LEASE;
        *is_complete |= completes;
        // Where Redis is slow, those of the time before are not done yet.
        let is_idle = self.chores.is_empty();
        let rooms: Vec<_> = self.followers.keys().cloned().collect();
        for room in rooms {
            if !self.hub.is_open(&room) {
                self.forget(&room);
                self.urgent.push_back(Job::Unsubscribe(room));
                continue;
            }
            let follower = self.followers.get(&room);
            if follower.is_some_and(|follower| follower.state == State::Asking) {
                // It may have been refused.
                self.chores.push_back(Job::Sync(room.clone(), true));
            }
            let is_lobby = self.rules(&room).is_some_and(|rules| rules.is_lobby);
            if completes {
                // What was under way when the connection broke may have been done late.
                self.chores.push_back(Job::Refresh(room.clone(), true));
            }
            if completes && is_lobby {
                self.chores.push_back(Job::Sync(room.clone(), false));
            }
            if is_idle && self.hub.is_in_use(&room) {
                self.chores.push_back(Job::Renew(room));
            }
        }
    }
}

/// Says that there is nobody any more who joins the nodes, however that came.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.connected.store(false, Ordering::Relaxed);
    }
}

enum Opened {
    Link(RedisResult<Link>),
    /// It is time to try.
    Due,
}

async fn opened(link: &mut LinkState) -> Opened {
    match link {
        LinkState::Opening(opening) => Opened::Link(opening.await),
        LinkState::Closed(when) => {
            sleep_until(*when).await;
            Opened::Due
        }
        LinkState::Open { .. } => pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn no_answer() -> RedisError {
    let kind = ::redis::ErrorKind::Io;
    (kind, "no answer in time, or the connection was closed").into()
}
