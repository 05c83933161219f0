//! Signals: the way to stop, to stop at once, and to exchange a certificate.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{FREE, Program, command, signal, word_after};
use crate::client::{Client, SOON};
use crate::net::tls::{self, CERT_FILE, KEY_FILE};

#[tokio::test]
async fn the_first_signal_stops_and_says_goodbye() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(&[]).await;
        let mut client = Client::connect(program.address, "/bus").await.unwrap();
        program.signal(signal).await;
        program.line(&format!("SIG{signal}: stopping")).await;
        while client.try_event().await.is_some() {}
        drop(client);
        assert_eq!(program.exit().await.code(), Some(0), "{signal}");
        let last = program.seen.last().unwrap();
        assert!(last.contains(r#""message":"stopped","cut":0"#), "{last}");
    }
}

#[tokio::test]
async fn the_second_signal_exits_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "TERM")] {
        let mut program = Program::start(&[]).await;
        // Never answers the goodbye: the first stop waits for it.
        let mut silent = TcpStream::connect(program.address).await.unwrap();
        silent.write_all(UPGRADE.as_bytes()).await.unwrap();
        let mut switched = [0; 12];
        silent.read_exact(&mut switched).await.unwrap();
        assert_eq!(&switched, b"HTTP/1.1 101");
        program.signal(first).await;
        program.line(r#""message":"stopping""#).await;
        program.signal(second).await;
        program.line(&format!("SIG{second} while stopping")).await;
        // A stop that waited for the client to the end would give 0.
        assert_eq!(program.exit().await.code(), Some(1), "{first} {second}");
    }
}

/// Clients that do not answer close frames do not delay the stop beyond its timeout.
#[tokio::test]
async fn a_stop_ends_in_time_where_clients_answer_nothing() {
    const LIMIT: Duration = Duration::from_secs(2);
    let mut program = Program::start(&["--shutdown-timeout", "2s"]).await;
    let mut silent = Vec::new();
    for target in [
        "/socket.io/?EIO=4&transport=websocket",
        "/api/?target=metadata",
        "/events/metadata/now-playing",
    ] {
        let request = UPGRADE.replace("/socket.io/?EIO=4&transport=websocket", target);
        let mut client = TcpStream::connect(program.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client.read_u8().await.unwrap();
        silent.push(client);
    }
    program.signal("TERM").await;
    program.line(r#""message":"stopping""#).await;
    let stopping = Instant::now();
    assert_eq!(program.exit().await.code(), Some(0));
    let took = stopping.elapsed();
    assert!(took < LIMIT, "{took:?}");
    let last = program.seen.last().unwrap();
    // An event stream has no close frame to answer.
    assert!(last.contains(r#""message":"stopped","cut":2"#), "{last}");
}

/// Signals with a meaning for other servers, such as "reopen the logs".
#[tokio::test]
async fn signals_without_a_meaning_are_ignored() {
    let mut program = Program::start(&[]).await;
    for name in ["USR1", "USR2"] {
        program.signal(name).await;
        assert_eq!(program.get("/health").await.status, 200, "{name}");
    }
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
}

/// A disk that does not answer holds up who reads from it, and not the end.
#[tokio::test]
async fn a_reader_that_hangs_keeps_no_process_alive() {
    let mut program = Program::start(&[]).await;
    // Whoever opens a FIFO to read waits until somebody writes: here for ever.
    let file = program.folder.path().join("state").join("roomcast.db");
    fs::remove_file(&file).unwrap();
    let made = Command::new("mkfifo").arg(&file).status().await.unwrap();
    assert!(made.success());
    let mut reader = TcpStream::connect(program.address).await.unwrap();
    reader.write_all(HISTORY.as_bytes()).await.unwrap();
    // Connections are taken one after the other: by now that one was.
    assert_eq!(program.get("/health").await.status, 200);
    program.signal("TERM").await;
    let last = program.line(r#""message":"stopped""#).await;
    assert!(last.contains(r#""cut":1"#), "it has hung: {last}");
    assert_eq!(program.exit().await.code(), Some(0));
}

/// The second signal ends the process even if all workers hang, here at a blocked log.
#[tokio::test]
async fn the_second_signal_exits_also_where_the_runtime_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut full = OpenOptions::new();
    full.write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut full = full
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
        .unwrap();
    let options = [&FREE[..], &["--log-level", "debug"]].concat();
    let mut child = command(folder.path(), &options)
        .stderr(writer)
        .spawn()
        .unwrap();
    let address = spawn_blocking(move || {
        let mut lines = BufReader::new(reader);
        let (mut said, mut line) = (String::new(), String::new());
        while !line.contains("Zetta: tcp://") {
            line.clear();
            lines.read_line(&mut line).unwrap();
            said.push_str(&line);
        }
        // Until the pipe takes no more.
        while full.write(&[b'x'; 512]).is_ok() {}
        let main = word_after(&said, "page: http://").unwrap();
        (main.trim_end_matches('/').parse().unwrap(), lines)
    });
    let (address, _unread): (SocketAddr, _) = address.await.unwrap();
    // Each of these is logged.
    let mut hanging = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
        hanging.push(stream);
    }
    // The system merges two equal signals that arrive at the same time.
    let ended = timeout(SOON, async {
        loop {
            signal(&child, "TERM").await;
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
        }
    });
    assert_eq!(ended.await.expect("it hangs").code(), Some(1));
}

const HISTORY: &str = "GET /api/now-playing/history HTTP/1.1\r\nHost: x\r\n\r\n";

const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_hangup_exchanges_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    for made in [&old, &new] {
        tls::self_signed(made);
    }
    let used = folder.path().join("used");
    fs::create_dir(&used).unwrap();
    let exchange = |from: &Path| {
        for file in [CERT_FILE, KEY_FILE] {
            fs::copy(from.join(file), used.join(file)).unwrap();
        }
    };
    exchange(&old);
    let options = ["--cert", "used/cert.pem", "--key", "used/key.pem"];
    let mut program = Program::start_in(folder, &options).await;
    let address = program.address;
    let shows = async |trusted: &Path| {
        let tcp = TcpStream::connect(address).await.unwrap();
        let cert = trusted.join(CERT_FILE);
        tls::handshake(tcp, &cert, tls::BOTH).await.is_ok()
    };
    assert!(shows(&old).await && !shows(&new).await);

    // Files that are the same are nothing to the watch: it is the signal that
    // has them read.
    for changed in [None, Some(&new)] {
        if let Some(pair) = changed {
            exchange(pair);
        }
        program.signal("HUP").await;
        program.line("SIGHUP: ").await;
        program.line("certificate exchanged").await;
    }
    assert!(shows(&new).await && !shows(&old).await);

    // A file that is no certificate: the one in use stays, and so does the server.
    fs::write(used.join(CERT_FILE), "nothing").unwrap();
    program.signal("HUP").await;
    program.line("certificate not exchanged").await;
    assert!(shows(&new).await);
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
}

/// Without a certificate there is nothing to exchange, and nothing to end for.
#[tokio::test]
async fn a_hangup_over_plain_http_changes_nothing() {
    let mut program = Program::start(&[]).await;
    program.signal("HUP").await;
    program.line("SIGHUP: ").await;
    assert_eq!(program.get("/health").await.status, 200);
}
