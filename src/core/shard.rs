//! A part of a room's members, and the queue of what they are still to be told.
//! Knows nothing of offsets or rules; the room decides what is queued.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use tokio_util::task::TaskTracker;

use super::client::{Client, ClientKey, SINK, calls_sink};
use super::event::Event;
use super::outlet::Outlet;
use super::panics::catch;

/// How many events may wait in one shard; beyond, publishers are told `busy`.
///
/// At 100,000 members a fan-out takes about half a second of one core (5.5 us a
/// member, measured for a bare `send(2)`), so this is minutes of backlog.
pub(super) const EVENTS_MOST: usize = 1024;

/// The most bytes of messages in those events: 64 MiB, which is [`EVENTS_MOST`] times 64 KiB.
const EVENT_BYTES_MOST: usize = 64 << 20;

/// How many items may wait at all before joins, and what is for one member, are
/// told `busy` as well.
///
/// A storm of joins is welcome: it is more than three times the connections
/// that a server takes by default.
pub(super) const ITEMS_MOST: usize = 65_536;

/// How much of an empty queue's memory is kept.
const QUEUE_KEPT: usize = 64;

/// After how many sockets, or answers, a worker lets others have the core: about
/// 1 ms.
const YIELD_EVERY: usize = 256;

/// How many outlets are told ahead that an event comes: as many misses as a
/// processor waits for at once.
const AHEAD: usize = 8;

/// Run by the worker when its turn comes, so that an answer and the events
/// around it reach the client in order.
pub(super) type Reply = Box<dyn FnOnce() + Send>;

/// Run by the worker for each member, when its turn comes.
pub(super) type Tell = Box<dyn Fn(&Arc<Client>) + Send>;

pub(super) enum Item {
    Event(Arc<Event>),
    /// An event for the members with these numbers.
    Some(Arc<Event>, RangeInclusive<u64>),
    /// An event for this member alone.
    For(ClientKey, Arc<Event>),
    /// An event for these members.
    These(Vec<ClientKey>, Arc<Event>),
    Join {
        client: Arc<Client>,
        welcome: Reply,
        backlog: Vec<Arc<Event>>,
        /// How many have ever come, this one included.
        number: u64,
    },
    Leave {
        key: ClientKey,
        farewell: Reply,
    },
    /// An answer in its place among the events.
    Reply(Reply),
    /// A call for each member that joined after so many others.
    Each(Tell, u64),
    /// There are no members any more: each is told by this.
    End(Tell),
}

impl Item {
    /// The event, if the item counts towards [`EVENTS_MOST`].
    fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) | Self::Some(event, _) | Self::These(_, event) => Some(event),
            _ => None,
        }
    }
}

#[derive(Default)]
pub(super) struct Shard {
    /// Guards the queue and who drains it; held for a push or a pop only.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// The number of events in the queue, and the bytes of their messages.
    events: usize,
    event_bytes: usize,
    /// How many items were ever queued, taken up, and done with.
    queued: u64,
    taken: u64,
    done: u64,
    /// The worker has the members while it runs; they are parked here otherwise.
    parked: Option<Members>,
    running: bool,
}

impl Shard {
    pub(super) fn takes_events(&self) -> bool {
        let state = self.lock();
        state.events < EVENTS_MOST && state.event_bytes < EVENT_BYTES_MOST
    }

    /// The used share of [`EVENTS_MOST`] or [`EVENT_BYTES_MOST`], whichever is larger.
    pub(super) fn pressure(&self) -> f32 {
        let state = self.lock();
        let events = state.events as f32 / EVENTS_MOST as f32;
        let bytes = state.event_bytes as f32 / EVENT_BYTES_MOST as f32;
        events.max(bytes)
    }

    pub(super) fn takes_items(&self) -> bool {
        self.lock().queue.len() < ITEMS_MOST
    }

    /// Whether the item that has this number is done with, and all before it.
    pub(super) fn has_done(&self, number: u64) -> bool {
        self.lock().done >= number
    }

    /// Queues an item, and starts the worker where none runs; gives its number.
    pub(super) fn push(self: &Arc<Self>, item: Item, tasks: &TaskTracker) -> u64 {
        let mut state = self.lock();
        state.queued += 1;
        let number = state.queued;
        if let Some(event) = item.event() {
            state.events += 1;
            state.event_bytes += event.publication.message.get().len();
        }
        state.queue.push_back(item);
        if !state.running {
            state.running = true;
            let members = state.parked.take().unwrap_or_default();
            drop(state);
            tasks.spawn(drain(self.clone(), members));
        }
        number
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }

    /// The next item, or nothing once the members are parked.
    fn pop(&self, members: &mut Members) -> Option<Item> {
        let mut state = self.lock();
        let item = state.queue.pop_front();
        state.done = state.taken;
        state.taken += u64::from(item.is_some());
        if let Some(event) = item.as_ref().and_then(Item::event) {
            state.events -= 1;
            state.event_bytes -= event.publication.message.get().len();
        }
        if item.is_none() {
            state.running = false;
            state.parked = Some(std::mem::take(members));
            // What a storm has left behind would stay with the room for good.
            state.queue.shrink_to(QUEUE_KEPT);
        }
        item
    }
}

async fn drain(shard: Arc<Shard>, mut members: Members) {
    let mut pace = Pace::default();
    while let Some(item) = shard.pop(&mut members) {
        match item {
            Item::Event(event) => {
                for group in members.list.chunks(AHEAD) {
                    catch(SINK, || {
                        group.iter().for_each(|member| member.outlet.prepare())
                    });
                    for member in group {
                        if event.publication.origin != Some(member.key) {
                            member.deliver(&event);
                        }
                        pace.has_done(1).await;
                    }
                }
            }
            Item::Some(event, numbers) => {
                for member in members.numbered(numbers) {
                    if event.publication.origin != Some(member.key) {
                        member.deliver(&event);
                    }
                    pace.has_done(1).await;
                }
            }
            Item::For(key, event) => {
                if let Some(member) = members.get(key) {
                    member.deliver(&event);
                }
                pace.has_done(1).await;
            }
            Item::These(keys, event) => {
                for member in keys.iter().filter_map(|key| members.get(*key)) {
                    member.deliver(&event);
                    pace.has_done(1).await;
                }
            }
            Item::Join {
                client,
                welcome,
                backlog,
                number,
            } => {
                run(welcome);
                let member = Member::new(client);
                for event in &backlog {
                    member.deliver(event);
                }
                members.add(member, number);
                pace.has_done(1 + backlog.len()).await;
            }
            Item::Reply(reply) => {
                run(reply);
                pace.has_done(1).await;
            }
            Item::Each(tell, others) => {
                for member in members.numbered(others + 1..=u64::MAX) {
                    tell(&member.client);
                    pace.has_done(1).await;
                }
            }
            Item::End(tell) => {
                for member in std::mem::take(&mut members).list {
                    tell(&member.client);
                    pace.has_done(1).await;
                }
            }
            Item::Leave { key, farewell } => {
                members.remove(key);
                run(farewell);
                pace.has_done(1).await;
            }
        }
    }
}

/// Runs an answer. If it panics, only the client that waits for it is affected.
fn run(reply: Reply) {
    catch("answer", reply);
}

/// How much a worker has done since it last let others have the core.
#[derive(Default)]
struct Pace(usize);

impl Pace {
    async fn has_done(&mut self, work: usize) {
        self.0 += work;
        if self.0 >= YIELD_EVERY {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// A member with what every event needs of it at hand: at ten thousand members
/// nothing is in the processor's cache, and each place to look costs a tenth
/// of a microsecond.
struct Member {
    key: ClientKey,
    outlet: Arc<dyn Outlet>,
    client: Arc<Client>,
}

impl Member {
    fn new(client: Arc<Client>) -> Self {
        Self {
            key: client.key(),
            outlet: client.outlet().clone(),
            client,
        }
    }

    fn deliver(&self, event: &Arc<Event>) {
        if let Err(reason) = calls_sink(|| self.outlet.deliver(event)) {
            self.client.close(reason);
        }
    }
}

#[derive(Default)]
struct Members {
    list: Vec<Member>,
    /// How many had ever come when each of them had: beside the list, where no event
    /// has to pass it.
    numbers: Vec<u64>,
    /// Where in the list each one is.
    index: HashMap<ClientKey, usize>,
}

impl Members {
    fn add(&mut self, member: Member, number: u64) {
        self.index.insert(member.key, self.list.len());
        self.list.push(member);
        self.numbers.push(number);
    }

    /// The members with these numbers.
    fn numbered(&self, range: RangeInclusive<u64>) -> impl Iterator<Item = &Member> {
        let numbered = self.list.iter().zip(&self.numbers);
        numbered.filter_map(move |(member, number)| range.contains(number).then_some(member))
    }

    fn get(&self, key: ClientKey) -> Option<&Member> {
        self.list.get(*self.index.get(&key)?)
    }

    fn remove(&mut self, key: ClientKey) {
        let Some(at) = self.index.remove(&key) else {
            return;
        };
        self.list.swap_remove(at);
        self.numbers.swap_remove(at);
        if let Some(moved) = self.list.get(at) {
            self.index.insert(moved.key, at);
        }
    }
}
