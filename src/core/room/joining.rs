//! How clients come into a room and go: at once where the room is on this node alone,
//! else once the other nodes know of them. Knows members, and no other node.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::{Joined, Member, PEERS_MOST, Refused, Room, State};
use crate::core::broker::Presence;
use crate::core::client::{Client, ClientKey};
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::name::Nickname;
use crate::core::shard::{Item, Reply};

/// Told how a join has ended, once: in its place among the events, or with the reason.
pub(in crate::core) type Welcome = Box<dyn FnOnce(Result<Joined, Error>) + Send>;

/// How much a client may ask of a room while it is on its way into it, but to leave.
const ASKED_MOST: usize = 64;

/// How many clients may be on their way into a room: a storm of joins is welcome, and
/// each of them waits for one round trip.
const ARRIVALS_MOST: usize = 65_536;

/// Who comes into a room.
#[derive(Clone)]
pub(in crate::core) struct Newcomer {
    pub(in crate::core) client: Arc<Client>,
    pub(in crate::core) name: Nickname,
    /// The last offset that it has seen of the room.
    pub(in crate::core) since: Option<Offset>,
}

/// A client on its way into a room: the other nodes have not heard of it yet.
pub(super) struct Arrival {
    newcomer: Newcomer,
    /// In its order: the last decides whether it is a member then.
    asked: Vec<Asked>,
}

/// What a client on its way has asked.
enum Asked {
    /// To come in, and what it is sent then.
    Join(Option<Offset>, Welcome),
    /// To leave again.
    Leave(Reply),
}

/// What the other nodes are to be told of a client on its way.
pub(in crate::core) struct Arriving {
    /// Whose name it takes over: that one is gone.
    pub(in crate::core) replaces: Option<Presence>,
    /// None where they are being told already.
    pub(in crate::core) enters: Option<Presence>,
}

/// What has become of a client that was on its way.
#[derive(Default)]
pub(in crate::core) struct Arrived {
    /// Who has left: it itself again, or whose name it has taken over.
    pub(in crate::core) left: Vec<Presence>,
    /// It did not get in: to be told once no lock is held.
    pub(in crate::core) refused: Option<Turned>,
}

/// A client that did not get in, and who waits for its answer.
pub(in crate::core) struct Turned {
    pub(in crate::core) client: Arc<Client>,
    welcomes: Vec<(Error, Welcome)>,
    farewells: Vec<Reply>,
}

/// What has become of a room that a client has left.
#[derive(Default)]
pub(in crate::core) struct Departed {
    /// Nobody is in it any more.
    pub(in crate::core) is_empty: bool,
    /// What the other nodes are to be told.
    pub(in crate::core) exits: Option<Presence>,
}

impl Turned {
    /// Answers all that it has asked.
    pub(in crate::core) fn tell(self) {
        for (error, welcome) in self.welcomes {
            welcome(Err(error));
        }
        for farewell in self.farewells {
            farewell();
        }
    }
}

impl Room {
    /// Makes the client a member; `welcome` is called before its backlog.
    ///
    /// A client that is a member already stays one, and is sent nothing again.
    pub(in crate::core) fn join(
        &self,
        newcomer: Newcomer,
        welcome: Welcome,
        tasks: &TaskTracker,
    ) -> Result<(), (Refused, Welcome)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, welcome));
        }
        self.admit(&mut state, newcomer, welcome, None, tasks)
            .map(drop)
    }

    /// Takes note of a client that is on its way into the room.
    pub(in crate::core) fn arrive(
        &self,
        newcomer: Newcomer,
        welcome: Welcome,
        tasks: &TaskTracker,
    ) -> Result<Arriving, (Refused, Welcome)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, welcome));
        }
        let key = newcomer.client.key();
        if let Some(arrival) = state.arrivals.get_mut(&key) {
            if arrival.asked.len() >= ASKED_MOST {
                return Err((Refused::Busy, welcome));
            }
            arrival.asked.push(Asked::Join(newcomer.since, welcome));
            return Ok(Arriving {
                replaces: None,
                enters: None,
            });
        }
        if state.arrivals.len() >= ARRIVALS_MOST {
            return Err((Refused::Busy, welcome));
        }
        let is_member = state.members.contains_key(&key);
        let replaces = match is_member {
            true => None,
            false => self.takes_over(&mut state, &newcomer.name, tasks),
        };
        let name = match state.members.get(&key) {
            Some(member) => member.name.clone(),
            None => newcomer.name.clone(),
        };
        let asked = vec![Asked::Join(newcomer.since, welcome)];
        let arrival = Arrival { newcomer, asked };
        state.arrivals.insert(key, arrival);
        Ok(Arriving {
            replaces,
            enters: Some(Presence { key, name }),
        })
    }

    /// The other nodes know of the client: it is a member. `total` is how many there
    /// are on all of them.
    pub(in crate::core) fn arrived(
        &self,
        key: ClientKey,
        total: Option<usize>,
        tasks: &TaskTracker,
    ) -> Arrived {
        self.let_in(&mut self.lock(), key, total, tasks)
    }

    /// The client does not get in; who is a member already stays one.
    pub(in crate::core) fn turned_away(
        &self,
        key: ClientKey,
        error: Error,
        tasks: &TaskTracker,
    ) -> Arrived {
        self.ends_arrival(&mut self.lock(), key, Err(error), tasks)
    }

    /// Nobody who is on the way gets in.
    pub(in crate::core) fn all_turned_away(
        &self,
        error: &Error,
        tasks: &TaskTracker,
    ) -> Vec<Arrived> {
        let mut state = self.lock();
        let keys: Vec<_> = state.arrivals.keys().copied().collect();
        let turned = keys.into_iter();
        turned
            .map(|key| self.ends_arrival(&mut state, key, Err(error.clone()), tasks))
            .collect()
    }

    pub(super) fn let_in(
        &self,
        state: &mut State,
        key: ClientKey,
        total: Option<usize>,
        tasks: &TaskTracker,
    ) -> Arrived {
        self.ends_arrival(state, key, Ok(total), tasks)
    }

    /// Does all that a client has asked on its way, in its order.
    fn ends_arrival(
        &self,
        state: &mut State,
        key: ClientKey,
        entered: Result<Option<usize>, Error>,
        tasks: &TaskTracker,
    ) -> Arrived {
        let Some(Arrival { newcomer, asked }) = state.arrivals.remove(&key) else {
            return Arrived::default();
        };
        let mut left = Vec::new();
        let mut gone = None;
        let (mut welcomes, mut farewells) = (Vec::new(), Vec::new());
        for asked in asked {
            match (asked, &entered) {
                (Asked::Join(_, welcome), Err(error)) => welcomes.push((error.clone(), welcome)),
                (Asked::Join(since, welcome), Ok(total)) => {
                    let newcomer = Newcomer {
                        since,
                        ..newcomer.clone()
                    };
                    match self.admit(state, newcomer, welcome, *total, tasks) {
                        Ok(replaced) => left.extend(replaced),
                        Err((why, unused)) => welcomes.push((why.at_joining(), unused)),
                    }
                }
                (Asked::Leave(farewell), _) if state.members.contains_key(&key) => {
                    gone = self.let_go(state, key, farewell, tasks);
                }
                (Asked::Leave(farewell), _) => farewells.push(farewell),
            }
        }
        if !state.members.contains_key(&key) {
            // Whom the other nodes know is to be taken back.
            let name = newcomer.name;
            let known = entered.is_ok().then_some(Presence { key, name });
            left.extend(gone.or(known));
        }
        let is_done = welcomes.is_empty() && farewells.is_empty();
        let turned = Turned {
            client: newcomer.client,
            welcomes,
            farewells,
        };
        Arrived {
            left,
            refused: (!is_done).then_some(turned),
        }
    }

    /// Makes the client a member, unless it is one; tells whose name it has taken over,
    /// where other nodes are to be told.
    fn admit(
        &self,
        state: &mut State,
        newcomer: Newcomer,
        welcome: Welcome,
        total: Option<usize>,
        tasks: &TaskTracker,
    ) -> Result<Option<Presence>, (Refused, Welcome)> {
        let Newcomer {
            client,
            name,
            since,
        } = newcomer;
        let known = state.members.get(&client.key());
        let known = known.map(|member| (member.shard, member.from, member.number));
        let shard = match known {
            Some((shard, ..)) => shard,
            None => self.shard_for(client.key(), state.members.len()),
        };
        if !self.shards[shard].takes_items() {
            return Err((Refused::Busy, welcome));
        }
        if self.lobby.is_some() && known.is_none() {
            if state.members.len() >= PEERS_MOST {
                return Err((Refused::Crowded, welcome));
            }
            if !self.takes_events() {
                return Err((Refused::Busy, welcome));
            }
        }
        let is_ahead = known.is_some_and(|(_, _, number)| number <= state.early.ahead());
        let (backlog, recovered) = match (known, since) {
            (Some((_, from, _)), Some(since)) => {
                let sent = state.offsets.has_been(since) && since.number >= from;
                (Vec::new(), sent && !is_ahead)
            }
            (Some(_), None) => (Vec::new(), false),
            (None, Some(since)) => state.missed(since),
            (None, None) => (state.kept.current(), false),
        };
        let joins_as = name.clone();
        let mut replaced = None;
        if known.is_none() {
            let from = match since {
                Some(since) if recovered => since.number,
                _ => state.offsets.last().number,
            };
            // Before the new one hears anything: it is told who is there instead.
            replaced = self.takes_over(state, &name, tasks);
            self.has_come(state, &name, &client, tasks);
            state.joins += 1;
            let number = state.joins;
            let member = Member {
                name,
                shard,
                from,
                number,
            };
            state.members.insert(client.key(), member);
        }
        let everywhere = state.members.len() + state.elsewhere.len();
        let joined = Joined {
            room: self.name.clone(),
            clients: total.unwrap_or(everywhere).max(everywhere),
            offset: match is_ahead {
                true => state.early.in_place_of(state.offsets.last()),
                false => state.offsets.last(),
            },
            recovered,
            peers: self.others(state, client.key()),
        };
        let welcome: Reply = Box::new(move || welcome(Ok(joined)));
        let item = if known.is_some() {
            Item::Reply(welcome)
        } else {
            Item::Join {
                client,
                welcome,
                backlog,
                number: state.joins,
            }
        };
        let number = self.shards[shard].push(item, tasks);
        if known.is_none() {
            state.has_done(&joins_as, number);
        }
        Ok(replaced)
    }

    /// Ends the membership; `farewell` is called behind the client's last event.
    pub(in crate::core) fn leave(
        &self,
        key: ClientKey,
        farewell: Reply,
        tasks: &TaskTracker,
    ) -> Departed {
        let mut state = self.lock();
        if let Some(arrival) = state.arrivals.get_mut(&key) {
            // In its turn, behind the answer to its join.
            arrival.asked.push(Asked::Leave(farewell));
            return Departed::default();
        }
        if !state.members.contains_key(&key) {
            drop(state);
            farewell();
            return Departed::default();
        }
        let exits = self.let_go(&mut state, key, farewell, tasks);
        Departed {
            is_empty: state.is_empty(),
            exits,
        }
    }

    /// What the other nodes are to be told, if there are any.
    pub(super) fn let_go(
        &self,
        state: &mut State,
        key: ClientKey,
        farewell: Reply,
        tasks: &TaskTracker,
    ) -> Option<Presence> {
        let member = state.members.remove(&key)?;
        state.mute(&member.name, key);
        self.shards[member.shard].push(Item::Leave { key, farewell }, tasks);
        self.has_gone(state, &member.name, key, tasks);
        let name = member.name;
        self.shared.then_some(Presence { key, name })
    }
}

impl Arrival {
    /// What it will be called.
    pub(super) fn name(&self) -> Nickname {
        self.newcomer.name.clone()
    }
}
