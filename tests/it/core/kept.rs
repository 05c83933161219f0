//! What the rooms of a namespace keep together stays within its budget.

use roomcast::core::durable::Contents;
use roomcast::core::kept::{KEPT_MOST, RETAINED_MOST};
use roomcast::core::name::RoomId;

use super::rooms::IDLE_MOST;
use super::*;

/// A message that weighs about 180 KiB: five of them fill a room's history, and
/// fewer than 400 the budget.
fn big(number: usize) -> Box<RawValue> {
    to_raw_value(&format!("{number:060000}")).unwrap()
}

/// A room that holds [`big`] messages five times, as many as it keeps.
const FULL: usize = 5;

/// More rooms than can be full at once.
const ROOMS: usize = 100;

/// How much the rooms of these names keep.
fn kept(hub: &Hub, names: impl IntoIterator<Item = impl ToString>) -> usize {
    let contents = |name: &str| {
        let id = RoomId {
            namespace: NamespaceName::parse("/n").unwrap(),
            room: room(name),
        };
        hub.contents(&id).map(|(_, contents)| contents)
    };
    let names = names.into_iter();
    let all = names.filter_map(|name| contents(&name.to_string()));
    let weight = |contents: Contents| -> usize {
        let retained = contents.retained.iter().map(|(_, event)| event);
        let events = retained.chain(&contents.history);
        events.map(|event| event.weight()).sum()
    };
    all.map(weight).sum()
}

/// How much all rooms keep that are filled by these tests.
fn kept_by_all(hub: &Hub) -> usize {
    kept(hub, 0..ROOMS)
}

fn publish_big(hub: &Arc<Hub>, name: &str, number: usize) -> Result<Offset, Error> {
    publish_in(hub, name, big(number), &[])
}

/// The numbers in messages that [`big`] made.
async fn told(listener: &mut Listener, count: usize) -> Vec<usize> {
    let messages = listener.messages(count).await;
    let number = |text: &String| text.trim_matches('"').parse().unwrap();
    messages.iter().map(number).collect()
}

#[tokio::test]
async fn rooms_that_one_client_fills_and_leaves_make_way_for_each_other() {
    let hub = free_hub(100, &["last"]);
    let visitor = connect(&hub);
    let mut first = None;
    for number in 0..ROOMS {
        let name = number.to_string();
        let joined = join_in(&hub, &visitor, &name, None).await;
        first.get_or_insert(joined.offset);
        for event in 0..FULL {
            hub.notify(
                &visitor.client,
                room(&name),
                big(event).into(),
                Box::new(|done| assert!(done.is_ok())),
            );
            assert!(kept_by_all(&hub) <= KEPT_MOST, "{}", kept_by_all(&hub));
        }
        hub.leave(&visitor.client, &room(&name), || ()).unwrap();
    }
    assert!(kept_by_all(&hub) > KEPT_MOST / 2, "{}", kept_by_all(&hub));
    // The first is gone, the last is whole.
    let again = join_in(&hub, &visitor, "0", first).await;
    assert!(!again.recovered && again.offset != first.unwrap());
    let mut other = connect(&hub);
    let last = join_in(&hub, &other, &(ROOMS - 1).to_string(), None).await;
    assert_eq!(last.offset.number, FULL as u64);
    assert_eq!(told(&mut other, 1).await, [FULL - 1]);
}

#[tokio::test]
async fn short_histories_stay_where_long_ones_use_up_the_budget() {
    let hub = free_hub(100, &[]);
    let member = connect(&hub);
    for number in 0..ROOMS {
        let name = number.to_string();
        join_in(&hub, &member, &name, None).await;
        for event in 0..FULL {
            publish_big(&hub, &name, event).unwrap();
        }
    }
    join_in(&hub, &member, "short", None).await;
    let small = |number: usize| to_raw_value(&number).unwrap();
    let first = publish_in(&hub, "short", small(0), &[]).unwrap();
    for number in 1..50 {
        publish_in(&hub, "short", small(number), &[]).unwrap();
        publish_big(&hub, &(number % ROOMS).to_string(), number).unwrap();
        assert!(kept_by_all(&hub) <= KEPT_MOST, "{}", kept_by_all(&hub));
    }
    let mut back = connect(&hub);
    assert!(join_in(&hub, &back, "short", Some(first)).await.recovered);
    assert_eq!(told(&mut back, 49).await, Vec::from_iter(1..50));
}

#[tokio::test]
async fn a_room_in_use_goes_on_where_the_budget_is_used_up() {
    let hub = free_hub(100, &[]);
    let mut member = connect(&hub);
    let mut offsets = Vec::new();
    for number in 0..ROOMS {
        let name = number.to_string();
        join_in(&hub, &member, &name, None).await;
        for event in 0..FULL {
            let offset = publish_big(&hub, &name, event).unwrap();
            if number == 0 {
                offsets.push(offset);
            }
        }
        assert_eq!(told(&mut member, FULL).await, [0, 1, 2, 3, 4]);
        assert!(kept_by_all(&hub) <= KEPT_MOST, "{}", kept_by_all(&hub));
    }
    for event in FULL..FULL + 2 {
        let offset = publish_big(&hub, "0", event).unwrap();
        assert_eq!(offset.number, event as u64 + 1);
        assert_eq!(offset.epoch, offsets[0].epoch);
        offsets.push(offset);
    }
    assert_eq!(told(&mut member, 2).await, [5, 6]);
    assert!(kept_by_all(&hub) <= KEPT_MOST, "{}", kept_by_all(&hub));
    // since -> recovered, backlog
    let cases = [
        (offsets[6], true, vec![]),
        (offsets[5], true, vec![6]),
        (offsets[4], true, vec![5, 6]),
        (offsets[0], false, vec![2, 3, 4, 5, 6]),
    ];
    for (since, recovered, backlog) in cases {
        let mut back = connect(&hub);
        let joined = join_in(&hub, &back, "0", Some(since)).await;
        assert_eq!(joined.offset, offsets[6], "{since}");
        assert_eq!(joined.recovered, recovered, "{since}");
        let missed = told(&mut back, backlog.len()).await;
        assert_eq!(missed, backlog, "{since}");
        hub.disconnect(&back.client);
    }
}

#[tokio::test]
async fn what_is_retained_is_bounded_and_never_given_up() {
    let hub = free_hub(0, &["last"]);
    let member = connect(&hub);
    let mut taken = 0;
    let code = loop {
        let name = taken.to_string();
        join_in(&hub, &member, &name, None).await;
        match publish_big(&hub, &name, 0) {
            Ok(_) => taken += 1,
            Err(error) => break error.code(),
        }
        assert!(kept(&hub, 0..taken) <= RETAINED_MOST);
    };
    assert_eq!(code, "full");
    assert!(taken > 150, "{taken}");
    assert_eq!(publish_big(&hub, "0", 1).unwrap().number, 2, "no bigger");
    let mut other = connect(&hub);
    for (name, shown) in [("0", 1), ("1", 0)] {
        join_in(&hub, &other, name, None).await;
        assert_eq!(told(&mut other, 1).await, [shown], "{name}");
    }
    // Rooms that are made in vain go like all that are empty.
    let message = big(0);
    for vain in 0..2 * IDLE_MOST {
        let refused = publish_in(&hub, &format!("vain {vain}"), message.clone(), &[]);
        assert_eq!(refused.unwrap_err().code(), "full");
    }
    let rooms = hub.room_counts().next().unwrap().1;
    assert_eq!(rooms, taken + 1 + IDLE_MOST);
    // Whoever is gone makes way.
    hub.disconnect(&member.client);
    assert_eq!(publish_big(&hub, "new", 0).unwrap().number, 1);
}
