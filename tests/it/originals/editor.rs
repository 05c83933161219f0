//! 2immerse-editor and timeline-service: Python backends that exchange a document's
//! updates and its status in `/trigger`, and the editor's remote control in `/bus`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sdk::{are_in, assert_event, javascript, python, text};
use crate::client::{Client, SOON};
use crate::http::ask;
use crate::server::TestServer;

const DOCUMENT: &str = "6f1c1b0e-7a0e-4c0f-9a53-3c3f5e0a1b22";

/// A backend's socket that receives; it joins without asking for an ack.
async fn backend(server: SocketAddr, witness: &mut Client, room: &str) -> Client {
    let mut backend = python(server, "/trigger").await;
    backend.emit("JOIN", room).await;
    let joined = async {
        while witness.ask("JOIN", room).await["clients"] != 2 {
            witness.ask("LEAVE", room).await;
        }
    };
    timeout(SOON, joined).await.expect("it does not join");
    witness.ask("LEAVE", room).await;
    backend
}

#[tokio::test(flavor = "multi_thread")]
async fn editor_timelines_and_pages_receive_what_the_others_send() {
    let server = TestServer::start().await;
    let mut witness = Client::connect(server.address, "/trigger").await.unwrap();
    let [to_editor, to_timelines] =
        ["toBackend", "toTimelines"].map(|to| format!("{to}-{DOCUMENT}"));
    let mut editor = backend(server.address, &mut witness, &to_editor).await;
    let mut timeline = backend(server.address, &mut witness, &to_timelines).await;
    // Each backend sends on a second socket, which is in no room.
    let mut from_editor = python(server.address, "/trigger").await;
    let mut from_timeline = python(server.address, "/trigger").await;
    // The editor's page uses an SDK of version 4; other pages use version 1.
    let mut pages = [
        Client::connect(server.address, "/trigger").await.unwrap(),
        javascript(server.address, "40/trigger").await,
    ];
    for page in &mut pages {
        page.ask("JOIN", DOCUMENT).await;
    }

    let events = json!({"events": [{"id": "e1"}], "remote": {"active": false, "status": "x"}});
    send(&mut from_editor, "BROADCAST_EVENTS", DOCUMENT, &events).await;
    for page in &mut pages {
        assert_eq!(page.event().await, json!(["EVENTS", events]));
    }
    for generation in 0..3 {
        let operations = vec![json!({"verb": "add"}); generation];
        let update = json!({"generation": generation, "operations": operations});
        send(
            &mut from_editor,
            "BROADCAST_UPDATES",
            &to_timelines,
            &update,
        )
        .await;
        assert_eq!(timeline.event().await, json!(["UPDATES", update]));
    }
    let status = json!({"revision": 2, "dmappcComponents": {"c": {"state": "started"}}});
    send(&mut from_timeline, "BROADCAST_STATUS", &to_editor, &status).await;
    assert_eq!(editor.event().await, json!(["STATUS", status]));

    // A timeline that stops leaves its room, and then closes its connections.
    timeline.emit("LEAVE", to_timelines.as_str()).await;
    drop((timeline, from_timeline));
    send(
        &mut from_editor,
        "BROADCAST_EVENTS",
        DOCUMENT,
        &json!({"events": []}),
    )
    .await;
    for page in &mut pages {
        assert_eq!(page.event().await, json!(["EVENTS", {"events": []}]));
    }
    server.stop().await;
}

async fn send(socket: &mut Client, event: &str, room: &str, data: &Value) {
    socket.emit_all(event, &[room.into(), data.clone()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_receives_the_remote_controls_commands() {
    let server = TestServer::start().await;
    let room = "remote-control-clock-0d9b0f0e";
    let mut device = javascript(server.address, "40/bus").await;
    let name = "f3c1a2b4-0c0d-4c0: setupRemoteControlTimelineMasterOverrideDebugUtil";
    assert_eq!(name.len(), 68);
    device
        .emit("JOIN", text(json!({"room": room, "name": name})))
        .await;
    let mut witness = Client::connect(server.address, "/bus").await.unwrap();
    are_in(&mut witness, room, 1).await;

    // The request of Python's `requests`, under each host name that clients use for the service.
    let commands = [
        ("", "websocket-service:3000"),
        ("", "websocket-service-dev.service.consul:3000"),
        ("/", "10.0.0.7:3000"),
    ];
    for (end, host) in commands {
        let command = json!({"verb": "play", "host": host});
        let body = command.to_string();
        let request = format!(
            "POST /bus-message/{room}{end} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}",
            body.len(),
        );
        let answer = ask(TcpStream::connect(server.address).await.unwrap(), request).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{host}");
        assert_event(&device.next().await, "POST", room, &command);
    }
    server.stop().await;
}
