//! Which encoding a stream has, by its first bytes or its declaration. Pure.

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_16BE, UTF_16LE};

use super::markup::find;

/// UTF-16 by its mark, or by its first characters (XML 1.0, appendix F).
pub(super) fn wide(start: &[u8]) -> Option<&'static Encoding> {
    match start {
        [0xFF, 0xFE, ..] | [b'<', 0, _, 0, ..] => Some(UTF_16LE),
        [0xFE, 0xFF, ..] | [0, b'<', 0, ..] => Some(UTF_16BE),
        _ => None,
    }
}

/// The encoding that an XML declaration names.
pub(super) fn declared(declaration: &[u8]) -> Option<&'static Encoding> {
    let at = find(declaration, b"encoding")?;
    let value = declaration[at..]
        .split(|b| matches!(b, b'"' | b'\''))
        .nth(1)?;
    Encoding::for_label(value)
}

/// The next bytes of a stream as text; what is cut off waits in the decoder.
pub(super) fn decode(decoder: &mut Decoder, bytes: &[u8]) -> String {
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
