//! Tests of packets, and of how the engine's own parsers read them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use engineioxide_core::{Packet as EnginePacket, ProtocolVersion, payload::decoder};
use futures_util::StreamExt;
use http_body_util::Full;
use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;

use super::super::payload::{self, Framing};
use super::*;
use crate::fuzz::{self, Format};

#[test]
fn packets_are_read_whole_or_not_at_all() {
    use PacketError::*;
    use Version::{V3, V4};
    let long = format!("40/{}", "x".repeat(NAMESPACE_MOST));
    let cases: [(&str, Version, Result<&str, PacketError>); 47] = [
        ("1", V4, Ok("1")),
        ("2", V3, Ok("2")),
        ("2probe", V4, Ok("2probe")),
        ("3", V4, Ok("3")),
        ("5", V4, Ok("5")),
        ("6", V4, Ok("6")),
        ("bAQID", V4, Ok("bAQID")),
        ("b4AQID", V3, Ok("bAQID")),
        ("40", V4, Ok("40")),
        ("40,", V4, Ok("40")),
        ("40/a?b=c,d", V3, Ok("40/a,")),
        ("40/a", V4, Ok("40/a,")),
        ("40/a,", V3, Ok("40/a,")),
        ("40/a?b=c,", V3, Ok("40/a,")),
        ("40/a?b=c,", V4, Ok("40/a?b=c,")),
        ("40/a,{\"token\":\"x\"}", V4, Ok("40/a,{\"token\":\"x\"}")),
        ("41/a", V4, Ok("41/a,")),
        ("42[\"x\"]", V4, Ok("42[\"x\"]")),
        ("42/a,07[\"ñ𝄞\",{}]", V4, Ok("42/a,7[\"ñ𝄞\",{}]")),
        ("43/a,1{}", V4, Ok("43/a,1{}")),
        ("452-/a,3[\"x\"]", V4, Ok("452-/a,3[\"x\"]")),
        ("450-[\"x\"]", V4, Ok("42[\"x\"]")),
        ("461-/a,3[]", V4, Ok("461-/a,3[]")),
        ("", V4, Err(Empty)),
        ("4", V4, Err(Empty)),
        ("0{}", V4, Err(Type('0'))),
        ("é", V4, Err(Type('é'))),
        ("44/a,{}", V4, Err(Type('4'))),
        ("4é", V4, Err(Type('é'))),
        ("1x", V4, Err(Trailing('1'))),
        ("3probe", V4, Err(Trailing('3'))),
        ("41/a,x", V4, Err(Trailing('1'))),
        ("bAQI", V4, Err(Base64)),
        ("bAQID", V3, Err(Base64)),
        ("45[\"x\"]", V4, Err(Attachments)),
        ("4517-[\"x\"]", V4, Err(Attachments)),
        ("45+1-[\"x\"]", V4, Err(Attachments)),
        (&long, V4, Err(Namespace)),
        ("40/a\u{1e}b,", V4, Err(Namespace)),
        ("42/a,9007199254740992[\"x\"]", V4, Err(Ack)),
        ("43/a,[]", V4, Err(Ack)),
        ("40/a,[]", V4, Err(ConnectData)),
        ("40/a,1{}", V4, Err(ConnectData)),
        ("42[1]", V4, Err(EventData)),
        ("42[\"x\"", V4, Err(EventData)),
        ("42[\"x\"]]", V4, Err(EventData)),
        ("43/a,1[", V4, Err(AckData)),
    ];
    for (text, version, expected) in cases {
        let packet = Packet::parse(text, version).map(|packet| packet.encode());
        assert_eq!(packet, expected.map(str::to_owned), "{text:?}");
    }
    let asked = Packet::parse("40/a?lobbyId=%20x,", Version::V3).unwrap();
    let Packet::Message(asked) = asked else {
        panic!("no message");
    };
    assert_eq!((asked.namespace, asked.query), ("/a", Some("lobbyId=%20x")));
}

/// The engine's parsers understand every accepted packet in the same way.
fn the_engine_reads(packets: &[Packet<'_>]) -> usize {
    let encoded: Vec<_> = packets.iter().map(Packet::encode).collect();
    let body = encoded.join(payload::SEPARATOR.encode_utf8(&mut [0; 4]));
    let size = body.len();
    let body = Full::new(bytes::Bytes::from(body));
    let mut read = pin!(decoder(body, None, ProtocolVersion::V4, u64::MAX));
    for (packet, text) in packets.iter().zip(&encoded) {
        let next = read.next();
        let Poll::Ready(next) = pin!(next).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the engine waits for more than {text:?}");
        };
        let next = next.unwrap_or_else(|| panic!("the engine has lost {text:?}"));
        let next = next.unwrap_or_else(|error| panic!("{error}: {text:?}"));
        match (packet, next) {
            (Packet::Close, EnginePacket::Close)
            | (Packet::Ping, EnginePacket::Ping)
            | (Packet::Probe, EnginePacket::PingUpgrade)
            | (Packet::Pong, EnginePacket::Pong)
            | (Packet::Upgrade, EnginePacket::Upgrade)
            | (Packet::Noop, EnginePacket::Noop) => {}
            (Packet::Binary(bytes), EnginePacket::Binary(read)) => assert_eq!(read, bytes),
            (Packet::Message(message), EnginePacket::Message(read)) => {
                let config = ParseConfig {
                    max_incoming_binaries: BINARIES_MOST,
                    ..ParseConfig::default()
                };
                let state = ParserState::default();
                let read = CommonParser.decode_str(&config, &state, read);
                let is_waiting = matches!(read, Err(ParseError::NeedsMoreBinaryData));
                assert_eq!(is_waiting, message.attachments > 0, "{text:?}");
                if let Ok(read) = read {
                    assert_eq!(read.ns.as_str(), message.namespace);
                    let kind = match read.inner {
                        PacketData::Connect(_) => PacketKind::Connect,
                        PacketData::Disconnect => PacketKind::Disconnect,
                        PacketData::Event(..) => PacketKind::Event,
                        PacketData::EventAck(..) => PacketKind::Ack,
                        other => panic!("{text:?} is read as {other:?}"),
                    };
                    assert_eq!(kind, message.kind);
                } else {
                    assert!(is_waiting, "the engine refuses {text:?}");
                }
            }
            (_, read) => panic!("{text:?} is read as {read:?}"),
        }
    }
    size
}

const DOCUMENTS: [&str; 9] = [
    "40/bus,",
    "40/lobby?lobbyId=a%20b,",
    "40/bus,{\"token\":\"x\"}",
    "42/bus,7[\"JOIN\",{\"room\":\"r\",\"name\":\"añ𝄞\"}]",
    "42[\"NOTIFY\",{\"room\":\"r\",\"message\":[1,\"\\ud834\\udd1e\",null]}]",
    "43/bus,12[{\"status\":\"ok\"}]",
    "452-/bus,3[\"x\",{\"_placeholder\":true,\"num\":0}]",
    "2probe",
    "bAQIDBA==",
];
const TOKENS: [&str; 24] = [
    "40", "41", "42", "43", "45", "46", "1", "2", "3", "5", "6", "b", "b4", "-", "/", ",", "?",
    "[", "]", "{", "}", "\"x\"", "\"", ":",
];

#[test]
fn fuzz_packets() {
    let format = Format::text("Socket.IO packets", &DOCUMENTS, &TOKENS);
    fuzz::run(
        &format,
        |input| 4 * input + 16,
        |case| {
            let versions = [Version::V3, Version::V4];
            let text = case.text();
            let read = |version| match Packet::parse(&text, version) {
                Ok(packet) => the_engine_reads(&[packet]),
                Err(_) => 0,
            };
            versions.into_iter().map(read).max().unwrap_or_default()
        },
    );
}

#[test]
fn fuzz_payloads() {
    let v3 = payload::encode(&DOCUMENTS, Framing::Counted);
    let v3_binary = payload::encode(&DOCUMENTS, Framing::Binary);
    let v4 = DOCUMENTS.join("\u{1e}");
    let mut format = Format::text("Engine.IO payloads", &[&v4], &TOKENS);
    format.documents.extend([v3, v3_binary]);
    format.documents.push(b"\x01\x04\xff\x04abc".to_vec());
    format
        .tokens
        .extend([vec![0, 1, 255], vec![1, 2, 255], vec![255], vec![30]]);
    let framings = [Framing::Separated, Framing::Counted, Framing::Binary];
    fuzz::run(
        &format,
        |input| 4 * input + 16,
        |case| {
            let read = |framing| match parsed(&case.bytes, framing) {
                Ok(packets) => {
                    if framing != Framing::Separated {
                        survive_an_answer(&packets);
                    }
                    the_engine_reads(&packets)
                }
                Err(_) => 0,
            };
            framings.into_iter().map(read).max().unwrap_or_default()
        },
    );
}

fn parsed(body: &[u8], framing: Framing) -> Result<Vec<Packet<'_>>, payload::PayloadError> {
    payload::decode(body, framing, usize::MAX)?.collect()
}

/// In both framings, an answer of Engine.IO v3 holds the packets that were encoded.
fn survive_an_answer(packets: &[Packet<'_>]) {
    let texts: Vec<_> = packets.iter().map(Packet::encode).collect();
    // In v3 an attachment has the type of its packet.
    let answers = texts.iter().map(|text| match text.strip_prefix('b') {
        Some(base64) => format!("b4{base64}"),
        None => text.clone(),
    });
    let answers: Vec<_> = answers.collect();
    let answers: Vec<_> = answers.iter().map(String::as_str).collect();
    for framing in [Framing::Counted, Framing::Binary] {
        let body = payload::encode(&answers, framing);
        let read = parsed(&body, framing).unwrap();
        let read: Vec<_> = read.iter().map(Packet::encode).collect();
        assert_eq!(read, texts, "{framing:?}");
    }
}
