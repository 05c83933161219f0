//! Which rooms are kept while nobody is in them, and which go first.

use roomcast::core::namespace::ROOMS_MOST;
use roomcast::core::source::SourceKey;

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

/// Connects a client from this address.
fn connect_from(hub: &Hub, address: u64) -> Listener {
    let (tx, told) = mpsc::unbounded_channel();
    let namespace = NamespaceName::parse("/n").unwrap();
    let origin = Some(SourceKey(address)).into();
    let client = hub.connect_from(&namespace, Arc::new(Recorder(tx)), origin);
    let client = client.unwrap();
    Listener { client, told }
}

#[tokio::test]
async fn rooms_that_one_address_has_used_do_not_push_out_those_of_others() {
    let hub = free_hub(1, &[]);
    let [flood, other] = [1, 2].map(|address| connect_from(&hub, address));
    let mut offsets = Vec::new();
    for name in ["of a backend", "of another"] {
        touch(&hub, name);
        let joined = join_in(&hub, &other, name, None).await;
        offsets.push((name, joined.offset));
        hub.leave(&other.client, &room(name), || ()).unwrap();
    }
    // A room that it has opened itself.
    let own = join_in(&hub, &other, "own", None).await.offset;
    touch(&hub, "own");
    hub.leave(&other.client, &room("own"), || ()).unwrap();
    for number in 0..2 * IDLE_MOST {
        let name = number.to_string();
        join_in(&hub, &flood, &name, None).await;
        touch(&hub, &name);
        hub.leave(&flood.client, &room(&name), || ()).unwrap();
    }
    assert_eq!(hub.room_counts().next().unwrap().1, IDLE_MOST);
    offsets.push(("own", own));
    for (name, offset) in offsets {
        let joined = join_in(&hub, &other, name, Some(offset)).await;
        assert!(joined.recovered, "{name}");
    }
}

#[tokio::test]
async fn one_address_opens_as_many_rooms_as_it_may_and_its_empty_ones_make_way() {
    const MOST: usize = 4;
    let mut namespace = namespace("/n", 1, &[]);
    namespace.limits.rooms_per_client = usize::MAX;
    namespace.limits.rooms_per_address = MOST;
    let hub = Hub::new(vec![namespace], Memory);
    let [first, second] = [1, 1].map(|address| connect_from(&hub, address));
    let code = |listener: &Listener, name: &str| {
        let joined = hub.join(&listener.client, &room(name), None, None, |_| ());
        joined.err().map(|error| error.code())
    };
    for name in ["a", "b", "c", "d"] {
        assert_eq!(code(&first, name), None);
    }
    assert_eq!(code(&second, "e"), Some("too_many_rooms"));
    assert_eq!(code(&second, "a"), None, "it is there");
    assert_eq!(code(&connect_from(&hub, 2), "e"), None);
    assert_eq!(code(&connect(&hub), "f"), None, "of no address");
    for name in ["b", "c"] {
        hub.leave(&first.client, &room(name), || ()).unwrap();
        assert_eq!(code(&second, &format!("instead of {name}")), None);
    }
    assert_eq!(code(&second, "g"), Some("too_many_rooms"));
}

/// The reserved rooms suffice for any number of publications.
#[tokio::test]
async fn backends_publish_in_new_rooms_where_clients_have_opened_all_they_can() {
    const RESERVED: usize = 500;
    let hub = free_hub(1, &[]);
    let visitor = connect(&hub);
    let join = |number: usize| {
        let name = room(&number.to_string());
        hub.join(&visitor.client, &name, None, None, |_| ())
    };
    for number in 0..ROOMS_MOST - RESERVED {
        join(number).unwrap();
    }
    assert_eq!(join(ROOMS_MOST).unwrap_err().code(), "full");
    for number in 0..2 * RESERVED {
        touch(&hub, &format!("backend {number}"));
    }
    assert_eq!(join(ROOMS_MOST).unwrap_err().code(), "full");
}
