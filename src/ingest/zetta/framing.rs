//! From bytes to whole documents: encodings, boundaries, and getting back in
//! step after garbage. Knows where a document ends, not what it says.

mod encoding;
mod markup;
mod raw;
#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};
use encoding_rs::Encoding;

pub(super) use self::encoding::decode;

use self::encoding::declared;
use self::markup::{
    DECLARATION, ROOT, Step, Within, advance, could_be_start, find, rfind, start_at_end,
    starts_document,
};
use self::raw::Raw;

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
    /// The next one began inside it, or another encoding.
    Cut,
    /// It is larger than [`HELD_MOST`].
    TooLarge,
    /// Something else than ZettaLite stands between the documents.
    OtherFormat,
}

/// One connection's bytes.
#[derive(Default)]
pub struct Framer {
    raw: Raw,
    /// UTF-8, or what claims to be; a document in it begins at 0. Giving its
    /// start up costs nothing, however much follows.
    held: BytesMut,
    inside: Option<Scan>,
    /// The encoding that the last declaration names.
    declared: Option<&'static Encoding>,
    /// Whether the other format was reported already.
    reported: bool,
    /// Whether the rest of a document that was given up is still to come.
    dropped: bool,
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
        let joined = self.raw.join(bytes);
        let mut rest = &joined[..];
        while let Some((at, sign)) = self.raw.change(rest) {
            self.read(&rest[..at], found);
            self.raw.turn(sign, self.is_inside());
            self.leave(found);
            rest = &rest[at..];
        }
        let rest = self.raw.keep(rest);
        self.read(rest, found);
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
        if self.is_inside() {
            self.give_up();
            let next = (1..self.held.len()).find(|at| starts_document(&self.held[*at..]));
            let partial = start_at_end(&self.held[1..]);
            self.held.advance(next.unwrap_or(self.held.len() - partial));
        }
        while self.step(found) {}
    }

    fn read(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        self.raw.read(bytes, &mut self.held);
        while self.step(found) {}
    }

    /// Leaves what stands in another encoding than what follows.
    fn leave(&mut self, found: &mut Vec<Found>) {
        if self.is_inside() {
            self.cut(found);
        }
        self.held.clear();
        self.declared = None;
    }

    fn cut(&mut self, found: &mut Vec<Found>) {
        found.push(Found::Broken(Broken::Cut));
        self.give_up();
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
        let before = start.unwrap_or(self.held.len() - start_at_end(&self.held));
        self.look_at_garbage(before, found);
        match start {
            Some(start) => {
                self.held.advance(start);
                self.dropped = false;
                self.inside = Some(Scan {
                    at: 1,
                    within: Within::Tag { end: false },
                    root: true,
                });
                true
            }
            None => {
                self.held
                    .advance(self.held.len().saturating_sub(GARBAGE_KEPT));
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
        if foreign && !self.dropped && !self.reported {
            self.reported = true;
            found.push(Found::Broken(Broken::OtherFormat));
        }
    }

    fn find_end(&mut self, mut scan: Scan, found: &mut Vec<Found>) -> bool {
        loop {
            let rest = &self.held[scan.at..];
            if rest.is_empty() {
                break;
            }
            if rest[0] == b'<' && !scan.within.hides() {
                if rest.len() < ROOT.len() + 1 && could_be_start(rest) {
                    break;
                }
                if rest.starts_with(DECLARATION) || starts_document(rest) {
                    self.cut(found);
                    self.held.advance(scan.at);
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
            self.drop_all();
        }
        false
    }

    /// Drops what is held, all but what may be the beginning of a document.
    ///
    /// Nothing of it is looked at again: whoever hides a thousand beginnings in
    /// a comment would have it looked at a thousand times.
    fn drop_all(&mut self) {
        self.give_up();
        let keep = start_at_end(&self.held);
        self.held = BytesMut::from(&self.held[self.held.len() - keep..]);
    }

    /// Leaves a document without its end; its rest is not judged.
    fn give_up(&mut self) {
        self.heard = Heard::Document;
        self.inside = None;
        self.declared = None;
        self.dropped = true;
    }

    fn take(&mut self, length: usize) -> String {
        let bytes = Vec::from(self.held.split_to(length));
        self.raw.ended(self.held.len());
        self.inside = None;
        self.heard = Heard::Document;
        decode(bytes, self.declared.take())
    }
}
