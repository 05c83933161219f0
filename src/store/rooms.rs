//! Writes the tables of the durable rooms. Knows SQL and snapshots; not when they are written, nor
//! how they are read back.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::given::Life;
use super::load::name;
use crate::core::durable::{BLOCK, Snapshot};
use crate::core::event::Event;
use crate::core::name::{NamespaceName, RoomName};

/// Which room: its namespace and its name.
pub(super) type Name = (NamespaceName, RoomName);

/// Records that this run has written all events up to the note with this number.
pub(super) fn lives(
    db: &Transaction<'_>,
    life: Life,
    given: u64,
    clean: bool,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO life (one, id, given, clean) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET
         prior = iif(id = ?1, prior, id), id = ?1, given = ?2, clean = ?3",
    )?
    .execute(params![life, given, clean])?;
    Ok(())
}

/// The names of all rooms that can be read.
pub(super) fn names(db: &Connection) -> rusqlite::Result<Vec<Name>> {
    let mut rows = db.prepare_cached("SELECT namespace, room FROM rooms")?;
    let mut rows = rows.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        names.extend(name(row).ok());
    }
    Ok(names)
}

/// Reserves numbers for rooms that were just read, before they ask for them, and writes their
/// epoch, floor and hole, which reading may have changed.
pub(super) fn reserve(db: &Connection, rooms: &mut [Snapshot]) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE rooms SET reserved = ?3, epoch = ?4, floor = ?5, hole = ?6
         WHERE namespace = ?1 AND room = ?2",
    )?;
    for room in rooms {
        room.limit = room.head + BLOCK;
        update.execute(params![
            room.namespace.as_str(),
            room.room.as_str(),
            room.limit,
            room.epoch.to_string(),
            room.contents.floor,
            room.contents.hole,
        ])?;
    }
    Ok(())
}

/// The room's numbers end here: nothing was given behind its last one.
pub(super) fn ended(db: &Connection, room: &Snapshot) -> rusqlite::Result<()> {
    let sql = "UPDATE rooms SET reserved = ?3 WHERE namespace = ?1 AND room = ?2";
    let mut update = db.prepare_cached(sql)?;
    update.execute(params![
        room.namespace.as_str(),
        room.room.as_str(),
        room.head
    ])?;
    Ok(())
}

/// Writes what is new of a room, and removes what it has given up.
pub(super) fn save(db: &Transaction<'_>, room: &Snapshot) -> rusqlite::Result<()> {
    let (namespace, name) = (room.namespace.as_str(), room.room.as_str());
    let epoch = room.epoch.to_string();
    let is_same: Option<bool> = db
        .prepare_cached("SELECT epoch = ?3 FROM rooms WHERE namespace = ?1 AND room = ?2")?
        .query_row([namespace, name, &epoch], |row| row.get(0))
        .optional()?;
    // Another life of the room: nothing of the one before stays as it was.
    if is_same == Some(false) {
        forget(db, &room.namespace, &room.room)?;
    }
    let terms = room.terms.as_ref();
    let id: i64 = db
        .prepare_cached(
            "INSERT INTO rooms
             (namespace, room, epoch, reserved, floor, hole, token, retain, history)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (namespace, room) DO UPDATE SET reserved = ?4, floor = ?5
             RETURNING id",
        )?
        .query_row(
            params![
                namespace,
                name,
                epoch,
                room.limit,
                room.contents.floor,
                room.contents.hole,
                terms.map(|terms| terms.token_hash.as_bytes()),
                terms.map(|terms| terms.retain),
                terms.map(|terms| terms.history),
            ],
            |row| row.get(0),
        )?;
    let last: Option<u64> = db
        .prepare_cached("SELECT max(number) FROM events WHERE room = ?1")?
        .query_row([id], |row| row.get(0))?;
    let retained = room.contents.retained.iter().map(|(_, event)| event);
    for event in retained.chain(&room.contents.history) {
        if last.is_none_or(|last| event.offset.number > last) {
            save_event(db, id, event)?;
        }
    }
    db.prepare_cached("DELETE FROM retained WHERE room = ?1")?
        .execute([id])?;
    let mut retain =
        db.prepare_cached("INSERT INTO retained (room, key, number) VALUES (?1, ?2, ?3)")?;
    for (key, event) in &room.contents.retained {
        retain.execute(params![id, key, event.offset.number])?;
    }
    db.prepare_cached(
        "DELETE FROM events WHERE room = ?1 AND number <= ?2
         AND number NOT IN (SELECT number FROM retained WHERE room = ?1)",
    )?
    .execute(params![id, room.contents.floor])?;
    Ok(())
}

/// Removes a room that was given up.
pub(super) fn forget(
    db: &Transaction<'_>,
    namespace: &NamespaceName,
    room: &RoomName,
) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM rooms WHERE namespace = ?1 AND room = ?2")?
        .execute([namespace.as_str(), room.as_str()])?;
    Ok(())
}

fn save_event(db: &Transaction<'_>, room: i64, event: &Event) -> rusqlite::Result<()> {
    // An event may be both in the history and retained.
    db.prepare_cached("INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            room,
            event.offset.number,
            event.offset.epoch.to_string(),
            event.time.timestamp_millis(),
            event.publication.sender.as_str(),
            event.publication.message.get(),
        ])?;
    Ok(())
}
