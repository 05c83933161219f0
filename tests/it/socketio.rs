//! The Socket.IO door on the wire.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{Client, SOON};
use crate::server::{TestServer, play, song};

fn track(event: &Value) -> &str {
    event["message"]["track"].as_str().unwrap()
}

#[tokio::test]
async fn a_track_reaches_who_listens_and_who_comes_later() {
    let server = TestServer::start().await;
    let mut zetta = server.zetta().await;
    let mut early = Client::connect(server.address, "/metadata").await.unwrap();
    let joined = early.ask("JOIN", json!({"room": "now-playing"})).await;
    assert_eq!(joined["status"], "ok");
    assert_eq!(
        (&joined["room"], &joined["clients"]),
        (&json!("now-playing"), &json!(1))
    );
    assert_eq!(joined["recovered"], false);

    play(&mut zetta, &song(1, "Cemetry Gates")).await;
    let live = early.next().await;
    assert_eq!(
        (&live["sender"], &live["room"]),
        (&json!("zetta"), &json!("now-playing"))
    );
    assert_eq!(track(&live), "Cemetry Gates");
    assert_eq!(live["message"]["timestampUTC"], "2026-03-01T01:00:01Z");

    let mut late = Client::connect(server.address, "/metadata").await.unwrap();
    let asked = json!({"room": "now-playing"}).to_string();
    let joined = late.ask("JOIN", asked).await;
    assert_eq!(joined["offset"], live["offset"], "a string that holds JSON");
    assert_eq!(late.next().await, live);
    assert_eq!(server.stop().await.cut, 0);
}

#[tokio::test]
async fn bad_input_is_answered_and_nothing_else() {
    let server = TestServer::start().await;
    let mut other = Client::connect(server.address, "/layout").await.unwrap();
    other.join("r").await;
    let mut client = Client::connect(server.address, "/layout").await.unwrap();
    let long = "x".repeat(100_000);
    // event, argument -> code
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        ("JOIN", json!(null), "invalid_request"),
        ("JOIN", json!(7), "invalid_request"),
        ("JOIN", json!("not json"), "invalid_request"),
        ("JOIN", json!({"room": 7}), "invalid_request"),
        ("JOIN", json!({"room": "r"}), "name_required"),
        ("JOIN", json!({"room": "", "name": "anna"}), "invalid_name"),
        (
            "JOIN",
            json!({"room": long, "name": "anna"}),
            "invalid_name",
        ),
        (
            "JOIN",
            json!({"room": "r", "name": "Zetta"}),
            "invalid_name",
        ),
        (
            "JOIN",
            json!({"room": "r", "name": "a", "since": "x"}),
            "invalid_offset",
        ),
        ("LEAVE", json!({"room": "r"}), "not_in_room"),
        ("NOTIFY", json!({"room": "r"}), "invalid_request"),
        ("NOTIFY", json!({"room": "r", "message": deep}), "too_deep"),
        ("CLIENTS", json!([]), "invalid_request"),
        ("EVENT", json!({}), "unknown_event"),
        ("", json!({}), "unknown_event"),
    ];
    for (event, argument, code) in cases {
        let answer = client.ask(event, &argument).await;
        assert_eq!(answer["status"], "error", "{event} {answer}");
        assert_eq!(answer["code"], code, "{event} {answer}");
        client.emit(event, &argument).await;
        let told = client.event().await;
        assert_eq!(told[0], "ERROR");
        assert_eq!(
            (&told[1]["event"], &told[1]["code"]),
            (&json!(event), &json!(code))
        );
    }
    assert_eq!(client.join("r").await["clients"], 2);
    assert_eq!(
        client
            .ask("NOTIFY", json!({"room": "r", "message": "hi"}))
            .await["status"],
        "ok"
    );
    assert_eq!(other.next().await["message"], "hi");
    server.stop().await;
}

#[tokio::test]
async fn namespaces_open_as_their_files_say() {
    let server = TestServer::start().await;
    let cases = [
        ("/metadata", None),
        ("/layout", None),
        ("/bus", None),
        ("/schedule", Some("reserved")),
        ("/lobby", None),
        ("/trigger", None),
        ("/nowhere", Some("Invalid namespace")),
        ("/", None),
    ];
    for (namespace, refusal) in cases {
        let connected = Client::connect(server.address, namespace).await;
        match (connected.err(), refusal) {
            (None, None) => {}
            (Some(error), Some(word)) => assert!(error.contains(word), "{namespace}: {error}"),
            (error, _) => panic!("{namespace}: {error:?}"),
        }
    }
    let mut client = Client::connect(server.address, "/metadata").await.unwrap();
    let asked = json!({"room": "now-playing", "message": 1});
    assert_eq!(client.ask("NOTIFY", asked).await["code"], "not_allowed");
    let asked = json!({"room": "elsewhere"});
    assert_eq!(client.ask("JOIN", asked).await["code"], "unknown_room");
    server.stop().await;
}

#[tokio::test]
async fn a_room_shows_who_is_in_it() {
    let server = TestServer::start().await;
    let mut anna = Client::connect(server.address, "/layout").await.unwrap();
    let mut ben = Client::connect(server.address, "/layout").await.unwrap();
    anna.ask("JOIN", json!({"room": "r", "name": "anna"})).await;
    ben.ask("JOIN", json!({"room": "r", "name": "ben"})).await;
    let answer = anna.ask("CLIENTS", json!({"room": "r"})).await;
    let mut shown = json!({"room": "r", "clients": ["anna", "ben"], "total": 2});
    // With an ack there is no event, and without one no ack.
    anna.emit("CLIENTS", json!({"room": "r"})).await;
    assert_eq!(anna.event().await, json!(["CLIENTS", shown]));
    shown["status"] = "ok".into();
    assert_eq!(answer, shown);
    assert_eq!(
        ben.ask("LEAVE", json!({"room": "r"})).await,
        json!({"status": "ok", "room": "r"})
    );
    assert_eq!(anna.ask("CLIENTS", json!({"room": "r"})).await["total"], 1);
    drop(anna);
    server.stop().await;
}

/// 1,000 clients send CONNECT and JOIN in one write, and miss nothing after.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_in_the_instant_of_connect_is_never_lost() {
    const CLIENTS: usize = 1_000;
    const DOCUMENTS: u32 = 200;
    let server = TestServer::start().await;
    let mut clients = join_all((0..CLIENTS).map(|_| async {
        let mut client = Client::open(server.address).await;
        client.set_namespace("/metadata");
        client
            .send_at_once(&[
                "40/metadata,".to_owned(),
                r#"42/metadata,0["JOIN",{"room":"now-playing"}]"#.to_owned(),
            ])
            .await;
        client.connected().await.unwrap();
        let answer = client.packet().await.unwrap();
        assert!(
            answer.starts_with(r#"43/metadata,0[{"status":"ok""#),
            "{answer}"
        );
        client
    }))
    .await;
    let asked = json!({"room": "now-playing"});
    assert_eq!(clients[0].ask("CLIENTS", asked).await["total"], CLIENTS);

    let listening: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                for number in 0..DOCUMENTS {
                    let event = client.next().await;
                    assert_eq!(track(&event), format!("Track {number}"));
                }
            })
        })
        .collect();
    let mut zetta = server.zetta().await;
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    for number in 0..DOCUMENTS {
        pace.tick().await;
        play(&mut zetta, &song(number, &format!("Track {number}"))).await;
    }
    for listener in listening {
        listener.await.unwrap();
    }
    server.stop().await;
}

/// 200 clients, 20 of which read nothing while events pile up for them.
#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_who_reads_nothing() {
    let server = TestServer::start().await;
    let mut clients = join_all((0..200).map(|_| async {
        let mut client = Client::connect(server.address, "/bus").await.unwrap();
        client.join("r").await;
        client
    }))
    .await;
    let readers: Vec<_> = clients
        .split_off(20)
        .into_iter()
        .map(|mut client| tokio::spawn(async move { while client.try_event().await.is_some() {} }))
        .collect();
    let mut last = Client::connect(server.address, "/bus").await.unwrap();
    last.join("r").await;
    // More than the kernel takes for a connection that nobody reads.
    for _ in 0..40 {
        server.publish("/bus", "r", json!("x".repeat(60_000)));
        last.next().await;
    }
    drop(last);
    let started = Instant::now();
    let stopped = tokio::time::timeout(SOON, server.stop()).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(11),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(stopped.cut, 20);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// A client without a namespace receives the list of namespaces at its first event.
#[tokio::test]
async fn an_event_without_a_namespace_is_answered_with_the_namespaces() {
    let server = TestServer::start().await;
    for version in [3, 4] {
        let mut client = Client::open_eio(server.address, version).await;
        if version == 4 {
            client.send("40".to_owned()).await;
        }
        assert!(client.packet().await.unwrap().starts_with("40"));
        for (packet, event) in [
            (r#"42["JOIN",{"room":"now-playing"}]"#, "JOIN"),
            (r#"427["subscribe","x",1]"#, "subscribe"),
            (r#"42[""]"#, ""),
        ] {
            client.send(packet.to_owned()).await;
            if packet.starts_with("427") {
                let ack = client.packet().await.unwrap();
                let start = r#"437[{"status":"error","code":"no_namespace","message":"#;
                assert!(ack.starts_with(start), "{ack}");
            }
            let error = client.packet().await.unwrap();
            let start = format!(r#"42["ERROR",{{"event":"{event}","code":"no_namespace","#);
            assert!(error.starts_with(&start), "{error}");
            let names = "/bus, /layout, /lobby, /metadata, /trigger";
            assert!(error.contains(names), "{error}");
            assert!(!error.contains("schedule"), "{error}");
        }
    }
    server.stop().await;
}

/// Answers to events in `/` are paced like CONNECTs: the burst, then five per second.
#[tokio::test]
async fn events_without_a_namespace_are_read_at_the_rate_of_connects() {
    let server = TestServer::start().await;
    let mut client = Client::open_eio(server.address, 4).await;
    client.send("40".to_owned()).await;
    client.packet().await.unwrap();
    let began = std::time::Instant::now();
    for _ in 0..40 {
        client.send(r#"42["JOIN"]"#.to_owned()).await;
    }
    for _ in 0..40 {
        assert!(client.packet().await.unwrap().starts_with(r#"42["ERROR""#));
    }
    // The CONNECT was one of 32; 9 more than those take at least a second and a half.
    assert!(began.elapsed().as_millis() > 1_400, "{:?}", began.elapsed());
    server.stop().await;
}

/// `connect_error` names the namespace that was most likely meant, on every transport.
#[tokio::test]
async fn a_misspelt_namespace_is_refused_with_the_nearest_one() {
    let server = TestServer::start().await;
    for (namespace, hint) in [
        ("/metdata", "did you mean `/metadata`?"),
        ("/Metadata", "did you mean `/metadata`?"),
        ("/lobbby", "did you mean `/lobby`?"),
        ("/metadata/now-playing", "did you mean `/metadata`?"),
        (
            "/schedul",
            "there are: /bus, /layout, /lobby, /metadata, /trigger",
        ),
        (
            "/xyz",
            "there are: /bus, /layout, /lobby, /metadata, /trigger",
        ),
    ] {
        let expected = format!("Invalid namespace `{namespace}`; {hint}");
        let refused = Client::connect(server.address, namespace).await;
        let refused = refused.err().expect(namespace);
        assert!(refused.contains(&expected), "{refused}");
    }
    server.stop().await;
}
