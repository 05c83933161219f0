//! How a node gets to know what a room has: at first, where something is missing, and
//! when Redis answers again. Knows how a room is told of it, not how Redis is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::redis::Value;
use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::Running;
use super::answers::{names, read, terms};
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

/// An event as its stream has it, and where.
struct Placed {
    at: Offset,
    time: DateTime<Utc>,
    text: String,
}

impl Placed {
    /// The place before it.
    fn before(&self) -> Offset {
        Offset {
            number: self.at.number.saturating_sub(1),
            ..self.at
        }
    }
}

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
            let present = self.hub.present(room);
            if !present.is_empty() {
                self.urgent
                    .push_back(Job::Refresh(room.clone(), present, false));
            }
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
        info!(redis = %self.settings, rooms = self.followers.len(), waiting, dropped, "one with all nodes");
    }

    /// Redis has said what a room has.
    pub(super) fn synced(&mut self, room: &RoomId, all: bool, answer: Value) {
        let is_behind = |answer: &Value| matches!(answer, Value::Array(parts) if parts.len() == 1);
        if is_behind(&answer) {
            return self.seed(room);
        }
        let Some(answer) = read::<Answer>(answer) else {
            return self.ask_again(room, all);
        };
        let Ok(epoch) = answer.1.parse() else {
            return self.ask_again(room, all);
        };
        let newest = Offset {
            epoch,
            number: answer.2,
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
            follower.shared = None;
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
        let history = self.shared(room).history;
        let events: Vec<_> = history.iter().filter(is_missing).collect();
        let publications = events.iter().map(|event| event.publication.clone());
        for publication in publications.rev() {
            if let Some(id) = publication.id {
                self.hub.has_heard(room, id);
                self.jobs.put_back(Job::heard(publication));
            }
        }
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
        self.ask_again(room, false);
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
        let history: Vec<_> = known
            .iter()
            .filter_map(|placed| event(&placed.text))
            .collect();
        let first = history.first().map(|event| event.offset.number);
        let retained = retained.into_iter();
        Contents {
            floor: first.map_or(now.number, |first| first.saturating_sub(1)),
            hole: 0,
            history,
            retained: retained
                .filter_map(|(key, text)| Some((key, event(&text)?)))
                .collect(),
        }
    }
}

fn placed(room: &RoomId, texts: Vec<String>) -> Vec<Placed> {
    let place = |text: String| match frame::read_place(&text) {
        Ok((at, time, _)) => Some(Placed { at, time, text }),
        Err(error) => {
            warn!(%room, %error, "an event is left out");
            None
        }
    };
    texts.into_iter().filter_map(place).collect()
}

/// Where those events begin that a node has not delivered which has come to this place;
/// none where some between are there no more.
///
/// The numbers of a room go on in a new epoch, but where Redis had forgotten some: then
/// those are given once more.
fn new_from(events: &[Placed], before: Offset, now: Offset) -> Option<usize> {
    if before.epoch == now.epoch {
        return since(events, before, now);
    }
    let is_known =
        |event: &Placed| event.at.epoch == before.epoch && event.at.number <= before.number;
    if let Some(last) = events.iter().rposition(is_known) {
        return Some(last + 1);
    }
    match events.first() {
        Some(first) => (first.at.number == before.number + 1).then_some(0),
        None => (now.number == before.number).then_some(0),
    }
}

/// Behind which place the epoch of a room began, if this node knows that place: another
/// node has told Redis what it had forgotten.
fn goes_on_behind(
    (epoch, number): (Option<String>, Option<u64>),
    before: Option<Offset>,
    now: Offset,
) -> Option<Offset> {
    let epoch = epoch?.parse().ok()?;
    let place = Offset {
        epoch,
        number: number?,
    };
    let before = before.filter(|before| before.epoch == epoch && before.epoch != now.epoch)?;
    (place.number <= before.number).then_some(place)
}

/// Where the events of the last epoch begin that went on behind this place, or is its
/// epoch; none where the first of them are there no more.
fn since(events: &[Placed], place: Offset, now: Offset) -> Option<usize> {
    let first = events
        .iter()
        .position(|event| event.at.epoch == now.epoch && event.at.number > place.number)
        .unwrap_or(events.len());
    let next = events
        .get(first)
        .map_or(now.number + 1, |event| event.at.number);
    (next == place.number + 1).then_some(first)
}

/// Whether the room was forgotten, and then begun anew by a node that did not know it:
/// all that there is since is new to one that has come to this place.
fn is_another_life(events: &[Placed], before: Offset, now: Offset) -> bool {
    let is_whole = match events.first() {
        Some(first) => first.at.number == 1 && first.at.epoch == now.epoch,
        None => now.number == 0,
    };
    is_whole && before.epoch != now.epoch && before.number > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: &str) -> Offset {
        let (epoch, number) = place.split_at(1);
        format!("{}-{number}", epoch.repeat(12)).parse().unwrap()
    }

    #[test]
    fn what_is_new_is_behind_what_was_delivered() {
        let cases: [(&[&str], &str, &str, Option<usize>); 10] = [
            // Nothing came since another node has told Redis what it had forgotten.
            (&["a4", "a5"], "b5", "b5", Some(2)),
            (&["a6", "a7"], "a5", "a7", Some(0)),
            (&["a4", "a5", "a6"], "a5", "a6", Some(2)),
            (&[], "a5", "a5", Some(0)),
            (&["a7"], "a5", "a7", None),
            (&[], "a5", "a9", None),
            // Another epoch, that goes on.
            (&["a5", "b6"], "a5", "b6", Some(1)),
            (&[], "a5", "b5", Some(0)),
            // Redis had forgotten 4 and 5, and gave 4 once more.
            (&["a3", "b4"], "a5", "b4", Some(1)),
            (&["b4"], "a5", "b4", None),
        ];
        for (events, before, now, expected) in cases {
            let placed: Vec<_> = events
                .iter()
                .map(|place| Placed {
                    at: at(place),
                    time: Utc::now(),
                    text: String::new(),
                })
                .collect();
            let found = new_from(&placed, at(before), at(now));
            assert_eq!(found, expected, "{events:?} behind {before}");
        }
    }
}
