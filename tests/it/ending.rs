//! Every way in which a session can end, over every transport: nothing of it
//! stays. Looked at from outside, in the figures of the running program.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::crowd::line::{Line, Way};
use crate::http::{get, post};
use crate::net::tls;
use crate::polling::{open, poll_until};
use crate::program::Program;
use crate::server::TestServer;

const JOIN: &str = r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#;
const JOINED: &str = r#"43/bus,0[{"status":"ok""#;

/// How one end ends it.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The close frame of a WebSocket, which the server answers.
    CloseFrame,
    /// Engine.IO's own.
    EngineClose,
    /// Socket.IO's, and no more than that before the connection's end.
    Disconnect,
    /// The end of what the client sends; over TLS with its goodbye.
    HalfClose,
    /// A reset, without a word.
    Reset,
    /// A reset in the middle of a frame.
    ResetInAFrame,
    /// A reset while more waits for the client than the kernel takes.
    ResetInAFlush,
    /// A frame that is none: the reserved bits are set.
    Garbage,
}

const ENDS: [End; 8] = [
    End::CloseFrame,
    End::EngineClose,
    End::Disconnect,
    End::HalfClose,
    End::Reset,
    End::ResetInAFrame,
    End::ResetInAFlush,
    End::Garbage,
];

/// A masked close frame with the code 1000.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

async fn end(mut line: Line, how: End, way: &Way) {
    match how {
        End::CloseFrame => line.write(&CLOSE).await,
        End::EngineClose => line.send(&["1"]).await,
        End::Disconnect => {
            line.send(&["41/bus,"]).await;
            line.half_close().await;
        }
        End::HalfClose => line.half_close().await,
        End::Reset => return,
        // The head of a frame of 100 bytes, and one of them.
        End::ResetInAFrame => return line.write(&[0x81, 0x80 | 100, 0, 0, 0, 0, b'4']).await,
        End::ResetInAFlush => return flood(way).await,
        End::Garbage => line.write(&[0xf1, 0x80, 0, 0, 0, 0]).await,
    }
    line.read_to_end().await;
}

/// More than fits between two sockets, and less than makes one too slow.
async fn flood(way: &Way) {
    let message = format!(r#"{{"text":"{}"}}"#, "x".repeat(60_000));
    for _ in 0..30 {
        way.ask("POST", "/bus-message/r", &message).await;
    }
}

/// Waits until the program has nothing open but the connection that asks.
async fn nothing_is_left(program: &Program, behind: &str) {
    let names = [
        r#"roomcast_clients{namespace="/bus"} "#,
        "roomcast_sessions_open ",
        "roomcast_connections_open ",
    ];
    let mut figures = Vec::new();
    let all_gone = async {
        while figures != ["0", "0", "1"] {
            let shown = program.get("/metrics").await.body;
            // What was never counted is not shown.
            let figure = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name));
            figures = names
                .map(|name| figure(name).unwrap_or("0").to_owned())
                .to_vec();
        }
    };
    if timeout(SOON, all_gone).await.is_err() {
        panic!("{behind}: of {names:?} there are still {figures:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_session_stays_however_it_ends() {
    for (options, polls) in [(&[][..], false), (&[], true), (&["--https"], false)] {
        let program = Program::start(options).await;
        let cert = program.folder.path().join("certs").join(tls::CERT_FILE);
        let way = Way {
            address: program.address,
            cert: options.contains(&"--https").then_some(cert),
            polls,
        };
        for how in ENDS {
            for small in [false, true] {
                let mut line = Line::open(&way, small, &["40/bus,", JOIN]).await;
                line.hears(JOINED).await;
                end(line, how, &way).await;
            }
            let behind = format!("{how:?} with {options:?}, polls first: {polls}");
            nothing_is_left(&program, &behind).await;
        }
    }
}

/// What began and came to nothing: the request is no upgrade, or nobody is
/// there for the answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_nothing_holds_nothing() {
    let program = Program::start(&[]).await;
    let head = "GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\nHost: x\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for round in 0..200 {
        let mut tcp = TcpStream::connect(program.address).await.unwrap();
        let linger = SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        let request = format!("{head}{upgrade}\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        if round % 2 == 0 {
            tcp.read_u8().await.unwrap();
        }
    }
    nothing_is_left(&program, "a reset at the answer").await;
    let mut tcp = TcpStream::connect(program.address).await.unwrap();
    tcp.write_all(format!("{head}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = [0; 12];
    tcp.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    let shown = program.get("/metrics").await.body;
    assert!(shown.contains("roomcast_sessions_open 0"), "{shown}");
}

/// Those that a client may leave behind by not coming back.
#[tokio::test]
async fn a_session_that_is_abandoned_ends_by_itself() {
    const MOST: usize = 4;
    let server = TestServer::start_with(&["--max-connections", &MOST.to_string()]).await;
    let mut silent = Vec::new();
    // Half of them in the middle of their upgrade, on a WebSocket that stays.
    for half_upgraded in [false, true, false, true] {
        let target = open(&server, 4).await;
        post(server.address, &target, "40/bus,").await;
        post(server.address, &target, JOIN).await;
        poll_until(&server, &target, JOINED).await;
        if half_upgraded {
            let (_, sid) = target.split_once("&sid=").unwrap();
            let mut client = Client::websocket(server.address, &format!("EIO=4&sid={sid}")).await;
            client.send("2probe").await;
            assert_eq!(client.packet().await.unwrap(), "3probe");
            silent.push(client);
        }
    }
    assert_eq!(server.hub.client_count(), MOST);
    let target = "/socket.io/?EIO=4&transport=polling";
    assert_eq!(get(server.address, target, "").await.status, 503);
    // A ping after 25 s, and 20 s for its answer; the clock stands still only
    // for the jump, since it would run ahead of the sockets.
    for _ in 0..2 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(26)).await;
        tokio::time::resume();
        assert_eq!(get(server.address, "/health", "").await.status, 200);
    }
    let nobody = async {
        while server.hub.client_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, nobody).await.expect("clients stay");
    for _ in 0..MOST {
        assert_eq!(get(server.address, target, "").await.status, 200);
    }
    server.stop().await;
}
