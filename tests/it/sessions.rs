//! Engine.IO sessions whatever they are on: CONNECT in all its forms, clients
//! that are too slow, and how many there can be.

use std::time::{Duration, Instant};

use roomcast::net::FRAME_BYTES_MOST;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::{Client, SOON};
use crate::http::{get, post};
use crate::polling::{open, poll_until};
use crate::server::TestServer;

const JOIN: &str = r#"42/bus,1["JOIN",{"room":"r","name":"anna"}]"#;
const JOINED: &str = r#"43/bus,1[{"status":"ok""#;

/// Half of the time for which a client is held back whose CONNECT has no answer.
const NOT_HELD: Duration = Duration::from_secs(5);

/// Waits for an answer that begins with these words.
async fn hears(client: &mut Client, words: &str) {
    let mut heard = Vec::new();
    loop {
        let Ok(packet) = timeout(NOT_HELD, client.packet()).await else {
            panic!("held back after {heard:?}");
        };
        let packet = packet.unwrap_or_else(|| panic!("closed after {heard:?}"));
        if packet.starts_with(words) {
            return;
        }
        heard.push(packet);
    }
}

/// The engine ignores a CONNECT as long as its task for the one before is not
/// quite over: some answers later it is.
pub async fn settle(client: &mut Client) {
    for _ in 0..20 {
        client.ask("CLIENTS", json!({"room": "r"})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_connect_at_once_is_not_lost() {
    let server = TestServer::start().await;
    // What is sent in one write; the last is answered.
    let cases: [&[&str]; 4] = [
        &["40/bus,", JOIN],
        &["40/bus,", "40/bus,", JOIN],
        &["40/metadata,", "40/bus,", JOIN],
        &["40,", "40/nowhere,", "40/schedule,", "40/bus,", JOIN],
    ];
    for version in [3, 4] {
        for packets in cases {
            for _ in 0..20 {
                let mut client = Client::open_eio(server.address, version).await;
                let packets: Vec<_> = packets.iter().map(ToString::to_string).collect();
                client.send_at_once(&packets).await;
                hears(&mut client, JOINED).await;
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_leave_and_connect_again_at_once() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        let mut client = Client::connect(server.address, "/bus").await.unwrap();
        settle(&mut client).await;
        let again = ["41/bus,", "40/bus,", JOIN].map(ToOwned::to_owned);
        client.send_at_once(&again).await;
        hears(&mut client, JOINED).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_may_come_in_fragments() {
    let server = TestServer::start().await;
    for _ in 0..50 {
        let mut client = Client::open(server.address).await;
        client
            .send_frame("4", OpCode::Data(Data::Text), false)
            .await;
        client
            .send_frame("0/bus,", OpCode::Data(Data::Continue), true)
            .await;
        client.send(JOIN).await;
        hears(&mut client, JOINED).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_leave_and_connect_again() {
    let server = TestServer::start().await;
    for _ in 0..30 {
        let target = open(&server, 4).await;
        post(server.address, &target, "40/bus,").await;
        let body = ["41/bus,", "40/bus,", JOIN].join("\u{1e}");
        assert_eq!(post(server.address, &target, &body).await.status, 200);
        poll_until(&server, &target, JOINED).await;
    }
    server.stop().await;
}

/// A client that polled first, and now has a WebSocket.
async fn upgraded(server: &TestServer) -> Client {
    let (_, mut client) = probed(server).await;
    client.send("5").await;
    // Its answer shows that the session has moved.
    client.ask("CLIENTS", json!({"room": "r"})).await;
    client
}

/// One that polls, and has asked whether it may move to a WebSocket.
async fn probed(server: &TestServer) -> (String, Client) {
    let target = open(server, 4).await;
    let body = ["40/bus,", JOIN].join("\u{1e}");
    assert_eq!(post(server.address, &target, &body).await.status, 200);
    poll_until(server, &target, JOINED).await;
    let (_, sid) = target.split_once("&sid=").unwrap();
    let mut client = Client::websocket(server.address, &format!("EIO=4&sid={sid}")).await;
    client.set_namespace("/bus");
    client.send("2probe").await;
    assert_eq!(client.packet().await.unwrap(), "3probe");
    (target, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_around_an_upgrade_come_once_and_in_order() {
    const EVENTS: usize = 300;
    let server = TestServer::start().await;
    for round in 0..5 {
        let room = format!("r{round}");
        let join = JOIN.replace(r#""r""#, &format!(r#""{room}""#));
        let target = open(&server, 4).await;
        let body = ["40/bus,", &join].join("\u{1e}");
        post(server.address, &target, &body).await;
        let mut seen = poll_until(&server, &target, JOINED).await;
        let publish = async {
            for number in 0..EVENTS {
                server.publish("/bus", &room, json!(number));
                tokio::task::yield_now().await;
            }
        };
        let upgrade = async {
            let (_, sid) = target.split_once("&sid=").unwrap();
            let query = format!("EIO=4&sid={sid}");
            let mut client = Client::websocket(server.address, &query).await;
            client.send("2probe").await;
            assert_eq!(client.packet().await.unwrap(), "3probe");
            // As an SDK does: the last poll ends before the client moves.
            seen += &get(server.address, &target, "").await.body;
            client.send("5").await;
            client
        };
        let ((), mut client) = tokio::join!(publish, upgrade);
        let mut numbers: Vec<usize> = seen.split('\u{1e}').filter_map(number).collect();
        while numbers.len() < EVENTS {
            let packet = client.packet().await.expect("closed");
            numbers.extend(number(&packet));
        }
        assert_eq!(numbers, (0..EVENTS).collect::<Vec<_>>(), "round {round}");
    }
    server.stop().await;
}

/// What an EVENT says.
fn number(packet: &str) -> Option<usize> {
    let (_, rest) = packet.split_once(r#""message":"#)?;
    rest.split(',').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_told_and_closed() {
    let server = TestServer::start().await;
    let mut direct = Client::connect(server.address, "/bus").await.unwrap();
    direct.join("r").await;
    for mut client in [direct, upgraded(&server).await] {
        // More than the kernel and the wire hold, of both clients.
        for _ in 0..700 {
            server.publish("/bus", "r", json!("x".repeat(60_000)));
        }
        let closed = client.close_frame().await;
        assert_eq!(closed, (4000, "too_slow".to_owned()));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_closed_in_the_middle_of_an_upgrade_is_told_behind_it() {
    let server = TestServer::start().await;
    let (_, mut client) = probed(&server).await;
    let mut other = Client::connect(server.address, "/bus").await.unwrap();
    other.join("r").await;
    // More than the engine holds for a client that can't receive anything yet.
    for _ in 0..700 {
        server.publish("/bus", "r", json!("x".repeat(20_000)));
        other.next().await;
    }
    client.send("5").await;
    assert_eq!(client.close_frame().await, (4000, "too_slow".to_owned()));
    server.stop().await;
}

/// As if one client were two: their packets would be handled side by side.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_post_waits_for_the_answer_of_the_first() {
    let server = TestServer::start().await;
    let target = open(&server, 4).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n"
    );
    first.write_all(head.as_bytes()).await.unwrap();
    // Said when the body is waited for.
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    first.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{go_on:?}");
    assert_eq!(post(server.address, &target, "3").await.status, 400);
    first.write_all(b"40/bus,").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(post(server.address, &target, JOIN).await.status, 200);
    poll_until(&server, &target, JOINED).await;
    server.stop().await;
}

/// What the door says by itself waits for a poll, or for the WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_an_upgrade_is_heard_behind_it() {
    let server = TestServer::start().await;
    let target = open(&server, 3).await;
    poll_until(&server, &target, "40").await;
    post(server.address, &target, "10:40/nowhere").await;
    let (_, sid) = target.split_once("&sid=").unwrap();
    let mut client = Client::websocket(server.address, &format!("EIO=3&sid={sid}")).await;
    client.send("2probe").await;
    assert_eq!(client.packet().await.unwrap(), "3probe");
    client.send("5").await;
    hears(&mut client, "44/nowhere").await;
    server.stop().await;
}

/// Too much for a namespace that was left ends the session like any other.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_much_where_it_is_not_is_cut_off() {
    let server = TestServer::start().await;
    // Its head in a segment of its own, or not.
    for apart in [false, true] {
        let mut client = Client::connect(server.address, "/layout").await.unwrap();
        settle(&mut client).await;
        client.send("41/layout,").await;
        let mut raw = client.into_stream();
        let mut frame = vec![0x81, 0xff];
        frame.extend(3_000_000_u64.to_be_bytes());
        frame.extend([0; 4]);
        if apart {
            raw.write_all(&frame).await.unwrap();
            raw.flush().await.unwrap();
            tokio::task::yield_now().await;
            frame.clear();
        }
        frame.extend(br#"42/layout,["NOTIFY",""#);
        frame.resize(100_000, b'x');
        raw.write_all(&frame).await.unwrap();
        let mut told = Vec::new();
        raw.read_to_end(&mut told).await.unwrap();
        assert!(told.ends_with(b"too_big"), "{apart}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_to_a_session_that_has_moved_changes_nothing() {
    let server = TestServer::start().await;
    for number in 0..20 {
        let (target, mut client) = probed(&server).await;
        client.send("5").await;
        client.ask("CLIENTS", json!({"room": "r"})).await;
        assert_eq!(post(server.address, &target, "41/bus,").await.status, 400);
        server.publish("/bus", "r", json!(number));
        assert_eq!(client.next().await["message"], number);
        client.send("41/bus,").await;
    }
    server.stop().await;
}

/// Who was told to go and does not hang up is served no more, and cut at last.
#[tokio::test]
async fn who_is_closed_and_stays_is_cut() {
    let server = TestServer::start().await;
    let mut other = Client::connect(server.address, "/bus").await.unwrap();
    other.join("q").await;
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    client.join("r").await;
    client.join("q").await;
    for _ in 0..700 {
        server.publish("/bus", "r", json!("x".repeat(60_000)));
        tokio::task::yield_now().await;
    }
    // Beside what reads close frames, and answers them.
    let mut raw = client.into_stream();
    let mut told = Vec::new();
    raw.read_to_end(&mut told).await.unwrap();
    assert!(told.ends_with(b"too_slow"));
    let notify = r#"42/bus,9["NOTIFY",{"room":"q","message":1}]"#;
    raw.write_all(&masked(notify)).await.unwrap();
    server.publish("/bus", "q", json!(2));
    assert_eq!(other.next().await["message"], 2, "it was heard");
    for _ in 0..2 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15)).await;
        tokio::time::resume();
        // The heartbeat is not what ends it.
        let _ = raw.write_all(&masked("3")).await;
        other.send("3").await;
        other.ask("CLIENTS", json!({"room": "q"})).await;
    }
    let gone = async {
        while server.hub.client_count() > 1 {
            other.ask("CLIENTS", json!({"room": "q"})).await;
        }
    };
    timeout(SOON, gone).await.expect("it stays");
    server.stop().await;
}

/// A text frame of a client, masked by nothing.
fn masked(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// OkHttp, under Java's SDK, reads nothing behind a close frame.
#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_that_is_deaf_to_close_frames_sees_a_plain_end() {
    let server = TestServer::start().await;
    let agents = [
        ("okhttp/3.12.12", None),
        ("python-requests/2.34.2", None),
        ("node", Some(1001)),
    ];
    let mut clients = Vec::new();
    for (agent, code) in agents {
        let mut client = Client::websocket_as(server.address, "EIO=4", agent).await;
        client.packet().await.unwrap();
        client.set_namespace("/bus");
        client.send("40/bus,").await;
        client.connected().await.unwrap();
        client.join("r").await;
        clients.push((client, code));
    }
    let stopping = server.stop();
    let ends = async {
        for (mut client, code) in clients {
            assert_eq!(client.event().await[1]["code"], "stopping");
            assert_eq!(client.close_code().await, code);
        }
    };
    tokio::join!(stopping, ends);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_polls_too_seldom_has_to_begin_anew() {
    let server = TestServer::start().await;
    let target = open(&server, 4).await;
    let body = ["40/bus,", JOIN].join("\u{1e}");
    post(server.address, &target, &body).await;
    poll_until(&server, &target, JOINED).await;
    for _ in 0..1_000 {
        server.publish("/bus", "r", json!("x".repeat(20_000)));
    }
    // It may still be told what the engine holds, but then no more.
    let mut status = 200;
    while status == 200 {
        status = get(server.address, &target, "").await.status;
    }
    assert_eq!(status, 400);
    assert_eq!(post(server.address, &target, "3").await.status, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_and_given_back() {
    let server = TestServer::start_with(&["--max-connections", "5"]).await;
    let target = "/socket.io/?EIO=4&transport=polling";
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(open(&server, 4).await);
    }
    assert_eq!(get(server.address, target, "").await.status, 503);
    assert_eq!(get(server.address, "/health", "").await.status, 200);
    for session in &opened {
        assert_eq!(post(server.address, session, "1").await.status, 200);
    }
    // The engine forgets them in tasks of its own.
    while get(server.address, target, "").await.status != 200 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_said_in_the_close_frame() {
    let server = TestServer::start().await;
    let mut plain = Client::connect(server.address, "/bus").await.unwrap();
    plain.join("r").await;
    let mut upgraded = upgraded(&server).await;
    let stopped = tokio::spawn(server.stop());
    for client in [&mut plain, &mut upgraded] {
        assert_eq!(client.close_frame().await, (1001, "stopping".to_owned()));
    }
    assert_eq!(stopped.await.unwrap().cut, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_counts_as_sent() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address, "/metadata").await.unwrap();
    let long = "x".repeat(10_000);
    let begun = Instant::now();
    // The burst, and what the rate allows in one second.
    for _ in 0..85 {
        client.emit(&long, json!({})).await;
        let told = client.event().await;
        assert!(told[1]["event"].as_str().unwrap().len() <= 64);
        assert_eq!(told[1]["code"], "unknown_event");
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    server.stop().await;
}

/// What waits for a client that polls too seldom is bounded in bytes, as on a WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_polls_is_closed_before_it_costs_much() {
    let server = TestServer::start().await;
    let target = open(&server, 4).await;
    let body = ["40/bus,", JOIN].join("\u{1e}");
    assert_eq!(post(server.address, &target, body).await.status, 200);
    assert_eq!(server.hub.client_count(), 1);
    let message = "x".repeat(60_000);
    // Far from as many packets as may wait: their bytes count.
    for _ in 0..FRAME_BYTES_MOST / message.len() + 2 {
        server.publish("/bus", "r", json!(message));
    }
    let polled = get(server.address, &target, "").await;
    assert_eq!(polled.status, 400, "{:.100}", polled.body);
    server.stop().await;
}

/// A phone on a slow link that has joined a room with much history reads it for minutes, and
/// is read meanwhile: else its heartbeat would fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_much_to_read_is_still_read() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    client.join("r").await;
    client.join("other").await;
    let mut other = Client::connect(server.address, "/bus").await.unwrap();
    other.join("other").await;
    // More than the kernel takes, and than half of the events that may wait.
    for number in 0..400 {
        server.publish("/bus", "r", json!(["x".repeat(9_000), number]));
    }
    let notify = json!({"room": "other", "message": "still here"});
    client.emit("NOTIFY", notify).await;
    assert_eq!(other.next().await["message"], "still here");
    server.stop().await;
}

/// Only the CONNECT to a namespace that there is is answered by a task of the engine's, which
/// has to be waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_connect_to_an_unknown_namespace_holds_nothing_up() {
    let server = TestServer::start().await;
    let long = format!("40/{},", "a".repeat(250));
    for unknown in ["40/bus?x=1,", "40/nope?y,", "40/nope,", &long] {
        let mut client = Client::open(server.address).await;
        client
            .send_at_once(&[unknown.to_owned(), "40/bus,".to_owned()])
            .await;
        let answered = async { while !client.packet().await.unwrap().starts_with("40/bus,") {} };
        // Less than a client is held back for an answer.
        let soon = timeout(Duration::from_secs(8), answered).await;
        soon.unwrap_or_else(|_| panic!("{unknown}"));
    }
    server.stop().await;
}

/// What waits for all clients that poll is bounded as well: those with most of it are closed.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_poll_share_a_bound() {
    const CLIENTS: usize = 30;
    let server = TestServer::start().await;
    for _ in 0..CLIENTS {
        let target = open(&server, 4).await;
        let body = ["40/bus,", JOIN].join("\u{1e}");
        assert_eq!(post(server.address, &target, &body).await.status, 200);
    }
    assert_eq!(server.hub.client_count(), CLIENTS);
    let message = "x".repeat(60_000);
    // Less than one of them may have, and more than all may together.
    for _ in 0..60 {
        server.publish("/bus", "r", json!(message));
    }
    let closed = async {
        while server.hub.client_count() == CLIENTS {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, closed).await.expect("all stay");
    server.stop().await;
}

/// The answer to a ping waits behind the events of a client that sends many.
#[tokio::test]
async fn events_show_that_a_client_is_alive() {
    let pass = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    for eio in [3, 4] {
        let server = TestServer::start().await;
        let mut other = Client::connect(server.address, "/bus").await.unwrap();
        other.join("r").await;
        let mut client = Client::open_eio(server.address, eio).await;
        client.send("40/bus,").await;
        let join = r#"42/bus,["JOIN",{"room":"r","name":"busy"}]"#;
        client.send(join).await;
        // It reads nothing, and so answers no ping.
        for number in 0..12 {
            let notify = json!(["NOTIFY", {"room": "r", "message": number}]);
            client.send(format!("42/bus,{notify}")).await;
            assert_eq!(other.next().await["message"], number, "EIO {eio}");
            other.ask("CLIENTS", json!({"room": "r"})).await;
            pass(9).await;
        }
        assert_eq!(server.hub.client_count(), 2, "EIO {eio}");
        let mut silent_for = 0;
        while server.hub.client_count() > 1 {
            assert!(silent_for < 90, "EIO {eio}: a silent client stays");
            other.ask("CLIENTS", json!({"room": "r"})).await;
            pass(5).await;
            silent_for += 5;
        }
        server.stop().await;
    }
}
