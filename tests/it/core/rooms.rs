//! Which rooms are kept while nobody is in them, and which go first.

use super::*;

/// As many empty rooms as a namespace keeps.
pub const IDLE_MOST: usize = 1_000;

/// Publishes in a room, and tells which number the event has there.
fn touch(hub: &Arc<Hub>, name: &str) -> u64 {
    let message = to_raw_value(&1).unwrap();
    publish_in(hub, name, message, &[]).unwrap().number
}

#[tokio::test]
async fn of_the_empty_rooms_the_one_used_least_recently_goes() {
    let hub = hub(1, &[]);
    for number in 0..IDLE_MOST {
        touch(&hub, &number.to_string());
    }
    assert_eq!(touch(&hub, "0"), 2, "it was the first, and is the last now");
    touch(&hub, "one too many");
    assert_eq!(touch(&hub, "0"), 3);
    assert_eq!(touch(&hub, "2"), 2);
    assert_eq!(touch(&hub, "1"), 1, "given up, and made anew");
    assert_eq!(hub.room_counts().next().unwrap().1, IDLE_MOST);
}

#[tokio::test]
async fn a_room_in_use_is_not_given_up_and_costs_no_other_its_place() {
    let hub = hub(1, &[]);
    for number in 0..IDLE_MOST {
        touch(&hub, &number.to_string());
    }
    let listener = connect(&hub);
    join_in(&hub, &listener, "0", None).await;
    touch(&hub, "one more");
    for name in ["0", "1", "one more"] {
        assert_eq!(touch(&hub, name), 2, "{name}");
    }
    assert_eq!(hub.room_counts().next().unwrap().1, IDLE_MOST + 1);
}

#[tokio::test]
async fn who_was_alone_in_a_quiet_room_has_missed_nothing() {
    let hub = hub(10, &[]);
    let gone = connect(&hub);
    let seen = join(&hub, &gone, None).await.offset;
    hub.disconnect(&gone.client);
    let joined = join(&hub, &connect(&hub), Some(seen)).await;
    assert!(joined.recovered);
    assert_eq!(joined.offset, seen);
}

#[tokio::test]
async fn a_room_without_events_goes_before_one_that_has_some() {
    let hub = free_hub(1, &[]);
    touch(&hub, "with an event");
    let visitor = connect(&hub);
    let mut first = None;
    for number in 0..IDLE_MOST {
        let name = number.to_string();
        let joined = join_in(&hub, &visitor, &name, None).await;
        first.get_or_insert(joined.offset);
        hub.leave(&visitor.client, &room(&name), || ()).unwrap();
    }
    assert_eq!(touch(&hub, "with an event"), 2);
    let again = join_in(&hub, &visitor, "0", first).await;
    assert!(!again.recovered);
}
