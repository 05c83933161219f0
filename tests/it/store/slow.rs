//! A disk that hangs while the server starts: the server starts in memory, with the stored rooms as
//! far as it can read them.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use roomcast::core::event::Offset;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{interval, timeout};

use super::killed::{end, kill};
use super::{EVENTS, listener_at, track};
use crate::client::SOON;
use crate::program::Program;
use crate::server::song;
use crate::source::Source;

/// Starts the server with a disk that does not perform the calls `gated` until the gate is open.
async fn start(folder: TempDir, gated: &str) -> Program {
    let library = folder.path().join("slow.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store/slow.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source);
    assert!(cc.status().await.unwrap().success());
    let gate = folder.path().join("gate");
    if !gate.exists() {
        mkfifoat(CWD, &gate, Mode::from_raw_mode(0o600)).unwrap();
    }
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
        ("GATE", gate.to_str().unwrap().to_owned()),
        ("GATED", gated.to_owned()),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, text)| (*name, text.as_str()));
    Program::start_told(folder, &[], &environment).await
}

/// Lets the disk work, as long as the returned file is open.
fn open_gate(program: &Program) -> File {
    let gate = program.folder.path().join("gate");
    // Does not wait for a reader.
    File::options().read(true).write(true).open(gate).unwrap()
}

/// Waits until `/health` reports this state of the store.
async fn health(program: &Program, ok: bool) {
    let mut look = interval(Duration::from_millis(20));
    let said = async {
        loop {
            look.tick().await;
            let health: Value = serde_json::from_str(&program.get("/health").await.body).unwrap();
            let status = if ok { "ok" } else { "degraded" };
            if health["store"]["ok"] == ok && health["status"] == status {
                return;
            }
        }
    };
    timeout(SOON, said).await.expect("health says otherwise");
}

async fn listener(program: &Program, since: &str) -> (Source, bool) {
    listener_at(program.address, EVENTS, since).await
}

/// A folder in which two songs were played, and their ids.
async fn played() -> (TempDir, Vec<String>) {
    let program = Program::start(&[]).await;
    let (mut source, _) = listener(&program, "").await;
    let mut ids = Vec::new();
    for start in 1..=2 {
        program.feed(&song(start, &format!("Song {start}"))).await;
        track(&mut source).await;
        ids.push(source.last_id.clone());
    }
    drop(source);
    (end(program).await, ids)
}

#[tokio::test]
async fn a_disk_that_does_not_write_yet_delays_no_client() {
    let (folder, ids) = played().await;
    let program = start(folder, "sync").await;
    health(&program, false).await;
    let (mut newcomer, _) = listener(&program, "").await;
    assert_eq!(track(&mut newcomer).await, "Song 2");
    let (mut back, recovered) = listener(&program, &ids[0]).await;
    assert!(recovered);
    assert_eq!(track(&mut back).await, "Song 2");
    // The studio connects anew and repeats what is on: no event, and no other row.
    program.feed(&song(2, "Song 2")).await;
    program.feed(&song(3, "Song 3")).await;
    assert_eq!(track(&mut back).await, "Song 3");
    assert_eq!(track(&mut newcomer).await, "Song 3");
    let third: Offset = back.last_id.parse().unwrap();
    let second: Offset = ids[1].parse().unwrap();
    assert_ne!(third.epoch, second.epoch, "nothing is reserved");
    let (mut back, recovered) = listener(&program, &ids[1]).await;
    assert!(recovered, "nothing is missing all the same");
    assert_eq!(track(&mut back).await, "Song 3");
    let gate = open_gate(&program);
    health(&program, true).await;
    program.feed(&song(4, "Song 4")).await;
    assert_eq!(track(&mut back).await, "Song 4");
    let fourth: Offset = back.last_id.parse().unwrap();
    assert_eq!(
        (fourth.epoch, fourth.number),
        (third.epoch, third.number + 1)
    );
    drop((back, newcomer));
    let folder = end(program).await;
    drop(gate);

    let program = Program::start_in(folder, &[]).await;
    let (mut back, recovered) = listener(&program, &third.to_string()).await;
    assert!(recovered);
    assert_eq!(track(&mut back).await, "Song 4");
    let played = program.get("/api/now-playing/history").await;
    for number in 1..=4 {
        let rows = played.body.matches(&format!("Song {number}")).count();
        assert_eq!(rows, 1, "Song {number}: {}", played.body);
    }
}

#[tokio::test]
async fn events_lost_before_the_disk_writes_are_not_recovered() {
    let (folder, ids) = played().await;
    let program = start(folder, "sync").await;
    let (mut source, _) = listener(&program, &ids[1]).await;
    program.feed(&song(3, "Song 3")).await;
    assert_eq!(track(&mut source).await, "Song 3");
    let lost = source.last_id.clone();
    let folder = kill(program).await;
    let program = Program::start_in(folder, &[]).await;
    for since in ids.iter().chain([&lost]) {
        let (_, recovered) = listener(&program, since).await;
        assert!(!recovered, "{since}");
    }
}

#[tokio::test]
async fn rooms_appear_once_a_slow_disk_has_been_read() {
    let (folder, ids) = played().await;
    let program = start(folder, "lock").await;
    health(&program, false).await;
    let (mut early, recovered) = listener(&program, &ids[0]).await;
    assert!(!recovered, "nobody knows");
    let gate = open_gate(&program);
    assert_eq!(track(&mut early).await, "Song 2");
    health(&program, true).await;
    let (mut back, recovered) = listener(&program, &ids[0]).await;
    assert!(recovered);
    assert_eq!(track(&mut back).await, "Song 2");
    program.feed(&song(3, "Song 3")).await;
    for source in [&mut early, &mut back] {
        assert_eq!(track(source).await, "Song 3");
        let (third, second) = (source.last_id.parse::<Offset>(), ids[1].parse::<Offset>());
        let (third, second) = (third.unwrap(), second.unwrap());
        assert_eq!(
            (third.epoch, third.number),
            (second.epoch, second.number + 1)
        );
    }
    drop((early, back));
    end(program).await;
    drop(gate);
}
