//! The work of one node: what the hub wants is asked of Redis in batches, one under way
//! at a time; what Redis publishes is delivered. Knows when Redis does not answer; what
//! is done then stands in `alone`, and how it goes on in `sync`.

mod alone;
mod answers;
mod asking;
mod sync;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::{RedisError, RedisResult, Value};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::follower::{Follower, State, Turn};
use super::frame::{self, NodeId};
use super::job::{Context, Job, LEASE};
use super::keys::Prefix;
use super::link::{Link, Push, Pushes};
use super::rules::Rules;
use super::{Node, Shared};
use crate::config::Redis;
use crate::core::error::Error;
use crate::core::event::{Offset, Order};
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomId};
use alone::Waiting;
use answers::Outcome;
use asking::Asked;

/// After how long without an answer a node goes on alone: longer than Redis takes for
/// anything, and a track that comes so late is still on time.
const ANSWER_LIMIT: Duration = Duration::from_millis(250);

/// The same for a batch that asks what rooms have: some megabytes.
const SYNC_LIMIT: Duration = Duration::from_secs(2);

/// How much is asked in one batch: some milliseconds of Redis.
const BATCH_MOST: usize = 256;

/// How many bytes are asked in one batch, about: what a modest line takes within the
/// limit for its answer.
const BATCH_BYTES: usize = 1 << 20;

/// How many rooms are asked for in one batch.
const SYNCS_MOST: usize = 16;

/// How often a node says that it is there: three times within its lease.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How often it is asked whether Redis answers, where nothing else is.
const PULSE_EVERY: Duration = Duration::from_secs(1);

/// How long to wait between attempts to connect, and up to as much more with each one
/// that fails, to [`CONNECT_EVERY_MOST`]: Redis is busy when it comes back.
const CONNECT_EVERY: Duration = Duration::from_millis(100);
const CONNECT_EVERY_MOST: Duration = Duration::from_secs(1);

/// How long it takes until a room that had too much to deliver is tried again.
const STALLED_FOR: Duration = Duration::from_millis(10);

/// How much is looked at in one go before others have their turn.
const AT_ONCE: usize = 256;

/// How long a node takes to say good-bye.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);

type Opening = Pin<Box<dyn Future<Output = RedisResult<Link>> + Send>>;
type Answers = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>;

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
    /// When something that could not be delivered is tried again.
    retry_at: Option<Instant>,
}

enum LinkState {
    /// Being opened, and how many attempts have failed since the last one that was there.
    Opening(Opening, u32),
    /// To be opened at this time.
    Closed(Instant, u32),
    Open {
        link: Link,
        since: Instant,
        /// Whether all rooms were asked for once more, when all nodes had time to say who
        /// is there.
        is_complete: bool,
    },
}

/// A batch that has no answer yet.
struct Flying {
    jobs: Vec<Job>,
    answers: Answers,
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
            link: LinkState::Closed(Instant::now(), 0),
            connection: 0,
            urgent: VecDeque::new(),
            jobs: Waiting::default(),
            flying: None,
            came: HashMap::new(),
            followers: HashMap::new(),
            unknown: HashSet::new(),
            ticks: every(RENEW_EVERY),
            pulse: every(PULSE_EVERY),
            asked: Asked::default(),
            answering: FuturesUnordered::new(),
            retry_at: None,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut wanted = Vec::with_capacity(AT_ONCE);
        loop {
            self.open_link();
            self.take_off();
            metrics::gauge!("roomcast_broker_waiting").set(self.jobs.heard_count() as f64);
            tokio::select! {
                () = shutdown.cancelled() => break,
                answers = answered(&mut self.flying) => self.land(answers),
                Some(push) = self.pushed.recv() => self.take_pushes(push),
                _ = self.wanted.recv_many(&mut wanted, AT_ONCE) => {
                    self.shared.waiting.fetch_sub(wanted.len(), Ordering::Relaxed);
                    for job in wanted.drain(..) {
                        self.take(job);
                    }
                }
                opened = opened(&mut self.link) => self.opened(opened),
                () = at(self.retry_at) => self.retry(),
                () = at(self.asked.until()) => self.asked.give_up(),
                Some(answer) = self.answering.next() => self.jobs.extend(answer),
                _ = self.ticks.tick() => self.tick(),
                _ = self.pulse.tick() => self.ping(),
            }
        }
        self.say_goodbye().await;
    }

    /// Whether Redis has not answered, and this node goes on without the others.
    fn is_alone(&self) -> bool {
        matches!(
            self.link,
            LinkState::Closed(_, 1..) | LinkState::Opening(_, 1..)
        )
    }

    fn rules(&self, room: &RoomId) -> Option<&Rules> {
        self.rules.get(&room.namespace)
    }

    /// Begins to connect, where it is time to.
    fn open_link(&mut self) {
        if let LinkState::Closed(when, failed) = &self.link
            && *when <= Instant::now()
        {
            self.connection += 1;
            let (settings, number) = (self.settings.clone(), self.connection);
            let (pushes, failed) = (self.pushes.clone(), *failed);
            let open = async move { Link::open(&settings, number, pushes).await };
            let open = async move {
                let opened = timeout(SYNC_LIMIT, open).await;
                opened.unwrap_or_else(|_| Err(no_answer()))
            };
            self.link = LinkState::Opening(Box::pin(open), failed);
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
                let failed = match &self.link {
                    LinkState::Opening(_, failed) => *failed,
                    _ => 0,
                };
                if failed == 0 {
                    warn!(redis = %self.settings, %error, "Redis can't be reached: this node goes on alone");
                } else {
                    debug!(redis = %self.settings, %error, failed, "Redis can't be reached");
                }
                self.shared.tried.cancel();
                let wait = (CONNECT_EVERY * (failed + 1)).min(CONNECT_EVERY_MOST);
                self.link = LinkState::Closed(Instant::now() + wait, failed + 1);
                if failed == 0 {
                    self.go_alone();
                }
            }
            Opened::Due => {}
        }
    }

    /// Sends off the next batch.
    fn take_off(&mut self) {
        let LinkState::Open { link, since, .. } = &self.link else {
            return;
        };
        if self.flying.is_some() {
            return;
        }
        let may_bury = since.elapsed() >= LEASE;
        let mut jobs = Vec::new();
        let (mut syncs, mut bytes) = (0, 0);
        while jobs.len() < BATCH_MOST && bytes < BATCH_BYTES {
            let mut job = self.urgent.pop_front();
            if job.is_none() && self.unknown.is_empty() {
                job = self.jobs.pop();
            }
            let Some(job) = job else {
                break;
            };
            let is_long = matches!(job, Job::Sync(..) | Job::Seed(..) | Job::Refresh(..));
            syncs += usize::from(is_long);
            bytes += job.weight();
            jobs.push(job);
            if syncs >= SYNCS_MOST {
                break;
            }
        }
        if jobs.is_empty() {
            return;
        }
        let ask = |job: &Job| {
            let room = job.room();
            let follower = room.as_ref().and_then(|room| self.followers.get(room));
            let context = Context {
                prefix: &self.prefix,
                node: &self.node,
                may_bury,
                at: follower.and_then(|follower| follower.at),
            };
            job.ask(room.as_ref().and_then(|room| self.rules(room)), &context)
        };
        let (jobs, asks): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .filter_map(|job| ask(&job).map(|ask| (job, ask)))
            .unzip();
        let events = jobs.iter().filter_map(Job::event);
        self.came = events.map(|id| (id, None)).collect();
        let limit = if syncs > 0 { SYNC_LIMIT } else { ANSWER_LIMIT };
        let limit = Instant::now() + limit;
        let link = link.clone();
        let answers = async move {
            let answers = tokio::time::timeout_at(limit, link.ask(asks)).await;
            answers.unwrap_or_else(|_| Err(no_answer()))
        };
        self.flying = Some(Flying {
            jobs,
            answers: Box::pin(answers),
        });
    }

    /// The batch has its answers, or there will be none.
    fn land(&mut self, answers: RedisResult<Vec<Value>>) {
        let Some(flying) = self.flying.take() else {
            return;
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return self.fail(flying.jobs, &error),
        };
        let mut again = Vec::new();
        let mut jobs = VecDeque::from(flying.jobs);
        for answer in answers {
            let Some(job) = jobs.pop_front() else {
                break;
            };
            match self.answered(job, answer) {
                Outcome::Done => {}
                Outcome::Forgotten(job) => again.push(job),
                Outcome::Failed(job, error) => {
                    jobs.push_front(job);
                    let all = again.into_iter().chain(jobs);
                    return self.fail(all.collect(), &error);
                }
            }
        }
        let rooms: HashSet<_> = again.iter().filter_map(Job::room).collect();
        for room in rooms {
            // Nothing else is done before that, so that all keeps its order.
            self.unknown.insert(room.clone());
            self.seed(&room);
        }
        for job in again.into_iter().rev() {
            self.jobs.put_back(job);
        }
    }

    /// Redis does not answer these any more: the connection is given up.
    fn fail(&mut self, unanswered: Vec<Job>, error: &RedisError) {
        self.take_what_came();
        for job in unanswered.into_iter().rev() {
            let came = job.event().and_then(|id| self.came.remove(&id)).flatten();
            match (job, came) {
                (Job::Publish(mut outgoing), Some(place)) => outgoing.succeed(place),
                (Job::Exit(_), Some(_)) => {}
                (job, _) => self.jobs.put_back(job),
            }
        }
        if let LinkState::Open { .. } = self.link {
            warn!(redis = %self.settings, %error, "Redis does not answer: this node goes on alone");
            metrics::counter!("roomcast_broker_outages_total").increment(1);
            self.link = LinkState::Closed(Instant::now(), 1);
        }
        self.go_alone();
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

    fn take_pushes(&mut self, first: (u64, Push)) {
        let mut next = Some(first);
        let mut taken = 0;
        while let Some((connection, push)) = next {
            self.pushes.waiting.fetch_sub(1, Ordering::Relaxed);
            if connection == self.connection {
                match push {
                    Push::Message { channel, message } => self.message(&channel, message),
                    Push::Lost => self.lose(),
                }
            }
            taken += 1;
            let has_more = taken < AT_ONCE;
            next = has_more.then(|| self.pushed.try_recv().ok()).flatten();
        }
    }

    /// Looks at all that has come on a connection that is given up: it has its place, and
    /// a Redis that comes back may not know of it any more.
    fn take_what_came(&mut self) {
        while let Ok((connection, push)) = self.pushed.try_recv() {
            self.pushes.waiting.fetch_sub(1, Ordering::Relaxed);
            if let (true, Push::Message { channel, message }) =
                (connection == self.connection, push)
            {
                self.message(&channel, message);
            }
        }
    }

    /// The connection is gone: what is under way has no answer.
    fn lose(&mut self) {
        if let LinkState::Open { .. } = self.link {
            let jobs = self.flying.take().map(|flying| flying.jobs);
            self.fail(jobs.unwrap_or_default(), &no_answer());
        }
    }

    /// Something was published in a room: `e` an event, `t` what is for some only, `x`
    /// the end of the room, `q` a question to who has it to himself.
    fn message(&mut self, channel: &[u8], message: Vec<u8>) {
        let Some(room) = self.prefix.room(channel) else {
            // There is one other channel that it listens to.
            return self.answer_came(&message);
        };
        let Ok(mut message) = String::from_utf8(message) else {
            return;
        };
        if message.is_empty() {
            return;
        }
        let rest = message.split_off(1);
        match message.as_str() {
            "e" => self.event(&room, rest),
            "t" => drop(self.deliver(&room, &rest)),
            "x" => self.ended(&room),
            "q" => self.question(&room, &rest),
            _ => {}
        }
    }

    /// Delivers an event in its turn.
    fn event(&mut self, room: &RoomId, text: String) {
        let Ok((place, _, _)) = frame::read_place(&text) else {
            return warn!(%room, "what came from another node is no event");
        };
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        match follower.turn(place) {
            Turn::Known => {}
            Turn::Early => follower.hold(place, text),
            Turn::Next => match self.deliver(room, &text) {
                Ok(()) => self.has_delivered(room, place),
                Err(Error::Busy) => {
                    if let Some(follower) = self.followers.get_mut(room) {
                        follower.hold(place, text);
                    }
                    self.retry_at = Some(Instant::now() + STALLED_FOR);
                }
                Err(_) => self.has_delivered(room, place),
            },
        }
        self.go_on(room);
    }

    /// Delivers what was held and has its turn now; asks for what is missing.
    fn go_on(&mut self, room: &RoomId) {
        while let Some((place, text)) = self.followers.get_mut(room).and_then(Follower::next_held) {
            if let Err(Error::Busy) = self.deliver(room, &text) {
                if let Some(follower) = self.followers.get_mut(room) {
                    follower.put_back(place, text);
                }
                self.retry_at = Some(Instant::now() + STALLED_FOR);
                return;
            }
            self.has_delivered(room, place);
        }
        if let Some(follower) = self.followers.get_mut(room)
            && follower.is_to_ask()
        {
            metrics::counter!("roomcast_broker_gaps_total").increment(1);
            self.urgent.push_back(Job::Sync(room.clone(), false));
        }
    }

    fn has_delivered(&mut self, room: &RoomId, place: Offset) {
        if let Some(follower) = self.followers.get_mut(room) {
            follower.at = Some(place);
        }
    }

    /// Gives to the hub what another node, or this one, has published.
    fn deliver(&mut self, room: &RoomId, text: &str) -> Result<(), Error> {
        let read = match frame::read(text, room, &self.node) {
            Ok(read) => read,
            Err(error) => {
                warn!(%room, %error, "an event is left out");
                return Ok(());
            }
        };
        let order = Order::Given(read.offset, read.time);
        let id = read.publication.id;
        match self.hub.deliver(read.publication, order) {
            Ok(_) => {
                if let Some(came) = id.and_then(|id| self.came.get_mut(&id)) {
                    *came = Some(read.offset);
                }
                Ok(())
            }
            Err(error @ Error::Busy) => Err(error),
            Err(error) => {
                warn!(%room, %error, "an event can't be delivered here");
                Err(error)
            }
        }
    }

    /// Tries again what rooms were too busy for.
    fn retry(&mut self) {
        self.retry_at = None;
        let stalled = self.followers.iter().filter(|(_, f)| f.is_stalled());
        let stalled: Vec<_> = stalled.map(|(room, _)| room.clone()).collect();
        for room in stalled {
            self.go_on(&room);
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
        let completes = !*is_complete && since.elapsed() >= LEASE;
        *is_complete |= completes;
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
                self.urgent.push_back(Job::Sync(room.clone(), true));
            }
            let is_lobby = self.rules(&room).is_some_and(|rules| rules.is_lobby);
            if completes {
                // What was under way when the connection broke may have been done late.
                let present = self.hub.present(&room);
                let refresh = Job::Refresh(room.clone(), present, true);
                self.urgent.push_back(refresh);
            }
            if completes && is_lobby {
                self.urgent.push_back(Job::Sync(room.clone(), false));
            }
            if self.hub.is_in_use(&room) {
                self.jobs.push(Job::Renew(room));
            }
        }
    }

    /// Takes leave: its clients are gone from all rooms now, not after its lease.
    async fn say_goodbye(mut self) {
        self.shared.connected.store(false, Ordering::Relaxed);
        let LinkState::Open { link, .. } = &self.link else {
            return self.jobs.say_what_is_lost();
        };
        let link = link.clone();
        let said = async {
            if let Some(flying) = self.flying.take() {
                flying.answers.await?;
            }
            while let Ok(job) = self.wanted.try_recv() {
                self.jobs.push(job);
            }
            // Those whose end nobody has noticed yet.
            for room in self.followers.keys() {
                for who in self.hub.present(room) {
                    self.jobs.push(Job::exit(room.clone(), who));
                }
            }
            loop {
                let mut asks = Vec::new();
                while asks.len() < BATCH_MOST
                    && let Some(job) = self.jobs.pop()
                {
                    let context = Context {
                        prefix: &self.prefix,
                        node: &self.node,
                        may_bury: false,
                        at: None,
                    };
                    let room = job.room();
                    let rules = room.and_then(|room| self.rules.get(&room.namespace));
                    asks.extend(job.ask(rules, &context));
                }
                if asks.is_empty() {
                    return Ok::<_, RedisError>(());
                }
                link.clone().ask(asks).await?;
            }
        };
        match timeout(GOODBYE_LIMIT, said).await {
            Ok(Ok(())) => info!("this node has left the others"),
            Ok(Err(error)) => warn!(%error, "this node could not take leave of the others"),
            Err(_) => warn!("Redis takes too long: this node has not taken leave of the others"),
        }
    }
}

enum Opened {
    Link(RedisResult<Link>),
    /// It is time to try.
    Due,
}

async fn opened(link: &mut LinkState) -> Opened {
    match link {
        LinkState::Opening(opening, _) => Opened::Link(opening.await),
        LinkState::Closed(when, _) => {
            sleep_until(*when).await;
            Opened::Due
        }
        LinkState::Open { .. } => pending().await,
    }
}

async fn answered(flying: &mut Option<Flying>) -> RedisResult<Vec<Value>> {
    match flying {
        Some(flying) => (&mut flying.answers).await,
        None => pending().await,
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
