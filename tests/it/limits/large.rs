//! The limits of /layout, /bus and /trigger, as the services of a 2-IMMERSE production need them.

use std::sync::Arc;
use std::time::Duration;

use roomcast::core::broker::Memory;
use roomcast::core::error::Error;
use roomcast::core::event::Event;
use roomcast::core::hub::Hub;
use roomcast::core::name::{NamespaceName, Nickname, RoomId, RoomName};
use roomcast::core::outlet::{CloseReason, Outlet};
use roomcast::core::presence::Page;
use roomcast::namespaces;
use serde_json::json;

use crate::client::Client;
use crate::cluster::redis::{Keeps, Redis};
use crate::http::{get, post};
use crate::polling::{framed, open};
use crate::server::TestServer;

/// The longest message, in bytes of its JSON.
const MESSAGE: usize = 1024 * 1024;

/// The longest names, in characters.
const NAME: usize = 256;

/// How many big messages are sent in a row: as many as a client may send at once.
const EVENTS: usize = 7;

/// A text whose JSON has this many bytes, and which holds a number to recognise it.
fn text(number: usize, bytes: usize) -> String {
    format!("{number:02}{}", "x".repeat(bytes - 4))
}

#[tokio::test(flavor = "multi_thread")]
async fn big_messages_in_a_row_reach_a_client_that_reads() {
    let server = TestServer::start().await;
    for (namespace, event, shown) in [
        ("/layout", "NOTIFY", "EVENT"),
        ("/bus", "NOTIFY", "EVENT"),
        ("/trigger", "BROADCAST_EVENTS", "EVENTS"),
    ] {
        let is_trigger = namespace == "/trigger";
        let arguments = |text: String| match is_trigger {
            true => vec![json!("r"), json!(text)],
            false => vec![json!({"room": "r", "message": text})],
        };
        let [mut sender, mut reader] = [
            Client::connect(server.address, namespace).await.unwrap(),
            Client::connect(server.address, namespace).await.unwrap(),
        ];
        for client in [&mut sender, &mut reader] {
            match is_trigger {
                true => client.ask_all("JOIN", &[json!("r")]).await,
                false => client.join("r").await,
            };
        }
        let send = async {
            for number in 0..EVENTS {
                sender
                    .emit_all(event, &arguments(text(number, MESSAGE)))
                    .await;
            }
            let too_big = sender
                .ask_all(event, &arguments(text(0, MESSAGE + 1)))
                .await;
            assert_eq!(too_big["code"], "too_big", "{namespace}: {too_big}");
        };
        let read = async {
            for number in 0..EVENTS {
                let told = reader.event().await;
                assert_eq!(told[0], shown, "{namespace}");
                let message = if is_trigger {
                    &told[1]
                } else {
                    &told[1]["message"]
                };
                assert!(*message == text(number, MESSAGE), "{namespace} {number}");
            }
        };
        tokio::join!(send, read);
    }
    server.stop().await;
}

/// A backend posts messages of the largest size, also with a slash behind the room.
#[tokio::test(flavor = "multi_thread")]
async fn big_messages_in_a_row_reach_a_client_that_polls() {
    let server = TestServer::start().await;
    for (eio, target) in [(3, "/bus-message/r"), (4, "/bus-message/r/")] {
        let session = open(&server, eio).await;
        let join = r#"42/bus,["JOIN",{"room":"r","name":"a"}]"#;
        let body = match eio {
            3 => framed(&["40/bus", join]),
            _ => ["40/bus,", join].join("\u{1e}"),
        };
        assert_eq!(post(server.address, &session, body).await.status, 200);
        // Nobody polls until all of them wait.
        for number in 0..EVENTS {
            let message = json!(text(number, MESSAGE)).to_string();
            let posted = post(server.address, target, message).await;
            assert_eq!((posted.status, &*posted.body), (200, "OK"), "{number}");
        }
        let mut told = String::new();
        while !told.contains(&format!(r#""{:02}xx"#, EVENTS - 1)) {
            let polled = get(server.address, &session, "").await;
            assert_eq!(polled.status, 200, "{:.100}", polled.body);
            told.push_str(&polled.body);
        }
        let numbers: Vec<_> = told
            .match_indices(r#""message":""#)
            .map(|(at, found)| told[at + found.len()..][..2].parse::<usize>().unwrap())
            .collect();
        assert_eq!(numbers, (0..EVENTS).collect::<Vec<_>>());
        // The polling client also sends messages of that size.
        let notify = json!(["NOTIFY", {"room": "r", "message": text(0, MESSAGE)}]);
        let packet = format!("42/bus,7{notify}");
        let body = if eio == 3 { framed(&[&packet]) } else { packet };
        assert_eq!(post(server.address, &session, body).await.status, 200);
        let polled = get(server.address, &session, "").await;
        let answer = r#"43/bus,7[{"status":"ok""#;
        assert!(polled.body.contains(answer), "{:.200}", polled.body);
    }
    let big = json!(text(0, MESSAGE + 1)).to_string();
    let refused = post(server.address, "/bus-message/r/", big).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn big_messages_in_a_row_reach_a_client_of_another_node() {
    let redis = Redis::start(Keeps::Nothing).await;
    let address = redis.address().to_string();
    let options = ["--redis", &address];
    let servers = [
        TestServer::start_with(&options).await,
        TestServer::start_with(&options).await,
    ];
    let mut reader = Client::connect(servers[1].address, "/bus").await.unwrap();
    reader.join("r").await;
    for number in 0..EVENTS {
        let message = json!(text(number, MESSAGE)).to_string();
        let posted = post(servers[0].address, "/bus-message/r", message).await;
        assert_eq!((posted.status, &*posted.body), (200, "OK"), "{number}");
    }
    for number in 0..EVENTS {
        let told = reader.next().await;
        assert!(told["message"] == text(number, MESSAGE), "{number}");
    }
    drop(reader);
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_as_long_as_the_namespace_says() {
    let server = TestServer::start().await;
    for (namespace, room_chars, name_chars) in [("/layout", NAME, NAME), ("/bus", NAME, NAME)] {
        let mut client = Client::connect(server.address, namespace).await.unwrap();
        for (room, name, code) in [
            (room_chars, name_chars, json!(null)),
            (room_chars + 1, name_chars, json!("invalid_name")),
            (room_chars, name_chars + 1, json!("invalid_name")),
        ] {
            let asked = json!({"room": "é".repeat(room), "name": "é".repeat(name)});
            let joined = client.ask("JOIN", &asked).await;
            assert_eq!(joined["code"], code, "{namespace} {room} {name}: {joined}");
        }
        let listed = client
            .ask("CLIENTS", json!({"room": "é".repeat(NAME)}))
            .await;
        assert_eq!(listed["clients"], json!(["é".repeat(NAME)]));
    }
    let mut trigger = Client::connect(server.address, "/trigger").await.unwrap();
    for (chars, status) in [(NAME, "ok"), (NAME + 1, "error")] {
        let joined = trigger.ask_all("JOIN", &[json!("x".repeat(chars))]).await;
        assert_eq!(joined["status"], status, "{joined}");
    }
    // A namespace without `[limits]` has the defaults.
    let mut metadata = Client::connect(server.address, "/metadata").await.unwrap();
    for (chars, status) in [(64, "ok"), (65, "error")] {
        let asked = json!({"room": "now-playing", "name": "x".repeat(chars)});
        assert_eq!(metadata.ask("JOIN", asked).await["status"], status);
    }
    let target = format!("/bus-message/{}/", "x".repeat(NAME));
    assert_eq!(post(server.address, &target, "1").await.status, 200);
    server.stop().await;
}

/// An outlet that ignores all events.
struct Deaf;

impl Outlet for Deaf {
    fn deliver(&self, _: &Arc<Event>) -> Result<(), CloseReason> {
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Ok(())
    }

    fn close(&self, _: CloseReason) {}
}

#[tokio::test(start_paused = true)]
async fn a_client_is_in_a_thousand_rooms_and_leaves_them_all() {
    const ROOMS: usize = 1_000;
    for name in ["/layout", "/bus", "/trigger"] {
        let hub = Hub::new(namespaces::load(None).unwrap(), Memory);
        let namespace = NamespaceName::parse(name).unwrap();
        let connect = || hub.connect(&namespace, Arc::new(Deaf)).unwrap();
        let client = connect();
        let join = |number: usize| {
            let room = RoomName::parse(&format!("room {number}")).unwrap();
            let nickname = Nickname::parse("a").unwrap();
            hub.join(&client, &room, Some(nickname), None, |_| ())
        };
        for number in 0..ROOMS {
            join(number).unwrap();
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert!(matches!(join(ROOMS), Err(Error::TooManyRooms(ROOMS))));
        hub.disconnect(&client);
        let in_rooms = (0..ROOMS).filter(|number| {
            let room = RoomName::parse(&format!("room {number}")).unwrap();
            let id = RoomId {
                namespace: namespace.clone(),
                room,
            };
            hub.clients_here(&id, Page::default()).total > 0
        });
        assert_eq!(in_rooms.count(), 0, "{name}");
    }
}
