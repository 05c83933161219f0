//! A property test of two senders that declare the items of one studio, each by its own clock,
//! late, and with interruptions: the server publishes each airing exactly once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::Instant;

use super::current::OnAir;
use super::xml::{Asset, LogEvent};
use crate::nowplaying::Change;

/// How many random programmes the test plays.
const CASES: u32 = 500;

const SECOND: u64 = 1_000;

/// How a sender repeats the current item.
const REPEATS_EVERY: u64 = 10 * SECOND;

#[derive(Clone, Debug)]
struct Airing {
    /// The length of the file in seconds, and how much of it is played in percent.
    length: u64,
    share: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Started by the log, with an id.
    Planned,
    /// Started by hand, with a start or without.
    ByHand(bool),
    /// Started by hand within the previous item, which continues afterwards.
    CutIn,
}

#[derive(Clone, Debug)]
struct Sender {
    /// How far its clock is ahead, in seconds: in the first half, and in the second half.
    skews: [i64; 2],
    /// How late it declares everything, in milliseconds.
    lag: u64,
}

/// When an airing goes on air, in milliseconds, and when it first began.
struct Episode {
    airing: usize,
    from: u64,
    begun: u64,
}

fn episodes(airings: &[Airing]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    let mut now = 0;
    for (
        airing,
        Airing {
            length,
            share,
            kind,
        },
    ) in airings.iter().enumerate()
    {
        let before = episodes.last().map(|before| (before.airing, before.begun));
        let lasts = (length * share * SECOND / 100).max(SECOND);
        let own = Episode {
            airing,
            from: now,
            begun: now,
        };
        match before {
            Some((long, begun)) if *kind == Kind::CutIn && airings[long].length > *length => {
                // The long item is on for some seconds before and after the short one.
                episodes.push(own);
                now += length * SECOND;
                let from = now;
                episodes.push(Episode {
                    airing: long,
                    from,
                    begun,
                });
                now += 2 * SECOND;
            }
            _ => {
                episodes.push(own);
                now += lasts;
            }
        }
    }
    episodes
}

fn document(
    airings: &[Airing],
    number: usize,
    start: Option<DateTime<Utc>>,
    is_on: bool,
) -> LogEvent {
    let airing = &airings[number];
    let is_planned = airing.kind == Kind::Planned;
    LogEvent {
        kind: "SONG".into(),
        id: if is_planned {
            format!("{}", 1_000 + number)
        } else {
            "0".into()
        },
        status: if is_on { "CURRENT" } else { "PLAYED" }.into(),
        last_started: if is_on && is_planned { "true" } else { "" }.into(),
        start: start.map_or_else(String::new, |start| start.to_rfc3339()),
        asset: Some(Asset {
            kind: "SONG".into(),
            title: format!("T{number}"),
            total: airing.length.to_string(),
            ..Asset::default()
        }),
        ..LogEvent::default()
    }
}

/// The declarations of a sender and their times, in milliseconds, without the time in which the
/// sender is away.
fn told(
    airings: &[Airing],
    episodes: &[Episode],
    sender: &Sender,
    away: Option<(u64, u64)>,
    end: u64,
) -> Vec<(u64, LogEvent)> {
    let mut told = Vec::new();
    for (at, episode) in episodes.iter().enumerate() {
        let until = episodes.get(at + 1).map_or(end, |next| next.from);
        let skew = sender.skews[usize::from(episode.begun > end / 2)];
        let start = time(episode.begun) + TimeDelta::seconds(skew);
        let is_timed = !matches!(
            airings[episode.airing].kind,
            Kind::ByHand(false) | Kind::CutIn
        );
        let start = is_timed.then_some(start);
        let on = document(airings, episode.airing, start, true);
        // A burst, and a repeat every ten seconds.
        for when in [episode.from, episode.from + 100] {
            told.push((when + sender.lag, on.clone()));
        }
        let repeats = (episode.from + REPEATS_EVERY..until).step_by(REPEATS_EVERY as usize);
        told.extend(repeats.map(|when| (when + sender.lag, on.clone())));
        let stop = document(airings, episode.airing, start, false);
        told.push((until + sender.lag + 300, stop));
    }
    told.retain(|(when, _)| away.is_none_or(|(from, to)| !(from..to).contains(when)));
    // The bursts of neighbouring items overlap; a sender declares the starts in order.
    told.sort_by_key(|(when, _)| *when);
    told
}

fn time(millisecond: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millisecond as i64).unwrap()
}

fn airing() -> impl Strategy<Value = Airing> {
    let kind = prop_oneof![
        4 => Just(Kind::Planned),
        1 => any::<bool>().prop_map(Kind::ByHand),
        1 => Just(Kind::CutIn),
    ];
    (kind, 2..300_u64, 20..=100_u64).prop_map(|(kind, length, share)| match kind {
        Kind::CutIn => Airing {
            length: 2 + length % 7,
            share: 100,
            kind,
        },
        _ => Airing {
            length,
            share,
            kind,
        },
    })
}

fn sender() -> impl Strategy<Value = Sender> {
    let skew = || -18_000..18_000_i64;
    (skew(), skew(), 0..20_000_u64).prop_map(|(one, other, lag)| Sender {
        skews: [one, other],
        lag,
    })
}

#[test]
fn honest_senders_lose_no_airing_and_publish_none_twice() {
    let programme = (
        vec(airing(), 2..20),
        [sender(), sender()],
        // When the second sender goes away and comes back, in percent of the time.
        (0..100_u64, 0..150_u64),
        // When the server's clock is set, and by how much.
        (0..100_u64, -21_600..21_600_i64),
    );
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&programme, |(airings, senders, (from, to), (set, step))| {
        let episodes = episodes(&airings);
        let end = episodes.last().unwrap().from + 5 * SECOND;
        let away = (from * end / 100, to * end / 100);
        let mut all = Vec::new();
        for (number, sender) in senders.iter().enumerate() {
            let away = (number == 1).then_some(away);
            let told = told(&airings, &episodes, sender, away, end);
            all.extend(told.into_iter().map(|(when, event)| (when, number, event)));
        }
        all.sort_by_key(|(when, ..)| *when);
        let (mut on_air, begun) = (OnAir::default(), Instant::now());
        let mut published = BTreeMap::new();
        let mut latest = String::new();
        let mut is_back = false;
        for (when, number, event) in &all {
            let mut address = SocketAddr::from(([10, 0, 0, *number as u8], 1));
            if *number == 1 && *when >= away.1 {
                if !is_back {
                    on_air.gone(address);
                    is_back = true;
                }
                address.set_port(2);
            }
            let now = begun + Duration::from_millis(*when);
            let ahead = if *when < set * end / 100 { 0 } else { step };
            let wall = time(*when) + TimeDelta::seconds(ahead);
            let events = std::slice::from_ref(event);
            for change in on_air.take(address, events, now, wall).changes {
                match change {
                    Change::Current(item) => {
                        *published.entry(item.title.clone()).or_insert(0) += 1;
                        latest = item.title;
                    }
                    Change::Resumed(item, _) => latest = item.title,
                    Change::Again(item) => prop_assert_eq!(&item.title, &latest),
                    change => prop_assert!(false, "{:?}", change),
                }
            }
        }
        let expected = (0..airings.len()).map(|number| (format!("T{number}"), 1));
        prop_assert_eq!(published, expected.collect());
        if away.0 >= away.1 {
            // Otherwise the other sender may be the first to declare an item that was missed, and
            // late.
            let last = episodes.last().unwrap().airing;
            prop_assert_eq!(latest, format!("T{last}"));
        }
        Ok(())
    });
    result.unwrap_or_else(|why| panic!("{why}"));
}
