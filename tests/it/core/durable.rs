//! Rooms that outlive the hub: what a store is told and given, and what somebody
//! who comes back is sent after a clean end and after another one.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use roomcast::core::durable::{Keeper, Snapshot};

use super::*;
use crate::client::SOON;

/// A store that only remembers which rooms it is to ask for.
#[derive(Default)]
struct Asked(Mutex<BTreeSet<String>>);

impl Keeper for Asked {
    fn begins(&self) {}

    fn published(&self, namespace: &NamespaceName, room: &RoomName) {
        self.changed(namespace, room);
    }

    fn changed(&self, _: &NamespaceName, room: &RoomName) {
        self.0.lock().unwrap().insert(room.to_string());
    }
}

impl Asked {
    fn rooms(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
            .into_iter()
            .collect()
    }
}

fn durable(stored: Vec<Snapshot>) -> (Arc<Hub>, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    (durable_for(asked.clone(), stored), asked)
}

fn durable_for(keeper: Arc<dyn Keeper>, stored: Vec<Snapshot>) -> Arc<Hub> {
    let namespace = Namespace {
        durable: true,
        ..namespace("/n", 3, &["last"])
    };
    Hub::durable(vec![namespace], Memory, keeper, stored)
}

/// A store whose disk hangs: it asks for the room before it answers, from another thread.
#[derive(Default)]
struct Slow(OnceLock<Arc<Hub>>, Mutex<Vec<u64>>);

impl Slow {
    /// The last number of the room; the test fails if the room is locked.
    fn look(&self) {
        let hub = self.0.get().expect("there is a hub").clone();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let namespace = NamespaceName::parse("/n").unwrap();
            let found = hub.snapshot(&namespace, &room("r"));
            tell.send(found.map_or(0, |room| room.head)).unwrap();
        });
        let head = told.recv_timeout(SOON).expect("the room is locked");
        self.1.lock().unwrap().push(head);
    }
}

impl Keeper for Slow {
    fn begins(&self) {
        self.look();
    }

    fn published(&self, _: &NamespaceName, _: &RoomName) {
        self.look();
    }

    fn changed(&self, _: &NamespaceName, _: &RoomName) {}
}

#[tokio::test]
async fn a_store_is_told_before_and_behind_each_event_and_never_under_the_lock_of_the_room() {
    let slow = Arc::new(Slow::default());
    let hub = durable_for(slow.clone(), Vec::new());
    assert!(slow.0.set(hub.clone()).is_ok());
    publish(&hub, 1);
    publish(&hub, 2);
    assert_eq!(*slow.1.lock().unwrap(), [0, 1, 1, 2]);
}

fn snapshot(hub: &Hub) -> Snapshot {
    let namespace = NamespaceName::parse("/n").unwrap();
    hub.snapshot(&namespace, &room("r")).unwrap()
}

/// What somebody is sent who joins with this number of the epoch.
async fn comes_back(hub: &Arc<Hub>, snapshot: &Snapshot, number: u64) -> (bool, Vec<String>) {
    let epoch = snapshot.epoch;
    let mut listener = connect(hub);
    let joined = join(hub, &listener, Some(Offset { epoch, number })).await;
    let mut told = Vec::new();
    while let Ok(Told::Event(text)) = listener.told.try_recv() {
        told.push(text);
    }
    hub.disconnect(&listener.client);
    (joined.recovered, told)
}

#[tokio::test]
async fn after_a_restart_there_is_no_gap_and_no_place_that_nobody_knows() {
    let (first, _) = durable(Vec::new());
    for number in 1..=5 {
        publish(&first, number);
    }
    let clean = snapshot(&first);
    assert_eq!((clean.head, clean.contents.floor), (5, 2));
    // The store has reserved some more, and does not know which of them were given.
    let unclean = Snapshot {
        head: 100,
        limit: 200,
        ..clean.clone()
    };
    // number -> recovered, backlog; before anything new, and behind one more
    type Case = (
        u64,
        (bool, &'static [&'static str]),
        (bool, &'static [&'static str]),
    );
    let both: [Case; 4] = [
        (5, (true, &[]), (true, &["6"])),
        (4, (true, &["5"]), (true, &["5", "6"])),
        (2, (true, &["3", "4", "5"]), (false, &["4", "5", "6"])),
        (1, (false, &["3", "4", "5"]), (false, &["4", "5", "6"])),
    ];
    let unknown: [Case; 4] = [
        (6, (false, &[]), (false, &["6"])),
        (99, (false, &[]), (false, &["6"])),
        (100, (true, &[]), (true, &["6"])),
        (102, (false, &["3", "4", "5"]), (false, &["4", "5", "6"])),
    ];
    for (stored, last, cases) in [
        (clean.clone(), 6, both.to_vec()),
        (unclean, 101, [both, unknown].concat()),
    ] {
        let (hub, _) = durable(vec![stored.clone()]);
        for (number, before, _) in &cases {
            let (recovered, told) = comes_back(&hub, &stored, *number).await;
            assert_eq!(
                (recovered, told.as_slice()),
                (before.0, &to_strings(before.1)[..]),
                "{number}"
            );
        }
        let offset = publish(&hub, 6);
        assert_eq!((offset.epoch, offset.number), (clean.epoch, last));
        for (number, _, after) in &cases {
            let (recovered, told) = comes_back(&hub, &stored, *number).await;
            assert_eq!(
                (recovered, told.as_slice()),
                (after.0, &to_strings(after.1)[..]),
                "{number}"
            );
        }
    }
}

fn to_strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_is_not_reserved_is_of_another_epoch() {
    let (first, _) = durable(Vec::new());
    let old = publish(&first, 1);
    let stored = snapshot(&first);
    // As a store gives it back that can write nothing.
    let (hub, _) = durable(vec![Snapshot {
        limit: stored.head + 1,
        ..stored.clone()
    }]);
    assert_eq!(comes_back(&hub, &stored, 1).await, (true, vec![]));
    let new = publish(&hub, 2);
    assert_ne!(new.epoch, old.epoch);
    assert_eq!(
        comes_back(&hub, &stored, 1).await,
        (true, vec!["2".into()]),
        "nothing is missing"
    );
    // The store writes again: it learns the new epoch, and reserves in it.
    let written = snapshot(&hub);
    assert_eq!(written.epoch, new.epoch);
    hub.reserved(&written);
    assert_eq!(publish(&hub, 3).epoch, new.epoch);
}

#[tokio::test]
async fn a_store_hears_of_every_room_that_changed_and_of_those_given_up() {
    let (hub, asked) = durable(Vec::new());
    publish_in(&hub, "a", to_raw_value(&1).unwrap(), &[]).unwrap();
    publish_in(&hub, "b", to_raw_value(&1).unwrap(), &[]).unwrap();
    assert_eq!(asked.rooms(), ["a", "b"]);
    let listener = connect(&hub);
    join_in(&hub, &listener, "c", None).await;
    assert_eq!(asked.rooms(), [] as [&str; 0], "a join is no change");
    // All are kept that have a place; then the one goes that is empty longest.
    for number in 0..9_998 {
        let name = format!("n{number}");
        publish_in(&hub, &name, to_raw_value(&1).unwrap(), &[]).unwrap();
    }
    assert!(asked.rooms().contains(&"a".to_owned()));
    let namespace = NamespaceName::parse("/n").unwrap();
    assert!(hub.snapshot(&namespace, &room("a")).is_none());
    assert!(hub.snapshot(&namespace, &room("b")).is_some());
}

#[tokio::test]
async fn a_namespace_takes_back_what_it_still_wants() {
    let (first, _) = durable(Vec::new());
    publish(&first, 1);
    publish(&first, 2);
    let stored = snapshot(&first);
    // (durable, history, retain, fixed) -> what a newcomer and who comes back get
    let fixed = Rooms::Fixed(vec![room("elsewhere")]);
    let cases = [
        (true, 3, &["last"][..], Rooms::Open, &["2"][..], &["2"][..]),
        (true, 1, &["last"], Rooms::Open, &["2"], &["2"]),
        (true, 3, &["other"], Rooms::Open, &[], &["2"]),
        (false, 3, &["last"], Rooms::Open, &[], &[]),
        (true, 3, &["last"], fixed, &[], &[]),
    ];
    for (durable, history, retain, rooms, shown, missed) in cases {
        let case = format!("{durable} {history} {retain:?} {rooms:?}");
        let is_fixed = rooms != Rooms::Open;
        let namespace = Namespace {
            durable,
            rooms,
            ..namespace("/n", history, retain)
        };
        let asked = Arc::new(Asked::default());
        let hub = Hub::durable(vec![namespace], Memory, asked, vec![stored.clone()]);
        if is_fixed {
            assert_eq!(hub.durable_rooms(), [], "{case}");
            continue;
        }
        let mut newcomer = connect(&hub);
        join(&hub, &newcomer, None).await;
        assert_eq!(newcomer.messages(shown.len()).await, shown, "{case}");
        let (_, told) = comes_back(&hub, &stored, 1).await;
        assert_eq!(told, missed, "{case}");
    }
}

/// 1 to 5 were given, and the store has 1 to 3 of them: who saw 2 missed 4 and 5.
#[tokio::test]
async fn who_missed_what_was_lost_is_not_told_that_this_is_all() {
    let (first, _) = durable(Vec::new());
    for number in 1..=3 {
        publish(&first, number);
    }
    let written = snapshot(&first);
    let mut unclean = Snapshot {
        head: written.limit,
        limit: written.limit + 100,
        ..written.clone()
    };
    unclean.contents.hole = unclean.head;
    let (hub, _) = durable(vec![unclean.clone()]);
    assert_eq!(
        comes_back(&hub, &unclean, 2).await,
        (false, vec!["3".into()])
    );
    assert_eq!(comes_back(&hub, &unclean, 3).await, (false, vec![]));
    // Whoever has come since has missed nothing.
    assert_eq!(
        comes_back(&hub, &unclean, unclean.head).await,
        (true, vec![])
    );
    publish(&hub, 6);
    assert_eq!(
        comes_back(&hub, &unclean, 3).await,
        (false, vec!["6".into()])
    );
    let since = comes_back(&hub, &unclean, unclean.head).await;
    assert_eq!(since, (true, vec!["6".into()]));
    // It stays so across a clean restart.
    let (hub, _) = durable(vec![snapshot(&hub)]);
    assert!(!comes_back(&hub, &unclean, 3).await.0);
}

/// As many rooms as there may be: their members come back one by one.
#[tokio::test]
async fn rooms_that_were_in_use_are_there_after_a_restart() {
    let (first, _) = durable(Vec::new());
    publish(&first, 1);
    let one = snapshot(&first);
    let all = (0..10_000).map(|number| Snapshot {
        room: room(&number.to_string()),
        ..one.clone()
    });
    let (hub, asked) = durable(all.collect());
    let listener = connect(&hub);
    join_in(&hub, &listener, "7", None).await;
    hub.disconnect(&listener.client);
    assert_eq!(asked.rooms(), [] as [&str; 0], "given up, and so deleted");
    assert_eq!(hub.durable_rooms().len(), 10_000);
}

/// A disk that could not be read at the start is read later.
#[tokio::test]
async fn what_is_read_late_stands_behind_what_was_published_since() {
    let (first, _) = durable(Vec::new());
    for (name, number) in [("r", 1), ("r", 2), ("other", 3)] {
        publish_in(&first, name, to_raw_value(&number).unwrap(), &[]).unwrap();
    }
    let namespace = NamespaceName::parse("/n").unwrap();
    let stored = ["r", "other"].map(|name| first.snapshot(&namespace, &room(name)).unwrap());
    let (hub, _) = durable(Vec::new());
    let mut member = connect(&hub);
    join(&hub, &member, None).await;
    publish_in(&hub, "other", to_raw_value(&9).unwrap(), &[]).unwrap();
    hub.restore(stored.to_vec());
    // Members that joined before receive the retained event.
    assert_eq!(member.messages(1).await, ["2"]);
    let epoch = stored[0].epoch;
    assert_eq!(publish(&hub, 4), Offset { epoch, number: 3 });
    assert_eq!(member.messages(1).await, ["4"]);
    assert_eq!(
        comes_back(&hub, &stored[0], 1).await,
        (true, vec!["2".into(), "4".into()])
    );
    let mut newcomer = connect(&hub);
    join_in(&hub, &newcomer, "other", None).await;
    assert_eq!(newcomer.messages(1).await, ["9"]);
}
