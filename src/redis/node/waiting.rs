//! What waits to be asked of Redis, and what the other nodes have not received yet. Bounded;
//! knows no connection and no room.

use std::collections::{HashSet, VecDeque};

use tracing::warn;
use uuid::Uuid;

use crate::core::name::RoomId;
use crate::redis::job::{Job, Leaving};

/// How many publications wait for Redis while it does not answer, and how many bytes of
/// them; beyond it the oldest is dropped. A quarter of an hour of ten events a second.
const HEARD_MOST: usize = 10_000;
const HEARD_BYTES_MOST: usize = 64 << 20;

/// What waits to be asked of Redis.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: VecDeque<Job>,
    /// How many of them this node's clients have heard, and how many bytes these take.
    heard: usize,
    heard_bytes: usize,
    /// How many bytes the others take.
    unheard_bytes: usize,
    /// How many were dropped since Redis answered last.
    dropped: usize,
    /// The rooms of which events were dropped, as a job among these is to say.
    lost: HashSet<RoomId>,
}

/// An event that was dropped.
pub(super) struct Dropped {
    pub(super) room: RoomId,
    pub(super) id: Option<Uuid>,
    /// By what the clients of this node know the job that says it, if it is new.
    pub(super) note: Option<Uuid>,
}

impl Waiting {
    pub(super) fn push(&mut self, job: Job) {
        self.count(&job);
        self.jobs.push_back(job);
    }

    pub(super) fn extend(&mut self, jobs: impl IntoIterator<Item = Job>) {
        jobs.into_iter().for_each(|job| self.push(job));
    }

    /// How many wait, and how many bytes of them nobody has heard yet.
    pub(super) fn undone(&self) -> (usize, usize) {
        (self.jobs.len(), self.unheard_bytes)
    }

    pub(super) fn put_back(&mut self, job: Job) {
        self.count(&job);
        self.jobs.push_front(job);
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.discount(&job);
        Some(job)
    }

    /// Takes out all that is about this room.
    pub(super) fn take_of(&mut self, room: &RoomId) -> Vec<Job> {
        let (of_room, others) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| job.room().as_ref() == Some(room));
        self.jobs = others;
        let of_room: VecDeque<_> = of_room;
        of_room.iter().for_each(|job| self.discount(job));
        of_room.into()
    }

    /// How many events the other nodes have not heard yet.
    pub(super) fn heard_count(&self) -> usize {
        self.heard
    }

    /// How many were dropped since this was asked last.
    pub(super) fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// Says at the end what nobody will hear.
    pub(super) fn say_what_is_lost(&self) {
        if self.heard > 0 {
            let events = self.heard;
            warn!(
                events,
                "the other nodes will not receive some events of this node"
            );
        }
    }

    /// Keeps what this node's clients have heard; the oldest is dropped for it. In the place
    /// of the first that is dropped of a room, the other nodes are told that it was lost.
    pub(super) fn keep(&mut self, job: Job) -> Vec<Dropped> {
        self.push(job);
        let mut all = Vec::new();
        while self.heard > HEARD_MOST || self.heard_bytes > HEARD_BYTES_MOST {
            let Some(at) = self.jobs.iter().position(may_be_dropped) else {
                break;
            };
            let Some(job) = self.jobs.remove(at) else {
                break;
            };
            self.discount(&job);
            let (room, id) = (job.room(), job.event());
            if let Some(room) = room {
                // Who has left is said when this node says who is there.
                let is_event = matches!(job, Job::Publish(_));
                let is_new = is_event && !self.lost.contains(&room);
                let note = is_new.then(Uuid::new_v4);
                if let Some(note) = note {
                    let lost = Job::Lost(room.clone(), note);
                    self.count(&lost);
                    self.jobs.insert(at, lost);
                }
                all.push(Dropped { room, id, note });
            }
            if self.dropped == 0 {
                warn!(
                    most = HEARD_MOST,
                    "more events wait for Redis than this node keeps: it drops the oldest"
                );
            }
            self.dropped += 1;
            metrics::counter!("roomcast_broker_dropped_total").increment(1);
        }
        all
    }

    fn count(&mut self, job: &Job) {
        if let Job::Lost(room, _) = job {
            self.lost.insert(room.clone());
        }
        match heard_bytes(job) {
            Some(bytes) => {
                self.heard += 1;
                self.heard_bytes += bytes;
            }
            None => self.unheard_bytes += job.published_bytes(),
        }
    }

    fn discount(&mut self, job: &Job) {
        if let Job::Lost(room, _) = job {
            self.lost.remove(room);
        }
        match heard_bytes(job) {
            Some(bytes) => {
                self.heard -= 1;
                self.heard_bytes -= bytes;
            }
            None => self.unheard_bytes -= job.published_bytes(),
        }
    }
}

/// How many bytes a job takes that this node's clients have heard of.
fn heard_bytes(job: &Job) -> Option<usize> {
    match job {
        Job::Publish(outgoing) if outgoing.is_heard => Some(outgoing.weight()),
        Job::Exit(leaving) if leaving.is_heard => Some(size_of::<Leaving>()),
        _ => None,
    }
}

/// Whether a job can be dropped for newer ones. What Redis may have done comes back, and is
/// recognised.
fn may_be_dropped(job: &Job) -> bool {
    let may_be_done = matches!(job, Job::Publish(outgoing) if outgoing.may_be_done);
    heard_bytes(job).is_some() && !may_be_done
}
