//! Property tests of input from Redis, which other nodes or any program with access to it
//! may have written: messages of channels, and answers to the sync of a room.

use std::cell::RefCell;
use std::future::pending;

use ::redis::parse_redis_value;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::core::namespace::{Namespace, Rooms};
use crate::core::presence::Page;
use crate::fuzz::{self, Case, Format};
use crate::redis::RedisBroker;

const EVENT: &str =
    r#"abcdefghijkl 1 1727137942005 {"k":"message","s":"zetta","m":{"a":[1,"ü"]},"r":["song"]}"#;

/// The tokens of messages and events.
const TOKENS: [&str; 33] = [
    "e",
    "t",
    "x",
    "q",
    " ",
    "abcdefghijkl",
    "=abcdefghijkl",
    "1",
    "2",
    "1727137942005",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "\"i\":\"3f2c1b0a-0000-4000-8000-000000000000\"",
    "\"k\":\"message\"",
    "\"k\":\"joined\"",
    "\"k\":\"left\"",
    "\"k\":\"signal\"",
    "\"s\":\"anna\"",
    "\"p\":\"bob\"",
    "\"m\":null",
    "\"o\":\"node:1\"",
    "\"r\":[\"song\"]",
    "\"c\":[\"3f2c1b0a-0000-4000-8000-000000000000\"]",
    "{\"verb\":\"about\"}",
    "node 7 ",
    "null",
    "\\u0041",
    "é",
];

/// A runtime, and a namespace with a room.
struct Ground {
    runtime: Runtime,
    namespaces: Vec<Namespace>,
}

impl Ground {
    fn new() -> Self {
        let metadata = Namespace {
            rooms: Rooms::Fixed(vec![room().room]),
            retain: vec!["song".to_owned()],
            ..Namespace::new(room().namespace)
        };
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            namespaces: vec![metadata],
        }
    }

    /// Runs `does` with a node that has a client in its room.
    fn with_node(&self, does: impl FnOnce(&mut Running)) {
        self.runtime.block_on(async {
            let settings = Redis {
                servers: vec![("127.0.0.1".to_owned(), 1)],
                cluster: false,
                tls: false,
                ca: None,
                user: None,
                password: None,
                database: 0,
            };
            let (broker, node) = RedisBroker::new(settings);
            let hub = Hub::new(self.namespaces.clone(), broker);
            let mut running = Running::new(node, hub.clone());
            running.link = LinkState::Opening(Box::pin(pending()));
            hub.open_fixed();
            while let Ok(job) = running.wanted.try_recv() {
                running.take(job);
            }
            does(&mut running);
        });
    }
}

fn room() -> RoomId {
    RoomId {
        namespace: NamespaceName::parse("/metadata").unwrap(),
        room: crate::core::name::RoomName::parse("now-playing").unwrap(),
    }
}

/// The answer of Redis to the sync of a room.
fn answer(epoch: &str, number: u64, events: &[&str]) -> Vec<u8> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let list: String = events.iter().map(|text| bulk(text)).collect();
    let parts = [
        bulk("live"),
        bulk(epoch),
        bulk(&number.to_string()),
        format!("*{}\r\n{list}", events.len()),
        format!("*2\r\n{}{}", bulk("song"), bulk(EVENT)),
        "*0\r\n".to_owned(),
        format!("*2\r\n{}{}", bulk("anna"), bulk("1.5")),
        ":0\r\n".to_owned(),
        format!("*2\r\n{}:1\r\n", bulk("abcdefghijkl")),
    ];
    format!("*{}\r\n{}", parts.len(), parts.concat()).into_bytes()
}

/// Inputs that once stopped the node.
#[test]
fn no_message_of_a_channel_stops_the_node() {
    let ground = Ground::new();
    let far = EVENT.replace(" 1 ", " 18446744073709551615 ");
    for message in ["", "é", "𝄞", "e", &format!("e{far}"), &format!("t{far}")] {
        ground.with_node(|running| {
            let channel = running.prefix.channel(&room()).into_bytes();
            running.message(&channel, message.as_bytes().to_vec());
            running.message(&channel, b"\xc3".to_vec());
        });
    }
}

#[test]
fn fuzz_messages_of_channels() {
    let ground = Ground::new();
    let documents = [
        format!("e{EVENT}"),
        format!("t{EVENT}"),
        r#"eabcdefghijkl 2 1727137942005 {"k":"joined","s":"anna","o":"node:7"}"#.to_owned(),
        "x".to_owned(),
        r#"qnode 7 {"verb":"about"}"#.to_owned(),
        "7 {\"status\":200,\"body\":\"{}\"}".to_owned(),
        "é".to_owned(),
        format!("e{}", EVENT.replace(" 1 ", " 18446744073709551615 ")),
    ];
    let documents: Vec<_> = documents.iter().map(String::as_str).collect();
    let format = Format::text("Redis messages", &documents, &TOKENS);
    let known = RefCell::new(Vec::<u8>::new());
    let take = |case: &Case| {
        ground.with_node(|running| {
            let channel = running.prefix.channel(&room()).into_bytes();
            let newest = [0, 1, 2, Offset::NUMBER_MOST][case.seed as usize % 4];
            let at = Offset {
                number: newest,
                epoch: "abcdefghijkl".parse().unwrap(),
            };
            if let Some(follower) = running.followers.get_mut(&room()) {
                follower.has_come_to(at, None);
            }
            // Behind a message of an earlier case.
            for message in [&*known.borrow(), &case.bytes] {
                running.message(&channel, message.clone());
                running.message(b"roomcast:0:node:{x}", message.clone());
            }
            running.message(&case.bytes, case.bytes.clone());
            running.retry();
        });
        known.replace(case.bytes.clone());
        0
    };
    fuzz::run(&format, |_| 0, take);
}

#[test]
fn fuzz_answers_of_redis() {
    let ground = Ground::new();
    let format = Format {
        name: "Redis answers",
        documents: vec![
            answer("abcdefghijkl", 1, &[EVENT]),
            answer("bbcdefghijkl", 9, &[EVENT, &EVENT.replace(" 1 ", " 2 ")]),
            answer("abcdefghijkl", 0, &[]),
            answer("abcdefghijkl", u64::MAX, &[]),
            answer("bbcdefghijkl", u64::MAX, &[EVENT]),
            b"*1\r\n:0\r\n".to_vec(),
            b"-BEHIND x\r\n".to_vec(),
        ],
        tokens: [
            &[
                "*",
                "$",
                ":",
                "+",
                "-",
                "%",
                "~",
                "#",
                ",",
                "(",
                "|",
                ">",
                "_",
                "\r\n",
                "*1\r\n",
                "%1\r\n",
                "18446744073709551615",
                "9007199254740993",
            ][..],
            &TOKENS[..],
        ]
        .concat()
        .iter()
        .map(|token| token.as_bytes().to_vec())
        .collect(),
    };
    let take = |case: &Case| {
        let Ok(answer) = parse_redis_value(&case.bytes) else {
            return 0;
        };
        ground.with_node(|running| {
            let at = Offset {
                number: u64::from(case.seed % 3),
                epoch: "abcdefghijkl".parse().unwrap(),
            };
            if !case.seed.is_multiple_of(4)
                && let Some(follower) = running.followers.get_mut(&room())
            {
                follower.has_come_to(at, None);
            }
            running.answered(
                Job::Sync(room(), case.seed.is_multiple_of(2)),
                answer.clone(),
            );
            for job in [
                Job::Renew(room()),
                Job::Clients(room(), Page::default(), Vec::new()),
            ] {
                running.answered(job, answer.clone());
            }
            super::answers::terms(answer);
        });
        0
    };
    fuzz::run(&format, |_| 0, take);
}
