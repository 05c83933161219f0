//! The tables of the durable rooms: what is written of one, and read back.
//! Knows SQL and snapshots; not when they are written.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::DateTime;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::value::RawValue;
use tracing::warn;

use super::given::Life;
use super::schema;
use crate::core::durable::{BLOCK, Contents, Snapshot};
use crate::core::event::{Epoch, Event, Kind, Offset, Publication, To};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::terms::Terms;
use crate::core::token::TokenHash;

/// Which room: its namespace and its name.
pub(super) type Name = (NamespaceName, RoomName);

/// What the run of the server says of itself that wrote last.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) life: Life,
    /// The run before that one.
    pub(super) its_before: Option<Life>,
    /// How many events it had given out when it wrote.
    pub(super) given: u64,
    /// Whether that was its end.
    pub(super) clean: bool,
}

/// The run that wrote last, if there was one.
pub(super) fn before(db: &Connection) -> rusqlite::Result<Option<Before>> {
    db.query_row("SELECT id, prior, given, clean FROM life", [], |row| {
        Ok(Before {
            life: row.get(0)?,
            its_before: row.get(1)?,
            given: row.get(2)?,
            clean: row.get(3)?,
        })
    })
    .optional()
}

/// This run has given out so many events when it wrote.
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
    let mut names = db.prepare_cached("SELECT namespace, room FROM rooms")?;
    let names = names.query_map([], name)?;
    names.filter_map(of_us).collect()
}

/// All rooms, as they were. Nothing is reserved for them: the first event of one
/// begins another epoch.
pub(super) fn load(db: &Connection) -> rusqlite::Result<Vec<Snapshot>> {
    // What can't be migrated now is read as it is.
    let terms_of = match schema::version(db)? {
        1 => "NULL, NULL, NULL",
        _ => "token, retain, history",
    };
    let sql =
        format!("SELECT namespace, room, epoch, reserved, floor, hole, id, {terms_of} FROM rooms");
    let mut rooms = db.prepare(&sql)?;
    let rooms = rooms.query_map([], |row| {
        let (namespace, room) = name(row)?;
        let head: u64 = row.get(3)?;
        let mut snapshot = Snapshot {
            namespace,
            room,
            epoch: epoch(row, 2)?,
            head,
            limit: head + 1,
            terms: terms(row)?,
            contents: Contents {
                floor: row.get(4)?,
                hole: row.get(5)?,
                ..Contents::default()
            },
        };
        fill(db, row.get(6)?, &mut snapshot)?;
        Ok(snapshot)
    })?;
    rooms.filter_map(of_us).collect()
}

fn terms(row: &Row<'_>) -> rusqlite::Result<Option<Terms>> {
    let Some(token) = row.get::<_, Option<Vec<u8>>>(7)? else {
        return Ok(None);
    };
    let token = TokenHash::stored(&token);
    let no_hash = || rusqlite::Error::InvalidColumnType(7, "token".to_owned(), Type::Blob);
    Ok(Some(Terms {
        token_hash: token.ok_or_else(no_hash)?,
        retain: row.get(8)?,
        history: row.get(9)?,
    }))
}

fn name(row: &Row<'_>) -> rusqlite::Result<Name> {
    Ok((
        NamespaceName::parse(&row.get::<_, String>(0)?).map_err(unreadable)?,
        RoomName::parse(&row.get::<_, String>(1)?).map_err(unreadable)?,
    ))
}

/// What was written by nobody of us costs its room, and no other.
fn of_us<T>(read: rusqlite::Result<T>) -> Option<rusqlite::Result<T>> {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match read {
        Err(
            error @ (FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)),
        ) => {
            warn!(%error, "a stored room can't be read and begins anew");
            None
        }
        read => Some(read),
    }
}

/// Reserves numbers for rooms that were just read, as they would ask for soon.
pub(super) fn reserve(db: &Connection, rooms: &mut [Snapshot]) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE rooms SET reserved = ?3, epoch = ?4, hole = ?5
         WHERE namespace = ?1 AND room = ?2",
    )?;
    for room in rooms {
        room.limit = room.head + BLOCK;
        update.execute(params![
            room.namespace.as_str(),
            room.room.as_str(),
            room.limit,
            room.epoch.to_string(),
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
    let known: Option<(i64, String)> = db
        .prepare_cached("SELECT id, epoch FROM rooms WHERE namespace = ?1 AND room = ?2")?
        .query_row([namespace, name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Another life of the room: nothing of the one before stays as it was.
    if known.is_some_and(|(_, known)| known != epoch) {
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

fn fill(db: &Connection, id: i64, room: &mut Snapshot) -> rusqlite::Result<()> {
    let mut keys = db.prepare_cached("SELECT number, key FROM retained WHERE room = ?1")?;
    let mut keys = keys.query([id])?;
    let mut retained: HashMap<u64, Vec<String>> = HashMap::new();
    while let Some(row) = keys.next()? {
        retained.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    let sql = "SELECT number, epoch, time, sender, message FROM events
               WHERE room = ?1 ORDER BY number";
    let mut events = db.prepare_cached(sql)?;
    let mut events = events.query([id])?;
    while let Some(row) = events.next()? {
        let number = row.get(0)?;
        // By these keys the raw WebSocket transport distinguishes the last song from the current
        // item. An event that is only in the history needs none: it is never retained again.
        let keys = retained.remove(&number).unwrap_or_default();
        let event = Arc::new(event(row, room, keys.clone())?);
        if number > room.contents.floor {
            room.contents.history.push(event.clone());
        }
        let kept = keys.into_iter().map(|key| (key, event.clone()));
        room.contents.retained.extend(kept);
    }
    Ok(())
}

fn event(row: &Row<'_>, room: &Snapshot, retain: Vec<String>) -> rusqlite::Result<Event> {
    let publication = Publication {
        namespace: room.namespace.clone(),
        room: room.room.clone(),
        kind: Kind::Message,
        sender: Nickname::stored(&row.get::<_, String>(3)?).map_err(unreadable)?,
        to: To::Everybody,
        message: RawValue::from_string(row.get(4)?).map_err(unreadable)?,
        origin: None,
        retain,
        token: None,
        id: None,
        same: None,
    };
    let offset = Offset {
        epoch: epoch(row, 1)?,
        number: row.get(0)?,
    };
    let time = DateTime::from_timestamp_millis(row.get(2)?).unwrap_or_default();
    Ok(Event::new(publication, offset, time))
}

fn epoch(row: &Row<'_>, column: usize) -> rusqlite::Result<Epoch> {
    row.get::<_, String>(column)?.parse().map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    let kind = Type::Text;
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}
