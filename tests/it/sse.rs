//! Server-sent events as a browser's EventSource reads them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::SOON;
use crate::http::get;
use crate::server::TestServer;
use crate::source::Source;

const ROOM: &str = "/events/bus/a%20b";

fn publish(server: &TestServer, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        server.publish("/bus", "a b", json!(number));
    }
}

#[tokio::test]
async fn events_come_in_order_behind_where_they_begin() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, ROOM, "").await;
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(source.head.contains(header), "{}", source.head);
    }
    let retry = source.block().await.unwrap();
    let retry: u64 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1_000..5_000).contains(&retry), "{retry}");
    let joined = source.told().await;
    assert_eq!(joined.event, "joined");
    assert_eq!(
        (&joined.data["room"], &joined.data["recovered"]),
        (&json!("a b"), &json!(false))
    );
    publish(&server, 0..100);
    assert_eq!(source.until(99).await, (0..100).collect::<Vec<_>>());
    drop(source);
    server.stop().await;
}

#[tokio::test]
async fn who_comes_back_hears_what_it_missed() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, ROOM, "").await;
    assert_eq!(source.told().await.event, "joined");
    publish(&server, 0..5);
    source.until(4).await;
    let mut id = source.last_id.clone();
    drop(source);
    // Header and query of a client that has received the event NEW last, and OLD before.
    let old = id.clone();
    let cases = [
        ("NEW", ""),
        ("", "last_event_id=NEW"),
        ("", "lastEventId=NEW"),
        ("", "lastEventID=NEW"),
        ("", "evs_last_event_id=NEW"),
        ("NEW", "lastEventId=OLD"),
        ("nonsense", "lastEventId=NEW"),
        // A polyfill appends its parameter to the URL of the page.
        ("", "last_event_id=OLD&lastEventId=NEW"),
        (
            "",
            "evs_last_event_id=OLD&x=1&last_event_id=NEW&lastEventId=",
        ),
    ];
    for (round, (header, query)) in (1..).zip(cases) {
        publish(&server, round * 10..round * 10 + 5);
        let [header, query] = [header, query].map(|t| t.replace("NEW", &id).replace("OLD", &old));
        let headers = format!("Last-Event-ID: {header}\r\n");
        let mut source = Source::open(server.address, &format!("{ROOM}?{query}"), &headers).await;
        let joined = source.told().await;
        assert_eq!(
            joined.data["recovered"], true,
            "{header} {query}: {joined:?}"
        );
        assert_eq!(joined.data["since"], id, "{header} {query}");
        let numbers: Vec<_> = (round * 10..round * 10 + 5).collect();
        assert_eq!(source.until(round * 10 + 4).await, numbers);
        id = source.last_id;
    }
    for unknown in ["abcdefghijkl-1", "", "nonsense"] {
        let headers = format!("Last-Event-ID: {unknown}\r\n");
        let mut source = Source::open(server.address, ROOM, &headers).await;
        assert_eq!(source.told().await.data["recovered"], false, "{unknown}");
    }
    server.stop().await;
}

/// Where nothing was heard yet there is still a place to go on from.
#[tokio::test]
async fn who_has_heard_nothing_yet_misses_nothing_either() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, ROOM, "").await;
    while !source.read.contains("id: ") {
        assert!(source.more().await);
    }
    let (_, id) = source.read.split_once("id: ").unwrap();
    let id = id.lines().next().unwrap().to_owned();
    drop(source);
    publish(&server, 0..3);
    let headers = format!("Last-Event-ID: {id}\r\n");
    let mut source = Source::open(server.address, ROOM, &headers).await;
    assert_eq!(source.told().await.data["recovered"], true);
    assert_eq!(source.until(2).await, [0, 1, 2]);
    drop(source);
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_listened_to_is_refused() {
    let server = TestServer::start().await;
    let cases = [
        ("/events/nowhere/r", 404, "unknown_namespace"),
        ("/events/BUS/r", 404, "unknown_namespace"),
        ("/events/lobby/r", 404, "unknown_namespace"),
        ("/events/metadata/elsewhere", 404, "unknown_room"),
        ("/events/bus/%00", 400, "invalid_name"),
        ("/events/schedule/r", 403, "reserved"),
    ];
    for (target, status, code) in cases {
        let answer = get(server.address, target, "").await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["code"], code, "{target}");
        assert!(
            answer.head.contains("application/problem+json"),
            "{}",
            answer.head
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn where_nothing_happens_there_are_comments_and_who_goes_is_gone() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, ROOM, "").await;
    assert_eq!(source.told().await.event, "joined");
    // The place to go on from is the last that is said.
    while !source.block().await.unwrap().starts_with("id: ") {}
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    assert_eq!(source.block().await.unwrap(), ":");
    drop(source);
    let gone = async {
        while server.hub.client_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, gone).await.expect("it stays");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_stream_and_says_so() {
    let server = TestServer::start().await;
    let mut source = Source::open(server.address, ROOM, "").await;
    assert_eq!(source.told().await.event, "joined");
    let ends = async {
        let told = source.told().await;
        while source.more().await {}
        told
    };
    let (stopped, told) = tokio::join!(server.stop(), ends);
    assert_eq!(
        (told.event.as_str(), &told.data["code"]),
        ("closed", &json!("stopping"))
    );
    assert_eq!(stopped.cut, 0);
}
