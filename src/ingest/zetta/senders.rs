//! The senders. Each has one connection at a time; the next connection from the same address
//! continues the sender. Knows what each sender declared last, and not which airing is on.

use std::net::SocketAddr;

use chrono::{DateTime, TimeDelta, Utc};

use crate::nowplaying::{Item, SAME_START};

/// How many senders are remembered, connected or not: twice as many as may be connected.
pub const SENDERS_MOST: usize = 128;

/// An item that a sender declares to be on, or declared last.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) item: Item,
    /// Its start, if the sender declared one.
    pub(super) start: Option<DateTime<Utc>>,
}

impl Declared {
    /// Whether an item that its sender declares now is the same airing.
    pub(super) fn is_repeated(&self, item: &Item, start: Option<DateTime<Utc>>) -> bool {
        self.item.is_same(item) && is_near(self.start, start)
    }
}

/// Whether two starts of one sender can be of the same airing; also if one is unknown.
pub(super) fn is_near(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> bool {
    let starts = one.zip(other);
    starts.is_none_or(|(one, other)| {
        (one - other)
            .abs()
            .to_std()
            .is_ok_and(|apart| apart <= SAME_START)
    })
}

/// All senders.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// At most [`SENDERS_MOST`]; disconnected ones are in the order in which they disconnected.
    list: Vec<Sender>,
    /// How many senders there have been; each gets its number from this.
    count: u64,
}

#[derive(Debug)]
struct Sender {
    number: u64,
    address: SocketAddr,
    is_connected: bool,
    /// Whether it has declared anything since it connected.
    has_declared: bool,
    last: Option<Declared>,
    /// How far its clock is ahead of the server's, if that is known.
    skew: Option<TimeDelta>,
    /// The kinds of faults that were logged for it: each is logged once.
    logged: Vec<&'static str>,
}

impl Senders {
    /// Returns the number of the sender at this address, which declares this item: a connected
    /// sender, or a disconnected one from the same IP address, or a new one.
    pub(super) fn number(&mut self, address: SocketAddr, declared: Option<&Declared>) -> u64 {
        let position = |is_it: &dyn Fn(&Sender) -> bool| self.list.iter().rposition(is_it);
        let is_back = |sender: &Sender| !sender.is_connected && sender.address.ip() == address.ip();
        // If several senders share an IP address, the one that declared this item is back.
        let repeats = |sender: &Sender| {
            let last = sender.last.as_ref().zip(declared);
            is_back(sender)
                && last.is_some_and(|(last, new)| last.is_repeated(&new.item, new.start))
        };
        let known = position(&|sender| sender.is_connected && sender.address == address)
            .or_else(|| position(&repeats))
            .or_else(|| position(&is_back));
        if let Some(known) = known {
            let sender = &mut self.list[known];
            (sender.address, sender.is_connected) = (address, true);
            return sender.number;
        }
        if self.list.len() == SENDERS_MOST {
            let gone = self.list.iter().position(|sender| !sender.is_connected);
            self.list.remove(gone.unwrap_or(0));
        }
        self.count += 1;
        self.list.push(Sender {
            number: self.count,
            address,
            is_connected: true,
            has_declared: false,
            last: None,
            skew: None,
            logged: Vec::new(),
        });
        self.count
    }

    /// The connection of this address has ended.
    pub(super) fn gone(&mut self, address: SocketAddr) {
        let is_it = |sender: &Sender| sender.is_connected && sender.address == address;
        if let Some(position) = self.list.iter().position(is_it) {
            let mut sender = self.list.remove(position);
            (sender.is_connected, sender.has_declared) = (false, false);
            self.list.push(sender);
        }
    }

    /// The airing that the sender declared last.
    pub(super) fn last(&self, number: u64) -> Option<&Declared> {
        self.get(number)?.last.as_ref()
    }

    /// Whether the sender has declared nothing since it connected.
    pub(super) fn is_first(&self, number: u64) -> bool {
        self.get(number).is_none_or(|sender| !sender.has_declared)
    }

    pub(super) fn declared(&mut self, number: u64, declared: Declared) {
        if let Some(sender) = self.get_mut(number) {
            (sender.last, sender.has_declared) = (Some(declared), true);
        }
    }

    pub(super) fn set_skew(&mut self, number: u64, skew: TimeDelta) {
        if let Some(sender) = self.get_mut(number) {
            sender.skew = Some(skew);
        }
    }

    /// The skews of the senders that are connected, as far as they are known.
    pub(super) fn skews(&self) -> impl Iterator<Item = TimeDelta> {
        let connected = self.list.iter().filter(|sender| sender.is_connected);
        connected.filter_map(|sender| sender.skew)
    }

    /// Whether to log this kind of fault for the sender: only the first time.
    pub(super) fn logs(&mut self, number: u64, what: &'static str) -> bool {
        let sender = self.get_mut(number);
        sender.is_some_and(|sender| {
            let is_new = !sender.logged.contains(&what);
            if is_new {
                sender.logged.push(what);
            }
            is_new
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn get(&self, number: u64) -> Option<&Sender> {
        self.list.iter().find(|sender| sender.number == number)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Sender> {
        self.list.iter_mut().find(|sender| sender.number == number)
    }
}
