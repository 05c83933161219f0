//! Lines 18 to 24: what an item says, and which one is on.

use chrono::{DateTime, Utc};
use tokio::io::AsyncWriteExt;

use super::{Port, Slot, at, current, document, event, song};

#[tokio::test]
async fn line_18_without_a_title_it_is_no_song() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let cases = [
        r#"Title=" " Artist1="""#,
        "",
        r#"Title="" Artist1="X" Album1="Y""#,
    ];
    for (number, names) in (0..).zip(cases) {
        let text = song(1 + number, &at(number * 30), "A")
            .replace(r#"Title="A" Artist1="A" Album1="B""#, names);
        sender.write_all(text.as_bytes()).await.unwrap();
        let (slot, track) = port.next().await;
        assert_eq!(slot, Slot::Current { song: false });
        let shown = ["track", "type", "artist", "album"].map(|name| track[name].clone());
        assert_eq!(shown, ["The station", "LINK", "", ""], "{names}");
    }
    port.did_not_complain();
}

#[tokio::test]
async fn texts_are_cleaned_before_they_are_published() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    for (number, (title, artist, shown)) in (0..).zip([
        ("Line one&#xD;&#xA;Line two", "-", ["Line one Line two", ""]),
        ("&#55357;&#56911; &amp; B", "N/A", ["\u{1F64F} & B", ""]),
        ("a&#xD800;&#x110000;&#0;b", "&#x202E;C", ["ab", "C"]),
        ("a\tb", "&#27;[2J\u{7}", ["a b", "[2J"]),
        ("Unknown", "A", ["The station", ""]),
        ("&#8203;\u{200D}", "A", ["The station", ""]),
    ]) {
        let text = song(1 + number, &at(number * 30), title)
            .replace(r#"Artist1="A""#, &format!(r#"Artist1="{artist}""#));
        sender.write_all(text.as_bytes()).await.unwrap();
        let (_, track) = port.next().await;
        let found = ["track", "artist"].map(|name| track[name].as_str().unwrap());
        assert_eq!(found, shown, "{title}");
    }
    port.did_not_complain();
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
        ("2026-03-01T01:00:00+0000", fixed("2026-03-01T01:00:00Z")),
        ("2026-03-01T01:00", fixed("2026-03-01T01:00:00Z")),
        ("2026-03-01T00:59:60Z", None),
        ("3/1/2026 1:00:00 AM", None),
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
        let senseless = u64::from(!start.is_empty() && !utc.starts_with("2026-03-01"));
        assert_eq!(port.faults("start_time"), senseless, "{start}");
        assert_eq!(port.logged.warned(), senseless as usize, "{start}");
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
async fn line_21_the_same_again_is_no_event() {
    let mut port = Port::open().await;
    let a = song(1, &at(0), "A").repeat(3);
    // Played by hand: the same without an id.
    let by_hand = song(0, &at(60), "H").repeat(2);
    port.hears(format!("{a}{by_hand}"), &["A", "H"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn a_correction_is_published_once() {
    let mut port = Port::open().await;
    let sent = [
        song(1, &at(0), "Pumkin"),
        song(1, &at(0), "Pumpkin").repeat(2),
    ]
    .concat();
    port.hears(sent, &["Pumkin", "Pumpkin"]).await;
}

#[tokio::test]
async fn line_22_the_stop_of_the_previous_changes_nothing() {
    let times = format!(r#"Type="SONG" StartTime="{}""#, at(0));
    let stop = event(
        &format!(r#"{times} Status="PLAYED" LastStarted="false" ZettaId="1""#),
        r#"Type="SONG" Title="A" Artist1="A" TotalLength="200""#,
    );
    let sent = [
        song(1, &at(0), "A"),
        song(2, &at(200), "B"),
        document(&stop),
    ];
    let mut port = Port::open().await;
    port.hears(sent.concat(), &["A", "B"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn line_23_what_is_over_is_no_event_and_a_new_airing_is_one_whatever_its_start() {
    let (a, b, c) = (
        song(1, &at(600), "A"),
        song(2, &at(800), "B"),
        song(3, &at(100), "C"),
    );
    let mut port = Port::open().await;
    let sent = [&a, &b, &a, &c, &b].map(String::as_str).concat();
    port.hears(sent, &["A", "B", "C"]).await;
    let counted = port.counted.render();
    assert!(counted.contains("roomcast_zetta_late_total 2"), "{counted}");
    port.did_not_complain();
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
    // Otherwise listeners would see the station's text between all songs.
    let sweeper = item(5, 300, "Sweeper").replace(r#"Type="SONG" Title"#, r#"Type="LINK" Title"#);
    let all = [
        item(4, 600, "After"),
        sweeper,
        item(3, 400, "Next"),
        current(2, &at(200), "Now"),
        item(1, 0, "Past"),
    ];
    sender
        .write_all(document(&all.concat()).repeat(2).as_bytes())
        .await
        .unwrap();
    let [next, now] = port.next_and_now().await;
    assert_eq!(
        (&next["track"], &now["track"]),
        (&"Next".into(), &"Now".into())
    );
    port.hears("", &[]).await;
}

#[tokio::test]
async fn line_24_an_item_that_goes_on_air_is_no_longer_next() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let marks = r#"Type="SONG" StartTime="2099-01-01T00:00:00Z" ZettaId="1002" Status="""#;
    let next = event(marks, r#"Type="SONG" Title="B" Artist1="A""#);
    let both = document(&format!("{}{next}", current(1001, &at(0), "A")));
    sender.write_all(both.as_bytes()).await.unwrap();
    let [next, now] = port.next_and_now().await;
    assert_eq!((&next["track"], &now["track"]), (&"B".into(), &"A".into()));
    // It starts early, in a document of its own.
    let alone = document(&current(1002, &at(10), "B"));
    sender.write_all(alone.repeat(2).as_bytes()).await.unwrap();
    let [next, now] = port.next_and_now().await;
    assert_eq!((&next["stale"], &now["track"]), (&true.into(), &"B".into()));
    port.hears("", &[]).await;
}

#[tokio::test]
async fn line_24_the_next_of_two_senders_is_one() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let with_next = |id: u32, start: &str, next: &str, title: &str| {
        let marks = format!(r#"Type="SONG" StartTime="{next}" ZettaId="9" Status="""#);
        let next = event(&marks, &format!(r#"Type="SONG" Title="{title}""#));
        document(&format!(
            "{}{next}",
            current(id, start, &format!("Now {id}"))
        ))
    };
    let (here, there) = ("2026-03-01T02:00:00Z", "2026-03-01T02:00:00.4Z");
    let sent = [
        song(1, &at(0), "Now 1"),
        with_next(2, &at(200), here, "Next"),
        with_next(2, &at(200), there, "Next"),
        with_next(2, &at(200), here, "Next"),
        with_next(2, &at(200), there, "Next, told right"),
        // Over already, and what it says of what follows with it.
        with_next(1, &at(0), "2026-03-01T01:01:00Z", "Late"),
    ];
    sender.write_all(sent.concat().as_bytes()).await.unwrap();
    assert_eq!(port.track().await, "Now 1");
    let [next, now] = port.next_and_now().await;
    assert_eq!(
        (&next["track"], &now["track"]),
        (&"Next".into(), &"Now 2".into())
    );
    let (slot, track) = port.next().await;
    assert_eq!(
        (slot, &track["track"]),
        (Slot::Next, &"Next, told right".into())
    );
    port.hears("", &[]).await;
}

#[tokio::test]
async fn line_21_a_repeat_by_a_clock_ahead_is_no_event() {
    let ahead = |second: i64| {
        let time = Utc::now() + chrono::Duration::seconds(300 + second);
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let (a, b) = (song(1, &ahead(0), "A"), song(2, &ahead(180), "B"));
    let mut port = Port::open().await;
    let sent = [&a, &b, &a, &b, &a, &b].map(String::as_str).concat();
    let mut sender = port.connect().await;
    sender.write_all(sent.as_bytes()).await.unwrap();
    let c = song(3, &ahead(360), "C");
    sender.write_all(c.as_bytes()).await.unwrap();
    for title in ["A", "B", "C"] {
        assert_eq!(port.track().await, title);
    }
    port.did_not_complain();
}

#[tokio::test]
async fn line_32_an_item_is_masked_unless_its_event_and_its_asset_are_songs() {
    let both = song(1, &at(0), "Buy it now");
    let spot = r#"Type="SPOT""#;
    for masked in [
        both.replacen(r#"Type="SONG""#, spot, 1),
        both.replace(r#"<Asset Type="SONG""#, &format!("<Asset {spot}")),
        both.replace(r#"<Asset Type="SONG""#, "<Asset"),
        both.replacen(r#"Type="SONG""#, r#"Type="""#, 1),
    ] {
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        sender.write_all(masked.as_bytes()).await.unwrap();
        let (slot, track) = port.next().await;
        assert_eq!(slot, Slot::Current { song: false });
        assert_eq!(track["track"], "The station", "{masked}");
        assert!(!track.to_string().contains("Buy it"), "{track}");
        port.did_not_complain();
    }
}

/// Senders repeat documents: the server logs each fault once, and counts all.
#[tokio::test]
async fn a_start_or_a_status_that_makes_no_sense_is_logged_once() {
    let mut port = Port::open().await;
    let wrong = song(1, "noon", "A").repeat(3);
    let status = song(2, &at(0), "B").replace(r#""CURRENT""#, r#""ON AIR""#);
    port.hears(wrong + &status.repeat(2), &["A", "B"]).await;
    assert_eq!((port.faults("start_time"), port.faults("status")), (3, 2));
    assert_eq!(port.logged.warned(), 2);
    assert_eq!(port.rejected().len(), 0);
}
