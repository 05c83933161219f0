//! What is asked of Redis, in batches, one under way at a time. Knows that there may be no
//! answer; what is done then stands in `alone`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use super::answers::Outcome;
use super::{LinkState, PART, Running, SYNC_LIMIT, no_answer};
use crate::core::broker::Told;
use crate::core::name::RoomId;
use crate::core::panics::catch;
use crate::core::presence::Page;
use crate::redis::job::{Context, Job, LEASE};
use ::redis::{RedisError, RedisResult, Value};
use tokio::time::{Instant, timeout_at};

/// After how long without an answer a node goes on alone: longer than Redis takes for
/// anything, and a track that comes so late is still on time.
const ANSWER_LIMIT: Duration = Duration::from_millis(250);

/// How much is asked in one batch: some milliseconds of Redis.
pub(super) const BATCH_MOST: usize = 256;

/// How many bytes are asked in one batch, about: what a modest line takes within the
/// limit for its answer.
const BATCH_BYTES: usize = 1 << 20;

/// How much of what is done time and again is in one batch, and how much of that which
/// takes Redis longer: so what clients want never waits for much of it.
const CHORES_MOST: usize = 64;
const LONG_CHORES_MOST: usize = 4;

/// How many rooms are asked for in one batch.
const SYNCS_MOST: usize = 16;

type Answers = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>;

/// A batch that has no answer yet.
pub(super) struct Flying {
    jobs: Vec<Job>,
    pub(super) answers: Answers,
}

pub(super) async fn answered(flying: &mut Option<Flying>) -> RedisResult<Vec<Value>> {
    match flying {
        Some(flying) => (&mut flying.answers).await,
        None => pending().await,
    }
}

impl Running {
    /// Sends off the next batch.
    pub(super) fn take_off(&mut self) {
        let (link, since) = match &self.link {
            LinkState::Open { link, since, .. } => (link.clone(), *since),
            LinkState::Opening(_) | LinkState::Closed(_) => return,
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
            syncs += usize::from(is_long(&job));
            bytes += job.weight();
            jobs.push(job);
            if syncs >= SYNCS_MOST {
                break;
            }
        }
        syncs += self.take_chores(&mut jobs);
        let jobs = share_answers(jobs);
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
                present: match job {
                    Job::Refresh(room, _) => self.hub.present(room),
                    _ => Vec::new(),
                },
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
        let answers = async move {
            let answers = timeout_at(limit, link.ask(asks)).await;
            answers.unwrap_or_else(|_| Err(no_answer()))
        };
        self.flying = Some(Flying {
            jobs,
            answers: Box::pin(answers),
        });
    }

    /// Adds some of what is done time and again; tells how much of it takes long.
    fn take_chores(&mut self, jobs: &mut Vec<Job>) -> usize {
        let mut long = 0;
        for _ in 0..CHORES_MOST {
            if long >= LONG_CHORES_MOST {
                break;
            }
            let Some(job) = self.chores.pop_front() else {
                break;
            };
            long += usize::from(is_long(&job));
            jobs.push(job);
        }
        long
    }

    /// The batch has its answers, or there will be none.
    pub(super) fn land(&mut self, answers: RedisResult<Vec<Value>>) {
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
            let room = job.room();
            let Some(outcome) = catch(PART, || self.answered(job, answer)) else {
                // The jobs of the other rooms continue.
                room.iter().for_each(|room| self.is_known(room));
                continue;
            };
            match outcome {
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
            // It may have been ended since, or given up.
            if self.followers.contains_key(&room) {
                // Nothing else is done before that, so that all keeps its order.
                self.unknown.insert(room.clone());
                self.seed(&room);
            }
        }
        for job in again.into_iter().rev() {
            self.jobs.put_back(job);
        }
    }

    /// Redis does not answer these any more: the connection is given up.
    pub(super) fn fail(&mut self, unanswered: Vec<Job>, error: &RedisError) {
        self.take_what_came();
        for job in unanswered.into_iter().rev() {
            let came = job.event().and_then(|id| self.came.remove(&id)).flatten();
            match (job, came) {
                (Job::Publish(mut outgoing), Some(place)) => outgoing.succeed(place),
                (Job::Exit(_), Some(_)) => {}
                (Job::Publish(mut outgoing), None) => {
                    outgoing.may_be_done = true;
                    self.jobs.put_back(Job::Publish(outgoing));
                }
                (job, _) => self.jobs.put_back(job),
            }
        }
        if let LinkState::Open { .. } = self.link {
            metrics::counter!("roomcast_broker_outages_total").increment(1);
            self.has_failed(error, "Redis does not answer");
        }
        self.go_alone();
    }

    /// The connection is gone: what is under way has no answer.
    pub(super) fn lose(&mut self) {
        if let LinkState::Open { .. } = self.link {
            let jobs = self.flying.take().map(|flying| flying.jobs);
            self.fail(jobs.unwrap_or_default(), &no_answer());
        }
    }
}

fn is_long(job: &Job) -> bool {
    matches!(job, Job::Sync(..) | Job::Seed(..) | Job::Refresh(..))
}

/// Merges the requests for the same page of a room's clients in a batch, because the answer
/// may be large: all receive the answer to the last one.
fn share_answers(jobs: Vec<Job>) -> Vec<Job> {
    let mut shared: Vec<Job> = Vec::with_capacity(jobs.len());
    let mut asking: HashMap<(RoomId, Page), Vec<Told>> = HashMap::new();
    for job in &jobs {
        if let Job::Clients(room, page, _) = job {
            asking.entry((room.clone(), *page)).or_default();
        }
    }
    for job in jobs.into_iter().rev() {
        match job {
            Job::Clients(room, page, told) => match asking.get_mut(&(room.clone(), page)) {
                Some(all) if all.is_empty() => {
                    all.extend(told);
                    shared.push(Job::Clients(room, page, Vec::new()));
                }
                Some(all) => all.extend(told),
                None => shared.push(Job::Clients(room, page, told)),
            },
            job => shared.push(job),
        }
    }
    for job in &mut shared {
        if let Job::Clients(room, page, told) = job {
            let asked = asking.remove(&(room.clone(), *page));
            told.extend(asked.unwrap_or_default());
        }
    }
    shared.reverse();
    shared
}
