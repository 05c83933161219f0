//! The Socket.IO door over HTTP long-polling.

use crate::conformance;
use crate::http::{get, header, post};
use crate::server::TestServer;

/// Opens a session; gives the target of its requests.
pub async fn open(server: &TestServer, eio: u8) -> String {
    open_with(server, eio, "t=1").await
}

/// The same with more in its query.
pub async fn open_with(server: &TestServer, eio: u8, query: &str) -> String {
    let target = format!("/socket.io/?EIO={eio}&transport=polling&{query}");
    let opened = get(server.address, &target, "").await;
    let (_, rest) = opened.body.split_once(r#""sid":""#).unwrap();
    let (sid, _) = rest.split_once('"').unwrap();
    format!("{target}&sid={sid}")
}

/// What the server has to say, until something of it holds the words.
pub async fn poll_until(server: &TestServer, target: &str, words: &str) -> String {
    let mut all = String::new();
    while !all.contains(words) {
        let polled = get(server.address, target, "").await;
        assert_eq!(polled.status, 200, "{} after {all}", polled.body);
        all.push_str(&polled.body);
    }
    all
}

/// As an EIO 3 client frames its packets: by their length in UTF-16 units.
pub fn framed(packets: &[&str]) -> String {
    let framed = |packet: &&str| format!("{}:{packet}", packet.encode_utf16().count());
    packets.iter().map(framed).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_and_join_in_one_body() {
    let server = TestServer::start().await;
    let clients = r#"42/metadata,1["CLIENTS",{"room":"now-playing"}]"#;
    for round in 0..50 {
        for eio in [3, 4] {
            let target = open(&server, eio).await;
            let name = format!("Añna 𝄞 {eio} {round}");
            let join = format!(r#"42/metadata,0["JOIN",{{"room":"now-playing","name":"{name}"}}]"#);
            let body = match eio {
                3 => framed(&["40/metadata", &join, clients]),
                _ => ["40/metadata,", &join, clients].join("\u{1e}"),
            };
            let posted = post(server.address, &target, &body).await;
            assert_eq!((posted.status, posted.body.as_str()), (200, "ok"));
            let told = poll_until(&server, &target, r#"43/metadata,0[{"status":"ok""#).await;
            assert!(told.contains("40/metadata"), "{told}");
            assert!(told.contains(&name), "CLIENTS came before JOIN: {told}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_may_follow_before_connect_is_answered() {
    let server = TestServer::start().await;
    for _ in 0..100 {
        let target = open(&server, 4).await;
        for body in [
            "40/metadata,",
            r#"42/metadata,0["JOIN",{"room":"now-playing"}]"#,
        ] {
            assert_eq!(post(server.address, &target, body).await.status, 200);
        }
        poll_until(&server, &target, r#"43/metadata,0[{"status":"ok""#).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_payload_is_refused() {
    let server = TestServer::start().await;
    let long = "x".repeat(3 << 20);
    let cases = [
        ("", 200),
        ("\u{1e}\u{1e}", 400),
        ("9", 400),
        ("40", 200),
        ("40/nowhere,\u{1e}40/nowhere,", 200),
        ("40/metadata,\u{1e}40/metadata,\u{1e}40/metadata,", 200),
        ("4", 400),
        ("40/bus,\u{1e}4", 400),
        (&long, 413),
    ];
    for (body, status) in cases {
        let target = open(&server, 4).await;
        let posted = post(server.address, &target, body).await;
        assert_eq!(posted.status, status, "{body:.20}");
    }
    let unknown = "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA";
    assert_eq!(
        post(server.address, unknown, "40/metadata,").await.status,
        400
    );
    assert_eq!(get(server.address, "/health", "").await.status, 200);
    server.stop().await;
}

/// The engine reads these queries in another way: no request that was not understood here
/// reaches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_only_the_engine_understands_is_refused() {
    let server = TestServer::start().await;
    let target = open(&server, 3).await;
    for (from, to) in [
        ("transport=polling", "transport=polling=x"),
        ("transport=polling", "transport=websocket=x"),
        ("EIO=3", "EIO=3=x"),
    ] {
        let twisted = target.replace(from, to);
        let posted = post(server.address, &twisted, "1:\u{1d11e}x").await;
        assert_eq!(posted.status, 400, "{twisted}");
        let (opening, _) = twisted.split_once("&sid").unwrap();
        let opened = get(server.address, opening, "").await;
        assert_eq!(opened.status, 400, "{opening}: {}", opened.body);
    }
    server.stop().await;
}

/// The Python clients of 2015 to 2019 can read the binary framing only.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_v3_has_the_framing_that_its_client_reads() {
    let server = TestServer::start().await;
    let body = framed(&["40/metadata", "40/nowhere"]);
    let text = "text/plain; charset=UTF-8";
    let binary = "application/octet-stream";
    for (opening, poll, kind) in [
        ("t=1", "", binary),
        ("b64=0", "", binary),
        ("b64=1", "", text),
        // SDKs send `b64=1` only when they open a session.
        ("t=1", "&b64=1", text),
    ] {
        let target = format!("/socket.io/?EIO=3&transport=polling&{opening}");
        let opened = get(server.address, &target, "").await;
        let expected = match opening {
            "b64=1" => text,
            _ => binary,
        };
        assert_eq!(header(&opened, "content-type"), Some(expected), "{opening}");
        let packets = conformance::packets(&opened, 3);
        let sid = &conformance::handshake(&packets[0])["sid"];
        let target = format!("{target}&sid={}{poll}", sid.as_str().unwrap());
        assert_eq!(post(server.address, &target, &body).await.status, 200);
        let mut all: Vec<String> = Vec::new();
        // The server's own refusal is in the engine's answer.
        while !["40", "40/metadata", r#"44/nowhere,"Invalid namespace"#]
            .iter()
            .all(|start| all.iter().any(|packet| packet.starts_with(start)))
        {
            let polled = get(server.address, &target, "").await;
            assert_eq!(polled.status, 200, "{} after {all:?}", polled.body);
            assert_eq!(header(&polled, "content-type"), Some(kind), "{opening}");
            assert_eq!(
                header(&polled, "content-length"),
                Some(&*polled.bytes.len().to_string())
            );
            all.extend(conformance::packets(&polled, 3));
        }
    }
    server.stop().await;
}

/// A client that does not split its POSTs, like the SDKs of version 1 and 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_of_short_packets_is_handled_in_order() {
    let server = TestServer::start().await;
    // 20 packets of 8 KB, then more packets than the engine takes at once.
    for (count, bytes) in [(20, 8_000), (60, 100_000)] {
        for eio in [3, 4] {
            let target = open(&server, eio).await;
            let wide = "x".repeat(bytes);
            let mut packets = vec!["40/metadata,".to_owned()];
            for n in 0..count {
                packets.push(format!(r#"42/metadata,{n}["NO","{wide}"]"#));
            }
            let packets: Vec<_> = packets.iter().map(String::as_str).collect();
            let body = match eio {
                3 => framed(&packets),
                _ => packets.join("\u{1e}"),
            };
            let posted = post(server.address, &target, &body).await;
            assert_eq!((posted.status, posted.body.as_str()), (200, "ok"));
            let last = format!("43/metadata,{}[", count - 1);
            let told = poll_until(&server, &target, &last).await;
            let places = (0..count).map(|n| told.find(&format!("43/metadata,{n}[")).unwrap());
            assert!(places.is_sorted(), "{told}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_a_packet_that_is_too_long_is_not_handled() {
    let server = TestServer::start().await;
    let join = r#"42/metadata,0["JOIN",{"room":"now-playing"}]"#;
    let clients = r#"42/metadata,1["CLIENTS",{"room":"now-playing"}]"#;
    let long = format!(r#"42/metadata,["NO","{}"]"#, "x".repeat(16 << 20));
    let target = open(&server, 4).await;
    let connected = post(server.address, &target, "40/metadata,").await;
    assert_eq!(connected.status, 200);
    poll_until(&server, &target, "40/metadata,").await;
    // First a packet is too long, then the whole body, by its `Content-Length`.
    for bytes in [5 << 20, 16 << 20] {
        let body = [join, &long[..bytes]].join("\u{1e}");
        assert_eq!(post(server.address, &target, &body).await.status, 413);
    }
    // The session stays open.
    assert_eq!(post(server.address, &target, clients).await.status, 200);
    let told = poll_until(&server, &target, "43/metadata,1[").await;
    assert!(!told.contains("43/metadata,0["), "{told}");
    server.stop().await;
}
