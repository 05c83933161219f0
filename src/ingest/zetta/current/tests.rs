//! The rules of what is on, as scripts of what is told when.

use super::*;

/// A marked item with an asset, as a sender tells it.
fn told(id: &str, start: Option<i64>, title: &str) -> LogEvent {
    let start = start.map(|second| time(second).to_rfc3339());
    LogEvent {
        kind: "SONG".into(),
        id: id.into(),
        status: "CURRENT".into(),
        start: start.unwrap_or_default(),
        asset: Some(Asset {
            title: title.into(),
            total: "200".into(),
            ..Asset::default()
        }),
        ..LogEvent::default()
    }
}

/// The same, not marked: what is to come.
fn to_come(id: &str, start: i64, title: &str) -> LogEvent {
    LogEvent {
        status: String::new(),
        ..told(id, Some(start), title)
    }
}

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn shown(change: Change) -> String {
    match change {
        Change::Current(item) => format!("on {}", item.title),
        Change::Corrected(item) => format!("corrected {}", item.title),
        Change::Again(item) => format!("again {}", item.title),
        Change::Next(item) => format!("next {}", item.title),
        Change::Aired(item) => format!("aired {}", item.title),
    }
}

/// When it is told, id, start, title; what it changes.
type Told = (i64, &'static str, Option<i64>, &'static str, &'static str);

#[test]
fn what_is_on_by_what_is_told() {
    let scripts: &[(&str, &[Told])] = &[
        (
            "a clock five minutes ahead, repeats of what was on",
            &[
                (0, "1", Some(300), "A", "on A"),
                (10, "1", Some(300), "A", "again A"),
                (200, "2", Some(500), "B", "on B"),
                (201, "1", Some(300), "A", "aired A"),
                (202, "2", Some(500), "B", "again B"),
                // Its start is not ahead any more.
                (300, "1", Some(300), "A", "aired A"),
                (301, "2", Some(500), "B", "again B"),
            ],
        ),
        (
            "two that start in the same second",
            &[
                (0, "1", Some(0), "A", "on A"),
                (1, "2", Some(0), "B", "on B"),
                (10, "1", Some(0), "A", "aired A"),
                (11, "2", Some(0), "B", "again B"),
            ],
        ),
        (
            "no start: an id tells a repeat, a title played by hand does not",
            &[
                (0, "1", None, "A", "on A"),
                (5, "2", None, "B", "on B"),
                (10, "1", None, "A", "aired A"),
                (15, "0", None, "Jingle", "on Jingle"),
                (20, "3", None, "C", "on C"),
                (25, "", None, "Jingle", "on Jingle"),
            ],
        ),
        (
            "the same once more, later: it is on again",
            &[
                (0, "1", Some(0), "A", "on A"),
                (200, "2", Some(200), "B", "on B"),
                (400, "1", Some(400), "A", "on A"),
            ],
        ),
        (
            "a clock that was set back loses until what is on is over",
            &[
                (0, "1", Some(0), "A", "on A"),
                (10, "2", Some(-3600), "B", "aired B"),
                (259, "2", Some(-3600), "B", "aired B"),
                (260, "2", Some(-3600), "B", "on B"),
                (300, "3", Some(-3300), "C", "on C"),
            ],
        ),
        (
            "corrected once, whoever repeats it",
            &[
                (0, "1", Some(0), "Pumkin", "on Pumkin"),
                (1, "1", Some(8), "Pumpkin", "corrected Pumpkin"),
                (2, "1", Some(0), "Pumpkin", "again Pumpkin"),
            ],
        ),
    ];
    for (name, script) in scripts {
        let mut on_air = OnAir::default();
        for (now, id, start, title, expected) in *script {
            let changes = on_air.take(&[told(id, *start, title)], time(*now));
            let changes: Vec<_> = changes.into_iter().map(shown).collect();
            assert_eq!(changes, [*expected], "{name}: {title} at {now}");
        }
    }
}

/// What a room has kept has no id, is to the second, and of what is no song it
/// has no name.
#[test]
fn what_went_on_is_known_again() {
    let kept = |kind: &str, title: &str| WentOn {
        item: Item {
            kind: kind.into(),
            title: title.into(),
            length: 200_000.0,
            played: 200_000.0,
            start: time(100),
            ..Item::default()
        },
        received: time(100),
    };
    let [song, link] = [kept("SONG", "A"), kept("LINK", "The station")];
    let spot = |event| LogEvent {
        kind: "SPOT".into(),
        ..event
    };
    let shorter = |mut event: LogEvent| {
        event.asset.as_mut().unwrap().total = "30".into();
        event
    };
    let at = |start| told("1", Some(start), "A");
    for (kept, told, expected) in [
        (&song, at(100), "corrected A"),
        (&song, at(92), "corrected A"),
        (&song, told("", None, "A"), "again A"),
        (&song, at(89), "aired A"),
        (&song, at(111), "on A"),
        (&song, told("1", Some(100), "B"), "on B"),
        (&song, spot(at(101)), "on A"),
        (&link, spot(at(101)), "corrected A"),
        (&link, spot(told("0", None, "A")), "corrected A"),
        (&link, spot(at(89)), "aired A"),
        (&link, spot(at(111)), "on A"),
        (&link, shorter(spot(at(101))), "on A"),
        (&link, at(101), "on A"),
    ] {
        let mut on_air = OnAir::new(Some(kept.clone()));
        let changes = on_air.take(std::slice::from_ref(&told), time(150));
        let changes: String = changes.into_iter().map(shown).collect();
        assert_eq!(changes, expected, "{told:?}");
        // From then on it is known by its id.
        let again: String = on_air
            .take(&[told], time(160))
            .into_iter()
            .map(shown)
            .collect();
        if !expected.starts_with("aired") {
            assert!(again.starts_with("again"), "{expected}: {again}");
        }
    }
}

#[test]
fn what_comes_next_is_told_once() {
    let mut on_air = OnAir::default();
    let script: &[(&str, i64, &str, &[&str])] = &[
        ("2", 200, "Next", &["on 2", "next Next"]),
        ("2", 200, "Next", &["again 2"]),
        (
            "2",
            200,
            "Next, corrected",
            &["again 2", "next Next, corrected"],
        ),
        // What is over tells nothing of what comes.
        ("1", 0, "Late", &["aired 1"]),
        ("3", 400, "After", &["on 3", "next After"]),
    ];
    for (id, start, next, expected) in script {
        for off in [0, 4] {
            let next = to_come("9", 600 + off, next);
            let events = [told(id, Some(*start), id), next];
            let changes = on_air.take(&events, time(300));
            let changes: Vec<_> = changes.into_iter().map(shown).collect();
            match off {
                0 => assert_eq!(changes, *expected, "{id}"),
                // The other sender, whose clock is off.
                _ => assert!(
                    changes.len() == 1 && !changes[0].starts_with("next"),
                    "{changes:?}"
                ),
            }
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut on_air = OnAir::default();
    for number in 0..1_000 {
        let id = number.to_string();
        on_air.take(&[told(&id, Some(number), "A")], time(number));
    }
    assert_eq!(on_air.recent.len(), RECENT_MOST);
}
