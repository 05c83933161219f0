//! Tests of requests: what a query means here it has to mean for the engine.

use super::*;
use crate::fuzz::{self, Format};

fn read(method: &Method, query: &str) -> Result<(Asked, String), &'static str> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{PATH}/?{query}"));
    let request = request.body(()).unwrap();
    let asked = Asked::of(&request)?;
    let rebuilt = asked.rebuilt(request).uri().to_string();
    Ok((asked, rebuilt))
}

#[test]
fn a_query_reaches_the_engine_as_it_was_read() {
    let sid = "AAAAAAAAAAAAAAAA";
    let (get, post) = (&Method::GET, &Method::POST);
    let with_sid = format!("EIO=3&transport=polling&sid={sid}&t=1");
    let posted = format!("/socket.io/?EIO=3&transport=polling&sid={sid}");
    let socket = format!("sid={sid}&transport=websocket&EIO=4");
    let cases = [
        (
            get,
            "EIO=4&transport=polling&t=x",
            Ok("/socket.io/?EIO=4&transport=polling"),
        ),
        (
            get,
            "transport=websocket",
            Ok("/socket.io/?EIO=3&transport=websocket"),
        ),
        (
            get,
            "lobbyId=a%20b&EIO=4&transport=websocket&b64=1",
            Ok("/socket.io/?EIO=4&transport=websocket&b64=1&lobbyId=a%20b"),
        ),
        (post, &with_sid, Ok(&*posted)),
        (
            get,
            "EIO=4&EIO=3&transport=polling",
            Ok("/socket.io/?EIO=4&transport=polling"),
        ),
        // The engine reads these as `polling`, `websocket` and 3.
        (get, "EIO=3&transport=polling=x", Err(UNKNOWN_TRANSPORT)),
        (get, "EIO=3&transport=websocket=x", Err(UNKNOWN_TRANSPORT)),
        (get, "EIO=3=x&transport=polling", Err(UNSUPPORTED_VERSION)),
        (get, "EIO=4", Err(UNKNOWN_TRANSPORT)),
        (get, "EIO=4&transport=polling&sid=x", Err(UNKNOWN)),
        (get, "EIO=4&transport=polling&sid", Err(UNKNOWN)),
        (post, "EIO=4&transport=polling", Err(BAD_METHOD)),
        (post, &socket, Err(BAD_REQUEST)),
    ];
    for (method, query, expected) in cases {
        let rebuilt = read(method, query).map(|(_, rebuilt)| rebuilt);
        assert_eq!(rebuilt, expected.map(str::to_owned), "{query}");
    }
}

#[test]
fn fuzz_engine_queries() {
    let format = Format::text(
        "Engine.IO queries",
        &[
            "EIO=4&transport=polling&t=abc",
            "EIO=3&transport=websocket&sid=AAAAAAAAAAAAAAAA&b64=1",
            "lobbyId=a%20b&EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA",
        ],
        &[
            "EIO",
            "transport",
            "sid",
            "=",
            "&",
            "polling",
            "websocket",
            "3",
            "4",
            "b64=1",
            "%3d",
        ],
    );
    let first = |target: &str, name: &str| {
        // As the engine reads a query: the first pair that begins so, up to a second `=`.
        let (_, query) = target.split_once('?').unwrap();
        let pair = query.split('&').find(|pair| pair.starts_with(name));
        pair.map(|pair| pair[name.len()..].split('=').next().unwrap().to_owned())
    };
    fuzz::run(
        &format,
        |input| 2 * input + 100,
        |case| {
            let Ok(query) = std::str::from_utf8(&case.bytes) else {
                return 0;
            };
            let target = format!("{PATH}/?{query}");
            let Ok(request) = Request::get(target).body(()) else {
                return 0;
            };
            let Ok(asked) = Asked::of(&request) else {
                return 0;
            };
            let rebuilt = asked.rebuilt(request).uri().to_string();
            assert_eq!(
                first(&rebuilt, "EIO="),
                Some(asked.version.number().to_string())
            );
            assert_eq!(
                first(&rebuilt, "transport=").as_deref(),
                Some(transport_name(asked.transport))
            );
            assert_eq!(
                first(&rebuilt, "sid="),
                asked.sid.map(|sid| sid.to_string())
            );
            rebuilt.len()
        },
    );
}
