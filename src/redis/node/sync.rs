//! How a node gets to know what a room has: at first, where something is missing, and
//! when Redis answers again. Knows how a room is told of it, not how Redis is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::redis::Value;
use tracing::{info, warn};

use super::Running;
use super::answers::{names, read, terms};
use super::places::{Placed, goes_on_behind, is_another_life, new_from, placed, since};
use crate::core::durable::Contents;
use crate::core::error::Error;
use crate::core::event::{Event, Offset};
use crate::core::name::RoomId;
use crate::core::room::Loaded;
use crate::redis::follower::{Follower, State};
use crate::redis::frame;
use crate::redis::job::Job;

/// What Redis says of a room.
type Answer = (
    String,
    String,
    u64,
    Vec<String>,
    HashMap<String, String>,
    Value,
    Vec<(String, f64)>,
    u8,
    (Option<String>, Option<u64>),
);

impl Running {
    /// The hub has opened a room.
    pub(super) fn follow(&mut self, room: RoomId) {
        let is_alone = self.is_alone();
        let follower = Follower::new(State::Asking);
        self.followers.insert(room.clone(), follower);
        if is_alone {
            return self.lose_sight_of(&room);
        }
        if !self.shared.connected.load(Ordering::Relaxed) {
            self.unknown.insert(room.clone());
        }
        self.urgent.push_back(Job::Subscribe(room.clone()));
        self.urgent.push_back(Job::Sync(room, true));
    }

    /// There is a connection: all rooms are asked for, and told who is in them here.
    pub(super) fn catch_up(&mut self) {
        self.urgent.clear();
        self.urgent.push_back(Job::Listen);
        for (room, follower) in &mut self.followers {
            follower.state = State::Asking;
            let all = follower.has_own || follower.at.is_none();
            self.unknown.insert(room.clone());
            self.urgent.push_back(Job::Subscribe(room.clone()));
            // Also where nobody is in it any more: they may have left meanwhile.
            self.urgent.push_back(Job::Refresh(room.clone(), false));
            self.urgent.push_back(Job::Sync(room.clone(), all));
        }
        self.is_whole();
    }

    /// Forgets a room that is not there any more.
    pub(super) fn forget(&mut self, room: &RoomId) {
        self.followers.remove(room);
        self.is_known(room);
    }

    /// Nothing has to wait for this room any more.
    pub(super) fn is_known(&mut self, room: &RoomId) {
        if self.unknown.remove(room) {
            self.is_whole();
        }
    }

    /// There is no such room, on no node.
    pub(super) fn ended(&mut self, room: &RoomId) {
        self.hub.end(room);
        self.forget(room);
        self.urgent.push_back(Job::Unsubscribe(room.clone()));
    }

    /// Takes note when all rooms are as all nodes have them.
    fn is_whole(&mut self) {
        if !self.unknown.is_empty() || self.shared.connected.swap(true, Ordering::Relaxed) {
            return;
        }
        self.shared.tried.cancel();
        metrics::gauge!("roomcast_broker_connected").set(1.0);
        let (waiting, dropped) = (self.jobs.heard_count(), self.jobs.take_dropped());
        let forgotten = std::mem::take(&mut self.forgotten);
        if forgotten > 0 {
            warn!(
                forgotten,
                "Redis knew less of rooms than the nodes: these go on in new epochs"
            );
        }
        info!(redis = %self.settings, rooms = self.followers.len(), waiting, dropped, "one with all nodes");
    }

    /// Redis has said what a room has.
    pub(super) fn synced(&mut self, room: &RoomId, all: bool, answer: Value) {
        let is_behind = |answer: &Value| matches!(answer, Value::Array(parts) if parts.len() == 1);
        if is_behind(&answer) {
            return self.seed(room);
        }
        let Some(answer) = read::<Answer>(answer) else {
            return self.ask_later(room, all);
        };
        let epoch = answer.1.parse().ok();
        let Some(newest) = epoch.and_then(|epoch| Offset::checked(epoch, answer.2)) else {
            warn!(%room, "Redis has no valid offset for this room; trying again later");
            return self.ask_later(room, all);
        };
        let events = placed(room, answer.3);
        let has_more = answer.7 == 1;
        let now = match events.last() {
            Some(last) if has_more => last.at,
            _ => newest,
        };
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        let before = follower.at;
        // Of another epoch there is all.
        let has_all = all || before.is_none_or(|before| before.epoch != now.epoch);
        let alone_since = follower.alone_since.take();
        let is_other = |before| is_another_life(&events, before, now);
        let is_other = before.is_some_and(is_other);
        let goes_on = goes_on_behind(answer.8, before, now);
        let new_from = match before {
            Some(_) if let Some(place) = goes_on => since(&events, place, now),
            // Who came before that has heard nothing of the others.
            None => Some(alone_since.map_or(events.len(), |since| {
                events.partition_point(|event| event.time < since)
            })),
            Some(_) if is_other => Some(0),
            Some(before) => new_from(&events, before, now),
        };
        if new_from.is_none() && !has_all {
            return self.ask_again(room, true);
        }
        let is_lost = new_from.is_none();
        let (known, new) = events.split_at(new_from.unwrap_or(events.len()));
        let knows_more = goes_on.filter(|place| Some(*place) != before);
        let replaces = is_other
            || knows_more.is_some()
            || all && (follower.has_own || before.is_none() || is_lost);
        if let (Some(place), Some(before)) = (knows_more, before) {
            self.publish_again(room, place, before);
        }
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        if replaces {
            follower.has_own = false;
            follower.common = None;
        }
        let from = match (before, is_lost) {
            (Some(before), false) if !is_other => before,
            // Of this epoch, as all that is new.
            _ if !new.is_empty() => new[0].before(),
            _ => now,
        };
        let contents = replaces.then(|| self.contents(room, known, answer.4, from));
        let rules = self.rules(room);
        let loaded = Loaded {
            at: from,
            contents,
            terms: terms(answer.5),
            elsewhere: rules.map_or_else(Vec::new, |rules| names(answer.6, rules)),
            is_complete: self.knows_all_nodes(),
        };
        let is_complete = loaded.is_complete;
        let elsewhere = loaded.elsewhere.clone();
        if !self.hub.load(room, loaded) {
            return self.ended(room);
        }
        if is_lost {
            warn!(%room, "events were missed that Redis does not have any more");
            self.hub.let_down(room);
        }
        for event in new {
            if let Err(Error::Busy) = self.deliver(room, &event.text) {
                // It is asked for again, from there.
                return self.stop_at(room, event, before);
            }
            if let Some(follower) = self.followers.get_mut(room) {
                follower.at = Some(event.at);
            }
        }
        if from != now {
            let loaded = Loaded {
                at: now,
                contents: None,
                terms: None,
                elsewhere,
                is_complete,
            };
            self.hub.load(room, loaded);
        }
        if let Some(follower) = self.followers.get_mut(room) {
            follower.has_come_to(now, before.map(|before| before.epoch));
            if has_more {
                follower.state = State::Asking;
                return self.ask_again(room, false);
            }
        }
        self.is_known(room);
        self.go_on(room);
    }

    /// Redis goes on in a room behind a place that is before the one that this node has
    /// come to: it is told the events in between, and the others hear them.
    fn publish_again(&mut self, room: &RoomId, behind: Offset, to: Offset) {
        let is_missing = |event: &&Arc<Event>| {
            let Offset { epoch, number } = event.offset;
            epoch == behind.epoch && number > behind.number && number <= to.number
        };
        let history = self.common(room).history;
        let events: Vec<_> = history.iter().filter(is_missing).collect();
        let publications = events.iter().map(|event| event.publication.clone());
        for publication in publications.rev() {
            if let Some(id) = publication.id {
                self.hub.received_early(room, id);
                self.jobs.put_back(Job::heard(publication));
            }
        }
    }

    /// In a moment: what could not be read or delivered now, can't be at once.
    fn ask_later(&mut self, room: &RoomId, all: bool) {
        self.later.push(Job::Sync(room.clone(), all));
        self.retry_soon();
    }

    fn ask_again(&mut self, room: &RoomId, all: bool) {
        self.urgent.push_back(Job::Sync(room.clone(), all));
    }

    /// The room has too much to deliver: the rest is asked for once more.
    fn stop_at(&mut self, room: &RoomId, event: &Placed, before: Option<Offset>) {
        if let Some(follower) = self.followers.get_mut(room) {
            let at = follower.at.or(before).unwrap_or(event.at);
            follower.has_come_to(at, before.map(|before| before.epoch));
            follower.state = State::Asking;
        }
        self.ask_later(room, false);
    }

    /// Whether all nodes had time to say who is there.
    fn knows_all_nodes(&self) -> bool {
        matches!(
            self.link,
            super::LinkState::Open {
                is_complete: true,
                ..
            }
        )
    }

    fn contents(
        &self,
        room: &RoomId,
        known: &[Placed],
        retained: HashMap<String, String>,
        now: Offset,
    ) -> Contents {
        let event = |text: &str| match frame::read(text, room, &self.node) {
            Ok(frame) => Some(Arc::new(Event::new(
                frame.publication,
                frame.offset,
                frame.time,
            ))),
            Err(error) => {
                warn!(%room, %error, "an event is left out");
                None
            }
        };
        let lost = known
            .iter()
            .filter_map(|placed| frame::read_lost(&placed.text));
        let hole = lost.map(|(place, _)| place.number).max().unwrap_or(0);
        let history: Vec<_> = known
            .iter()
            .filter(|placed| frame::read_lost(&placed.text).is_none())
            .filter_map(|placed| event(&placed.text))
            .collect();
        let first = history.first().map(|event| event.offset.number);
        let retained = retained.into_iter();
        Contents {
            floor: first.map_or(now.number, |first| first.saturating_sub(1)),
            hole,
            history,
            retained: retained
                .filter_map(|(key, text)| Some((key, event(&text)?)))
                .collect(),
        }
    }
}
