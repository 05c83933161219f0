//! What a stream is cut into, whatever it is split, encoded or broken like.

use proptest::prelude::*;

use super::*;

/// What one read of a connection gives at most.
const READ: usize = 16 * 1024;

const DECLARED: &str = r#"<?xml version="1.0" encoding="utf-8"?>"#;

/// What is found in these bytes when they come in such pieces: documents by
/// their text, the others by what is wrong.
fn found(bytes: &[u8], piece: usize) -> Vec<String> {
    let (mut framer, mut found) = (Framer::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        framer.push(piece, &mut found);
    }
    let shown = |found| match found {
        Found::Document(text) => text,
        Found::Broken(broken) => format!("{broken:?}"),
    };
    found.into_iter().map(shown).collect()
}

fn document(title: &str) -> String {
    format!("<ZettaLite><a T=\"{title}\"/></ZettaLite>")
}

fn wide(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| match big {
        true => unit.to_be_bytes(),
        false => unit.to_le_bytes(),
    };
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn a_document_split_within_its_first_word_is_no_other_format() {
    for before in ["", "\n", DECLARED, &format!("{}\n", document("A"))] {
        let text = format!("{before}{}", document("B"));
        for cut in before.len()..=before.len() + ROOT.len() {
            let (mut framer, mut found) = (Framer::default(), Vec::new());
            framer.push(&text.as_bytes()[..cut], &mut found);
            framer.push(&text.as_bytes()[cut..], &mut found);
            let last = found.pop();
            assert_eq!(last, Some(Found::Document(document("B"))), "{before} {cut}");
            assert!(
                !found.contains(&Found::Broken(Broken::OtherFormat)),
                "{cut}"
            );
        }
    }
}

#[test]
fn the_encoding_may_change_on_a_connection() {
    // Letters outside of Latin-1 show a wrong order of bytes.
    let (a, b) = (document("Ał"), document("B’"));
    let (cut, declared) = (&a[..20], format!("{DECLARED}{b}"));
    for big in [false, true] {
        let w = |text: &str| wide(text, big);
        let other = |text: &str| wide(text, !big);
        let whole: &[(&str, &[&[u8]])] = &[
            ("wide", &[&w(&a), &w(&b)]),
            ("newline first", &[&w("\r\n"), &w(&a), &w("\n"), &w(&b)]),
            ("text first", &[&w("free < text "), &w(&a), &w(&b)]),
            ("mark, text", &[&w("\u{FEFF}on air: "), &w(&a), &w(&b)]),
            ("marks", &[&w("\u{FEFF}"), &w(&a), &w("\u{FEFF}"), &w(&b)]),
            ("narrow, wide", &[a.as_bytes(), &w(&b)]),
            ("narrow, wide newline", &[a.as_bytes(), &w("\n"), &w(&b)]),
            (
                "narrow, mark",
                &[a.as_bytes(), b"\n", &w("\u{FEFF}"), &w(&declared)],
            ),
            ("wide, narrow", &[&w(&a), b"\r\n", declared.as_bytes()]),
            ("wide, bare narrow", &[&w(&a), b.as_bytes()]),
            (
                "wide, marked narrow",
                &[&w(&a), "\u{FEFF}".as_bytes(), b.as_bytes()],
            ),
            ("other order", &[&w(&a), &other(&b)]),
            ("other order, newline", &[&w(&a), &other("\n"), &other(&b)]),
            (
                "other order, mark",
                &[&w(&a), &other("\u{FEFF}"), &other(&declared)],
            ),
        ];
        let broken: &[(&str, &[&[u8]])] = &[
            ("narrow cut, wide", &[cut.as_bytes(), &w(&b)]),
            (
                "narrow cut, mark",
                &[cut.as_bytes(), &w("\u{FEFF}"), &w(&declared)],
            ),
            ("wide cut, narrow", &[&w(cut), b.as_bytes()]),
            ("odd cut, wide", &[&w(cut)[..31], &w(&b)]),
            ("odd cut, declared", &[&w(cut)[..31], &w(&declared)]),
            ("odd cut, newline", &[&w(cut)[..31], &w("\n"), &w(&b)]),
            ("odd cut, mark", &[&w(cut)[..31], &w("\u{FEFF}"), &w(&b)]),
            ("odd cut, narrow", &[&w(cut)[..31], declared.as_bytes()]),
        ];
        let all = whole.iter().map(|case| (case, a.as_str()));
        for ((name, sent), first) in all.chain(broken.iter().map(|case| (case, "Cut"))) {
            let sent = sent.concat();
            for piece in [1, 2, 3, 7, sent.len()] {
                assert_eq!(
                    found(&sent, piece),
                    [first, &b],
                    "{name}, big {big}, {piece}"
                );
            }
        }
    }
}

#[test]
fn a_declaration_is_for_one_document() {
    let cyrillic = |text: &str| encoding_rs::WINDOWS_1251.encode(text).0.into_owned();
    let declared = r#"<?xml version="1.0" encoding="windows-1251"?>"#;
    let (good, undeclared) = (document("Рок"), document("Ðîê"));
    let cut = format!("{declared}<ZettaLite>");
    for (sent, expected) in [
        (
            format!("{declared}{good}\n{good}"),
            vec![&good, &undeclared],
        ),
        (
            format!("{declared}{good}{declared}{good}"),
            vec![&good, &good],
        ),
        (format!("{cut}{good}"), vec![&"Cut".to_owned(), &undeclared]),
    ] {
        let all: Vec<_> = found(&cyrillic(&sent), 5);
        assert_eq!(all.iter().collect::<Vec<_>>(), expected, "{sent}");
    }
}

/// The title of a document of these bytes, with this declaration.
fn title(declared: &str, title: &[u8]) -> String {
    let declaration = match declared {
        "" => String::new(),
        _ => format!(r#"<?xml version="1.0" encoding="{declared}"?>"#),
    };
    let begin = format!("{declaration}<ZettaLite><a T=\"");
    let sent = [begin.as_bytes(), title, b"\"/></ZettaLite>"].concat();
    let all = found(&sent, 3);
    assert_eq!(found(&sent, sent.len()), all, "{declared}");
    let [text] = &all[..] else { panic!("{all:?}") };
    let text = text.strip_prefix("<ZettaLite><a T=\"").unwrap();
    text.strip_suffix("\"/></ZettaLite>").unwrap().to_owned()
}

#[test]
fn line_06_and_07_the_encoding_of_a_document() {
    for (declared, sent, expected) in [
        // Not UTF-8, and not declared otherwise: Windows-1252.
        ("", &b"Beyonc\xe9"[..], "Beyoncé"),
        ("utf-8", b"Beyonc\xe9 \x93Live\x94", "Beyoncé “Live”"),
        ("utf-16", b"Beyonc\xe9", "Beyoncé"),
        ("klingon", b"Beyonc\xe9", "Beyoncé"),
        ("utf-8", b"\xc5\x93uvre d\xe9j\xe0", "Å“uvre déjà"),
        // Declared.
        ("iso-8859-1", b"Beyonc\xe9", "Beyoncé"),
        ("windows-1251", b"\xcc\xf3\xe7\xe8\xea\xe0", "Музика"),
        ("iso-8859-2", b"\xa3\xf3d\xbc", "Łódź"),
        ("Shift_JIS", b"\x83\x5c\x83\x93\x83\x4f", "ソング"),
        ("gbk", b"\xd6\xdc\xbd\xdc\xc2\xd7", "周杰伦"),
        ("GB18030", b"\xd6\xdc\x81\x30\x9b\x37", "周Ƨ"),
        ("big5", b"\xa9\x50\xb3\x5c\xa5\x5c", "周許功"),
        ("euc-kr", b"\xbb\xe7\xb6\xfb", "사랑"),
        ("euc-jp", b"\xa5\xbd\xa5\xf3\xa5\xb0", "ソング"),
        // The bytes win.
        ("iso-8859-1", "Beyoncé".as_bytes(), "Beyoncé"),
        ("Shift_JIS", "ソング".as_bytes(), "ソング"),
        ("utf-16", "Beyoncé".as_bytes(), "Beyoncé"),
        ("Shift_JIS", b"Caf\xe9", "Café"),
        ("euc-kr", b"D\xe9j\xe0 vu", "Déjà vu"),
        ("iso-8859-1", b"ASCII", "ASCII"),
        // Cut between the bytes of a character.
        ("utf-8", b"Caf\xc3\xa9 del M\xc3", "Café del M\u{FFFD}"),
        ("Shift_JIS", b"\x83\x5c\x83\x93\x83", "ソン\u{FFFD}"),
    ] {
        assert_eq!(title(declared, sent), expected, "{declared} {sent:?}");
    }
}

/// Documents are framed before they are decoded.
#[test]
fn no_character_of_a_multi_byte_encoding_holds_markup() {
    for encoding in [
        encoding_rs::SHIFT_JIS,
        encoding_rs::GBK,
        encoding_rs::GB18030,
        encoding_rs::BIG5,
        encoding_rs::EUC_KR,
        encoding_rs::EUC_JP,
    ] {
        for (lead, markup) in (0x80..=0xFF).flat_map(|lead| b"<>\"'/?!-".map(|m| (lead, m))) {
            for begun in [
                &[lead][..],
                &[0x8F, lead],
                &[lead, b'0'],
                &[lead, b'0', lead],
            ] {
                let bytes = [begun, &[markup]].concat();
                let (text, ..) = encoding.decode(&bytes);
                let last = text.chars().last();
                assert_eq!(last, Some(markup.into()), "{} {bytes:x?}", encoding.name());
            }
        }
    }
}

#[test]
fn line_16_no_more_than_a_mebibyte_and_a_read_is_held() {
    let wide_text = String::from_utf8(wide("x", false)).unwrap();
    for endless in [
        "x",
        "<",
        "<ZettaLite ",
        "<ZettaLite ><!--",
        "<ZettaLite><![CDATA[",
        "<ZettaLite><? ",
        "<ZettaLite a=\"",
        "<?xml ",
        "\0<\0Z\0e\0",
        &wide_text,
    ] {
        for begun in ["", "<ZettaLite a='"] {
            let sent = format!("{begun}{}", endless.repeat((2 << 20) / endless.len()));
            let mut framer = Framer::default();
            let mut found = Vec::new();
            for read in sent.as_bytes().chunks(READ) {
                framer.push(read, &mut found);
                assert!(framer.held.len() <= HELD_MOST, "{begun}{endless}");
                // Each read may end what is told; nothing of it waits.
                found.retain(|found| *found == Found::Broken(Broken::TooLarge));
            }
            // Once for each mebibyte, not once for each beginning in it.
            assert!(found.len() <= 2, "{begun}{endless}: {}", found.len());
            let tail = format!("--> ]]> ?> \"'>\n{}", document("B"));
            framer.push(tail.as_bytes(), &mut found);
            let good = Found::Document(document("B"));
            assert!(found.contains(&good), "{begun}{endless}");
        }
    }
}

#[test]
fn the_rest_of_a_dropped_document_is_no_other_format() {
    let large = format!(
        "<ZettaLite><a b=\"{}\"/><c/></ZettaLite>",
        "b".repeat(HELD_MOST + READ)
    );
    let sent = format!("{large}\n{}", document("B"));
    assert_eq!(found(sent.as_bytes(), READ), ["TooLarge", &document("B")]);
}

/// What a stream may be made of, each by itself harmless.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = document("A");
    let wides = [false, true].map(|big| wide(&text, big));
    let marked = [false, true].map(|big| wide(&format!("\u{FEFF}{DECLARED}{text}"), big));
    let parts = [text.as_bytes(), &text.as_bytes()[..15], DECLARED.as_bytes()]
        .into_iter()
        .chain([
            &b"\n"[..],
            b"\0",
            b"\0\0",
            b"<",
            b"<\0",
            b"\xFF\xFE",
            b"\xFE\xFF",
        ])
        .chain([
            &b"<!--"[..],
            b"<![CDATA[",
            b"<?",
            b"\"",
            b"<ZettaLite ",
            b"</b>",
        ])
        .chain(wides.iter().chain(&marked).map(Vec::as_slice))
        .chain(wides.iter().map(|text| &text[..31]));
    proptest::sample::select(parts.map(<[u8]>::to_vec).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn however_it_is_split_the_same_is_found_and_the_next_good_one(
        parts in proptest::collection::vec(part(), 0..20),
        piece in 1usize..50,
    ) {
        let mut sent = parts.concat();
        sent.extend(b" --> ]]> ?> --> ]]> ?> ");
        sent.extend(document("Good").bytes());
        // What is told of garbage depends on how much of it is seen.
        let told = |piece| {
            let all = found(&sent, piece).into_iter();
            all.filter(|found| found != "OtherFormat").collect::<Vec<_>>()
        };
        let whole = told(sent.len());
        prop_assert_eq!(whole.last(), Some(&document("Good")));
        prop_assert_eq!(told(piece), whole);
    }
}
