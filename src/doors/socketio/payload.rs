//! The bodies of polling requests and their answers: how Engine.IO, versions 3 and 4,
//! puts packets into them. Pure.

use super::packet::{Packet, PacketError, Version};

/// Engine.IO v4, "HTTP long-polling": packets are separated by this character.
pub(super) const SEPARATOR: char = '\u{1e}';

/// Why a body is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PayloadError {
    /// A packet in it is invalid.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// A text in it is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// A length does not end where a packet does.
    #[error("the length of a packet does not match the body")]
    Length,
}

/// Parses the packets of a POST.
///
/// # Errors
/// The body is not a valid Engine.IO payload of this version, up to its last byte.
pub(super) fn decode(
    body: &[u8],
    version: Version,
    is_binary: bool,
) -> Result<Vec<Packet<'_>>, PayloadError> {
    if version == Version::V3 && is_binary {
        return decode_binary(body);
    }
    let text = std::str::from_utf8(body).map_err(|_| PayloadError::NotUtf8)?;
    match version {
        Version::V4 => {
            let packets = text.strip_suffix(SEPARATOR).unwrap_or(text);
            if packets.is_empty() && text.is_empty() {
                return Ok(Vec::new());
            }
            let packets = packets.split(SEPARATOR);
            packets
                .map(|packet| Ok(Packet::parse(packet, version)?))
                .collect()
        }
        Version::V3 => {
            let mut rest = text;
            let mut packets = Vec::new();
            while !rest.is_empty() {
                let (packet, behind) = counted_packet(rest).ok_or(PayloadError::Length)?;
                packets.push(Packet::parse(packet, version)?);
                rest = behind;
            }
            Ok(packets)
        }
    }
}

/// Splits off the first packet, which is preceded by its length in UTF-16 units (Engine.IO
/// v3, "Payload").
fn counted_packet(text: &str) -> Option<(&str, &str)> {
    let (units, rest) = text.split_once(':')?;
    let units = length(units.as_bytes())?;
    let mut seen = 0;
    for (at, character) in rest.char_indices() {
        if seen >= units {
            return (seen == units).then(|| rest.split_at(at));
        }
        seen += character.len_utf16();
    }
    (seen == units).then_some((rest, ""))
}

/// Parses a binary body: each packet is preceded by its type, its length in bytes (one byte
/// per decimal digit) and the byte 255 (Engine.IO v3, "Payload", "XHR2").
fn decode_binary(body: &[u8]) -> Result<Vec<Packet<'_>>, PayloadError> {
    let mut rest = body;
    let mut packets = Vec::new();
    while let Some((kind, behind)) = rest.split_first() {
        let end = behind.iter().position(|byte| *byte == u8::MAX);
        let (digits, behind) = behind.split_at(end.ok_or(PayloadError::Length)?);
        let digits: Vec<_> = digits
            .iter()
            .map(|digit| digit.wrapping_add(b'0'))
            .collect();
        let length = length(&digits).ok_or(PayloadError::Length)?;
        let (packet, behind) = behind[1..]
            .split_at_checked(length)
            .ok_or(PayloadError::Length)?;
        packets.push(match (kind, packet) {
            (0, text) => {
                let text = std::str::from_utf8(text).map_err(|_| PayloadError::NotUtf8)?;
                Packet::parse(text, Version::V3)?
            }
            // The first byte is the type of the packet: a message.
            (1, [4, bytes @ ..]) => Packet::Binary(bytes.to_vec()),
            _ => return Err(PayloadError::Length),
        });
        rest = behind;
    }
    Ok(packets)
}

/// Parses a length; fails if it has more digits than any allowed body needs.
fn length(digits: &[u8]) -> Option<usize> {
    let is_length = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_length)?;
    digits.parse().ok()
}

/// The packets of the engine's answer to a poll, as text.
///
/// Ends at the first framing error.
pub(super) fn answered(answer: &str, version: Version) -> impl Iterator<Item = &str> {
    let mut rest = answer;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let packet;
        (packet, rest) = match version {
            Version::V4 => rest.split_once(SEPARATOR).unwrap_or((rest, "")),
            Version::V3 => counted_packet(rest)?,
        };
        Some(packet)
    })
}

/// The namespace of a packet of the engine's: `/name` up to a comma or the end, else `/`
/// (Socket.IO protocol v5 and v4, "packet encoding").
pub(super) fn namespace_of(packet: &str) -> &str {
    match packet.get(2..) {
        Some(rest) if rest.starts_with('/') => rest.split([',', '?']).next().unwrap_or(rest),
        _ => "/",
    }
}

/// A packet as Engine.IO v3 frames it.
pub(super) fn counted(packet: &str) -> String {
    format!("{}:{packet}", packet.encode_utf16().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(
        body: impl AsRef<[u8]>,
        version: Version,
        is_binary: bool,
    ) -> Result<Vec<String>, PayloadError> {
        let packets = decode(body.as_ref(), version, is_binary)?;
        Ok(packets.iter().map(Packet::encode).collect())
    }

    #[test]
    fn bodies_are_read_whole_or_not_at_all() {
        use PayloadError::{Length, NotUtf8};
        use Version::{V3, V4};
        let event = "42/a,[\"ñ𝄞\"]";
        let counted = format!("12:{event}1:2");
        let v4 = format!("{event}\u{1e}2");
        let empty = Err(PayloadError::Packet(PacketError::Empty));
        type Expected<'a> = Result<Vec<&'a str>, PayloadError>;
        let cases: [(&str, Version, Expected<'_>); 18] = [
            ("", V4, Ok(vec![])),
            ("2", V4, Ok(vec!["2"])),
            ("2\u{1e}", V4, Ok(vec!["2"])),
            (&v4, V4, Ok(vec![event, "2"])),
            ("\u{1e}", V4, empty.clone()),
            ("\u{1e}\u{1e}2", V4, empty.clone()),
            ("2\u{1e}9", V4, Err(PacketError::Type('9').into())),
            ("", V3, Ok(vec![])),
            ("5:40/a,", V3, Ok(vec!["40/a,"])),
            (&counted, V3, Ok(vec![event, "2"])),
            // The length ends inside a surrogate pair: the engine would never return.
            ("1:\u{1d11e}x", V3, Err(Length)),
            ("0:", V3, empty),
            ("9:40/a", V3, Err(Length)),
            ("5:40/a,x:40/b", V3, Err(Length)),
            (":2", V3, Err(Length)),
            ("+1:2", V3, Err(Length)),
            ("18446744073709551617:2", V3, Err(Length)),
            ("2", V3, Err(Length)),
        ];
        for (body, version, expected) in cases {
            let expected =
                expected.map(|packets| packets.iter().map(ToString::to_string).collect());
            assert_eq!(encoded(body, version, false), expected, "{body:?}");
        }
        assert_eq!(encoded(b"4\xff", V4, false), Err(NotUtf8));
    }

    #[test]
    fn binary_bodies_are_read_whole_or_not_at_all() {
        use PayloadError::{Length, NotUtf8};
        type Expected<'a> = Result<Vec<&'a str>, PayloadError>;
        let cases: [(&[u8], Expected<'_>); 9] = [
            (b"", Ok(vec![])),
            (b"\x00\x01\xff2", Ok(vec!["2"])),
            (
                b"\x00\x01\x01\xff42[\"\xc3\xb1___\"]\x01\x04\xff\x04\x01\x02\x03",
                Ok(vec!["42[\"ñ___\"]", "bAQID"]),
            ),
            (b"\x00\x01\xff", Err(Length)),
            (b"\x00\x01", Err(Length)),
            (b"\x02\x01\xff2", Err(Length)),
            (b"\x01\x01\xff\x03", Err(Length)),
            (b"\x00\x0a\xff2", Err(Length)),
            (b"\x00\x01\xff\xf0", Err(NotUtf8)),
        ];
        for (body, expected) in cases {
            let expected =
                expected.map(|packets| packets.iter().map(ToString::to_string).collect());
            assert_eq!(encoded(body, Version::V3, true), expected, "{body:?}");
        }
    }

    #[test]
    fn an_answer_holds_its_packets() {
        let cases: [(&str, Version, &[&str]); 5] = [
            ("", Version::V4, &[]),
            ("40/a,\u{1e}42[]", Version::V4, &["40/a,", "42[]"]),
            ("4:40/a1:2", Version::V3, &["40/a", "2"]),
            ("8:42[\"𝄞\"]1:2", Version::V3, &["42[\"𝄞\"]", "2"]),
            ("9:40/a", Version::V3, &[]),
        ];
        for (answer, version, expected) in cases {
            let found: Vec<_> = answered(answer, version).collect();
            assert_eq!(found, expected, "{answer:?}");
        }
    }
}
