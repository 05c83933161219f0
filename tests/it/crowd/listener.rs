//! One of the crowd: joins, hears, leaves, and checks each thing that it hears.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

use super::line::{Line, Next, Way};

/// What was published, by its number: as the first one heard it, who looked at
/// all of it. The others have to hear the same, byte by byte.
pub struct Published {
    heard: Vec<OnceLock<Bytes>>,
    long_from: u64,
}

impl Published {
    /// Numbers from `long_from` on are of long messages.
    pub fn new(most: u64, long_from: u64) -> Self {
        let heard = (0..=most).map(|_| OnceLock::new()).collect();
        Self { heard, long_from }
    }

    /// What is published under this number.
    pub fn message(&self, number: u64) -> Value {
        let letter = char::from(b'a' + (number % 26) as u8);
        let length = match number {
            long if long >= self.long_from => 60_000,
            _ => number as usize * 37 % 900,
        };
        json!({"number": number, "text": String::from(letter).repeat(length)})
    }

    fn check(&self, number: u64, packet: &Bytes) {
        let first = self.heard[number as usize].get_or_init(|| {
            let event = event(packet).unwrap_or_else(|| panic!("no event: {packet:?}"));
            assert_eq!(event["message"], self.message(number), "number {number}");
            assert_eq!(offset_of(&event), number);
            Bytes::copy_from_slice(packet)
        });
        assert!(first == packet, "{packet:?} instead of {first:?}");
    }
}

fn event(packet: &Bytes) -> Option<Value> {
    let event: Value = serde_json::from_slice(packet.strip_prefix(b"42/bus,")?).ok()?;
    (event[0] == "EVENT").then(|| event[1].clone())
}

fn is_error(packet: &Bytes, code: &str) -> bool {
    let error = packet.strip_prefix(br#"42/bus,["ERROR","#);
    error.is_some_and(|error| {
        let problem = serde_json::from_slice::<Value>(error.strip_suffix(b"]").unwrap_or_default());
        problem.is_ok_and(|problem| problem["code"] == code)
    })
}

/// The number of an offset, `EPOCH-N`.
fn offset_of(answer: &Value) -> u64 {
    let offset = answer["offset"].as_str().unwrap();
    offset.split_once('-').unwrap().1.parse().unwrap()
}

/// How hearing has ended.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Everything up to the number asked for.
    All,
    Closed(u16, String),
    /// Cut, without a word.
    Cut,
}

/// How one that left comes back.
#[derive(Clone, Copy)]
pub enum Return {
    /// To the room it has left.
    Join,
    /// To the namespace, on the same session, out of the middle of the room.
    Connect,
    /// By another session.
    Open,
}

pub struct Listener<'a> {
    line: Line,
    published: &'a Published,
    /// The number of the last event that it has heard, or need not hear.
    pub last: u64,
    /// How many events it was sent.
    pub heard: usize,
    /// The room's epoch.
    epoch: String,
}

impl<'a> Listener<'a> {
    pub async fn join(way: &Way, small: bool, published: &'a Published) -> Self {
        let line = Line::open(way, small, &["40/bus,", &join(None)]).await;
        let mut listener = Self {
            line,
            published,
            last: 0,
            heard: 0,
            epoch: String::new(),
        };
        listener.joined(false).await;
        listener
    }

    /// Comes back to the room, by itself or through what it was cut off by;
    /// tells whether it was sent everything that it missed.
    pub async fn come_back(&mut self, by: Return, way: &Way) -> bool {
        let since = format!("{}-{}", self.epoch, self.last);
        let join = join(Some(&since));
        match by {
            Return::Join => self.line.send(&[&join]).await,
            Return::Connect => self.line.send(&["41/bus,", "40/bus,", &join]).await,
            Return::Open => self.line = Line::open(way, false, &["40/bus,", &join]).await,
        }
        self.joined(true).await
    }

    /// Waits for the answer to JOIN, and hears its backlog; tells whether that
    /// was everything since the offset named.
    async fn joined(&mut self, again: bool) -> bool {
        let mut connected = false;
        let mut before = self.last;
        let answer = loop {
            let Next::Packet(packet) = self.line.next().await else {
                panic!("closed before JOIN was answered");
            };
            if let Some(answer) = packet.strip_prefix(b"43/bus,0") {
                break serde_json::from_slice::<Value>(answer).unwrap()[0].clone();
            }
            connected |= packet.starts_with(b"40");
            if packet.starts_with(b"42") {
                // On its way before the server saw the client leave.
                assert!(again && !connected, "before JOIN was answered: {packet:?}");
                before += 1;
                self.published.check(before, &packet);
            }
        };
        assert_eq!(answer["status"], "ok", "{answer}");
        let offset = offset_of(&answer);
        let (epoch, _) = answer["offset"].as_str().unwrap().split_once('-').unwrap();
        assert!(!again || epoch == self.epoch);
        self.epoch = epoch.to_owned();
        let recovered = answer["recovered"] == true;
        if !recovered {
            // Of what it missed there is the newest, in one piece, or nothing.
            let missed = if again { offset - self.last } else { 0 };
            self.last = offset - missed.min(HISTORY);
        }
        assert_eq!(self.hear(offset).await, Heard::All);
        recovered
    }

    fn take(&mut self, packet: &Bytes) {
        self.last += 1;
        self.heard += 1;
        self.published.check(self.last, packet);
    }

    /// Hears every event up to this one: each once, in order.
    pub async fn hear(&mut self, until: u64) -> Heard {
        while self.last < until {
            match self.line.next().await {
                // The reason, before the close frame says it again.
                Next::Packet(told) if is_error(&told, "too_slow") => {}
                Next::Packet(packet) => {
                    self.take(&packet);
                }
                Next::Close(code, reason) => return Heard::Closed(code, reason),
                Next::End => return Heard::Cut,
            }
        }
        Heard::All
    }

    /// Leaves the room; hears what comes before the answer, and nothing behind.
    pub async fn leave(&mut self) {
        self.line.send(&[LEAVE]).await;
        loop {
            match self.line.next().await {
                Next::Packet(packet) if packet.starts_with(b"43/bus,1") => {
                    let left: Value = serde_json::from_slice(&packet[8..]).unwrap();
                    assert_eq!(left[0]["status"], "ok", "{left}");
                    return;
                }
                Next::Packet(packet) => {
                    self.take(&packet);
                }
                end => panic!("{end:?} before LEAVE was answered"),
            }
        }
    }

    /// Is there, and reads nothing.
    pub async fn pong(&mut self) {
        self.line.send(&["3"]).await;
    }

    /// Waits for the end of the server; tells how it was closed.
    pub async fn end(&mut self) -> Next {
        loop {
            match self.line.next().await {
                Next::Packet(told) => {
                    assert!(is_error(&told, "stopping"), "{told:?}");
                }
                end => return end,
            }
        }
    }
}

const LEAVE: &str = r#"42/bus,1["LEAVE",{"room":"crowd"}]"#;

/// As many events as a room of `/bus` keeps.
const HISTORY: u64 = 100;

fn join(since: Option<&str>) -> String {
    let asked = json!({"room": "crowd", "name": "anna", "since": since});
    format!(r#"42/bus,0["JOIN",{asked}]"#)
}
