//! Files of earlier versions: all that is in them is there afterwards.

use std::path::Path;

use roomcast::core::name::RoomName;
use roomcast::core::terms::Wanted;
use roomcast::core::token::Token;
use roomcast::namespaces;

use super::plays::titles;
use super::{database, listener, track};
use crate::push_load::PUSH;
use crate::server::{TestServer, feed, play, song};

/// The tables as they were, and what was not in them yet.
const SCHEMA_1: &str = include_str!("schema-1.sql");

/// Makes of a file what the first version would have left: its tables, with
/// everything in them that they have room for.
fn make_older(folder: &Path) {
    let now = folder.join("roomcast.db");
    let older = folder.join("older.db");
    let db = rusqlite::Connection::open(&older).unwrap();
    db.execute_batch(SCHEMA_1).unwrap();
    db.execute("ATTACH ?1 AS now", [now.to_str().unwrap()])
        .unwrap();
    let mut copied = 0;
    for (table, columns) in [
        ("life", "*"),
        ("rooms", "id, namespace, room, epoch, reserved, floor, hole"),
        ("events", "*"),
        ("retained", "*"),
        (
            "plays",
            "id, item, started, type, title, artist, album, length",
        ),
    ] {
        let sql = format!("INSERT INTO {table} SELECT {columns} FROM now.{table}");
        let rows = db.execute(&sql, []).unwrap();
        assert!(rows > 0, "{table} is empty");
        copied += rows;
    }
    assert!(copied > 8, "{copied} rows");
    db.execute_batch(
        "DETACH now;
         PRAGMA application_id = 0x726f6f6d;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    std::fs::rename(older, now).unwrap();
}

#[tokio::test]
async fn a_file_of_schema_1_becomes_one_of_today_with_all_that_it_has() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let (mut source, _) = listener(&server, "").await;
    play(&mut zetta, &song(1, "One")).await;
    assert_eq!(track(&mut source).await, "One");
    let since = source.last_id.clone();
    for start in 2..=3 {
        play(&mut zetta, &song(start, &format!("Song {start}"))).await;
        track(&mut source).await;
    }
    let played = titles(&server).await;
    assert!(played.len() > 1, "{played:?}");
    drop((source, zetta));
    server.stop().await;
    make_older(state.path());

    let (push, room) = (namespaces::PUSH.name(), RoomName::parse("c").unwrap());
    let mut token: Option<Token> = None;
    for _ in 0..2 {
        let server = TestServer::start_in(state.path(), &PUSH).await;
        let (mut source, recovered) = listener(&server, &since).await;
        assert!(recovered);
        for start in 2..=3 {
            assert_eq!(track(&mut source).await, format!("Song {start}"));
        }
        // A repeated airing keeps its row, also in an upgraded file.
        feed(server.zetta, &song(3, "Song 3")).await;
        assert_eq!(titles(&server).await, played);
        // What is new in the file has its place: a channel with its token.
        match &token {
            None => {
                let created = server.hub.create(&push, &room, Wanted::default());
                token = Some(created.await.unwrap());
            }
            Some(token) => {
                let offered = Some(token.reveal());
                let authorised = server.hub.authorise(&push, &room, offered);
                authorised.await.unwrap();
            }
        }
        drop(source);
        server.stop().await;
    }
    let db = database(state.path());
    let version = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(version, Ok(3));
}

/// Another program writes while the server starts: nothing can be migrated yet.
#[tokio::test]
async fn what_can_not_be_migrated_yet_is_read_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let (mut source, _) = listener(&server, "").await;
    play(&mut zetta, &song(1, "One")).await;
    assert_eq!(track(&mut source).await, "One");
    let since = source.last_id.clone();
    for (start, title) in [(2, "Two"), (3, "Three")] {
        play(&mut zetta, &song(start, title)).await;
        assert_eq!(track(&mut source).await, title);
    }
    drop((source, zetta));
    server.stop().await;
    make_older(state.path());

    let db = database(state.path());
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut source, recovered) = listener(&server, &since).await;
    assert!(recovered);
    for title in ["Two", "Three"] {
        assert_eq!(track(&mut source).await, title);
    }
    drop((db, source));
    server.stop().await;
}
