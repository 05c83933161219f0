//! Scripts of declarations (sender, time, item), and what is on after each of them.

use std::time::Duration;

use super::super::senders::SENDERS_MOST;
use super::*;
use crate::nowplaying::AIRINGS_MOST;

/// A log event with a current item of 200 s.
fn told(id: &str, start: Option<i64>, title: &str) -> LogEvent {
    let start = start.map(|second| time(second).to_rfc3339());
    LogEvent {
        kind: "SONG".into(),
        id: id.into(),
        status: "CURRENT".into(),
        start: start.unwrap_or_default(),
        asset: Some(Asset {
            kind: "SONG".into(),
            title: title.into(),
            total: "200".into(),
            ..Asset::default()
        }),
        ..LogEvent::default()
    }
}

/// The same of another length, in seconds.
fn lasting(seconds: u32, mut event: LogEvent) -> LogEvent {
    event.asset.as_mut().unwrap().total = seconds.to_string();
    event
}

/// The same, not marked: what is to come.
fn to_come(id: &str, start: Option<i64>, title: &str) -> LogEvent {
    LogEvent {
        status: String::new(),
        ..told(id, start, title)
    }
}

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn sender(number: u16) -> SocketAddr {
    ([10, 0, 0, number as u8], 1_000).into()
}

fn shown(change: Change) -> String {
    match change {
        Change::Current(item) => format!("on {}", item.title),
        Change::Resumed(item, _) => format!("resumed {}", item.title),
        Change::Corrected(item) => format!("corrected {}", item.title),
        Change::Again(item) => format!("again {}", item.title),
        Change::Next(item) => format!("next {}", item.title),
        Change::NextUnknown => "next unknown".to_owned(),
    }
}

/// A server whose monotonic clock begins at 0 s.
struct Server {
    on_air: OnAir,
    begun: Instant,
    /// How far its wall clock is ahead, in seconds.
    ahead: i64,
}

impl Server {
    fn start(stored: Vec<Airing>) -> Self {
        // The machine has been running for some days.
        let begun = Instant::now() + Duration::from_secs(1_000_000);
        Self {
            on_air: OnAir::new(stored, begun, time(0)),
            begun,
            ahead: 0,
        }
    }

    fn take(&mut self, number: u16, second: u64, events: &[LogEvent]) -> Taken {
        let now = self.begun + Duration::from_secs(second);
        let wall = time(second as i64 + self.ahead);
        self.on_air.take(sender(number), events, now, wall)
    }

    fn changes(&mut self, number: u16, second: u64, events: &[LogEvent]) -> String {
        let changes = self.take(number, second, events).changes;
        changes
            .into_iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Sender, second, id, start, title; the expected change.
type Step = (
    u16,
    u64,
    &'static str,
    Option<i64>,
    &'static str,
    &'static str,
);

#[test]
fn identity_decides_and_clocks_do_not() {
    const HOUR: i64 = 3_600;
    let scripts: &[(&str, &[Step])] = &[
        (
            "an airing is on when it is declared first, whatever its start",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (1, 10, "1", Some(0), "A", "again A"),
                // Somebody puts the clock back between two items.
                (1, 200, "2", Some(-HOUR), "B", "on B"),
                (1, 210, "2", Some(-HOUR), "B", "again B"),
                (1, 400, "3", Some(200 - HOUR), "C", "on C"),
                (1, 600, "4", Some(23 * HOUR), "D", "on D"),
                (1, 800, "5", Some(800), "E", "on E"),
            ],
        ),
        (
            "a late declaration of what another airing has followed",
            &[
                (1, 0, "1", Some(300), "A", "on A"),
                (1, 200, "2", Some(500), "B", "on B"),
                (1, 201, "1", Some(300), "A", ""),
                (1, 202, "2", Some(500), "B", "again B"),
            ],
        ),
        (
            "an item without an id is played again long after it was over, by another sender",
            &[
                (1, 0, "0", Some(0), "A", "on A"),
                (2, 10, "0", Some(300), "A", "again A"),
                // 200 s and a minute after its receipt that airing is over.
                (3, 260, "0", Some(260), "A", "on A"),
                (2, 270, "0", Some(560), "A", "again A"),
                (1, 280, "0", Some(260), "A", "again A"),
            ],
        ),
        (
            "neither start, then the start is in the same second",
            &[
                (1, 0, "0", None, "A", "on A"),
                (1, 0, "2", Some(0), "B", "on B"),
                (1, 1, "", Some(0), "C", "on C"),
                (1, 9, "0", None, "A", ""),
                (1, 11, "", Some(0), "C", "again C"),
            ],
        ),
        (
            "without a start an id means the same airing, a title for ten seconds only",
            &[
                (1, 0, "1", None, "A", "on A"),
                (1, 5, "2", None, "B", "on B"),
                (1, 100, "1", None, "A", ""),
                (1, 105, "0", None, "Jingle", "on Jingle"),
                (1, 110, "3", None, "C", "on C"),
                (1, 112, "", None, "Jingle", ""),
                (1, 114, "3", None, "C", "again C"),
                (1, 140, "", None, "Jingle", "on Jingle"),
            ],
        ),
        (
            "an item that is played again is another airing",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (1, 9, "1", Some(10), "A", "again A"),
                (1, 30, "1", Some(30), "A", "on A"),
                (1, 200, "2", Some(200), "B", "on B"),
                (1, 400, "1", Some(400), "A", "on A"),
                (1, 401, "1", Some(30), "A", ""),
                (1, 402, "1", Some(400), "A", "again A"),
            ],
        ),
        (
            "a correction, and its repeats",
            &[
                (1, 0, "1", Some(0), "Pumkin", "on Pumkin"),
                (2, 1, "1", Some(8), "Pumpkin", "again Pumkin"),
                (1, 2, "1", Some(4), "Pumpkin", "corrected Pumpkin"),
                (1, 3, "1", Some(0), "Pumpkin", "again Pumpkin"),
                (2, 4, "1", Some(8), "Pumpkin", "again Pumpkin"),
            ],
        ),
        (
            "two senders that never agree about a title",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (2, 1, "1", Some(900), "a", "again A"),
                (1, 10, "1", Some(0), "A", "again A"),
                (2, 11, "1", Some(900), "a", "again A"),
            ],
        ),
        (
            "a spare 400 s behind takes over, and main comes back",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (2, 3, "1", Some(-400), "A", "again A"),
                (1, 200, "2", Some(200), "B", "on B"),
                (2, 203, "2", Some(-200), "B", "again B"),
                (2, 403, "3", Some(3), "C", "on C"),
                (2, 603, "4", Some(203), "D", "on D"),
                (1, 610, "4", Some(600), "D", "again D"),
                (1, 800, "5", Some(800), "E", "on E"),
                (2, 803, "5", Some(403), "E", "again E"),
            ],
        ),
        (
            "a spare 7 h ahead that is the first to tell, and repeats what is over",
            &[
                (2, 0, "1", Some(7 * HOUR), "A", "on A"),
                (1, 2, "1", Some(0), "A", "again A"),
                (2, 200, "2", Some(7 * HOUR + 200), "B", "on B"),
                (1, 200, "1", Some(0), "A", ""),
                (1, 202, "2", Some(200), "B", "again B"),
                (1, 402, "3", Some(400), "C", "on C"),
                (2, 402, "2", Some(7 * HOUR + 200), "B", ""),
                (2, 403, "3", Some(7 * HOUR + 400), "C", "again C"),
            ],
        ),
        (
            "a spare that hangs",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (2, 1, "1", Some(-60), "A", "again A"),
                (1, 200, "2", Some(200), "B", "on B"),
                (2, 201, "1", Some(-60), "A", ""),
                (2, 46_000, "1", Some(-60), "A", ""),
                (1, 46_001, "9", Some(46_001), "C", "on C"),
            ],
        ),
        (
            "by hand: the other sender means the same airing until its length and a minute",
            &[
                (1, 0, "0", Some(0), "Talk", "on Talk"),
                (2, 4, "", Some(304), "Talk", "again Talk"),
                (1, 200, "2", Some(200), "B", "on B"),
                (3, 459, "0", None, "Talk", ""),
                (4, 461, "0", None, "Talk", "on Talk"),
            ],
        ),
        (
            "an id means the same airing for twelve hours",
            &[
                (1, 0, "1", Some(0), "A", "on A"),
                (1, 200, "2", Some(200), "B", "on B"),
                (2, 43_000, "1", Some(43_000), "A", ""),
                (3, 87_000, "1", Some(87_000), "Z", "on Z"),
            ],
        ),
    ];
    for (name, script) in scripts {
        // Somebody sets the server's clock while it runs.
        for step in [0, -30, -600, -3_600, 3_600, 86_400, -86_400] {
            let mut server = Server::start(Vec::new());
            if step == -86_400 && name.contains("played again") {
                // From then on its starts are too far ahead to be plausible.
                continue;
            }
            for (at, (number, second, id, start, title, expected)) in script.iter().enumerate() {
                if at > 0 {
                    server.ahead = step;
                }
                let changes = server.changes(*number, *second, &[told(id, *start, title)]);
                assert_eq!(changes, *expected, "{name}: {title} at {second}, {step}");
            }
        }
    }
}

#[test]
fn a_short_item_that_cuts_in_ends_with_its_own_length() {
    let song = |start| told("1", start, "Song");
    let short = |seconds| lasting(seconds, told("0", None, "Short"));
    for start in [Some(0), None] {
        let mut server = Server::start(Vec::new());
        assert_eq!(server.changes(1, 0, &[song(start)]), "on Song");
        assert_eq!(server.changes(2, 2, &[song(start)]), "again Song");
        assert_eq!(server.changes(1, 60, &[short(5)]), "on Short");
        // The short item is not over, whichever sender declares the song.
        assert_eq!(server.changes(1, 63, &[song(start)]), "");
        assert_eq!(
            server.changes(2, 66, &[song(start)]),
            "",
            "it has told no other"
        );
        let resumed = server.take(1, 67, &[song(start)]).changes;
        let [Change::Resumed(item, received)] = &resumed[..] else {
            panic!("{resumed:?}");
        };
        assert_eq!((&item.title, item.start), (&"Song".into(), time(0)));
        assert_eq!(*received, server.begun);
        assert_eq!(server.changes(2, 68, &[short(5)]), "", "a laggard");
        assert_eq!(server.changes(2, 71, &[song(start)]), "again Song");
        assert_eq!(server.changes(1, 77, &[song(start)]), "again Song");
        assert_eq!(
            server.changes(1, 200, &[told("2", None, "After")]),
            "on After"
        );
    }
    // A short item followed by a long one was not interrupted.
    let mut server = Server::start(Vec::new());
    assert_eq!(server.changes(1, 0, &[short(5)]), "on Short");
    assert_eq!(server.changes(1, 5, &[song(None)]), "on Song");
    assert_eq!(
        server.changes(1, 206, &[short(5)]),
        "on Short",
        "played once more"
    );
    // An item that can't be on any more is not resumed, nor one that an item of unknown length
    // followed.
    for (length, second) in [(90, 265), (0, 120)] {
        let mut server = Server::start(Vec::new());
        assert_eq!(server.changes(1, 0, &[song(Some(0))]), "on Song");
        assert_eq!(server.changes(1, 100, &[short(length)]), "on Short");
        assert_eq!(server.changes(1, second, &[song(Some(0))]), "", "{length}");
    }
}

fn stored(id: &str, kind: &str, title: &str, second: i64) -> Airing {
    Airing {
        item: Item {
            airing: uuid::Uuid::new_v4(),
            id: id.into(),
            kind: kind.into(),
            title: title.into(),
            length: 200_000.0,
            played: 200_000.0,
            start: time(second),
            ..Item::default()
        },
        received: time(second),
    }
}

/// The play log has the names of songs only.
#[test]
fn airings_of_before_a_restart_are_known() {
    let log = |kind, title| {
        vec![
            stored("1", "SONG", "Old", -300),
            stored("", kind, title, -100),
        ]
    };
    let spot = |event| LogEvent {
        kind: "SPOT".into(),
        ..event
    };
    let (song, link) = (log("SONG", "New"), log("LINK", "The station"));
    for (log, told, expected) in [
        (&song, told("", Some(-100), "New"), "again New"),
        (&song, told("", Some(7_000), "New"), "again New"),
        (&song, lasting(30, told("0", None, "New")), "corrected New"),
        (&song, told("1", Some(-300), "Old"), ""),
        (&song, told("1", Some(5_000), "Old, corrected"), ""),
        (&song, told("2", Some(-7_000), "Older"), "on Older"),
        (&link, spot(told("0", Some(-101), "Acme")), "corrected Acme"),
        (&link, spot(lasting(30, told("0", None, "Acme"))), "on Acme"),
        (&link, told("0", Some(-101), "Song"), "on Song"),
    ] {
        let mut server = Server::start(log.clone());
        assert_eq!(server.changes(1, 5, std::slice::from_ref(&told)), expected);
        let again = server.changes(1, 15, &[told]);
        assert!(again.starts_with("again") || expected.is_empty(), "{again}");
    }
}

/// The wall clock may be set while the server is down.
#[test]
fn every_item_is_on_also_across_a_restart_with_another_clock() {
    for wrong in [0, -30, -600, -3_600, 3_600, 86_400, -86_400] {
        let mut log = vec![
            stored("1", "SONG", "A", -250),
            stored("2", "SONG", "B", -50),
        ];
        for airing in &mut log {
            airing.received -= TimeDelta::seconds(wrong);
        }
        let mut server = Server::start(log);
        for (second, id, start, title, expected) in [
            (1, "1", -250, "A", ""),
            (2, "2", -50, "B", "again B"),
            (150, "3", 150, "C", "on C"),
            (350, "4", -9_000, "D", "on D"),
        ] {
            let changes = server.changes(1, second, &[told(id, Some(start), title)]);
            assert_eq!(changes, expected, "{title}, {wrong}");
        }
    }
}

/// The jingle is over; the song that it cut into may still be on, until its own length is over.
#[test]
fn an_item_is_resumed_across_a_restart() {
    for (second, expected) in [(-100, "resumed Song"), (-270, "")] {
        let mut jingle = stored("2", "SONG", "Jingle", -10);
        (jingle.item.length, jingle.item.played) = (4_000.0, 4_000.0);
        let mut server = Server::start(vec![stored("1", "SONG", "Song", second), jingle]);
        let changes = server.changes(1, 1, &[told("1", Some(second), "Song")]);
        assert_eq!(changes, expected, "{second}");
    }
}

#[test]
fn the_next_song_is_told_once() {
    let link = |event| LogEvent {
        kind: "LINK".into(),
        ..event
    };
    let mut server = Server::start(Vec::new());
    let now = |id| told(id, Some(0), id);
    for (number, events, expected) in [
        (
            1,
            vec![
                to_come("8", Some(400), "After"),
                link(to_come("6", Some(200), "Sweeper")),
                now("2"),
                to_come("7", Some(210), "Next"),
                to_come("1", Some(-200), "Past"),
            ],
            "next Next, on 2",
        ),
        (
            1,
            vec![now("2"), to_come("7", Some(214), "Next")],
            "again 2",
        ),
        // The clock of the spare is off, and so is its title.
        (
            2,
            vec![now("2"), to_come("7", Some(810), "next")],
            "again 2",
        ),
        (
            1,
            vec![now("2"), to_come("7", Some(210), "Next, corrected")],
            "next Next, corrected, again 2",
        ),
        (
            1,
            vec![now("2"), to_come("7", Some(240), "Next, corrected")],
            "next Next, corrected, again 2",
        ),
        (
            1,
            vec![now("2"), link(to_come("9", Some(200), "Spot"))],
            "again 2",
        ),
        // Without times the order of the document counts.
        (
            1,
            vec![
                to_come("1", None, "Before"),
                told("3", None, "3"),
                link(to_come("4", None, "Sweeper")),
                to_come("5", None, "Behind"),
                to_come("6", None, "Later"),
            ],
            "next Behind, on 3",
        ),
        // A late sender does not decide what comes next.
        (2, vec![now("2"), to_come("9", Some(200), "Late")], ""),
    ] {
        assert_eq!(server.changes(number, 10, &events), expected);
    }
    // One sender is the first to declare the current item, the other one the next song.
    let mut server = Server::start(Vec::new());
    let next = |start| to_come("5", Some(start), "Next");
    assert_eq!(server.changes(1, 0, &[now("1")]), "on 1");
    let behind = || told("1", Some(-1_000), "1");
    assert_eq!(
        server.changes(2, 1, &[behind(), next(-800)]),
        "next Next, again 1"
    );
    assert_eq!(
        server.changes(1, 2, &[now("1"), next(200)]),
        "next Next, again 1"
    );
    assert_eq!(server.changes(2, 3, &[behind(), next(-800)]), "again 1");
}

#[test]
fn an_item_is_a_song_only_if_its_event_and_its_asset_say_so() {
    for (event, asset, is_song) in [
        ("SONG", "SONG", true),
        ("song", " Song ", true),
        ("SONG", "SPOT", false),
        ("SPOT", "SONG", false),
        ("SONG", "", false),
        ("", "SONG", false),
    ] {
        let mut told = told("1", None, "A");
        told.kind = event.into();
        told.asset.as_mut().unwrap().kind = asset.into();
        let taken = Server::start(Vec::new()).take(1, 0, &[told]);
        let [Change::Current(item)] = &taken.changes[..] else {
            panic!("{taken:?}");
        };
        assert_eq!(item.is_song(), is_song, "{event}, {asset}");
    }
}

#[test]
fn a_wrong_clock_is_shown_and_logged_once() {
    let mut server = Server::start(Vec::new());
    let mut skew = |number, second, id, start| {
        let taken = server.take(number, second, &[told(id, start, "A")]);
        let logged = taken.faults.iter().filter(|fault| fault.is_logged).count();
        (taken.faults.len(), logged, server.on_air.skews())
    };
    // The first declaration of a sender may be of an item that started long ago: that tells no
    // skew.
    assert_eq!(skew(1, 0, "1", Some(-900)), (0, 0, vec![]));
    assert_eq!(skew(1, 10, "1", Some(-900)), (0, 0, vec![]));
    assert_eq!(skew(1, 200, "2", Some(199)), (0, 0, vec![-1.0]));
    assert_eq!(skew(1, 400, "3", Some(280)), (0, 0, vec![-120.0]));
    assert_eq!(skew(1, 600, "4", Some(479)), (1, 1, vec![-121.0]));
    assert_eq!(skew(1, 610, "4", Some(479)), (0, 0, vec![-121.0]));
    assert_eq!(skew(1, 800, "5", None), (0, 0, vec![-121.0]));
    assert_eq!(skew(1, 1_000, "6", Some(700)), (1, 0, vec![-300.0]));
    assert_eq!(skew(2, 1_001, "6", Some(9_001)), (0, 0, vec![-300.0]));
    assert_eq!(skew(1, 1_200, "7", Some(1_200)), (0, 0, vec![0.0]));
    // The other sender is late; its clock is right.
    assert_eq!(skew(2, 1_360, "7", Some(1_200)), (0, 0, vec![0.0]));
    assert_eq!(skew(1, 1_400, "8", Some(1_400)), (0, 0, vec![0.0]));
    assert_eq!(skew(2, 1_405, "8", Some(9_405)), (1, 1, vec![0.0, 8_000.0]));
    server.on_air.gone(sender(1));
    assert_eq!(server.on_air.skews(), [8_000.0]);
}

#[test]
fn what_makes_no_sense_is_logged_once_for_each_sender() {
    let mut server = Server::start(Vec::new());
    let wrong = |start: &str, status: &str| {
        let mut event = told("1", None, "A");
        (event.start, event.status) = (start.into(), status.into());
        event
    };
    for (number, start, status, expected) in [
        (1, "", "CURRENT", &[][..]),
        (
            1,
            "2026-13-01T00:00:00Z",
            "current",
            &[("start_time", true)],
        ),
        (1, "noon", "CURRENT", &[("start_time", false)]),
        (1, "", "ON AIR!", &[("status", true)]),
        (1, "", "ON AIR!", &[("status", false)]),
        (2, "noon", "PLAYED", &[("start_time", true)]),
    ] {
        let taken = server.take(number, 0, &[wrong(start, status)]);
        let faults = taken.faults.iter();
        let faults: Vec<_> = faults
            .map(|fault| (fault.reason, fault.is_logged))
            .collect();
        assert_eq!(faults, expected, "{start}, {status}");
    }
}

#[test]
fn a_reconnect_continues_the_sender_of_its_address() {
    let begun = Instant::now();
    let mut on_air = OnAir::default();
    let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let mut take = |port, id: &str, start| {
        let taken = on_air.take(at(port), &[told(id, Some(start), "A")], begun, time(0));
        on_air.gone(at(port));
        taken.changes.into_iter().map(shown).collect::<String>()
    };
    assert_eq!(take(1, "1", 0), "on A");
    // Another start from the same sender means another airing.
    assert_eq!(take(2, "1", 60), "on A");
    // Two senders at one address, whose clocks are 300 s apart.
    assert_eq!(take(3, "2", 100), "on A");
    let mut on_air = OnAir::default();
    for (port, start, expected) in [(1, 0, "on A"), (2, 300, "again A")] {
        let taken = on_air.take(at(port), &[told("1", Some(start), "A")], begun, time(0));
        assert_eq!(
            taken.changes.into_iter().map(shown).collect::<String>(),
            expected
        );
    }
    for port in [2, 1] {
        on_air.gone(at(port));
    }
    for (port, start) in [(3, 300), (4, 0)] {
        let taken = on_air.take(at(port), &[told("1", Some(start), "A")], begun, time(0));
        assert_eq!(
            taken.changes.into_iter().map(shown).collect::<String>(),
            "again A"
        );
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut server = Server::start(Vec::new());
    for number in 0..2 * AIRINGS_MOST {
        let id = (number + 1).to_string();
        let address = ([10, 1, (number / 250) as u8, (number % 250) as u8], 1);
        let event = told(&id, None, "A");
        let taken = server
            .on_air
            .take(address.into(), &[event], server.begun, time(0));
        assert_eq!(taken.changes.len(), 1);
    }
    let (airings, senders) = server.on_air.airings.remembered();
    assert_eq!((airings, senders), (AIRINGS_MOST, SENDERS_MOST));
    // A sender that hangs repeats an airing that is not remembered any more.
    assert_eq!(
        server.changes(1, 0, &[told("x", None, "Hangs")]),
        "on Hangs"
    );
    for number in 0..AIRINGS_MOST {
        server.take(2, 0, &[told(&format!("y{number}"), None, "B")]);
    }
    assert_eq!(server.changes(1, 0, &[told("x", None, "Hangs")]), "");
}
