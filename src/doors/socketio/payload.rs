//! Packets: their namespaces, and how they stand in a polling body. Pure.
//! Knows how Engine.IO frames packets in a payload, versions 3 and 4.

/// How a payload is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Engine.IO v4: packets between separators.
    Separated,
    /// Engine.IO v3: each packet behind its length in UTF-16 units.
    Counted,
}

/// Engine.IO v4, "HTTP long-polling": packets are separated by this character.
const SEPARATOR: char = '\u{1e}';

/// Each packet of a payload, and where in it the next one begins.
///
/// Ends where the payload is not framed as it should be.
pub(super) fn packets(payload: &str, framing: Framing) -> impl Iterator<Item = (&str, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (packet, end) = next_packet(payload, at, framing)?;
        at = end;
        Some((packet, end))
    })
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

/// The namespace of a packet: `/name` up to a comma, a query or the end, else `/`
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_holds_its_packets() {
        use Framing::{Counted, Separated};
        type Packets = &'static [(&'static str, usize)];
        let cases: [(&str, Framing, Packets); 9] = [
            ("", Separated, &[]),
            ("2", Separated, &[("2", 1)]),
            (
                "40/a,\u{1e}42/a,[\"x\"]",
                Separated,
                &[("40/a,", 6), ("42/a,[\"x\"]", 16)],
            ),
            ("\u{1e}\u{1e}2", Separated, &[("", 1), ("", 2), ("2", 3)]),
            ("4:40/a", Counted, &[("40/a", 6)]),
            (
                "4:40/a7:42[\"ñ\"]",
                Counted,
                &[("40/a", 6), ("42[\"ñ\"]", 16)],
            ),
            ("8:42[\"𝄞\"]1:2", Counted, &[("42[\"𝄞\"]", 12), ("2", 15)]),
            ("9:40/a", Counted, &[]),
            ("4:40/ax:40/b", Counted, &[("40/a", 6)]),
        ];
        for (payload, framing, expected) in cases {
            let found: Vec<_> = packets(payload, framing).collect();
            assert_eq!(found, expected, "{payload:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn packets_end_in_order_and_within(payload in "[0-9:,/ab40\u{1e}\u{10000}ñ]{0,80}") {
            for framing in [Framing::Separated, Framing::Counted] {
                let mut before = 0;
                for (packet, end) in packets(&payload, framing) {
                    proptest::prop_assert!(end > before && end <= payload.len());
                    proptest::prop_assert!(payload[before..end].contains(packet));
                    before = end;
                }
            }
        }
    }
}
