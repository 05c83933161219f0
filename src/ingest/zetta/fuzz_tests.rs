//! Property tests of input from senders: the bytes of a connection, and documents.

use std::time::Duration;

use ::http::HeaderValue;
use ::http::header::CONTENT_TYPE;
use chrono::Utc;
use tokio::time::Instant;

use super::current::OnAir;
use super::framing::{Found, Framer};
use super::http;
use super::protocol::{Protocol, by_first_bytes};
use super::xml::{self, Asset, LogEvent};
use crate::fuzz::{self, Case, Format};
use crate::nowplaying::{Change, Item, Station, TEXT_MOST};

const DECLARED: &str = r#"<?xml version="1.0" encoding="windows-1252"?>"#;

const SONG: &str = r#"<ZettaLite Version="1"><LogEventCollection><LogEvent Type="SONG" StartTime="2026-03-01T01:00:00.5Z" ScheduledTime="2026-03-01 01:00:00" Duration="04:14" Status="CURRENT" LastStarted="true" ZettaId="1001"><Asset Type="SONG" Title="A &amp; B &#233; é" Artist1="C" Album1="D" TotalLength="257,92" TrimIn="0.21" TrimOut="255.2"/></LogEvent><LogEvent Type="SPOT" StartTime="2026-03-01T01:04:00Z" ZettaId="0"><!-- x --><![CDATA[y]]><Asset Title="Z"></Asset></LogEvent></LogEventCollection></ZettaLite>"#;

const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\n\r\n<ZettaLite ></ZettaLite>";

/// A body behind its content type.
const BODY: &str = "text/xml; charset=\"shift_jis\"\n<ZettaLite ></ZettaLite>";

const TOKENS: [&str; 48] = [
    "<",
    ">",
    "/",
    "\"",
    "'",
    "=",
    "&",
    ";",
    "&amp;",
    "&#x",
    "&#1114111;",
    "&#xD800;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE a [",
    "<!ENTITY b \"c\">",
    "<ZettaLite",
    "<ZettaLite>",
    "</ZettaLite>",
    "<ZettaLite/>",
    "<LogEvent>",
    "<LogEvent/>",
    "</LogEvent>",
    "<Asset/>",
    "<a:b>",
    "</a>",
    "<a>",
    " Title=\"",
    " Type=\"SONG\"",
    " Status=\"CURRENT\"",
    " StartTime=\"",
    " TotalLength=\"",
    "1:",
    "9999999999",
    "0001-01-01T00:00:00Z",
    "262143-12-31T23:59:59Z",
    "2026-03-01T01:00:00Z",
    "<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    " encoding=\"",
    "<\0Z\0e\0",
    "<\0?\0x\0",
    "POST / HTTP/1.1\r\n",
    "GET ",
    "text/xml; charset=gb18030\n",
];

fn wide(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| match big {
        true => unit.to_be_bytes(),
        false => unit.to_le_bytes(),
    };
    text.encode_utf16().flat_map(bytes).collect()
}

fn format(name: &'static str) -> Format {
    let declared = format!("{DECLARED}\n{SONG}");
    let two = format!("{SONG}\r\n{SONG}");
    let mut format = Format::text(name, &[SONG, &declared, &two, POST, BODY], &TOKENS);
    format.documents.push(wide(SONG, true));
    format
        .documents
        .push(wide(&format!("\u{feff}{declared}"), false));
    let mixed = [SONG.as_bytes(), &wide(SONG, false), SONG.as_bytes()].concat();
    format.documents.push(mixed);
    let multi_byte = format!("{}{SONG}", DECLARED.replace("windows-1252", "shift_jis"));
    let (multi_byte, ..) = encoding_rs::SHIFT_JIS.encode(&multi_byte);
    format.documents.push(multi_byte.into_owned());
    format
}

/// The size of the texts in log events, in bytes.
fn kept(events: &[LogEvent]) -> usize {
    let texts = events.iter().flat_map(|event| {
        let LogEvent {
            kind,
            id,
            status,
            last_started,
            start,
            scheduled,
            duration,
            asset,
        } = event;
        let own = [kind, id, status, last_started, start, scheduled, duration];
        let asset = asset.iter().flat_map(|asset| {
            let Asset {
                kind,
                title,
                artist,
                album,
                total,
                trim_in,
                trim_out,
            } = asset;
            [kind, title, artist, album, total, trim_in, trim_out]
        });
        own.into_iter().chain(asset)
    });
    let lengths = texts.map(|text| {
        assert!(text.len() <= TEXT_MOST);
        text.len()
    });
    lengths.sum()
}

/// Applies events, and writes each change as listeners and the play log receive it.
fn on_air(events: &[LogEvent], station: &Station) {
    let (now, wall) = (Instant::now(), Utc::now());
    let sender = ([127, 0, 0, 1], 1).into();
    let mut on_air = OnAir::default();
    for later in [0, 20] {
        let now = now + Duration::from_secs(later);
        for change in on_air.take(sender, events, now, wall).changes {
            match change {
                Change::Current(item)
                | Change::Resumed(item, _)
                | Change::Corrected(item)
                | Change::Again(item)
                | Change::Next(item) => check(item, station),
                Change::NextUnknown => {}
            }
        }
    }
}

fn check(item: Item, station: &Station) {
    assert!(item.length.is_finite() && item.length >= 0.0);
    assert!(item.message(station).get().len() <= 8 * 1024);
    item.shown(station);
}

fn station() -> Station {
    Station {
        timezone: chrono_tz::America::Chicago,
        text: "The station".into(),
    }
}

#[test]
fn fuzz_streams_of_senders() {
    let station = station();
    let read = |case: &Case| {
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        for piece in case.pieces() {
            framer.push(piece, &mut found);
        }
        framer.drop_partial(&mut found);
        framer.heard_only_garbage();
        let documents = found.iter().map(|found| match found {
            Found::Document(text) => {
                if let Ok(events) = xml::read(text) {
                    on_air(&events, &station);
                }
                text.len()
            }
            Found::Broken(_) => 0,
        });
        documents.sum()
    };
    // The replacement of an invalid byte has three bytes in UTF-8.
    fuzz::run(&format("ZettaLite streams"), |input| 3 * input + 16, read);
}

#[test]
fn fuzz_documents() {
    let station = station();
    let read = |case: &Case| match xml::read(&case.text()) {
        Ok(events) => {
            on_air(&events, &station);
            kept(&events)
        }
        Err(error) => error.to_string().len().min(1),
    };
    fuzz::run(&format("ZettaLite XML"), |input| 3 * input + 16, read);
}

#[test]
fn fuzz_first_bytes() {
    let read = |case: &Case| {
        let mut read = Vec::new();
        let known = case.pieces().find_map(|piece| {
            read.extend_from_slice(piece);
            by_first_bytes(&read)
        });
        if known == Some(Protocol::Http) {
            assert!(read.windows(6).any(|part| part == b" HTTP/"));
        }
        // However it is split.
        assert!(known.is_none() || by_first_bytes(&case.bytes) == known);
        0
    };
    fuzz::run(&format("first bytes on the Zetta port"), |_| 0, read);
}

#[test]
fn fuzz_bodies_of_requests() {
    let read = |case: &Case| {
        let mut parts = case.bytes.splitn(2, |byte| *byte == b'\n');
        let kind = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        let headers = kind.map(|kind| [(CONTENT_TYPE, kind)].into_iter().collect());
        let body = parts.next().unwrap_or_default().to_vec();
        let text = http::text(&headers.unwrap_or_default(), body);
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        framer.push(&text, &mut found);
        text.len()
    };
    fuzz::run(
        &format("HTTP bodies on the Zetta port"),
        |input| 3 * input,
        read,
    );
}
