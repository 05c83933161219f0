//! Bad input to every verb of every protocol: an error to who sent it, nothing to
//! anybody else, and everything goes on.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

/// A namespace with its verbs, and what is wrong for each of them.
struct Case {
    namespace: &'static str,
    /// How to come to the room `r`.
    join: Value,
    verbs: &'static [&'static str],
    /// What everybody there may send, and hears of it.
    good: fn(number: usize) -> (&'static str, Vec<Value>),
    wrong: fn(verb: &str) -> Vec<Vec<Value>>,
}

fn long() -> Value {
    "x".repeat(1_100_000).into()
}

/// What is no argument of any verb.
fn never() -> Vec<Vec<Value>> {
    let one = |argument: Value| vec![argument];
    vec![
        vec![],
        one(Value::Null),
        one(json!(1)),
        one(json!(true)),
        one(json!([])),
        one(json!(["r", "anna"])),
        one(json!({})),
        one(json!("")),
        one(json!({"room": null, "to": null, "message": null})),
        one(long()),
    ]
}

fn wrong_for_rooms(verb: &str) -> Vec<Vec<Value>> {
    let named = [
        json!("text"),
        json!("{"),
        json!({"room": 1, "name": "anna", "message": 1}),
        json!({"room": {}, "name": "anna", "message": 1}),
        json!({"room": "", "name": "anna", "message": 1}),
        json!({"room": "\u{0}", "name": "anna", "message": 1}),
        json!({"room": long(), "name": "anna", "message": 1}),
    ];
    let own = match verb {
        "JOIN" => vec![
            json!({"room": "r"}),
            json!({"room": "r", "name": 1}),
            json!({"room": "r", "name": " "}),
            json!({"room": "r", "name": "POST"}),
            json!({"room": "r", "name": long()}),
            json!({"room": "r", "name": "anna", "since": "yesterday"}),
            json!({"room": "r", "name": "anna", "since": 1}),
        ],
        "LEAVE" => vec![json!({"room": "elsewhere"})],
        "NOTIFY" => vec![
            json!({"room": "r"}),
            json!({"room": "r", "message": long()}),
        ],
        _ => vec![],
    };
    let more = named.into_iter().chain(own).map(|argument| vec![argument]);
    never().into_iter().chain(more).collect()
}

fn wrong_for_lobbies(verb: &str) -> Vec<Vec<Value>> {
    let own = match verb {
        "JOIN" => vec![json!("another"), json!("\u{0}")],
        "LEAVE" => vec![json!("another")],
        "RTCSIGNAL" => vec![
            json!({"to": 1}),
            json!({"to": ""}),
            json!({"to": "nobody", "sdp": 1}),
            json!({"to": long()}),
            json!("{\"to\":"),
        ],
        _ => vec![json!({"text": 1}), json!("message")],
    };
    let own = own.into_iter().map(|argument| vec![argument]);
    // A lobby takes any message, also null.
    let never = never().into_iter().filter(|wrong| {
        verb != "BROADCAST"
            || wrong
                .first()
                .is_none_or(|first| first.get("message").is_none())
    });
    never.chain(own).collect()
}

fn wrong_for_triggers(verb: &str) -> Vec<Vec<Value>> {
    let own = match verb {
        "JOIN" => vec![vec![json!("\u{0}")]],
        "LEAVE" => vec![vec![json!("elsewhere")]],
        _ => vec![
            vec![json!("r")],
            vec![json!(1), json!(1)],
            vec![json!("r"), long()],
        ],
    };
    never().into_iter().chain(own).collect()
}

fn cases() -> [Case; 5] {
    let room = |namespace, join| Case {
        namespace,
        join,
        verbs: &["JOIN", "LEAVE", "NOTIFY", "CLIENTS"],
        good: |number| ("NOTIFY", vec![json!({"room": "r", "message": number})]),
        wrong: wrong_for_rooms,
    };
    let named = json!({"room": "r", "name": "anna"});
    [
        room("/bus", named.clone()),
        room("/layout", named),
        Case {
            // Nobody sends there.
            good: |_| ("", vec![]),
            ..room("/metadata", json!({"room": "now-playing"}))
        },
        Case {
            namespace: "/lobby",
            join: json!("r"),
            verbs: &["JOIN", "LEAVE", "BROADCAST", "RTCSIGNAL"],
            good: |number| ("BROADCAST", vec![json!({"message": number})]),
            wrong: wrong_for_lobbies,
        },
        Case {
            namespace: "/trigger",
            join: json!("r"),
            verbs: &[
                "JOIN",
                "LEAVE",
                "BROADCAST_EVENTS",
                "BROADCAST_UPDATES",
                "BROADCAST_STATUS",
            ],
            good: |number| ("BROADCAST_EVENTS", vec![json!("r"), json!(number)]),
            wrong: wrong_for_triggers,
        },
    ]
}

/// Whether an error text is free of the words of parsers, and its code is documented.
fn is_in_words(answer: &Value) {
    let message = answer["message"].as_str().unwrap();
    let of_serde = [
        "invalid type",
        "missing field",
        "expected ",
        "EOF",
        "at line",
    ];
    let is_raw = of_serde.iter().any(|words| message.contains(words));
    assert!(message.len() > 9 && !is_raw, "{message}");
    let row = format!("| `{}` |", answer["code"].as_str().unwrap());
    let docs = include_str!("../../docs/errors.md");
    assert!(docs.contains(&row), "{row} is not documented");
}

/// A client in the room `r`.
async fn joined(server: &TestServer, case: &Case) -> Client {
    let query = "EIO=4&lobbyId=r";
    let mut client = Client::websocket(server.address, query).await;
    client.packet().await.unwrap();
    client.set_namespace(case.namespace);
    client.send(format!("40{},", case.namespace)).await;
    client.connected().await.unwrap();
    let answer = client.ask("JOIN", &case.join).await;
    assert_eq!(answer["status"], "ok", "{}: {answer}", case.namespace);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_told_to_its_sender_and_to_nobody_else() {
    let server = TestServer::start().await;
    let mut told = 0;
    for case in cases() {
        let mut other = joined(&server, &case).await;
        let unknown = ["", "join", "EVENT", "ERROR", "disconnect", "__proto__", "X"];
        for verb in case.verbs.iter().chain(&unknown) {
            let mut client = joined(&server, &case).await;
            let wrong = match unknown.contains(verb) {
                true => vec![vec![json!({"room": "r", "message": 1})]],
                false => (case.wrong)(verb),
            };
            for arguments in &wrong {
                let about = format!("{} {verb} {arguments:.200?}", case.namespace);
                let answer = client.ask_all(verb, arguments).await;
                assert_eq!(answer["status"], "error", "{about}: {answer}");
                is_in_words(&answer);
                client.emit_all(verb, arguments).await;
                let error = client.the("ERROR").await;
                assert_eq!(error["code"], answer["code"], "{about}");
                assert_eq!(error["event"], *verb, "{about}");
                told += 2;
            }
            // Acks of what nobody asked.
            client.send(format!("43{},7[1]", case.namespace)).await;
            let (good, arguments) = (case.good)(told);
            if !good.is_empty() {
                client.emit_all(good, &arguments).await;
                let heard = other.next_but(&["JOINED", "LEFT", "PEERS"]).await;
                // A trigger's is the message itself.
                let said = heard[1].get("message").unwrap_or(&heard[1]);
                assert_eq!(said, told, "{heard}");
            }
            let again = client.ask("JOIN", &case.join).await;
            assert_eq!(again["status"], "ok", "{}: {again}", case.namespace);
        }
    }
    assert!(told > 300, "{told}");
    server.stop().await;
}

/// The namespace, the event, its arguments, and the error text.
const WORDS: &[(&str, &str, &str, &str)] = &[
    (
        "/bus",
        "JOIN",
        r#"{"room": 5}"#,
        "`room` must be a string, not 5; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        r#"{"name": "anna"}"#,
        "`room` is missing: it must be a string; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        r#"{"room": "r", "name": ["a"]}"#,
        "`name` must be a string, not [\"a\"]; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        r#"{"room": "r", "since": 12}"#,
        "`since` must be the `offset` of an event, not 12; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        "7",
        "the argument must be an object, not 7; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        r#""{\"room\": false}""#,
        "`room` must be a string, not false; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "JOIN",
        r#""r""#,
        "this is not JSON: syntax error in line 1, column 1; this event takes {room, name?, since?}",
    ),
    (
        "/bus",
        "NOTIFY",
        r#"{"room": "r"}"#,
        "`message` is missing: it must be any JSON; this event takes {room, message}",
    ),
    (
        "/bus",
        "CLIENTS",
        r#"{"room": "r", "limit": "3:20"}"#,
        "`limit` must be a number of names, not \"3:20\"; this event takes {room, limit?, after?}",
    ),
    (
        "/bus",
        "CLIENTS",
        r#"{"room": "r", "after": "x"}"#,
        "`after` must be the `next` of the previous page, not \"x\"; this event takes {room, limit?, after?}",
    ),
    (
        "/lobby",
        "JOIN",
        "7",
        "the first argument must be a string, not 7; this event takes the lobby's id",
    ),
    (
        "/lobby",
        "RTCSIGNAL",
        r#"{"to": 7}"#,
        "`to` must be a string, not 7; this event takes {to, ...}",
    ),
    (
        "/lobby",
        "BROADCAST",
        r#"{"text": 7}"#,
        "`message` is missing: it must be any JSON; this event takes {message}",
    ),
    (
        "/trigger",
        "BROADCAST_EVENTS",
        r#""r""#,
        "the second argument is missing: it must be any JSON; this event takes the room's id, data",
    ),
];

#[tokio::test]
async fn errors_name_the_field_and_what_is_wanted() {
    let server = TestServer::start().await;
    for case in cases() {
        let mut client = joined(&server, &case).await;
        for (_, event, argument, said) in WORDS.iter().filter(|row| row.0 == case.namespace) {
            let argument: Value = serde_json::from_str(argument).unwrap();
            let answer = client.ask(event, argument).await;
            assert_eq!(answer["message"], *said, "{event}");
        }
    }
    server.stop().await;
}

/// More than is read at all: the reason comes before the end.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_megabytes_is_told_why_it_is_cut_off() {
    let server = TestServer::start().await;
    for case in cases() {
        let mut client = joined(&server, &case).await;
        let name = "x".repeat(3 << 20);
        client.emit("JOIN", json!({"room": name})).await;
        assert_eq!(client.the("ERROR").await["code"], "too_big");
        assert_eq!(client.close_frame().await, (1009, "too_big".to_owned()));
    }
    server.stop().await;
}

/// A client that wants to be everywhere is in as many rooms as it may.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rooms_are_not_for_one_client() {
    // A namespace with the default limits.
    let namespaces = tempfile::tempdir().unwrap();
    std::fs::write(namespaces.path().join("n.toml"), "protocol = \"room\"").unwrap();
    let folder = namespaces.path().to_str().unwrap();
    let server = TestServer::start_with(&["--namespaces", folder]).await;
    let mut client = Client::connect(server.address, "/n").await.unwrap();
    let mut joined = 0;
    for number in 0..600 {
        let join = json!({"room": format!("r{number}"), "name": "anna"});
        let answer = client.ask("JOIN", join).await;
        match answer["code"].as_str() {
            None => joined += 1,
            Some(code) => assert_eq!(code, "too_many_rooms", "{answer}"),
        }
    }
    assert_eq!(joined, 32);
    let rooms: usize = server.hub.room_counts().map(|(_, rooms)| rooms).sum();
    assert!(rooms == 32, "{rooms}");
    server.stop().await;
}
