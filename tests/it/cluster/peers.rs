//! Clients that speak to each other, each at a node of its own: in a lobby and by
//! triggers.

use serde_json::{Value, json};

use super::nodes::Stage;
use crate::client::Client;
use crate::lobby::{Peer, id_for};

pub async fn meet_in_a_lobby(stage: Stage<'_>) {
    for (first, second) in [(4, 4), (3, 4), (4, 3)] {
        for (way, (here, there)) in stage.both_ways().into_iter().enumerate() {
            // One that nobody is still leaving.
            let lobby = format!("den-{first}-{second}-{way}");
            let mut anna = Peer::come(here, first, &lobby).await;
            assert!(anna.peers.is_empty(), "{:?}", anna.peers);
            let mut ben = Peer::come(there, second, &lobby).await;
            assert_eq!(ben.peers, [id_for(second, &anna.id)]);
            anna.hears("JOINED", id_for(first, &ben.id)).await;

            let said = ben.client.ask("BROADCAST", json!({"message": 1})).await;
            assert_eq!(said["status"], "ok", "{said}");
            let from = id_for(first, &ben.id);
            anna.hears("MESSAGE", json!({"from": from, "message": 1}))
                .await;
            signals(&mut anna, &mut ben, second).await;
            signals(&mut ben, &mut anna, first).await;
            let refused = anna.client.ask("RTCSIGNAL", json!({"to": "nobody"})).await;
            assert_eq!(refused["code"], "no_such_peer", "{refused}");

            let id = id_for(first, &ben.id);
            drop(ben);
            anna.hears("LEFT", id).await;
        }
    }
}

/// One signals to the other, which is of this version of Engine.IO.
async fn signals(from: &mut Peer, to: &mut Peer, eio: u8) {
    for number in 0..3 {
        let signal = json!({"to": to.id, "sdp": number});
        let sent = from.client.ask("RTCSIGNAL", signal).await;
        assert_eq!(sent["status"], "ok", "{sent}");
    }
    for number in 0..3 {
        let heard = json!({"to": to.id, "from": id_for(eio, &from.id), "sdp": number});
        to.hears("RTCSIGNAL", heard).await;
    }
}

pub async fn hear_triggers(stage: Stage<'_>) {
    let id = json!("show");
    let mut members = Vec::new();
    for server in [stage.publish_at, stage.listen_at] {
        let mut member = Client::connect(server.address, "/trigger").await.unwrap();
        let joined = member.ask_all("JOIN", std::slice::from_ref(&id)).await;
        members.push(member);
        let expected = json!({"status": "ok", "room": id, "clients": members.len()});
        assert_eq!(joined, expected);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        for kind in ["EVENTS", "UPDATES", "STATUS"] {
            let data: Value = json!({"from": from, "kind": kind});
            let verb = format!("BROADCAST_{kind}");
            let sent = members[from]
                .ask_all(&verb, &[id.clone(), data.clone()])
                .await;
            assert_eq!(sent["status"], "ok", "{sent}");
            assert_eq!(members[to].event().await, json!([kind, data]));
        }
    }
}
