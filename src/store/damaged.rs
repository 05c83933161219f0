//! Damage in the database. The readers of tables report unreadable rows, and the writer copies them
//! to the table `damaged` and removes them, so that all other rows stay usable. Knows SQL and which
//! errors mean a damaged file; not what the tables are for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Row, ToSql, Transaction, params, params_from_iter};
use tracing::warn;

/// The table for damaged rows: one row here for each of their columns, with the original value.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS damaged
    (found TEXT, source TEXT, why TEXT, name TEXT, value BLOB)";

/// How many rows are logged one by one at a time; of the others only the number is logged.
const LOGGED_MOST: usize = 20;

/// The end of year 9999, in ms: later times have no form that clients understand.
const TIME_MOST: i64 = 253_402_300_799_999;

/// A table, and the columns that identify its rows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [&'static str],
}

/// A row that can't be read.
#[derive(Debug)]
pub(super) struct Damaged {
    table: &'static Table,
    key: Vec<Cell>,
    why: String,
    /// Whether the row stays in its table, where it is repaired.
    is_mended: bool,
}

/// The damage found since the start, for health, log and metrics.
#[derive(Debug, Default)]
pub(super) struct Found {
    rows: AtomicUsize,
    /// The new name of the first database that was renamed.
    pub(super) file: OnceLock<String>,
}

impl Found {
    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Counts and logs rows that were set aside.
    pub(super) fn set_aside(&self, rows: &[Damaged]) {
        self.rows.fetch_add(rows.len(), Ordering::Relaxed);
        metrics::counter!("roomcast_store_damaged_rows_total").increment(rows.len() as u64);
        for Damaged {
            table, key, why, ..
        } in rows.iter().take(LOGGED_MOST)
        {
            let table = table.name;
            warn!(table, ?key, %why, "a damaged row was set aside in the table `damaged`");
        }
        if rows.len() > LOGGED_MOST {
            let more = rows.len() - LOGGED_MOST;
            warn!(
                more,
                "more damaged rows were set aside in the table `damaged`"
            );
        }
    }
}

impl Damaged {
    fn new(table: &'static Table, row: &Row<'_>, why: &anyhow::Error) -> rusqlite::Result<Self> {
        let cell = |column: &&str| Ok(Cell::of(row.get_ref(*column)?));
        Ok(Self {
            table,
            key: table
                .key
                .iter()
                .map(cell)
                .collect::<rusqlite::Result<_>>()?,
            why: why.to_string(),
            is_mended: false,
        })
    }

    /// The row with this number in its table.
    pub(super) fn numbered(table: &'static Table, number: i64, why: &str) -> Self {
        Self {
            table,
            key: vec![Cell::Other(Value::Integer(number))],
            why: why.to_owned(),
            is_mended: false,
        }
    }

    /// The same row, but it stays in its table.
    pub(super) fn mended(self) -> Self {
        Self {
            is_mended: true,
            ..self
        }
    }

    /// Copies the row to the table `damaged`, and removes it from its table unless it is mended.
    pub(super) fn set_aside(&self, db: &Transaction<'_>) -> rusqlite::Result<()> {
        db.execute(TABLE, [])?;
        let Table { name, key } = self.table;
        let same: Vec<_> = key.iter().map(|column| format!("{column} IS ?")).collect();
        let same = same.join(" AND ");
        let mut found = db.prepare(&format!("SELECT * FROM {name} WHERE {same}"))?;
        let columns: Vec<_> = found.column_names().map(str::to_owned).collect();
        let mut found = found.query(params_from_iter(&self.key))?;
        let now = Utc::now().to_rfc3339();
        let mut add = db.prepare_cached("INSERT INTO damaged VALUES (?1, ?2, ?3, ?4, ?5)")?;
        while let Some(row) = found.next()? {
            for (number, column) in columns.iter().enumerate() {
                let value = Cell::of(row.get_ref(number)?);
                add.execute(params![now, name, self.why, column, value])?;
            }
        }
        if !self.is_mended {
            let sql = format!("DELETE FROM {name} WHERE {same}");
            db.execute(&sql, params_from_iter(&self.key))?;
        }
        Ok(())
    }
}

/// Passes each row of a table to `read`; adds the rows that `read` fails on to `damaged`.
pub(super) fn scan(
    db: &Connection,
    table: &'static Table,
    damaged: &mut Vec<Damaged>,
    mut read: impl FnMut(&Row<'_>) -> anyhow::Result<()>,
) -> rusqlite::Result<()> {
    let Table { name, key } = table;
    let sql = format!("SELECT * FROM {name} ORDER BY {}", key.join(", "));
    let mut rows = db.prepare(&sql)?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(why) = read(row) {
            damaged.push(Damaged::new(table, row, &why)?);
        }
    }
    Ok(())
}

/// A time in ms since 1970, if it is plausible.
pub(super) fn time(ms: i64) -> anyhow::Result<DateTime<Utc>> {
    let time = (0..=TIME_MOST).contains(&ms).then_some(ms);
    let time = time.and_then(DateTime::from_timestamp_millis);
    time.ok_or_else(|| anyhow::anyhow!("{ms} is no time"))
}

/// Whether SQLite says that the file itself is damaged.
pub(super) fn is_of_the_file(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// A value as it is in the file: a text may not be UTF-8.
enum Cell {
    Text(Vec<u8>),
    Other(Value),
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Text(text) => Self::Text(text.to_vec()),
            ValueRef::Blob(blob) => Self::Other(Value::Blob(blob.to_vec())),
            ValueRef::Integer(number) => Self::Other(Value::Integer(number)),
            ValueRef::Real(number) => Self::Other(Value::Real(number)),
            ValueRef::Null => Self::Other(Value::Null),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::Other(value) => value.into(),
        }))
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.escape_ascii()),
            Self::Other(Value::Integer(number)) => write!(f, "{number}"),
            Self::Other(other) => write!(f, "{other:?}"),
        }
    }
}
