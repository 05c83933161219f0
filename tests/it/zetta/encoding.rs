//! Lines 4 to 7: how a stream of documents may be encoded.

use tokio::io::AsyncWriteExt;

use super::{Port, at, song, two};

#[tokio::test]
async fn line_04_a_mark_before_each_is_stripped() {
    let (a, b) = two();
    let mut port = Port::open().await;
    let sent = format!("\u{FEFF}{a}\u{FEFF}{b}");
    port.hears(sent, &["A", "B"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn line_05_utf_16_is_decoded() {
    let text = format!("{}\n{}", song(1, &at(0), "A"), song(2, &at(60), "Café"));
    for (little, mark) in [(true, true), (false, true), (true, false), (false, false)] {
        let mark = mark.then_some(0xFEFF);
        let units = mark.into_iter().chain(text.encode_utf16());
        let bytes = |unit: u16| match little {
            true => unit.to_le_bytes(),
            false => unit.to_be_bytes(),
        };
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        for byte in units.flat_map(bytes) {
            sender.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(port.track().await, "A", "little {little} mark {mark:?}");
        assert_eq!(port.track().await, "Café", "little {little} mark {mark:?}");
        port.did_not_complain();
    }
}

#[tokio::test]
async fn line_05_utf_16_may_begin_and_end_on_a_connection() {
    let (a, b) = two();
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mut port = Port::open().await;
    let sent = [wide("\r\n"), wide(&a), b.clone().into_bytes()].concat();
    port.hears(sent, &["A", "B"]).await;
    port.did_not_complain();
    let mut port = Port::open().await;
    let begun = a.find("<LogEventC").unwrap();
    let odd = wide(&a)[..2 * begun + 1].to_vec();
    port.hears([odd, wide(&b)].concat(), &["B"]).await;
    port.complained("cut", 1);
}

#[tokio::test]
async fn line_06_the_bytes_win_over_the_declaration() {
    let declared = |name: &str| song(1, &at(0), "Café").replace("utf-8", name);
    let latin1 = |text: String| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    for sent in [
        declared("utf-16").into_bytes(),
        declared("iso-8859-1").into_bytes(),
        latin1(declared("iso-8859-1")),
        latin1(declared("windows-1252")),
    ] {
        let mut port = Port::open().await;
        port.hears(sent, &["Café"]).await;
        port.did_not_complain();
    }
}

#[tokio::test]
async fn line_07_undeclared_bytes_are_windows_1252() {
    let sent = song(1, &at(0), "Beyonc\u{1}");
    for declared in ["", r#" encoding="utf-8""#] {
        let sent = sent.replace(r#" encoding="utf-8""#, declared);
        let narrow = |byte| if byte == 1 { 0xE9 } else { byte };
        let sent: Vec<u8> = sent.bytes().map(narrow).collect();
        let mut port = Port::open().await;
        port.hears(sent, &["Beyoncé"]).await;
        port.did_not_complain();
    }
}

#[tokio::test]
async fn line_06_a_declared_multi_byte_encoding_is_decoded() {
    for (name, encoding) in [
        ("shift_jis", encoding_rs::SHIFT_JIS),
        ("gbk", encoding_rs::GBK),
    ] {
        let text = song(1, &at(0), "ソ能表").replace("utf-8", name);
        let (sent, ..) = encoding.encode(&text);
        let mut port = Port::open().await;
        port.hears(&sent, &["ソ能表"]).await;
        port.did_not_complain();
    }
}
