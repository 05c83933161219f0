//! The jobs that wait for Redis, and the events that the other nodes have not received yet.
//! Bounded; knows no connection and no room.

use std::collections::{HashSet, VecDeque};

use tracing::warn;
use uuid::Uuid;

use crate::core::name::RoomId;
use crate::redis::job::{Job, Leaving};

/// How many publications wait for Redis while it does not answer, and how many bytes of them;
/// beyond that the node drops the oldest. A quarter of an hour of ten events a second.
const HEARD_MOST: usize = 10_000;
const HEARD_BYTES_MOST: usize = 64 << 20;

/// The jobs that wait for Redis, oldest first.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: VecDeque<Job>,
    /// How many of them are events that this node's clients have received, and their bytes.
    heard: usize,
    heard_bytes: usize,
    /// The bytes of the other jobs.
    unheard_bytes: usize,
    /// How many events were dropped since Redis last answered.
    dropped: usize,
    /// The rooms with dropped events for which a [`Job::Lost`] waits.
    lost: HashSet<RoomId>,
}

/// A dropped event.
pub(super) struct Dropped {
    pub(super) room: RoomId,
    pub(super) id: Option<Uuid>,
    /// The id of the new [`Job::Lost`] of the room; `None` if one was waiting already.
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

    /// How many jobs wait, and the bytes of those whose events no client has received yet.
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

    /// Removes and returns the jobs of this room.
    pub(super) fn take_of(&mut self, room: &RoomId) -> Vec<Job> {
        let (of_room, others) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| job.room().as_ref() == Some(room));
        self.jobs = others;
        let of_room: VecDeque<_> = of_room;
        of_room.iter().for_each(|job| self.discount(job));
        of_room.into()
    }

    /// How many events the other nodes have not received yet.
    pub(super) fn heard_count(&self) -> usize {
        self.heard
    }

    /// Returns how many events were dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// Logs, at the end, how many events the other nodes will not receive.
    pub(super) fn say_what_is_lost(&self) {
        if self.heard > 0 {
            let events = self.heard;
            warn!(
                events,
                "the other nodes will not receive some events of this node"
            );
        }
    }

    /// Adds an event that this node's clients have received; drops the oldest ones if too many
    /// wait. Puts a [`Job::Lost`] in the place of the first event of a room that it drops.
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
                // A dropped exit needs no note: the node reports its members again later.
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

/// The bytes of a job whose event this node's clients have received; `None` for other jobs.
fn heard_bytes(job: &Job) -> Option<usize> {
    match job {
        Job::Publish(outgoing) if outgoing.is_heard => Some(outgoing.weight()),
        Job::Exit(leaving) if leaving.is_heard => Some(size_of::<Leaving>()),
        _ => None,
    }
}

/// Whether a job can be dropped for newer ones. An event that Redis may have stored is kept: it
/// comes back, and the room recognises it.
fn may_be_dropped(job: &Job) -> bool {
    let may_be_done = matches!(job, Job::Publish(outgoing) if outgoing.may_be_done);
    heard_bytes(job).is_some() && !may_be_done
}
