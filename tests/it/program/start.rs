//! What a start says, the certificate that it makes, and why there is none.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Program, command, run, signal, taken};
use crate::client::SOON;
use crate::net::tls::{CERT_FILE, KEY_FILE};

#[tokio::test]
async fn the_summary_says_where_everything_listens() {
    let log = ["--log-format", "text"];
    for (options, scheme, certificate) in [
        (&[][..], "http", None),
        (
            &["--https"],
            "https",
            Some("certificate: certs/cert.pem, until 20"),
        ),
    ] {
        let program = Program::start(&[&log, options].concat()).await;
        let (address, zetta) = (program.address, program.zetta);
        assert!(address.port() != 0 && zetta.port() != 0);
        let namespaces = "/bus /layout /lobby /metadata /trigger";
        let expected = [
            format!("page: {scheme}://{address}/"),
            format!("Socket.IO: {scheme}://{address}/socket.io/"),
            format!("health: {scheme}://{address}/health"),
            format!("namespaces: {namespaces}"),
            format!("Zetta: tcp://{zetta}"),
        ];
        let said = program.seen.join("\n");
        let expected = expected.iter().map(String::as_str).chain(certificate);
        for words in expected {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(said.contains("certificate: "), certificate.is_some());
        // What it says of itself is so.
        let health = program.get("/health").await;
        assert_eq!(health.status, 200, "{}", health.body);
    }
}

/// The file names of the 2-IMMERSE websocket-service for its certificate and key in `certs`.
#[tokio::test]
async fn a_certificate_of_the_websocket_service_is_used() {
    let mut program = Program::start(&["--https"]).await;
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
    let certs = program.folder.path().join("certs");
    for (ours, theirs) in [(CERT_FILE, "server.crt"), (KEY_FILE, "server.pem")] {
        fs::rename(certs.join(ours), certs.join(theirs)).unwrap();
    }
    let program = Program::start_in(program.folder, &["--https"]).await;
    let said = program.seen.join("\n");
    let expected = "certificate: certs/server.crt, until 20";
    assert!(said.contains(expected), "{said}");
    assert!(!certs.join(CERT_FILE).exists(), "one was made");
    let health = program.get("/health").await;
    assert_eq!(health.status, 200, "{}", health.body);
}

#[tokio::test]
async fn a_certificate_is_made_once_and_its_key_is_its_owners_only() {
    let mut program = Program::start(&["--https"]).await;
    let certs = program.folder.path().join("certs");
    let read = || [CERT_FILE, KEY_FILE].map(|file| fs::read(certs.join(file)).unwrap());
    let mode = fs::metadata(certs.join(KEY_FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let made = read();
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));

    let program = Program::start_in(program.folder, &["--https"]).await;
    assert!(made == read(), "the pair was made anew");
    // Trusts the file's certificate only: it is this one that is shown.
    assert_eq!(program.get("/health").await.status, 200);
}

/// Every listener waits for its port, and a signal ends the wait.
#[tokio::test]
async fn ports_on_which_nothing_listens_are_waited_for() {
    let flags = [
        "--port",
        "--zetta-listen",
        "--gateway-listen",
        "--push-http",
        "--push-ws",
        "--webhook-http",
        "--webhook-ws",
    ];
    for is_stopped in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let held = flags.map(|_| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket
        });
        let addresses = held
            .each_ref()
            .map(|socket| socket.local_addr().unwrap().to_string());
        let mut options = vec!["--push", "--target-address", "http://127.0.0.1:9/"];
        for (flag, address) in flags.iter().zip(&addresses) {
            options.extend([flag, address.as_str()]);
        }
        let mut child = command(folder.path(), &options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut next = async || {
            let line = timeout(SOON, lines.next_line()).await.expect("no line");
            line.unwrap().expect("it has ended")
        };
        let mut waiting: BTreeSet<_> = flags.into();
        while !waiting.is_empty() {
            let line = next().await;
            if line.contains("is already in use, but nothing listens there") {
                let flag = line.split(['(', ' ']).find(|word| waiting.contains(word));
                waiting.remove(flag.unwrap_or_else(|| panic!("said again: {line}")));
            }
        }
        if is_stopped {
            signal(&child, "TERM").await;
            let ended = timeout(SOON, child.wait()).await.expect("it goes on");
            assert_eq!(ended.unwrap().code(), Some(0));
            continue;
        }
        drop(held);
        while !next().await.contains("Socket.IO: ") {}
    }
}

#[tokio::test]
async fn exit_codes_of_what_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, port) = taken();
    let zetta = format!("127.0.0.1:{port}");
    let in_use = format!("port {port} (--port 127.0.0.1:{port}) is already in use");
    let zetta_in_use = format!("port {port} (--zetta-listen {zetta}) is already in use");
    let version = concat!("server ", env!("CARGO_PKG_VERSION"));
    let host = ["--host", "127.0.0.1"];
    let pair = ["--cert", "none.pem", "--key", "none.pem"];
    for (options, code, expected) in [
        (&["--help"][..], 0, "Usage: server"),
        (&["--version"], 0, version),
        (&["--port", &port, "--zetta-listen", "off"], 1, &in_use),
        (&["--port", "0", "--zetta-listen", &zetta], 1, &zetta_in_use),
        (
            &[&pair[..], &["--port", "0", "--zetta-listen", "off"]].concat(),
            1,
            "cannot read none.pem",
        ),
        (
            &["--socketio-client", "none.js"],
            1,
            "--socketio-client: none.js can't be read",
        ),
        (
            &["check", "--socketio-client", "none.js"],
            1,
            "--socketio-client: none.js can't be read",
        ),
        (&["--prot", "0"], 2, "a similar argument exists: '--port'"),
        (&["--port", "65536"], 2, "--port: `65536` is neither"),
        (&["--timezone", "Mars"], 2, "--timezone: `Mars` is not"),
        (&["chekc"], 2, "'chekc'"),
    ] {
        let arguments = [&host[..], options].concat();
        let ended = run(command(folder.path(), &arguments)).await;
        let (said, silent) = match code {
            0 => (&ended.stdout, &ended.stderr),
            _ => (&ended.stderr, &ended.stdout),
        };
        assert_eq!(ended.code, Some(code), "{options:?}: {said}{silent}");
        assert!(said.contains(expected), "{options:?}: {said}");
        assert_eq!(silent, "", "{options:?}");
    }
}

#[tokio::test]
async fn too_few_open_files_are_a_start_error_that_names_the_need() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--host", "127.0.0.1", "--port", "0", "--zetta-listen=off"];
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_server"))
        .args(options)
        .current_dir(folder.path());
    let ended = run(limited).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let expected = "the limit of open files is 64, and the server needs at least ";
    let (_, needed) = ended.stderr.split_once(expected).expect(&ended.stderr);
    let (needed, advice) = needed.split_once(' ').unwrap();
    assert!(needed.parse::<u64>().unwrap() > 64 && advice.contains("ulimit -n"));
}
