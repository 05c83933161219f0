//! Valid traffic of every transport, changed at random, over the network against the whole
//! server: for a few seconds, or for as many as `ROOMCAST_FUZZ_SECONDS` says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::Victim;
use super::attacks::session;
use super::peer::{Target, frame, text};
use crate::client::SOON;
use crate::http::posted;

/// The default duration, in seconds.
const SECONDS: u64 = 5;

/// How many connections are mutated side by side.
const WORKERS: u64 = 8;

/// Longest wait for an answer before the next connection: most input gets none.
const PATIENCE: Duration = Duration::from_millis(20);

/// Most increase of the server's memory since the first traffic, in KiB.
const MEMORY_MOST: usize = 64 * 1024;

/// Pseudo-random numbers (Knuth's constants for 64 bits), the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}

const UPGRADE: &str = "HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const ZETTA: &str = include_str!("../fixtures/song_current.xml");

/// What a client of some transport sends on one connection, and where.
async fn script(target: &Target, dice: &mut Dice) -> (SocketAddr, Vec<Vec<u8>>) {
    let head = |path: &str| format!("GET {path} {UPGRADE}").into_bytes();
    let eio = 3 + dice.below(2);
    let packets = [
        "40/bus,",
        "40/lobby?lobbyId=l,",
        r#"42/bus,1["JOIN",{"room":"r","name":"añ𝄞"}]"#,
        r#"42/bus,2["NOTIFY",{"room":"r","message":{"a":[1,null]}}]"#,
        r#"42/bus,3["CLIENTS",{"room":"r"}]"#,
        r#"452-/bus,4["x",{"_placeholder":true,"num":0}]"#,
        r#"42/lobby,["RTCSIGNAL",{"to":"x","sdp":1}]"#,
        "41/bus,",
        "2",
        "3",
        "1",
    ];
    let some: Vec<_> = (0..1 + dice.below(6))
        .map(|_| packets[dice.below(11)])
        .collect();
    match dice.below(9) {
        0 => {
            let path = format!("/socket.io/?EIO={eio}&transport=websocket&lobbyId=l");
            let frames = some.iter().map(|packet| text(packet));
            (target.main, [vec![head(&path)], frames.collect()].concat())
        }
        1 => {
            let body = match eio {
                3 => some
                    .iter()
                    .map(|packet| format!("{}:{packet}", packet.encode_utf16().count()))
                    .collect(),
                _ => some.join("\u{1e}"),
            };
            let session = session(target, eio as u8).await;
            let session = session.unwrap_or_else(|_| "/socket.io/".to_owned());
            (target.main, vec![posted(&session, "", body)])
        }
        2 => {
            let frames = vec![
                head("/api/?target=metadata"),
                text("hello"),
                frame(0x89, b"x"),
                frame(0x02, &[1; 70]),
                frame(0x80, &[2; 70]),
                frame(0x88, &[3, 232]),
            ];
            (target.main, frames)
        }
        3 => {
            let subscribe =
                r#"{"messageType":"CLIENT_ACTION","action":"subscribe","data":{"channel":"c"}}"#;
            (
                target.push_ws,
                vec![head("/"), text(subscribe), text(subscribe)],
            )
        }
        4 => {
            let create = r#"{"messageType":"SERVER_ACTION","action":"createChannel","data":{"channel":"c"}}"#;
            (
                target.push_http,
                vec![posted("/channel/create", "", create)],
            )
        }
        5 => (
            target.webhook,
            vec![head("/"), text("to the backend"), frame(0x82, &[0; 99])],
        ),
        6 => (
            target.zetta,
            vec![ZETTA.as_bytes().to_vec(); 1 + dice.below(3)],
        ),
        7 => {
            let paths = [
                "/api/now-playing",
                "/api/now-playing/history?limit=10&from=2026-01-01&to=2026-12-31",
                "/events/bus/r?last_event_id=abcdefghijkl-1",
                "/metrics",
                "/health",
                "/",
            ];
            let path = paths[dice.below(paths.len())];
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (target.main, vec![request.into_bytes()])
        }
        _ => {
            let track =
                r#"{"track":"a","artist":"b","length":1e3,"timestampUTC":"2026-01-01T00:00:00Z"}"#;
            let json = "Content-Type: application/json\r\n";
            let bus = dice.below(2) == 0;
            let path = if bus {
                "/bus-message/r"
            } else {
                "/api/metadata/now-playing"
            };
            (target.main, vec![posted(path, json, track)])
        }
    }
}

/// Changes some of the parts, or none.
fn mutate(parts: &mut Vec<Vec<u8>>, dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        let at = dice.below(parts.len());
        let other = parts[dice.below(parts.len())].clone();
        let part = &mut parts[at];
        let (from, byte) = (dice.below(part.len() + 1), dice.next() as u8);
        match dice.below(8) {
            0 | 1 if from < part.len() => part[from] ^= 1 << (byte % 8),
            2 if from < part.len() => part[from] = byte,
            3 => part.truncate(from),
            4 => drop(part.splice(from..from, other)),
            5 => {
                let length = dice.below(2_000);
                drop(part.splice(from..from, vec![byte; length]));
            }
            6 => drop(part.splice(from.., [])),
            _ => parts.insert(at, other),
        }
    }
}

/// Opens one connection after the other until the time is over; how many there were.
async fn worker(target: Target, seed: u64, until: Instant) -> usize {
    let mut dice = Dice(seed);
    let mut connections = 0;
    while Instant::now() < until {
        let (port, mut parts) = script(&target, &mut dice).await;
        mutate(&mut parts, &mut dice);
        let Ok(mut stream) = target.connect(port).await else {
            continue;
        };
        connections += 1;
        let talk = async {
            for part in parts {
                stream.write_all(&part).await?;
                stream.flush().await?;
                if dice.below(3) == 0 {
                    // Wait for an answer now and then.
                    let _ = timeout(PATIENCE, stream.read(&mut [0; 4096])).await;
                }
            }
            let _ = timeout(PATIENCE, stream.read(&mut [0; 4096])).await;
            std::io::Result::Ok(())
        };
        // The server may have hung up; a peer that is not read is cut later.
        let _ = timeout(SOON, talk).await;
    }
    connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_traffic_harms_nobody() {
    let seconds = std::env::var("ROOMCAST_FUZZ_SECONDS");
    let seconds = seconds.map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let mut victim = Victim::start(&[]).await;
    let warm = Instant::now() + Duration::from_secs(2);
    for seed in 0..WORKERS {
        worker(victim.target.clone(), seed, warm).await;
    }
    let before = victim.memory();
    let until = Instant::now() + Duration::from_secs(seconds);
    let workers = TaskTracker::new();
    let seed = u64::from(victim.program.id());
    let all: Vec<_> = (0..WORKERS)
        .map(|number| workers.spawn(worker(victim.target.clone(), seed ^ (number << 20), until)))
        .collect();
    let (mut worst, mut most) = (Duration::ZERO, 0);
    while Instant::now() < until {
        let (p99, memory) = victim.bystander().await;
        (worst, most) = (worst.max(p99), most.max(memory));
    }
    let mut connections = 0;
    for worker in all {
        connections += worker.await.unwrap();
    }
    let more = most.saturating_sub(before);
    println!(
        "{connections} connections in {seconds} s by seed {seed}, p99 at most {worst:.1?}, memory +{more} KiB"
    );
    assert!(connections > 100, "{connections}");
    assert!(more <= MEMORY_MOST, "{before} KiB and {more} more");
    victim.program.signal("TERM").await;
    assert_eq!(victim.program.exit().await.code(), Some(0));
    let said = victim.program.seen.join("\n");
    assert!(!said.contains("panicked"), "{said}");
}
