//! What is playing and what was played, as pages and reports read it.

use serde_json::{Value, json};

use super::is_problem;
use crate::client::SOON;
use crate::http::{Answer, get};
use crate::server::{TestServer, play, song};
use crate::source::Source;
use crate::store::database;

/// A document with what is on, and what comes next where there is something.
fn document(items: &[(&str, u32, &str, &str)]) -> String {
    let mut events = String::new();
    for (at, (kind, start, title, artist)) in items.iter().enumerate() {
        let marks = match at {
            0 => r#"Status="CURRENT" LastStarted="true""#,
            _ => r#"Status="""#,
        };
        events += &format!(
            r#"<LogEvent Type="{kind}" StartTime="2026-03-01T01:{start:02}:00Z" {marks} ZettaId="{start}"><Asset Type="{kind}" Title="{title}" Artist1="{artist}" Album1="Album" TotalLength="60" /></LogEvent>"#
        );
    }
    format!(r#"<ZettaLite><LogEventCollection>{events}</LogEventCollection></ZettaLite>"#)
}

/// Plays documents; who listens has heard the last of them.
async fn played(server: &TestServer, documents: &[String]) {
    let mut listener = Source::open(server.address, "/events/metadata/now-playing", "").await;
    let mut zetta = server.zetta().await;
    for document in documents {
        play(&mut zetta, document).await;
    }
    play(&mut zetta, &song(3_600, "Last")).await;
    loop {
        if listener.told().await.data["message"]["track"] == "Last" {
            break;
        }
    }
}

pub async fn json_of(server: &TestServer, target: &str) -> Value {
    let answer = get(server.address, target, "").await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

pub fn titles(list: &Value) -> Vec<&str> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row["track"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_on_what_was_and_what_comes() {
    let server = TestServer::start().await;
    let nothing = json!({"now": null, "song": null, "next": null, "stale": false});
    assert_eq!(json_of(&server, "/api/now-playing").await, nothing);
    let mut listener = Source::open(server.address, "/events/metadata/next", "").await;
    let mut zetta = server.zetta().await;
    // what is told -> now, song, next
    let song = |start, title| ("SONG", start, title, "Somebody");
    let spot = |start| ("SPOT", start, "Buy this", "An advertiser");
    let text = "You are listening to college radio";
    let steps = [
        (
            vec![song(1, "One"), song(2, "Two")],
            "One",
            "One",
            Some("Two"),
            true,
        ),
        (
            vec![song(2, "Two"), spot(3)],
            "Two",
            "Two",
            // The spot is skipped, and nothing is known behind it.
            None,
            false,
        ),
        (
            vec![spot(3), spot(5), song(4, "Four")],
            text,
            "Two",
            Some("Four"),
            true,
        ),
        // It is on, and nothing was said of what follows.
        (vec![song(4, "Four")], "Four", "Four", None, false),
    ];
    for (told, now, song, next, is_told) in steps {
        play(&mut zetta, &document(&told)).await;
        if is_told {
            while listener.told().await.data["message"]["track"] != next.unwrap() {}
        }
        let shown = tokio::time::timeout(SOON, async {
            loop {
                let shown = json_of(&server, "/api/now-playing").await;
                if shown["now"]["track"] == now {
                    break shown;
                }
            }
        });
        let shown = shown.await.expect(now);
        assert_eq!(shown["song"]["track"], song, "{now}");
        assert_eq!(shown["next"]["track"].as_str(), next, "{now}");
        assert!(!shown.to_string().contains("advertiser"), "{shown}");
    }
    drop((listener, zetta));
    server.stop().await;
}

#[tokio::test]
async fn the_play_log_has_one_row_per_item_aired() {
    let server = TestServer::start().await;
    let spot = document(&[("SPOT", 3, "Buy this", "An advertiser")]);
    played(
        &server,
        &[
            document(&[("SONG", 1, "One", "Somebody"), ("SONG", 2, "Two", "")]),
            document(&[("SONG", 1, "One", "Somebody"), ("SONG", 2, "Two", "")]),
            document(&[("SONG", 2, "Too", "Sombody")]),
            document(&[("SONG", 2, "Two", "Somebody")]),
            spot.clone(),
            // Over already, and told late.
            document(&[("SONG", 0, "Zero", "Somebody")]),
            document(&[("SONG", 0, "Zero", "Somebody")]),
            spot,
        ],
    )
    .await;
    let songs = json_of(&server, "/api/now-playing/history").await;
    assert_eq!(titles(&songs), ["Last", "Two", "One", "Zero"]);
    assert_eq!(
        songs[1],
        json!({
            "track": "Two", "album": "Album", "artist": "Somebody", "length": 60_000.0,
            "timestampUTC": "2026-03-01T01:02:00Z", "timestampCST": "2026-02-28T19:02:00Z"
        })
    );
    let text = "You are listening to college radio";
    let targets: [(&str, &[&str]); 8] = [
        ("history?all=1", &["Last", text, "Two", "One", "Zero"]),
        ("history?limit=2", &["Last", "Two"]),
        ("history?q=2", &["Last", "Two"]),
        ("history?from=2026-03-01T01:02:00Z", &["Last", "Two"]),
        ("history?to=2026-03-01T01:02:00Z", &["One", "Zero"]),
        (
            "history?from=2026-02-28&to=2026-03-01",
            &["Last", "Two", "One", "Zero"],
        ),
        ("history?from=2026-03-01", &[]),
        (
            "history?limit=1&to=2026-03-01T01:02:00Z&_=1792000000000",
            &["One"],
        ),
    ];
    for (target, expected) in targets {
        let list = json_of(&server, &format!("/api/now-playing/{target}")).await;
        assert_eq!(titles(&list), expected, "{target}");
    }
    let all = json_of(&server, "/api/now-playing/history?all=1").await;
    assert_eq!(
        (&all[0]["type"], &all[1]["type"]),
        (&json!("SONG"), &json!("LINK"))
    );
    assert!(!all.to_string().contains("advertiser"), "{all}");
    server.stop().await;
}

/// As the station's site reads it: these fields, in this order.
#[tokio::test]
async fn the_list_of_old_is_as_it_was() {
    let server = TestServer::start().await;
    let first = document(&[("SONG", 1, "A \\&quot;B\\&quot;, C", "Björk &amp; Co")]);
    played(&server, &[first]).await;
    let answer = get(server.address, "/api/now-playing.php?q=25", "").await;
    assert_eq!(
        answer.body,
        concat!(
            r#"[{"track":"Last","album":"The Queen Is Dead","artist":"The Smiths","length":347900.0,"timestampUTC":"2026-03-01T02:00:00Z","timestampCST":"2026-02-28T20:00:00Z"},"#,
            r#"{"track":"A \\\"B\\\", C","album":"Album","artist":"Björk & Co","length":60000.0,"timestampUTC":"2026-03-01T01:01:00Z","timestampCST":"2026-02-28T19:01:00Z"}]"#
        )
    );
    let csv = concat!(
        "track,album,artist,length,timestampUTC,timestampCST\n",
        "Last,The Queen Is Dead,The Smiths,347900.0,2026-03-01T02:00:00Z,2026-02-28T20:00:00Z\n",
        "\"A \\\"\"B\\\"\", C\",Album,Björk & Co,60000.0,2026-03-01T01:01:00Z,2026-02-28T19:01:00Z\n"
    );
    for (target, headers) in [("?format=csv", ""), ("", "Accept: text/csv\r\n")] {
        let target = format!("/api/now-playing/history{target}");
        let answer = get(server.address, &target, headers).await;
        assert_eq!(answer.body, csv, "{target}");
        let kind = "content-type: text/csv; charset=utf-8";
        assert!(answer.head.contains(kind), "{}", answer.head);
    }
    server.stop().await;
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let mut lines = answer.head.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("no {name}: {}", answer.head))
}

#[tokio::test]
async fn a_cdn_can_stand_in_front() {
    let server = TestServer::start().await;
    for target in ["/api/now-playing", "/api/now-playing/history"] {
        played(&server, &[]).await;
        let first = get(server.address, target, "").await;
        assert!(header(&first, "cache-control").starts_with("public, max-age="));
        let etag = header(&first, "etag");
        for known in [
            etag.to_owned(),
            format!("\"other\", W/{etag}"),
            "*".to_owned(),
        ] {
            let headers = format!("If-None-Match: {known}\r\n");
            let again = get(server.address, target, &headers).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
            assert_eq!(header(&again, "etag"), etag);
        }
        let headers = "If-None-Match: \"other\"\r\n";
        let other = get(server.address, target, headers).await;
        assert_eq!((other.status, other.body), (200, first.body.clone()));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_refused() {
    let server = TestServer::start().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "q=",
        "from=yesterday",
        "to=2026-13-01",
        "to=99999999999-01-01",
        "all=maybe",
        "format=xml",
    ] {
        let target = format!("/api/now-playing/history?{query}");
        let answer = get(server.address, &target, "").await;
        is_problem(&answer, 400, "invalid_query");
        assert!(answer.head.contains("cache-control: no-store"), "{query}");
        let (name, value) = query.split_once('=').unwrap();
        let said = [
            format!("`{name}` must be "),
            format!(r#", not \"{value}\""#),
        ];
        let is_said = said.iter().all(|said| answer.body.contains(said));
        assert!(is_said, "{}", answer.body);
    }
    server.stop().await;
}

/// An empty list would say that nothing was played.
#[tokio::test]
async fn a_play_log_that_can_not_be_read_is_no_empty_one() {
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let target = "/api/now-playing/history";
    assert_eq!(titles(&json_of(&server, target).await), [""; 0]);
    let db = database(state.path());
    db.execute("ALTER TABLE plays RENAME TO elsewhere", [])
        .unwrap();
    let answer = get(server.address, target, "").await;
    is_problem(&answer, 503, "unreadable");
    server.stop().await;
}
