//! Signals of one lobby peer to another that does not read: the sender gets `busy`, and the
//! receiver stays connected.

use serde_json::json;

use crate::client::Client;
use crate::lobby::Peer;
use crate::server::TestServer;

/// More than the buffers of the kernel and of the server hold for a peer that does not
/// read.
const SIGNALS: usize = 1_500;
const BYTES: usize = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_stays_and_its_sender_is_told() {
    let server = TestServer::start().await;
    let mut slow = Peer::come(&server, 4, "a").await;
    let mut anna = Peer::come(&server, 4, "a").await;
    let mut ben = Peer::come(&server, 4, "a").await;
    let body = "x".repeat(BYTES);
    let signal = |number| json!({"to": slow.id, "number": number, "b": body});
    let mut sent = Vec::new();
    let mut busy = 0;
    for number in 0..SIGNALS {
        let told = anna.client.ask("RTCSIGNAL", signal(number)).await;
        match told["code"].as_str() {
            None => sent.push(number),
            Some("busy") => busy += 1,
            Some(_) => panic!("{told}"),
        }
    }
    assert!(busy > 0, "all {SIGNALS} were taken");
    // Other senders are not affected.
    let told = ben.client.ask("RTCSIGNAL", signal(SIGNALS)).await;
    assert_eq!(told["status"], "ok", "{told}");
    sent.push(SIGNALS);
    let mut heard = Vec::new();
    while heard.len() < sent.len() {
        let [name, signal]: [serde_json::Value; 2] = next(&mut slow.client).await;
        if name == "RTCSIGNAL" {
            heard.push(signal["number"].as_u64().unwrap() as usize);
        }
    }
    assert_eq!(heard, sent, "what was accepted is delivered, in order");
    // Once the receiver has read, the sender can send again.
    let told = anna.client.ask("RTCSIGNAL", signal(0)).await;
    assert_eq!(told["status"], "ok", "{told}");
    server.stop().await;
}

async fn next(client: &mut Client) -> [serde_json::Value; 2] {
    serde_json::from_value(client.event().await).unwrap()
}
