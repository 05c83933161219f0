//! What the listeners of a real server hear of a simulation.

use std::net::SocketAddr;

use chrono::Utc;
use roomcast::simulate::{Item, Kind, News};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Simulation;
use crate::client::{Client, SOON};
use crate::http::get;
use crate::server::{TestServer, play, song};

/// A listener of all that the feed says.
async fn listener(server: &TestServer) -> Client {
    let mut listener = Client::connect(server.address, "/metadata").await.unwrap();
    for room in ["now-playing", "next"] {
        listener.join(room).await;
    }
    listener
}

/// Waits until the server has read all that the senders had to say.
async fn all_is_read(server: SocketAddr) {
    let feeds = async || {
        let health: Value = serde_json::from_str(&get(server, "/health", "").await.body).unwrap();
        health["feed"]["connections"].as_u64().unwrap()
    };
    let read = async { while feeds().await > 0 {} };
    timeout(SOON, read).await.expect("the senders stay");
}

/// What listeners are to see of an item.
fn shown(item: &Item) -> Value {
    match item.kind {
        Kind::Song => json!([item.title, "SONG", item.artist, item.album]),
        Kind::Link | Kind::Spot => json!(["The station", "LINK", "", ""]),
    }
}

/// What a listener sees.
fn seen(message: &Value) -> Value {
    ["track", "type", "artist", "album"]
        .map(|field| message[field].clone())
        .into()
}

const STATION: [&str; 2] = ["--station-text", "The station"];

#[tokio::test]
async fn listeners_hear_what_was_played_each_item_once_and_no_advertiser() {
    let server = TestServer::start_with(&STATION).await;
    let mut listener = listener(&server).await;
    let options = ["--speed", "3600", "--items", "50", "--seed", "9"];
    let played = Simulation::start(server.zetta, &options).played().await;
    assert_eq!(played.len(), 50);
    all_is_read(server.address).await;
    // Behind it nothing more can come.
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let end = song(0, "The end").replace("2026-03-01T01:00:00Z", &now);
    play(&mut server.zetta().await, &end).await;

    let spots = played.iter().filter(|(item, _)| item.kind == Kind::Spot);
    let hidden: Vec<_> = spots
        .flat_map(|(item, _)| [item.title, item.artist])
        .collect();
    assert!(!hidden.is_empty());
    let (mut heard, mut announced) = (Vec::new(), 0);
    loop {
        let event = listener.next().await;
        let text = event.to_string();
        for name in hidden.iter().chain(&["STUDIO"]) {
            assert!(!text.contains(name), "{name}: {text}");
        }
        match event["room"].as_str().unwrap() {
            "next" => announced += 1,
            _ if event["message"]["track"] == "The end" => break,
            _ => heard.push(seen(&event["message"])),
        }
    }
    let expected: Vec<_> = played.iter().map(|(item, _)| shown(item)).collect();
    assert_eq!(heard, expected);
    assert!(announced > 20, "{announced} announced");
    drop(listener);
    server.stop().await;
}

/// On an address that no other test takes a port of: the server has to find its
/// own free again.
const OWN: &str = "127.0.0.2:0";

#[tokio::test]
async fn a_server_that_was_restarted_is_found_again() {
    let start = async |zetta: &str| {
        let options = [&STATION[..], &["--zetta-listen", zetta]].concat();
        TestServer::start_with(&options).await
    };
    let first = start(OWN).await;
    let address = first.zetta;
    let mut listener_before = listener(&first).await;
    let mut simulation = Simulation::start(address, &["--speed", "600", "--seed", "10"]);
    listener_before.next().await;
    drop(listener_before);
    first.stop().await;
    let mut played = Vec::new();
    // Both machines have to notice.
    let both_lost = async {
        let mut lost = 0;
        while lost < 2 {
            match simulation.next().await.unwrap() {
                News::OnAir(item, _) => played.push(item),
                News::Trouble(..) => lost += 1,
                News::Connected(..) => {}
            }
        }
    };
    timeout(SOON, both_lost).await.expect("it does not notice");
    let second = start(&address.to_string()).await;
    let mut listener = listener(&second).await;
    let mut heard = Vec::new();
    while heard.len() < 6 {
        let event = listener.next().await;
        if event["room"] == "now-playing" {
            heard.push(seen(&event["message"]));
        }
    }
    simulation.running.abort();
    while let Some(news) = simulation.next().await {
        if let News::OnAir(item, _) = news {
            played.push(item);
        }
    }
    // What was on while the listener was joining it may have missed.
    let mut all = played.iter().map(shown);
    let in_order = heard.iter().all(|item| all.any(|played| played == *item));
    assert!(in_order, "{heard:#?} of {played:#?}");
    drop(listener);
    second.stop().await;
}
