//! What comes in on the Zetta port: the acceptance list of the feed, line by
//! line, over TCP. Every line ends with a good document, which is published.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use roomcast::config::private_networks;
use roomcast::ingest::zetta::{self, Config, Feed};
use roomcast::nowplaying::{Slot, Station};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::SOON;

const REAL: &str = include_str!("fixtures/song_current.xml");

/// A Zetta port whose tracks can be looked at.
struct Port {
    address: SocketAddr,
    feed: Arc<Feed>,
    published: mpsc::UnboundedReceiver<(Slot, Value)>,
    shutdown: CancellationToken,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Port {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tx, published) = mpsc::unbounded_channel();
        let publish = Arc::new(move |slot, message: Box<serde_json::value::RawValue>| {
            let message = serde_json::from_str(message.get()).unwrap();
            let _ = tx.send((slot, message));
        });
        let config = Config {
            allow: private_networks(),
            station: Station {
                timezone: chrono_tz::America::Chicago,
                text: "The station".into(),
            },
        };
        let (feed, shutdown) = (Arc::new(Feed::default()), CancellationToken::new());
        tokio::spawn(zetta::run(
            listener,
            config,
            publish,
            feed.clone(),
            shutdown.clone(),
        ));
        Self {
            address,
            feed,
            published,
            shutdown,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn next(&mut self) -> (Slot, Value) {
        timeout(SOON, self.published.recv())
            .await
            .expect("nothing was published")
            .unwrap()
    }

    /// The next track on air, and nothing else before it.
    async fn track(&mut self) -> String {
        let (slot, track) = self.next().await;
        assert!(matches!(slot, Slot::Current { .. }), "{slot:?}");
        track["track"].as_str().unwrap().to_owned()
    }

    /// Writes, then a good document on the same connection, then one on another:
    /// what the first bytes publish, and the last two.
    async fn hears(&mut self, sent: &[u8], tracks: &[&str]) {
        let mut sender = self.connect().await;
        sender.write_all(sent).await.unwrap();
        for track in tracks {
            assert_eq!(self.track().await, *track);
        }
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(300)]).into_owned();
        sender.write_all(later(1, "Same").as_bytes()).await.unwrap();
        assert_eq!(self.track().await, "Same", "after {sent}");
        let mut other = self.connect().await;
        other.write_all(later(2, "Other").as_bytes()).await.unwrap();
        assert_eq!(self.track().await, "Other", "after {sent}");
    }
}

/// The attributes of a log event and of its asset.
fn event(event: &str, asset: &str) -> String {
    format!("<LogEvent {event}><Asset {asset} /></LogEvent>")
}

fn document(events: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><ZettaLite Version="0.0.0"><LogEventCollection>{events}</LogEventCollection></ZettaLite>"#
    )
}

fn song(id: u32, start: &str, title: &str) -> String {
    document(&current(id, start, title))
}

fn current(id: u32, start: &str, title: &str) -> String {
    event(
        &format!(
            r#"Type="SONG" StartTime="{start}" Status="CURRENT" LastStarted="true" ZettaId="{id}""#
        ),
        &format!(r#"Type="SONG" Title="{title}" Artist1="A" Album1="B" TotalLength="200""#),
    )
}

fn at(second: u32) -> String {
    format!("2026-03-01T01:{:02}:{:02}Z", second / 60, second % 60)
}

/// A document that is newer than all the others of this file.
fn later(number: u32, title: &str) -> String {
    song(
        9_000 + number,
        &format!("2026-03-02T00:00:{number:02}Z"),
        title,
    )
}

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
        assert_eq!(track["length"], 254_833.9);
        assert_eq!(track["timestampUTC"], "2024-07-09T21:00:35Z");
        assert_eq!(track["timestampCST"], "2024-07-09T16:00:35Z");
        assert!(!track.to_string().contains("Zetta"), "{track}");
    }
}

#[tokio::test]
async fn line_02_many_documents_in_one_write() {
    for count in [2, 20] {
        let titles: Vec<_> = (0..count).map(|n| format!("Track {n}")).collect();
        let all: String = (0..count)
            .map(|n| song(n, &at(n * 20), &titles[n as usize]))
            .collect();
        let titles: Vec<_> = titles.iter().map(String::as_str).collect();
        Port::open().await.hears(all.as_bytes(), &titles).await;
    }
}

#[tokio::test]
async fn line_03_to_12_what_a_stream_may_hold() {
    let (a, b) = (song(1, &at(0), "A"), song(2, &at(60), "B"));
    let utf16 = |text: &str, little: bool, mark: bool| -> Vec<u8> {
        let units = mark
            .then_some(0xFEFF)
            .into_iter()
            .chain(text.encode_utf16());
        let bytes = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        units.flat_map(bytes).collect()
    };
    let declared = |name: &str, title: &str| song(1, &at(0), title).replace("utf-8", name);
    let latin1: Vec<u8> = declared("iso-8859-1", "Caf\u{e9}")
        .chars()
        .map(|c| c as u8)
        .collect();
    let bad: Vec<u8> = {
        let text = song(1, &at(0), "X\u{1}Y");
        text.bytes()
            .map(|byte| if byte == 1 { 0xFF } else { byte })
            .collect()
    };
    let cut = |text: &str, at: &str| text[..text.find(at).unwrap()].to_owned();
    let inside = |what: &str| {
        a.replace(
            "<LogEventCollection>",
            &format!("{what}<LogEventCollection>"),
        )
    };
    let attribute = |what: &str| a.replace(r#"Album1="B""#, &format!(r#"Album1='{what}'"#));
    // line, bytes, tracks
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        (
            "03",
            format!("\r\n\0 \t{a}\n\0\r {b} \n").into(),
            vec!["A", "B"],
        ),
        (
            "04",
            format!("\u{FEFF}{a}\u{FEFF}{b}").into(),
            vec!["A", "B"],
        ),
        ("06", declared("utf-16", "Café").into(), vec!["Café"]),
        ("06", declared("iso-8859-1", "Café").into(), vec!["Café"]),
        ("06", latin1, vec!["Café"]),
        ("07", bad, vec!["X\u{FFFD}Y"]),
        (
            "08",
            format!("{}{b}", cut(&a, "</LogEventC")).into(),
            vec!["B"],
        ),
        (
            "08",
            format!("{}{b}", cut(&a, "LogEventC")).into(),
            vec!["B"],
        ),
        ("08", format!("{}{b}", cut(&a, "utf-8")).into(), vec!["B"]),
        (
            "08",
            format!("{}{b}", cut(&a, "Album1=\"B") + "Album1=\"B").into(),
            vec!["B"],
        ),
        (
            "10",
            format!("free text < & > {a} more <b>text</b> {b} end").into(),
            vec!["A", "B"],
        ),
        (
            "10",
            format!("<<<ZettaLit <ZettaLiteX {a}]]>--></ZettaLite>{b}").into(),
            vec!["A", "B"],
        ),
        ("11", inside("<!-- </ZettaLite> -->").into(), vec!["A"]),
        ("11", inside("<![CDATA[ </ZettaLite> ]]>").into(), vec!["A"]),
        ("11", inside("<?pi </ZettaLite> ?>").into(), vec!["A"]),
        ("11", attribute("</ZettaLite>").into(), vec!["A"]),
        (
            "12",
            song(1, &at(0), "Rock & Roll").into(),
            vec!["Rock & Roll"],
        ),
    ];
    assert!(cases.len() > 10);
    for (line, bytes, tracks) in cases {
        println!("line {line}: {}", String::from_utf8_lossy(&bytes));
        Port::open().await.hears(&bytes, &tracks).await;
    }
    for (little, mark) in [(true, true), (false, true), (true, false), (false, false)] {
        println!("line 05: little {little} mark {mark}");
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        let both = format!("{a}\n{}", song(2, &at(60), "Café"));
        for byte in utf16(&both, little, mark) {
            sender.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(
            (port.track().await, port.track().await),
            ("A".into(), "Café".into())
        );
    }
}

#[tokio::test]
async fn line_09_the_end_of_the_stream_inside_a_document() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    sender.write_all(&REAL.as_bytes()[..200]).await.unwrap();
    drop(sender);
    port.hears(b"", &[]).await;
}

#[tokio::test]
async fn line_13_to_17_what_could_hurt_and_what_holds_nothing() {
    let secret = "/etc/hostname";
    let a = song(1, &at(0), "A");
    let with_type = |what: &str| {
        a.replace(
            "<LogEventCollection>",
            &format!("{what}<LogEventCollection>"),
        )
        .replace(r#"Title="A""#, r#"Title="&x;""#)
    };
    let bomb = with_type(r#"<!DOCTYPE z [<!ENTITY y "yyyyyyyy"><!ENTITY x "&y;&y;&y;&y;">]>"#);
    let external = with_type(&format!(
        r#"<!DOCTYPE z [<!ENTITY x SYSTEM "file://{secret}">]>"#
    ));
    let deep = format!("<ZettaLite>{}</ZettaLite>", "<a>".repeat(20_000));
    let closed_deep = document(&format!(
        "{}{}",
        "<a>".repeat(20_000),
        "</a>".repeat(20_000)
    ));
    let wide = song(1, &at(0), "A").replace(
        r#"Album1="B""#,
        &format!(r#"Album1="{}""#, "b".repeat(200_000)),
    );
    let endless = format!("<ZettaLite>{}", "x".repeat(5 << 20));
    let quoted = format!("<ZettaLite a=\"{}", "x".repeat(5 << 20));
    let cases: [(&str, String, &[&str]); 9] = [
        ("13", external, &[]),
        ("14", bomb, &[]),
        ("15", deep, &[]),
        ("15", closed_deep, &[]),
        ("16", wide, &["A"]),
        ("16", endless, &[]),
        ("16", quoted, &[]),
        (
            "17",
            document(r#"<LogEvent Status="CURRENT" ZettaId="1"></LogEvent>"#),
            &[],
        ),
        (
            "17",
            r#"<ZettaLite Version="1"/><ZettaLite/><ZettaLite></ZettaLite >"#.into(),
            &[],
        ),
    ];
    for (line, text, tracks) in cases {
        println!("line {line}");
        Port::open().await.hears(text.as_bytes(), tracks).await;
    }
}

#[tokio::test]
async fn line_18_without_title_and_artist_it_is_no_song() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let marks = format!(
        r#"Type="SONG" Status="CURRENT" ZettaId="1" StartTime="{}""#,
        at(0)
    );
    let text = document(&event(&marks, r#"Type="SONG" Title=" " Artist1="""#));
    sender.write_all(text.as_bytes()).await.unwrap();
    let (slot, track) = port.next().await;
    assert_eq!(slot, Slot::Current { song: false });
    assert_eq!(
        (&track["track"], &track["type"]),
        (&"The station".into(), &"LINK".into())
    );
    assert_eq!(
        (&track["artist"], &track["album"]),
        (&"".into(), &"".into())
    );
}

#[tokio::test]
async fn line_19_lengths() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let cases = [
        ("", 0.0),
        ("NaN", 0.0),
        ("inf", 0.0),
        ("1e999", 0.0),
        ("-5", 0.0),
        ("257,92", 257_920.0),
        ("04:17", 257_000.0),
        ("1:04:17", 3_857_000.0),
        ("four minutes", 0.0),
        ("257.92", 257_920.0),
    ];
    for (number, (text, length)) in (0..).zip(cases) {
        let text = song(number, &at(number * 30), &format!("T{number}"))
            .replace(r#"TotalLength="200""#, &format!(r#"TotalLength="{text}""#));
        sender.write_all(text.as_bytes()).await.unwrap();
        let (_, track) = port.next().await;
        assert_eq!(track["length"], length, "{text}");
        assert_eq!(track.get("endsAt").is_some(), length > 0.0, "{track}");
    }
}

#[tokio::test]
async fn line_20_starts() {
    let soon = |minutes: i64| {
        let time = Utc::now() + chrono::Duration::minutes(minutes);
        time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    };
    let fixed = |text: &str| Some(text.to_owned());
    // start, what is shown; none: the time of receipt
    let cases = [
        ("2026-03-01T01:00:00", fixed("2026-03-01T01:00:00Z")),
        (
            "2026-03-01T01:00:00.1234567Z",
            fixed("2026-03-01T01:00:00Z"),
        ),
        ("2026-03-01T01:00:00-06:00", fixed("2026-03-01T07:00:00Z")),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00Z", None),
        ("2099-01-01T00:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
    ];
    for (start, shown) in cases {
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        let before = Utc::now() - chrono::Duration::seconds(1);
        sender
            .write_all(song(1, start, "A").as_bytes())
            .await
            .unwrap();
        let (_, track) = port.next().await;
        let utc = track["timestampUTC"].as_str().unwrap();
        match shown {
            Some(shown) => assert_eq!(utc, shown, "{start}"),
            None => {
                let utc: DateTime<Utc> = utc.parse().unwrap();
                assert!((before..=Utc::now()).contains(&utc), "{start}: {utc}");
            }
        }
        // The next one, by a clock that is right, is on.
        sender
            .write_all(song(2, &soon(0), "B").as_bytes())
            .await
            .unwrap();
        assert_eq!(port.track().await, "B", "after {start}");
    }
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    for (number, (minutes, title)) in (1..).zip([(5, "A"), (5, "B"), (0, "C"), (5, "D")]) {
        sender
            .write_all(song(number, &soon(minutes), title).as_bytes())
            .await
            .unwrap();
        assert_eq!(port.track().await, title);
    }
}

#[tokio::test]
async fn line_21_and_29_repeats_are_one_event() {
    let mut port = Port::open().await;
    let (mut main, mut spare) = (port.connect().await, port.connect().await);
    let a = song(1, &at(0), "A");
    for sender in [&mut main, &mut spare] {
        sender.write_all(a.repeat(3).as_bytes()).await.unwrap();
    }
    // The spare's clock is some seconds off.
    spare
        .write_all(song(1, &at(7), "A").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "A");
    let mut again = port.connect().await;
    again.write_all(a.as_bytes()).await.unwrap();
    // Played by hand: the same without an id.
    port.hears(song(0, &at(60), "H").repeat(2).as_bytes(), &["H"])
        .await;
}

#[tokio::test]
async fn a_correction_is_published_once() {
    let mut port = Port::open().await;
    let sent = [
        song(1, &at(0), "Pumkin"),
        song(1, &at(0), "Pumpkin").repeat(2),
    ]
    .concat();
    port.hears(sent.as_bytes(), &["Pumkin", "Pumpkin"]).await;
}

#[tokio::test]
async fn line_22_and_23_what_is_over_changes_nothing() {
    let over = event(
        &format!(
            r#"Type="SONG" StartTime="{}" Status="PLAYED" LastStarted="false" ZettaId="1""#,
            at(0)
        ),
        r#"Type="SONG" Title="A" Artist1="A" TotalLength="200""#,
    );
    let sent = [
        song(1, &at(0), "A"),
        song(2, &at(200), "B"),
        document(&over),
        song(3, &at(100), "Late"),
    ];
    Port::open()
        .await
        .hears(sent.concat().as_bytes(), &["A", "B"])
        .await;
}

#[tokio::test]
async fn line_24_several_items_in_a_document() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let item = |id: u32, start: u32, title: &str| {
        event(
            &format!(
                r#"Type="SONG" StartTime="{}" ZettaId="{id}" Status="" LastStarted="false""#,
                at(start)
            ),
            &format!(r#"Type="SONG" Title="{title}" Artist1="X""#),
        )
    };
    let all = [
        item(4, 600, "After"),
        item(3, 400, "Next"),
        current(2, &at(200), "Now"),
        item(1, 0, "Past"),
    ];
    sender
        .write_all(document(&all.concat()).repeat(2).as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "Now");
    let (slot, track) = port.next().await;
    assert_eq!((slot, &track["track"]), (Slot::Next, &"Next".into()));
    port.hears(b"", &[]).await;
}

/// Writes, and reads all of the answer until the port closes.
async fn answer(port: &Port, sent: &[u8]) -> String {
    let mut intruder = port.connect().await;
    intruder.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is a close as well.
    let _ = timeout(SOON, intruder.read_to_end(&mut answer))
        .await
        .expect("not closed");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn line_25_to_27_what_is_not_a_zetta() {
    let mut port = Port::open().await;
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        assert_eq!(answer(&port, sent).await, "");
    }
    let body = song(1, &at(0), "Posted");
    let post = |extra: &str| {
        let length = body.len();
        format!("POST /x HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {length}\r\n\r\n{body}")
    };
    assert!(
        answer(&port, post("").as_bytes())
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert_eq!(port.track().await, "Posted");
    let from_a_page = post("Origin: https://example.com\r\n").replace("Posted", "Forged");
    assert!(
        answer(&port, from_a_page.as_bytes())
            .await
            .starts_with("HTTP/1.1 403 ")
    );
    let clipboard = r#"<?xml version="1.0"?><ZettaClipboard><Event Title="X"/></ZettaClipboard>"#;
    port.hears(clipboard.as_bytes(), &[]).await;
}

#[tokio::test]
async fn line_28_a_thousand_reconnects_and_a_flood() {
    let mut port = Port::open().await;
    for _ in 0..1_000 {
        let mut sender = port.connect().await;
        sender
            .write_all(song(1, &at(0), "A").as_bytes())
            .await
            .unwrap();
        sender.shutdown().await.unwrap();
        let _ = sender.read(&mut [0; 1]).await;
    }
    assert_eq!(port.track().await, "A");
    port.hears(song(1, &at(0), "A").repeat(5_000).as_bytes(), &[])
        .await;
}

#[tokio::test(start_paused = true)]
async fn line_28_and_30_slow_documents_end_and_silence_does_not() {
    let mut port = Port::open().await;
    let mut slow = port.connect().await;
    for byte in &REAL.as_bytes()[..20 + REAL.find("<ZettaLite").unwrap()] {
        slow.write_all(&[*byte]).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    slow.write_all(&REAL.as_bytes()[20 + REAL.find("<ZettaLite").unwrap()..])
        .await
        .unwrap();
    slow.write_all(song(1, &at(0), "A").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "A");
    tokio::time::advance(Duration::from_secs(12 * 3600)).await;
    assert!(port.feed.last_document_age().unwrap() >= Duration::from_secs(12 * 3600));
    slow.write_all(song(2, &at(60), "B").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "B");
}
