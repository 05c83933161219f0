//! The attacks: what each of them sends, how often, and what it does not read.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peer::{Target, frame, text};
use crate::client::SOON;
use crate::http::posted;

/// How many bytes an attacker writes at once.
const CHUNK: usize = 4 * 1024;

/// The longest body of a POST that the server reads, in bytes.
const LONG: usize = 10 << 20;

/// How many connections a crowd of attackers has.
const CROWD: usize = 200;

#[derive(Clone, Copy, Debug)]
pub enum Attack {
    /// Polling bodies whose length ends inside a surrogate pair.
    SurrogatePosts,
    /// Pings, and the pongs are not read.
    UnreadPings(Transport),
    /// Pings, and the pongs are read.
    Pings(Transport),
    /// Pongs that nobody has asked for.
    Pongs(Transport),
    /// A message in fragments that are empty.
    EmptyFragments(Transport),
    /// Events that are refused; the answers are not read.
    UnreadErrors,
    /// Events that are refused; the answers are read.
    Errors,
    /// CONNECT, JOIN, NOTIFY and DISCONNECT, again and again.
    Reconnects,
    /// CLIENTS in a room; the answers are not read.
    UnreadClients,
    /// Rooms that are joined once and left.
    Rooms,
    /// A client of a lobby that comes and goes among others.
    Lobby,
    /// Request heads that never end, on every port.
    SlowHeads,
    /// Messages of 2 MiB that never end.
    UnfinishedMessages,
    /// Polling sessions that nobody polls.
    Sessions,
    /// Connections that are opened and closed at once.
    Connections,
    /// Pipelined requests whose answers are not read.
    UnreadAnswers,
    /// Subscribers of every transport that do not read, of a busy room.
    UnreadEvents,
    /// A polling session that posts events and never polls.
    UnreadPolls,
    /// Long POST bodies of many polling sessions, each without its last byte.
    UnfinishedPosts,
    /// Long POST bodies of very short packets.
    LongPosts,
    /// Bytes that are no protocol, on every port.
    Noise,
    /// Pings one byte at a time, each in a TLS record of its own.
    TinyRecords,
}

/// By what a WebSocket is opened.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    SocketIo,
    Raw,
    Push,
    Webhook,
}

use Attack::*;
use Transport::*;

pub const ALL: [Attack; 31] = [
    SurrogatePosts,
    UnreadPings(SocketIo),
    UnreadPings(Raw),
    UnreadPings(Push),
    UnreadPings(Webhook),
    Pings(SocketIo),
    Pings(Raw),
    Pings(Push),
    Pings(Webhook),
    Pongs(SocketIo),
    Pongs(Raw),
    EmptyFragments(SocketIo),
    EmptyFragments(Raw),
    EmptyFragments(Push),
    EmptyFragments(Webhook),
    UnreadErrors,
    Errors,
    Reconnects,
    UnreadClients,
    Rooms,
    Lobby,
    SlowHeads,
    UnreadAnswers,
    UnreadEvents,
    UnfinishedMessages,
    UnreadPolls,
    UnfinishedPosts,
    LongPosts,
    Noise,
    // Last: they use up what one address may open.
    Sessions,
    Connections,
];

pub const WITH_TLS: [Attack; 13] = [
    TinyRecords,
    UnreadPings(SocketIo),
    UnreadPings(Raw),
    Pings(SocketIo),
    Pings(Raw),
    EmptyFragments(SocketIo),
    EmptyFragments(Raw),
    EmptyFragments(Webhook),
    UnreadErrors,
    Errors,
    SlowHeads,
    UnreadEvents,
    Noise,
];

impl Transport {
    fn port(self, target: &Target) -> SocketAddr {
        match self {
            SocketIo | Raw => target.main,
            Push => target.push_ws,
            Webhook => target.webhook,
        }
    }

    fn path(self) -> &'static str {
        match self {
            SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Raw => "/api/?target=metadata",
            Push | Webhook => "/",
        }
    }
}

const JOIN: &str = r#"42/bus,1["JOIN",{"room":"r","name":"a"}]"#;

impl Attack {
    /// Begins it; it goes on in tasks until `stop`.
    pub async fn begin(self, target: &Target, stop: &CancellationToken, tasks: &TaskTracker) {
        let attackers = match self {
            SlowHeads | UnreadEvents | Noise => 1,
            // Two, for each of them could keep a core.
            _ => 2,
        };
        for number in 0..attackers {
            let (target, stop) = (target.clone(), stop.clone());
            tasks.spawn(async move {
                let attack = self.go_on(&target, number);
                // A server that stops, or refuses one connection more, ends it too.
                let _ = stop.run_until_cancelled(attack).await;
            });
        }
    }

    async fn go_on(self, target: &Target, number: usize) -> io::Result<()> {
        match self {
            SurrogatePosts => loop {
                let session = session(target, 3).await?;
                let body = posted(&session, "", "1:\u{1d11e}x");
                target.ask(target.main, &body).await?;
            },
            UnreadPings(transport) => {
                let ping = frame(0x89, &[7; 100]);
                flood(target, transport, &[], &ping, false).await
            }
            Pings(transport) => flood(target, transport, &[], &frame(0x89, b""), true).await,
            Pongs(transport) => flood(target, transport, &[], &frame(0x8a, b""), true).await,
            EmptyFragments(transport) => {
                let first = frame(0x01, b"4");
                flood(target, transport, &[first], &frame(0x00, b""), true).await
            }
            UnreadErrors => {
                let event = text(r#"42/bus,["NO"]"#);
                flood(target, SocketIo, &[text("40/bus,")], &event, false).await
            }
            Errors => {
                let event = text(r#"42/bus,["NO"]"#);
                flood(target, SocketIo, &[text("40/bus,")], &event, true).await
            }
            Reconnects => {
                let notify = r#"42/bus,["NOTIFY",{"room":"r","message":1}]"#;
                let round = [
                    text("40/bus,"),
                    text(JOIN),
                    text(notify).repeat(63),
                    text("41/bus,"),
                ]
                .concat();
                flood(target, SocketIo, &[], &round, true).await
            }
            UnreadClients => {
                let clients = text(r#"42/bus,2["CLIENTS",{"room":"r"}]"#);
                let join = [text("40/bus,"), text(JOIN)];
                flood(target, SocketIo, &join, &clients, false).await
            }
            Rooms => {
                let rooms = (0..2_000).flat_map(|room| {
                    let room = format!("{number}-{room}");
                    let join = format!(r#"42/bus,["JOIN",{{"room":"{room}","name":"a"}}]"#);
                    let leave = format!(r#"42/bus,["LEAVE",{{"room":"{room}"}}]"#);
                    [text(&join), text(&leave)].concat()
                });
                let rooms: Vec<_> = rooms.collect();
                flood(target, SocketIo, &[text("40/bus,")], &rooms, true).await
            }
            Lobby => {
                let mut peers = Vec::new();
                for _ in 0..CROWD / 4 {
                    let path = format!("{}&lobbyId=l", SocketIo.path());
                    let mut peer = target.websocket(target.main, &path).await?;
                    write(&mut peer, &text("40/lobby,")).await;
                    peers.push(peer);
                }
                let round = [
                    text(r#"42/lobby,["JOIN","l"]"#),
                    text(r#"42/lobby,["LEAVE","l"]"#),
                ]
                .concat();
                flood(target, SocketIo, &[text("40/lobby,")], &round, true).await
            }
            SlowHeads => {
                let mut slow = Vec::new();
                for port in target.ports() {
                    for _ in 0..CROWD / 5 {
                        slow.push(target.connect(port).await?);
                    }
                }
                let tcp = tokio::net::TcpStream::connect(target.zetta).await?;
                slow.push(Box::new(tcp));
                for byte in b"GET / HTTP/1.1\r\nX: "
                    .iter()
                    .chain(std::iter::repeat(&b'x'))
                {
                    for connection in &mut slow {
                        // The server has cut it.
                        let _ = connection.write_all(&[*byte]).await;
                        let _ = connection.flush().await;
                    }
                }
                Ok(())
            }
            Sessions => loop {
                session(target, 4).await?;
            },
            Connections => loop {
                drop(tokio::net::TcpStream::connect(target.main).await?);
            },
            UnreadAnswers => {
                let request = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
                let mut unread = Vec::new();
                loop {
                    let mut connection = target.connect(target.main).await?;
                    if unread.len() < CROWD / 10 {
                        write(&mut connection, &request.repeat(1_000)).await;
                        unread.push(connection);
                    } else {
                        std::future::pending().await
                    }
                }
            }
            UnreadEvents => {
                let mut unread = Vec::new();
                for _ in 0..CROWD / 4 {
                    let events = "GET /events/bus/r HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    let mut sse = target.connect(target.main).await?;
                    write(&mut sse, events.as_bytes()).await;
                    let mut member = target.websocket(target.main, SocketIo.path()).await?;
                    write(&mut member, &[text("40/bus,"), text(JOIN)].concat()).await;
                    let raw = target
                        .websocket(target.main, "/ws?target=bus&room=r")
                        .await?;
                    unread.extend([sse, member, raw]);
                }
                let message = "x".repeat(30_000);
                let notify = format!(r#"42/bus,["NOTIFY",{{"room":"r","message":"{message}"}}]"#);
                let join = [text("40/bus,"), text(JOIN)];
                flood(target, SocketIo, &join, &text(&notify), true).await
            }
            UnreadPolls => {
                let session = session(target, 4).await?;
                target
                    .ask(target.main, &posted(&session, "", "40/bus,"))
                    .await?;
                target.ask(target.main, &posted(&session, "", JOIN)).await?;
                let clients = [r#"42/bus,2["CLIENTS",{"room":"r"}]"#; 100].join("\u{1e}");
                loop {
                    let body = posted(&session, "", &clients);
                    target.ask(target.main, &body).await?;
                }
            }
            UnfinishedPosts => {
                let mut unfinished = Vec::new();
                for _ in 0..CROWD / 10 {
                    let session = session(target, 4).await?;
                    let post = posted(&session, "", "3\u{1e}".repeat(LONG / 2));
                    let mut connection = target.connect(target.main).await?;
                    unfinished.push(tokio::spawn(async move {
                        write(&mut connection, &post[..post.len() - 1]).await;
                        // Until the server closes the connection.
                        let _ = connection.read(&mut [0; 1024]).await;
                    }));
                }
                for post in unfinished {
                    let _ = post.await;
                }
                Ok(())
            }
            UnfinishedMessages => {
                let mut unfinished = Vec::new();
                // Almost 2 MiB of a message that says it has 2 MiB.
                let mut message = vec![0x81, 0x80 | 127];
                message.extend((2_u64 << 20).to_be_bytes());
                message.extend(vec![0; 1_900_000]);
                for _ in 0..CROWD / 2 {
                    let mut stream = target.websocket(target.main, SocketIo.path()).await?;
                    let message = message.clone();
                    unfinished.push(tokio::spawn(async move {
                        write(&mut stream, &message).await;
                        // Until the server cuts it.
                        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
                    }));
                }
                for message in unfinished {
                    let _ = message.await;
                }
                Ok(())
            }
            LongPosts => loop {
                let session = session(target, 4).await?;
                let body = "3\u{1e}".repeat(LONG / 2);
                let body = posted(&session, "", body);
                target.ask(target.main, &body).await?;
            },
            TinyRecords => loop {
                let mut stream = target.websocket(target.main, SocketIo.path()).await?;
                let pings = frame(0x89, b"").repeat(CHUNK);
                for byte in pings {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                }
            },
            Noise => loop {
                let mut noise = CHUNK as u32;
                for port in [&target.ports()[..], &[target.zetta]].concat() {
                    let bytes: Vec<_> = (0..CHUNK)
                        .map(|_| {
                            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                            (noise >> 24) as u8
                        })
                        .collect();
                    let mut tcp = tokio::net::TcpStream::connect(port).await?;
                    // The server may have hung up by then.
                    let _ = tcp.write_all(&bytes).await;
                    let _ = timeout(SOON, tcp.read(&mut [0; 1024])).await;
                }
            },
        }
    }
}

/// Opens a polling session; the target of its requests.
pub async fn session(target: &Target, version: u8) -> io::Result<String> {
    let path = format!("/socket.io/?EIO={version}&transport=polling");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = target.ask(target.main, request.as_bytes()).await?;
    let sid = answer
        .split_once(r#""sid":""#)
        .and_then(|(_, rest)| rest.split_once('"'));
    // None where the server takes no more sessions.
    let sid = sid.map_or("AAAAAAAAAAAAAAAA", |(sid, _)| sid);
    Ok(format!("{path}&sid={sid}"))
}

async fn write(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    // The server may have closed it: an attacker does not care.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

/// Opens WebSockets and writes the same again and again, as fast as the server reads it.
async fn flood(
    target: &Target,
    by: Transport,
    first: &[Vec<u8>],
    again: &[u8],
    reads: bool,
) -> io::Result<()> {
    let again = again.repeat(CHUNK.div_ceil(again.len()));
    loop {
        let stream = target.websocket(by.port(target), by.path()).await?;
        let (mut reader, mut writer) = split(stream);
        write(&mut writer, &first.concat()).await;
        let reading = async {
            let mut waste = vec![0; 64 * 1024];
            while reads && reader.read(&mut waste).await.is_ok_and(|read| read > 0) {}
            if !reads {
                std::future::pending::<()>().await;
            }
        };
        let writing = async {
            while writer.write_all(&again).await.is_ok() && writer.flush().await.is_ok() {}
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    }
}
