//! What is to be written, until the disk has it: which rooms, and items of the
//! play log. Knows no disk; bounded, whatever one does.

use std::collections::{BTreeSet, VecDeque};

use crate::core::name::{NamespaceName, RoomName};
use crate::nowplaying::Item;

/// How many items wait in memory for a disk that refuses them: two days of a
/// station that plays one every three minutes.
const PLAYS_MOST: usize = 1_000;

/// How many rooms wait by name: more than a namespace has, so that usually none
/// is looked at in vain. Beyond it all there are are compared with the file.
const ROOMS_MOST: usize = 20_000;

/// How many damaged rows of the play log wait at once; readers will report the others again.
const DAMAGED_MOST: usize = 1_000;

/// How the writer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is published any more: what there is, is all.
    Clean,
    /// At once.
    Abandoned,
}

/// Which rooms are another than in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// These, at most [`ROOMS_MOST`].
    Some(BTreeSet<(NamespaceName, RoomName)>),
    /// Nobody knows which.
    All,
}

/// What the writer takes at once.
pub(super) struct Work {
    pub(super) changed: Changed,
    pub(super) plays: Vec<Item>,
    /// Unreadable rows of the play log.
    pub(super) damaged: Vec<i64>,
    /// The error by which a reader found that the file is damaged, if one did.
    pub(super) damaged_file: Option<String>,
    pub(super) stop: Option<Stop>,
    /// The number of the last note whose events are all in this work, or written already.
    pub(super) given: u64,
    /// The number of the last change that is in it.
    pub(super) last: u64,
}

/// What is to be written.
///
/// A note that outlives the process says whether the server has sent events that are not in the
/// file. Before the first event after each write, the store writes a new number to the note
/// (`begins`); the file gets the same number with the events. If both numbers are equal after a
/// `kill -9`, the file has all events.
#[derive(Default)]
pub(super) struct Pending {
    changed: Changed,
    /// How many changes there were: each has its number by this.
    changes: u64,
    /// At most [`PLAYS_MOST`]; the oldest are lost where there are more.
    plays: VecDeque<Item>,
    /// The damage that readers have found: rows of the play log, at most [`DAMAGED_MOST`], and the
    /// file itself.
    damaged: Vec<i64>,
    damaged_file: Option<String>,
    /// What the writer has and has not written yet.
    writing: Vec<Item>,
    stop: Option<Stop>,
    /// How many publications are in progress.
    publishing: usize,
    /// The number that the note must have before the next event.
    noted: u64,
    /// The number of the last note whose events the writer has taken, all of them.
    taken: u64,
}

impl Default for Changed {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Pending {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        let is_damaged = !self.damaged.is_empty() || self.damaged_file.is_some();
        self.plays.is_empty() && self.changed == Changed::default() && !is_damaged
    }

    /// Adds rows of the play log that a reader could not read.
    pub(super) fn damaged(&mut self, rows: Vec<i64>) {
        for row in rows {
            if self.damaged.len() < DAMAGED_MOST && !self.damaged.contains(&row) {
                self.damaged.push(row);
            }
        }
    }

    /// Sets the reason by which a reader found the file itself damaged.
    pub(super) fn damaged_file(&mut self, why: String) {
        self.damaged_file.get_or_insert(why);
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    pub(super) fn stops(&self) -> bool {
        self.stop.is_some()
    }

    /// A publication begins. Returns the number that the note must have before the room sends the
    /// event.
    pub(super) fn begins(&mut self) -> u64 {
        self.publishing += 1;
        if self.noted == self.taken {
            self.noted += 1;
        }
        self.noted
    }

    /// A publication in this room has ended.
    pub(super) fn published(&mut self, namespace: &NamespaceName, room: &RoomName) {
        self.publishing -= 1;
        self.changed(namespace, room);
    }

    pub(super) fn changed(&mut self, namespace: &NamespaceName, room: &RoomName) {
        self.changes += 1;
        let Changed::Some(rooms) = &mut self.changed else {
            return;
        };
        rooms.insert((namespace.clone(), room.clone()));
        if rooms.len() > ROOMS_MOST {
            self.changed = Changed::All;
        }
    }

    /// The number of the last change.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn aired(&mut self, item: Item) {
        self.changes += 1;
        self.plays.push_back(item);
        if self.plays.len() > PLAYS_MOST {
            self.plays.pop_front();
            metrics::counter!("roomcast_store_lost_plays_total").increment(1);
        }
    }

    /// The items that are not in the file yet, oldest first.
    pub(super) fn waiting(&self) -> Vec<Item> {
        self.writing.iter().chain(&self.plays).cloned().collect()
    }

    pub(super) fn take(&mut self) -> Work {
        let plays: Vec<_> = self.plays.drain(..).collect();
        self.writing.clone_from(&plays);
        // The room may have sent the event of a publication that is still in progress, although the
        // writer does not find the event yet.
        if self.publishing == 0 {
            self.taken = self.noted;
        }
        Work {
            changed: std::mem::take(&mut self.changed),
            plays,
            damaged: std::mem::take(&mut self.damaged),
            damaged_file: self.damaged_file.take(),
            stop: self.stop,
            given: self.taken,
            last: self.changes,
        }
    }

    pub(super) fn written(&mut self) {
        self.writing.clear();
    }

    /// What the disk refused waits on, before what has come since.
    pub(super) fn put_back(&mut self, work: Work) {
        self.writing.clear();
        let newer = std::mem::take(&mut self.plays);
        self.plays = VecDeque::with_capacity(work.plays.len() + newer.len());
        work.plays
            .into_iter()
            .chain(newer)
            .for_each(|item| self.aired(item));
        match work.changed {
            Changed::All => self.changed = Changed::All,
            Changed::Some(rooms) => {
                for (namespace, room) in &rooms {
                    self.changed(namespace, room);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(pending: &mut Pending, rooms: std::ops::Range<usize>) {
        let namespace = NamespaceName::parse("/n").unwrap();
        for number in rooms {
            let room = RoomName::parse(&number.to_string()).unwrap();
            pending.changed(&namespace, &room);
        }
    }

    fn names(changed: &Changed) -> usize {
        match changed {
            Changed::Some(rooms) => rooms.len(),
            Changed::All => usize::MAX,
        }
    }

    #[test]
    fn rooms_that_come_and_go_while_a_disk_refuses_are_bounded() {
        let mut pending = Pending::default();
        change(&mut pending, 0..ROOMS_MOST);
        let work = pending.take();
        assert_eq!(names(&work.changed), ROOMS_MOST);
        change(&mut pending, 0..10);
        pending.put_back(work);
        assert_eq!(names(&pending.changed), ROOMS_MOST);
        change(&mut pending, ROOMS_MOST..ROOMS_MOST + 1);
        assert_eq!(pending.changed, Changed::All);
        let work = pending.take();
        assert!(pending.is_empty());
        pending.put_back(work);
        assert_eq!(pending.changed, Changed::All);
    }

    #[test]
    fn of_too_many_items_the_oldest_are_lost() {
        let mut pending = Pending::default();
        let item = |number: usize| Item {
            id: number.to_string(),
            ..Item::default()
        };
        (0..600).for_each(|number| pending.aired(item(number)));
        let work = pending.take();
        assert_eq!(pending.waiting().len(), 600, "until they are written");
        (600..1_100).for_each(|number| pending.aired(item(number)));
        pending.put_back(work);
        let ids: Vec<_> = pending.waiting().into_iter().map(|item| item.id).collect();
        let expected: Vec<_> = (100..1_100).map(|number| number.to_string()).collect();
        assert_eq!(ids, expected);
    }

    /// Each step, and the note that it needs or that the writer may say is in the file.
    #[test]
    fn a_note_is_needed_once_between_two_writings_and_is_in_the_file_with_all_its_events() {
        enum Step {
            Begins(u64),
            Over,
            Taken(u64),
        }
        use Step::{Begins, Over, Taken};
        let namespace = NamespaceName::parse("/n").unwrap();
        let room = RoomName::parse("r").unwrap();
        let mut pending = Pending::default();
        let steps = [
            Taken(0),
            // Many events need one note.
            Begins(1),
            Over,
            Begins(1),
            Over,
            Taken(1),
            // What begins before the writer takes and ends behind it is in doubt.
            Begins(2),
            Taken(1),
            Begins(2),
            Over,
            Taken(1),
            Over,
            Taken(2),
            Taken(2),
            Begins(3),
            Over,
            Taken(3),
        ];
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Begins(note) => assert_eq!(pending.begins(), note, "step {number}"),
                Over => {
                    pending.published(&namespace, &room);
                    assert!(
                        !pending.is_empty(),
                        "step {number}: the writer is to look again"
                    );
                }
                Taken(note) => assert_eq!(pending.take().given, note, "step {number}"),
            }
        }
    }
}
