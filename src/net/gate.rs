//! The read gate: decides how far a connection's bytes may be read, and follows
//! what is written. It knows HTTP heads and WebSocket frames; what a frame means
//! is a door's rule.

use super::frame::{Follower, Frame, Header, Seen, Starts, Step};
use super::head::{Requests, Switching};

/// A door's rule about the frames of one WebSocket, called in frame order.
///
/// Set with [`ConnectionHandle::set_rule`](super::ConnectionHandle::set_rule).
/// Must not block.
pub trait FrameRule: Send + 'static {
    /// A frame of the client is about to be read.
    fn inbound(&mut self, frame: Frame<'_>) -> Next;

    /// Whether a frame of the client is read whatever is in it; one that is not
    /// is told of by [`inbound`](Self::inbound) before any of its payload is here.
    fn reads(&self, _header: Header) -> bool {
        true
    }

    /// Whether [`payload`](Self::payload) is to be called.
    fn rewrites(&self) -> bool {
        false
    }

    /// A part of a frame of the client, from this place in it on, is about to be
    /// read; it may be changed, but stays as long as it is.
    fn payload(&mut self, _header: Header, _at: u64, _part: &mut [u8]) {}

    /// A frame of the server has been written up to its start.
    ///
    /// [`Next::Read`] ends a wait, [`Next::Wait`] leaves things as they are.
    fn outbound(&mut self, frame: Frame<'_>) -> Next;
}

/// Whether the client may be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Read nothing behind the message this frame belongs to.
    Wait,
    /// Throw this frame away, and whatever comes behind it: the connection is
    /// closing, and a peer that is still writing would not hear why.
    Discard,
}

/// The gate of one connection.
pub(super) enum Gate {
    /// HTTP; looks for the head of an upgrade.
    Http(Requests),
    /// An upgrade has been read: nothing more until its answer is written.
    Answer(Switching),
    /// A WebSocket with a rule.
    Frames(Box<Frames>),
    /// Everything passes unseen.
    Open,
}

/// Follows both directions of a WebSocket for a rule.
pub(super) struct Frames {
    rule: Box<dyn FrameRule>,
    inbound: Starts,
    outbound: Starts,
    hold: Hold,
    rewriter: Option<Box<Rewriter>>,
}

/// Follows what the rule may change.
#[derive(Default)]
struct Rewriter {
    follower: Follower,
    header: Option<Header>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Off,
    /// From the end of the message's last frame on.
    AfterMessage,
    /// From the end of this frame on.
    AfterFrame,
    On,
    /// Nothing is handed on any more.
    Discard,
}

/// What was written calls for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing to do.
    Nothing,
    /// The reader may go on.
    Release,
    /// The upgrade is done: the stream puts the rule in.
    Upgraded(usize),
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self::Http(Requests::new())
    }

    pub(super) fn with_rule(rule: Box<dyn FrameRule>) -> Self {
        let rewriter = rule.rewrites().then(Box::default);
        Self::Frames(Box::new(Frames {
            rewriter,
            rule,
            inbound: Starts::default(),
            outbound: Starts::default(),
            hold: Hold::Off,
        }))
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether nothing may be read now.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Answer(_) => true,
            Self::Frames(frames) => frames.hold == Hold::On,
            Self::Http(_) | Self::Open => false,
        }
    }

    /// Whether what is read goes nowhere.
    pub(super) fn discards(&self) -> bool {
        matches!(self, Self::Frames(frames) if frames.hold == Hold::Discard)
    }

    /// Follows what was read; returns how much of it may pass.
    pub(super) fn inbound(&mut self, input: &mut [u8]) -> usize {
        match self {
            Self::Http(requests) => {
                let (used, upgrade) = requests.follow(input);
                if upgrade {
                    *self = Self::Answer(Switching::new());
                }
                used
            }
            Self::Frames(frames) => frames.inbound(input),
            Self::Answer(_) => 0,
            Self::Open => input.len(),
        }
    }

    /// Follows what was written.
    pub(super) fn outbound(&mut self, output: &[u8]) -> Written {
        match self {
            Self::Answer(switching) => match switching.follow(output) {
                (used, true) => Written::Upgraded(used),
                (_, false) => Written::Nothing,
            },
            Self::Frames(frames) => frames.outbound(output),
            Self::Http(_) | Self::Open => Written::Nothing,
        }
    }

    /// The wait took too long: reads on.
    pub(super) fn give_up(&mut self) {
        match self {
            Self::Frames(frames) => frames.hold = Hold::Off,
            _ => *self = Self::Open,
        }
    }

    /// The upgrade was refused: HTTP goes on.
    pub(super) fn refused(&mut self) {
        if let Self::Answer(_) = self {
            *self = Self::new();
        }
    }
}

impl Rewriter {
    fn pass(&mut self, rule: &mut dyn FrameRule, mut bytes: &mut [u8]) {
        loop {
            let (used, step) = self.follower.step(bytes);
            let (part, rest) = bytes.split_at_mut(used);
            bytes = rest;
            match step {
                Step::Need => return,
                Step::Header(header) => self.header = Some(header),
                Step::Payload(at) => {
                    if let Some(header) = self.header {
                        header.mask(at, part);
                        rule.payload(header, at, part);
                        header.mask(at, part);
                    }
                }
                Step::End => self.header = None,
            }
        }
    }
}

impl Frames {
    fn inbound(&mut self, input: &mut [u8]) -> usize {
        let mut used = 0;
        // Where the frame that is followed begins.
        let mut begin = 0;
        loop {
            let (taken, seen) = self.inbound.follow(&input[used..]);
            if let Some(rewriter) = &mut self.rewriter {
                rewriter.pass(&mut *self.rule, &mut input[used..used + taken]);
            }
            used += taken;
            let frame = self.inbound.frame();
            match seen {
                Seen::Need => {
                    let unread = self.inbound.untold().filter(|h| !self.rule.reads(*h));
                    if unread.is_some() && self.rule.inbound(frame) == Next::Discard {
                        self.hold = Hold::Discard;
                        return begin;
                    }
                    return used;
                }
                Seen::Start => match self.rule.inbound(frame) {
                    Next::Wait if frame.header.fin => self.hold = Hold::AfterFrame,
                    Next::Wait => self.hold = Hold::AfterMessage,
                    Next::Discard => {
                        self.hold = Hold::Discard;
                        return begin;
                    }
                    Next::Read => {}
                },
                Seen::End => {
                    begin = used;
                    let last = frame.header.opcode == CONTINUATION && frame.header.fin;
                    if self.hold == Hold::AfterFrame || (self.hold == Hold::AfterMessage && last) {
                        self.hold = Hold::On;
                        return used;
                    }
                }
            }
        }
    }

    fn outbound(&mut self, output: &[u8]) -> Written {
        let mut used = 0;
        let mut written = Written::Nothing;
        loop {
            let (taken, seen) = self.outbound.follow(&output[used..]);
            used += taken;
            match seen {
                Seen::Need => return written,
                Seen::Start
                    if self.rule.outbound(self.outbound.frame()) == Next::Read
                        && self.hold != Hold::Discard =>
                {
                    self.hold = Hold::Off;
                    written = Written::Release;
                }
                Seen::Start | Seen::End => {}
            }
        }
    }
}

const CONTINUATION: u8 = 0;

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
