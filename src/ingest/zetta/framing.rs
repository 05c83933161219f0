//! From bytes to whole documents: encodings, boundaries, and getting back in
//! step after garbage. Knows where a document ends, not what it says.

mod encoding;
mod markup;

use bytes::{Buf, BytesMut};
use encoding_rs::{Decoder, Encoding};

use self::encoding::{declared, decode, wide};
use self::markup::{
    DECLARATION, ROOT, Step, Within, advance, could_be_start, find, rfind, starts_document,
};

/// The most that is held of a document: 1 MiB, hundreds of the usual ones.
pub const HELD_MOST: usize = 1 << 20;

/// How much of what is no document is kept: a declaration fits in it.
const GARBAGE_KEPT: usize = 256;

/// What was found in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole document, from `<ZettaLite` to its end.
    Document(String),
    /// A document that is none, and why.
    Broken(Broken),
}

/// Why a document was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The next one began inside it.
    Cut,
    /// It is larger than [`HELD_MOST`].
    TooLarge,
    /// Something else than ZettaLite stands between the documents.
    OtherFormat,
}

/// One connection's bytes.
#[derive(Default)]
pub struct Framer {
    wide: Option<Decoder>,
    /// Bytes that do not tell their encoding yet; four at most.
    undecided: Vec<u8>,
    started: bool,
    /// UTF-8, or what claims to be; a document in it begins at 0. Giving its
    /// start up costs nothing, however much follows.
    held: BytesMut,
    inside: Option<Scan>,
    /// The encoding that the last declaration names.
    declared: Option<&'static Encoding>,
    /// Whether the other format was reported already.
    reported: bool,
    /// Whether anything has come, and a document was in it.
    heard: Heard,
}

/// How far a document has been looked at, and within what it stands.
#[derive(Clone, Copy, Debug)]
struct Scan {
    at: usize,
    within: Within,
    /// Whether the root's own tag is not over yet.
    root: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    Nothing,
    Garbage,
    Document,
}

impl Framer {
    /// Takes bytes, and gives what is complete with them.
    pub fn push(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        if self.heard == Heard::Nothing && !bytes.is_empty() {
            self.heard = Heard::Garbage;
        }
        self.decode(bytes);
        while self.step(found) {}
    }

    /// Whether a document has begun that has no end yet.
    pub fn is_inside(&self) -> bool {
        self.inside.is_some()
    }

    /// Whether something came, but nothing that was a document or told as bad.
    pub fn heard_only_garbage(&self) -> bool {
        self.heard == Heard::Garbage && !self.reported && !self.is_inside()
    }

    /// Gives the document up that has begun; what follows is looked at anew.
    pub fn drop_partial(&mut self, found: &mut Vec<Found>) {
        self.heard = Heard::Document;
        self.restart();
        while self.step(found) {}
    }

    fn decode(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        let joined;
        if !self.started {
            self.undecided.extend_from_slice(bytes);
            if self.undecided.len() < 4 {
                return;
            }
            self.started = true;
            joined = std::mem::take(&mut self.undecided);
            bytes = &joined;
            self.wide = wide(bytes).map(|encoding| encoding.new_decoder_with_bom_removal());
        }
        let Some(decoder) = &mut self.wide else {
            self.held.extend_from_slice(bytes);
            return;
        };
        let text = decode(decoder, bytes);
        self.held.extend_from_slice(text.as_bytes());
    }

    /// One step towards the end of what is held; false when more is needed.
    fn step(&mut self, found: &mut Vec<Found>) -> bool {
        match self.inside {
            None => self.find_start(found),
            Some(scan) => self.find_end(scan, found),
        }
    }

    fn find_start(&mut self, found: &mut Vec<Found>) -> bool {
        let start = (0..self.held.len()).find(|at| starts_document(&self.held[*at..]));
        let before = start.unwrap_or(self.held.len());
        self.look_at_garbage(before, found);
        match start {
            Some(start) => {
                self.held.advance(start);
                self.inside = Some(Scan {
                    at: 1,
                    within: Within::Tag { end: false },
                    root: true,
                });
                true
            }
            None => {
                let surplus = self.held.len().saturating_sub(GARBAGE_KEPT);
                self.held.advance(surplus);
                false
            }
        }
    }

    fn look_at_garbage(&mut self, before: usize, found: &mut Vec<Found>) {
        let garbage = &self.held[..before];
        if let Some(at) = rfind(garbage, DECLARATION)
            && let Some(length) = find(&garbage[at..], b"?>")
        {
            self.declared = declared(&garbage[at..at + length]);
        }
        let foreign = garbage
            .windows(2)
            .any(|pair| pair[0] == b'<' && (pair[1].is_ascii_alphabetic() || pair[1] == b'/'));
        let partial = garbage.len() < ROOT.len() + 1;
        if foreign && !partial && !self.reported {
            self.reported = true;
            found.push(Found::Broken(Broken::OtherFormat));
        }
    }

    fn find_end(&mut self, mut scan: Scan, found: &mut Vec<Found>) -> bool {
        loop {
            let rest = &self.held[scan.at..];
            let Some(&byte) = rest.first() else {
                break;
            };
            let hidden = matches!(
                scan.within,
                Within::Comment | Within::Cdata | Within::Instruction
            );
            if byte == b'<' && !hidden {
                if rest.len() < ROOT.len() + 1 && could_be_start(rest) {
                    break;
                }
                if rest.starts_with(DECLARATION) || starts_document(rest) {
                    found.push(Found::Broken(Broken::Cut));
                    self.heard = Heard::Document;
                    self.held.advance(scan.at);
                    self.inside = None;
                    return true;
                }
            }
            match advance(scan.within, rest) {
                Step::More => break,
                Step::To { by, within } => {
                    scan.at += by;
                    scan.within = within;
                }
                Step::TagEnd { end } => {
                    scan.at += 1;
                    scan.within = Within::Text;
                    let root = std::mem::take(&mut scan.root);
                    if end || (root && self.held[..scan.at].ends_with(b"/>")) {
                        found.push(Found::Document(self.take(scan.at)));
                        return true;
                    }
                }
            }
        }
        self.inside = Some(scan);
        if self.held.len() > HELD_MOST {
            found.push(Found::Broken(Broken::TooLarge));
            self.heard = Heard::Document;
            self.restart();
            return true;
        }
        false
    }

    /// Looks for the next start behind the one that led nowhere.
    fn restart(&mut self) {
        if self.inside.take().is_some() {
            let next = (1..self.held.len()).find(|at| starts_document(&self.held[*at..]));
            // Without one, the last bytes may still be the beginning of one.
            let keep = next.unwrap_or(self.held.len().saturating_sub(ROOT.len()).max(1));
            self.held.advance(keep.min(self.held.len()));
        }
    }

    fn take(&mut self, length: usize) -> String {
        let bytes = Vec::from(self.held.split_to(length));
        self.inside = None;
        self.heard = Heard::Document;
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let bytes = error.as_bytes();
                match self.declared {
                    Some(encoding) if encoding.is_single_byte() => {
                        encoding.decode_without_bom_handling(bytes).0.into_owned()
                    }
                    _ => String::from_utf8_lossy(bytes).into_owned(),
                }
            }
        }
    }
}
