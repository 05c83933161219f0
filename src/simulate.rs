//! `server simulate`: a plausible Zetta that plays to a server's Zetta port, so
//! that everything can be tried without a studio. Here: the clock by which
//! items go on air. Knows no room and nothing of the server but its port.

mod address;
mod dice;
mod document;
mod news;
mod options;
mod programme;
mod sender;
mod station;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender as Queue, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use self::dice::Dice;
use self::document::{Logged, Machine};
use self::programme::Programme;
use self::sender::{Scene, Sender};

pub use self::address::{Address, NoAddress};
pub use self::news::{News, Role, Tell};
pub use self::options::{NAME, Options, Speed, command};
pub use self::programme::{Item, Kind};
pub use self::sender::Trouble;

/// How far the log is looked into: what is shown of it, and what is played by
/// hand in between, which is not shown.
const LOOKED_AT: usize = 4;

/// How many items to come a document shows, as operators set it up.
const SHOWN: usize = 2;

/// How many items a sender may be behind. One that takes nothing for as long as
/// that misses some, as it would from a real studio.
const BEHIND_MOST: usize = 64;

/// How far the spare's clock is ahead: less than any item lasts.
const SPARE_AHEAD: Duration = Duration::from_millis(1_700);

/// How far the spare is behind the log.
const SPARE_LAG: Duration = Duration::from_millis(350);

/// When the log is further away from the clock than this, the machine has slept
/// or the clock was set: the item starts now.
const OFF_MOST: TimeDelta = TimeDelta::seconds(2);

/// How long the senders have for what is left when the programme is over.
const END_MOST: Duration = Duration::from_secs(5);

/// Plays until so many items are over as were asked for, or for ever. It begins
/// once the server is there. When the future is dropped everything ends.
pub async fn run(options: &Options, tell: Tell) {
    let connected = Arc::new(Notify::new());
    let mut senders = JoinSet::new();
    let mut queues = Vec::new();
    for sender in machines(options, &tell, &connected) {
        let (queue, scenes) = channel(BEHIND_MOST);
        senders.spawn(sender.run(scenes));
        queues.push(queue);
    }
    connected.notified().await;
    Log::new(options).play(options.items, &queues, &tell).await;
    drop(queues);
    let ended = async { while senders.join_next().await.is_some() {} };
    // Who still takes nothing then has been told off already.
    let _ = timeout(END_MOST, ended).await;
}

/// The studio's machines: one that sends, and one that is ready to.
fn machines(options: &Options, tell: &Tell, connected: &Arc<Notify>) -> Vec<Sender> {
    // So that nothing is taken for what a simulation before this one has played.
    let first_id = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
    let speed = options.speed;
    let main = (Role::Main, Duration::ZERO, Duration::ZERO);
    let spare = (Role::Spare, speed.of(SPARE_AHEAD), speed.of(SPARE_LAG));
    // Each of its own, so that they do not cut the same documents.
    let mut seeds = Dice::new(options.seed);
    let all = [Some(main), options.spare.then_some(spare)];
    let mut sender = |(role, ahead, lag)| Sender {
        role,
        address: options.address.clone(),
        machine: Machine {
            ahead: in_chrono(ahead),
            first_id,
        },
        speed,
        lag,
        dice: seeds.another(),
        tell: tell.clone(),
        connected: connected.clone(),
    };
    all.into_iter().flatten().map(&mut sender).collect()
}

/// What is played when.
struct Log {
    programme: Programme,
    /// What comes next, at least [`LOOKED_AT`] items.
    to_come: VecDeque<Item>,
    before: Option<Logged>,
    /// When the next item starts, by the wall clock and by one that can't be set.
    start: DateTime<Utc>,
    at: Instant,
}

impl Log {
    fn new(options: &Options) -> Self {
        let mut programme = Programme::new(options.seed, options.speed);
        Self {
            to_come: programme.by_ref().take(LOOKED_AT).collect(),
            programme,
            before: None,
            start: Utc::now(),
            at: Instant::now(),
        }
    }

    /// Puts one item after the other on air, and waits until the last is over.
    async fn play(mut self, items: Option<u64>, queues: &[Queue<Arc<Scene>>], tell: &Tell) {
        let mut played = 0;
        while items.is_none_or(|most| played < most) {
            let scene = Arc::new(self.scene());
            // First, so that nobody hears of it before it is said.
            let Logged { item, start } = &scene.current;
            tell(News::OnAir(item.clone(), *start));
            for queue in queues {
                // A full one is that of a sender who is told off already.
                let _ = queue.try_send(scene.clone());
            }
            played += 1;
            sleep_until(self.at).await;
        }
    }

    /// The next item, which is on until [`Log::at`].
    fn scene(&mut self) -> Scene {
        if (Utc::now() - self.start).abs() > OFF_MOST {
            self.start = Utc::now();
            self.at = Instant::now();
        }
        let item = self.programme.next().expect("a programme has no end");
        self.to_come.push_back(item);
        let item = self.to_come.pop_front().expect("one was just put there");
        let start = self.start;
        self.at += item.length;
        self.start += in_chrono(item.length);
        let current = Logged { item, start };
        Scene {
            before: self.before.replace(current.clone()),
            current,
            next: self.next(),
        }
    }

    /// What the log says of the items to come.
    fn next(&self) -> Vec<Logged> {
        let mut start = self.start;
        let known = self.to_come.iter().filter(|item| !item.by_hand);
        let logged = known.map(|item| {
            let logged = Logged {
                item: item.clone(),
                start,
            };
            start += in_chrono(item.length);
            logged
        });
        logged.take(SHOWN).collect()
    }
}

fn in_chrono(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).expect("nothing lasts longer than an item")
}
