//! A node that Redis does not answer: it delivers to its own clients, under epochs of its
//! own, and keeps for the others what they have not heard. Knows no connection.

use chrono::Utc;
use tracing::warn;

use super::waiting::Dropped;
use super::{PART, Running};
use crate::core::broker::Presence;
use crate::core::error::Error;
use crate::core::event::{Epoch, Kind, Offset, Order, To};
use crate::core::hub::Entered;
use crate::core::name::RoomId;
use crate::core::panics::catch;
use crate::core::room::Loaded;
use crate::redis::follower::State;
use crate::redis::job::{Job, Leaving, Outgoing, announcement};
use crate::redis::rules::Need;

impl Running {
    /// Keeps an event that this node's clients have received until Redis takes it.
    fn keep(&mut self, job: Job) {
        for Dropped { room, id, note } in self.jobs.keep(job) {
            if let Some(id) = id {
                self.hub.comes_no_more(&room, id);
            }
            if let Some(note) = note {
                self.hub.received_early(&room, note);
            }
        }
    }

    /// Nobody answers: all that waits is done here.
    pub(super) fn go_alone(&mut self) {
        self.shared
            .connected
            .store(false, std::sync::atomic::Ordering::Relaxed);
        metrics::gauge!("roomcast_broker_connected").set(0.0);
        self.urgent.clear();
        self.chores.clear();
        self.unknown.clear();
        let rooms: Vec<_> = self.followers.keys().cloned().collect();
        for room in rooms {
            self.lose_sight_of(&room);
        }
        let mut waiting = Vec::new();
        while let Some(job) = self.jobs.pop() {
            waiting.push(job);
        }
        for job in waiting {
            catch(PART, || self.do_alone(job));
        }
    }

    /// Goes on alone in a room.
    pub(super) fn lose_sight_of(&mut self, room: &RoomId) {
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        follower.state = State::Alone;
        let is_created = self.rules.get(&room.namespace);
        let is_created = is_created.is_some_and(|rules| rules.need == Need::Created);
        // Whether there is such a room at all, nobody can say.
        if follower.at.is_none() && !is_created {
            follower.alone_since.get_or_insert_with(Utc::now);
            let at = Offset {
                epoch: Epoch::random(),
                number: 0,
            };
            let loaded = Loaded {
                at,
                contents: None,
                terms: None,
                elsewhere: Vec::new(),
                is_complete: false,
            };
            self.hub.load(room, loaded);
        }
    }

    /// Does without the others what can be done without them.
    pub(super) fn do_alone(&mut self, job: Job) {
        match job {
            Job::Publish(outgoing) => self.publish_alone(outgoing),
            Job::Enter(room, who) => self.enter_alone(room, who),
            Job::Exit(leaving) => self.exit_alone(leaving),
            job @ Job::Lost(..) => self.jobs.push(job),
            Job::Clients(room, page, told) => {
                let here = self.hub.clients_here(&room, page);
                told.into_iter().for_each(|told| told(Ok(here.clone())));
            }
            Job::Terms(_, tell) => drop(tell.send(Err(Error::Alone))),
            Job::Ask(_, _, tell) => drop(tell.send(Err(Error::Alone))),
            Job::Question(_, number, _) => self.not_asked(number, Error::Alone),
            Job::Count(_, _, tell) | Job::Create(_, _, tell) | Job::Delete(_, _, tell) => {
                // Whoever asked may have gone.
                drop(tell.send(Err(Error::Alone)));
            }
            // All that is asked again once there is a connection.
            Job::Follow(_)
            | Job::Subscribe(_)
            | Job::Unsubscribe(_)
            | Job::Sync(..)
            | Job::Seed(..)
            | Job::Renew(_)
            | Job::Refresh(..)
            | Job::Listen
            | Job::Counted(..)
            | Job::Ping => {}
            // Whoever waits for it waits no longer by then.
            Job::Answer(..) => {}
        }
    }

    fn publish_alone(&mut self, mut outgoing: Box<Outgoing>) {
        if outgoing.is_heard {
            return self.keep(Job::Publish(outgoing));
        }
        let room = outgoing.room();
        let need = self.rules.get(&room.namespace).map(|rules| rules.need);
        let is_elsewhere = need != Some(Need::Nothing) && !self.hub.is_open(&room);
        if is_elsewhere {
            return outgoing.fail(Error::Alone);
        }
        let to_one = matches!(outgoing.publication.to, To::Peer(_));
        self.has_own(&room);
        match self.hub.deliver(outgoing.publication.clone(), Order::Here) {
            Ok(offset) => {
                outgoing.succeed(offset);
                outgoing.is_heard = true;
                if !to_one {
                    self.keep(Job::Publish(outgoing));
                }
            }
            // It may be on another node.
            Err(Error::NoPeer(_)) => outgoing.fail(Error::Alone),
            Err(error) => outgoing.fail(error),
        }
    }

    fn enter_alone(&mut self, room: RoomId, who: Presence) {
        let rules = self.rules.get(&room.namespace);
        let is_lobby = rules.is_some_and(|rules| rules.is_lobby);
        let is_created = rules.is_some_and(|rules| rules.need == Need::Created);
        let follower = self.followers.get(&room);
        if is_created && follower.is_none_or(|follower| follower.at.is_none()) {
            let refused = Entered::Refused(Error::Alone);
            return self.hub.entered(&room, who.key, refused);
        }
        if is_lobby {
            self.has_own(&room);
            let joined = announcement(&room, Kind::Joined, &who, None);
            if let Err(error) = self.hub.deliver(joined, Order::Here) {
                return self.hub.entered(&room, who.key, Entered::Refused(error));
            }
        }
        // In a lobby it is in by that, unless it was already.
        self.hub.entered(&room, who.key, Entered::In(None));
    }

    fn exit_alone(&mut self, mut leaving: Box<Leaving>) {
        let rules = self.rules.get(&leaving.room.namespace);
        if !rules.is_some_and(|rules| rules.is_lobby) {
            // Who is in a room is said once there is a connection.
            return;
        }
        if !leaving.is_heard {
            leaving.is_heard = true;
            self.has_own(&leaving.room);
            if let Err(error) = self.hub.deliver(leaving.announcement(), Order::Here) {
                let room = &leaving.room;
                warn!(%room, %error, "peers do not hear that one of them has left");
            }
        }
        self.keep(Job::Exit(leaving));
    }

    /// Something is delivered in a room that has no place among the others' yet: what all
    /// nodes have is kept aside, since it may be that Redis has to be told.
    fn has_own(&mut self, room: &RoomId) {
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        if !follower.has_own {
            follower.common = self.hub.contents(room).map(|(_, contents)| contents);
            follower.has_own = true;
        }
    }
}
