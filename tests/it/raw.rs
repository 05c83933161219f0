//! The raw WebSocket door, as the deployed apps use it: a test for each thing
//! that they rely on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{Client, SOON};
use crate::cluster::redis::{Keeps, Redis};
use crate::http::get;
use crate::server::{TestServer, play, song};
use crate::source::Source;
use crate::webhook::backend::Backend;

/// A listener that did nothing but connect.
struct App(WebSocketStream<TcpStream>);

impl App {
    async fn connect(server: &TestServer, target: &str) -> Self {
        Self::connect_to(server.address, target).await
    }

    async fn connect_to(address: SocketAddr, target: &str) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}{target}");
        let (socket, _) = client_async(url, tcp).await.unwrap();
        Self(socket)
    }

    async fn message(&mut self) -> Message {
        let message = timeout(SOON, self.0.next()).await.expect("nothing came");
        message.expect("closed").unwrap()
    }

    /// The next frame, as the app reads it: whatever it is, it is a track.
    async fn track(&mut self) -> Value {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("not a track: {other:?}"),
            }
        }
    }

    /// The next track, while the server's clock goes on.
    async fn track_in_time(&mut self) -> Value {
        let track = async {
            loop {
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(1)).await;
                tokio::time::resume();
                if let Ok(track) = timeout(Duration::from_millis(50), self.track()).await {
                    return track;
                }
            }
        };
        timeout(SOON, track).await.expect("no track")
    }
}

/// A server on which these items were played, the last one is current.
async fn on_air(items: &[String]) -> TestServer {
    let server = TestServer::start_with(&["--gateway-listen", "127.0.0.1:0"]).await;
    let mut listener = Client::connect(server.address, "/metadata").await.unwrap();
    listener.join("now-playing").await;
    let mut zetta = server.zetta().await;
    for item in items {
        play(&mut zetta, item).await;
        listener.next().await;
    }
    server
}

/// What an advertiser has paid for.
fn spot(start: u32) -> String {
    song(start, "Buy it now").replace(r#"Type="SONG""#, r#"Type="SPOT""#)
}

const METADATA: &str = "/api/?target=metadata";

#[tokio::test]
async fn every_frame_is_a_track_and_no_field_of_it_is_null() {
    let server = on_air(&[song(0, "First"), song(300, "Second")]).await;
    let mut app = App::connect(&server, METADATA).await;
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(600, "Third")).await;
    for title in ["Second", "Third"] {
        let track = app.track().await;
        assert_eq!(track["track"], title);
        for name in [
            "track",
            "type",
            "album",
            "artist",
            "timestampUTC",
            "timestampCST",
        ] {
            assert!(track[name].is_string(), "{name}: {track}");
        }
        assert!(track["length"].is_number(), "{track}");
        let fields = track.as_object().unwrap();
        assert!(fields.values().all(|value| !value.is_null()), "{track}");
    }
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn the_first_frame_is_the_last_song_and_what_is_on_follows_5_s_later() {
    let server = on_air(&[song(0, "First"), spot(300)]).await;
    let mut app = App::connect(&server, METADATA).await;
    let connected = Instant::now();
    let track = app.track().await;
    assert_eq!(
        (&track["track"], &track["type"]),
        (&json!("First"), &json!("SONG"))
    );
    let link = app.track_in_time().await;
    assert_eq!(link["type"], "LINK");
    assert!(connected.elapsed() >= Duration::from_secs(5), "too soon");
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn a_song_that_comes_meanwhile_takes_the_place_of_what_was_on() {
    let server = on_air(&[song(0, "First"), spot(300)]).await;
    let mut app = App::connect(&server, METADATA).await;
    assert_eq!(app.track().await["track"], "First");
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(330, "Second")).await;
    assert_eq!(app.track().await["track"], "Second");
    drop(app);
    server.stop().await;
}

/// A server that has received a song, and then an item that is not a song.
async fn link_on_air(state: &Path, options: &[&str]) -> TestServer {
    let server = TestServer::start_in(state, options).await;
    let mut zetta = server.zetta().await;
    let mut before = App::connect(&server, METADATA).await;
    play(&mut zetta, &song(0, "First")).await;
    assert_eq!(before.track().await["type"], "SONG");
    let mut other = Client::connect(server.address, "/metadata").await.unwrap();
    other.join("now-playing").await;
    assert_eq!(other.next().await["message"]["type"], "SONG");
    play(&mut zetta, &spot(300)).await;
    assert_eq!(other.next().await["message"]["type"], "LINK");
    server
}

/// Of the server, and with it of the machine.
#[tokio::test]
async fn the_first_frame_is_the_last_song_also_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let gateway = ["--gateway-listen", "127.0.0.1:0"];
    link_on_air(state.path(), &[]).await.stop().await;
    let server = TestServer::start_in(state.path(), &gateway).await;
    let ports = [
        (server.address, METADATA),
        (server.gateway.unwrap(), "/?target=metadata"),
    ];
    for (address, target) in ports {
        let mut app = App::connect_to(address, target).await;
        let connected = Instant::now();
        assert_eq!(app.track().await["track"], "First");
        assert_eq!(app.track_in_time().await["type"], "LINK");
        assert!(connected.elapsed() >= Duration::from_secs(5), "too soon");
    }
    server.stop().await;
}

/// A node learns from Redis that the current item is not a song.
#[tokio::test]
async fn the_first_frame_is_the_last_song_also_after_a_restart_with_redis() {
    let state = tempfile::tempdir().unwrap();
    let redis = Redis::start(Keeps::Nothing).await;
    let address = redis.address().to_string();
    let options = ["--redis", &address];
    link_on_air(state.path(), &options).await.stop().await;
    let server = TestServer::start_in(state.path(), &options).await;
    let mut app = App::connect(&server, METADATA).await;
    assert_eq!(app.track().await["track"], "First");
    // A frame that is not held back would arrive before the pong.
    app.0.send(Message::Ping("".into())).await.unwrap();
    assert_eq!(app.message().await, Message::Pong("".into()));
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn where_no_song_is_known_the_first_frame_is_what_is_on() {
    let server = on_air(&[spot(0)]).await;
    let mut app = App::connect(&server, METADATA).await;
    assert_eq!(app.track().await["type"], "LINK");
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn an_advertiser_is_never_shown() {
    let server = on_air(&[spot(0)]).await;
    let mut app = App::connect(&server, "/ws?target=metadata").await;
    let track = app.track().await;
    assert!(!track.to_string().contains("Buy it now"), "{track}");
    assert_eq!(
        (&track["artist"], &track["album"]),
        (&json!(""), &json!(""))
    );
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_target_is_refused_in_the_gateways_words() {
    let server = TestServer::start().await;
    let cases = [
        ("/api/", "Missing target parameter"),
        ("/api/?target=", "Missing target parameter"),
        ("/ws", "Missing target parameter"),
        ("/api/?target=nowhere", "Invalid target parameter"),
        ("/api/?target=META", "Invalid target parameter"),
        ("/api/?target=lobby", "Invalid target parameter"),
        ("/api/?target=bus", "Missing room parameter"),
        ("/api/?target=bus&room=%00", "Invalid room parameter"),
    ];
    for (target, text) in cases {
        let answer = get(server.address, target, "").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, text),
            "{target}"
        );
    }
    let reserved = get(server.address, "/api/?target=schedule", "").await;
    assert_eq!(reserved.status, 400);
    assert!(reserved.body.contains("reserved"), "{}", reserved.body);
    let plain = get(server.address, METADATA, "").await;
    assert_eq!(plain.status, 426, "{}", plain.body);
    server.stop().await;
}

#[tokio::test]
async fn the_gateways_own_port_has_the_same_at_every_path() {
    let server = on_air(&[song(0, "First")]).await;
    let gateway = server.gateway.unwrap();
    for path in ["/", "/api/", "/api", "/ws", "/any/where//%20"] {
        let target = format!("{path}?a=b&target=metadata");
        let mut app = App::connect_to(gateway, &target).await;
        assert_eq!(app.track().await["track"], "First", "{path}");
    }
    for (target, text) in [
        ("/", "Missing target parameter"),
        ("/health", "Missing target parameter"),
        (
            "/socket.io/?EIO=4&transport=polling",
            "Missing target parameter",
        ),
        ("/api/?target=", "Missing target parameter"),
        ("/api/?target=nowhere", "Invalid target parameter"),
    ] {
        let refused = get(gateway, target, "").await;
        assert_eq!(
            (refused.status, refused.body.as_str()),
            (400, text),
            "{target}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn any_room_of_the_room_protocol_may_be_listened_to() {
    let server = TestServer::start().await;
    let mut app = App::connect(&server, "/api/?target=bus&room=a%20b").await;
    // Whoever is answered was let in behind it.
    let mut other = Client::connect(server.address, "/bus").await.unwrap();
    while other.ask("CLIENTS", json!({"room": "a b"})).await["total"] != 1 {}
    server.publish("/bus", "a b", json!({"x": 1}));
    let event = app.track().await;
    assert_eq!(
        (&event["sender"], &event["room"]),
        (&json!("POST"), &json!("a b"))
    );
    assert_eq!(event["message"], json!({"x": 1}));
    assert!(event["offset"].is_string() && event["time"].is_string());
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn what_a_listener_writes_is_ignored_and_its_pings_are_answered() {
    let server = on_air(&[song(0, "First")]).await;
    let mut app = App::connect(&server, METADATA).await;
    assert_eq!(app.track().await["track"], "First");
    for text in ["", "hello", r#"{"track":"mine"}"#, "42[\"JOIN\"]"] {
        app.0.send(Message::text(text)).await.unwrap();
        app.0
            .send(Message::binary(text.as_bytes().to_vec()))
            .await
            .unwrap();
    }
    app.0
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    assert_eq!(app.message().await, Message::Pong("are you there".into()));
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(300, "Second")).await;
    assert_eq!(app.track().await["track"], "Second");
    drop(app);
    server.stop().await;
}

#[tokio::test]
async fn who_writes_too_much_or_answers_no_ping_is_closed() {
    let server = TestServer::start().await;
    let mut app = App::connect(&server, METADATA).await;
    let much = Message::text("x".repeat(100_000));
    let _ = app.0.send(much).await;
    while let Ok(Some(Ok(_))) = timeout(SOON, app.0.next()).await {}

    let silent = App::connect(&server, METADATA).await;
    let count = || server.hub.client_count();
    let (is_there, is_gone) = (|| count() == 1, || count() == 0);
    let wait = async |done: &dyn Fn() -> bool| {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, wait(&is_there)).await.expect("not there");
    for _ in 0..3 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(26)).await;
        tokio::time::resume();
        get(server.address, "/health", "").await;
    }
    timeout(SOON, wait(&is_gone)).await.expect("it stays");
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_is_told_by_the_close_code() {
    let server = TestServer::start().await;
    let mut app = App::connect(&server, METADATA).await;
    get(server.address, "/health", "").await;
    let told = async {
        let close = app.message().await;
        // Which answers it.
        while app.0.next().await.is_some() {}
        close
    };
    let (stopped, close) = tokio::join!(server.stop(), told);
    let Message::Close(Some(close)) = close else {
        panic!("not a close frame: {close:?}");
    };
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (1001, "stopping")
    );
    assert_eq!(stopped.cut, 0);
}

#[tokio::test]
async fn who_says_goodbye_is_answered() {
    let server = TestServer::start().await;
    let mut app = App::connect(&server, METADATA).await;
    app.0.close(None).await.unwrap();
    assert!(matches!(app.message().await, Message::Close(_)));
    drop(app);
    server.stop().await;
}

/// Clients that offer subprotocols close the connection if the server answers none.
#[tokio::test]
async fn the_first_subprotocol_is_answered_but_not_by_socket_io() {
    let backend = Backend::start().await;
    let target = backend.target();
    let options = ["--target-address", &target, "--webhook-ws", "127.0.0.1:0"];
    let more = [
        "--webhook-http=127.0.0.1:0",
        "--gateway-listen=127.0.0.1:0",
        "--push",
    ];
    let server = TestServer::start_with(&[&options[..], &more].concat()).await;
    let raw = "/api/?target=metadata";
    for (address, path, is_raw) in [
        (server.address, raw, true),
        (server.gateway.unwrap(), "/?target=metadata", true),
        (server.push.unwrap().1, "/", true),
        (server.webhook.unwrap().0, "/", true),
        (
            server.address,
            "/socket.io/?EIO=4&transport=websocket",
            false,
        ),
    ] {
        for (offers, answer) in [
            ("", None),
            ("Sec-WebSocket-Protocol: chat, superchat\r\n", Some("chat")),
            ("Sec-WebSocket-Protocol: no token, \"chat\"\r\n", None),
        ] {
            let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}{offers}\r\n");
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let byte = timeout(SOON, tcp.read_u8()).await.expect("hangs");
                head.push(byte.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let is_answer = |name: &str| name.eq_ignore_ascii_case("sec-websocket-protocol");
            let found = lines.find_map(|(name, value)| is_answer(name).then_some(value));
            assert_eq!(found, answer.filter(|_| is_raw), "{path} {offers}");
        }
    }
    server.stop().await;
}

async fn message(source: &mut Source) -> Value {
    loop {
        let told = source.told().await;
        if told.event == "message" {
            return told.data;
        }
    }
}

/// On every other transport a joining client can tell the last song from the current item.
#[tokio::test]
async fn retained_events_say_which_one_is_current() {
    let server = on_air(&[song(0, "First"), spot(300)]).await;
    let room = "/events/metadata/now-playing";
    let mut source = Source::open(server.address, room, "").await;
    let mut client = Client::connect(server.address, "/metadata").await.unwrap();
    client.join("now-playing").await;
    for current in [false, true] {
        let (told, event) = (message(&mut source).await, client.next().await);
        assert_eq!(
            (&told["current"], &event["current"]),
            (&json!(current), &json!(current))
        );
        let kind = if current { "LINK" } else { "SONG" };
        assert_eq!(
            (&told["message"]["type"], &event["message"]["type"]),
            (&json!(kind), &json!(kind))
        );
    }
    // New events are current: they have no such field.
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(600, "Second")).await;
    let (told, event) = (message(&mut source).await, client.next().await);
    assert_eq!(told["message"]["track"], "Second");
    assert_eq!((told.get("current"), event.get("current")), (None, None));
    // A song that is on air is both, in one event: it is current.
    let mut late = Source::open(server.address, room, "").await;
    let told = message(&mut late).await;
    assert_eq!(
        (told.get("current"), &told["message"]["track"]),
        (None, &json!("Second"))
    );
    drop((source, late, client, zetta));
    server.stop().await;
}
