//! As much of XML's markup as is needed to find where a document ends. Pure.

pub(super) const ROOT: &[u8] = b"<ZettaLite";
pub(super) const DECLARATION: &[u8] = b"<?xml ";
const END: &[u8] = b"</ZettaLite";

/// What a place in a document stands within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Text,
    Tag { end: bool },
    Quoted { quote: u8, end: bool },
    Comment,
    Cdata,
    Instruction,
}

impl Within {
    /// Whether no markup begins here, whatever stands here.
    pub(super) fn hides(self) -> bool {
        matches!(self, Self::Comment | Self::Cdata | Self::Instruction)
    }
}

pub(super) enum Step {
    More,
    To { by: usize, within: Within },
    TagEnd { end: bool },
}

/// The next step from the first byte of `rest`, which is not empty.
pub(super) fn advance(within: Within, rest: &[u8]) -> Step {
    let to = |by, within| Step::To { by, within };
    match (within, rest[0]) {
        (Within::Text, b'<') => open(rest),
        (Within::Text, _) => to(1, Within::Text),
        (Within::Tag { end }, b'>') => Step::TagEnd { end },
        (Within::Tag { end }, quote @ (b'"' | b'\'')) => to(1, Within::Quoted { quote, end }),
        (Within::Tag { .. }, _) => to(1, within),
        (Within::Quoted { quote, end }, byte) if byte == quote => to(1, Within::Tag { end }),
        (Within::Quoted { .. }, _) => to(1, within),
        (Within::Comment, _) => until(rest, b"-->", within),
        (Within::Cdata, _) => until(rest, b"]]>", within),
        (Within::Instruction, _) => until(rest, b"?>", within),
    }
}

/// What begins at a `<`.
fn open(rest: &[u8]) -> Step {
    const KINDS: [(&[u8], Within); 3] = [
        (b"<!--", Within::Comment),
        (b"<![CDATA[", Within::Cdata),
        (b"<?", Within::Instruction),
    ];
    for (opening, within) in KINDS {
        if rest.starts_with(opening) {
            return Step::To {
                by: opening.len(),
                within,
            };
        }
        if opening.starts_with(rest) {
            return Step::More;
        }
    }
    if END.starts_with(rest) || (rest.len() == END.len() && rest == END) {
        return Step::More;
    }
    let end =
        rest.starts_with(END) && matches!(rest[END.len()], b'>' | b' ' | b'\t' | b'\r' | b'\n');
    Step::To {
        by: 1,
        within: Within::Tag { end },
    }
}

fn until(rest: &[u8], closing: &[u8], within: Within) -> Step {
    match find(rest, closing) {
        Some(at) => Step::To {
            by: at + closing.len(),
            within: Within::Text,
        },
        // All but what may be the beginning of the closing has been seen.
        None if rest.len() >= closing.len() => Step::To {
            by: rest.len() + 1 - closing.len(),
            within,
        },
        None => Step::More,
    }
}

pub(super) fn starts_document(bytes: &[u8]) -> bool {
    bytes.starts_with(ROOT)
        && matches!(
            bytes.get(ROOT.len()),
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/')
        )
}

pub(super) fn could_be_start(bytes: &[u8]) -> bool {
    ROOT.starts_with(bytes) || DECLARATION.starts_with(bytes)
}

/// How many of the last bytes may be the beginning of a document.
pub(super) fn start_at_end(bytes: &[u8]) -> usize {
    let most = bytes.len().min(ROOT.len());
    let ends = |length: &usize| could_be_start(&bytes[bytes.len() - length..]);
    (1..=most).rev().find(ends).unwrap_or(0)
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

pub(super) fn rfind(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|part| part == what)
}
