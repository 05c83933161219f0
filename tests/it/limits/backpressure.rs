//! A client above its rate is read more slowly: all that it sends is delivered, in order.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::http::{post, posted};
use crate::polling::{framed, open, poll_until};
use crate::server::TestServer;

/// A namespace whose clients may send at this rate.
async fn server(per_second: u32, burst: u32) -> (TestServer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "protocol = \"room\"\npublish_from = \"anyone\"\n\
         [limits]\nevents_per_second = {per_second}\nburst = {burst}\n"
    );
    std::fs::write(folder.path().join("n.toml"), text).unwrap();
    let options = ["--namespaces", folder.path().to_str().unwrap()];
    (TestServer::start_with(&options).await, folder)
}

async fn listener(server: &TestServer) -> Client {
    let mut listener = Client::connect(server.address, "/n").await.unwrap();
    listener.join("r").await;
    listener
}

async fn receives_in_order(listener: &mut Client, count: usize) {
    for number in 0..count {
        assert_eq!(listener.next().await["message"], number);
    }
}

fn notify(number: usize) -> String {
    format!(r#"42/n,["NOTIFY",{{"room":"r","message":{number}}}]"#)
}

fn body(eio: u8, packets: &[String]) -> String {
    match eio {
        3 => framed(&packets.iter().map(String::as_str).collect::<Vec<_>>()),
        _ => packets.join("\u{1e}"),
    }
}

/// The rate of the namespace, and the least time that the events of the tests below take.
const PER_SECOND: u32 = 100;
const BURST: u32 = 20;
const SENT: usize = 150;
const LEAST: Duration = Duration::from_millis(1_250);

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_slowed_down_and_nothing_of_it_is_lost() {
    let (server, _folder) = server(PER_SECOND, BURST).await;
    let mut listener = listener(&server).await;
    for eio in [3, 4] {
        let mut sender = Client::open_eio(server.address, eio).await;
        if eio == 3 {
            assert_eq!(sender.packet().await.unwrap(), "40");
        }
        sender.set_namespace("/n");
        sender.send("40/n,").await;
        sender.connected().await.unwrap();
        let begun = Instant::now();
        let packets: Vec<_> = (0..SENT).map(notify).collect();
        sender.send_at_once(&packets).await;
        receives_in_order(&mut listener, SENT).await;
        assert!(begun.elapsed() >= LEAST, "{:?}", begun.elapsed());
        sender.emit("CLIENTS", json!({"room": "r"})).await;
        assert_eq!(sender.event().await[0], "CLIENTS", "no ERROR before");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_answered_later() {
    let (server, _folder) = server(PER_SECOND, BURST).await;
    let mut listener = listener(&server).await;
    // Packets between the events are no way round.
    for (eio, connects) in [(3, false), (4, false), (3, true), (4, true)] {
        let target = open(&server, eio).await;
        let connect = body(eio, &["40/n,".to_owned()]);
        assert_eq!(post(server.address, &target, connect).await.status, 200);
        let begun = Instant::now();
        let again = |number| connects && number % 10 == 0;
        let packets = (0..SENT).flat_map(|number| {
            let connect = again(number).then(|| "40/n,".to_owned());
            connect.into_iter().chain([notify(number)])
        });
        let packets: Vec<_> = packets.collect();
        let posted = slow_post(server.address, target, body(eio, &packets));
        let posted = tokio::spawn(posted);
        receives_in_order(&mut listener, SENT).await;
        assert!(begun.elapsed() >= LEAST, "{:?}", begun.elapsed());
        let answer = posted.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    server.stop().await;
}

/// A client, or a proxy, may not wait for the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_given_up_is_handled_whole() {
    let (server, _folder) = server(PER_SECOND, BURST).await;
    let mut listener = listener(&server).await;
    for eio in [3, 4] {
        let target = open(&server, eio).await;
        let connect = body(eio, &["40/n,".to_owned()]);
        assert_eq!(post(server.address, &target, connect).await.status, 200);
        let packets: Vec<_> = (0..SENT).map(notify).collect();
        let request = posted(&target, "", body(eio, &packets));
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        assert_eq!(listener.next().await["message"], 0);
        drop(stream);
        for number in 1..SENT {
            assert_eq!(listener.next().await["message"], number);
        }
    }
    server.stop().await;
}

/// SDKs that have probed a WebSocket upgrade to it when their POST is answered.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_waits_for_a_slow_post() {
    // More acks than a WebSocket's queue has room for, over more than ten seconds.
    const ACKS: usize = 620;
    let (server, _folder) = server(10, 510).await;
    let target = open(&server, 4).await;
    assert_eq!(post(server.address, &target, "40/n,").await.status, 200);
    poll_until(&server, &target, "40/n,").await;
    let (_, sid) = target.split_once("&sid=").unwrap();
    let mut client = Client::websocket(server.address, &format!("EIO=4&sid={sid}")).await;
    client.send("2probe").await;
    assert_eq!(client.packet().await.unwrap(), "3probe");
    let ask = |id| format!(r#"42/n,{id}["NOTIFY",{{"room":"r","message":1}}]"#);
    let packets: Vec<_> = (0..ACKS).map(ask).collect();
    let body = body(4, &packets);
    let answer = slow_post(server.address, target.clone(), body).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    client.send("5").await;
    for id in 0..ACKS {
        let ack = client.packet().await.unwrap();
        assert!(ack.starts_with(&format!("43/n,{id}[")), "{ack}");
    }
    server.stop().await;
}

/// The bodies of clients that send too fast stay in memory for long.
#[tokio::test(flavor = "multi_thread")]
async fn slow_posts_hold_up_no_other_large_post() {
    let (server, _folder) = server(PER_SECOND, BURST).await;
    let connect = async || {
        let target = open(&server, 4).await;
        assert_eq!(post(server.address, &target, "40/n,").await.status, 200);
        target
    };
    let text = "x".repeat(60_000);
    let large = format!(r#"42/n,["NOTIFY",{{"room":"r","message":"{text}"}}]"#);
    // All the memory for bodies that are handled at once.
    let mut slow = Vec::new();
    for _ in 0..3 {
        let (target, body) = (connect().await, [&large[..]; 130].join("\u{1e}"));
        slow.push(tokio::spawn(slow_post(server.address, target, body)));
    }
    let target = connect().await;
    let answer = post(server.address, &target, large).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(slow.iter().all(|slow| !slow.is_finished()));
    slow.iter().for_each(|slow| slow.abort());
    server.stop().await;
}

/// Heartbeats wait behind messages that are read slowly; the session stays open.
#[tokio::test]
async fn a_client_that_is_read_slowly_keeps_its_session() {
    /// At two events per second, they take more than twice the ping interval and timeout.
    const SLOW: usize = 200;
    let (server, _folder) = server(2, 2).await;
    let packets: Vec<_> = ["40/n,".to_owned()]
        .into_iter()
        .chain((0..SLOW).map(notify))
        .collect();
    for eio in [3, 4] {
        let mut listener = listener(&server).await;
        let mut sender = Client::open_eio(server.address, eio).await;
        sender.send_at_once(&packets).await;
        fast(receives_in_order(&mut listener, SLOW)).await;
    }
    for eio in [3, 4] {
        let mut listener = listener(&server).await;
        let target = open(&server, eio).await;
        let posted = tokio::spawn(slow_post(server.address, target, body(eio, &packets)));
        fast(receives_in_order(&mut listener, SLOW)).await;
        let answer = fast(posted).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "EIO {eio}: {answer}");
    }
    server.stop().await;
}

/// Awaits something while the clock runs fast.
async fn fast<T>(awaited: impl Future<Output = T>) -> T {
    let mut awaited = std::pin::pin!(awaited);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            result = &mut awaited => return result,
            _ = ticks.tick() => {
                tokio::time::pause();
                tokio::time::advance(Duration::from_millis(500)).await;
                tokio::time::resume();
                ticks.reset();
            }
        }
    }
}

/// As [`post`], for an answer that takes longer than anything else in these tests.
async fn slow_post(server: SocketAddr, target: String, body: String) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = posted(&target, "", body);
    stream.write_all(&request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
