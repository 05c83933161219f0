//! `/health`, `/healthcheck` and `/metrics` of the running program, over HTTP and HTTPS.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Program;
use crate::http::{self, posted};
use crate::server::{TestServer, song};

const SCHEMES: [&[&str]; 2] = [&[], &["--https"]];

/// Connects a client to `/bus` by polling, which needs no open connection.
async fn connect_client(program: &Program) {
    let session = "/socket.io/?EIO=4&transport=polling";
    let opened = program.get(session).await;
    let opened: Value = serde_json::from_str(&opened.body[1..]).unwrap();
    let session = format!("{session}&sid={}", opened["sid"].as_str().unwrap());
    let connect = "40/bus,";
    let request = format!(
        "POST {session} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{connect}",
        connect.len()
    );
    let posted = http::ask(program.connect().await, &request).await;
    assert_eq!(posted.status, 200, "{}", posted.body);
    // A ping may come first.
    loop {
        let polled = program.get(&session).await;
        assert_eq!(polled.status, 200, "{}", polled.body);
        if polled.body.contains("40/bus,") {
            return;
        }
    }
}

#[tokio::test]
async fn health_follows_the_feed_and_the_clients() {
    for options in SCHEMES {
        let mut program = Program::start(options).await;
        let health = async |program: &Program| -> Value {
            let answer = program.get("/health").await;
            assert_eq!(answer.status, 200, "{}", answer.head);
            let head = answer.head.to_lowercase();
            assert!(head.contains("content-type: application/json"), "{head}");
            serde_json::from_str(&answer.body).unwrap()
        };
        let mut expected = json!({
            "status": "ok",
            "feed": {"connections": 0, "lastDocumentAgeSeconds": null, "skewSeconds": []},
            "clients": 0,
            "broker": {"kind": "memory", "connected": true},
            "store": {"ok": true},
            "failed": [],
        });
        assert_eq!(health(&program).await, expected, "{options:?}");

        connect_client(&program).await;
        let mut zetta = TcpStream::connect(program.zetta).await.unwrap();
        zetta.write_all(song(0, "A").as_bytes()).await.unwrap();
        program.line("on air").await;
        let mut after = health(&program).await;
        let age = after["feed"]["lastDocumentAgeSeconds"].take();
        assert!(age.as_f64().unwrap() >= 0.0, "{age}");
        expected["feed"]["connections"] = json!(1);
        expected["clients"] = json!(1);
        assert_eq!(after, expected, "{options:?}");
    }
}

#[tokio::test]
async fn a_probe_is_told_when_the_server_stops() {
    let server = TestServer::start().await;
    for (target, words) in [("/healthcheck", "OK"), ("/health", r#""status":"ok""#)] {
        let answer = http::get(server.address, target, "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    server.hub.stop().await;
    for (target, words) in [
        ("/healthcheck", "stopping"),
        ("/health", r#""status":"degraded""#),
    ] {
        let answer = http::get(server.address, target, "").await;
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_count_the_feed() {
    for options in SCHEMES {
        let mut program = Program::start(options).await;
        let counted = "\nroomcast_zetta_documents_total 1\n";
        let age = "\nroomcast_zetta_last_document_age_seconds ";
        let before = program.get("/metrics").await;
        assert_eq!(before.status, 200, "{}", before.body);
        let head = before.head.to_lowercase();
        assert!(
            head.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        let rooms = "\nroomcast_rooms{namespace=\"/metadata\"} ";
        assert!(before.body.contains(rooms), "{}", before.body);
        assert!(!before.body.contains(counted) && !before.body.contains(age));

        let mut zetta = TcpStream::connect(program.zetta).await.unwrap();
        zetta.write_all(song(0, "A").as_bytes()).await.unwrap();
        program.line("on air").await;
        let after = program.get("/metrics").await.body;
        for line in [counted, age, "\nroomcast_zetta_connections_open 1\n"] {
            assert!(after.contains(line), "{line}: {after}");
        }
    }
}

#[tokio::test]
async fn what_is_refused() {
    for options in SCHEMES {
        let program = Program::start(options).await;
        for (method, target, headers, status) in [
            ("GET", "/metrics", "", 200),
            // A proxy that is not trusted may speak for anybody.
            ("GET", "/metrics", "X-Forwarded-For: 127.0.0.1\r\n", 403),
            ("GET", "/metrics", "X-Forwarded-For: 8.8.8.8\r\n", 403),
            // A web page under a name that its author points here.
            ("GET", "/metrics", "Host: evil.example\r\n", 403),
            ("GET", "/health", "Host: evil.example\r\n", 200),
            // Who asks how the server is may come from anywhere.
            ("GET", "/health", "X-Forwarded-For: 8.8.8.8\r\n", 200),
            ("GET", "/healthcheck", "X-Forwarded-For: 8.8.8.8\r\n", 200),
            ("POST", "/health", "", 405),
            ("DELETE", "/metrics", "", 405),
            ("GET", "/nothing", "", 404),
            ("GET", "/health/", "", 404),
            ("POST", "/", "", 405),
        ] {
            let answer = program.ask(method, target, headers).await;
            assert_eq!(answer.status, status, "{method} {target} {headers}");
            if status == 403 {
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem["status"], 403);
            }
        }
    }
}

/// A trusted proxy may say for whom it asks.
#[tokio::test]
async fn metrics_believe_a_trusted_proxy() {
    let options = [
        "--trusted-proxy",
        "127.0.0.1",
        "--host-name",
        "radio.example",
    ];
    let program = Program::start(&options).await;
    for (headers, status, code) in [
        ("X-Forwarded-For: 192.168.1.1\r\n", 200, ""),
        ("X-Forwarded-For: 8.8.8.8\r\n", 403, "private_only"),
        (
            "X-Forwarded-For: 8.8.8.8, 10.1.1.1\r\n",
            403,
            "private_only",
        ),
        ("Forwarded: for=192.168.1.1\r\n", 200, ""),
        ("", 403, "private_only"),
        (
            "X-Forwarded-For: 192.168.1.1\r\nHost: radio.example:80\r\n",
            200,
            "",
        ),
        (
            "X-Forwarded-For: 192.168.1.1\r\nHost: radio.example.evil.example\r\n",
            403,
            "host_not_allowed",
        ),
    ] {
        let answer = program.ask("GET", "/metrics", headers).await;
        assert_eq!(answer.status, status, "{headers}");
        if status != 200 {
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(problem["code"], code, "{headers}");
        }
    }
}

/// A request through a trusted proxy is private only if the proxy names a private client.
#[tokio::test]
async fn a_trusted_proxy_opens_nothing_that_was_closed() {
    let options = ["--trusted-proxy", "127.0.0.1,192.168.7.7"];
    let program = Program::start(&options).await;
    for (headers, is_private) in [
        ("", false),
        ("X-Forwarded-Proto: https", false),
        ("Forwarded: for=192.0.2.1", false),
        ("Forwarded: for=192.168.1.1;proto=http", true),
        ("Forwarded: for=\"192.168.1.1:4711\"", true),
        ("Forwarded: for=\"[2001:db8::1]:4711\"", false),
        ("Forwarded: for=unknown", false),
        ("Forwarded: proto=https", false),
        ("X-Forwarded-For: 192.0.2.1", false),
        ("X-Forwarded-For: 192.0.2.1:4711", false),
        ("X-Forwarded-For: [2001:db8::1]:4711", false),
        ("X-Forwarded-For: 192.168.1.1", true),
        ("X-Forwarded-For: 192.168.1.1:4711", true),
        ("X-Forwarded-For: [fd00::1]:4711", true),
        ("X-Forwarded-For: 192.168.1.1, 192.168.7.7", true),
        ("X-Forwarded-For: 192.0.2.1, 192.168.7.7", false),
        ("X-Forwarded-For: 127.0.0.1:port", false),
        ("X-Forwarded-For: ", false),
        (
            "X-Forwarded-For: 192.168.1.1\r\nForwarded: for=192.0.2.1",
            false,
        ),
        // The server does not believe these headers: they name no client.
        ("X-Real-IP: 192.0.2.1", false),
        ("X-Real-IP: 192.168.1.1", false),
        ("CF-Connecting-IP: 192.0.2.1", false),
        ("CF-Connecting-IP: 192.168.1.1", false),
        ("True-Client-IP: 192.0.2.1", false),
        ("True-Client-IP: 192.168.1.1", false),
        (
            "X-Forwarded-For: 192.168.1.1\r\nX-Real-IP: 192.0.2.1",
            false,
        ),
        (
            "X-Forwarded-For: 192.168.1.1\r\nCF-Connecting-IP: 192.0.2.1",
            false,
        ),
        (
            "X-Forwarded-For: 192.168.1.1\r\nTrue-Client-IP: 192.0.2.1",
            false,
        ),
        // This is how docs/secure.md lets a scraper on the proxy's own host read the metrics.
        ("X-Forwarded-For: 127.0.0.1", true),
    ] {
        let lines = match headers {
            "" => String::new(),
            headers => format!("{headers}\r\n"),
        };
        let metrics = program.ask("GET", "/metrics", &lines).await;
        let published = posted("/bus-message/r", &lines, "1");
        let published = http::ask(program.connect().await, published).await;
        let expected = match is_private {
            true => (200, 200),
            false => (403, 403),
        };
        assert_eq!((metrics.status, published.status), expected, "{headers}");
    }
}
