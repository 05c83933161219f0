//! What becomes of Redis' answers. Knows what was asked; no connection.

use ::redis::{FromRedisValue, RedisError, Value, from_redis_value};
use tracing::{debug, warn};

use super::Running;
use crate::core::durable::Contents;
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::hub::Entered;
use crate::core::name::{Nickname, RoomId};
use crate::core::namespace::ROOMS_MOST;
use crate::core::presence::{Clients, Page};
use crate::core::terms::Terms;
use crate::core::token::TokenHash;
use crate::redis::frame;
use crate::redis::job::{Job, Outgoing, name_of};
use crate::redis::rules::Rules;

/// What has become of a job.
pub(super) enum Outcome {
    /// It is done, or refused, as was said to whoever wanted it.
    Done,
    /// It is not: Redis has forgotten what this node knows of the room.
    Forgotten(Job),
    /// It is not: something is wrong with Redis, and not with the job.
    Failed(Job, RedisError),
}

impl Running {
    /// Takes the answer to a job.
    pub(super) fn answered(&mut self, job: Job, answer: Value) -> Outcome {
        if let Value::ServerError(refusal) = answer {
            return match (refusal.code(), job.room()) {
                ("BEHIND", Some(_)) => Outcome::Forgotten(job),
                (code, room) => match why(code, room) {
                    Some(error) => {
                        self.refused(job, error);
                        Outcome::Done
                    }
                    None => Outcome::Failed(job, refusal.into()),
                },
            };
        }
        match job {
            Job::Publish(mut outgoing) => match read::<String>(answer) {
                Some(place) => match frame::read_place(&place) {
                    Ok((offset, ..)) => {
                        self.is_placed(&outgoing, offset);
                        outgoing.succeed(offset);
                    }
                    Err(_) => outgoing.fail(Error::Busy),
                },
                None => outgoing.fail(Error::Busy),
            },
            Job::Enter(room, who) => {
                let (total, known) = read::<(usize, u8)>(answer).unwrap_or_default();
                let is_lobby = self.rules(&room).is_some_and(|rules| rules.is_lobby);
                // What says so to all peers lets it in as well, in its turn.
                if !is_lobby || known == 1 {
                    self.hub.entered(&room, who.key, Entered::In(Some(total)));
                }
                if !is_lobby && !self.hub.is_there(&room, who.key) {
                    // It has come into the next room of that name, or has left.
                    self.jobs.push(Job::exit(room, who));
                }
            }
            Job::Clients(room, page, told) => {
                let found = self.rules(&room).map(|rules| clients(answer, page, rules));
                let found = found.ok_or(Error::Busy);
                told.into_iter().for_each(|told| told(found.clone()));
            }
            // Whoever asked may have gone.
            Job::Terms(_, tell) => drop(tell.send(Ok(terms(answer)))),
            Job::Count(room, terms, tell) => match read::<usize>(answer) {
                Some(count) if count < ROOMS_MOST => {
                    self.urgent.push_back(Job::Create(room, terms, tell));
                }
                _ => drop(tell.send(Err(Error::Full(room.namespace.to_string())))),
            },
            Job::Create(room, _, tell) => {
                self.jobs.push(Job::Counted(room, true));
                drop(tell.send(Ok(())));
            }
            Job::Delete(room, _, tell) => {
                self.jobs.push(Job::Counted(room, false));
                drop(tell.send(Ok(())));
            }
            Job::Sync(room, all) => self.synced(&room, all, answer),
            Job::Seed(room, ..) => self.urgent.push_front(Job::Sync(room, true)),
            Job::Renew(room) => {
                if read::<u8>(answer) == Some(0) {
                    self.urgent.push_back(Job::Refresh(room, false));
                }
            }
            Job::Exit(_)
            | Job::Lost(..)
            | Job::Follow(_)
            | Job::Subscribe(_)
            | Job::Unsubscribe(_)
            | Job::Refresh(..)
            | Job::Ask(..)
            | Job::Question(..)
            | Job::Answer(..)
            | Job::Listen
            | Job::Counted(..)
            | Job::Ping => {}
        }
        Outcome::Done
    }

    /// Redis has stored an event at this offset. If this node has already passed the offset, the
    /// event was among those that the room was loaded with, and Redis does not deliver it again.
    fn is_placed(&self, outgoing: &Outgoing, place: Offset) {
        let room = outgoing.room();
        let at = self.followers.get(&room).and_then(|follower| follower.at);
        let is_behind = at.is_some_and(|at| at.epoch == place.epoch && at.number >= place.number);
        if let (true, true, Some(id)) = (outgoing.is_heard, is_behind, outgoing.publication.id) {
            self.hub.comes_no_more(&room, id);
        }
    }

    pub(super) fn refused(&mut self, job: Job, error: Error) {
        if let (Some(room), Some(id)) = (job.room(), job.event()) {
            self.hub.comes_no_more(&room, id);
        }
        match job {
            Job::Question(_, number, _) => self.not_asked(number, error),
            Job::Publish(outgoing) => {
                let error = match error {
                    Error::NoPeer(_) => Error::NoPeer(outgoing.peer()),
                    error => error,
                };
                outgoing.fail(error);
            }
            Job::Enter(room, who) => self.hub.entered(&room, who.key, Entered::Refused(error)),
            Job::Clients(_, _, told) => told.into_iter().for_each(|told| told(Err(error.clone()))),
            Job::Terms(_, tell) => drop(tell.send(Err(error))),
            Job::Count(_, _, tell) | Job::Create(_, _, tell) | Job::Delete(_, _, tell) => {
                drop(tell.send(Err(error)));
            }
            Job::Sync(room, _) if matches!(error, Error::NotCreated(_)) => self.ended(&room),
            Job::Sync(room, _) | Job::Seed(room, ..) => {
                warn!(%room, %error, "Redis does not take a room; it is asked again later");
                for job in self.jobs.take_of(&room) {
                    self.refused(job, error.clone());
                }
                self.is_known(&room);
            }
            _ => warn!(%error, "Redis has refused something"),
        }
    }

    /// Tells Redis of a room what it has forgotten.
    pub(super) fn seed(&mut self, room: &RoomId) {
        let at = self.followers.get(room).and_then(|follower| follower.at);
        if let Some(at) = at {
            let contents = self.common(room);
            debug!(%room, "Redis knows less of a room than this node: it goes on in a new epoch");
            self.forgotten += 1;
            let seed = Job::Seed(room.clone(), at, contents);
            self.urgent.push_front(seed);
        }
    }
}

impl Running {
    /// What this node knows of what all nodes have in a room.
    pub(super) fn common(&self, room: &RoomId) -> Contents {
        let follower = self.followers.get(room);
        let before = follower.and_then(|follower| follower.common.clone());
        before
            .or_else(|| Some(self.hub.contents(room)?.1))
            .unwrap_or_default()
    }
}

/// Why something is not done, where that is the matter of who wants it.
fn why(code: &str, room: Option<RoomId>) -> Option<Error> {
    let room = room?;
    let name = room.room.to_string();
    match code {
        "NOTCREATED" => Some(Error::NotCreated(name)),
        "WRONGTOKEN" => Some(Error::WrongToken(name)),
        "EXISTS" => Some(Error::RoomExists(name)),
        "CROWDED" => Some(Error::Crowded(crate::core::room::PEERS_MOST)),
        "NOPEER" => Some(Error::NoPeer(name)),
        "OOM" => Some(Error::Full(room.namespace.to_string())),
        // What another program has written there harms this room alone.
        "WRONGTYPE" => Some(Error::Busy),
        _ => None,
    }
}

pub(super) fn read<T: FromRedisValue>(answer: Value) -> Option<T> {
    match from_redis_value(answer) {
        Ok(read) => Some(read),
        Err(error) => {
            warn!(%error, "an answer of Redis can't be read");
            None
        }
    }
}

fn clients(answer: Value, page: Page, rules: &Rules) -> Clients {
    let (total, mut members) = read::<(usize, Vec<(String, u64)>)>(answer).unwrap_or_default();
    members.sort_by_key(|(_, came)| *came);
    let named = members.iter().map(|(member, came)| {
        let name = Nickname::stored(name_of(member, rules));
        (*came, name.ok())
    });
    page.of(named, total)
}

/// The names of members, those who came first first.
pub(super) fn names(mut members: Vec<(String, f64)>, rules: &Rules) -> Vec<Nickname> {
    members.sort_by(|one, other| one.1.total_cmp(&other.1));
    let names = members.iter().map(|(member, _)| name_of(member, rules));
    names
        .filter_map(|name| Nickname::stored(name).ok())
        .collect()
}

/// What was laid down for a room, if it was created.
pub(super) fn terms(answer: Value) -> Option<Terms> {
    type Written = (Option<Vec<u8>>, Option<u8>, Option<usize>);
    let (token, retain, history): Written = read(answer)?;
    Some(Terms {
        token_hash: TokenHash::stored(&token?)?,
        retain: retain? == 1,
        history: history?,
    })
}
