//! The rooms that one address opens: their limit, and which empty ones are closed first.

use serde_json::json;

use crate::client::Client;
use crate::http::get;
use crate::server::TestServer;
use crate::source::Source;

const PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.1"];

/// A client of `/bus` at this address.
async fn client_of(server: &TestServer, address: &str) -> Client {
    let target = "/socket.io/?EIO=4&transport=websocket";
    let headers = [("x-forwarded-for", address)];
    let mut client = Client::websocket_at(server.address, target, &headers).await;
    client.packet().await.unwrap();
    client.set_namespace("/bus");
    client.send("40/bus,").await;
    client.connected().await.unwrap();
    client
}

async fn join(client: &mut Client, room: &str) -> String {
    let asked = json!({"room": room, "name": "a"});
    let told = client.ask("JOIN", asked).await;
    told["code"].as_str().unwrap_or("ok").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_opens_no_more_rooms_than_it_may() {
    let options = [&PROXY[..], &["--address-rooms", "4"]].concat();
    let server = TestServer::start_with(&options).await;
    let mut first = client_of(&server, "192.0.2.1").await;
    for room in ["a", "b", "c"] {
        assert_eq!(join(&mut first, room).await, "ok");
    }
    let mut second = client_of(&server, "192.0.2.1").await;
    assert_eq!(join(&mut second, "d").await, "ok");
    assert_eq!(join(&mut second, "e").await, "too_many_rooms");
    // Existing rooms can be joined, and other addresses can open their own.
    assert_eq!(join(&mut second, "a").await, "ok");
    let mut other = client_of(&server, "192.0.2.2").await;
    assert_eq!(join(&mut other, "e").await, "ok");
    // By every transport.
    let header = "X-Forwarded-For: 192.0.2.1\r\n";
    let listening = get(server.address, "/events/bus/f", header).await;
    assert_eq!(listening.status, 429, "{}", listening.body);
    let headers = [("x-forwarded-for", "192.0.2.1")];
    let target = "/ws?target=bus&room=f";
    let mut raw = Client::websocket_at(server.address, target, &headers).await;
    assert_eq!(raw.close_code().await, Some(1013));
    drop(raw);
    let mut source = Source::open(
        server.address,
        "/events/bus/g",
        "X-Forwarded-For: 192.0.2.3\r\n",
    )
    .await;
    assert_eq!(source.told().await.event, "joined");
    // A room that everybody has left is closed for a new one.
    second.ask("LEAVE", json!({"room": "d"})).await;
    assert_eq!(join(&mut second, "f").await, "ok");
    assert_eq!(join(&mut second, "d").await, "too_many_rooms");
    server.stop().await;
}
