//! Decides which encoding a document has, once for the whole document. Pure.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::markup::find;

/// The encoding that an XML declaration names.
pub(super) fn declared(declaration: &[u8]) -> Option<&'static Encoding> {
    let at = find(declaration, b"encoding")?;
    let value = declaration[at..]
        .split(|b| matches!(b, b'"' | b'\''))
        .nth(1)?;
    Encoding::for_label(value)
}

/// Decodes a document or a request body that is not UTF-16.
///
/// Bytes that are valid UTF-8 are decoded as UTF-8, whatever the document declares. For others this
/// tries, in this order: the declared encoding, damaged UTF-8, Windows-1252 (in which every byte is
/// a character). It accepts one of the first two only if at least half of the non-ASCII characters
/// that it yields are not U+FFFD: the bytes win over the declaration.
pub(in super::super) fn decode(bytes: Vec<u8>, declared: Option<&'static Encoding>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    // Documents begin and end in ASCII, so their bytes are neither UTF-16 nor ISO-2022-JP.
    let declared = declared.filter(|encoding| encoding.is_ascii_compatible());
    let decode = |encoding: &'static Encoding| encoding.decode_without_bom_handling(&bytes).0;
    let mut candidates = declared.into_iter().chain([UTF_8]).map(decode);
    let text = candidates.find(|text| {
        let wrong = text.matches(char::REPLACEMENT_CHARACTER).count();
        2 * wrong <= text.chars().filter(|c| !c.is_ascii()).count()
    });
    text.unwrap_or_else(|| decode(WINDOWS_1252)).into_owned()
}
