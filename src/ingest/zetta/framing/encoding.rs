//! Which encoding a document of bytes has, by its declaration. Pure.

use encoding_rs::Encoding;

use super::markup::find;

/// The encoding that an XML declaration names.
pub(super) fn declared(declaration: &[u8]) -> Option<&'static Encoding> {
    let at = find(declaration, b"encoding")?;
    let value = declaration[at..]
        .split(|b| matches!(b, b'"' | b'\''))
        .nth(1)?;
    Encoding::for_label(value)
}

/// A document's text: UTF-8, where the bytes can be that, whatever is declared.
pub(super) fn text(bytes: Vec<u8>, declared: Option<&'static Encoding>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let bytes = error.as_bytes();
        match declared {
            Some(encoding) if encoding.is_single_byte() => {
                encoding.decode_without_bom_handling(bytes).0.into_owned()
            }
            _ => String::from_utf8_lossy(bytes).into_owned(),
        }
    })
}
