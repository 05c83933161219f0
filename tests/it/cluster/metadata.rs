//! What a studio plays at one node: heard at all of them, also by who comes later.

use serde_json::{Value, json};

use super::ears::Ears;
use super::nodes::Stage;
use crate::client::Client;
use crate::server::{play, song};
use crate::store::listener_at;

const EVENTS: &str = "/events/metadata/now-playing";

/// What is none: an advertiser's.
fn spot(start: u32) -> String {
    song(start, "Buy it now").replace(r#"Type="SONG""#, r#"Type="SPOT""#)
}

pub async fn is_heard_live_and_later(stage: Stage<'_>) {
    let mut ears = Ears::open(stage.listen_at, "/metadata", "now-playing").await;
    let mut beside = Vec::new();
    for server in [stage.listen_at, stage.publish_at] {
        beside.push(listener_at(server.address, EVENTS, "").await.0);
    }
    let mut zetta = stage.publish_at.zetta().await;
    let mut events = Vec::new();
    for (start, title) in [(0, "First"), (300, "Second")] {
        play(&mut zetta, &song(start, title)).await;
        let event = ears.hear().await;
        assert_eq!(
            (&event["sender"], &event["message"]["track"]),
            (&json!("zetta"), &json!(title))
        );
        events.push(event);
    }
    play(&mut zetta, &spot(600)).await;
    let mut links = Vec::new();
    // Not by a raw listener: it is told of that some seconds later.
    for source in &mut beside {
        for event in &events[..2] {
            assert_eq!(source.told().await.data, *event);
        }
        links.push(source.told().await.data);
    }
    assert_eq!(links[0]["message"]["type"], "LINK");
    assert_eq!(links[0], links[1]);
    events.extend(links.pop());
    for server in [stage.listen_at, stage.publish_at] {
        let target = "/api/?target=metadata";
        let mut app = Client::websocket_at(server.address, target, &[]).await;
        let first = app.any_packet().await.expect("the last song");
        let first: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(first, events[1]["message"]);
        let mut late = Client::connect(server.address, "/metadata").await.unwrap();
        let joined = late.join("now-playing").await;
        assert_eq!(joined["offset"], events[2]["offset"]);
        for (expected, current) in events[1..].iter().zip([false, true]) {
            let mut event = late.next().await;
            assert_eq!(event["current"].take(), current);
            event.as_object_mut().unwrap().remove("current");
            assert_eq!(event, *expected);
        }
    }
}
