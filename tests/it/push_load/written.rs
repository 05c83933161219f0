//! A channel is written down before its publisher is told: a `kill -9` right behind
//! the answer loses none, and a disk that refuses holds nobody up.

use serde_json::json;

use super::PUSH;
use super::publisher::Publisher;
use crate::program::Program;
use crate::store::database;
use crate::store::killed::{end, kill};

/// How often the server is killed behind a creation, and as often behind a deletion.
const ROUNDS: usize = 4;

#[tokio::test]
async fn what_was_answered_is_so_after_a_kill() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut channels: Vec<(String, u16)> = Vec::new();
    for round in 0..=2 * ROUNDS {
        let program = Program::start_in(folder, &PUSH).await;
        let mut publisher = Publisher::connect(program.address_of("push http")).await;
        for (number, (token, expected)) in channels.iter().enumerate() {
            let status = publisher.ping(&number.to_string(), token).await;
            assert_eq!(status, *expected, "channel {number} in round {round}");
        }
        if round % 2 == 0 {
            let channel = channels.len().to_string();
            let token = publisher.create(json!({"channel": channel})).await;
            channels.push((token, 200));
        } else if let [.., (token, expected)] = &mut channels[..] {
            let last = (round / 2).to_string();
            assert_eq!(publisher.delete(&last, token).await, 200);
            *expected = 404;
        }
        let (room, rows) = ((round / 2).to_string(), 1 - round % 2);
        assert_eq!(in_file(&program, &room), rows, "in round {round}");
        folder = kill(program).await;
    }
    assert_eq!(channels.len(), ROUNDS + 1);
}

/// How many channels of this name the file has at this moment.
fn in_file(program: &Program, channel: &str) -> usize {
    let db = database(&program.folder.path().join("state"));
    let sql = "SELECT count(*) FROM rooms WHERE namespace = '/push' AND room = ?1";
    db.query_row(sql, [channel], |row| row.get(0)).unwrap()
}

/// Somebody with a shell has the file: it is refused for as long.
#[tokio::test]
async fn a_disk_that_refuses_holds_no_answer_up() {
    let program = Program::start(&PUSH).await;
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    publisher.create(json!({"channel": "before"})).await;
    let db = database(&program.folder.path().join("state"));
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let token = publisher.create(json!({"channel": "meanwhile"})).await;
    assert_eq!(publisher.ping("meanwhile", &token).await, 200);
    assert_eq!(publisher.delete("meanwhile", &token).await, 200);
    let token = publisher.create(json!({"channel": "meanwhile"})).await;
    assert_eq!(publisher.ping("meanwhile", &token).await, 200);
    // It is written once that is possible.
    db.execute_batch("ROLLBACK").unwrap();
    drop(db);
    let program = Program::start_in(end(program).await, &PUSH).await;
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    assert_eq!(publisher.ping("meanwhile", &token).await, 200);
}
