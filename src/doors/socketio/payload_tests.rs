//! Tests of the framings, in both directions.

use super::*;

/// The longest packet that these tests allow, in bytes.
const PACKET_MOST: usize = 64;

fn encoded(body: impl AsRef<[u8]>, framing: Framing) -> Result<Vec<String>, PayloadError> {
    let packets = decode(body.as_ref(), framing, PACKET_MOST)?;
    packets.map(|packet| Ok(packet?.encode())).collect()
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
        let expected = expected.map(|packets| packets.iter().map(ToString::to_string).collect());
        assert_eq!(
            encoded(body, Framing::of(version, false)),
            expected,
            "{body:?}"
        );
    }
    assert_eq!(encoded(b"4\xff", Framing::Separated), Err(NotUtf8));
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
        let expected = expected.map(|packets| packets.iter().map(ToString::to_string).collect());
        assert_eq!(encoded(body, Framing::Binary), expected, "{body:?}");
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
        let found: Vec<_> = answered(answer.as_bytes(), version).collect();
        assert_eq!(found, expected, "{answer:?}");
    }
}

#[test]
fn a_packet_is_bounded_as_the_engine_receives_it() {
    let text = |bytes: usize| format!("42[\"{}\"]", "x".repeat(bytes - 6));
    let attachment = |bytes: usize| [&[1, 4, 9, 255, 4][..], &vec![7; bytes]].concat();
    let (fits, long) = (text(PACKET_MOST), text(PACKET_MOST + 1));
    for framing in [Framing::Counted, Framing::Binary] {
        assert_eq!(
            encoded(encode(&[&fits, "2"], framing), framing),
            Ok(vec![fits.clone(), "2".to_owned()])
        );
        let body = encode(&["2", &long], framing);
        assert_eq!(encoded(body, framing), Err(PayloadError::TooLong));
    }
    let both = format!("{fits}\u{1e}{fits}");
    assert_eq!(encoded(both, Framing::Separated).map(|p| p.len()), Ok(2));
    let body = format!("2\u{1e}{long}");
    assert_eq!(
        encoded(body, Framing::Separated),
        Err(PayloadError::TooLong)
    );
    // Base64 makes 65 of the 48 bytes.
    assert_eq!(
        encoded(attachment(48), Framing::Binary),
        Err(PayloadError::TooLong)
    );
}

/// The bytes that the Python clients of 2015 to 2019 read (`00 09 07 ff` + packet).
#[test]
fn an_answer_is_framed_as_the_client_reads_it() {
    let binary = |prefix: &[u8], packet: &str| [prefix, packet.as_bytes()].concat();
    let (wide, long) = ("42[\"ñ𝄞\"]", format!("0{}", "x".repeat(96)));
    let cases: [(&[&str], String, Vec<u8>); 5] = [
        (&[], String::new(), Vec::new()),
        (
            &["40/a", "2"],
            "4:40/a1:2".to_owned(),
            b"\x00\x04\xff40/a\x00\x01\xff2".to_vec(),
        ),
        (
            &[wide],
            format!("9:{wide}"),
            binary(b"\x00\x01\x02\xff", wide),
        ),
        (
            &[&long],
            format!("97:{long}"),
            binary(b"\x00\x09\x07\xff", &long),
        ),
        (
            &["b4AQID", "3"],
            "6:b4AQID1:3".to_owned(),
            b"\x01\x04\xff\x04\x01\x02\x03\x00\x01\xff3".to_vec(),
        ),
    ];
    for (packets, counted, binary) in cases {
        assert_eq!(encode(packets, Framing::Counted), counted.as_bytes());
        assert_eq!(encode(packets, Framing::Binary), binary);
    }
}
