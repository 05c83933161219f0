//! Who comes back at another node hears exactly what it missed, in order.

use serde_json::{Value, json};

use super::bus::post;
use super::nodes::Stage;
use crate::client::Client;
use crate::server::TestServer;
use crate::source::Source;
use crate::store::listener_at;

const ROOM: &str = "attic";
const EVENTS: &str = "/events/bus/attic";

/// How many are missed.
const MISSED: u64 = 5;

pub async fn is_whole_at_the_other_node(stage: Stage<'_>) {
    // At each node somebody who hears all of it.
    let mut all = Vec::new();
    let mut witnesses = Vec::new();
    for (server, _) in stage.both_ways() {
        witnesses.push(listener_at(server.address, EVENTS, "").await.0);
    }
    for (before, after) in stage.both_ways() {
        let mut client = come(before, None).await.0;
        let (mut source, _) = listener_at(before.address, EVENTS, "").await;
        all.extend(published(stage.publish_at, &mut witnesses, 1).await);
        let last = all.last().unwrap();
        assert_eq!(
            (&client.next().await, &source.told().await.data),
            (last, last)
        );
        drop((client, source));

        let missed = published(stage.publish_at, &mut witnesses, MISSED).await;
        let (mut client, joined) = come(after, Some(&last["offset"])).await;
        let head = &missed.last().unwrap()["offset"];
        assert_eq!(
            (&joined["recovered"], &joined["offset"]),
            (&json!(true), head)
        );
        let since = last["offset"].as_str().unwrap();
        let (mut source, recovered) = listener_at(after.address, EVENTS, since).await;
        assert!(recovered);
        let next = published(stage.publish_at, &mut witnesses, 1).await;
        for expected in missed.iter().chain(&next) {
            assert_eq!(client.next().await, *expected);
            assert_eq!(source.told().await.data, *expected);
        }
        all.extend(missed.into_iter().chain(next));
    }
    // What all nodes keep, they keep in one order.
    for (server, _) in stage.both_ways() {
        let (mut client, joined) = come(server, Some(&all[0]["offset"])).await;
        assert_eq!(joined["recovered"], true, "{joined}");
        for expected in &all[1..] {
            assert_eq!(client.next().await, *expected);
        }
    }
}

/// Somebody in the room, and what it was answered.
async fn come(server: &TestServer, since: Option<&Value>) -> (Client, Value) {
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    let asked = json!({"room": ROOM, "name": "cleo", "since": since});
    let joined = client.ask("JOIN", asked).await;
    assert_eq!(joined["status"], "ok", "{joined}");
    (client, joined)
}

/// Publishes so many events, which all nodes then have.
async fn published(server: &TestServer, witnesses: &mut [Source], many: u64) -> Vec<Value> {
    let mut events = Vec::new();
    for message in 0..many {
        post(server, &format!("/api/bus/{ROOM}"), &message.into()).await;
        let mut heard = Vec::new();
        for witness in &mut *witnesses {
            heard.push(witness.told().await.data);
        }
        assert_eq!(
            (&heard[0]["message"], &heard[0]),
            (&json!(message), &heard[1])
        );
        events.extend(heard.pop());
    }
    events
}
