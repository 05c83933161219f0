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
    // A Socket.IO client and an EventSource, and somebody who heard all of it.
    let mut all = Vec::new();
    let (mut witness, _) = listener_at(stage.listen_at.address, EVENTS, "").await;
    for (before, after) in stage.both_ways() {
        let mut client = come(before, None).await.0;
        let (mut source, _) = listener_at(before.address, EVENTS, "").await;
        all.extend(published(stage.publish_at, &mut witness, 1).await);
        let last = all.last().unwrap();
        assert_eq!(
            (&client.next().await, &source.told().await.data),
            (last, last)
        );
        drop((client, source));

        let missed = published(stage.publish_at, &mut witness, MISSED).await;
        let (mut client, joined) = come(after, Some(&last["offset"])).await;
        let head = &missed.last().unwrap()["offset"];
        assert_eq!(
            (&joined["recovered"], &joined["offset"]),
            (&json!(true), head)
        );
        let since = last["offset"].as_str().unwrap();
        let (mut source, recovered) = listener_at(after.address, EVENTS, since).await;
        assert!(recovered);
        let next = published(stage.publish_at, &mut witness, 1).await;
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

/// Publishes so many events; they, as somebody hears them.
async fn published(server: &TestServer, witness: &mut Source, many: u64) -> Vec<Value> {
    let mut events = Vec::new();
    for message in 0..many {
        post(server, &format!("/api/bus/{ROOM}"), &message.into()).await;
        let event = witness.told().await.data;
        assert_eq!(event["message"], message);
        events.push(event);
    }
    events
}
