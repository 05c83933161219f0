//! The table of the play log: one row per item aired, corrected in place.
//! Knows SQL and items; not where they come from, nor who asks.

use chrono::{DateTime, Duration, Utc};
use rusqlite::{Connection, Row, Transaction, params};

use super::Query;
use super::damaged::{self, Table};
use crate::nowplaying::{Item, capped, printable};

/// How far from its start the other rows of an item are looked for: no item is
/// longer.
const LONGEST: Duration = Duration::days(1);

/// For rows that can't be read.
pub(super) const TABLE: Table = Table {
    name: "plays",
    key: &["id"],
};

const COLUMNS: &str = "item, started, type, title, artist, album, length";

/// Adds an item that was aired, or corrects the row that it has.
pub(super) fn record(db: &Transaction<'_>, item: &Item) -> rusqlite::Result<()> {
    let near = format!(
        "SELECT {COLUMNS}, id FROM plays
         WHERE item = ?1 AND started BETWEEN ?2 AND ?3 ORDER BY started DESC"
    );
    let mut near = db.prepare_cached(&near)?;
    let from = item.start.checked_sub_signed(LONGEST).unwrap_or(item.start);
    let to = item.start.checked_add_signed(LONGEST).unwrap_or(item.start);
    let mut rows = near.query(params![
        item.id,
        from.timestamp_millis(),
        to.timestamp_millis()
    ])?;
    let mut known = None;
    while let Some(row) = rows.next()? {
        if read_row(row).is_ok_and(|row| is_airing(item, &row)) {
            known = Some(row.get::<_, i64>(7)?);
            break;
        }
    }
    // A correction leaves the start: clocks of hot spares differ.
    let sql = format!(
        "INSERT INTO plays ({COLUMNS}, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
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
        known
    ])?;
    Ok(())
}

/// Removes what started before a time; says how many rows that were.
pub(super) fn expire(db: &Connection, before: DateTime<Utc>) -> rusqlite::Result<usize> {
    let before = before.timestamp_millis();
    db.execute("DELETE FROM plays WHERE started < ?1", [before])
}

/// What the query asks for, newest first. The numbers of rows that can't be read are added to
/// `damaged`.
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

/// Passes the items of the query to `take`, newest first, until `take` fails; a row that can't
/// be read is left out, and its number added to `damaged`. The caller applies the query's bound in bytes.
pub(super) fn each<E>(
    db: &Connection,
    query: &Query,
    mut take: impl FnMut(Item) -> Result<(), E>,
    damaged: &mut Vec<i64>,
) -> rusqlite::Result<Result<(), E>> {
    let sql = format!(
        "SELECT {COLUMNS}, id FROM plays
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
            Err(_) => damaged.push(row.get(7)?),
        }
    }
    Ok(Ok(()))
}

/// Adds what is not written yet to what was read.
pub(super) fn merge(rows: &mut Vec<Item>, waiting: Vec<Item>, query: &Query) {
    for item in waiting {
        match rows.iter_mut().find(|row| is_airing(&item, row)) {
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

/// Whether a row and an item are the same airing. A row holds only the length of the file, which is
/// enough: the same file is always played from the same trims.
fn is_airing(item: &Item, row: &Item) -> bool {
    let is_file = row.length == item.length;
    let played = if is_file { item.played } else { row.played };
    item.is_airing_of(&Item {
        played,
        ..row.clone()
    })
}

fn read_row(row: &Row<'_>) -> anyhow::Result<Item> {
    let length: f64 = row.get(6)?;
    anyhow::ensure!(length.is_finite() && length >= 0.0, "{length} is no length");
    // Rows of earlier versions may have longer texts, and control characters.
    let text = |column| {
        let text = printable(row.get_ref(column)?.as_str()?);
        Ok::<_, rusqlite::Error>(capped(&text).to_owned())
    };
    Ok(Item {
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
