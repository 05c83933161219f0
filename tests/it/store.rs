//! What outlives the server: recovery across a restart and a `kill -9`, the play
//! log, and a disk that refuses.

mod crowd;
mod damaged;
mod disk;
pub mod killed;
mod migration;
mod plays;
mod slow;

use std::net::SocketAddr;
use std::path::Path;

use roomcast::core::event::Offset;
use rusqlite::Connection;
use serde_json::json;

use crate::server::{TestServer, play, song};
use crate::source::Source;

const EVENTS: &str = "/events/metadata/now-playing";

/// A listener that goes on from an id, and what it was told first.
async fn listener(server: &TestServer, since: &str) -> (Source, bool) {
    listener_at(server.address, EVENTS, since).await
}

/// The same in any room of any server.
pub async fn listener_at(server: SocketAddr, target: &str, since: &str) -> (Source, bool) {
    let headers = format!("Last-Event-ID: {since}\r\n");
    let mut source = Source::open(server, target, &headers).await;
    let joined = source.told().await;
    assert_eq!(joined.event, "joined");
    let recovered = joined.data["recovered"].as_bool().unwrap();
    (source, recovered)
}

/// The next track that it hears.
async fn track(source: &mut Source) -> String {
    let told = source.told().await;
    let track = &told.data["message"]["track"];
    track.as_str().expect("an event with a track").to_owned()
}

pub fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("roomcast.db")).unwrap()
}

#[tokio::test]
async fn a_restart_loses_nothing_and_goes_on_counting() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let (mut source, _) = listener(&server, "").await;
    let mut ids: Vec<Offset> = Vec::new();
    for start in 1..=3 {
        let title = format!("Song {start}");
        play(&mut zetta, &song(start, &title)).await;
        assert_eq!(track(&mut source).await, title);
        ids.push(source.last_id.parse().unwrap());
    }
    drop((source, zetta));
    server.stop().await;

    let server = TestServer::start_in(state.path(), &[]).await;
    let (mut back, recovered) = listener(&server, &ids[0].to_string()).await;
    assert!(recovered);
    assert_eq!(track(&mut back).await, "Song 2");
    assert_eq!(track(&mut back).await, "Song 3");
    let (mut newcomer, recovered) = listener(&server, "").await;
    assert!(!recovered);
    assert_eq!(track(&mut newcomer).await, "Song 3");
    assert_eq!(newcomer.last_id.parse::<Offset>().unwrap(), ids[2]);
    // A studio repeats what is on to whom it connects to: that is nothing new.
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(3, "Song 3")).await;
    play(&mut zetta, &song(4, "Song 4")).await;
    assert_eq!(track(&mut back).await, "Song 4");
    let next: Offset = back.last_id.parse().unwrap();
    assert_eq!((next.epoch, next.number), (ids[2].epoch, ids[2].number + 1));
    drop((back, newcomer, zetta));
    server.stop().await;
}

/// A namespace of one's own, with rooms that clients make.
#[tokio::test]
async fn rooms_that_anybody_may_open_are_there_again_as_well() {
    let state = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let notes = r#"protocol = "room"
verbs = ["JOIN"]
publishers = ["http"]
retain = ["last"]
durable = true"#;
    std::fs::write(folder.path().join("notes.toml"), notes).unwrap();
    let options = ["--namespaces", folder.path().to_str().unwrap()];
    let server = TestServer::start_in(state.path(), &options).await;
    for room in ["a/b", "ä \"'"] {
        for number in 0..150 {
            server.publish("/notes", room, json!({ "room": room, "number": number }));
        }
    }
    server.stop().await;
    let server = TestServer::start_in(state.path(), &options).await;
    for (room, target) in [("a/b", "a%2Fb"), ("ä \"'", "%C3%A4%20%22%27")] {
        let target = format!("/events/notes/{target}");
        let mut source = Source::open(server.address, &target, "").await;
        assert_eq!(source.told().await.event, "joined");
        let last = source.told().await;
        assert_eq!(last.data["message"], json!({ "room": room, "number": 149 }));
        assert_eq!(last.data["sender"], "POST");
        let id: Offset = source.last_id.parse().unwrap();
        assert_eq!(id.number, 150);
        // As many as the namespace's history has.
        for (since, recovered) in [(50, true), (49, false)] {
            let since = Offset {
                number: since,
                ..id
            };
            let headers = format!("Last-Event-ID: {since}\r\n");
            let mut source = Source::open(server.address, &target, &headers).await;
            assert_eq!(source.told().await.data["recovered"], recovered, "{since}");
            let first = source.told().await;
            assert_eq!(first.data["message"]["number"], 50, "{since}");
        }
    }
    server.stop().await;
    let db = database(state.path());
    let events = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0));
    assert_eq!(events, Ok(200), "no more than what is kept");
}
