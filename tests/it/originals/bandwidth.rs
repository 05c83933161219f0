//! 2-IMMERSE: bandwidth-orchestration, which advises the players of each running
//! application in a room of its own.

use serde_json::{Value, json};

use super::sdk::{are_in, assert_event, javascript, text};
use crate::client::Client;
use crate::server::TestServer;

/// Applications that run at the same time.
const APPLICATIONS: usize = 40;

const ROOM: &str = "bandwidth.orchestration";

fn join(room: &str, name: &str) -> Value {
    text(json!({"room": room, "name": name}))
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_applications_receive_their_advice() {
    let server = TestServer::start().await;
    let mut players = Vec::new();
    for id in 0..APPLICATIONS {
        let mut player = javascript(server.address, "40/layout").await;
        let name = format!("device-{id}");
        player.emit("JOIN", join(&room(id), &name)).await;
        players.push(player);
    }
    let mut service = javascript(server.address, "40/layout").await;
    service.emit("JOIN", join(ROOM, "BOS")).await;
    let mut layout = javascript(server.address, "40/layout,").await;
    let mut witness = Client::connect(server.address, "/layout").await.unwrap();
    for id in 0..APPLICATIONS {
        are_in(&mut witness, &room(id), 1).await;
    }

    // The service learns of each application, and joins its room before it sends there.
    are_in(&mut witness, ROOM, 1).await;
    for id in 0..APPLICATIONS {
        let message = json!({"init": {"DMAppId": id.to_string(), "contextId": "0"}});
        let request = json!({"room": ROOM, "sender": "layoutServer", "message": message});
        layout.emit("NOTIFY", text(request)).await;
    }
    for id in 0..APPLICATIONS {
        let message = json!({"init": {"DMAppId": id.to_string(), "contextId": "0"}});
        assert_event(&service.next().await, "unknown", ROOM, &message);
    }
    for id in 0..APPLICATIONS {
        service.emit("JOIN", join(&room(id), "BOS")).await;
        advise(&mut service, id).await;
    }
    for (id, player) in players.iter_mut().enumerate() {
        assert_event(&player.next().await, "BOS", &room(id), &advice(id));
    }

    // After LEAVE, `sender` is still the name of the last JOIN.
    service.emit("LEAVE", join(&room(7), "BOS")).await;
    advise(&mut service, 7).await;
    assert_event(&players[7].next().await, "BOS", &room(7), &advice(7));
    server.stop().await;
}

fn room(id: usize) -> String {
    format!("{ROOM}.{id}")
}

fn advice(id: usize) -> Value {
    json!({id.to_string(): {"actions": {"video": {"action": "downgrade"}}}})
}

async fn advise(service: &mut Client, id: usize) {
    let request = json!({"room": room(id), "sender": "BOS", "message": advice(id)});
    service.emit("NOTIFY", text(request)).await;
}
