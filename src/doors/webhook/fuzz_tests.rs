//! Property tests of input from backends, clients and other nodes.

use serde_json::value::RawValue;

use super::elsewhere::{Relayed, Wish};
use super::id::Id;
use super::payload::{Payload, message_most};
use super::protocol::{media_type, welcome};
use crate::fuzz::{self, Case, Format};

const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "{\"a\":",
    "\"code\":\"OK\"",
    "\"send\":",
    "\"rooms\":",
    "\"/bus/r\"",
    "\"text\":",
    "\"text64\":",
    "\"binary\":\"AAAA\"",
    "\"close\"",
    "\"verb\":\"join\"",
    "\"status\":200",
    "\\u0001",
    "\\",
    "AA==",
    "é",
];

#[test]
fn fuzz_answers_of_backends() {
    let documents = [
        r#"{"code":"OK"}"#,
        r#"{"code":"OK","send":["hello",{"a":1},null,"\u0001\u0002"],"rooms":["/bus/r1","/metadata/now-playing"],"x":1}"#,
        r#"{"code":"NO"}"#,
    ];
    let format = Format::text("webhook answers", &documents, &TOKENS);
    let read = |case: &Case| match welcome(&case.bytes, false) {
        Ok(welcome) => {
            let sent = welcome.send.iter().map(|payload| payload.bytes().len());
            let rooms = welcome
                .rooms
                .iter()
                .map(|(n, room)| n.as_str().len() + room.as_str().len());
            sent.sum::<usize>() + rooms.sum::<usize>()
        }
        Err(_) => 0,
    };
    fuzz::run(&format, |input| 3 * input, read);
}

#[test]
fn fuzz_payloads_for_clients() {
    let documents = [
        "hello",
        r#"{"text":"hello"}"#,
        r#"{"binary":"AAEC"}"#,
        r#""close""#,
        r#"{"text64":"AQID"}"#,
        r#"{"verb":"join","namespace":"bus","room":"r"}"#,
        r#"{"status":200,"body":"{}"}"#,
        "01234567-89ab-4def-8123-456789abcdef",
    ];
    let format = Format::text("webhook REST", &documents, &TOKENS);
    let read = |case: &Case| {
        let body = &case.bytes[..];
        let mut most = 0;
        for is_binary in [false, true] {
            let payload = Payload::of_body(body, is_binary);
            assert_eq!(payload.bytes(), body, "as it came");
            let message = payload.message();
            assert!(message.get().len() <= message_most(body.len()));
            assert_eq!(Payload::read(&message).as_ref(), Some(&payload));
            media_type(body, !is_binary, true);
            media_type(body, !is_binary, false);
        }
        if let Ok(text) = std::str::from_utf8(body) {
            Id::parse(text);
            let _ = serde_json::from_str::<Wish>(text);
            let _ = serde_json::from_str::<Relayed>(text);
            if let Ok(json) = serde_json::from_str::<&RawValue>(text) {
                most = Payload::of_json(json).bytes().len();
                most += Payload::read(json).map_or(0, |payload| payload.bytes().len());
            }
        }
        most
    };
    fuzz::run(&format, |input| 2 * input, read);
}
