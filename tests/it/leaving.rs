//! Clients that leave a namespace and come back on the same session, and what
//! was under way to them at that moment.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use roomcast::core::event::Event;
use roomcast::core::name::NamespaceName;
use roomcast::core::name::{Nickname, RoomName};
use roomcast::core::outlet::{CloseReason, Outlet};
use serde_json::json;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::http::post;
use crate::polling::{open, poll_until};
use crate::server::TestServer;
use crate::sessions::settle;

const JOIN: &str = r#"42/bus,1["JOIN",{"room":"r","name":"anna"}]"#;
const JOINED: &str = r#"43/bus,1[{"status":"ok""#;
const LEAVE: &str = r#"42/bus,2["LEAVE",{"room":"r"}]"#;

/// A member that holds its room up at each event, until it is let go on.
struct Held {
    reached: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Outlet for Held {
    fn deliver(&self, _: &Arc<Event>) -> Result<(), CloseReason> {
        let lock = |error| PoisonError::into_inner(error);
        block_in_place(|| {
            self.reached.lock().unwrap().send(()).unwrap();
            // An error is the end of the test.
            let _ = self.go.lock().unwrap_or_else(lock).recv();
        });
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        unreachable!("no room is deleted here")
    }

    fn close(&self, _: CloseReason) {}
}

/// Takes it into the room; tells when an event is held there, and lets it go.
async fn hold(server: &TestServer) -> (Receiver<()>, Sender<()>) {
    let (reached, is_reached) = channel();
    let (go, may_go) = channel();
    let held = Held {
        reached: Mutex::new(reached),
        go: Mutex::new(may_go),
    };
    let namespace = NamespaceName::parse("/bus").unwrap();
    let client = server.hub.connect(&namespace, Arc::new(held)).unwrap();
    let (tell, joined) = tokio::sync::oneshot::channel();
    let room = RoomName::parse("r").unwrap();
    let name = Nickname::parse("held").unwrap();
    let welcome = move |_| tell.send(()).unwrap();
    let asked = server.hub.join(&client, &room, Some(name), None, welcome);
    asked.unwrap();
    joined.await.unwrap();
    (is_reached, go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_under_way_to_who_has_left_reaches_nobody() {
    // What goes before the 41.
    for before in [&[][..], &[LEAVE]] {
        let server = TestServer::start().await;
        let (reached, go) = hold(&server).await;
        let mut client = Client::connect(server.address, "/bus").await.unwrap();
        client.join("r").await;
        settle(&mut client).await;
        server.publish("/bus", "r", json!("old"));
        block_in_place(|| reached.recv().unwrap());
        let packets = [before, &["41/bus,", "40/bus,"]].concat();
        let packets: Vec<_> = packets.into_iter().map(ToOwned::to_owned).collect();
        client.send_at_once(&packets).await;
        client.connected().await.unwrap();
        client.send(JOIN).await;
        go.send(()).unwrap();
        let next = client.packet().await.expect("closed");
        assert!(next.starts_with(JOINED), "{before:?}: {next}");
        server.publish("/bus", "r", json!("new"));
        go.send(()).unwrap();
        assert_eq!(client_message(&mut client).await, "new", "{before:?}");
        drop(go);
        server.stop().await;
    }
}

async fn client_message(client: &mut Client) -> String {
    let packet = client.packet().await.expect("closed");
    let (_, rest) = packet.split_once(r#""message":""#).expect("an event");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_polls_may_leave_while_events_are_under_way() {
    let server = TestServer::start().await;
    let (reached, go) = hold(&server).await;
    let target = open(&server, 4).await;
    let body = ["40/bus,", JOIN].join("\u{1e}");
    post(server.address, &target, &body).await;
    poll_until(&server, &target, JOINED).await;
    server.publish("/bus", "r", json!("old"));
    block_in_place(|| reached.recv().unwrap());
    assert_eq!(post(server.address, &target, "41/bus,").await.status, 200);
    go.send(()).unwrap();
    // Behind the event, in the queue of the room.
    let (_reached, _go) = hold(&server).await;
    let body = ["40/bus,", JOIN].join("\u{1e}");
    assert_eq!(post(server.address, &target, &body).await.status, 200);
    let told = poll_until(&server, &target, JOINED).await;
    assert!(!told.contains("old"), "{told}");
    drop((go, _go));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_may_leave_in_one_body_and_come_back_in_the_next() {
    let server = TestServer::start().await;
    // Whether the first answer is read before the second CONNECT.
    for polls in [false, true] {
        for _ in 0..30 {
            let target = open(&server, 4).await;
            for body in ["40/bus,", "41/bus,"] {
                assert_eq!(post(server.address, &target, body).await.status, 200);
            }
            if polls {
                poll_until(&server, &target, "40/bus,").await;
            }
            let body = ["40/bus,", JOIN].join("\u{1e}");
            assert_eq!(post(server.address, &target, &body).await.status, 200);
            poll_until(&server, &target, JOINED).await;
        }
    }
    server.stop().await;
}

/// The events of a client whose answers are through go to the wire again: at a
/// stop it is told why in the close frame, which the engine's has not.
#[tokio::test(flavor = "multi_thread")]
async fn after_ordinary_use_nothing_counts_as_under_way() {
    let cases: [&[&str]; 5] = [
        &[JOIN],
        &["40/bus,", "40/bus,", JOIN],
        &[JOIN, LEAVE, JOIN],
        &["40,", r#"42["NOTHING"]"#, "40/metadata,", JOIN],
        &[
            r#"42/bus,["NOTHING"]"#,
            "40/nowhere,",
            r#"42/bus,["CLIENTS",{"room":"r"}]"#,
            JOIN,
        ],
    ];
    for version in [3, 4] {
        let server = TestServer::start().await;
        let mut clients = Vec::new();
        for packets in cases {
            let mut client = Client::open_eio(server.address, version).await;
            client.send("40/bus,").await;
            let packets: Vec<_> = packets.iter().map(ToString::to_string).collect();
            client.send_at_once(&packets).await;
            let marker = r#"42/bus,9["CLIENTS",{"room":"r"}]"#;
            client.send(marker).await;
            loop {
                let packet = client.packet().await;
                let packet = packet.unwrap_or_else(|| panic!("closed: {version} {packets:?}"));
                if packet.starts_with("43/bus,9") {
                    break;
                }
            }
            clients.push(client);
        }
        let stopped = tokio::spawn(server.stop());
        for (mut client, packets) in clients.into_iter().zip(cases) {
            let closed = client.close_frame().await;
            assert_eq!(closed, (1001, "stopping".to_owned()), "{packets:?}");
        }
        assert_eq!(stopped.await.unwrap().cut, 0);
    }
}
