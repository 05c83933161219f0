//! The events of a run: what was published when, and whether what a client got
//! is that.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

/// What stands before every packet of the namespace.
pub const EVENT: &[u8] = b"42/bus,";
/// What stands before the answer to JOIN.
pub const JOINED: &[u8] = b"43/bus,0";

/// The arguments of an EVENT that are looked at.
#[derive(Deserialize)]
struct Delivered {
    message: Value,
    offset: String,
}

/// The answer to JOIN, as far as it is looked at.
#[derive(Deserialize)]
struct Joined {
    status: String,
    offset: String,
}

struct Event {
    at: Instant,
    message: String,
    /// The packet, once one has been read and found right: everybody gets the
    /// same bytes, so the others are compared with it.
    packet: Vec<u8>,
}

/// Everything that was published, numbered from 1.
#[derive(Default)]
pub struct Events(Vec<Event>);

impl Events {
    /// The number of the latest event; 0 before the first.
    pub fn latest(&self) -> usize {
        self.0.len()
    }

    /// The next event's message: a track of about 240 bytes. It counts as
    /// published now.
    pub fn next(&mut self) -> &str {
        let number = self.0.len() + 1;
        let message = format!(
            r#"{{"number":{number},"track":"Pumpkin","type":"SONG","album":"Scream from New York, NY","artist":"Been Stellar","length":254833.9,"timestampUTC":"2024-07-09T21:00:35Z","startedAt":"2024-07-09T16:00:35-05:00","endsAt":"2024-07-09T16:04:49-05:00"}}"#
        );
        self.0.push(Event {
            at: Instant::now(),
            message,
            packet: Vec::new(),
        });
        &self.0[number - 1].message
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
        let event = number.checked_sub(1).and_then(|i| self.0.get_mut(i));
        let event = event.with_context(|| format!("never published: {}", shown()))?;
        if event.packet != packet {
            let arguments = packet.strip_prefix(EVENT).with_context(shown)?;
            let (name, delivered): (String, Delivered) =
                serde_json::from_slice(arguments).with_context(shown)?;
            let published: Value = serde_json::from_str(&event.message)?;
            let right = name == "EVENT"
                && delivered.message == published
                && in_room(&delivered.offset)? == number;
            ensure!(right, "event {number} is due, not {}", shown());
            event.packet = packet.to_vec();
        }
        Ok(now.saturating_duration_since(event.at))
    }
}

/// The number of the room's latest event, as the answer to JOIN says it.
///
/// # Errors
/// The room was not joined.
pub fn joined_behind(packet: &[u8]) -> anyhow::Result<usize> {
    let shown = || format!("not a JOIN's answer: {}", String::from_utf8_lossy(packet));
    let answer = packet.strip_prefix(JOINED).with_context(shown)?;
    let [joined]: [Joined; 1] = serde_json::from_slice(answer).with_context(shown)?;
    ensure!(joined.status == "ok", shown());
    in_room(&joined.offset)
}

/// The number in an offset: offsets are `EPOCH-NUMBER`.
fn in_room(offset: &str) -> anyhow::Result<usize> {
    let number = offset.rsplit_once('-').map(|(_, number)| number.parse());
    number
        .context("an offset without a number")?
        .context("an offset")
}
