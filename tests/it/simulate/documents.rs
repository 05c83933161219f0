//! What goes over the connections, read as the server reads it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use roomcast::ingest::zetta::current::OnAir;
use roomcast::ingest::zetta::framing::{Found, Framer};
use roomcast::ingest::zetta::xml::{self, LogEvent};
use roomcast::nowplaying::Change;
use roomcast::simulate::{Item, Kind};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::Simulation;
use crate::client::SOON;

/// Two rounds of the station's format, and some.
const ITEMS: usize = 40;

/// How much later than planned an item may start, since one is played by hand
/// before it: the longest song at the speed of these tests.
const UNPLANNED: TimeDelta = TimeDelta::milliseconds(100);

/// What one connection brought.
struct Sent {
    documents: Vec<Vec<LogEvent>>,
    /// How often a read ended within a document.
    cuts: usize,
}

/// Reads a connection to its end; every document is whole and well-formed.
async fn read(mut stream: TcpStream) -> Sent {
    let (mut framer, mut found) = (Framer::default(), Vec::new());
    let (mut buffer, mut cuts) = (vec![0; 16 * 1024], 0);
    loop {
        let read = timeout(SOON, stream.read(&mut buffer)).await;
        let read = read.expect("the simulation goes on").unwrap();
        if read == 0 {
            break;
        }
        framer.push(&buffer[..read], &mut found);
        cuts += usize::from(framer.is_inside());
    }
    assert!(!framer.is_inside(), "it ended within a document");
    let document = |found| match found {
        Found::Document(text) => xml::read(&text).unwrap(),
        Found::Broken(why) => panic!("{why:?}"),
    };
    let documents = found.into_iter().map(document).collect();
    Sent { documents, cuts }
}

/// What was played, and what each of the machines sent of it, the spare last.
async fn play(seed: &str, more: &[&str], machines: usize) -> (Vec<Played>, Vec<Sent>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let items = ITEMS.to_string();
    let given = ["--speed", "3600", "--items", &items, "--seed", seed];
    let given = [&given[..], more].concat();
    let simulation = Simulation::start(listener.local_addr().unwrap(), &given);
    let mut reading = Vec::new();
    for _ in 0..machines {
        let (stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        reading.push(tokio::spawn(read(stream)));
    }
    let played = simulation.played().await;
    let mut sent = Vec::new();
    for reading in reading {
        sent.push(reading.await.unwrap());
    }
    // Whichever connected first: the main one's clock is right.
    sent.sort_by_key(|sent| starts(&sent.documents[0][0]));
    (played, sent)
}

type Played = (Item, DateTime<Utc>);

fn starts(event: &LogEvent) -> DateTime<Utc> {
    event.start.parse().unwrap()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Song => "SONG",
        Kind::Link => "LINK",
        Kind::Spot => "SPOT",
    }
}

#[tokio::test]
async fn what_is_on_air_is_read_as_it_was_meant() {
    for (seed, more, machines) in [("1", &["--no-spare"][..], 1), ("2", &[], 2)] {
        let (played, sent) = play(seed, more, machines).await;
        assert_eq!(played.len(), ITEMS);
        assert_eq!(sent.len(), machines);
        let kinds: BTreeSet<_> = played.iter().map(|(item, _)| kind(item.kind)).collect();
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        for (machine, sent) in sent.iter().enumerate() {
            let ahead = starts(&sent.documents[0][0]) - played[0].1;
            // The clock of the spare is off, and only that.
            assert_eq!(ahead > TimeDelta::microseconds(1), machine == 1, "{ahead}");
            let (mut on_air, mut heard) = (OnAir::default(), Vec::new());
            let sender = ([127, 0, 0, 1], 1).into();
            for document in &sent.documents {
                let taken = on_air.take(sender, document, Instant::now(), Utc::now());
                for change in taken.changes {
                    match change {
                        Change::Current(item) => heard.push(item),
                        Change::Again(_) | Change::Next(_) | Change::NextUnknown => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!(heard.len(), played.len());
            for (heard, (item, start)) in heard.iter().zip(&played) {
                assert_eq!(
                    [&heard.kind, &heard.title, &heard.artist, &heard.album],
                    [kind(item.kind), item.title, item.artist, item.album]
                );
                // They are written as fractions of seconds.
                let wrong = heard.played - item.length.as_secs_f64() * 1_000.0;
                assert!(wrong.abs() < 0.001, "{wrong} ms: {item:?}");
                let wrong = heard.start - *start - ahead;
                assert!(wrong.abs() < TimeDelta::microseconds(1), "{wrong}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_announced_comes_next() {
    let (played, sent) = play("3", &["--no-spare"], 1).await;
    let near = |event: &LogEvent, (item, start): &Played, most: TimeDelta| {
        let title = &event.asset.as_ref().unwrap().title;
        item.title == title && (starts(event) - *start).abs() < most
    };
    let mut by_hand = 0;
    let mut announced = 0;
    for document in &sent[0].documents {
        let [current, to_come @ ..] = &document[..] else {
            panic!("an empty document");
        };
        by_hand += usize::from(current.id == "0");
        let is_on = |played: &Played| near(current, played, TimeDelta::milliseconds(1));
        let now = played.iter().position(is_on).expect("it was played");
        // What comes behind the end of the simulation nobody plays.
        if now + 4 >= ITEMS {
            continue;
        }
        let mut later = played[now + 1..].iter();
        for event in to_come {
            assert_ne!(event.id, "0", "nobody knows what is played by hand");
            let found = later.find(|played| near(event, played, UNPLANNED));
            assert!(found.is_some(), "{event:?} behind {current:?}");
            announced += 1;
        }
    }
    assert!(announced > 2 * ITEMS, "{announced} announced");
    assert!(by_hand > 0);
}

#[tokio::test]
async fn starts_are_told_in_bursts_stops_come_late_and_documents_in_pieces() {
    let (_, sent) = play("4", &["--no-spare"], 1).await;
    let Sent { documents, cuts } = &sent[0];
    assert!(*cuts > 0, "nothing was cut");
    let is_on = |document: &&Vec<LogEvent>| document[0].status == "CURRENT";
    let on = documents.iter().filter(is_on).count();
    assert!(on > ITEMS * 3 / 2, "{on} starts and repeats");
    let is_again = |pair: &&[Vec<LogEvent>]| pair[0] == pair[1];
    let again = documents.windows(2).filter(is_again).count();
    assert!(again > ITEMS / 2, "{again} repeats");
    // The stop of an item behind the start of another.
    let mut latest = "";
    let mut late = 0;
    for event in documents.iter().map(|document| &document[0]) {
        match event.status.as_str() {
            "CURRENT" => latest = &event.id,
            "PLAYED" => late += usize::from(event.id != latest),
            _ => {}
        }
    }
    assert!(late > ITEMS / 2, "{late} late stops");
}

#[tokio::test]
async fn a_seed_plays_the_same_again() {
    let titles = |played: Vec<Played>| -> Vec<_> {
        played.into_iter().map(|(item, _)| item.title).collect()
    };
    let of = async |seed| titles(play(seed, &["--no-spare"], 1).await.0);
    let (first, again, other) = tokio::join!(of("5"), of("5"), of("6"));
    assert_eq!(first, again);
    assert_ne!(first, other);
}
