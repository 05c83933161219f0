//! Two thousand EventSources across a stop and a `kill -9`: each hears each event
//! once, in order.

use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::EVENTS;
use super::killed::written;
use crate::client::SOON;
use crate::program::Program;
use crate::server::song;
use crate::source::Source;

const LISTENERS: usize = 2_000;

/// How many songs each server plays.
const SONGS: u32 = 10;

/// What a listener is told of the server: where the one is that runs now.
type At = watch::Receiver<SocketAddr>;

/// Listens through all servers until the last song, and comes back with its last
/// id whenever one ends; what it has heard.
async fn follow(mut at: At, joined: watch::Sender<usize>, last: u32) -> Vec<String> {
    let (mut heard, mut since) = (Vec::new(), String::new());
    loop {
        let server = *at.borrow_and_update();
        let headers = format!("Last-Event-ID: {since}\r\n");
        if let Some(mut source) = Source::try_open(server, EVENTS, &headers).await {
            // What an EventSource has until another id comes.
            source.last_id.clone_from(&since);
            while let Some(block) = source.next().await {
                match block.event.as_str() {
                    "joined" => assert_eq!(block.data["recovered"], !since.is_empty()),
                    "message" => {
                        let title = block.data["message"]["track"].as_str().unwrap();
                        heard.push(title.to_owned());
                    }
                    _ => {}
                }
                if heard.last() == Some(&name(last)) {
                    return heard;
                }
                if since.is_empty() {
                    // The place to go on from, before anything was played.
                    while source.last_id.is_empty() {
                        source.block().await.expect("an id");
                    }
                    joined.send_modify(|joined| *joined += 1);
                }
                since.clone_from(&source.last_id);
            }
        }
        at.changed().await.expect("the test goes on");
    }
}

fn name(number: u32) -> String {
    format!("Song {number}")
}

#[tokio::test]
async fn two_thousand_recover_every_event_across_restarts() {
    let last = 3 * SONGS;
    let mut program = Program::start(&[]).await;
    let (announce, at) = watch::channel(program.address);
    let (joined, mut all_joined) = watch::channel(0);
    let mut listeners = JoinSet::new();
    for _ in 0..LISTENERS {
        listeners.spawn(follow(at.clone(), joined.clone(), last));
    }
    let joined = all_joined.wait_for(|joined| *joined == LISTENERS);
    timeout(SOON, joined).await.expect("they join").unwrap();
    for (round, signal) in ["TERM", "KILL", ""].into_iter().enumerate() {
        let first = round as u32 * SONGS + 1;
        for number in first..first + SONGS {
            program.feed(&song(number, &name(number))).await;
        }
        if signal.is_empty() {
            break;
        }
        if signal == "KILL" {
            // What a server that is killed has not written yet is lost.
            written(&program.folder.path().join("state"), last_offset(first)).await;
        }
        program.signal(signal).await;
        program.exit().await;
        program = Program::start_in(program.folder, &[]).await;
        announce.send_replace(program.address);
    }
    let expected: Vec<_> = (1..=last).map(name).collect();
    let mut heard = 0;
    while let Some(listener) = timeout(SOON, listeners.join_next()).await.expect("an end") {
        assert_eq!(listener.unwrap(), expected);
        heard += 1;
    }
    assert_eq!(heard, LISTENERS);
}

/// The number of the last event of a round that is the second one at most: a
/// clean stop leaves no numbers out.
fn last_offset(first: u32) -> u64 {
    u64::from(first + SONGS - 1)
}
