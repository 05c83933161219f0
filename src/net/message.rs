//! Assembles the messages of a WebSocket client (RFC 6455, section 5) from bytes that may
//! be split anywhere. Only whole and valid messages pass. Pure: knows no socket and no
//! meaning of payloads.

use bytes::Bytes;

use super::frame::{CLOSE, CONTINUATION, Follower, Header, START_MAX, Step, header};

/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_MAX: u64 = 125;

/// The longest message that can be skipped, in bytes: WebSocket libraries refuse longer ones by
/// default.
const SKIPPED_MAX: u64 = 64 << 20;

/// A message up to this many bytes needs no reservation. All of 15,000 clients can send one at
/// once.
const LARGE: usize = 64 << 10;

/// A fragment shorter than this, in bytes, counts as a frame without content: its header
/// costs the server as much as its payload.
const FRAGMENT_MIN: u64 = 64;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A whole message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A ping with its payload, which the pong repeats.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame, with its code if it has one.
    Close(Option<u16>),
    /// A message that was longer than allowed, and whose content was skipped.
    Skipped,
}

impl Message {
    /// Encodes the message as one frame of a client, masked with zeros.
    pub(super) fn frame(&self) -> Bytes {
        let (opcode, payload): (u8, &[u8]) = match self {
            Self::Text(text) => (TEXT, text.as_bytes()),
            Self::Binary(bytes) => (BINARY, bytes),
            Self::Ping(payload) => (PING, payload),
            Self::Pong | Self::Skipped => (PONG, &[]),
            Self::Close(_) => (CLOSE, &[]),
        };
        let mut frame = header(0x80 | opcode, 0x80, payload.len(), 4 + payload.len());
        frame.extend([0; 4]);
        frame.extend(payload);
        frame.into()
    }

    /// Whether the message has no content.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Binary(bytes) => bytes.is_empty(),
            Self::Ping(_) | Self::Pong => true,
            Self::Close(_) | Self::Skipped => false,
        }
    }
}

/// Why a client's WebSocket is not read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A reserved bit is set, and no extension was negotiated.
    #[error("a reserved bit of a frame is set")]
    ReservedBit,
    /// There is no such opcode.
    #[error("a frame has the unknown opcode {0}")]
    Opcode(u8),
    /// A client's frames are masked.
    #[error("a frame is not masked")]
    NotMasked,
    /// A control frame is fragmented or too long.
    #[error("a control frame is fragmented or longer than 125 bytes")]
    Control,
    /// The payload of a close frame is one byte, or its code must not be sent.
    #[error("a close frame has an invalid code")]
    CloseCode,
    /// A continuation frame without a message that it continues.
    #[error("a continuation frame continues no message")]
    NothingToContinue,
    /// A new message in the middle of a fragmented one.
    #[error("a message begins before the one before it has ended")]
    Interleaved,
    /// A text message, or the reason of a close frame, is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// The message is longer than allowed.
    #[error("a message can have {most} bytes at most")]
    TooBig {
        /// The longest message that is read, in bytes.
        most: usize,
        /// The first bytes of the message, at most [`START_MAX`].
        start: Vec<u8>,
    },
}

impl ProtocolError {
    /// The code of the close frame that answers it (RFC 6455, section 7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            Self::ReservedBit
            | Self::Opcode(_)
            | Self::NotMasked
            | Self::Control
            | Self::CloseCode
            | Self::NothingToContinue
            | Self::Interleaved => 1002,
            Self::NotUtf8 => 1007,
            Self::TooBig { .. } => 1009,
        }
    }
}

/// The result of [`Assembler::feed`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// All bytes were used; the message is not whole yet.
    Nothing,
    /// A fragment with little or no content has ended; the message is not whole yet.
    Empty,
    /// The message will have this many bytes: its payload is fed once they are reserved.
    Large(usize),
    /// A message is whole.
    Message(Message),
}

/// Assembles the messages of one client.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    follower: Follower,
    header: Option<Header>,
    /// Whether the fragmented message is text; `None` if there is no fragmented message.
    fragmented: Option<bool>,
    /// The bytes of the data message so far; never longer than allowed.
    data: Vec<u8>,
    /// The bytes of the control frame so far.
    control: Vec<u8>,
    /// Whether a message that is too long is skipped; otherwise it is an error.
    skips_too_big: bool,
    /// The bytes skipped so far of a message that is too long; 0 if none is being skipped.
    skipped: u64,
    /// Whether memory was asked for.
    is_large: bool,
}

impl Assembler {
    /// From now on skips messages that are too long, and returns [`Message::Skipped`] for them.
    pub(super) fn skip_too_big(&mut self) {
        self.skips_too_big = true;
    }

    /// Reads up to the end of a message or fragment; returns how many bytes it used.
    ///
    /// Call it again with the remaining bytes until it returns [`Received::Nothing`], and
    /// never after an error.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        most: usize,
    ) -> (usize, Result<Received, ProtocolError>) {
        let mut used = 0;
        loop {
            let (taken, step) = self.follower.step(&input[used..]);
            let part = &input[used..used + taken];
            used += taken;
            match step {
                Step::Need => return (used, Ok(Received::Nothing)),
                Step::Header(header) => {
                    if let Err(error) = self.begin(header, most, &input[used..]) {
                        return (used, Err(error));
                    }
                    if let Some(bytes) = self.needs(header, most) {
                        return (used, Ok(Received::Large(bytes)));
                    }
                }
                Step::Payload(at) => self.append(at, part),
                Step::End => match self.end() {
                    Ok(Received::Nothing) => {}
                    ended => return (used, ended),
                },
            }
        }
    }

    /// Checks a header; `rest` are the bytes behind it.
    fn begin(&mut self, header: Header, most: usize, rest: &[u8]) -> Result<(), ProtocolError> {
        if header.reserved {
            return Err(ProtocolError::ReservedBit);
        }
        if header.mask.is_none() {
            return Err(ProtocolError::NotMasked);
        }
        match (header.opcode, self.fragmented) {
            (CLOSE | PING | PONG, _) if !header.fin || header.len > CONTROL_MAX => {
                return Err(ProtocolError::Control);
            }
            (CLOSE | PING | PONG, _) => {}
            (CONTINUATION, None) => return Err(ProtocolError::NothingToContinue),
            (TEXT | BINARY, Some(_)) => return Err(ProtocolError::Interleaved),
            (CONTINUATION | TEXT | BINARY, _) => {
                let so_far = self.skipped.max(self.data.len() as u64);
                let whole = header.len.saturating_add(so_far);
                if self.skips_too_big && whole > most as u64 && whole <= SKIPPED_MAX {
                    self.data = Vec::new();
                    self.skipped = whole;
                } else if whole > most as u64 {
                    self.header = Some(header);
                    self.append(0, &rest[..rest.len().min(START_MAX)]);
                    self.data.truncate(START_MAX);
                    let start = std::mem::take(&mut self.data);
                    return Err(ProtocolError::TooBig { most, start });
                }
            }
            (opcode, _) => return Err(ProtocolError::Opcode(opcode)),
        }
        self.header = Some(header);
        Ok(())
    }

    /// The bytes to reserve for the message that this header begins or continues, if it gets
    /// large with it.
    fn needs(&mut self, header: Header, most: usize) -> Option<usize> {
        let is_control = matches!(header.opcode, CLOSE | PING | PONG);
        if is_control || self.skipped > 0 || self.is_large {
            return None;
        }
        let whole = self.data.len() + usize::try_from(header.len).unwrap_or(usize::MAX);
        self.is_large = whole > LARGE;
        self.is_large
            .then_some(if header.fin { whole } else { most })
    }

    /// Makes room for a large message, as much as it needs and no more.
    pub(super) fn expect(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.data.len());
        self.data.reserve_exact(missing);
    }

    /// Whether a large message has begun and not ended.
    pub(super) fn is_large(&self) -> bool {
        self.is_large
    }

    fn append(&mut self, at: u64, part: &[u8]) {
        let Some(header) = self.header else { return };
        let payload = match header.opcode {
            CLOSE | PING | PONG => &mut self.control,
            _ if self.skipped > 0 => return,
            _ => &mut self.data,
        };
        let from = payload.len();
        payload.extend_from_slice(part);
        header.mask(at, &mut payload[from..]);
    }

    fn end(&mut self) -> Result<Received, ProtocolError> {
        let Some(header) = self.header.take() else {
            return Ok(Received::Nothing);
        };
        let message = match header.opcode {
            PING => Message::Ping(std::mem::take(&mut self.control).into()),
            PONG => {
                self.control = Vec::new();
                Message::Pong
            }
            CLOSE => Message::Close(close_code(&std::mem::take(&mut self.control))?),
            opcode => {
                let is_text = self.fragmented.unwrap_or(opcode == TEXT);
                if !header.fin {
                    self.fragmented = Some(is_text);
                    return Ok(match header.len < FRAGMENT_MIN {
                        true => Received::Empty,
                        false => Received::Nothing,
                    });
                }
                self.fragmented = None;
                self.is_large = false;
                if std::mem::take(&mut self.skipped) > 0 {
                    return Ok(Received::Message(Message::Skipped));
                }
                let data = std::mem::take(&mut self.data);
                match is_text {
                    true => String::from_utf8(data)
                        .map(Message::Text)
                        .map_err(|_| ProtocolError::NotUtf8)?,
                    false => Message::Binary(data),
                }
            }
        };
        Ok(Received::Message(message))
    }
}

/// The code of a close frame, if its payload names one (RFC 6455, sections 5.5.1
/// and 7.4).
fn close_code(payload: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(ProtocolError::CloseCode),
        };
    };
    if std::str::from_utf8(reason).is_err() {
        return Err(ProtocolError::NotUtf8);
    }
    match u16::from_be_bytes(*code) {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
        _ => Err(ProtocolError::CloseCode),
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
