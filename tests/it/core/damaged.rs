//! A hub and its store with damaged rows in the database: only the damaged row is lost, and a
//! client that would miss an event receives `recovered:false`.

use std::path::Path;
use std::time::Duration;

use roomcast::core::terms::Wanted;
use roomcast::nowplaying::Item;
use roomcast::store::{Opened, Query, Store, Writing};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::client::SOON;

/// The values that are written to each column: another type, invalid UTF-8, impossible numbers.
const VALUES: [&str; 5] = [
    "X'FF00'",
    "CAST(X'FF' AS TEXT)",
    "'x'",
    "-1",
    "9223372036854775807",
];

/// One row of each table, and its columns, except those of indexes.
const ROWS: [(&str, &str, &[&str]); 6] = [
    ("life", "one = 1", &["one", "id", "prior", "given", "clean"]),
    (
        "rooms",
        "room = 'a'",
        &["namespace", "room", "epoch", "reserved", "floor", "hole"],
    ),
    ("rooms", "room = 'c'", &["token", "retain", "history"]),
    (
        "events",
        "number = 3 AND room = (SELECT id FROM rooms WHERE room = 'a')",
        &["room", "number", "epoch", "time", "sender", "message"],
    ),
    (
        "retained",
        "room = (SELECT id FROM rooms WHERE room = 'a')",
        &["room", "key", "number"],
    ),
    (
        "plays",
        "id = 1",
        &[
            "item", "started", "type", "title", "artist", "album", "length",
        ],
    ),
];

struct Running {
    store: Store,
    hub: Arc<Hub>,
    writing: Writing,
}

async fn run(folder: &Path) -> Running {
    let opened = Store::open(folder, Duration::from_secs(1_000_000_000)).await;
    let Opened {
        store,
        rooms,
        begin,
    } = opened.unwrap();
    let durable = |namespace| Namespace {
        durable: true,
        ..namespace
    };
    let created = Namespace {
        rooms: Rooms::Created,
        publishers: vec![Publisher::Http],
        ..namespace("/c", 10, &["last"])
    };
    let namespaces = vec![durable(namespace("/n", 10, &["last"])), durable(created)];
    let hub = Hub::durable(namespaces, Memory, store.keeper(), rooms);
    let (writing, _) = begin.write(hub.clone()).await;
    Running {
        store,
        hub,
        writing,
    }
}

fn say(hub: &Arc<Hub>, name: &str, number: u64) -> Offset {
    publish_in(hub, name, to_raw_value(&number).unwrap(), &[]).unwrap()
}

fn last(hub: &Hub, name: &str) -> Option<String> {
    let namespace = NamespaceName::parse("/n").unwrap();
    let retained = hub.retained(&namespace, &room(name), "last");
    retained.map(|event| event.publication.message.get().to_owned())
}

fn item(id: &str, second: i64) -> Item {
    Item {
        airing: uuid::Uuid::new_v4(),
        id: id.to_owned(),
        kind: Item::SONG.to_owned(),
        title: id.to_owned(),
        start: chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap(),
        ..Item::default()
    }
}

/// A folder after a clean stop, and the third offset of the room `a`.
async fn made() -> (TempDir, Offset) {
    let folder = tempfile::tempdir().unwrap();
    let Running {
        store,
        hub,
        writing,
    } = run(folder.path()).await;
    let given: Vec<_> = (1..=5).map(|number| say(&hub, "a", number)).collect();
    say(&hub, "b", 9);
    let namespace = NamespaceName::parse("/c").unwrap();
    let c = room("c");
    let created = hub.create(&namespace, &c, Wanted::default());
    created.await.unwrap();
    store.aired(item("first", 0));
    store.aired(item("second", 500));
    writing.close(SOON).await;
    (folder, given[2])
}

#[tokio::test]
async fn a_damaged_row_costs_that_row() {
    let (made, third) = made().await;
    for (table, row, columns) in ROWS {
        for (column, value) in columns.iter().flat_map(|c| VALUES.map(|value| (*c, value))) {
            let case = format!("{table}.{column} = {value}");
            let folder = tempfile::tempdir().unwrap();
            for name in ["roomcast.db", "lock"] {
                std::fs::copy(made.path().join(name), folder.path().join(name)).unwrap();
            }
            let db = Connection::open(folder.path().join("roomcast.db")).unwrap();
            db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
                .unwrap();
            let sql = format!("UPDATE {table} SET {column} = {value} WHERE {row}");
            // An INTEGER PRIMARY KEY takes integers only.
            let Ok(1) = db.execute(&sql, []) else {
                assert_eq!(column, "one", "{case}");
                continue;
            };
            drop(db);
            goes_on(folder.path(), table, column, value, third).await;
        }
    }
}

/// Starts with one damaged row, and once more after the store has set it aside.
async fn goes_on(folder: &Path, table: &str, column: &str, value: &str, third: Offset) {
    let case = format!("{table}.{column} = {value}");
    let Running {
        store,
        hub,
        writing,
    } = run(folder).await;
    assert!(store.is_ok(), "{case}");
    assert_eq!(last(&hub, "b").as_deref(), Some("9"), "{case}");
    let all = Query {
        all: true,
        ..Query::default()
    };
    let plays = store.history(&all).unwrap();
    let titles: Vec<_> = plays.iter().map(|item| item.title.as_str()).collect();
    match table {
        "plays" => assert_eq!(titles[0], "second", "{case}"),
        _ => assert_eq!(titles, ["second", "first"], "{case}"),
    }
    // A client that has the second event misses the third one.
    let mut listener = connect(&hub);
    let second = Offset {
        number: third.number - 1,
        ..third
    };
    let joined = join_in(&hub, &listener, "a", Some(second)).await;
    let mut told = Vec::new();
    while let Ok(Told::Event(text)) = listener.told.try_recv() {
        told.push(text);
    }
    let is_there = told.iter().any(|text| text == "4") && told.len() == 3;
    assert!(!joined.recovered || is_there, "{case}: {told:?}");
    if matches!(table, "retained" | "plays") {
        assert!(joined.recovered, "{case}");
    }
    let next = say(&hub, "a", 77);
    let is_new = next.epoch != third.epoch || next.number > 5;
    assert!(is_new, "{case}: {next} was given before");
    assert_eq!(listener.messages(1).await, ["77"], "{case}");
    store.aired(item("third", 1_000));
    writing.close(SOON).await;
    assert!(store.is_ok(), "{case}: it is written");
    // A row with a time that no query asks for is never read.
    let is_wrong = value.contains('X') && (table, column) != ("plays", "started");
    assert!(store.damaged_rows() > 0 || !is_wrong, "{case} is noticed");
    drop((store, hub));

    let Running {
        store,
        hub,
        writing,
    } = run(folder).await;
    assert_eq!(store.damaged_rows(), 0, "{case}: it was set aside");
    assert_eq!(last(&hub, "a").as_deref(), Some("77"), "{case}");
    let plays = store.history(&all).unwrap();
    assert_eq!(plays[0].title, "third", "{case}");
    writing.close(SOON).await;
}
