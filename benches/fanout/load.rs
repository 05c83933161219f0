//! The load: many clients and one publisher, in one thread. Everything that
//! arrives is checked; what is missing, or out of order, is an error.

mod coming;
mod patience;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mio::{Poll, Token};

use super::client::{Client, Heard};
use super::events::Events;
use super::publisher::Publisher;
use super::server::Server;
use super::speech::ROOM;
use super::transport::Transport;
use patience::Patience;

/// The first publisher's token; those of the clients count from 0.
const PUBLISHER: Token = Token(usize::MAX / 2);

/// How long the poll waits when nothing else is due.
const IDLE: Duration = Duration::from_millis(50);

/// Many clients, spread over servers that are one.
pub struct Load<'a> {
    servers: &'a [Server],
    rooms: usize,
    poll: Poll,
    clients: Vec<Client>,
    publishers: Vec<Publisher>,
    /// At how many of the servers each event is published.
    published_at: usize,
    events: Events,
    /// Clients that are in the room.
    joined: usize,
    /// Those of them who have the latest event.
    abreast: usize,
    /// Events that have been delivered, and found right.
    pub delivered: usize,
    /// How long deliveries took, by the server.
    ages: Vec<Vec<Duration>>,
    scratch: Vec<u8>,
}

impl<'a> Load<'a> {
    /// No client yet; all of them will be in one room.
    pub fn new(servers: &'a [Server]) -> anyhow::Result<Self> {
        Self::in_rooms(servers, 1)
    }

    /// No client yet; each will be in the next of these rooms in turn.
    pub fn in_rooms(servers: &'a [Server], rooms: usize) -> anyhow::Result<Self> {
        let first = servers.first().context("no server")?;
        Ok(Self {
            servers,
            rooms,
            poll: Poll::new()?,
            clients: Vec::new(),
            publishers: Vec::new(),
            published_at: 1,
            events: Events::new(first.speech()),
            joined: 0,
            abreast: 0,
            delivered: 0,
            ages: vec![Vec::new(); servers.len()],
            scratch: vec![0; 64 * 1024],
        })
    }

    /// The servers know nothing of each other: each is told of every event.
    pub fn apart(self) -> Self {
        Self {
            published_at: self.servers.len(),
            ..self
        }
    }

    /// Publishes this many events, each as soon as everybody has the one before.
    pub fn saturate(&mut self, events: usize) -> anyhow::Result<()> {
        self.call_publisher()?;
        for _ in 0..events {
            self.publish_to_all()?;
        }
        Ok(())
    }

    /// Publishes an event in each room, one after the other, and waits until everybody
    /// has that of theirs.
    pub fn publish_everywhere(&mut self) -> anyhow::Result<()> {
        self.call_publisher()?;
        let message = self.events.next().to_owned();
        self.abreast = 0;
        for room in 0..self.rooms {
            self.wait_for(Self::answered)?;
            let request = self.servers[0].publish(&self.room(room), &message);
            self.publishers[0].publish(&request)?;
        }
        self.wait_for(Self::all_have_all)
    }

    /// Publishes this many events at a steady rate; returns how long each took
    /// to each client, sorted, by the server that it is at.
    pub fn paced(&mut self, per_second: f64, events: u32) -> anyhow::Result<Vec<Vec<Duration>>> {
        self.call_publisher()?;
        self.ages.iter_mut().for_each(Vec::clear);
        let began = Instant::now();
        for number in 0..events {
            let at = began + Duration::from_secs_f64(f64::from(number) / per_second);
            while Instant::now() < at {
                self.turn(at.saturating_duration_since(Instant::now()))?;
            }
            self.wait_for(Self::answered)?;
            self.publish()?;
        }
        self.wait_for(Self::all_have_all)?;
        self.ages.iter_mut().for_each(|ages| ages.sort_unstable());
        Ok(self.ages.clone())
    }

    /// Lets time pass; pings are answered meanwhile.
    pub fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        // Servers close their connections meanwhile.
        self.publishers.clear();
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// The room of this client.
    fn room(&self, index: usize) -> String {
        match self.rooms {
            1 => ROOM.to_owned(),
            rooms => format!("{ROOM}{}", index % rooms),
        }
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let index = self.clients.len();
        let server = &self.servers[index % self.servers.len()];
        let registry = self.poll.registry();
        let transport = Transport::connect(&server.clients, index, registry, Token(index))?;
        let room = self.room(index);
        let client = Client::new(transport, index, room, server);
        self.clients.push(client);
        Ok(())
    }

    /// Connections to publish over: new ones, since servers close those that were idle
    /// for long.
    fn call_publisher(&mut self) -> anyhow::Result<()> {
        self.publishers.clear();
        for (at, server) in self.servers[..self.published_at].iter().enumerate() {
            let token = Token(PUBLISHER.0 + at);
            let registry = self.poll.registry();
            let transport = Transport::connect(&server.publishers, 0, registry, token)?;
            self.publishers.push(Publisher::new(transport));
        }
        let patience = Patience::new("the publisher to be connected");
        while !self.publishers.iter().all(Publisher::connected) {
            self.turn(IDLE)?;
            patience.check(0, 1)?;
        }
        Ok(())
    }

    fn answered(&self) -> bool {
        self.publishers.iter().all(|publisher| publisher.answered)
    }

    fn all_have_all(&self) -> bool {
        self.answered() && self.abreast == self.clients.len()
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        self.abreast = 0;
        let message = self.events.next();
        for (publisher, server) in self.publishers.iter_mut().zip(self.servers) {
            publisher.publish(&server.publish(ROOM, message))?;
        }
        Ok(())
    }

    /// Publishes, and waits until everybody has it, and all before it.
    fn publish_to_all(&mut self) -> anyhow::Result<()> {
        self.wait_for(Self::answered)?;
        self.publish()?;
        self.wait_for(Self::all_have_all)
    }

    fn wait_for(&mut self, done: fn(&Self) -> bool) -> anyhow::Result<()> {
        let patience = Patience::new("an event to reach all");
        while !done(self) {
            self.turn(IDLE)?;
            patience.check(self.abreast, self.clients.len())?;
        }
        Ok(())
    }

    /// Waits once for the sockets, and takes what they have.
    fn turn(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let mut ready = mio::Events::with_capacity(1024);
        if let Err(error) = self.poll.poll(&mut ready, Some(timeout)) {
            ensure!(error.kind() == std::io::ErrorKind::Interrupted, error);
        }
        let mut heard = Heard::default();
        for socket in &ready {
            let publisher = socket.token().0.checked_sub(PUBLISHER.0);
            if let Some(at) = publisher {
                if let Some(publisher) = self.publishers.get_mut(at) {
                    publisher.readable(&mut self.scratch)?;
                }
                continue;
            }
            let Some(client) = self.clients.get_mut(socket.token().0) else {
                continue;
            };
            let had_all = client.has(self.events.latest());
            if socket.is_writable() {
                client.writable()?;
            }
            client.readable(&mut self.scratch, &mut self.events, &mut heard)?;
            self.abreast += usize::from(!had_all && client.has(self.events.latest()));
            self.joined += usize::from(std::mem::take(&mut heard.joined));
            self.delivered += heard.ages.len();
            let server = socket.token().0 % self.servers.len();
            self.ages[server].append(&mut heard.ages);
        }
        Ok(())
    }
}
