//! Following WebSocket frames (RFC 6455, section 5.2) in bytes that pass by, in
//! both directions, cut anywhere. Pure: no socket, no meaning of payloads.

use bytes::Bytes;

/// Longest part of a payload that [`Starts`] keeps: the packet type and the
/// namespace of a Socket.IO packet fit, and 10,000 of them are small.
pub const START_MAX: usize = 72;

/// A server's text frame with these parts, UTF-8 together, as its payload (RFC
/// 6455, section 5.2: one frame, not masked).
#[must_use]
pub fn text_frame<P: AsRef<[u8]>>(parts: &[P]) -> Bytes {
    data_frame(0x81, parts, 0)
}

/// A server's binary frame, likewise.
#[must_use]
pub fn binary_frame<P: AsRef<[u8]>>(parts: &[P]) -> Bytes {
    data_frame(0x82, parts, 0)
}

/// The beginning of a text frame whose payload has so many bytes more.
#[must_use]
pub fn text_frame_before<P: AsRef<[u8]>>(parts: &[P], more: usize) -> Bytes {
    data_frame(0x81, parts, more)
}

fn data_frame<P: AsRef<[u8]>>(first: u8, parts: &[P], more: usize) -> Bytes {
    let here: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut frame = header(first, 0, here + more, here);
    for part in parts {
        frame.extend(part.as_ref());
    }
    frame.into()
}

/// A frame's header for a payload of this length, with room for `behind` bytes more;
/// `mask` is the bit that says whether the payload is masked.
pub(super) fn header(first: u8, mask: u8, length: usize, behind: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(10 + behind);
    header.push(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => header.push(mask | short),
        (_, Ok(medium)) => {
            header.push(mask | 126);
            header.extend(medium.to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}

/// A server's close frame (RFC 6455, section 5.5.1); a long reason is cut.
#[must_use]
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(REASON_MOST);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut frame = vec![0x80 | CLOSE, (2 + end) as u8];
    frame.extend(code.to_be_bytes());
    frame.extend(&reason.as_bytes()[..end]);
    frame.into()
}

/// A close frame of the server without a code. Clients report it as 1005.
#[must_use]
pub fn bare_close_frame() -> Bytes {
    Bytes::from_static(&[0x80 | CLOSE, 0])
}

/// A pong frame with the payload of the ping that it answers (RFC 6455, section 5.5.3).
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Bytes {
    let mut frame = vec![0x80 | 10, payload.len() as u8];
    frame.extend(payload);
    frame.into()
}

/// A server's ping, empty (RFC 6455, section 5.5.2).
#[must_use]
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[0x80 | 9, 0])
}

/// A close frame's opcode (RFC 6455, section 5.2).
pub(super) const CLOSE: u8 = 8;

/// A continuation frame's opcode, likewise.
pub(super) const CONTINUATION: u8 = 0;

/// The longest reason of a close frame (RFC 6455, section 5.5: 125 bytes, two
/// of them the code).
const REASON_MOST: usize = 123;

/// Two bytes, at most eight of length, four of mask.
const HEADER_MAX: usize = 14;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message ends with this frame.
    pub fin: bool,
    /// A reserved bit is set; the server supports no extension that uses one.
    pub reserved: bool,
    /// 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// Length of the payload in bytes, as declared.
    pub len: u64,
    /// The mask; client frames have one, server frames don't.
    pub mask: Option<[u8; 4]>,
}

impl Header {
    /// Masks a part of the payload that begins at `at`, or unmasks it.
    pub(super) fn mask(&self, at: u64, part: &mut [u8]) {
        let Some(mask) = self.mask else {
            return;
        };
        for (at, byte) in (at..).zip(part) {
            *byte ^= mask[(at % 4) as usize];
        }
    }
}

/// What [`Follower::step`] came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more to say until more bytes come.
    Need,
    /// The header is whole; its bytes were used, none of the payload.
    Header(Header),
    /// The used bytes are payload, from this place in it on.
    Payload(u64),
    /// The frame is over; no bytes were used.
    End,
}

/// Follows the frames of one direction; always knows where one ends.
#[derive(Clone, Debug)]
pub struct Follower {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Header { bytes: [u8; HEADER_MAX], have: u8 },
    Payload { len: u64, left: u64 },
}

const BETWEEN: State = State::Header {
    bytes: [0; HEADER_MAX],
    have: 0,
};

impl Default for Follower {
    fn default() -> Self {
        Self { state: BETWEEN }
    }
}

impl Follower {
    /// Whether the next byte begins a frame.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        matches!(self.state, State::Header { have: 0, .. })
    }

    /// How much of `input` belongs to the frame that is under way.
    #[must_use]
    pub fn to_boundary(mut self, input: &[u8]) -> usize {
        let mut used = 0;
        loop {
            match self.step(&input[used..]) {
                (taken, Step::Need | Step::End) => return used + taken,
                (taken, Step::Header(_) | Step::Payload(_)) => used += taken,
            }
        }
    }

    /// Goes one step on; returns how many of `input` it used.
    ///
    /// To be called with what is left until it answers [`Step::Need`].
    pub fn step(&mut self, input: &[u8]) -> (usize, Step) {
        match &mut self.state {
            State::Header { bytes, have } => {
                for (at, byte) in input.iter().enumerate() {
                    bytes[usize::from(*have)] = *byte;
                    *have += 1;
                    if let Some(header) = parse(&bytes[..usize::from(*have)]) {
                        self.state = State::Payload {
                            len: header.len,
                            left: header.len,
                        };
                        return (at + 1, Step::Header(header));
                    }
                }
                (input.len(), Step::Need)
            }
            State::Payload { left: 0, .. } => {
                self.state = BETWEEN;
                (0, Step::End)
            }
            State::Payload { .. } if input.is_empty() => (0, Step::Need),
            State::Payload { len, left } => {
                let from = *len - *left;
                let used = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= used as u64;
                (used, Step::Payload(from))
            }
        }
    }
}

/// What [`Starts::follow`] came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing more until more bytes come; all were used.
    Need,
    /// The frame's header and the start of its payload are known.
    Start,
    /// The used bytes end with the frame's last.
    End,
}

/// A frame as far as [`Starts`] looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header.
    pub header: Header,
    /// The first bytes of the payload, unmasked; at most [`START_MAX`].
    pub start: &'a [u8],
}

/// Follows frames and keeps the start of each payload.
#[derive(Debug)]
pub struct Starts {
    follower: Follower,
    header: Header,
    start: [u8; START_MAX],
    have: u8,
    told: bool,
}

impl Default for Starts {
    fn default() -> Self {
        Self {
            follower: Follower::default(),
            header: Header {
                fin: true,
                reserved: false,
                opcode: 0,
                len: 0,
                mask: None,
            },
            start: [0; START_MAX],
            have: 0,
            // Nothing is untold before the first header.
            told: true,
        }
    }
}

impl Starts {
    /// Goes on to the next start or end; returns how many bytes it used.
    ///
    /// To be called with what is left until it answers [`Seen::Need`].
    pub fn follow(&mut self, input: &[u8]) -> (usize, Seen) {
        let mut used = 0;
        loop {
            if !self.told && self.start_is_whole() {
                self.told = true;
                return (used, Seen::Start);
            }
            let (taken, step) = self.follower.step(&input[used..]);
            let bytes = &input[used..used + taken];
            used += taken;
            match step {
                Step::Need => return (used, Seen::Need),
                Step::Header(header) => {
                    self.header = header;
                    self.have = 0;
                    self.told = false;
                }
                Step::Payload(from) => self.keep(from, bytes),
                Step::End => return (used, Seen::End),
            }
        }
    }

    /// The frame that was last told of by [`Seen::Start`] or [`Seen::End`].
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            header: self.header,
            start: &self.start[..usize::from(self.have)],
        }
    }

    fn start_is_whole(&self) -> bool {
        u64::from(self.have) == self.header.len.min(START_MAX as u64)
    }

    fn keep(&mut self, from: u64, bytes: &[u8]) {
        let Ok(from) = usize::try_from(from) else {
            return;
        };
        for (at, byte) in (from..START_MAX).zip(bytes) {
            let mask = self.header.mask.map_or(0, |mask| mask[at % 4]);
            self.start[at] = byte ^ mask;
            self.have += 1;
        }
    }
}

/// The header, if these bytes are exactly a whole one.
fn parse(bytes: &[u8]) -> Option<Header> {
    let (&first, rest) = bytes.split_first()?;
    let (&second, rest) = rest.split_first()?;
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*len), rest)
        }
        short => (u64::from(short), rest),
    };
    let mask = if second & 0x80 == 0 {
        None
    } else {
        Some(*rest.first_chunk()?)
    };
    Some(Header {
        fin: first & 0x80 != 0,
        reserved: first & 0x70 != 0,
        opcode: first & 0x0f,
        len,
        mask,
    })
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
