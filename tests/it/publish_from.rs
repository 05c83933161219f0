//! NOTIFY and BROADCAST of clients that are not in the room: delivered if the namespace lets anyone
//! publish.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

async fn member(server: &TestServer, namespace: &str) -> Client {
    let mut client = Client::connect(server.address, namespace).await.unwrap();
    let join = match namespace {
        "/trigger" => json!("r"),
        _ => json!({"room": "r", "name": "device"}),
    };
    assert_eq!(client.ask("JOIN", join).await["status"], "ok");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_outside_of_the_room_reaches_its_members() {
    let server = TestServer::start().await;
    for namespace in ["/layout", "/bus"] {
        let mut members = [
            member(&server, namespace).await,
            member(&server, namespace).await,
        ];
        let mut service = Client::connect(server.address, namespace).await.unwrap();
        let notify = |message: i32| json!({"room": "r", "message": message});
        let mut senders = Vec::new();
        // The name is that of the last JOIN in any room, even after LEAVE.
        for (message, name) in [(1, None), (2, Some("svc")), (3, Some("svc2"))] {
            if let Some(name) = name {
                let join = json!({"room": "elsewhere", "name": name});
                service.ask("LEAVE", json!({"room": "elsewhere"})).await;
                assert_eq!(service.ask("JOIN", join).await["status"], "ok");
            }
            let answer = service.ask("NOTIFY", notify(message)).await;
            assert_eq!(answer["status"], "ok", "{answer}");
            for member in &mut members {
                let event = member.next().await;
                assert_eq!(
                    (&event["room"], &event["message"]),
                    (&json!("r"), &json!(message))
                );
                senders.push(event["sender"].as_str().unwrap().to_owned());
            }
        }
        let expected = ["unknown", "unknown", "svc", "svc", "svc2", "svc2"];
        assert_eq!(senders, expected, "{namespace}");
        // A member has its name in the room, and does not receive its own message.
        members[0].ask("NOTIFY", notify(4)).await;
        assert_eq!(members[1].next().await["sender"], "device");
        service.ask("NOTIFY", notify(5)).await;
        assert_eq!(members[0].next().await["message"], 5);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_need_no_join() {
    let server = TestServer::start().await;
    let mut timeline = member(&server, "/trigger").await;
    let mut editor = Client::connect(server.address, "/trigger").await.unwrap();
    for (sent, received) in [
        ("BROADCAST_EVENTS", "EVENTS"),
        ("BROADCAST_UPDATES", "UPDATES"),
        ("BROADCAST_STATUS", "STATUS"),
    ] {
        let arguments = [json!("r"), json!({"is": sent})];
        let answer = editor.ask_all(sent, &arguments).await;
        assert_eq!(answer["status"], "ok", "{answer}");
        assert_eq!(timeline.event().await, json!([received, {"is": sent}]));
    }
    server.stop().await;
}

/// Publishers outside of rooms: rooms without members, and the acks.
#[tokio::test(flavor = "multi_thread")]
async fn every_other_rule_holds_outside_of_a_room() {
    let server = TestServer::start().await;
    let long = "x".repeat(2_000);
    let cases: [(&str, Value, &str); 5] = [
        ("/layout", json!({"room": "nobody", "message": 1}), "ok"),
        ("/layout", json!({"room": "", "message": 1}), "invalid_name"),
        (
            "/layout",
            json!({"room": long, "message": 1}),
            "invalid_name",
        ),
        (
            "/metadata",
            json!({"room": "now-playing", "message": 1}),
            "not_allowed",
        ),
        (
            "/metadata",
            json!({"room": "nowhere", "message": 1}),
            "not_allowed",
        ),
    ];
    for (namespace, notify, expected) in cases {
        let mut client = Client::connect(server.address, namespace).await.unwrap();
        let answer = client.ask("NOTIFY", notify).await;
        let result = answer["code"].as_str().or(answer["status"].as_str());
        assert_eq!(result, Some(expected), "{namespace}: {answer}");
    }
    // Rooms without members are closed to make way for new ones.
    let mut client = Client::connect(server.address, "/layout").await.unwrap();
    for number in 0..400 {
        let notify = json!({"room": format!("r{number}"), "message": 1});
        assert_eq!(client.ask("NOTIFY", notify).await["status"], "ok");
    }
    server.stop().await;
}
