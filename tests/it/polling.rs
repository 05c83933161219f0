//! The Socket.IO door over HTTP long-polling.

use crate::http::{get, post};
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
