//! Tests of the assembly of messages, beside those of tungstenite.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};

use super::*;
use crate::fuzz::{self, Format};

const MOST: usize = 300;

/// A frame as RFC 6455 has it.
fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let flag = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(flag | len as u8),
        len => {
            bytes.push(flag | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Some([1, 2, 3, 4]), payload)
}

/// The messages in these parts, and the error that ends them.
fn assembled(parts: &[&[u8]]) -> (Vec<Message>, Option<ProtocolError>) {
    let mut assembler = Assembler::default();
    let mut messages = Vec::new();
    for part in parts {
        let mut rest = *part;
        loop {
            let (used, received) = assembler.feed(rest, MOST);
            rest = &rest[used..];
            match received {
                Ok(Received::Nothing) => break,
                Ok(Received::Empty | Received::Large(_)) => {}
                Ok(Received::Message(message)) => messages.push(message),
                Err(error) => return (messages, Some(error)),
            }
            assert!(assembler.data.len() <= MOST && assembler.control.len() <= 125);
        }
        assert!(rest.is_empty());
    }
    (messages, None)
}

#[test]
fn messages_are_whole_wherever_they_are_cut() {
    let all = [
        client(0x81, b"one"),
        client(0x01, b"tw"),
        client(0x89, b"ping"),
        client(0x00, b""),
        client(0x80, "ö".as_bytes()),
        client(0x82, &[7; 200]),
        client(0x8a, b""),
        client(0x88, &[0x03, 0xe8, b'x']),
    ]
    .concat();
    let expected = vec![
        Message::Text("one".into()),
        Message::Ping(Bytes::from_static(b"ping")),
        Message::Text("twö".into()),
        Message::Binary(vec![7; 200]),
        Message::Pong,
        Message::Close(Some(1000)),
    ];
    for cut in 0..all.len() {
        let (a, b) = all.split_at(cut);
        assert_eq!(assembled(&[a, b]), (expected.clone(), None), "cut at {cut}");
    }
    let bytes: Vec<_> = all.chunks(1).collect();
    assert_eq!(assembled(&bytes), (expected, None));
}

#[test]
fn a_message_that_is_too_long_is_skipped_where_that_is_asked_for() {
    let long = [b'y'; MOST + 1];
    let parts = [
        client(0x81, b"before"),
        client(0x81, &long),
        client(0x02, &long),
        client(0x89, b"p"),
        client(0x00, &long),
        client(0x80, b"end"),
        client(0x01, b"1"),
        client(0x80, &long),
        client(0x82, b"after"),
    ];
    let bytes = parts.concat();
    for cut in [1, 7, bytes.len()] {
        let mut assembler = Assembler::default();
        assembler.skip_too_big();
        let mut messages = Vec::new();
        for mut part in bytes.chunks(cut) {
            loop {
                let (used, received) = assembler.feed(part, MOST);
                part = &part[used..];
                match received.unwrap() {
                    Received::Nothing => break,
                    Received::Empty | Received::Large(_) => {}
                    Received::Message(message) => messages.push(message),
                }
                assert!(assembler.data.len() <= MOST);
            }
        }
        let expected = [
            Message::Text("before".to_owned()),
            Message::Skipped,
            Message::Ping("p".into()),
            Message::Skipped,
            Message::Skipped,
            Message::Binary(b"after".to_vec()),
        ];
        assert_eq!(messages, expected, "{cut}");
    }
    let mut assembler = Assembler::default();
    assembler.skip_too_big();
    let mut endless = vec![0x82, 0xff];
    endless.extend((SKIPPED_MAX + 1).to_be_bytes());
    endless.extend([0; 4]);
    let (_, received) = assembler.feed(&endless, MOST);
    assert!(matches!(received, Err(ProtocolError::TooBig { .. })));
}

#[test]
fn each_violation_has_its_close_code() {
    use ProtocolError::*;
    let big = client(0x82, &[b'4'; MOST + 1]);
    let start = vec![b'4'; START_MAX];
    let cases: [(Vec<u8>, ProtocolError, u16); 15] = [
        (client(0xc1, b""), ReservedBit, 1002),
        (client(0x83, b""), Opcode(3), 1002),
        (client(0x8b, b""), Opcode(11), 1002),
        (frame(0x81, None, b"a"), NotMasked, 1002),
        (client(0x09, b""), Control, 1002),
        (client(0x89, &[0; 126]), Control, 1002),
        (client(0x88, b"x"), CloseCode, 1002),
        (client(0x88, &[0x03, 0xed]), CloseCode, 1002),
        (client(0x88, &[0x03, 0xe8, 0xff]), NotUtf8, 1007),
        (client(0x80, b""), NothingToContinue, 1002),
        (
            [client(0x01, b""), client(0x81, b"")].concat(),
            Interleaved,
            1002,
        ),
        (client(0x81, b"\xff"), NotUtf8, 1007),
        (
            [client(0x01, b"\xc3"), client(0x80, b"x")].concat(),
            NotUtf8,
            1007,
        ),
        (
            big,
            TooBig {
                most: MOST,
                start: start.clone(),
            },
            1009,
        ),
        (
            [client(0x02, &[b'4'; MOST]), client(0x80, b"x")].concat(),
            TooBig { most: MOST, start },
            1009,
        ),
    ];
    for (bytes, expected, code) in cases {
        let (messages, error) = assembled(&[&bytes]);
        assert_eq!((messages, error.as_ref()), (vec![], Some(&expected)));
        assert_eq!(expected.close_code(), code, "{expected}");
    }
}

/// The messages that tungstenite, another implementation of the RFC, reads from the bytes.
fn by_tungstenite(bytes: &[u8]) -> (Vec<Message>, Option<u16>) {
    struct Peer<'a>(&'a [u8]);
    impl Read for Peer<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl Write for Peer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST));
    let mut socket = WebSocket::from_raw_socket(Peer(bytes), Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        messages.push(match socket.read() {
            Ok(tungstenite::Message::Text(text)) => Message::Text(text.as_str().to_owned()),
            Ok(tungstenite::Message::Binary(bytes)) => Message::Binary(bytes.to_vec()),
            Ok(tungstenite::Message::Ping(bytes)) => Message::Ping(bytes),
            Ok(tungstenite::Message::Pong(_)) => Message::Pong,
            Ok(tungstenite::Message::Close(close)) => {
                messages.push(Message::Close(close.map(|close| close.code.into())));
                return (messages, None);
            }
            Ok(tungstenite::Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                return (messages, Some(1009));
            }
            Err(Error::Utf8(_)) => return (messages, Some(1007)),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (messages, None),
            Err(_) => return (messages, Some(1002)),
        });
    }
}

/// The assembler reads the same messages as tungstenite, up to the same end.
#[test]
fn fuzz_websocket_messages() {
    let documents = [
        [client(0x81, b"one"), client(0x82, &[7; 200])].concat(),
        [
            client(0x01, "ö".as_bytes()),
            client(0x89, b"x"),
            client(0x80, b"y"),
        ]
        .concat(),
        [
            client(0x01, b"40/"),
            client(0x00, b""),
            client(0x80, b"bus,"),
        ]
        .concat(),
        [
            client(0x81, &[b'x'; MOST]),
            client(0x8a, b""),
            client(0x88, &[3, 232]),
        ]
        .concat(),
    ];
    let tokens = [
        client(0x81, b""),
        client(0x01, b"a"),
        client(0x80, b""),
        client(0x89, b"p"),
        client(0x8a, b""),
        client(0x88, b""),
        client(0x88, &[3, 237]),
        frame(0x81, None, b"z"),
        client(0x81, &[b'y'; MOST + 1]),
        vec![0xff],
        vec![0x81, 0xff],
    ];
    let format = Format {
        name: "WebSocket messages",
        documents: documents.into(),
        tokens: tokens.into(),
    };
    fuzz::run(
        &format,
        |input| input,
        |case| {
            let parts: Vec<_> = case.pieces().collect();
            let (mut messages, error) = assembled(&parts);
            let (mut theirs, code) = by_tungstenite(&case.bytes);
            // tungstenite reads nothing behind a close frame.
            let mut both = messages.iter().chain(&theirs);
            let is_closed = both.any(|m| matches!(m, Message::Close(_)));
            for read in [&mut messages, &mut theirs] {
                let close = read.iter().position(|m| matches!(m, Message::Close(_)));
                read.truncate(close.unwrap_or(read.len()));
            }
            // tungstenite rejects a text at its first invalid byte, the assembler a frame at
            // its header.
            match code {
                Some(1007) => assert!(messages.starts_with(&theirs)),
                _ => assert_eq!(messages, theirs, "{error:?} {code:?}"),
            }
            assert!(is_closed || error.is_some() || code != Some(1002));
            messages.len()
        },
    );
}
