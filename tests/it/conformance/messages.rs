//! Events, acks, and what is none (Socket.IO v5, "Sending and receiving data",
//! "Acknowledgement" and "Packet encoding"; v4, "Packet types"; Engine.IO v4,
//! "Packet encoding: WebSocket"; v3, "Packet").

use serde_json::{Value, json};

use super::peer::Peer;
use super::{JOIN, JOINED, Transport, VERSIONS, WAYS, nobody_is_left};
use crate::server::TestServer;

#[tokio::test]
async fn an_event_reaches_the_others() {
    let server = TestServer::start().await;
    let notify = r#"42/bus,["NOTIFY",{"room":"r","message":[1,"2",{"3":[true]}]}]"#;
    for sender in WAYS {
        for receiver in WAYS {
            let mut anna = Peer::joined(&server, sender).await;
            let mut ben = Peer::joined(&server, receiver).await;
            anna.send(&[notify]).await;
            let told = ben.hears(r#"42/bus,["EVENT","#).await;
            let event: Value = serde_json::from_str(told.strip_suffix(']').unwrap()).unwrap();
            assert_eq!(event["message"], json!([1, "2", {"3": [true]}]));
            for peer in [&mut anna, &mut ben] {
                peer.send(&["41/bus,"]).await;
            }
            nobody_is_left(&server).await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_ack_has_the_id_that_was_asked_for() {
    let server = TestServer::start().await;
    for way in WAYS {
        let mut peer = Peer::joined(&server, way).await;
        for id in ["0", "7", "456", "9007199254740991"] {
            peer.send(&[&format!(r#"42/bus,{id}["CLIENTS",{{"room":"r"}}]"#)])
                .await;
            let told = peer.hears(&format!("43/bus,{id}")).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told[0]["status"], "ok", "{told}");
            assert_eq!(told.as_array().unwrap().len(), 1);
        }
    }
    server.stop().await;
}

/// Rooms carry JSON: who sends attachments is told so, and stays.
#[tokio::test]
async fn attachments_are_answered() {
    let server = TestServer::start().await;
    let parts = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for way in WAYS {
        for (ack, answer) in [("", r#"42/bus,["ERROR","#), ("789", "43/bus,789[")] {
            let mut peer = Peer::joined(&server, way).await;
            let event = format!(r#"452-/bus,{ack}["NOTIFY",{parts}]"#);
            match &mut peer {
                Peer::WebSocket(client) => {
                    client.send(event).await;
                    // In v3 the first byte is the type of the packet.
                    let skipped = usize::from(way.1 == 4);
                    client.send_binary(&[4, 1, 2, 3][skipped..]).await;
                    client.send_binary(&[4, 4, 5, 6][skipped..]).await;
                }
                // In v3 there is a type behind the `b` as well.
                Peer::Polling(_) if way.1 == 3 => peer.send(&[&event, "b4AQID", "b4BAUG"]).await,
                Peer::Polling(_) => peer.send(&[&event, "bAQID", "bBAUG"]).await,
            }
            let told = peer.hears(answer).await;
            assert!(told.contains(r#""code":"invalid_request""#), "{told}");
            peer.send(&[JOIN]).await;
            peer.hears(JOINED).await;
        }
    }
    server.stop().await;
}

/// No type, a payload that is no array with a name first, no id, no attachments.
#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    let server = TestServer::start().await;
    let cases = [
        "4abc",
        "4",
        "47",
        "42/bus,",
        "42/bus,{}",
        "42/bus,[]",
        "42/bus,[1]",
        "42/bus,null",
        r#"42/bus,"x""#,
        r#"42/bus,["x""#,
        r#"42/bus,["LEAVE",{]"#,
        r#"42/bus,abc["LEAVE",{"room":"r"}]"#,
        r#"42/bus,-1["LEAVE",{"room":"r"}]"#,
        r#"42/bus,1.5["LEAVE",{"room":"r"}]"#,
        "43/bus,[]",
        "44/bus,{}",
        r#"45/bus,["x"]"#,
        r#"4517-/bus,["x"]"#,
        "46/bus,1[]",
    ];
    for way in WAYS {
        for packet in cases {
            let mut peer = Peer::joined(&server, way).await;
            peer.send_wrong(&[packet]).await;
            peer.ends().await;
        }
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// The server asks for no acks. The engine takes any JSON for the payload of
/// one, where only an array is right: nobody looks at it.
#[tokio::test]
async fn an_ack_that_nobody_waits_for_is_ignored() {
    let server = TestServer::start().await;
    for way in WAYS {
        let mut peer = Peer::joined(&server, way).await;
        peer.send(&["43/bus,1[]", r#"43/bus,2["x"]"#, "43/bus,3{}", JOIN])
            .await;
        peer.hears(JOINED).await;
    }
    server.stop().await;
}

/// A text where an attachment is due, and an attachment where none is.
#[tokio::test]
async fn attachments_out_of_place_end_the_session() {
    let server = TestServer::start().await;
    let event = r#"451-/bus,["NOTIFY",{"_placeholder":true,"num":0}]"#;
    for way in WAYS {
        let mut due = Peer::joined(&server, way).await;
        due.send_wrong(&[event, JOIN]).await;
        due.ends().await;
        let mut none = Peer::joined(&server, way).await;
        match &mut none {
            Peer::WebSocket(client) => client.send_binary(&[4, 1, 2, 3]).await,
            Peer::Polling(_) if way.1 == 3 => none.send_wrong(&["b4AQID"]).await,
            Peer::Polling(_) => none.send_wrong(&["bAQID"]).await,
        }
        none.ends().await;
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_engine_packet_ends_a_websocket() {
    let server = TestServer::start().await;
    let cases = [
        "", "abc", "9", "0{}", "5", "6", "2probe", "3probe", "bAQID",
        // A close packet is one, and ends it as well.
        "1",
    ];
    for eio in VERSIONS {
        for packet in cases {
            let mut peer = Peer::joined(&server, (Transport::WebSocket, eio)).await;
            peer.send(&[packet]).await;
            assert_eq!(peer.ends().await, [""; 0], "{packet:?}");
            nobody_is_left(&server).await;
        }
    }
    server.stop().await;
}
