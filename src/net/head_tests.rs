//! Tests of HTTP head following.

use super::*;

const UPGRADE: &str = "GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nupgrade: WebSocket\r\nX: y\r\n\r\n";

/// Feeds `text` in two parts, cut at every byte; the upgrades' ends.
fn ends(text: &str) -> Vec<usize> {
    let whole = feed(&[text.as_bytes()]);
    for cut in 0..text.len() {
        let (a, b) = text.as_bytes().split_at(cut);
        assert_eq!(feed(&[a, b]), whole, "cut at {cut}");
    }
    whole
}

fn feed(parts: &[&[u8]]) -> Vec<usize> {
    let mut requests = Requests::new();
    let mut at = 0;
    let mut ends = Vec::new();
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (used, end) = requests.follow(rest);
            at += used;
            rest = &rest[used..];
            if end {
                ends.push(at);
            }
        }
    }
    ends
}

#[test]
fn an_upgrade_ends_with_its_empty_line() {
    assert_eq!(ends(&format!("{UPGRADE}frames")), [UPGRADE.len()]);
    let bare = UPGRADE.replace("\r\n", "\n");
    assert_eq!(ends(&bare), [bare.len()]);
}

#[test]
fn bodies_are_passed_over() {
    let before = "POST / HTTP/1.1\r\nContent-Length: 27\r\n\r\nx\r\nUpgrade: websocket\r\n\r\n\r\n";
    assert_eq!(
        ends(&format!("{before}{UPGRADE}")),
        [before.len() + UPGRADE.len()]
    );
    let before = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n17;a=b\r\na\r\nUpgrade: websocket\r\n\r\n1\r\nb\r\n0\r\nT: u\r\n\r\n";
    assert_eq!(
        ends(&format!("{before}{UPGRADE}")),
        [before.len() + UPGRADE.len()]
    );
}

#[test]
fn other_requests_are_no_upgrades() {
    assert!(ends("GET /upgrade:websocket HTTP/1.1\r\nHost: a\r\n\r\n").is_empty());
    assert!(ends("\r\n\r\nGET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n").is_empty());
    assert!(ends("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").is_empty());
}

#[test]
fn the_101_ends_with_its_empty_line() {
    let text =
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n\x81\x00";
    for cut in 0..text.len() - 2 {
        let mut switching = Switching::new();
        assert_eq!(switching.follow(&text[..cut]), (cut, false));
        let rest = &text[cut..];
        assert_eq!(switching.follow(rest), (rest.len() - 2, true));
    }
}
