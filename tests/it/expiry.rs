//! What has run out is taken back, if nothing new comes.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use chrono::Utc;
use roomcast::core::broker::Memory;
use roomcast::core::event::To;
use roomcast::core::hub::{Granted, Hub, Outside};
use roomcast::core::name::{NamespaceName, Nickname, RoomName};
use roomcast::core::namespace::Publisher;
use roomcast::ingest::programme::Programme;
use roomcast::ingest::rooms::Rooms;
use roomcast::namespaces;
use roomcast::nowplaying::{Change, Item, Station};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::SOON;
use crate::http::get;
use crate::server::{TestServer, feed, play, song};
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

/// What has a length can't be on ten minutes after its end, whoever repeats it:
/// that sender hangs. Of what has none, nobody else knows the end.
#[tokio::test]
async fn what_is_told_again_after_it_ran_out_is_on_only_without_a_length() {
    let state = tempfile::tempdir().unwrap();
    let mut server = TestServer::start_in(state.path(), &[]).await;
    let [one, two] = [(1, "One"), (3_000, "Two")].map(|(start, title)| song(start, title));
    let endless = song(2_000, "Endless").replace("347.9", "0");
    let mut source = Source::open(server.address, EVENTS, "").await;
    feed(server.zetta, &one).await;
    assert_eq!(heard(&mut source).await["track"], "One");
    pass(347 + 60 + 610).await;
    assert_eq!(heard(&mut source).await["stale"], true);
    feed(server.zetta, &one).await;
    feed(server.zetta, &one.replace("One", "Corrected")).await;
    assert_eq!(now_playing(&server).await["stale"], true);
    feed(server.zetta, &endless).await;
    assert_eq!(heard(&mut source).await["track"], "Endless");
    for _ in 0..2 {
        // Nor does a repeat make it new: it is taken back in its time.
        pass(600).await;
        feed(server.zetta, &endless).await;
        pass(70).await;
        assert_eq!(heard(&mut source).await["stale"], true);
        feed(server.zetta, &endless).await;
        assert_eq!(heard(&mut source).await["track"], "Endless");
    }
    feed(server.zetta, &two).await;
    assert_eq!(heard(&mut source).await["track"], "Two");
    pass(347 + 60 + 610).await;
    assert_eq!(heard(&mut source).await["stale"], true);
    drop(source);
    server.stop().await;
    let db = super::store::database(state.path());
    db.execute("UPDATE events SET time = time - 1017000", [])
        .unwrap();
    // A restart does not make it new either.
    server = TestServer::start_in(state.path(), &[]).await;
    feed(server.zetta, &two).await;
    feed(server.zetta, &two).await;
    let shown = now_playing(&server).await;
    assert_eq!(
        (&shown["stale"], &shown["song"]["track"]),
        (&json!(true), &json!("Two"))
    );
    server.stop().await;
}

/// A studio repeats what is on to a server that was started anew: that is the
/// receipt of before, and no new one.
#[tokio::test]
async fn a_repeat_behind_a_restart_is_no_new_receipt() {
    let state = tempfile::tempdir().unwrap();
    let document = song(1, "One").replace("347.9", "0");
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut zetta = server.zetta().await;
    let mut source = Source::open(server.address, EVENTS, "").await;
    play(&mut zetta, &document).await;
    assert_eq!(heard(&mut source).await["track"], "One");
    drop((source, zetta));
    server.stop().await;
    let db = super::store::database(state.path());
    db.execute("UPDATE events SET time = time - 62000", [])
        .unwrap();
    let server = TestServer::start_in(state.path(), &["--stale-after", "10s"]).await;
    let mut source = Source::open(server.address, EVENTS, "").await;
    assert_eq!(heard(&mut source).await["track"], "One");
    feed(server.zetta, &document).await;
    pass(12).await;
    let told = timeout(SOON, heard(&mut source)).await;
    assert_eq!(told.expect("it counts from the repeat")["stale"], true);
    drop(source);
    server.stop().await;
}

/// What the hot spare still says of before is as old as it was.
#[tokio::test]
async fn an_older_item_is_not_on_again_behind_a_restart() {
    let [old, new, next] = [(1, "Old"), (100, "New"), (200, "Next")].map(|(s, t)| song(s, t));
    // An advertiser's name is not kept: it is known by its start and its length.
    let spot = |document: &str| document.replace("SONG", "SPOT");
    let [old_spot, new_spot] = [&old, &new].map(|document| spot(document));
    for (before, told, expected) in [
        (&new, [&old, &new, &new], "New"),
        (
            &new_spot,
            [&old, &new_spot, &old_spot],
            "You are listening to college radio",
        ),
    ] {
        let state = tempfile::tempdir().unwrap();
        let server = TestServer::start_in(state.path(), &[]).await;
        feed(server.zetta, &old).await;
        feed(server.zetta, before).await;
        assert_eq!(now_playing(&server).await["now"]["track"], expected);
        server.stop().await;
        let server = TestServer::start_in(state.path(), &[]).await;
        let mut source = Source::open(server.address, EVENTS, "").await;
        while heard(&mut source).await["track"] != expected {}
        for document in told {
            feed(server.zetta, document).await;
        }
        feed(server.zetta, &next).await;
        assert_eq!(
            heard(&mut source).await["track"],
            "Next",
            "and nothing before"
        );
        drop(source);
        server.stop().await;
    }
}

/// The song comes in the moment in which what was on runs out.
#[tokio::test(start_paused = true)]
async fn a_new_song_is_not_taken_back_for_the_one_before() {
    let song = |title: &str| {
        Change::Current(Item {
            id: title.into(),
            kind: Item::SONG.into(),
            title: title.into(),
            length: 1_000.0,
            played: 1_000.0,
            start: Utc::now(),
            ..Item::default()
        })
    };
    // Which of two things that are ready is looked at first, is left to chance.
    for round in 0..40 {
        let rooms = Rooms::new(Hub::new(namespaces::load(None).unwrap(), Memory));
        let station = Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        };
        let programme = Programme::new(rooms.clone(), None, station, Duration::ZERO);
        let publish = programme.publish();
        publish(song("One"));
        let mut run = pin!(programme.run(CancellationToken::new()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(run.as_mut().poll(&mut context).is_pending());
        tokio::time::advance(Duration::from_millis(61_005)).await;
        publish(song("Two"));
        for _ in 0..5 {
            assert!(run.as_mut().poll(&mut context).is_pending());
        }
        let shown = rooms.current().unwrap();
        let shown = shown.publication.message.get();
        assert!(shown.contains("Two"), "round {round}: {shown}");
    }
}

/// The feed of another node has put something on, which this node hears as its rooms do.
fn another_node_plays(server: &TestServer, title: &str) {
    let item = Item {
        id: "elsewhere".to_owned(),
        kind: Item::SONG.to_owned(),
        title: title.to_owned(),
        length: 347_900.0,
        played: 347_900.0,
        start: Utc::now(),
        ..Item::default()
    };
    let station = Station {
        timezone: chrono_tz::America::Chicago,
        text: "radio".to_owned(),
    };
    let from = Outside {
        publisher: Publisher::Feed,
        namespace: &NamespaceName::parse("/metadata").unwrap(),
        room: RoomName::parse("now-playing").unwrap(),
        sender: Nickname::feed(),
        to: To::Everybody,
        message: item.message(&station),
        retain: &["song", "current"],
        granted: Granted::default(),
        same: None,
    };
    let published = |done: Result<_, _>| assert!(done.is_ok());
    server.hub.publish(from, Box::new(published));
}

/// A node takes back what another node's feed has put on in its own time, not when
/// what its own feed had told before has run out.
#[tokio::test]
async fn what_another_node_has_put_on_counts_from_then() {
    for (seconds, then) in [
        (720, "Two"),
        (720 + 1020, "You are listening to college radio"),
    ] {
        let server = TestServer::start().await;
        let mut source = Source::open(server.address, EVENTS, "").await;
        feed(server.zetta, &song(1, "One")).await;
        assert_eq!(heard(&mut source).await["track"], "One");
        pass(300).await;
        another_node_plays(&server, "Elsewhere");
        assert_eq!(heard(&mut source).await["track"], "Elsewhere");
        pass(720).await;
        assert_eq!(now_playing(&server).await["stale"], false);
        if seconds > 720 {
            pass(seconds - 720).await;
        } else {
            feed(server.zetta, &song(3_000, "Two")).await;
        }
        assert_eq!(heard(&mut source).await["track"], then);
        drop(source);
        server.stop().await;
    }
}
