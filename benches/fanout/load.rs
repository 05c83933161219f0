//! The load: many clients and one publisher, in one thread. Everything that
//! arrives is checked; what is missing, or out of order, is an error.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mio::{Poll, Token};

use super::client::{Client, Heard};
use super::events::Events;
use super::publisher::Publisher;
use super::server::Server;
use super::transport::Transport;

/// The publisher's token; those of the clients count from 0.
const PUBLISHER: Token = Token(usize::MAX / 2);

/// Clients that are let in at a time, where it is not a storm.
const AT_A_TIME: usize = 128;

/// Connections that a storm begins before it looks what has come back.
const GUST: usize = 256;

/// The longest wait for anything; a server that needs more has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the poll waits when nothing else is due.
const IDLE: Duration = Duration::from_millis(50);

/// Many clients of one server.
pub struct Load<'a> {
    server: &'a Server,
    poll: Poll,
    clients: Vec<Client>,
    publisher: Option<Publisher>,
    events: Events,
    /// Clients that are in the room.
    joined: usize,
    /// Those of them who have the latest event.
    abreast: usize,
    /// Events that have been delivered, and found right.
    pub delivered: usize,
    ages: Vec<Duration>,
    scratch: Vec<u8>,
}

impl<'a> Load<'a> {
    /// No client yet.
    pub fn new(server: &'a Server) -> anyhow::Result<Self> {
        Ok(Self {
            server,
            poll: Poll::new()?,
            clients: Vec::new(),
            publisher: None,
            events: Events::new(server.speech()),
            joined: 0,
            abreast: 0,
            delivered: 0,
            ages: Vec::new(),
            scratch: vec![0; 64 * 1024],
        })
    }

    /// Lets this many clients into the room, some at a time.
    pub fn connect(&mut self, clients: usize) -> anyhow::Result<()> {
        let patience = Patience::new("all to have joined");
        while self.joined < clients {
            while self.clients.len() < clients && self.clients.len() - self.joined < AT_A_TIME {
                self.begin()?;
            }
            self.turn(IDLE)?;
            patience.check(self.joined, clients)?;
        }
        Ok(())
    }

    /// Lets this many clients connect and join all at once while events flow;
    /// returns how long it took until the last was in the room. Then each must
    /// have every event since it joined.
    pub fn storm(&mut self, clients: usize, per_second: f64) -> anyhow::Result<Duration> {
        self.call_publisher()?;
        let patience = Patience::new("all to have joined");
        let began = Instant::now();
        let mut published = 0;
        while self.joined < clients {
            for _ in self.clients.len()..clients.min(self.clients.len() + GUST) {
                self.begin()?;
            }
            let due = began.elapsed().as_secs_f64() * per_second >= f64::from(published);
            if due && self.answered() {
                self.publish()?;
                published += 1;
            }
            let all_begun = self.clients.len() == clients;
            self.turn(if all_begun { IDLE / 10 } else { Duration::ZERO })?;
            patience.check(self.joined, clients)?;
        }
        let took = began.elapsed();
        self.publish_to_all()?;
        Ok(took)
    }

    /// Publishes this many events, each as soon as everybody has the one before.
    pub fn saturate(&mut self, events: usize) -> anyhow::Result<()> {
        self.call_publisher()?;
        for _ in 0..events {
            self.publish_to_all()?;
        }
        Ok(())
    }

    /// Publishes this many events at a steady rate; returns how long each took
    /// to each client, sorted.
    pub fn paced(&mut self, per_second: f64, events: u32) -> anyhow::Result<Vec<Duration>> {
        self.call_publisher()?;
        self.ages.clear();
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
        let mut ages = std::mem::take(&mut self.ages);
        ages.sort_unstable();
        Ok(ages)
    }

    /// Lets time pass; pings are answered meanwhile.
    pub fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let index = self.clients.len();
        let (peer, registry) = (&self.server.clients, self.poll.registry());
        let transport = Transport::connect(peer, index, registry, Token(index))?;
        let client = Client::new(transport, index, self.server);
        self.clients.push(client);
        Ok(())
    }

    /// A connection to publish over: a new one, since servers close those that
    /// were idle for long.
    fn call_publisher(&mut self) -> anyhow::Result<()> {
        let (peer, registry) = (&self.server.publishers, self.poll.registry());
        let transport = Transport::connect(peer, 0, registry, PUBLISHER)?;
        self.publisher = Some(Publisher::new(transport));
        let patience = Patience::new("the publisher to be connected");
        while !self.publisher.as_ref().is_some_and(Publisher::connected) {
            self.turn(IDLE)?;
            patience.check(0, 1)?;
        }
        Ok(())
    }

    fn answered(&self) -> bool {
        self.publisher.as_ref().is_some_and(|p| p.answered)
    }

    fn all_have_all(&self) -> bool {
        self.answered() && self.abreast == self.clients.len()
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let publisher = self.publisher.as_mut().context("no publisher")?;
        self.abreast = 0;
        publisher.publish(&self.server.publish(self.events.next()))
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
            if socket.token() == PUBLISHER {
                if let Some(publisher) = &mut self.publisher {
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
            self.ages.append(&mut heard.ages);
        }
        Ok(())
    }
}

/// A wait that ends.
struct Patience(Instant, &'static str);

impl Patience {
    fn new(what: &'static str) -> Self {
        Self(Instant::now() + PATIENCE, what)
    }

    fn check(&self, done: usize, of: usize) -> anyhow::Result<()> {
        let Self(until, what) = self;
        ensure!(
            Instant::now() < *until,
            "waited {} s for {what}: {done} of {of}",
            PATIENCE.as_secs()
        );
        Ok(())
    }
}
