//! Inputs for a parser: valid documents of its format, and mutations of them.
//! Knows no parser and no property.

/// The largest input, in bytes: mutations never exceed it.
const INPUT_MOST: usize = 64 * 1024;

/// About the largest number of pieces that an input is cut into.
const PIECES_MOST: u32 = 2_000;

/// The number of kinds of mutations.
pub(super) const KINDS: u8 = 12;

/// The deepest nesting: twenty times the limit of serde_json.
const DEPTH_MOST: u32 = 2_560;

/// Tokens that are hard for any parser: surrogates in UTF-8 (CESU) and in JSON, characters
/// of each length, marks, separators, and numbers beyond all types.
const HARD: [&[u8]; 24] = [
    b"\xed\xa0\xb4\xed\xb4\x9e",
    b"\xed\xa0\x80",
    "\u{1d11e}".as_bytes(),
    "\u{e9}".as_bytes(),
    "\u{20ac}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xc0\x80",
    b"\\ud834",
    b"\\udd1e\\ud834",
    b"\\u0000",
    b"\0",
    b"\x1e",
    b"\r\n",
    b"\x80",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"99999999999999999999999999999999999999",
    b"1e999",
    b"-0.0e-999",
    b"-1",
    b"0",
];

/// The material for the inputs of a parser.
pub(crate) struct Format {
    /// The parser's name in the report.
    pub(crate) name: &'static str,
    /// Whole, valid documents.
    pub(crate) documents: Vec<Vec<u8>>,
    /// The tokens of the format: brackets, separators, names, numbers.
    pub(crate) tokens: Vec<Vec<u8>>,
}

/// One input.
#[derive(Clone)]
pub(crate) struct Case {
    /// The whole input.
    pub(crate) bytes: Vec<u8>,
    /// Decides where [`Case::pieces`] cuts, or anything else about the case.
    pub(crate) seed: u32,
}

/// A mutation of a document: its kind, its position, and two parameters.
pub(super) type Mutation = (u8, u32, u32, u32);

impl Format {
    /// A format of text.
    pub(crate) fn text(name: &'static str, documents: &[&str], tokens: &[&str]) -> Self {
        let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        Self {
            name,
            documents: bytes(documents),
            tokens: bytes(tokens),
        }
    }

    pub(super) fn case(&self, document: u32, mutations: &[Mutation], seed: u32) -> Case {
        let mut bytes = self.document(document);
        for mutation in mutations {
            self.mutate(&mut bytes, *mutation);
            bytes.truncate(INPUT_MOST);
        }
        Case { bytes, seed }
    }

    /// A valid document; one in eight is a row of words instead, or random bytes.
    fn document(&self, number: u32) -> Vec<u8> {
        let mut dice = Dice(number);
        match number % 16 {
            15 => (0..dice.below(200)).map(|_| dice.next() as u8).collect(),
            14 => (0..dice.below(30))
                .flat_map(|_| self.token(dice.next()).to_vec())
                .collect(),
            _ => pick(&self.documents, number / 16).to_vec(),
        }
    }

    fn token(&self, number: u32) -> &[u8] {
        match number % 4 {
            0 => HARD[number as usize / 4 % HARD.len()],
            _ => pick(&self.tokens, number / 4),
        }
    }

    fn mutate(&self, bytes: &mut Vec<u8>, (kind, at, a, b): Mutation) {
        let len = bytes.len();
        let at = at as usize % (len + 1);
        let end = (at + a as usize % 32).min(len);
        match kind {
            // Flip one bit.
            0 if at < len => bytes[at] ^= 1 << (a % 8),
            // Replace a byte.
            1 if at < len => bytes[at] = a as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            // Insert a token, mostly once.
            4 | 5 => {
                let times = 1 + times(b, 64);
                insert(bytes, at, &self.token(a).repeat(times));
            }
            // Repeat a part.
            6 => {
                let again = bytes[at..end].repeat(1 + times(b, 512));
                insert(bytes, at, &again);
            }
            // Deep nesting: repeat a token, and sometimes another one behind it as often.
            7 => {
                let depth = match b % 16 {
                    0 => b / 16 % DEPTH_MOST,
                    _ => b / 16 % 16,
                } as usize;
                let mut nested = self.token(a).repeat(depth);
                if b.is_multiple_of(2) {
                    nested.extend(self.token(b).repeat(depth));
                }
                insert(bytes, at, &nested);
            }
            // Replace a number.
            8 => {
                let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit());
                let start = (at..len).find(|from| bytes[*from].is_ascii_digit());
                if let Some(start) = start {
                    let end = start + digits(start).count();
                    let other = HARD[HARD.len() - 8 + a as usize % 8];
                    bytes.splice(start..end, other.iter().copied());
                }
            }
            // Replace the rest by that of another document.
            9 => {
                let other = self.document(a);
                let from = b as usize % (other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            // Replace a part by a token.
            10 => {
                let token = self.token(b).to_vec();
                bytes.splice(at..end, token);
            }
            // Insert random bytes.
            _ => {
                let mut dice = Dice(b);
                let noise: Vec<_> = (0..a % 16).map(|_| dice.next() as u8).collect();
                insert(bytes, at, &noise);
            }
        }
    }
}

impl Case {
    /// The input as text; invalid UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The input in pieces, as reads of a connection give it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut dice = Dice(self.seed);
        let most = match self.seed % 4 {
            0 => 2,
            1 => 50,
            2 => 5_000,
            _ => u32::MAX,
        };
        // Thousands of pieces find no more than a few.
        let most = most.max(self.bytes.len() as u32 / PIECES_MOST);
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let length = rest.len().min(1 + dice.below(most) as usize);
            let piece = rest.split_off(..length)?;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

fn pick(from: &[Vec<u8>], number: u32) -> &[u8] {
    &from[number as usize % from.len()]
}

/// A number of repetitions: mostly small, sometimes large.
fn times(number: u32, most: u32) -> usize {
    let times = match number % 8 {
        0 => number / 8 % most,
        1 | 2 => number / 8 % 4,
        _ => 0,
    };
    times as usize
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    bytes.splice(at..at, more.iter().copied());
}

/// Cheap random numbers (Marsaglia's xorshift).
struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9).max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, most: u32) -> u32 {
        self.next() % most
    }
}
