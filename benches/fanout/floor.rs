//! The floor: a process that writes one finished frame to every socket, in a
//! loop, with one `send(2)` each. What a kernel charges for that is what no
//! server gets below.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::ensure;
use socket2::{Domain, Socket, Type};

use super::frame::{self, TEXT};
use super::publisher::whole;
use super::speech::Speech;

/// As many waiting connections as the server lets wait.
const BACKLOG: i32 = 4096;

/// Runs until it is killed. Every connection to the first port is in the room;
/// every request on the second is published there, as a door says it.
pub fn run(speech: Speech) -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let (clients, publishers) = (listen()?, listen()?);
    eprintln!("clients: {}", clients.local_addr()?);
    eprintln!("publish: {}", publishers.local_addr()?);
    let room = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let accepting = scope.spawn(|| accept(&clients, &room));
        let mut number = 0;
        for publisher in publishers.incoming() {
            publish(publisher?, &room, &mut number, speech)?;
        }
        accepting.join().unwrap_or(Ok(()))
    })
}

fn listen() -> anyhow::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, room: &Mutex<Vec<TcpStream>>) -> anyhow::Result<()> {
    let welcome = frame::plain(TEXT, br#"43/bus,0[{"status":"ok","offset":"floor-0"}]"#);
    for client in listener.incoming() {
        let mut client = client?;
        client.set_nodelay(true)?;
        client.write_all(&welcome)?;
        client.set_nonblocking(true)?;
        lock(room).push(client);
    }
    Ok(())
}

/// Publishes what comes over this connection, one request after the other.
fn publish(
    mut publisher: TcpStream,
    room: &Mutex<Vec<TcpStream>>,
    number: &mut usize,
    speech: Speech,
) -> anyhow::Result<()> {
    publisher.set_nodelay(true)?;
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = publisher.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
        while let Some(end) = whole(&request)? {
            *number += 1;
            let head = request.windows(4).position(|w| w == b"\r\n\r\n");
            let body = String::from_utf8_lossy(&request[head.unwrap_or(0) + 4..end]);
            let frame = frame::plain(TEXT, speech.event(&body, *number).as_bytes());
            // std's `write` on a socket is `send(2)`.
            for mut client in lock(room).iter() {
                ensure!(client.write(&frame)? == frame.len(), "a client is behind");
            }
            publisher.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")?;
            request.drain(..end);
        }
    }
}

fn lock(room: &Mutex<Vec<TcpStream>>) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}
