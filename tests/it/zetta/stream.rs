//! Lines 1 to 3 and 8 to 17: what a stream of documents may hold.

use tokio::io::AsyncWriteExt;

use super::{Port, REAL, Slot, at, document, event, song, two};

#[tokio::test]
async fn line_01_a_document_split_at_every_byte() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    sender.set_nodelay(true).unwrap();
    for cut in 0..REAL.len() {
        let title = format!("Pumpkin {cut}");
        let text = REAL.replace(r#"Title="Pumpkin""#, &format!(r#"Title="{title}""#));
        let id = format!(r#"ZettaId="{}""#, 5_000_000 + cut);
        let text = text.replace(r#"ZettaId="1370785""#, &id);
        sender.write_all(&text.as_bytes()[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        sender.write_all(&text.as_bytes()[cut..]).await.unwrap();
        let (slot, track) = port.next().await;
        assert_eq!(slot, Slot::Current { song: true });
        assert_eq!(track["track"], title);
        assert_eq!(track["artist"], "Been Stellar");
        assert_eq!(track["album"], "Scream from New York, NY");
        assert_eq!(track["length"], 257_920.0);
        // `length` is that of the file; a shorter part is played.
        assert_eq!(track["endsAt"], "2024-07-09T16:04:49-05:00");
        assert_eq!(track["timestampUTC"], "2024-07-09T21:00:35Z");
        assert_eq!(track["timestampCST"], "2024-07-09T16:00:35Z");
        assert!(!track.to_string().contains("Zetta"), "{track}");
    }
    port.did_not_complain();
}

#[tokio::test]
async fn line_02_many_documents_in_one_write() {
    for count in [2, 20] {
        let titles: Vec<_> = (0..count).map(|n| format!("Track {n}")).collect();
        let all: String = (0..count)
            .map(|n| song(n, &at(n * 20), &titles[n as usize]))
            .collect();
        let titles: Vec<_> = titles.iter().map(String::as_str).collect();
        Port::open().await.hears(all, &titles).await;
    }
}

#[tokio::test]
async fn line_03_blanks_between_are_ignored() {
    let (a, b) = two();
    let mut port = Port::open().await;
    let sent = format!("\r\n\0 \t{a}\n\0\r {b} \n");
    port.hears(sent, &["A", "B"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn line_08_a_document_cut_off_by_the_next() {
    let (a, b) = two();
    for end in ["</LogEventC", "LogEventC", r#"Version="0"#, r#"lbum1="B"#] {
        let mut port = Port::open().await;
        let cut = &a[..a.find(end).unwrap()];
        port.hears(format!("{cut}{b}"), &["B"]).await;
        port.complained("cut", 1);
    }
    // Not a document yet: nothing is missing.
    let declaration_only = &a[..a.find("utf-8").unwrap()];
    let mut port = Port::open().await;
    port.hears(format!("{declaration_only}{b}"), &["B"]).await;
}

#[tokio::test]
async fn line_09_the_end_of_the_stream_inside_a_document() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    sender.write_all(&REAL.as_bytes()[..200]).await.unwrap();
    drop(sender);
    port.hears("", &[]).await;
    port.complained("unfinished", 1);
}

#[tokio::test]
async fn line_10_garbage_between_documents_is_skipped() {
    let (a, b) = two();
    for sent in [
        format!("free text < & > {a} more <b>text</b> {b} end"),
        format!("<<<ZettaLit <ZettaLiteX {a}]]>--></ZettaLite>{b}"),
    ] {
        let mut port = Port::open().await;
        port.hears(sent, &["A", "B"]).await;
        port.complained("other_format", 1);
    }
}

#[tokio::test]
async fn line_11_an_end_tag_where_it_is_none() {
    let (a, _) = two();
    let inside = |what: &str| {
        let both = format!("{what}<LogEventCollection>");
        a.replace("<LogEventCollection>", &both)
    };
    for sent in [
        inside("<!-- </ZettaLite> -->"),
        inside("<![CDATA[ </ZettaLite> ]]>"),
        inside("<?pi </ZettaLite> ?>"),
        a.replace(r#"Album1="B""#, "Album1='</ZettaLite>'"),
    ] {
        let mut port = Port::open().await;
        port.hears(sent, &["A"]).await;
        port.did_not_complain();
    }
}

#[tokio::test]
async fn line_12_a_raw_ampersand() {
    let mut port = Port::open().await;
    let sent = song(1, &at(0), "Rock & Roll");
    port.hears(sent, &["Rock & Roll"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn line_12_a_million_raw_ampersands() {
    let (a, b) = two();
    let many = "&".repeat(1_000_000);
    let (attribute, text) = (format!(r#"Album1="{many}""#), format!("{many}</LogEventC"));
    let mut port = Port::open().await;
    let sent = a.replace(r#"Album1="B""#, &attribute) + &b.replace("</LogEventC", &text);
    port.hears(sent, &["A", "B"]).await;
    port.did_not_complain();
}

/// A document with a DOCTYPE, whose title is the entity x.
fn with_type(entities: &str) -> String {
    let (a, _) = two();
    let doctype = format!("<!DOCTYPE z [{entities}]><LogEventCollection>");
    a.replace("<LogEventCollection>", &doctype)
        .replace(r#"Title="A""#, r#"Title="&x;""#)
}

#[tokio::test]
async fn line_13_an_external_entity_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let entity = format!(r#"<!ENTITY x SYSTEM "file://{}">"#, secret.display());
    let mut port = Port::open().await;
    port.hears(with_type(&entity), &[]).await;
    port.complained("unreadable", 1);
}

#[tokio::test]
async fn line_14_an_entity_bomb_is_refused() {
    let levels = ('a'..'x').zip('b'..);
    let mut entities = r#"<!ENTITY a "yyyyyyyyyy">"#.to_owned();
    for (of, level) in levels {
        entities += &format!(r#"<!ENTITY {level} "{}">"#, format!("&{of};").repeat(10));
    }
    let mut port = Port::open().await;
    port.hears(with_type(&entities), &[]).await;
    port.complained("unreadable", 1);
}

#[tokio::test]
async fn line_15_nested_elements() {
    let (open, close) = ("<a>".repeat(20_000), "</a>".repeat(20_000));
    let never_closed = format!("<ZettaLite>{open}</ZettaLite>");
    for sent in [never_closed, document(&format!("{open}{close}"))] {
        let mut port = Port::open().await;
        port.hears(sent, &[]).await;
        port.complained("unreadable", 1);
    }
}

#[tokio::test]
async fn line_16_no_more_than_a_mebibyte_is_held() {
    let (a, b) = two();
    let wide = format!(r#"Album1="{}""#, "b".repeat(200_000));
    let mut port = Port::open().await;
    port.hears(a.replace(r#"Album1="B""#, &wide), &["A"]).await;
    port.did_not_complain();
    for (endless, complaints) in [
        (format!("<ZettaLite>{}", "x".repeat(5 << 20)), 1),
        (format!("<ZettaLite a=\"{}", "x".repeat(5 << 20)), 1),
        (format!("<ZettaLite><!-- {}", b.repeat(5_000)), 1),
    ] {
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        sender.write_all(endless.as_bytes()).await.unwrap();
        port.hears("", if endless.contains("B") { &["B"] } else { &[] })
            .await;
        port.complained("too_large", complaints);
    }
}

#[tokio::test]
async fn line_16_beginnings_hidden_in_beginnings() {
    let mut port = Port::open().await;
    let hidden = "<ZettaLite ><!--".repeat((2 << 20) / 16);
    port.hears(format!("{hidden}-->"), &[]).await;
    assert_eq!(port.rejected()["too_large"], 1);
}

#[tokio::test]
async fn line_17_nothing_in_it_publishes_nothing() {
    let no_asset = r#"<LogEvent Status="CURRENT" ZettaId="1"></LogEvent>"#;
    for sent in [
        document(no_asset),
        document(&no_asset.replace("CURRENT", "")),
        document(""),
        r#"<ZettaLite Version="1"/><ZettaLite/><ZettaLite></ZettaLite >"#.to_owned(),
        document(&event("", "")).replace("<Asset  />", ""),
    ] {
        let mut port = Port::open().await;
        port.hears(sent, &[]).await;
        port.did_not_complain();
    }
}
