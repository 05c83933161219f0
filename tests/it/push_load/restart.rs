//! Channels across the ends of the server: their tokens, what they keep, and where
//! their listeners go on.

use std::fs;
use std::path::Path;

use roomcast::core::event::Offset;
use serde_json::json;

use super::PUSH;
use super::publisher::Publisher;
use crate::http::get;
use crate::program::Program;
use crate::source::Source;
use crate::store::killed::{end, kill, written};
use crate::store::listener_at;

/// The channel, as those hear it who read server-sent events.
const EVENTS: &str = "/events/push/news";

/// The next push that is heard, and the offset that it has.
async fn next(source: &mut Source) -> (String, Offset) {
    let told = source.told().await;
    let message = told.data["message"].as_str().expect("a push").to_owned();
    (message, source.last_id.parse().unwrap())
}

/// Whether these words are in any file of the state.
fn is_in(state: &Path, words: &str) -> bool {
    let files = fs::read_dir(state).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let texts: Vec<_> = files.map(|file| fs::read(file.path()).unwrap()).collect();
    assert!(!texts.is_empty(), "no files");
    let has = |text: &Vec<u8>| text.windows(words.len()).any(|at| at == words.as_bytes());
    texts.iter().any(has)
}

/// Ends a server with channels, and looks what the next one has of them.
async fn comes_back(is_killed: bool, once_without: bool) {
    let program = Program::start(&PUSH).await;
    let state = program.folder.path().join("state");
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    let terms = json!({"channel": "news", "retain": true, "history": 10});
    let token = publisher.create(terms).await;
    let gone = publisher.create(json!({"channel": "gone"})).await;
    assert_eq!(publisher.delete("gone", &gone).await, 200);
    let (mut source, _) = listener_at(program.address, EVENTS, "").await;
    let mut ids = Vec::new();
    for number in 1..=5 {
        let message = json!(format!("push {number}"));
        assert_eq!(publisher.push("news", &token, &[], message).await, 200);
        ids.push(next(&mut source).await.1);
    }
    drop(source);
    let mut folder = if is_killed {
        written(&state, ids[4].number).await;
        kill(program).await
    } else {
        end(program).await
    };
    assert!(is_in(&state, "push 5"), "nothing was looked at");
    assert!(!is_in(&state, &token), "the token is there to read");

    if once_without {
        let program = Program::start_in(folder, &[]).await;
        assert_eq!(get(program.address, EVENTS, "").await.status, 404);
        folder = end(program).await;
    }
    let program = Program::start_in(folder, &PUSH).await;
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    assert_eq!(publisher.ping("news", &token).await, 200);
    assert_eq!(publisher.ping("news", &gone).await, 403);
    assert_eq!(publisher.ping("gone", &gone).await, 404);
    let (mut newcomer, _) = listener_at(program.address, EVENTS, "").await;
    assert_eq!(next(&mut newcomer).await, ("push 5".to_owned(), ids[4]));
    let since = ids[0].to_string();
    let (mut back, recovered) = listener_at(program.address, EVENTS, &since).await;
    assert!(recovered);
    for number in 2..=5 {
        let expected = (format!("push {number}"), ids[number - 1]);
        assert_eq!(next(&mut back).await, expected);
    }
    let pushed = publisher.push("news", &token, &[], json!("push 6")).await;
    assert_eq!(pushed, 200);
    for source in [&mut newcomer, &mut back] {
        let (message, offset) = next(source).await;
        assert_eq!((&message[..], offset.epoch), ("push 6", ids[4].epoch));
        assert!(offset.number > ids[4].number, "{offset}");
    }
}

#[tokio::test]
async fn channels_survive_a_stop_and_a_kill_and_a_start_without_the_door() {
    for (is_killed, once_without) in [(false, false), (false, true), (true, false), (true, true)] {
        println!("killed: {is_killed}, once without --push: {once_without}");
        comes_back(is_killed, once_without).await;
    }
}
