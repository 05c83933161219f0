//! Property tests of the WebSocket library, as it reads clients here.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::WebSocket;

use super::*;
use crate::fuzz::{self, Case, Format};

/// The biggest message that is read, in bytes.
const MESSAGE_MOST: usize = 8 * 1024;

/// What a client has sent, in pieces; what it is sent is counted.
struct Peer<'a> {
    pieces: Vec<&'a [u8]>,
    written: usize,
}

impl Read for Peer<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.last_mut() else {
            return Ok(0);
        };
        let read = piece.read(buf)?;
        if piece.is_empty() {
            self.pieces.pop();
        }
        Ok(read)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame of a client, with the mask 0.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    [frame, vec![0; 4], payload.to_vec()].concat()
}

#[test]
fn fuzz_websocket_messages() {
    let text = frame(0x81, "hé𝄞".as_bytes());
    let parts = [
        frame(0x01, b"a"),
        frame(0x89, b"ping"),
        frame(0x00, "é".as_bytes()),
        frame(0x80, b""),
    ]
    .concat();
    let cut = [frame(0x01, b"\xf0\x9d"), frame(0x80, b"\x84\x9e")].concat();
    let end = frame(0x88, b"\x03\xe8bye");
    let format = Format {
        name: "WebSocket messages (tungstenite)",
        documents: vec![
            [&text[..], &end].concat(),
            parts.clone(),
            cut,
            frame(0x82, &[7; 300]),
            [&parts[..], &text, &frame(0x8a, b"")].concat(),
            [frame(0x81, &[b'x'; 8_000]), end].concat(),
        ],
        tokens: vec![
            frame(0x00, b""),
            frame(0x01, b""),
            frame(0x89, b""),
            frame(0x89, &[b'p'; 125]),
            frame(0x80, b"x"),
            frame(0x88, b""),
            frame(0x88, b"\x03"),
            frame(0x81, b"\xed\xa0\xb4"),
            frame(0xc1, b"x"),
            frame(0x83, b"x"),
            vec![0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0x20, 0],
            vec![0x81, 0x05],
            vec![0xff; 8],
            vec![0; 4],
        ],
    };
    let read = |case: &Case| {
        let mut pieces: Vec<_> = case.pieces().collect();
        pieces.reverse();
        let peer = Peer { pieces, written: 0 };
        let mut socket = WebSocket::from_raw_socket(peer, Role::Server, Some(limits(MESSAGE_MOST)));
        let mut size = 0;
        while let Ok(message) = socket.read() {
            assert!(message.len() <= MESSAGE_MOST);
            size += message.len();
        }
        size + socket.get_ref().written
    };
    // A pong is as long as its ping, without the mask.
    fuzz::run(&format, |input| 2 * input + 128, read);
}
