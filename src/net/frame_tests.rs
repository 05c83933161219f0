//! Tests of frame following.

use proptest::prelude::*;

use super::*;

/// A finished frame as RFC 6455 has it.
fn frame(fin: bool, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![opcode | if fin { 0x80 } else { 0 }];
    let flag = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => bytes.push(flag | len as u8),
        len @ 126..65536 => {
            bytes.push(flag | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(flag | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}

/// What was seen in these parts: for each frame its header, start and the
/// places of its end.
fn seen(parts: &[&[u8]]) -> Vec<(Header, Vec<u8>, usize)> {
    let mut starts = Starts::default();
    let mut at = 0;
    let mut told = 0;
    let mut seen = Vec::new();
    for part in parts {
        let mut rest = *part;
        loop {
            let (used, what) = starts.follow(rest);
            rest = &rest[used..];
            at += used;
            let frame = starts.frame();
            match what {
                Seen::Need => break,
                Seen::Start => told += 1,
                Seen::End => seen.push((frame.header, frame.start.to_vec(), at)),
            }
        }
        assert!(rest.is_empty());
        assert!(told == seen.len() || told == seen.len() + 1);
    }
    seen
}

#[test]
fn frames_are_found_wherever_they_are_cut() {
    let mask = Some([0x12, 0x34, 0x56, 0x78]);
    let frames = [
        frame(true, 1, mask, b"40/metadata,"),
        frame(true, 9, None, b""),
        frame(true, 9, mask, b""),
        frame(false, 1, mask, &[b'a'; 125]),
        frame(true, 0, None, &[b'b'; 126]),
        frame(true, 2, mask, &[b'c'; 64]),
        frame(true, 1, mask, &[b'd'; 300]),
    ];
    let all = frames.concat();
    let whole = seen(&[&all]);
    assert_eq!(whole.len(), frames.len());
    let ends: Vec<_> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    assert_eq!(whole.iter().map(|seen| seen.2).collect::<Vec<_>>(), ends);
    assert_eq!(whole[0].1, b"40/metadata,");
    assert_eq!(whole[6].1, [b'd'; START_MAX]);
    assert!(!whole[3].0.fin);
    for cut in 0..all.len() {
        let (a, b) = all.split_at(cut);
        assert_eq!(seen(&[a, b]), whole, "cut at {cut}");
    }
    let bytes: Vec<_> = all.chunks(1).collect();
    assert_eq!(seen(&bytes), whole);
}

#[test]
fn the_start_is_told_before_the_frame_ends() {
    let bytes = frame(true, 1, None, &[b'x'; 100]);
    let mut starts = Starts::default();
    let early = 2 + START_MAX;
    assert_eq!(starts.follow(&bytes[..early - 1]), (early - 1, Seen::Need));
    assert_eq!(starts.follow(&bytes[early - 1..early]), (1, Seen::Start));
    assert_eq!(starts.follow(&bytes[early..]), (100 - START_MAX, Seen::End));
}

#[test]
fn the_boundary_is_known() {
    let bytes = frame(true, 1, None, b"ab");
    let mut follower = Follower::default();
    assert!(follower.at_boundary());
    assert!(matches!(follower.step(&bytes), (2, Step::Header(_))));
    assert!(!follower.at_boundary());
    assert_eq!(follower.step(&bytes[2..3]), (1, Step::Payload(0)));
    assert_eq!(follower.step(&[]), (0, Step::Need));
    assert_eq!(follower.step(&bytes[3..]), (1, Step::Payload(1)));
    assert_eq!(follower.step(&[]), (0, Step::End));
    assert!(follower.at_boundary());
    assert_eq!(follower.step(&[0x81]), (1, Step::Need));
    assert!(!follower.at_boundary());
}

#[test]
fn the_longest_length_does_not_overflow() {
    let mut bytes = vec![0x82, 0xff];
    bytes.extend([0xff; 12]);
    bytes.extend([0; 10]);
    assert!(seen(&[&bytes]).is_empty());
}

proptest! {
    #[test]
    fn any_frames_in_any_parts(
        frames in prop::collection::vec(
            (any::<bool>(), 0u8..11, any::<Option<[u8; 4]>>(), prop::collection::vec(any::<u8>(), 0..200)),
            0..8,
        ),
        size in 1usize..100,
    ) {
        let all: Vec<u8> = frames
            .iter()
            .flat_map(|(fin, opcode, mask, payload)| frame(*fin, *opcode, *mask, payload))
            .collect();
        let parts: Vec<_> = all.chunks(size).collect();
        let seen = seen(&parts);
        prop_assert_eq!(seen.len(), frames.len());
        for ((header, start, _), (fin, opcode, mask, payload)) in seen.iter().zip(&frames) {
            prop_assert_eq!(header.fin, *fin);
            prop_assert_eq!(header.opcode, *opcode);
            prop_assert_eq!(header.mask, *mask);
            prop_assert_eq!(header.len, payload.len() as u64);
            prop_assert_eq!(&start[..], &payload[..payload.len().min(START_MAX)]);
        }
    }

    #[test]
    fn garbage_is_followed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        seen(&[&bytes]);
    }
}
