//! Items with very long texts, and more items than a station plays: how they are cut,
//! paged and limited in the play log.

use serde_json::{Value, json};

use super::played::{json_of, titles};
use super::{BEARER, open_to_backends, post};
use crate::http::{Answer, get};
use crate::server::{TestServer, play, song};
use crate::source::Source;
use crate::store::database;

/// The longest text of an item, in bytes.
const TEXT_MOST: usize = 1024;

const HISTORY: &str = "/api/now-playing/history";

fn title(track: &Value) -> &str {
    track["track"].as_str().unwrap()
}

#[tokio::test]
async fn texts_are_cut_whichever_way_they_come() {
    let server = open_to_backends().await;
    let mut listener = Source::open(server.address, "/events/metadata/now-playing", "").await;
    assert_eq!(listener.told().await.event, "joined");
    let mut zetta = server.zetta().await;
    // A cut inside a character would give another length.
    let [longest, long] = [450_000, 30_000].map(|count| format!("x{}", "é".repeat(count)));
    let shown = &longest[..TEXT_MOST - 1];
    play(&mut zetta, &song(1, &longest)).await;
    assert_eq!(title(&listener.told().await.data["message"]), shown);
    let track = json!({"track": long, "artist": long, "timestampUTC": "2026-03-01T01:02:00Z"});
    let target = "/api/metadata/now-playing";
    // A body above the size of a message is still refused.
    assert_eq!(
        post(&server, target, BEARER, &track.to_string())
            .await
            .status,
        413
    );
    let track = json!({"track": long, "timestampUTC": "2026-03-01T01:02:00Z"});
    assert_eq!(
        post(&server, target, BEARER, &track.to_string())
            .await
            .status,
        202
    );
    let heard = listener.told().await;
    assert_eq!(title(&heard.data["message"]), shown);
    let now = json_of(&server, "/api/now-playing").await;
    assert_eq!(title(&now["now"]), shown);
    let list = json_of(&server, HISTORY).await;
    assert_eq!(titles(&list), [shown, shown]);
    drop((listener, zetta));
    server.stop().await;
}

/// The query of the next page.
fn next(answer: &Answer) -> Option<&str> {
    let mut lines = answer.head.lines();
    let link = lines.find_map(|line| line.strip_prefix("link: <"))?;
    Some(link.strip_suffix(r#">; rel="next""#).unwrap())
}

/// Rows of earlier versions have texts as long as a whole document.
#[tokio::test]
async fn answers_are_bounded_and_pages_lose_nothing() {
    const ROWS: usize = 600;
    const MOST: usize = 700_000;
    let state = tempfile::tempdir().unwrap();
    let server = TestServer::start_in(state.path(), &[]).await;
    let mut db = database(state.path());
    let insert = db.transaction().unwrap();
    for row in 0..ROWS {
        let title = format!("{row} {}", "x".repeat(20_000));
        // Three items share a second.
        let started = 1_772_326_800_000 + (row as i64 / 3) * 1_000 + row as i64 % 3;
        let sql = "INSERT INTO plays (item, started, type, title, artist, album, length)
            VALUES (?1, ?2, 'SONG', ?3, ?3, ?3, 1000)";
        insert
            .execute(sql, rusqlite::params![row.to_string(), started, title])
            .unwrap();
    }
    insert.commit().unwrap();
    drop(db);
    for format in ["json", "csv"] {
        let first = format!("?limit=1000&format={format}");
        let (mut read, mut pages) = (0, 0);
        let mut query = first.clone();
        loop {
            let answer = get(server.address, &format!("{HISTORY}{query}"), "").await;
            assert_eq!(answer.status, 200);
            assert!(answer.body.len() < MOST, "{} bytes", answer.body.len());
            let length = format!("content-length: {}\r", answer.body.len());
            assert!(answer.head.contains(&length), "{}", answer.head);
            read += match format {
                "json" => {
                    let rows: Value = serde_json::from_str(&answer.body).unwrap();
                    let titles = titles(&rows);
                    assert!(titles.iter().all(|title| title.len() == TEXT_MOST));
                    titles.len()
                }
                _ => answer.body.lines().count() - 1,
            };
            pages += 1;
            match next(&answer) {
                Some(next) => query = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(read, ROWS, "{format}");
        assert!(pages > 5, "{pages}");
    }
    let answer = get(server.address, &format!("{HISTORY}?limit=2"), "").await;
    assert_eq!(next(&answer), Some("?limit=2&to=2026-03-01T01%3A03%3A19Z"));
    server.stop().await;
}

#[tokio::test]
async fn the_play_log_takes_no_flood() {
    const ITEMS: usize = 400;
    let server = open_to_backends().await;
    for number in 0..ITEMS {
        let track = json!({"track": format!("T{number}")}).to_string();
        let answer = post(&server, "/api/metadata/now-playing", BEARER, &track).await;
        assert_eq!(answer.status, 202);
    }
    let now = json_of(&server, "/api/now-playing").await;
    assert_eq!(title(&now["now"]), format!("T{}", ITEMS - 1), "published");
    let list = json_of(&server, &format!("{HISTORY}?limit=1000")).await;
    let logged = titles(&list).len();
    assert!((300..ITEMS - 50).contains(&logged), "{logged}");
    server.stop().await;
}
