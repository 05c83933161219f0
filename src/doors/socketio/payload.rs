//! Where the CONNECT packets of a polling body end. Pure.
//! Knows how Engine.IO frames packets in a payload, versions 3 and 4.

use std::ops::Range;

/// How a payload is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Engine.IO v4: packets between separators.
    Separated,
    /// Engine.IO v3: each packet behind its length in UTF-16 units.
    Counted,
}

/// A part of a payload: whole packets, of which only the last may be a CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) range: Range<usize>,
    /// The namespace that the last packet connects to.
    pub(super) connects: Option<&'a str>,
}

/// Engine.IO v4, "HTTP long-polling": packets are separated by this character.
const SEPARATOR: char = '\u{1e}';

/// Cuts a payload behind each of its CONNECT packets.
///
/// What is not framed as it should be is left whole, for the engine to refuse.
pub(super) fn split(payload: &str, framing: Framing) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some((packet, end)) = next_packet(payload, at, framing) {
        if let Some(namespace) = connects(packet) {
            parts.push(Part {
                range: start..end,
                connects: Some(namespace),
            });
            start = end;
        }
        at = end;
    }
    if start < payload.len() {
        parts.push(Part {
            range: start..payload.len(),
            connects: None,
        });
    }
    parts
}

/// The packet that begins at `at`, and where the next one begins.
fn next_packet(payload: &str, at: usize, framing: Framing) -> Option<(&str, usize)> {
    let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
    match framing {
        Framing::Separated => match rest.split_once(SEPARATOR) {
            Some((packet, _)) => Some((packet, at + packet.len() + SEPARATOR.len_utf8())),
            None => Some((rest, payload.len())),
        },
        Framing::Counted => {
            let (units, packet) = rest.split_once(':')?;
            let length = utf16_prefix(packet, units.parse().ok()?)?;
            Some((&packet[..length], at + units.len() + 1 + length))
        }
    }
}

/// How many bytes the first `units` UTF-16 units of a text take.
fn utf16_prefix(text: &str, units: usize) -> Option<usize> {
    let mut seen = 0;
    for (at, character) in text.char_indices() {
        if seen >= units {
            return (seen == units).then_some(at);
        }
        seen += character.len_utf16();
    }
    (seen == units).then_some(text.len())
}

/// The namespace of a CONNECT: `40`, then `/name` up to a comma or the end.
fn connects(packet: &str) -> Option<&str> {
    let rest = packet.strip_prefix("40")?;
    if !rest.starts_with('/') {
        return Some("/");
    }
    rest.split(',').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(payload: &str, framing: Framing) -> Vec<(&str, Option<&str>)> {
        let part = |part: Part<'static>| (part.range, part.connects);
        let payload: &'static str = payload.to_owned().leak();
        split(payload, framing)
            .into_iter()
            .map(part)
            .map(|(range, connects)| (&payload[range], connects))
            .collect()
    }

    #[test]
    fn a_payload_is_cut_behind_each_connect() {
        use Framing::{Counted, Separated};
        type Cut = &'static [(&'static str, Option<&'static str>)];
        let cases: [(&str, Framing, Cut); 12] = [
            ("", Separated, &[]),
            ("2", Separated, &[("2", None)]),
            ("40", Separated, &[("40", Some("/"))]),
            ("40{\"a\":1}", Separated, &[("40{\"a\":1}", Some("/"))]),
            ("40/a,", Separated, &[("40/a,", Some("/a"))]),
            (
                "40/a,{}\u{1e}42/a,[\"x\"]\u{1e}42/a,[\"y\"]",
                Separated,
                &[
                    ("40/a,{}\u{1e}", Some("/a")),
                    ("42/a,[\"x\"]\u{1e}42/a,[\"y\"]", None),
                ],
            ),
            (
                "2\u{1e}40/a\u{1e}40/b,",
                Separated,
                &[("2\u{1e}40/a\u{1e}", Some("/a")), ("40/b,", Some("/b"))],
            ),
            ("4:40/a", Counted, &[("4:40/a", Some("/a"))]),
            (
                "4:40/a7:42[\"ñ\"]",
                Counted,
                &[("4:40/a", Some("/a")), ("7:42[\"ñ\"]", None)],
            ),
            (
                "8:42[\"𝄞\"]4:40/a1:2",
                Counted,
                &[("8:42[\"𝄞\"]4:40/a", Some("/a")), ("1:2", None)],
            ),
            ("9:40/a", Counted, &[("9:40/a", None)]),
            ("x:40/a", Counted, &[("x:40/a", None)]),
        ];
        for (payload, framing, cut) in cases {
            assert_eq!(parts(payload, framing), cut, "{payload:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_parts_are_the_payload(payload in "[0-9:,/ab40\u{1e}\u{10000}ñ]{0,80}") {
            for framing in [Framing::Separated, Framing::Counted] {
                let parts = split(&payload, framing);
                let joined: String = parts.iter().map(|p| &payload[p.range.clone()]).collect();
                proptest::prop_assert_eq!(&joined, &payload);
            }
        }
    }
}
