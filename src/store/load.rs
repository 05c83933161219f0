//! Reads the durable rooms back from their tables, row by row. Skips damaged rows; clients that
//! would miss such an event receive `recovered:false`. Writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use rusqlite::{Connection, Row};
use serde_json::value::RawValue;

use super::damaged::{self, Damaged, Table, scan};
use super::given::Life;
use super::schema;
use crate::core::durable::{Contents, Snapshot};
use crate::core::event::{Epoch, Event, Kind, Offset, Publication, To};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::terms::Terms;
use crate::core::token::TokenHash;

const LIFE: Table = Table {
    name: "life",
    key: &["one"],
};
const ROOMS: Table = Table {
    name: "rooms",
    key: &["id"],
};
const RETAINED: Table = Table {
    name: "retained",
    key: &["room", "key"],
};
const EVENTS: Table = Table {
    name: "events",
    key: &["room", "number"],
};

/// The highest plausible number of an event: no room reaches it.
const NUMBER_MOST: u64 = Offset::NUMBER_MOST / 2;

/// What the last run that wrote the file has recorded about itself.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) life: Life,
    /// The run before that one.
    pub(super) its_before: Option<Life>,
    /// The number of the last note whose events are all in the file.
    pub(super) given: u64,
    /// Whether that run stopped in order.
    pub(super) clean: bool,
}

impl Before {
    /// An unknown run: its row is damaged.
    const UNKNOWN: Self = Self {
        life: Life::MAX,
        its_before: Some(Life::MAX),
        given: 0,
        clean: false,
    };
}

/// The contents of the file.
#[derive(Default)]
pub(super) struct Loaded {
    /// All rooms. They have no reserved numbers: without a write before it, the first event of a
    /// room begins another epoch.
    pub(super) rooms: Vec<Snapshot>,
    /// The run that wrote last, if there was one.
    pub(super) before: Option<Before>,
    /// The unreadable rows.
    pub(super) damaged: Vec<Damaged>,
}

/// A room whose events are being read.
struct Reading {
    snapshot: Snapshot,
    /// Why its numbers can't be used, if so: then the room begins another epoch.
    damage: Option<String>,
}

/// Reads all there is, also from a file of an earlier version.
pub(super) fn load(db: &Connection) -> rusqlite::Result<Loaded> {
    let (mut before, mut damaged) = (None, Vec::new());
    if schema::version(db)? == 0 {
        return Ok(Loaded::default());
    }
    scan(db, &LIFE, &mut damaged, |row| {
        before = Some(Before::UNKNOWN);
        before = Some(life(row)?);
        Ok(())
    })?;
    let (mut rooms, mut lost) = (BTreeMap::new(), HashSet::new());
    scan(db, &ROOMS, &mut damaged, |row| {
        let id: i64 = row.get("id")?;
        lost.insert(id);
        rooms.insert(id, room(row)?);
        lost.remove(&id);
        Ok(())
    })?;
    let mut keys: HashMap<(i64, u64), Vec<String>> = HashMap::new();
    scan(db, &RETAINED, &mut damaged, |row| {
        let place = (row.get("room")?, row.get("number")?);
        ensure!(rooms.contains_key(&place.0), "it belongs to no room");
        keys.entry(place).or_default().push(row.get("key")?);
        Ok(())
    })?;
    // An event without a known room may be missing in any room.
    let mut is_missing_anywhere = false;
    scan(db, &EVENTS, &mut damaged, |row| {
        let id = row.get("room").ok();
        let Some((id, room)) = id.and_then(|id| Some((id, rooms.get_mut(&id)?))) else {
            is_missing_anywhere |= id.is_none_or(|id| !lost.contains(&id));
            bail!("it belongs to no room");
        };
        let number = row.get("number").ok();
        let number = number.filter(|number| (1..=NUMBER_MOST).contains(number));
        // By these keys the raw WebSocket transport distinguishes the last song from the current
        // item. An event that is only in the history needs none: it is never retained again.
        let keys = number.and_then(|number| keys.remove(&(id, number)));
        let added = room.add(row, number, keys.unwrap_or_default());
        added.inspect_err(|_| room.misses(number))
    })?;
    let rooms = rooms.into_iter().map(|(id, mut room)| {
        room.complete(is_missing_anywhere);
        if let Some(why) = &room.damage {
            damaged.push(Damaged::numbered(&ROOMS, id, why).mended());
        }
        room.snapshot
    });
    Ok(Loaded {
        rooms: rooms.collect(),
        before,
        damaged,
    })
}

impl Reading {
    /// Adds an event.
    fn add(&mut self, row: &Row<'_>, number: Option<u64>, keys: Vec<String>) -> anyhow::Result<()> {
        let number = number.context("no event has its number")?;
        let publication = Publication {
            namespace: self.snapshot.namespace.clone(),
            room: self.snapshot.room.clone(),
            kind: Kind::Message,
            sender: Nickname::stored(&row.get::<_, String>("sender")?)?,
            to: To::Everybody,
            message: RawValue::from_string(row.get("message")?)?,
            origin: None,
            retain: keys.clone(),
            token: None,
            id: None,
            same: None,
        };
        let epoch = row.get::<_, String>("epoch")?.parse()?;
        let time = damaged::time(row.get("time")?)?;
        let event = Arc::new(Event::new(publication, Offset { epoch, number }, time));
        let contents = &mut self.snapshot.contents;
        if number > contents.floor {
            contents.history.push(event.clone());
        }
        let kept = keys.into_iter().map(|key| (key, event.clone()));
        contents.retained.extend(kept);
        Ok(())
    }

    /// An event is lost: no client can recover from before it.
    fn misses(&mut self, number: Option<u64>) {
        let Snapshot { head, contents, .. } = &mut self.snapshot;
        contents.hole = contents.hole.max(number.unwrap_or(*head));
    }

    /// Sets the numbers of the room, once all its events are read.
    fn complete(&mut self, is_event_missing: bool) {
        let Snapshot {
            epoch,
            head,
            limit,
            contents,
            ..
        } = &mut self.snapshot;
        let last = contents.history.last().map_or(0, |last| last.offset.number);
        if last > *head && self.damage.is_none() {
            self.damage = Some("it has events behind its last number".to_owned());
            *epoch = Epoch::random();
        }
        *head = last.max(*head);
        if self.damage.is_some() || is_event_missing {
            contents.hole = *head;
        }
        *limit = *head + 1;
    }
}

fn life(row: &Row<'_>) -> anyhow::Result<Before> {
    Ok(Before {
        life: row.get("id")?,
        its_before: row.get("prior")?,
        given: row.get("given")?,
        clean: match row.get("clean")? {
            0 => false,
            1 => true,
            other => bail!("{other} is neither a clean end nor another one"),
        },
    })
}

fn room(row: &Row<'_>) -> anyhow::Result<Reading> {
    let (namespace, room) = name(row)?;
    let terms = terms(row)?;
    let ((epoch, head, contents), damage) = match numbers(row) {
        Ok(numbers) => (numbers, None),
        Err(why) => {
            let none = (Epoch::random(), 0, Contents::default());
            (none, Some(why.to_string()))
        }
    };
    let snapshot = Snapshot {
        namespace,
        room,
        epoch,
        head,
        limit: head + 1,
        terms,
        contents,
    };
    Ok(Reading { snapshot, damage })
}

/// A room's name, with that of its namespace.
pub(super) fn name(row: &Row<'_>) -> anyhow::Result<(NamespaceName, RoomName)> {
    let [namespace, room] = ["namespace", "room"].map(|column| row.get::<_, String>(column));
    Ok((NamespaceName::parse(&namespace?)?, RoomName::parse(&room?)?))
}

fn terms(row: &Row<'_>) -> anyhow::Result<Option<Terms>> {
    // Schema 1 has none.
    if row.as_ref().column_index("token").is_err() {
        return Ok(None);
    }
    let Some(token) = row.get::<_, Option<Vec<u8>>>("token")? else {
        return Ok(None);
    };
    Ok(Some(Terms {
        token_hash: TokenHash::stored(&token).context("its token is none")?,
        retain: row.get("retain")?,
        history: row.get("history")?,
    }))
}

fn numbers(row: &Row<'_>) -> anyhow::Result<(Epoch, u64, Contents)> {
    let epoch = row.get::<_, String>("epoch")?.parse()?;
    let head = row.get("reserved")?;
    let contents = Contents {
        floor: row.get("floor")?,
        hole: row.get("hole")?,
        ..Contents::default()
    };
    let is_possible = head <= NUMBER_MOST && contents.floor.max(contents.hole) <= head;
    ensure!(is_possible, "its numbers exclude each other");
    Ok((epoch, head, contents))
}
