//! How the clients of a load come in: some at a time, or all at once. Knows no event.

use std::time::{Duration, Instant};

use super::patience::Patience;
use super::{IDLE, Load};

/// Clients that are let in at a time, where it is not a storm.
const AT_A_TIME: usize = 128;

/// Connections that a storm begins before it looks what has come back.
const GUST: usize = 256;

impl Load<'_> {
    /// Lets this many clients in, some at a time.
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

    /// Lets this many clients connect and join all at once; returns how long it took
    /// until the last was in.
    pub fn rush(&mut self, clients: usize) -> anyhow::Result<Duration> {
        let patience = Patience::new("all to have joined");
        let began = Instant::now();
        while self.joined < clients {
            self.begin_some(clients)?;
            patience.check(self.joined, clients)?;
        }
        Ok(began.elapsed())
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
            let due = began.elapsed().as_secs_f64() * per_second >= f64::from(published);
            if due && self.answered() {
                self.publish()?;
                published += 1;
            }
            self.begin_some(clients)?;
            patience.check(self.joined, clients)?;
        }
        let took = began.elapsed();
        self.publish_to_all()?;
        Ok(took)
    }

    /// Begins connections of a storm, and takes what has come back.
    fn begin_some(&mut self, clients: usize) -> anyhow::Result<()> {
        for _ in self.clients.len()..clients.min(self.clients.len() + GUST) {
            self.begin()?;
        }
        let all_begun = self.clients.len() == clients;
        self.turn(if all_begun { IDLE / 10 } else { Duration::ZERO })
    }
}
