//! Property tests of the API's input: posted tracks, queries of the history, published
//! JSON.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::Utc;
use serde_json::value::RawValue;
use tokio::runtime::Builder;

use super::{history, track};
use crate::core::broker::Memory;
use crate::core::event::To;
use crate::core::hub::{Granted, Hub, Outside};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::{Namespace, Publisher};
use crate::fuzz::{self, Case, Format};
use crate::nowplaying::Station;

fn station() -> Station {
    Station {
        timezone: chrono_tz::America::Chicago,
        text: "The station".into(),
    }
}

#[test]
fn fuzz_tracks() {
    let documents = [
        r#"{"track":"One","artist":"A","album":"B","length":1000.5,"type":"SONG","timestampUTC":"2026-03-01T01:00:00Z"}"#,
        r#"{"track":"T","startedAt":"2026-02-28T19:00:00-06:00","timestampCST":"x","endsAt":1}"#,
    ];
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "{\"a\":",
        "\"track\":\"",
        "\"length\":",
        "1e308",
        "0.0",
        "\"type\":\"SPOT\"",
        "\"timestampUTC\":\"",
        "1970-01-01T00:00:00Z",
        "+262142-12-31T23:59:59Z",
        "\\u0001",
        "é",
    ];
    let format = Format::text("track JSON", &documents, &tokens);
    let station = station();
    let read = |case: &Case| {
        let now = Utc::now();
        match track::item(&case.bytes, now, now) {
            Ok(item) => {
                let message = item.capped().message(&station).get().len();
                assert!(message <= 24 * 1024, "{message}");
                message
            }
            Err(problem) => problem.detail.len(),
        }
    };
    fuzz::run(&format, |input| 6 * input + 1_024, read);
}

#[test]
fn fuzz_queries_of_the_history() {
    let documents = [
        "limit=25&from=2026-11-21&to=2026-11-21T18:00:00Z&all=1&format=csv",
        "q=5&all=&format=json&x=y",
        "text/csv;q=0.5, application/json; q=1, */*",
    ];
    let tokens = [
        "limit=",
        "from=",
        "to=",
        "all=",
        "format=",
        "&",
        "=",
        "%",
        "%C3%A9",
        "%ff",
        "+",
        "-",
        ":",
        "T",
        "Z",
        ",",
        ";",
        "q=",
        "1000",
        "9999-12-31",
        "-262143-01-01",
        "+262142-12-31",
        "text/csv",
        "*/*",
        "NaN",
        "inf",
    ];
    let format = Format::text("history queries", &documents, &tokens);
    let station = station();
    let read = |case: &Case| {
        let mut headers = HeaderMap::new();
        if let Ok(accept) = HeaderValue::from_bytes(&case.bytes) {
            headers.insert(header::ACCEPT, accept);
        }
        match history::read(&case.text(), &headers, &station) {
            Ok(_) => history::next_page(&case.text(), Utc::now()).map_or(0, |link| link.len()),
            Err(problem) => problem.detail.len(),
        }
    };
    // A byte that is not UTF-8 becomes three bytes, each written as `%EF`.
    fuzz::run(&format, |input| 12 * input + 256, read);
}

#[test]
fn fuzz_json_that_is_published() {
    let documents = [
        r#"{"a":[1,-2.5e3,"\u00e9\ud834\udd1e",null,true,{"b":{}}]}"#,
        r#"[[[[[[[[]]]]]]]]"#,
        "\"x\"",
    ];
    let tokens = [
        "{", "}", "[", "]", "\"", ",", ":", "null", "{\"a\":", "[[", "]]", "\\", "\\u", "\\\"",
        "1e", " ",
    ];
    let format = Format::text("published JSON", &documents, &tokens);
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut bus = Namespace::new(NamespaceName::parse("/bus").unwrap());
    bus.publishers = vec![Publisher::Http];
    let hub = Hub::new(vec![bus], Memory);
    let publish = |case: &Case| {
        let Ok(message) = serde_json::from_slice::<Box<RawValue>>(&case.bytes) else {
            return 0;
        };
        let size = message.get().len();
        let from = Outside {
            publisher: Publisher::Http,
            namespace: &NamespaceName::parse("/bus").unwrap(),
            room: RoomName::parse("r").unwrap(),
            sender: Nickname::http(),
            to: To::Everybody,
            message,
            retain: &[],
            granted: Granted::default(),
            same: None,
        };
        let hub = Arc::clone(&hub);
        runtime.block_on(async { hub.publish(from, Box::new(|_| ())) });
        size
    };
    fuzz::run(&format, |input| input, publish);
}
