//! One client of a room: what it says to get in, and what it hears there.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::events::Events;
use super::frame::{self, CLOSE, PING, PONG, TEXT};
use super::server::Server;
use super::speech::{Speech, Step, joined_behind};
use super::transport::Transport;

/// The rest of the upgrade's head; every server here takes it.
const UPGRADE: &str = "HTTP/1.1\r\n\
    Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// How far a client has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for the connection.
    Connecting,
    /// Waits for the 101.
    Upgrading,
    /// Waits for what the server says before it is in the room.
    Joining,
    /// Waits for events.
    Joined,
}

/// What happened to a client in one reading.
#[derive(Default)]
pub struct Heard {
    /// It is in the room from now on.
    pub joined: bool,
    /// The age of each event that it got.
    pub ages: Vec<Duration>,
}

/// A client.
pub struct Client {
    transport: Transport,
    stage: Stage,
    name: usize,
    room: String,
    speech: Speech,
    /// The floor puts a client into the room as it comes.
    floor: bool,
    /// What was read of a frame that is not all there.
    held: Vec<u8>,
    /// The number of the last event that it got, or that came before it.
    last: usize,
}

impl Client {
    /// A client on a connection that is only just begun.
    pub fn new(transport: Transport, name: usize, room: String, server: &Server) -> Self {
        Self {
            transport,
            stage: Stage::Connecting,
            name,
            room,
            speech: server.speech(),
            floor: server.is_floor(),
            held: Vec::new(),
            last: 0,
        }
    }

    /// Whether it is in the room and has every event there up to this one.
    pub fn has(&self, latest: usize) -> bool {
        self.stage == Stage::Joined && self.last == latest
    }

    /// The socket is writable: once, that is the news of being connected.
    pub fn writable(&mut self) -> anyhow::Result<()> {
        if self.stage != Stage::Connecting || !self.transport.connected()? {
            return Ok(());
        }
        if self.floor {
            self.stage = Stage::Joining;
        } else {
            let request = format!("GET {} {UPGRADE}", self.speech.target());
            self.transport.send(request.as_bytes())?;
            self.stage = Stage::Upgrading;
        }
        Ok(())
    }

    /// The socket is readable: takes all there is.
    pub fn readable(
        &mut self,
        scratch: &mut [u8],
        events: &mut Events,
        heard: &mut Heard,
    ) -> anyhow::Result<()> {
        if self.stage == Stage::Connecting {
            return Ok(());
        }
        loop {
            let read = match self.transport.read(scratch) {
                Ok(0) => bail!("client {} was cut off", self.name),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            if self.held.is_empty() {
                let left = self.take(&scratch[..read], now, events, heard)?;
                self.held.extend_from_slice(&scratch[read - left..read]);
            } else {
                let mut held = std::mem::take(&mut self.held);
                held.extend_from_slice(&scratch[..read]);
                let left = self.take(&held, now, events, heard)?;
                held.drain(..held.len() - left);
                self.held = held;
            }
            if read < scratch.len() && self.transport.short_read_is_all() {
                return Ok(());
            }
        }
    }

    /// Takes every whole frame; returns how many bytes are left.
    fn take(
        &mut self,
        mut bytes: &[u8],
        now: Instant,
        events: &mut Events,
        heard: &mut Heard,
    ) -> anyhow::Result<usize> {
        if self.stage == Stage::Upgrading {
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
                return Ok(bytes.len());
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(head.starts_with("HTTP/1.1 101 "), "no upgrade: {head}");
            self.stage = Stage::Joining;
            if self.speech == Speech::Raw {
                // It is told nothing else before the first event.
                self.join(0, heard);
            }
            bytes = &bytes[end + 4..];
        }
        while let Some((opcode, payload, rest)) = frame::split(bytes) {
            match opcode {
                TEXT => self.packet(payload, now, events, heard)?,
                PING => self.transport.send(&frame::masked(PONG, payload))?,
                CLOSE => bail!("client {} was closed", self.name),
                _ => bail!("client {} got a frame of kind {opcode}", self.name),
            }
            bytes = rest;
        }
        Ok(bytes.len())
    }

    fn packet(
        &mut self,
        packet: &[u8],
        now: Instant,
        events: &mut Events,
        heard: &mut Heard,
    ) -> anyhow::Result<()> {
        match self.stage {
            _ if packet == b"2" => self.say("3")?,
            Stage::Joined => {
                heard.ages.push(events.check(self.last + 1, packet, now)?);
                self.last += 1;
            }
            Stage::Joining if self.floor => {
                self.join(joined_behind(std::str::from_utf8(packet)?)?, heard);
            }
            Stage::Joining => match self.speech.step(packet, &self.room, self.name)? {
                Step::Say(words) => self.say(&words)?,
                Step::Joined(last) => self.join(last, heard),
            },
            _ => bail!("not expected: {}", String::from_utf8_lossy(packet)),
        }
        Ok(())
    }

    /// It is in the room, behind the event of this number.
    fn join(&mut self, last: usize, heard: &mut Heard) {
        self.last = last;
        self.stage = Stage::Joined;
        heard.joined = true;
    }

    fn say(&mut self, packet: &str) -> anyhow::Result<()> {
        Ok(self
            .transport
            .send(&frame::masked(TEXT, packet.as_bytes()))?)
    }
}
