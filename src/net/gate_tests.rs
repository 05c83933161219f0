//! Tests of the read gate.

use super::*;

/// Holds behind a text frame of the client that starts with `40`, until the
/// server answers with `40` or `44`.
struct Connect;

impl FrameRule for Connect {
    fn inbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.header.opcode == 1 && frame.start.starts_with(b"40") {
            Next::Wait
        } else {
            Next::Read
        }
    }

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.start.starts_with(b"40") || frame.start.starts_with(b"44") {
            Next::Read
        } else {
            Next::Wait
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

#[test]
fn frames_behind_connect_wait_for_its_answer_at_every_cut() {
    let connect = client(true, 1, b"40/metadata,");
    let before = [client(true, 1, b"3"), connect].concat();
    let all = [before.clone(), client(true, 1, b"42[\"JOIN\"]")].concat();
    let answer = server(b"40/metadata,{}");
    for cut in 0..all.len() {
        let mut gate = Gate::with_rule(Box::new(Connect));
        let (a, b) = all.split_at(cut);
        let pass = gate.inbound(&mut a.to_vec());
        assert_eq!(pass, cut.min(before.len()));
        if pass == cut && !gate.holds() {
            assert_eq!(gate.inbound(&mut b.to_vec()), before.len() - cut);
        }
        assert!(gate.holds());
        assert_eq!(gate.outbound(&server(b"42[\"EVENT\"]")), Written::Nothing);
        let cut = cut % answer.len();
        let first = gate.outbound(&answer[..cut]);
        let second = gate.outbound(&answer[cut..]);
        assert!([first, second].contains(&Written::Release));
        assert!(!gate.holds());
        let rest = &all[before.len()..];
        assert_eq!(gate.inbound(&mut rest.to_vec()), rest.len());
    }
}

#[test]
fn a_message_in_parts_is_read_to_its_end() {
    let parts = [
        client(false, 1, b"40/meta"),
        client(true, 9, b""),
        client(true, 0, b"data,"),
    ]
    .concat();
    let all = [parts.clone(), client(true, 1, b"42[]")].concat();
    let mut gate = Gate::with_rule(Box::new(Connect));
    assert_eq!(gate.inbound(&mut all.clone()), parts.len());
    assert!(gate.holds());
    gate.give_up();
    assert!(!gate.holds());
}

#[test]
fn nothing_behind_an_upgrade_passes_before_the_101() {
    let head = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let all = [&head[..], b"frames"].concat();
    let mut gate = Gate::new();
    assert_eq!(gate.inbound(&mut all.clone()), head.len());
    assert!(gate.holds());
    assert_eq!(gate.inbound(&mut b"frames".to_vec()), 0);
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
    gate.inbound(&mut head.to_vec());
    gate.refused();
    assert!(!gate.holds());
    assert_eq!(gate.inbound(&mut head.to_vec()), head.len());
    assert!(gate.holds(), "the next one is seen");
}

/// Turns each `a` of a text frame into `b`, and throws away what begins with `x`.
struct Rewrites;

impl FrameRule for Rewrites {
    fn inbound(&mut self, frame: Frame<'_>) -> Next {
        match frame.start.starts_with(b"x") {
            true => Next::Discard,
            false => Next::Read,
        }
    }

    fn rewrites(&self) -> bool {
        true
    }

    fn payload(&mut self, header: Header, at: u64, part: &mut [u8]) {
        assert!(at + part.len() as u64 <= header.len);
        for byte in part.iter_mut().filter(|byte| **byte == b'a') {
            *byte = b'b';
        }
    }

    fn outbound(&mut self, _: Frame<'_>) -> Next {
        Next::Read
    }
}

#[test]
fn payloads_are_rewritten_and_thrown_away_at_every_cut() {
    let good = [client(true, 1, b"banana"), client(true, 1, b"a")].concat();
    let expected = [client(true, 1, b"bbnbnb"), client(true, 1, b"b")].concat();
    let all = [good, client(true, 1, b"x"), client(true, 1, b"a")].concat();
    for cut in 0..all.len() {
        let mut gate = Gate::with_rule(Box::new(Rewrites));
        let mut passed = Vec::new();
        for part in [&all[..cut], &all[cut..]] {
            if !gate.discards() {
                let mut part = part.to_vec();
                let pass = gate.inbound(&mut part);
                passed.extend_from_slice(&part[..pass]);
            }
        }
        assert!(gate.discards());
        // Of the frame that is thrown away the header may have passed.
        assert!(passed.starts_with(&expected) && passed.len() <= expected.len() + 6);
        gate.outbound(&server(b"40"));
        assert!(gate.discards(), "for good");
    }
}
