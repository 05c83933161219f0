//! The raw bytes of a connection as UTF-8, and where their encoding changes:
//! one sender's outputs need not agree. Knows signs of an encoding, and no
//! more of documents than how they begin.

use bytes::BytesMut;
use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};

/// The bytes that the longest sign takes.
const SIGN_MOST: usize = 6;

/// What tells an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A document or a declaration begins in ASCII.
    Narrow,
    /// One begins in UTF-16, at the byte that holds the `<`.
    Wide,
    /// The mark of UTF-16 before ASCII.
    Mark { big: bool },
}

#[derive(Default)]
enum Mode {
    /// UTF-8, or what its declaration says; passed on as it is.
    #[default]
    Narrow,
    Wide {
        decoder: Decoder,
        big: bool,
        /// Where its characters begin: at this byte and every second from it.
        from: usize,
    },
}

/// The bytes of one connection.
#[derive(Default)]
pub(super) struct Raw {
    mode: Mode,
    /// What may be the beginning of a sign; less than [`SIGN_MOST`] bytes.
    kept: Vec<u8>,
    /// How many bytes were read, and the last two of them.
    at: usize,
    last: [Option<u8>; 2],
    /// Where the last document ended, or another encoding.
    since: usize,
}

impl Raw {
    /// What was kept, and what has come.
    pub(super) fn join(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut joined = std::mem::take(&mut self.kept);
        joined.extend_from_slice(bytes);
        joined
    }

    /// Keeps what may be the beginning of a sign; gives what is before it.
    pub(super) fn keep<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let most = bytes.len().min(SIGN_MOST - 1);
        let may_be = |length: &usize| begins_sign(&bytes[bytes.len() - length..]);
        let length = (1..=most).rev().find(may_be).unwrap_or(0);
        let (before, kept) = bytes.split_at(bytes.len() - length);
        self.kept = kept.to_vec();
        before
    }

    /// The first place where another encoding begins than the present one.
    pub(super) fn change(&self, bytes: &[u8]) -> Option<(usize, Sign)> {
        let places = bytes.iter().enumerate();
        places
            .filter(|(_, byte)| matches!(byte, b'<' | 0xFE | 0xFF))
            .filter_map(|(at, _)| Some((at, sign(&bytes[at..])?)))
            .find(|(at, sign)| !self.expects(self.at + at, *sign))
    }

    /// Reads bytes in the present encoding.
    pub(super) fn read(&mut self, bytes: &[u8], text: &mut BytesMut) {
        self.at += bytes.len();
        for byte in &bytes[bytes.len().saturating_sub(2)..] {
            self.last = [self.last[1], Some(*byte)];
        }
        match &mut self.mode {
            Mode::Narrow => text.extend_from_slice(bytes),
            Mode::Wide { decoder, .. } => text.extend_from_slice(decode(decoder, bytes).as_bytes()),
        }
    }

    /// Goes over to the encoding of a sign that comes next.
    pub(super) fn turn(&mut self, sign: Sign, inside: bool) {
        let (big, from) = match sign {
            Sign::Narrow => {
                self.since = self.at;
                self.mode = Mode::Narrow;
                return;
            }
            Sign::Mark { big } => (big, self.at),
            Sign::Wide if self.is_big(inside) => (true, self.at.saturating_sub(1)),
            Sign::Wide => (false, self.at),
        };
        let encoding = if big { UTF_16BE } else { UTF_16LE };
        let mut decoder = encoding.new_decoder_with_bom_removal();
        // The first half of its first character was read as something else.
        decode(&mut decoder, &[0][..self.at - from]);
        self.mode = Mode::Wide { decoder, big, from };
    }

    /// A document has ended, so many bytes before what was read last.
    pub(super) fn ended(&mut self, before: usize) {
        if matches!(self.mode, Mode::Narrow) {
            self.since = self.at.saturating_sub(before);
        }
    }

    /// Whether a sign is one of the present encoding.
    fn expects(&self, at: usize, sign: Sign) -> bool {
        match (&self.mode, sign) {
            (Mode::Narrow, sign) => sign == Sign::Narrow,
            (Mode::Wide { .. }, Sign::Narrow) => false,
            (Mode::Wide { big, from, .. }, Sign::Wide) => ((at - from) % 2 == 1) == *big,
            (Mode::Wide { big, from, .. }, Sign::Mark { big: marked }) => {
                marked == *big && (at - from).is_multiple_of(2)
            }
        }
    }

    /// Whether the `<` that comes next has its zero before it and not behind.
    ///
    /// In a run of ASCII both readings give the same text. The wrong one shows
    /// only in rare letters, until the next mark.
    fn is_big(&self, inside: bool) -> bool {
        match (self.last, &self.mode) {
            ([Some(0), Some(0)], _) => true,
            ([_, Some(0)], Mode::Narrow) => inside || (self.at - self.since) % 2 == 1,
            // Cut off in the middle of a character; else the other order began.
            ([_, Some(0)], Mode::Wide { big, .. }) => *big == inside,
            _ => false,
        }
    }
}

fn sign(bytes: &[u8]) -> Option<Sign> {
    match bytes {
        [b'<', b'Z', b'e', b't', b't', b'a', ..] | [b'<', b'?', b'x', b'm', b'l', b' ', ..] => {
            Some(Sign::Narrow)
        }
        [b'<', 0, b'Z', 0, b'e', 0, ..] | [b'<', 0, b'?', 0, b'x', 0, ..] => Some(Sign::Wide),
        [0xFF, 0xFE, 1..0x80, 0, ..] => Some(Sign::Mark { big: false }),
        [0xFE, 0xFF, 0, 1..0x80, ..] => Some(Sign::Mark { big: true }),
        _ => None,
    }
}

/// Whether bytes, with others behind them, may be a sign.
fn begins_sign(bytes: &[u8]) -> bool {
    let mut longest = [b'x'; SIGN_MOST];
    let ends: [&[u8]; 6] = [
        b"<Zetta",
        b"<?xml ",
        b"<\0Z\0e\0",
        b"<\0?\0x\0",
        &[0xFF, 0xFE, b'x', 0],
        &[0xFE, 0xFF, 0, b'x'],
    ];
    ends.iter().any(|end| {
        let Some(missing) = end.get(bytes.len()..).filter(|missing| !missing.is_empty()) else {
            return false;
        };
        let whole = &mut longest[..end.len()];
        whole[..bytes.len()].copy_from_slice(bytes);
        whole[bytes.len()..].copy_from_slice(missing);
        sign(whole).is_some()
    })
}

/// The next bytes of a stream as text; what is cut off waits in the decoder.
fn decode(decoder: &mut Decoder, bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut text = String::with_capacity(bytes.len() * 2 + 8);
    loop {
        let (result, read, _) = decoder.decode_to_string(rest, &mut text, false);
        rest = &rest[read..];
        match result {
            CoderResult::InputEmpty => break,
            CoderResult::OutputFull => text.reserve(rest.len() * 2 + 8),
        }
    }
    text
}
