//! 2-IMMERSE: layout-service, which joins no room, and the devices (client-api) to which
//! it sends what they show.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::sdk::{assert_event, javascript, text};
use super::tunnel::tunnel;
use crate::client::Client;
use crate::net::tls::CERT_FILE;
use crate::server::TestServer;

const CONTEXT: &str = "0d9b0f0e-3a5b-4a80-9d05-1f0d0a7e8d11";

/// A device in its own room.
async fn device(server: SocketAddr, id: &str) -> Client {
    let mut device = javascript(server, "40/layout").await;
    let name = format!("device[{id}]");
    join(&mut device, &format!("{CONTEXT}.{id}"), &name).await;
    device
}

/// Devices wait for the ack, and ignore its argument.
async fn join(client: &mut Client, room: &str, name: &str) {
    let request = text(json!({"room": room, "name": name}));
    client.ask("JOIN", request).await;
}

/// What layout-service sends to a device.
async fn push(layout: &mut Client, room: &str, message: &Value) {
    let request = json!({"room": room, "sender": "layoutServer", "message": message});
    layout.emit("NOTIFY", text(request)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_device_receives_its_own_layout_over_https() {
    let certs = tempfile::tempdir().unwrap();
    let folder = certs.path().to_str().unwrap();
    let server = TestServer::start_with(&["--https", "--certs", folder]).await;
    let address = tunnel(server.address, certs.path().join(CERT_FILE)).await;
    let mut layout = javascript(address, "40/layout,").await;
    let mut devices = [device(address, "tv").await, device(address, "phone").await];
    let rooms = ["tv", "phone"].map(|id| format!("{CONTEXT}.{id}"));

    let create = |id: u32| json!({"create": {"messageId": id, "components": []}});
    let update = |id: u32| json!({"update": {"messageId": id, "components": [{"x": 5}]}});
    push(&mut layout, &rooms[0], &create(1)).await;
    push(&mut layout, &rooms[1], &create(2)).await;
    push(&mut layout, &rooms[0], &update(3)).await;
    let expected = [vec![create(1), update(3)], vec![create(2)]];
    for ((device, room), messages) in devices.iter_mut().zip(&rooms).zip(&expected) {
        for message in messages {
            assert_event(&device.next().await, "unknown", room, message);
        }
    }

    // A device that has received nothing for 3 s checks whether the service works at all.
    let mut check = javascript(address, "40/layout").await;
    join(&mut check, "all.contexts", "WS check for device[tv]").await;
    let destroyed = json!({"contexts": {"destroyed": [CONTEXT]}});
    push(&mut layout, "all.contexts", &destroyed).await;
    assert_event(&check.next().await, "unknown", "all.contexts", &destroyed);

    // A device that changes its context leaves one room and joins another.
    let [tv, phone] = &mut devices;
    let leave = json!({"room": rooms[0], "name": format!("layout_{}", rooms[0])});
    tv.emit("LEAVE", text(leave)).await;
    join(tv, "next.tv", "device[tv]").await;
    push(&mut layout, &rooms[0], &create(4)).await;
    push(&mut layout, "next.tv", &create(5)).await;
    assert_event(&tv.next().await, "unknown", "next.tv", &create(5));
    push(&mut layout, &rooms[1], &update(6)).await;
    assert_event(&phone.next().await, "unknown", &rooms[1], &update(6));

    // Nothing was sent to layout-service itself.
    let clients = text(json!({"room": rooms[1]}));
    layout.emit("CLIENTS", clients).await;
    let answer = layout.event().await;
    assert_eq!(answer[0], "CLIENTS", "{answer}");
    assert_eq!(answer[1]["clients"], json!(["device[phone]"]));
    server.stop().await;
}
