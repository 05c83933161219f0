//! What has run out is taken back, if nothing new comes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::get;
use crate::server::{TestServer, play, song};
use crate::source::Source;

const EVENTS: &str = "/events/metadata/now-playing";

async fn now_playing(server: &TestServer) -> Value {
    let answer = get(server.address, "/api/now-playing", "").await;
    serde_json::from_str(&answer.body).unwrap()
}

/// The track of the next event.
async fn heard(source: &mut Source) -> Value {
    loop {
        let mut told = source.told().await;
        if told.event == "message" {
            return told.data["message"].take();
        }
    }
}

/// Lets the server's clock jump ahead.
pub async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// A song of 347.9 s counts for that, a minute more and ten, from its receipt.
#[tokio::test]
async fn nothing_is_known_ten_minutes_after_the_end_of_what_was_on() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, EVENTS, "").await;
    let mut zetta = server.zetta().await;
    play(&mut zetta, &song(1, "One")).await;
    assert_eq!(heard(&mut source).await["track"], "One");
    pass(347 + 60 + 590).await;
    // A correction is no new item.
    play(&mut zetta, &song(1, "One, corrected")).await;
    assert_eq!(heard(&mut source).await["track"], "One, corrected");
    assert_eq!(now_playing(&server).await["stale"], false);
    pass(20).await;
    let nothing = heard(&mut source).await;
    assert_eq!(nothing["type"], "LINK");
    assert_eq!(nothing["track"], "You are listening to college radio");
    assert_eq!(
        (&nothing["stale"], &nothing["length"]),
        (&json!(true), &json!(0.0))
    );
    assert_eq!(nothing.get("endsAt"), None);
    let shown = now_playing(&server).await;
    assert_eq!(shown["stale"], true);
    assert_eq!(
        shown["song"]["track"], "One, corrected",
        "the last song is that still"
    );
    // It is said once.
    pass(10_000).await;
    play(&mut zetta, &song(2_000, "Two")).await;
    assert_eq!(heard(&mut source).await["track"], "Two");
    assert_eq!(now_playing(&server).await["stale"], false);
    drop((source, zetta));
    server.stop().await;
}

/// The time that the server was down counts as well.
#[tokio::test]
async fn it_runs_out_across_a_restart() {
    let state = tempfile::tempdir().unwrap();
    for (after, stale) in [("1h", false), ("1s", true)] {
        let server = TestServer::start_in(state.path(), &[]).await;
        let mut zetta = server.zetta().await;
        let mut source = Source::open(server.address, EVENTS, "").await;
        // Long over by its start; what counts is when it came.
        play(&mut zetta, &song(1, "One").replace("347.9", "0")).await;
        while heard(&mut source).await["track"] != "One" {}
        drop((source, zetta));
        server.stop().await;
        let db = super::store::database(state.path());
        db.execute("UPDATE events SET time = time - 62000", [])
            .unwrap();
        for round in ["at once", "and is not said again"] {
            let options = ["--stale-after", after];
            let server = TestServer::start_in(state.path(), &options).await;
            let mut source = Source::open(server.address, EVENTS, "").await;
            let song = heard(&mut source).await;
            assert_eq!(song["track"], "One", "the last song is the first");
            if stale {
                assert_eq!(heard(&mut source).await["stale"], true, "{round}");
            }
            assert_eq!(now_playing(&server).await["stale"], stale, "{round}");
            drop(source);
            server.stop().await;
        }
    }
}
