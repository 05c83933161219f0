//! `kill -9`: what was written is there again, and no offset is given twice.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use roomcast::core::event::Offset;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use super::{EVENTS, database, listener_at, track};
use crate::client::SOON;
use crate::program::Program;
use crate::server::song;
use crate::source::Source;

/// Waits until the last event in the file is this one; looks often, since nobody
/// tells.
pub async fn written(folder: &Path, number: u64) {
    let mut look = interval(Duration::from_millis(5));
    let written = async {
        loop {
            look.tick().await;
            let sql = "SELECT coalesce(max(number), 0) FROM events";
            let last = database(folder).query_row(sql, [], |row| row.get::<_, u64>(0));
            if last.is_ok_and(|last| last >= number) {
                break;
            }
        }
    };
    timeout(SOON, written).await.expect("it is not written");
}

/// Kills the program; its folder, for the next one.
pub async fn kill(program: Program) -> TempDir {
    ended(program, "KILL").await
}

/// Has the program end by itself; its folder, for the next one.
pub async fn end(program: Program) -> TempDir {
    ended(program, "TERM").await
}

async fn ended(mut program: Program, signal: &str) -> TempDir {
    program.signal(signal).await;
    program.exit().await;
    program.folder
}

async fn listener(program: &Program, since: &str) -> (Source, bool) {
    listener_at(program.address, EVENTS, since).await
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let program = Program::start(&[]).await;
    let (mut source, _) = listener(&program, "").await;
    let mut ids = Vec::new();
    for start in 1..=3 {
        program.feed(&song(start, &format!("Song {start}"))).await;
        track(&mut source).await;
        ids.push(source.last_id.parse::<Offset>().unwrap());
    }
    let state = program.folder.path().join("state");
    written(&state, ids[2].number).await;
    let folder = kill(program).await;

    let program = Program::start_in(folder, &[]).await;
    let (mut back, recovered) = listener(&program, &ids[0].to_string()).await;
    assert!(recovered);
    assert_eq!(track(&mut back).await, "Song 2");
    assert_eq!(track(&mut back).await, "Song 3");
    // One that was given out and not written down is no place to go on from.
    let lost = Offset {
        number: ids[2].number + 1,
        ..ids[2]
    };
    let (mut ahead, recovered) = listener(&program, &lost.to_string()).await;
    assert!(!recovered);
    program.feed(&song(4, "Song 4")).await;
    assert_eq!(track(&mut back).await, "Song 4");
    assert_eq!(track(&mut ahead).await, "Song 4");
    let next = back.last_id.parse::<Offset>().unwrap();
    assert_eq!(next.epoch, ids[0].epoch);
    assert!(next.number > lost.number, "{next}: behind the block");
}

/// Killed at once, each time: some of what was heard is not written yet.
#[tokio::test]
async fn no_offset_is_given_twice() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut given = HashSet::new();
    for round in 0..8 {
        let program = Program::start_in(folder, &[]).await;
        let (mut source, _) = listener(&program, "").await;
        for start in 0..3 {
            let title = format!("Song {round} {start}");
            program.feed(&song(10 * round + start, &title)).await;
            while track(&mut source).await != title {}
            assert!(given.insert(source.last_id.clone()), "{}", source.last_id);
        }
        folder = kill(program).await;
    }
    assert_eq!(given.len(), 24);
}

/// The disk took the first song only: who missed the others is told that this is
/// not all.
#[tokio::test]
async fn what_was_never_written_is_known_to_be_lost() {
    let program = Program::start(&[]).await;
    let (mut source, _) = listener(&program, "").await;
    program.feed(&song(1, "Song 1")).await;
    track(&mut source).await;
    let first = source.last_id.clone();
    let state = program.folder.path().join("state");
    written(&state, 1).await;
    let db = database(&state);
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    for start in 2..=3 {
        program.feed(&song(start, &format!("Song {start}"))).await;
        track(&mut source).await;
    }
    let last = source.last_id.clone();
    let folder = kill(program).await;
    drop(db);
    let program = Program::start_in(folder, &[]).await;
    for since in [&first, &last] {
        let (_, recovered) = listener(&program, since).await;
        assert!(!recovered, "{since}");
    }
    let (mut newcomer, _) = listener(&program, "").await;
    assert_eq!(track(&mut newcomer).await, "Song 1", "what there is");
}
