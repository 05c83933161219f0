//! CLIENTS: answered once, in pages, and charged by the size of the page.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

const CLIENTS: usize = 130;

/// A server with clients in a room, and one more that asks.
async fn crowd() -> (TestServer, Vec<Client>, Client) {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Client::connect(server.address, "/bus").await.unwrap();
        let name = format!("c{number}");
        let joined = client.ask("JOIN", json!({"room": "r", "name": name})).await;
        assert_eq!(joined["status"], "ok");
        clients.push(client);
    }
    let asking = Client::connect(server.address, "/bus").await.unwrap();
    (server, clients, asking)
}

fn names(answer: &Value) -> Vec<String> {
    serde_json::from_value(answer["clients"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_name_everybody_once() {
    let (server, clients, mut asking) = crowd().await;
    // limit -> names on the first page, and pages
    for (limit, first, pages) in [
        (json!(null), CLIENTS, 1),
        (json!(100), 100, 2),
        (json!(50), 50, 3),
        (json!(CLIENTS), CLIENTS, 1),
        (json!(5_000), CLIENTS, 1),
    ] {
        let (mut named, mut count, mut after) = (Vec::new(), 0, Value::Null);
        loop {
            let page = json!({"room": "r", "limit": limit, "after": after});
            let answer = asking.ask("CLIENTS", page).await;
            assert_eq!(answer["total"], CLIENTS, "{answer}");
            if count == 0 {
                assert_eq!(names(&answer).len(), first, "{limit}");
            }
            named.extend(names(&answer));
            count += 1;
            after = answer["next"].clone();
            if after.is_null() {
                break;
            }
        }
        let all: BTreeSet<_> = named.iter().cloned().collect();
        let counts = (count, named.len(), all.len());
        assert_eq!(counts, (pages, CLIENTS, CLIENTS), "{limit}");
    }
    let wrong = asking
        .ask("CLIENTS", json!({"room": "r", "after": "x"}))
        .await;
    assert_eq!(wrong["code"], "invalid_request", "{wrong}");
    drop(clients);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_once_and_costs_its_size() {
    let (server, clients, mut asking) = crowd().await;
    let answer = asking.ask("CLIENTS", json!({"room": "r"})).await;
    assert_eq!(answer["status"], "ok");
    asking
        .emit("CLIENTS", json!({"room": "r", "limit": 1}))
        .await;
    let [name, event]: [Value; 2] = serde_json::from_value(asking.event().await).unwrap();
    assert_eq!(
        (name, names(&event).len()),
        (json!("CLIENTS"), 1),
        "no event before"
    );
    // Each answer names 130 clients, and counts as four events: 150 of them are 100 more than the
    // burst of 500, and the client is read at 100 events per second.
    let (begun, all) = (Instant::now(), json!({"room": "r"}));
    for _ in 0..151 {
        asking.ask("CLIENTS", all.clone()).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    drop(clients);
    server.stop().await;
}
