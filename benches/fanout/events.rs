//! The events of a run: what was published when, and whether what a client got
//! is that.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::speech::Speech;

struct Event {
    at: Instant,
    message: String,
    /// What everybody at a server gets the same bytes of, once one has been read and
    /// found right: the others are compared with it.
    shared: Vec<Vec<u8>>,
}

/// Everything that was published, numbered from 1.
pub struct Events {
    speech: Speech,
    all: Vec<Event>,
}

impl Events {
    /// Nothing was published yet; events will be heard in this way.
    pub fn new(speech: Speech) -> Self {
        let all = Vec::new();
        Self { speech, all }
    }

    /// The number of the latest event; 0 before the first.
    pub fn latest(&self) -> usize {
        self.all.len()
    }

    /// The next event's message: a track of about 240 bytes. It counts as
    /// published now.
    pub fn next(&mut self) -> &str {
        let number = self.all.len() + 1;
        let message = format!(
            r#"{{"number":{number},"track":"Pumpkin","type":"SONG","album":"Scream from New York, NY","artist":"Been Stellar","length":254833.9,"timestampUTC":"2024-07-09T21:00:35Z","startedAt":"2024-07-09T16:00:35-05:00","endsAt":"2024-07-09T16:04:49-05:00"}}"#
        );
        self.all.push(Event {
            at: Instant::now(),
            message,
            shared: Vec::new(),
        });
        &self.all[number - 1].message
    }

    /// Whether this packet is the event of that number; how long ago it was
    /// published, if it is.
    ///
    /// # Errors
    /// It is another one, or not an event at all.
    pub fn check(
        &mut self,
        number: usize,
        packet: &[u8],
        now: Instant,
    ) -> anyhow::Result<Duration> {
        let shown = || String::from_utf8_lossy(packet).into_owned();
        let event = number.checked_sub(1).and_then(|i| self.all.get_mut(i));
        let event = event.with_context(|| format!("never published: {}", shown()))?;
        let shared = self.speech.shared(packet).with_context(shown)?;
        if event.shared.iter().all(|known| known != shared) {
            let told = self.speech.read(shared, number).with_context(shown)?;
            let published: Value = serde_json::from_str(&event.message)?;
            let right = told.message == published;
            ensure!(right, "event {number} is due, not {}", shown());
            event.shared.push(shared.to_vec());
        }
        Ok(now.saturating_duration_since(event.at))
    }
}
