//! The table of the play log: one row per item aired, corrected in place.
//! Knows SQL and items; not where they come from, nor who asks.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use super::damaged::{self, Table};
use super::reader::read_only;
use super::{Query, schema};
use crate::nowplaying::{AIRINGS_MOST, Airing, Item, SAME_ID, capped, printable};

/// The table, for reporting unreadable rows.
pub(super) const TABLE: Table = Table {
    name: "plays",
    key: &["id"],
};

const COLUMNS: &str = "item, started, type, title, artist, album, length";

/// The last airings in the file of a folder, the newest last; none if they can't be read.
pub(super) fn last_airings(folder: &Path, now: DateTime<Utc>) -> Vec<Airing> {
    read_only(folder, &mut None, |db| airings(db, now)).unwrap_or_default()
}

fn airings(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<Airing>> {
    let sql = format!(
        "SELECT * FROM (SELECT {COLUMNS}, airing, received, id FROM plays
         ORDER BY id DESC LIMIT {AIRINGS_MOST}) WHERE received >= ?1 ORDER BY id"
    );
    let mut statement = db.prepare(&sql)?;
    let airing = |row: &Row<'_>| -> anyhow::Result<_> {
        Ok(Airing {
            item: read_row(row)?,
            received: damaged::time(row.get(8)?)?,
        })
    };
    let oldest = (now - SAME_ID).timestamp_millis();
    let mut rows = statement.query([oldest])?;
    let mut airings = Vec::new();
    while let Some(row) = rows.next()? {
        // Skips unreadable rows: the readers of the play log report them.
        airings.extend(airing(row).ok());
    }
    Ok(airings)
}

/// Adds a row for an item, or corrects the row of its airing. The row keeps its start.
pub(super) fn record(db: &Transaction<'_>, item: &Item) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO plays ({COLUMNS}, airing, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (airing) DO UPDATE SET
         type = ?3, title = ?4, artist = ?5, album = ?6, length = ?7"
    );
    db.prepare_cached(&sql)?.execute(params![
        item.id,
        item.start.timestamp_millis(),
        item.kind,
        item.title,
        item.artist,
        item.album,
        item.length,
        item.airing.as_bytes(),
        Utc::now().timestamp_millis(),
    ])?;
    Ok(())
}

/// Removes what started before a time; says how many rows that were.
pub(super) fn expire(db: &Connection, before: DateTime<Utc>) -> rusqlite::Result<usize> {
    let before = before.timestamp_millis();
    db.execute("DELETE FROM plays WHERE started < ?1", [before])
}

/// Returns the items of the query, newest first. Adds the numbers of unreadable rows to `damaged`.
pub(super) fn read(
    db: &Connection,
    query: &Query,
    damaged: &mut Vec<i64>,
) -> rusqlite::Result<Vec<Item>> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    let take = |item: Item| {
        bytes += item.text_bytes();
        items.push(item);
        match query.text_bytes.is_some_and(|most| bytes >= most) {
            true => Err(()),
            false => Ok(()),
        }
    };
    // `take` only fails to end the iteration.
    let (Ok(()) | Err(())) = each(db, query, take, damaged)?;
    Ok(items)
}

/// Passes the items of the query to `take`, newest first, until `take` fails. Skips unreadable
/// rows, and adds their numbers to `damaged`. The caller applies the query's bound in bytes.
pub(super) fn each<E>(
    db: &Connection,
    query: &Query,
    mut take: impl FnMut(Item) -> Result<(), E>,
    damaged: &mut Vec<i64>,
) -> rusqlite::Result<Result<(), E>> {
    // `server history` may read a file of an earlier version before it is migrated.
    let airing = match schema::version(db)? {
        ..=2 => "NULL",
        _ => "airing",
    };
    let sql = format!(
        "SELECT {COLUMNS}, {airing}, id FROM plays
         WHERE started >= ?1 AND started < ?2 AND (?3 OR type = ?4)
         ORDER BY started DESC, id DESC LIMIT ?5"
    );
    let from = query.from.map_or(i64::MIN, |t| t.timestamp_millis());
    let to = query.to.map_or(i64::MAX, |t| t.timestamp_millis());
    // SQLite takes a negative limit for none.
    let limit = query
        .limit
        .map_or(-1, |most| i64::try_from(most).unwrap_or(-1));
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from, to, query.all, Item::SONG, limit])?;
    while let Some(row) = rows.next()? {
        match read_row(row) {
            Ok(item) => {
                if let Err(refused) = take(item) {
                    return Ok(Err(refused));
                }
            }
            Err(_) => damaged.push(row.get(8)?),
        }
    }
    Ok(Ok(()))
}

/// Adds what is not written yet to what was read.
pub(super) fn merge(rows: &mut Vec<Item>, waiting: Vec<Item>, query: &Query) {
    for item in waiting {
        match rows.iter_mut().find(|row| row.airing == item.airing) {
            Some(row) => {
                let start = row.start;
                *row = Item { start, ..item };
            }
            None => rows.push(item),
        }
    }
    rows.retain(|item| {
        let in_time = query.from.is_none_or(|from| item.start >= from)
            && query.to.is_none_or(|to| item.start < to);
        in_time && (query.all || item.kind == Item::SONG)
    });
    rows.sort_by_key(|item| std::cmp::Reverse(item.start));
    rows.truncate(query.limit.unwrap_or(usize::MAX));
    let (most, mut bytes) = (query.text_bytes.unwrap_or(usize::MAX), 0);
    let is_within = |item: &&Item| {
        let is_within = bytes < most;
        bytes += item.text_bytes();
        is_within
    };
    let within = rows.iter().take_while(is_within).count();
    rows.truncate(within);
}

fn read_row(row: &Row<'_>) -> anyhow::Result<Item> {
    let length: f64 = row.get(6)?;
    anyhow::ensure!(length.is_finite() && length >= 0.0, "{length} is no length");
    // Rows of earlier versions may have longer texts and control characters.
    let text = |column| {
        let text = printable(row.get_ref(column)?.as_str()?);
        Ok::<_, rusqlite::Error>(capped(&text).to_owned())
    };
    let airing: Option<[u8; 16]> = row.get(7)?;
    Ok(Item {
        airing: airing.map(Uuid::from_bytes).unwrap_or_default(),
        id: text(0)?,
        start: damaged::time(row.get(1)?)?,
        kind: text(2)?,
        title: text(3)?,
        artist: text(4)?,
        album: text(5)?,
        length,
        played: length,
    })
}
