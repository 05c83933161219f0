//! WebSocket faults of clients: on every transport the close frame has the code of RFC 6455, and
//! the connection ends in order, also with unread bytes behind the fault.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Victim;
use super::peer::frame;
use crate::client::SOON;

/// The number of bytes behind the fault: more than the server reads at once.
const BEHIND: usize = 200_000;

/// The first bytes of a message that is longer than any transport allows.
fn too_big() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend((1_u64 << 40).to_be_bytes());
    frame.extend([0; 4]);
    frame
}

/// The close code behind all other frames of a server, if a close frame is the last one.
fn close_code(mut bytes: &[u8]) -> Option<u16> {
    loop {
        let (head, length) = match *bytes.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            length => (2, usize::from(length)),
        };
        let payload = bytes.get(head..head + length)?;
        let rest = &bytes[head + length..];
        if bytes[0] == 0x88 {
            let code = payload.first_chunk().copied().map(u16::from_be_bytes);
            return code.filter(|_| rest.is_empty());
        }
        bytes = rest;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_answered_with_its_close_code_by_every_transport() {
    let faults = [
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("an unknown opcode", frame(0x83, b"x"), 1002),
        ("no mask", vec![0x81, 1, b'a'], 1002),
        ("a fragmented ping", frame(0x09, b""), 1002),
        ("nothing to continue", frame(0x80, b"x"), 1002),
        ("half a close code", frame(0x88, b"x"), 1002),
        ("no UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        (
            "no UTF-8 across fragments",
            [frame(0x01, b"\xc3"), frame(0x80, b"(")].concat(),
            1007,
        ),
        ("too big", too_big(), 1009),
    ];
    for options in [&[][..], &["--https"]] {
        let victim = Victim::start(options).await;
        let target = &victim.target;
        let doors = [
            (target.main, "/socket.io/?EIO=4&transport=websocket"),
            (target.main, "/socket.io/?EIO=3&transport=websocket"),
            (target.main, "/api/?target=metadata"),
            (target.gateway, "/?target=metadata"),
            (target.push_ws, "/"),
            (target.webhook, "/"),
        ];
        for (port, path) in doors {
            for (what, fault, code) in &faults {
                for behind in [0, BEHIND] {
                    let case = format!("{what} at {path} of {port}, {options:?}, {behind} behind");
                    let mut stream = target.websocket(port, path).await.unwrap();
                    let all = [&fault[..], &vec![b'x'; behind]].concat();
                    let told = async {
                        stream.write_all(&all).await?;
                        stream.flush().await?;
                        let mut told = Vec::new();
                        stream.read_to_end(&mut told).await.map(|_| told)
                    };
                    let told = timeout(SOON, told).await.expect(&case).expect(&case);
                    assert_eq!(close_code(&told), Some(*code), "{case}: {told:?}");
                }
            }
        }
    }
}
