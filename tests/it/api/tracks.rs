//! Tracks that backends post: what listeners hear of them, what is refused, and how
//! they are read page by page.

use serde_json::json;

use super::played::{json_of, titles};
use super::{BEARER, is_problem, open_to_backends, post};
use crate::source::Source;

/// A station without a Zetta: what a backend plays goes the way of the feed.
#[tokio::test]
async fn a_backend_plays_tracks() {
    let server = open_to_backends().await;
    let mut listener = Source::open(server.address, "/events/metadata/now-playing", "").await;
    assert_eq!(listener.told().await.event, "joined");
    let target = "/api/metadata/now-playing";
    let song =
        r#"{"track":"One","artist":"A","length":1000,"timestampUTC":"2026-03-01T01:00:00Z"}"#;
    assert_eq!(post(&server, target, BEARER, song).await.status, 202);
    let heard = listener.told().await.data["message"].take();
    assert_eq!(heard["track"], "One");
    assert_eq!(heard["type"], "SONG");
    assert_eq!(heard["endsAt"], "2026-02-28T19:00:01-06:00");
    let spot = r#"{"track":"Buy this","artist":"An advertiser","type":"SPOT"}"#;
    assert_eq!(post(&server, target, BEARER, spot).await.status, 202);
    let heard = listener.told().await.data["message"].take();
    assert_eq!(
        (&heard["type"], &heard["artist"]),
        (&json!("LINK"), &json!(""))
    );
    let list = json_of(&server, "/api/now-playing/history").await;
    assert_eq!(titles(&list), ["One"]);
    let later = r#"{"track":"T","timestampUTC":"2099-01-01T00:00:00Z"}"#;
    // It fits into the body's limit, and not into that of a message.
    let big = json!({"track": "x".repeat(65_400)}).to_string();
    for (body, status, code) in [
        ("1", 400, "invalid_request"),
        (r#"{"artist":"A"}"#, 400, "invalid_request"),
        (r#"{"track":"T","length":-1}"#, 400, "invalid_request"),
        (r#"{"track":"T","length":1e999}"#, 400, "invalid_request"),
        (r#"{"track":"T","length":86400001}"#, 400, "invalid_request"),
        (r#"{"track":null}"#, 400, "invalid_request"),
        (later, 400, "invalid_request"),
        (big.as_str(), 413, "too_big"),
    ] {
        is_problem(&post(&server, target, BEARER, body).await, status, code);
    }
    // What was refused was not aired.
    let all = json_of(&server, "/api/now-playing/history?all=1").await;
    let text = "You are listening to college radio";
    assert_eq!(titles(&all), [text, "One"]);
    // What comes next needs no time, and what was heard can be posted as it is.
    let again = heard.to_string();
    for (room, body) in [
        ("now-playing", again.as_str()),
        ("next", r#"{"track":"Then"}"#),
    ] {
        let target = format!("/api/metadata/{room}");
        assert_eq!(
            post(&server, &target, BEARER, body).await.status,
            202,
            "{body}"
        );
    }
    let shown = json_of(&server, "/api/now-playing").await;
    assert_eq!(shown["next"]["track"], "Then");
    let elsewhere = post(&server, "/api/metadata/elsewhere", BEARER, song).await;
    is_problem(&elsewhere, 404, "unknown_room");
    drop(listener);
    server.stop().await;
}

/// Posted texts are cleaned like those of the feed, before anything is shown or logged.
#[tokio::test]
async fn texts_of_a_posted_track_are_cleaned() {
    let server = open_to_backends().await;
    let mut listener = Source::open(server.address, "/events/metadata/now-playing", "").await;
    assert_eq!(listener.told().await.event, "joined");
    for (track, artist, shown) in [
        (
            "Line one\r\nLine two",
            "A\u{1b}[2J\u{202e}\tB",
            ["Line one Line two", "A[2J B", "SONG"],
        ),
        ("&#55357;&#56911;", "N/A", ["\u{1F64F}", "", "SONG"]),
        ("-", "A", ["You are listening to college radio", "", "LINK"]),
        (
            "\u{200b}\u{feff}",
            "A",
            ["You are listening to college radio", "", "LINK"],
        ),
    ] {
        let body = json!({"track": track, "artist": artist, "album": "unknown"}).to_string();
        let target = "/api/metadata/now-playing";
        assert_eq!(post(&server, target, BEARER, &body).await.status, 202);
        let heard = listener.told().await.data["message"].take();
        let found = ["track", "artist", "type"].map(|name| heard[name].as_str().unwrap());
        assert_eq!(found, shown);
        assert_eq!(heard["album"], "");
    }
    let list = json_of(&server, "/api/now-playing/history").await;
    assert_eq!(titles(&list), ["\u{1F64F}", "Line one Line two"]);
    drop(listener);
    server.stop().await;
}

/// Starts are shown in whole seconds, and some items share one.
#[tokio::test]
async fn who_goes_on_from_the_oldest_loses_nothing_and_reads_nothing_twice() {
    let server = open_to_backends().await;
    let starts = [
        "1.5", "2.1", "2.2", "2.2", "2.999", "3", "3", "4.2", "5", "5.9",
    ];
    let mut aired = Vec::new();
    for (number, second) in starts.iter().enumerate() {
        let title = format!("T{number}");
        let start = format!("2026-03-01T01:00:0{second}Z");
        let body = json!({"track": title, "timestampUTC": start}).to_string();
        let target = "/api/metadata/now-playing";
        assert_eq!(post(&server, target, BEARER, &body).await.status, 202);
        aired.push(title);
    }
    for limit in 1..=starts.len() + 1 {
        let mut read = Vec::new();
        let mut to = String::new();
        loop {
            let target = format!("/api/now-playing/history?limit={limit}{to}");
            let page = json_of(&server, &target).await;
            read.extend(titles(&page).into_iter().map(str::to_owned));
            let rows = page.as_array().unwrap();
            // Fewer than were asked for: there are no more.
            match rows.last().filter(|_| rows.len() >= limit) {
                Some(oldest) => to = format!("&to={}", oldest["timestampUTC"].as_str().unwrap()),
                None => break,
            }
        }
        read.sort();
        assert_eq!(read, aired, "{limit} at a time");
    }
    server.stop().await;
}
