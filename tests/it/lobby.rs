//! The lobby protocol, for clients of Engine.IO v3 and v4 in one lobby.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::Client;
use crate::http::post;
use crate::polling::{open, open_with, poll_until};
use crate::server::TestServer;

/// A client that has come to a lobby, and its id as its SDK has it.
pub struct Peer {
    pub client: Client,
    pub id: String,
    /// Who was there before it.
    pub peers: Vec<String>,
}

impl Peer {
    /// Comes as the SDKs do: one of v3 says the query behind the namespace.
    pub async fn come(server: &TestServer, eio: u8, lobby: &str) -> Self {
        Self::come_at(server.address, eio, lobby).await
    }

    /// The same at any server.
    pub async fn come_at(server: SocketAddr, eio: u8, lobby: &str) -> Self {
        let query = format!("lobbyId={lobby}");
        let mut client = match eio {
            3 => Client::websocket(server, "EIO=3").await,
            _ => Client::websocket(server, &format!("EIO=4&{query}")).await,
        };
        let hello = client.packet().await.unwrap();
        client.set_namespace("/lobby");
        let sid = if eio == 3 {
            assert_eq!(client.packet().await.unwrap(), "40", "/ is connected first");
            client.send(format!("40/lobby?{query}")).await;
            client.connected().await.unwrap();
            sid(&hello)
        } else {
            client.send("40/lobby,").await;
            sid(&client.packet().await.unwrap())
        };
        let id = match eio {
            3 => format!("/lobby#{sid}"),
            _ => sid,
        };
        let [name, peers] = event(&mut client).await;
        assert_eq!(name, "PEERS");
        let peers = serde_json::from_value(peers).unwrap();
        Self { client, id, peers }
    }

    pub async fn hears(&mut self, name: &str, argument: impl Into<Value>) {
        let heard = event(&mut self.client).await;
        assert_eq!(heard, [name.into(), argument.into()]);
    }

    /// Hears next that a peer has come or gone, of whom it is told so; its id.
    pub async fn hears_of_one(&mut self, name: &str) -> String {
        let [heard, id] = event(&mut self.client).await;
        assert_eq!(heard, name, "{id}");
        id.as_str().unwrap().to_owned()
    }
}

fn sid(packet: &str) -> String {
    let (_, rest) = packet.split_once(r#""sid":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The name and the argument of the next event.
async fn event(client: &mut Client) -> [Value; 2] {
    serde_json::from_value(client.event().await).unwrap()
}

/// An id as a client of that version has it.
pub fn id_for(eio: u8, id: &str) -> String {
    let bare = id.trim_start_matches("/lobby#");
    match eio {
        3 => format!("/lobby#{bare}"),
        _ => bare.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_both_versions_meet_signal_and_leave() {
    for (first, second) in [(4, 4), (3, 4), (4, 3), (3, 3)] {
        let server = TestServer::start().await;
        let mut anna = Peer::come(&server, first, "a%20b").await;
        assert!(anna.peers.is_empty());
        let mut ben = Peer::come(&server, second, "a%20b").await;
        let elsewhere = Peer::come(&server, 4, "other").await;
        assert_eq!(ben.peers, [id_for(second, &anna.id)]);
        anna.hears("JOINED", id_for(first, &ben.id)).await;

        let said = json!({"message": {"b": 1, "a": [1.50]}});
        assert_eq!(ben.client.ask("BROADCAST", said).await["status"], "ok");
        let from = id_for(first, &ben.id);
        let heard = json!({"from": from, "message": {"b": 1, "a": [1.5]}});
        anna.hears("MESSAGE", heard).await;

        // `to` in either form, as an object or as a string that holds one.
        for to in [3, 4].map(|eio| id_for(eio, &ben.id)) {
            let signal = json!({"to": to, "from": "somebody", "sdp": "v=0"});
            for signal in [signal.clone(), signal.to_string().into()] {
                assert_eq!(anna.client.ask("RTCSIGNAL", signal).await["status"], "ok");
                let from = id_for(second, &anna.id);
                let heard = json!({"to": to, "from": from, "sdp": "v=0"});
                ben.hears("RTCSIGNAL", heard).await;
            }
        }
        for to in [elsewhere.id.as_str(), "nobody"] {
            let refused = anna.client.ask("RTCSIGNAL", json!({"to": to})).await;
            assert_eq!(refused["code"], "no_such_peer", "{refused}");
        }

        let left = ben.client.ask("LEAVE", "a b").await;
        assert_eq!(left, json!({"status": "ok", "room": "a b"}));
        anna.hears("LEFT", id_for(first, &ben.id)).await;
        let joined = ben.client.ask("JOIN", "a b").await;
        assert_eq!(joined, json!({"status": "ok", "room": "a b"}));
        ben.hears("PEERS", json!([id_for(second, &anna.id)])).await;
        anna.hears("JOINED", id_for(first, &ben.id)).await;
        let second_lobby = ben.client.ask("JOIN", "c").await;
        assert_eq!(second_lobby["code"], "too_many_rooms");

        let id = id_for(first, &ben.id);
        drop(ben);
        anna.hears("LEFT", id).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_no_lobby_is_told_and_disconnected() {
    let server = TestServer::start().await;
    for (query, connect) in [
        ("EIO=4", "40/lobby,"),
        ("EIO=4&lobbyId=", "40/lobby,"),
        ("EIO=3", "40/lobby"),
        ("EIO=3", "40/lobby?lobby=x"),
        // That of CONNECT wins.
        ("EIO=3&lobbyId=x", "40/lobby?lobbyId="),
    ] {
        let mut client = Client::websocket(server.address, query).await;
        client.packet().await.unwrap();
        client.set_namespace("/lobby");
        client.send(connect).await;
        let told = loop {
            let packet = client.packet().await.unwrap();
            if packet.starts_with("42/lobby,") {
                break packet;
            }
        };
        assert!(told.contains("lobby_required"), "{told}");
        assert_eq!(client.packet().await.unwrap(), "41/lobby,", "{query}");
    }
    server.stop().await;
}

/// The lobby that a client of Engine.IO v3 comes to by its two queries.
#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_connect_wins_where_it_names_a_lobby() {
    let server = TestServer::start().await;
    let cases = [
        ("lobbyId=a", "lobbyId=b", "b"),
        ("lobbyId=a", "token=x", "a"),
        ("lobbyId=a", "token=x&lobbyId=b", "b"),
        ("token=x", "lobbyId=b,c", "b"),
    ];
    for (handshake, connect, lobby) in cases {
        let there = Peer::come(&server, 4, lobby).await;
        let mut client = Client::websocket(server.address, &format!("EIO=3&{handshake}")).await;
        client.packet().await.unwrap();
        assert_eq!(client.packet().await.unwrap(), "40");
        client.set_namespace("/lobby");
        client.send(format!("40/lobby?{connect}")).await;
        client.connected().await.unwrap();
        let met = event(&mut client).await;
        let expected = json!([id_for(3, &there.id)]);
        assert_eq!(met, ["PEERS".into(), expected], "{handshake} {connect}");

        let target = open_with(&server, 3, handshake).await;
        let packet = format!("40/lobby?{connect}");
        let body = format!("{}:{packet}", packet.len());
        assert_eq!(post(server.address, &target, &body).await.status, 200);
        let polled = poll_until(&server, &target, "PEERS").await;
        assert!(polled.contains(&id_for(3, &there.id)), "{polled}");
        client.send("41/lobby").await;
        post(server.address, &target, "1:1").await;
    }
    server.stop().await;
}

/// Who was sent away may come again at once, as it should have.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_sent_away_may_come_again() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        let mut client = Client::websocket(server.address, "EIO=3").await;
        client.packet().await.unwrap();
        assert_eq!(client.packet().await.unwrap(), "40");
        client.set_namespace("/lobby");
        client.send("40/lobby").await;
        while client.packet().await.unwrap() != "41/lobby," {}
        let broadcast = r#"42/lobby,5["BROADCAST",{"message":1}]"#;
        let again = ["40/lobby?lobbyId=a", broadcast].map(ToOwned::to_owned);
        client.send_at_once(&again).await;
        while !client.packet().await.unwrap().starts_with("43/lobby,5") {}
    }
    server.stop().await;
}

/// The rate also applies to a client that is in no lobby.
#[tokio::test(flavor = "multi_thread")]
async fn outside_of_a_lobby_the_rate_is_limited_as_well() {
    let server = TestServer::start().await;
    let mut peer = Peer::come(&server, 4, "a").await;
    peer.client.ask("LEAVE", "a").await;
    // The burst, and what the rate allows in one second.
    let begun = Instant::now();
    for _ in 0..2_201 {
        let answer = peer.client.ask("BROADCAST", json!({"message": 1})).await;
        assert_eq!(answer["code"], "not_in_room");
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    server.stop().await;
}

/// As much as may be sent at once, each with an ack, is answered and heard.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_answered_whole() {
    const BURST: usize = 1_900;
    let server = TestServer::start().await;
    let mut anna = Peer::come(&server, 4, "a").await;
    let mut ben = Peer::come(&server, 4, "a").await;
    anna.hears("JOINED", ben.id.as_str()).await;
    let to = ben.id.clone();
    let signal = |id| format!(r#"42/lobby,{id}["RTCSIGNAL",{{"to":"{to}","number":{id}}}]"#);
    let signals: Vec<_> = (0..BURST).map(signal).collect();
    let hears = tokio::spawn(async move {
        for number in 0..BURST {
            let [name, signal] = event(&mut ben.client).await;
            assert_eq!(
                (name, &signal["number"]),
                ("RTCSIGNAL".into(), &number.into())
            );
        }
        // Its end would be told among the answers.
        ben
    });
    anna.client.send_at_once(&signals).await;
    for id in 0..BURST {
        let answer = anna.client.packet().await.expect("closed");
        assert_eq!(answer, format!(r#"43/lobby,{id}[{{"status":"ok"}}]"#));
    }
    drop(hears.await.unwrap());
    server.stop().await;
}

/// Peers end in the middle of what others send them.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn peers_may_end_while_they_are_signalled_to() {
    let server = Arc::new(TestServer::start().await);
    let lanes = (0..8).map(|lane| {
        let server = server.clone();
        tokio::spawn(async move {
            for round in 0..8 {
                let lobby = format!("{lane}-{round}");
                let target = open_with(&server, 4, &format!("lobbyId={lobby}")).await;
                post(server.address, &target, "40/lobby,").await;
                let id = sid(&poll_until(&server, &target, "PEERS").await);
                let mut senders = [
                    Peer::come(&server, 4, &lobby).await,
                    Peer::come(&server, 3, &lobby).await,
                ];
                let body = "x".repeat(8_000);
                let signal = format!(r#"42/lobby,["RTCSIGNAL",{{"to":"{id}","b":"{body}"}}]"#);
                let signals = vec![signal; 100];
                let [anna, ben] = &mut senders;
                let (.., ended) = tokio::join!(
                    anna.client.send_at_once(&signals),
                    ben.client.send_at_once(&signals),
                    post(server.address, &target, "1"),
                );
                assert_eq!(ended.status, 200);
                for sender in &mut senders {
                    let said = sender.client.ask("BROADCAST", json!({"message": 1})).await;
                    assert_eq!(said["status"], "ok", "{said}");
                }
            }
        })
    });
    for lane in join_all(lanes).await {
        lane.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_behind_the_namespace_may_come_by_polling() {
    let server = TestServer::start().await;
    let mut anna = Peer::come(&server, 4, "x").await;
    let target = open(&server, 3).await;
    let connect = "40/lobby?lobbyId=x";
    let body = format!("{}:{connect}", connect.len());
    assert_eq!(post(server.address, &target, &body).await.status, 200);
    let polled = poll_until(&server, &target, "PEERS").await;
    assert!(polled.contains(&id_for(3, &anna.id)), "{polled}");
    let (_, sid) = target.split_once("&sid=").unwrap();
    anna.hears("JOINED", sid).await;
    server.stop().await;
}

/// Old SDKs take nothing but a string for the reason of a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_string_for_clients_of_engine_io_3() {
    let server = TestServer::start().await;
    let cases = [
        ("/schedule", "reserved"),
        ("/nowhere", "Invalid namespace"),
        ("/schedule?a=b", "reserved"),
    ];
    for (namespace, words) in cases {
        let connect = format!("40{namespace}");
        let bare = namespace.split('?').next().unwrap();
        let start = format!("44{bare},\"");
        let mut client = Client::open_eio(server.address, 3).await;
        assert_eq!(client.packet().await.unwrap(), "40");
        // What follows at once is not held up, nor lost.
        let join = r#"42/bus,1["JOIN",{"room":"r","name":"anna"}]"#;
        let packets = [connect.as_str(), "40/bus", join].map(ToOwned::to_owned);
        client.send_at_once(&packets).await;
        let mut heard = Vec::new();
        while !heard.iter().any(|p: &String| p.starts_with("43/bus,1")) {
            heard.push(client.packet().await.unwrap());
        }
        let refusal = heard.iter().find(|packet| packet.starts_with(&start));
        assert!(refusal.is_some_and(|r| r.contains(words)), "{heard:?}");

        let target = open(&server, 3).await;
        let body = format!("{}:{connect}", connect.len());
        assert_eq!(post(server.address, &target, &body).await.status, 200);
        let polled = poll_until(&server, &target, &start).await;
        assert!(polled.contains(words), "{polled}");
    }
    server.stop().await;
}

/// 500 peers, each of which signals to all the others.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_peers_signal_to_each_other() {
    const PEERS: usize = 500;
    let server = TestServer::start().await;
    // All ids, once all have come; until then each hears who comes.
    let (tell, told) = watch::channel(Vec::<String>::new());
    let (mut ids, mut everybody) = (Vec::new(), Vec::new());
    for own in 0..PEERS {
        let eio = if own % 3 == 0 { 3 } else { 4 };
        let mut peer = Peer::come(&server, eio, "big").await;
        assert_eq!(peer.peers.len(), own);
        ids.push(id_for(4, &peer.id));
        let mut told = told.clone();
        everybody.push(tokio::spawn(async move {
            let mut came = Vec::new();
            for _ in own + 1..PEERS {
                let [name, id] = event(&mut peer.client).await;
                assert_eq!(name, "JOINED", "{id}");
                came.push(id);
            }
            let ids = told.wait_for(|ids| !ids.is_empty()).await.unwrap().clone();
            let expected = ids[own + 1..].iter().map(|id| id_for(eio, id));
            assert_eq!(came, expected.collect::<Vec<_>>());
            // Each begins behind itself: else the last peer hears nothing before all are done.
            let others = ids.iter().enumerate().cycle().skip(own + 1);
            for (number, to) in others.take(PEERS - 1) {
                let signal = json!({"to": to, "offer": [own, number]});
                peer.client.emit("RTCSIGNAL", signal).await;
                // The server cuts peers that read nothing for long, also on a busy machine.
                peer.client.read_ahead().await;
            }
            let mut heard = vec![false; PEERS];
            heard[own] = true;
            for _ in 1..PEERS {
                let [name, signal] = event(&mut peer.client).await;
                assert_eq!(name, "RTCSIGNAL", "{signal}");
                let from = usize::try_from(signal["offer"][0].as_u64().unwrap()).unwrap();
                assert_eq!(signal["offer"][1], own);
                assert_eq!(signal["from"], id_for(eio, &ids[from]));
                assert_eq!(signal["to"], ids[own]);
                assert!(!std::mem::replace(&mut heard[from], true), "twice");
            }
            peer
        }));
    }
    tell.send_replace(ids);
    let everybody = join_all(everybody).await;
    let everybody: Vec<_> = everybody.into_iter().map(Result::unwrap).collect();
    drop(everybody);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_reach_the_others_of_the_room() {
    let server = TestServer::start().await;
    let mut anna = Client::connect(server.address, "/trigger").await.unwrap();
    let mut ben = Client::connect(server.address, "/trigger").await.unwrap();
    for (count, client) in [(1, &mut anna), (2, &mut ben)] {
        let joined = client.ask("JOIN", "show").await;
        assert_eq!(
            joined,
            json!({"status": "ok", "room": "show", "clients": count})
        );
    }
    let data = [json!({"b": [1]}), json!("text"), json!(null), json!(7)];
    for kind in ["EVENTS", "UPDATES", "STATUS"] {
        for data in &data {
            ben.emit_all(&format!("BROADCAST_{kind}"), &[json!("show"), data.clone()])
                .await;
            assert_eq!(event(&mut anna).await, [json!(kind), data.clone()]);
        }
    }
    let left = ben.ask("LEAVE", "show").await;
    assert_eq!(left, json!({"status": "ok", "room": "show"}));
    server.stop().await;
}
