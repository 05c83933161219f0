//! Tests of the read gate.

use super::*;

/// Holds behind a text of the client that starts with `40`, until the server answers
/// with `40` or `44`; drops a text that starts with `-`, and ends at one with `x`.
struct Connect;

impl MessageRule for Connect {
    fn message_most(&self) -> usize {
        100
    }

    fn inbound(&mut self, message: Message) -> Verdict {
        let Message::Text(text) = &message else {
            return Verdict::Pass(message, Next::Read);
        };
        match text.as_bytes() {
            [b'4', b'0', ..] => Verdict::Pass(message, Next::Wait),
            [b'-', ..] => Verdict::Skip,
            [b'x', ..] => Verdict::Discard,
            _ => Verdict::Pass(message, Next::Read),
        }
    }

    fn violated(&mut self, _error: &ProtocolError) {}

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        match frame.start.starts_with(b"40") || frame.start.starts_with(b"44") {
            true => Next::Read,
            false => Next::Wait,
        }
    }
}

fn client(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let first = opcode | if fin { 0x80 } else { 0 };
    let mut bytes = vec![first, 0x80 | payload.len() as u8];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

fn server(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81, payload.len() as u8];
    bytes.extend(payload);
    bytes
}

fn gate() -> Gate {
    let memory = MessageMemory::new(LargeMemory::new(0), None);
    Gate::websocket(Some(Box::new(Connect)), memory)
}

fn websocket(gate: &mut Gate) -> &mut WebSocket {
    match gate {
        Gate::WebSocket(websocket) => websocket,
        _ => panic!("no WebSocket"),
    }
}

/// Reads the bytes in these parts; returns how many were used, and the results.
fn read(gate: &mut Gate, parts: &[&[u8]]) -> (usize, Vec<Inbound>) {
    let (mut used, mut seen) = (0, Vec::new());
    for part in parts {
        let mut rest = *part;
        loop {
            let (taken, inbound) = websocket(gate).inbound(rest, 0);
            (used, rest) = (used + taken, &rest[taken..]);
            if inbound == Inbound::Nothing {
                break;
            }
            seen.push(inbound);
        }
        if !rest.is_empty() {
            break;
        }
    }
    (used, seen)
}

fn text(text: &str) -> Inbound {
    Inbound::Message(Message::Text(text.to_owned()))
}

#[test]
fn messages_behind_connect_wait_for_its_answer_at_every_cut() {
    let connect = client(true, 1, b"40/metadata,");
    let before = [client(true, 1, b"3"), connect].concat();
    let all = [before.clone(), client(true, 1, b"42[\"JOIN\"]")].concat();
    let answer = server(b"40/metadata,{}");
    for cut in 0..all.len() {
        let mut gate = gate();
        let (used, seen) = read(&mut gate, &[&all[..cut], &all[cut..]]);
        assert_eq!(used, before.len());
        assert_eq!(seen, [text("3"), text("40/metadata,")]);
        assert!(websocket(&mut gate).is_held());
        assert_eq!(gate.outbound(&server(b"42[\"EVENT\"]")), Written::Nothing);
        let cut = cut % answer.len();
        let first = gate.outbound(&answer[..cut]);
        let second = gate.outbound(&answer[cut..]);
        assert!([first, second].contains(&Written::Release));
        assert!(!websocket(&mut gate).is_held());
        let (_, seen) = read(&mut gate, &[&all[before.len()..]]);
        assert_eq!(seen, [text("42[\"JOIN\"]")]);
    }
}

#[test]
fn a_message_in_parts_is_read_to_its_end() {
    let parts = [
        client(false, 1, b"40/meta"),
        client(true, 9, b"hi"),
        client(true, 0, b"data,"),
    ]
    .concat();
    let all = [parts.clone(), client(true, 1, b"42[]")].concat();
    let mut gate = gate();
    let (used, seen) = read(&mut gate, &[&all]);
    assert_eq!(used, parts.len());
    let ping = Inbound::Ping(bytes::Bytes::from_static(b"hi"));
    assert_eq!(seen, [ping, text("40/metadata,")]);
    assert!(websocket(&mut gate).is_held());
    websocket(&mut gate).resume();
    assert_eq!(read(&mut gate, &[&all[used..]]).1, [text("42[]")]);
}

#[test]
fn nothing_behind_an_upgrade_passes_before_the_101() {
    let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let all = [&head[..], b"frames"].concat();
    let mut gate = Gate::new();
    assert_eq!(gate.request(&all), head.len());
    assert_eq!(gate.request(b"frames"), 0);
    let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    assert_eq!(gate.outbound(&answer[..20]), Written::Nothing);
    assert_eq!(
        gate.outbound(&answer[20..]),
        Written::Upgraded(answer.len() - 20)
    );
}

#[test]
fn a_refused_upgrade_is_http_again() {
    let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let mut gate = Gate::new();
    gate.request(head);
    gate.refused();
    assert_eq!(gate.request(head), head.len());
    assert!(matches!(gate, Gate::Answer(_)), "the next one is seen");
}

#[test]
fn messages_are_dropped_one_by_one_or_all_that_follow() {
    let all = [
        client(true, 1, b"a"),
        client(true, 1, b"-"),
        client(true, 1, b"b"),
        client(true, 1, b"x"),
        client(true, 1, b"c"),
    ]
    .concat();
    let mut gate = gate();
    let (_, seen) = read(&mut gate, &[&all]);
    assert_eq!(seen, [text("a"), text("b"), Inbound::Discard(None)]);
    assert!(websocket(&mut gate).discards());
    websocket(&mut gate).resume();
    gate.outbound(&server(b"40"));
    assert!(websocket(&mut gate).discards(), "for good");
}

/// Each such frame costs the server work and its sender nearly none.
#[tokio::test(start_paused = true)]
async fn frames_without_content_are_read_more_slowly() {
    let idle = [
        ("pings", client(true, 9, b"")),
        ("pongs", client(true, 10, b"")),
        ("empty texts", client(true, 1, b"")),
        ("empty fragments", client(false, 0, b"")),
    ];
    for (what, frame) in idle {
        let mut gate = gate();
        if what == "empty fragments" {
            read(&mut gate, &[&client(false, 1, b"4")]);
        }
        let flood = frame.repeat(10_000);
        let (used, _) = read(&mut gate, &[&flood]);
        let at_once = used / frame.len();
        assert!((60..70).contains(&at_once), "{at_once} {what}");
        let mut more = 0;
        for _ in 0..20 {
            let until = websocket(&mut gate).paused_until().unwrap();
            tokio::time::advance(until - Instant::now()).await;
            websocket(&mut gate).resume();
            more += read(&mut gate, &[&flood]).0 / frame.len();
        }
        assert!((20..42).contains(&more), "{more} {what} in a second");
    }
}

/// A message above 64 KiB is read once there is memory for it, others at once.
#[tokio::test(start_paused = true)]
async fn a_large_message_waits_for_memory() {
    const LONG: usize = 70_000;
    let header = |first: u8, length: usize| {
        let length = (length as u64).to_be_bytes();
        [&[first, 0x80 | 127][..], &length, &[0; 4]].concat()
    };
    let whole = [header(0x82, LONG), vec![7; LONG]].concat();
    let fragments = [
        header(0x02, LONG / 2),
        vec![7; LONG / 2],
        header(0x80, LONG / 2),
        vec![7; LONG / 2],
    ]
    .concat();
    for bytes in [whole, fragments] {
        let memory = LargeMemory::new(4 * LONG);
        let others = [(); 2].map(|()| memory.try_reserve(None, 2 * LONG).unwrap());
        let mut gate = Gate::websocket(None, MessageMemory::new(memory.clone(), None));
        let gate = websocket(&mut gate);
        let mut rest = &bytes[..];
        while gate.paused_until().is_none() {
            let (used, inbound) = gate.inbound(rest, 2 * LONG);
            assert_eq!(inbound, Inbound::Nothing);
            rest = &rest[used..];
        }
        assert!(rest.len() >= LONG / 2);
        drop(others);
        gate.resume();
        let (used, inbound) = gate.inbound(rest, 2 * LONG);
        assert_eq!(inbound, Inbound::Message(Message::Binary(vec![7; LONG])));
        assert_eq!(used, rest.len());
        let is_free = || {
            let halves = [(); 2].map(|()| memory.try_reserve(None, 2 * LONG));
            halves.iter().all(Option::is_some)
        };
        assert!(!is_free());
        gate.message_handled();
        assert!(is_free());
    }
}
