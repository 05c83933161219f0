//! The bodies of polling requests and their answers: how Engine.IO, versions 3 and 4,
//! puts packets into them. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

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
    /// A packet is longer than the server reads.
    #[error("a packet is too long")]
    TooLong,
}

/// How a body frames its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Engine.IO v4: packets with [`SEPARATOR`] between them.
    Separated,
    /// Engine.IO v3, "Payload": each packet follows its length in UTF-16 units.
    Counted,
    /// Engine.IO v3, "Payload", "XHR2": each packet follows its type, its length in bytes (one
    /// byte per decimal digit) and the byte 255.
    Binary,
}

impl Framing {
    /// The framing of a body in a session of this version.
    pub(super) fn of(version: Version, is_binary: bool) -> Self {
        match (version, is_binary) {
            (Version::V4, _) => Self::Separated,
            (Version::V3, false) => Self::Counted,
            (Version::V3, true) => Self::Binary,
        }
    }

    fn version(self) -> Version {
        match self {
            Self::Separated => Version::V4,
            Self::Counted | Self::Binary => Version::V3,
        }
    }

    /// The `Content-Type` of an answer with this framing.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Separated | Self::Counted => "text/plain; charset=UTF-8",
            Self::Binary => "application/octet-stream",
        })
    }

    /// Appends a packet to an answer of Engine.IO v3.
    fn push(self, packet: &str, body: &mut Vec<u8>) {
        let attachment = packet.strip_prefix("b4").map(|text| STANDARD.decode(text));
        let framed = |kind: u8, length: usize| {
            let digits = length.to_string().into_bytes();
            let digits = digits.into_iter().map(|digit| digit - b'0');
            [kind].into_iter().chain(digits).chain([u8::MAX])
        };
        match (self, attachment) {
            (Self::Separated | Self::Counted, _) => {
                let units = packet.encode_utf16().count();
                body.extend_from_slice(units.to_string().as_bytes());
                body.push(b':');
                body.extend_from_slice(packet.as_bytes());
            }
            (Self::Binary, Some(Ok(bytes))) => {
                body.extend(framed(1, bytes.len() + 1));
                // The type of the packet: a message.
                body.push(4);
                body.extend_from_slice(&bytes);
            }
            (Self::Binary, _) => {
                body.extend(framed(0, packet.len()));
                body.extend_from_slice(packet.as_bytes());
            }
        }
    }
}

/// Encodes packets as an answer of Engine.IO v3.
pub(super) fn encode(packets: &[&str], framing: Framing) -> Vec<u8> {
    let mut body = Vec::with_capacity(packets.iter().map(|packet| packet.len() + 8).sum());
    packets.iter().for_each(|p| framing.push(p, &mut body));
    body
}

/// Parses the packets of a POST lazily, so that a body of many small packets takes no memory of
/// its own. `packet_most` is the most bytes of a packet, in the form that the engine receives.
///
/// # Errors
/// The body is not UTF-8. The items fail at the first place that is not a valid Engine.IO
/// payload with this framing.
pub(super) fn decode(
    body: &[u8],
    framing: Framing,
    packet_most: usize,
) -> Result<impl Iterator<Item = Result<Packet<'_>, PayloadError>> + Clone, PayloadError> {
    let frames = match framing {
        Framing::Binary => Frames::binary(body),
        Framing::Separated | Framing::Counted => {
            let text = std::str::from_utf8(body).map_err(|_| PayloadError::NotUtf8)?;
            Frames::text(text, framing)
        }
    };
    Ok(frames.map(move |frame| {
        let frame = frame?;
        if frame.encoded_bytes() > packet_most {
            return Err(PayloadError::TooLong);
        }
        Ok(match frame {
            PacketFrame::Text(text) => Packet::parse(text, framing.version())?,
            PacketFrame::Attachment(bytes) => Packet::Binary(bytes.to_vec()),
        })
    }))
}

/// The packets of the engine's answer to a poll, as text.
///
/// Ends at the first framing error.
pub(super) fn answered(answer: &[u8], version: Version) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    let frames = Frames::text(text, Framing::of(version, false));
    frames.map_while(|frame| match frame {
        Ok(PacketFrame::Text(text)) => Some(text),
        _ => None,
    })
}

/// A packet without its frame.
enum PacketFrame<'a> {
    Text(&'a str),
    /// The data of a binary message.
    Attachment(&'a [u8]),
}

impl PacketFrame<'_> {
    /// The number of bytes that the engine receives: an attachment is in base64, behind a `b`.
    fn encoded_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Attachment(bytes) => 1 + bytes.len().div_ceil(3) * 4,
        }
    }
}

/// Splits a body into frames, up to the first error.
#[derive(Clone)]
struct Frames<'a>(Option<Rest<'a>>);

/// The rest of a body, which is not split yet.
#[derive(Clone, Copy)]
enum Rest<'a> {
    Separated(&'a str),
    Counted(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Frames<'a> {
    fn text(text: &'a str, framing: Framing) -> Self {
        Self(match framing {
            _ if text.is_empty() => None,
            Framing::Separated => {
                let packets = text.strip_suffix(SEPARATOR).unwrap_or(text);
                Some(Rest::Separated(packets))
            }
            Framing::Counted | Framing::Binary => Some(Rest::Counted(text)),
        })
    }

    fn binary(body: &'a [u8]) -> Self {
        Self((!body.is_empty()).then_some(Rest::Binary(body)))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<PacketFrame<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let split = match self.0.take()? {
            Rest::Separated(text) => Ok(match text.split_once(SEPARATOR) {
                Some((packet, behind)) => {
                    (PacketFrame::Text(packet), Some(Rest::Separated(behind)))
                }
                None => (PacketFrame::Text(text), None),
            }),
            Rest::Counted(text) => counted_packet(text).map(|(packet, behind)| {
                let behind = (!behind.is_empty()).then_some(Rest::Counted(behind));
                (PacketFrame::Text(packet), behind)
            }),
            Rest::Binary(body) => binary_packet(body).map(|(frame, behind)| {
                let behind = (!behind.is_empty()).then_some(Rest::Binary(behind));
                (frame, behind)
            }),
        };
        Some(split.map(|(frame, behind)| {
            self.0 = behind;
            frame
        }))
    }
}

/// Splits off the first packet with [`Framing::Counted`].
fn counted_packet(text: &str) -> Result<(&str, &str), PayloadError> {
    let (units, rest) = text.split_once(':').ok_or(PayloadError::Length)?;
    let units = length(units.as_bytes()).ok_or(PayloadError::Length)?;
    let mut seen = 0;
    for (at, character) in rest.char_indices() {
        if seen >= units {
            let packet = (seen == units).then(|| rest.split_at(at));
            return packet.ok_or(PayloadError::Length);
        }
        seen += character.len_utf16();
    }
    let packet = (seen == units).then_some((rest, ""));
    packet.ok_or(PayloadError::Length)
}

/// Splits off the first packet with [`Framing::Binary`].
fn binary_packet(body: &[u8]) -> Result<(PacketFrame<'_>, &[u8]), PayloadError> {
    let (kind, behind) = body.split_first().ok_or(PayloadError::Length)?;
    let mut prefix = behind.iter().take(LENGTH_DIGITS + 1);
    let end = prefix.position(|byte| *byte == u8::MAX);
    let (digits, behind) = behind.split_at(end.ok_or(PayloadError::Length)?);
    let digits: Vec<_> = digits
        .iter()
        .map(|digit| digit.wrapping_add(b'0'))
        .collect();
    let length = length(&digits).ok_or(PayloadError::Length)?;
    let (packet, behind) = behind[1..]
        .split_at_checked(length)
        .ok_or(PayloadError::Length)?;
    let frame = match (kind, packet) {
        (0, text) => {
            PacketFrame::Text(std::str::from_utf8(text).map_err(|_| PayloadError::NotUtf8)?)
        }
        // The first byte is the type of the packet: a message.
        (1, [4, bytes @ ..]) => PacketFrame::Attachment(bytes),
        _ => return Err(PayloadError::Length),
    };
    Ok((frame, behind))
}

/// The most digits of a length: more than any allowed body needs.
const LENGTH_DIGITS: usize = 9;

/// Parses a length.
fn length(digits: &[u8]) -> Option<usize> {
    let is_length =
        (1..=LENGTH_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_length)?;
    digits.parse().ok()
}

/// The namespace of a packet of the engine's: `/name` up to a comma or the end, else `/`
/// (Socket.IO protocol v5 and v4, "packet encoding").
pub(super) fn namespace_of(packet: &str) -> &str {
    match packet.get(2..) {
        Some(rest) if rest.starts_with('/') => rest.split([',', '?']).next().unwrap_or(rest),
        _ => "/",
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
