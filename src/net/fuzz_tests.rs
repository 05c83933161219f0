//! Property tests of the parsers of connections: HTTP heads, and WebSocket frames in both
//! directions.

use super::frame::{START_MAX, Seen, Starts, binary_frame, close_frame, text_frame};
use super::head::{Requests, Switching};
use crate::fuzz::{self, Case, Format};

#[test]
fn fuzz_http_heads() {
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n";
    let post = format!("POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello{upgrade}");
    let chunked = format!(
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n{upgrade}"
    );
    let switching =
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01";
    let tokens = [
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        ":",
        " ",
        ";",
        "Upgrade: ",
        "websocket",
        "Content-Length: ",
        "Transfer-Encoding: ",
        "chunked",
        "ffffffffffffffff",
        "ffffffffffffffffff",
        "0\r\n",
        "5\r\n",
        "-1",
        "+1",
        "GET / HTTP/1.1",
        "HTTP/1.1 101",
        "A: b",
        "\t",
        ",",
    ];
    let format = Format::text(
        "HTTP heads",
        &[upgrade, &post, &chunked, switching],
        &tokens,
    );
    let follow = |case: &Case| {
        let (mut requests, mut switching) = (Requests::new(), Switching::new());
        for piece in case.pieces() {
            let mut rest = piece;
            while !rest.is_empty() {
                let (used, _) = requests.follow(rest);
                assert!((1..=rest.len()).contains(&used));
                rest = &rest[used..];
            }
            let mut rest = piece;
            while !rest.is_empty() {
                let (used, _) = switching.follow(rest);
                assert!((1..=rest.len()).contains(&used));
                rest = &rest[used..];
            }
        }
        0
    };
    fuzz::run(&format, |_| 0, follow);
}

#[test]
fn fuzz_frames() {
    let masked = b"\x81\x85\x12\x34\x56\x78ZQ:\x14}".to_vec();
    let medium = [b"\x81\xfe\x00\x7e\x01\x02\x03\x04".to_vec(), vec![7; 126]].concat();
    let large = [
        b"\x02\x7f\x00\x00\x00\x00\x00\x01\x00\x00".to_vec(),
        vec![7; 1 << 14],
    ]
    .concat();
    let bytes = |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect();
    let format = Format {
        name: "WebSocket frames",
        documents: vec![
            masked.clone(),
            [masked, medium].concat(),
            large,
            text_frame(&["40/metadata,"]).to_vec(),
            [
                binary_frame(&["x"]),
                close_frame(1001, "bye"),
                text_frame::<&str>(&[]),
            ]
            .concat(),
        ],
        tokens: bytes(&[
            b"\x81",
            b"\x01",
            b"\x00",
            b"\x80",
            b"\x82",
            b"\x88\x02\x03\xe8",
            b"\x89\x00",
            b"\x8a\x80",
            b"\x7e",
            b"\xfe",
            b"\x7f",
            b"\xff",
            b"\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x00\x7e",
            b"\xff\xff",
            b"\x01\x02\x03\x04",
            b"4",
        ]),
    };
    let follow = |case: &Case| {
        let mut starts = Starts::default();
        let mut ended = 0;
        for piece in case.pieces() {
            let mut rest = piece;
            loop {
                let before = rest.len();
                let (used, seen) = starts.follow(rest);
                rest = &rest[used..];
                assert!(starts.frame().start.len() <= START_MAX);
                match seen {
                    Seen::Need => break,
                    Seen::Start => {}
                    Seen::End => ended += 1,
                }
                assert!(rest.len() <= before);
            }
            assert!(rest.is_empty());
        }
        ended
    };
    // No frame is shorter than two bytes.
    fuzz::run(&format, |input| input / 2, follow);
}
