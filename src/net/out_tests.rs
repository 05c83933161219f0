//! Tests of what goes out: a kernel that takes as much as it is told to, and a
//! parser that reads what it has taken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use std::task::Waker;

use chrono::Utc;
use proptest::prelude::*;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::super::backlog::{ENGINE_BYTES_MOST, FRAME_BYTES_MOST, FRAMES_MOST, OWN_BYTES_MOST};
use super::super::certificate;
use super::super::frame::{close_frame, text_frame_before};
use super::*;

/// Takes bytes up to the next of its cuts, then is full once.
#[derive(Default)]
struct Mock {
    taken: RefCell<Vec<u8>>,
    /// How much it takes before it is full, again and again; empty: everything.
    portions: RefCell<VecDeque<usize>>,
    ended: RefCell<bool>,
}

impl Mock {
    fn with(portions: impl IntoIterator<Item = usize>) -> Self {
        Self {
            portions: RefCell::new(portions.into_iter().collect()),
            ..Self::default()
        }
    }
}

impl Kernel for Mock {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut portions = self.portions.borrow_mut();
        let most = portions.pop_front().unwrap_or(bytes.len());
        if most == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let part = &bytes[..bytes.len().min(most)];
        if part.len() < most && !portions.is_empty() {
            portions.push_front(most - part.len());
        }
        self.taken.borrow_mut().extend_from_slice(part);
        Ok(part.len())
    }

    fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.try_write(&bytes)
    }

    fn end(&self) {
        *self.ended.borrow_mut() = true;
    }
}

/// A server's text frame.
fn frame(text: &str) -> Bytes {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..126 => frame.push(short as u8),
        long => {
            frame.push(126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame.into()
}

/// The texts of the frames, and of a close frame its code and reason.
fn read(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes;
    let mut texts = Vec::new();
    while let [first, length, more @ ..] = rest {
        let (length, more) = match length {
            127 => {
                let (length, more) = more.split_first_chunk().unwrap();
                (u64::from_be_bytes(*length) as usize, more)
            }
            126 => {
                let (length, more) = more.split_first_chunk().unwrap();
                (usize::from(u16::from_be_bytes(*length)), more)
            }
            short => (usize::from(*short), more),
        };
        let (text, more) = more.split_at(length);
        texts.push(match first {
            0x81 => String::from_utf8(text.to_vec()).unwrap(),
            0x88 => format!(
                "close {} {}",
                u16::from_be_bytes([text[0], text[1]]),
                String::from_utf8_lossy(&text[2..])
            ),
            other => panic!("no frame begins with {other:#x}"),
        });
        rest = more;
    }
    texts
}

fn websocket() -> Out {
    let mut out = Out::default();
    out.upgraded(&[]);
    out
}

/// Both ends of TLS, set up for each other.
static TLS: LazyLock<(Arc<ClientConfig>, Arc<ServerConfig>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let made = certificate::load_or_make(folder.path(), Utc::now()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.key.cert[0].clone()).unwrap();
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(made.key)));
    (Arc::new(client), Arc::new(server))
});

/// A WebSocket over TLS, and its other end; the handshake is done.
fn secure() -> (Out, ClientConnection) {
    let (client, server) = &*TLS;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut records = Vec::new();
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        records.clear();
        client.write_tls(&mut records).unwrap();
        let mut sent = records.as_slice();
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets().unwrap();
        }
        records.clear();
        while server.wants_write() {
            server.write_tls(&mut records).unwrap();
        }
        decrypt(&mut client, &records);
    }
    let mut out = websocket();
    out.use_tls(server);
    (out, client)
}

/// What the records say, and whether the end was said.
fn decrypt(client: &mut ClientConnection, mut records: &[u8]) -> (Vec<u8>, bool) {
    let (mut text, mut ended) = (Vec::new(), false);
    while !records.is_empty() {
        client.read_tls(&mut records).unwrap();
        ended |= client.process_new_packets().unwrap().peer_has_closed();
        // Would block where no more is here.
        let _ = client.reader().read_to_end(&mut text);
    }
    (text, ended)
}

/// Hands everything of the engine's over, as its task would.
fn engine(out: &mut Out, kernel: &Mock, bytes: &[u8]) {
    let cx = Context::from_waker(Waker::noop());
    let mut rest = bytes;
    while !rest.is_empty() {
        match out.poll_engine(&cx, kernel, &[IoSlice::new(rest)]) {
            Poll::Ready(written) => rest = &rest[written.unwrap()..],
            Poll::Pending => drain(out, kernel),
        }
    }
}

/// Flushes as the task would that waits for the kernel to have room.
fn drain(out: &mut Out, kernel: &Mock) {
    while !out.step(kernel).unwrap() {}
}

#[test]
fn a_frame_is_written_whole_wherever_the_kernel_cuts_it() {
    let (first, second) = (frame(&"a".repeat(200)), frame("b"));
    for cut in 0..=first.len() {
        let kernel = Mock::with([cut, 0]);
        let mut out = websocket();
        out.send(&kernel, &first).unwrap();
        engine(&mut out, &kernel, &frame("engine"));
        out.send(&kernel, &second).unwrap();
        drain(&mut out, &kernel);
        let read = read(&kernel.taken.borrow());
        assert_eq!(read, [&"a".repeat(200), "engine", "b"], "cut at {cut}");
    }
}

#[test]
fn a_frame_waits_for_the_end_of_the_one_that_the_engine_has_begun() {
    let theirs = frame(&"e".repeat(130));
    for cut in 1..theirs.len() {
        let kernel = Mock::default();
        let mut out = websocket();
        engine(&mut out, &kernel, &theirs[..cut]);
        out.send(&kernel, &frame("a")).unwrap();
        out.send(&kernel, &frame("b")).unwrap();
        engine(&mut out, &kernel, &theirs[cut..]);
        drain(&mut out, &kernel);
        let read = read(&kernel.taken.borrow());
        assert_eq!(read, [&"e".repeat(130), "a", "b"], "cut at {cut}");
    }
}

#[test]
fn what_waits_comes_before_the_next_frame_of_the_engine() {
    let theirs = [frame("e1"), frame(""), frame("e2")].concat();
    for (cut, portions) in (1..4).flat_map(|cut| [(cut, vec![]), (cut, vec![0, 0, 3, 0])]) {
        let kernel = Mock::with(portions);
        let mut out = websocket();
        engine(&mut out, &kernel, &theirs[..cut]);
        out.send(&kernel, &frame("a")).unwrap();
        engine(&mut out, &kernel, &theirs[cut..]);
        drain(&mut out, &kernel);
        assert_eq!(read(&kernel.taken.borrow()), ["e1", "a", "", "e2"], "{cut}");
    }
}

#[test]
fn the_frames_that_wait_are_bounded() {
    let kernel = Mock::with(std::iter::repeat_n(0, 4 * FRAMES_MOST));
    let mut out = websocket();
    for _ in 0..FRAMES_MOST {
        out.send(&kernel, &frame("x")).unwrap();
    }
    assert_eq!(out.send(&kernel, &frame("y")), Err(Untaken::Full));
    let mut out = websocket();
    let big: Bytes = vec![0; FRAME_BYTES_MOST / 2].into();
    let kernel = Mock::with(std::iter::repeat_n(0, 8));
    out.send(&kernel, &big).unwrap();
    out.send(&kernel, &big).unwrap();
    assert_eq!(out.send(&kernel, &big), Err(Untaken::Full));
}

/// A frame of which the beginning is the wire's own.
fn send_joined(out: &mut Out, kernel: &Mock, own: &str, shared: &Bytes) -> Result<(), Untaken> {
    let own = text_frame_before(&[own], shared.len());
    out.send_joined(kernel, own, shared)
}

#[test]
fn a_joined_frame_goes_out_whole_wherever_it_is_cut() {
    let shared = Bytes::from("shared".repeat(30));
    let expected = [
        "a".to_owned(),
        format!("own{}", "shared".repeat(30)),
        "b".to_owned(),
    ];
    let length = expected.iter().map(|text| text.len() + 4).sum();
    for cut in 1..length {
        for secured in [false, true] {
            let (mut out, client) = match secured {
                true => secure(),
                false => (websocket(), secure().1),
            };
            let kernel = Mock::with([cut, 0, 1, 0]);
            out.send(&kernel, &frame("a")).unwrap();
            send_joined(&mut out, &kernel, "own", &shared).unwrap();
            out.send(&kernel, &frame("b")).unwrap();
            drain(&mut out, &kernel);
            let mut client = client;
            let taken = kernel.taken.borrow();
            let text = match secured {
                true => decrypt(&mut client, &taken).0,
                false => taken.clone(),
            };
            assert_eq!(read(&text), expected, "{cut} {secured}");
        }
    }
}

#[test]
fn what_a_wire_has_to_itself_is_bounded_and_a_close_frame_drops_both_parts() {
    let shared = Bytes::from_static(b"shared");
    let own = "o".repeat(OWN_BYTES_MOST / 4);
    let kernel = Mock::with([10, 0, 0, 0, 0, 0, 0, 0]);
    let mut out = websocket();
    for _ in 0..4 {
        send_joined(&mut out, &kernel, &own[10..], &shared).unwrap();
    }
    assert_eq!(
        send_joined(&mut out, &kernel, &own, &shared),
        Err(Untaken::Full)
    );
    assert!(out.close(close_frame(4000, "too slow")));
    drain(&mut out, &kernel);
    // What was begun is finished, with its shared part.
    let expected = [
        format!("{}shared", &own[10..]),
        "close 4000 too slow".into(),
    ];
    assert_eq!(read(&kernel.taken.borrow()), expected);
}

#[test]
fn the_engine_waits_for_room_and_is_woken() {
    let kernel = Mock::with(std::iter::repeat_n(0, 8));
    let cx = Context::from_waker(Waker::noop());
    let mut out = websocket();
    let bytes = frame(&"x".repeat(60_000));
    let mut taken = 0;
    while let Poll::Ready(written) = out.poll_engine(&cx, &kernel, &[IoSlice::new(&bytes)]) {
        taken += written.unwrap();
    }
    assert_eq!(taken, ENGINE_BYTES_MOST);
    assert!(out.poll_end(&cx, &kernel).is_pending());
    assert!(out.begins_to_flush() && !out.begins_to_flush());
    drain(&mut out, &kernel);
    assert!(out.poll_end(&cx, &kernel).is_ready() && *kernel.ended.borrow());
}

#[test]
fn more_than_tls_buffers_goes_out_whole_and_the_end_is_said() {
    let (mut out, mut client) = secure();
    // Full, after each 10 kB.
    let kernel = Mock::with(std::iter::repeat_n([10_000, 0], 30).flatten());
    let texts = ["e".repeat(60_000), "f".repeat(60_000), "s".repeat(60_000)];
    let theirs = [frame(&texts[0]), frame(&texts[1])].concat();
    engine(&mut out, &kernel, &theirs);
    out.send(&kernel, &frame(&texts[2])).unwrap();
    let cx = Context::from_waker(Waker::noop());
    assert!(out.poll_end(&cx, &kernel).is_pending());
    drain(&mut out, &kernel);
    assert!(out.poll_end(&cx, &kernel).is_ready() && *kernel.ended.borrow());
    let (text, ended) = decrypt(&mut client, &kernel.taken.borrow());
    assert!(read(&text) == texts, "{} bytes came", text.len());
    assert!(ended, "no close_notify");
}

#[test]
fn a_finish_lets_out_what_waits_and_nothing_follows_it() {
    // Where the engine's frame stands when the others come.
    let theirs = frame("e");
    for cut in 0..=theirs.len() {
        let kernel = Mock::with([1, 0, 0, 0]);
        let mut out = websocket();
        engine(&mut out, &kernel, &theirs[..cut]);
        out.send(&kernel, &frame("a")).unwrap();
        out.send(&kernel, &frame("b")).unwrap();
        assert!(out.finish(close_frame(1000, "")));
        assert_eq!(out.send(&kernel, &frame("c")), Err(Untaken::Gone));
        engine(&mut out, &kernel, &theirs[cut..]);
        drain(&mut out, &kernel);
        let mut expected = vec!["a", "b", "close 1000 "];
        // What the engine has begun goes before; what comes later is dropped.
        if cut > 0 {
            expected.insert(0, "e");
        }
        assert_eq!(read(&kernel.taken.borrow()), expected, "{cut}");
    }
}

#[test]
fn a_close_frame_drops_what_waits_and_nothing_follows_it() {
    let begun = frame(&"a".repeat(100));
    let kernel = Mock::with([50, 0]);
    let mut out = websocket();
    out.send(&kernel, &begun).unwrap();
    out.send(&kernel, &frame("dropped")).unwrap();
    assert!(out.close(close_frame(4000, "too slow")));
    assert_eq!(out.send(&kernel, &frame("late")), Err(Untaken::Gone));
    engine(&mut out, &kernel, &frame("late as well"));
    drain(&mut out, &kernel);
    let read = read(&kernel.taken.borrow());
    assert_eq!(read, [&"a".repeat(100), "close 4000 too slow"]);
    assert!(*kernel.ended.borrow(), "the end follows the close frame");
}

#[test]
fn a_close_frame_waits_for_the_end_of_the_one_that_the_engine_has_begun() {
    let theirs = [frame("e1"), frame("e2")].concat();
    for cut in 1..4 {
        let kernel = Mock::default();
        let mut out = websocket();
        engine(&mut out, &kernel, &theirs[..cut]);
        out.send(&kernel, &frame("dropped")).unwrap();
        assert!(
            out.close(close_frame(4000, "too slow")) && out.close(close_frame(1001, "too late"))
        );
        assert_eq!(out.send(&kernel, &frame("late")), Err(Untaken::Gone));
        engine(&mut out, &kernel, &theirs[cut..]);
        drain(&mut out, &kernel);
        let read = read(&kernel.taken.borrow());
        assert_eq!(read, ["e1", "close 4000 too slow"], "{cut}");
        assert!(out.has_ended());
    }
}

#[test]
fn the_end_may_come_without_a_close_frame() {
    let kernel = Mock::default();
    let mut out = websocket();
    assert!(out.close(Bytes::new()));
    engine(&mut out, &kernel, &frame("late"));
    drain(&mut out, &kernel);
    assert!(kernel.taken.borrow().is_empty() && *kernel.ended.borrow());
}

#[test]
fn nothing_follows_the_close_frame_of_the_engine() {
    let kernel = Mock::default();
    let mut out = websocket();
    let close = close_frame(1000, "");
    engine(&mut out, &kernel, &close[..1]);
    out.send(&kernel, &frame("waits")).unwrap();
    engine(&mut out, &kernel, &close[1..]);
    assert_eq!(out.send(&kernel, &frame("late")), Err(Untaken::Gone));
    drain(&mut out, &kernel);
    assert_eq!(read(&kernel.taken.borrow()), ["close 1000 "]);
    let mut http = Out::default();
    assert_eq!(http.send(&kernel, &frame("early")), Err(Untaken::Gone));
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let close = close_frame(4000, &"ä".repeat(100));
    assert!(close.len() <= 127);
    assert_eq!(read(&close), [format!("close 4000 {}", "ä".repeat(61))]);
}

/// Something that happens to a wire.
#[derive(Clone, Debug)]
enum Deed {
    /// The engine writes a frame of this length, cut after so many bytes.
    Engine(usize, usize),
    /// The fan-out sends a frame of this length.
    Send(usize),
    /// The kernel has room again.
    Flush,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        (0_usize..300, 0_usize..300).prop_map(|(length, cut)| Deed::Engine(length, cut)),
        (0_usize..300).prop_map(Deed::Send),
        Just(Deed::Flush),
    ];
    proptest::collection::vec(deed, 0..60)
}

proptest! {
    #[test]
    fn whatever_happens_each_frame_arrives_once_whole_and_in_order(
        deeds in deeds(),
        portions in proptest::collection::vec(0_usize..200, 0..60),
        over_tls in any::<bool>(),
    ) {
        let kernel = Mock::with(portions);
        let (mut out, mut client) = match over_tls {
            false => (websocket(), None),
            true => {
                let (out, client) = secure();
                (out, Some(client))
            }
        };
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for (number, deed) in deeds.iter().enumerate() {
            match deed {
                Deed::Engine(length, cut) => {
                    let text = format!("e{number} {}", "x".repeat(*length));
                    let bytes = frame(&text);
                    let cut = (*cut).min(bytes.len());
                    engine(&mut out, &kernel, &bytes[..cut]);
                    // In the middle of the engine's frame.
                    let between = format!("m{number}");
                    out.send(&kernel, &frame(&between)).unwrap();
                    ours.push(between);
                    engine(&mut out, &kernel, &bytes[cut..]);
                    theirs.push(text);
                }
                Deed::Send(length) => {
                    let text = format!("s{number} {}", "y".repeat(*length));
                    out.send(&kernel, &frame(&text)).unwrap();
                    ours.push(text);
                }
                Deed::Flush => {
                    out.step(&kernel).unwrap();
                }
            }
        }
        drain(&mut out, &kernel);
        let taken = kernel.taken.borrow();
        let taken = match &mut client {
            None => taken.clone(),
            Some(client) => decrypt(client, &taken).0,
        };
        let (engine, sent): (Vec<_>, Vec<_>) =
            read(&taken).into_iter().partition(|text| text.starts_with('e'));
        prop_assert_eq!(engine, theirs);
        prop_assert_eq!(sent, ours);
    }
}
