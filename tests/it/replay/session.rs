//! A session of an SDK that is replayed, by HTTP or by a WebSocket, in the forms
//! that its script has.

use std::collections::VecDeque;

use tokio::net::TcpStream;

use super::Script;
use crate::client::Client;
use crate::conformance::packets;
use crate::http::{Answer, ask};
use crate::polling::framed;
use crate::server::TestServer;

pub struct Session<'a> {
    server: &'a TestServer,
    script: &'static Script,
    /// Named as the server has said; by polling from the beginning.
    sid: String,
    /// Until then it polls.
    websocket: Option<Box<Client>>,
    /// What came and was not yet asked for.
    heard: VecDeque<String>,
}

impl<'a> Session<'a> {
    pub async fn open(server: &'a TestServer, script: &'static Script) -> Self {
        let mut session = Self {
            server,
            script,
            sid: String::new(),
            websocket: None,
            heard: VecDeque::new(),
        };
        if script.target.contains("transport=websocket") {
            session.websocket = Some(session.websocket(script.target).await);
            return session;
        }
        let opened = session.asks("GET", "").await;
        session.take(&opened);
        let hello = &session.heard[0];
        let sid = hello.split_once(r#""sid":""#).unwrap().1;
        session.sid = format!("&sid={}", sid.split('"').next().unwrap());
        session
    }

    async fn websocket(&self, target: &str) -> Box<Client> {
        let target = format!("{target}{}", self.sid);
        let (server, headers) = (self.server.address, self.script.headers);
        Box::new(Client::websocket_at(server, &target, headers).await)
    }

    pub async fn says(&mut self, packets: &[&str]) {
        let Some(client) = &mut self.websocket else {
            let body = match self.script.eio {
                3 => framed(packets),
                _ => packets.join("\u{1e}"),
            };
            let posted = self.asks("POST", &body).await;
            let said = (posted.status, posted.body.as_str());
            assert_eq!(said, (200, "ok"), "{}: {body}", self.script.sdk);
            return;
        };
        for packet in packets {
            client.send(*packet).await;
        }
    }

    /// Waits for a packet that begins so; one of v4 answers pings meanwhile.
    pub async fn hears(&mut self, start: &str) {
        let mut others = Vec::new();
        loop {
            let Some(packet) = self.packet().await else {
                panic!("{}: {start} not in {others:?}", self.script.sdk);
            };
            if packet.starts_with(start) {
                return;
            }
            if packet == "2" {
                self.says(&["3"]).await;
            }
            others.push(packet);
        }
    }

    /// Moves to a WebSocket: not before its poll has ended.
    pub async fn moves(&mut self, target: &str, packets: &[&str]) {
        let mut client = self.websocket(target).await;
        client.send("2probe").await;
        assert_eq!(client.any_packet().await.as_deref(), Some("3probe"));
        while !self.heard.iter().any(|packet| packet == "6") {
            let polled = self.asks("GET", "").await;
            self.take(&polled);
        }
        self.heard.retain(|packet| packet != "6");
        self.websocket = Some(client);
        self.says(packets).await;
    }

    pub async fn closes(&mut self, why: Option<(u16, &'static str)>) {
        let client = self.websocket.as_mut().expect("it has a WebSocket");
        client.close(why).await;
    }

    /// Nothing comes any more but what was under way.
    pub async fn ends(&mut self) {
        while self.packet().await.is_some() {}
    }

    /// The next packet; nothing once the session is over.
    async fn packet(&mut self) -> Option<String> {
        while self.heard.is_empty() {
            if let Some(client) = &mut self.websocket {
                return client.any_packet().await;
            }
            let polled = self.asks("GET", "").await;
            if polled.status == 400 {
                return None;
            }
            self.take(&polled);
        }
        self.heard.pop_front()
    }

    fn take(&mut self, polled: &Answer) {
        assert_eq!(polled.status, 200, "{}: {}", self.script.sdk, polled.body);
        self.heard.extend(packets(polled, self.script.eio));
    }

    /// One request with all that the SDK says in it.
    async fn asks(&self, method: &str, body: &str) -> Answer {
        let target = format!("{}{}", self.script.target, self.sid);
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n",
            self.server.address
        );
        for (name, value) in self.script.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            let length = body.len();
            head.push_str("Content-Type: text/plain; charset=UTF-8\r\n");
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        let request = format!("{head}Connection: close\r\n\r\n{body}");
        ask(
            TcpStream::connect(self.server.address).await.unwrap(),
            &request,
        )
        .await
    }
}
