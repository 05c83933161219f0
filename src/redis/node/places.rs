//! Where in the events of a room that is new begins which a node has not delivered. Pure.

use chrono::{DateTime, Utc};
use tracing::warn;

use crate::core::event::Offset;
use crate::core::name::RoomId;
use crate::redis::frame;

/// An event as its stream has it, and where.
pub(super) struct Placed {
    pub(super) at: Offset,
    pub(super) time: DateTime<Utc>,
    pub(super) text: String,
}

impl Placed {
    /// The place before it.
    pub(super) fn before(&self) -> Offset {
        Offset {
            number: self.at.number.saturating_sub(1),
            ..self.at
        }
    }
}

pub(super) fn placed(room: &RoomId, texts: Vec<String>) -> Vec<Placed> {
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
pub(super) fn new_from(events: &[Placed], before: Offset, now: Offset) -> Option<usize> {
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
pub(super) fn goes_on_behind(
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
pub(super) fn since(events: &[Placed], place: Offset, now: Offset) -> Option<usize> {
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
pub(super) fn is_another_life(events: &[Placed], before: Offset, now: Offset) -> bool {
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
