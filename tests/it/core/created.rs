//! Rooms that a backend creates: who may publish in them, what they keep, whom a
//! publication reaches that names its recipients, and what their end is.

use roomcast::core::client::ClientId;
use roomcast::core::hub::Deleter;
use roomcast::core::terms::Wanted;
use roomcast::core::token::Token;

use super::*;

fn spec() -> Namespace {
    Namespace {
        rooms: Rooms::Created,
        publishers: vec![Publisher::Http],
        ..namespace("/n", 3, &["latest"])
    }
}

fn name() -> NamespaceName {
    NamespaceName::parse("/n").unwrap()
}

pub fn created_hub() -> (Arc<Hub>, Token) {
    let hub = Hub::new(vec![spec()], Memory);
    let token = create(&hub, "r", Wanted::default()).unwrap();
    (hub, token)
}

fn create(hub: &Hub, called: &str, wanted: Wanted) -> Result<Token, Error> {
    at_once(hub.create(&name(), &room(called), wanted))
}

fn push(hub: &Arc<Hub>, token: &Token, number: u64, to: To) -> Result<Offset, Error> {
    let granted = authorise(hub, Some(token))?;
    push_as(hub, granted, number, to)
}

fn push_as(hub: &Arc<Hub>, granted: Granted, number: u64, to: To) -> Result<Offset, Error> {
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    let from = Outside {
        publisher: Publisher::Http,
        namespace: &name(),
        room: room("r"),
        sender: Nickname::http(),
        to,
        message: to_raw_value(&number).unwrap(),
        retain: &[],
        granted,
        same: None,
    };
    hub.publish(
        from,
        Box::new(move |done| *tell.lock().unwrap() = Some(done)),
    );
    told.lock().unwrap().take().unwrap()
}

pub fn delete(hub: &Hub, token: Option<&str>) -> Result<(), Error> {
    at_once(hub.delete(&name(), &room("r"), Deleter::Backend(token)))
}

fn authorise(hub: &Hub, token: Option<&Token>) -> Result<Granted, Error> {
    let offered = token.map(Token::reveal);
    at_once(hub.authorise(&name(), &room("r"), offered))
}

fn these(clients: &[ClientId]) -> To {
    To::These(clients.into())
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

#[tokio::test]
async fn a_room_is_there_from_its_creation_to_its_end() {
    let hub = Hub::new(vec![spec()], Memory);
    let listener = connect(&hub);
    let try_join = |welcome: fn(Result<Joined, Error>)| {
        hub.join(&listener.client, &room("r"), None, None, welcome)
    };
    assert_eq!(code(try_join(|_| panic!("there is none"))), "unknown_room");
    assert_eq!(
        code(push_as(&hub, Granted::default(), 1, To::Everybody)),
        "token_needed"
    );
    assert_eq!(code(delete(&hub, Some("x"))), "unknown_room");
    assert_eq!(
        code(hub.leave(&listener.client, &room("r"), || ())),
        "unknown_room"
    );

    let token = create(&hub, "r", Wanted::default()).unwrap();
    assert_eq!(code(create(&hub, "r", Wanted::default())), "room_exists");
    assert_eq!(
        code(hub.leave(&listener.client, &room("r"), || ())),
        "not_in_room"
    );
    assert_eq!(code(push(&hub, &token, 1, To::Everybody)), "ok");

    assert_eq!(code(delete(&hub, None)), "token_needed");
    assert_eq!(code(delete(&hub, Some("x"))), "wrong_token");
    delete(&hub, Some(token.reveal())).unwrap();
    assert_eq!(code(try_join(|_| panic!("there is none"))), "unknown_room");
    assert_eq!(code(push(&hub, &token, 1, To::Everybody)), "unknown_room");

    let next = create(&hub, "r", Wanted::default()).unwrap();
    assert_eq!(code(authorise(&hub, Some(&token))), "wrong_token");
    assert_eq!(code(authorise(&hub, Some(&next))), "ok");
}

#[tokio::test]
async fn rooms_are_created_only_where_that_is_so_and_within_limits() {
    let hub = hub(3, &["latest"]);
    assert_eq!(code(create(&hub, "r", Wanted::default())), "not_allowed");
    assert_eq!(code(delete(&hub, Some("x"))), "not_allowed");

    let mut spec = spec();
    spec.limits.room_chars = 4;
    let hub = Hub::new(vec![spec.clone()], Memory);
    let history = |most| Wanted {
        history: Some(most),
        ..Wanted::default()
    };
    assert_eq!(
        code(create(&hub, "12345", Wanted::default())),
        "invalid_name"
    );
    assert_eq!(code(create(&hub, "1", history(4))), "history_too_long");
    assert_eq!(code(create(&hub, "1", history(3))), "ok");
    spec.retain.clear();
    let retain = Wanted {
        retain: Some(true),
        ..Wanted::default()
    };
    assert_eq!(
        code(create(&Hub::new(vec![spec], Memory), "1", retain)),
        "not_allowed"
    );
}

#[tokio::test]
async fn a_full_namespace_gives_up_no_room_that_was_created() {
    let hub = Hub::new(vec![spec()], Memory);
    let first = create(&hub, "r", Wanted::default()).unwrap();
    for number in 1..10_000 {
        create(&hub, &number.to_string(), Wanted::default()).unwrap();
    }
    assert_eq!(
        code(create(&hub, "one too many", Wanted::default())),
        "full"
    );
    assert_eq!(code(push(&hub, &first, 1, To::Everybody)), "ok");
    delete(&hub, Some(first.reveal())).unwrap();
    assert_eq!(
        code(create(&hub, "one in its place", Wanted::default())),
        "ok"
    );
}

#[tokio::test]
async fn a_room_keeps_what_was_asked_for_when_it_was_created() {
    // (retain, history) -> what a newcomer gets, and who comes back behind 1
    let cases = [
        (None, None, &[][..], &["2", "3", "4"][..]),
        (Some(true), Some(2), &["4"], &["3", "4"]),
        (Some(false), Some(0), &[], &[]),
        (Some(true), Some(0), &["4"], &["4"]),
    ];
    for (retain, history, newcomer, back) in cases {
        let hub = Hub::new(vec![spec()], Memory);
        let token = create(&hub, "r", Wanted { retain, history }).unwrap();
        let first = push(&hub, &token, 1, To::Everybody).unwrap();
        for number in 2..=4 {
            push(&hub, &token, number, To::Everybody).unwrap();
        }
        for (since, expected) in [(None, newcomer), (Some(first), back)] {
            let mut listener = connect(&hub);
            let joined = join(&hub, &listener, since).await;
            assert_eq!(joined.recovered, since.is_some() && expected.len() == 3);
            assert_eq!(listener.messages(expected.len()).await, expected);
            hub.disconnect(&listener.client);
        }
    }
}

#[tokio::test]
async fn what_names_its_recipients_reaches_these_members_and_is_kept_nowhere() {
    let (hub, token) = created_hub();
    let mut all = Vec::new();
    for _ in 0..1_200 {
        let listener = connect(&hub);
        join(&hub, &listener, None).await;
        all.push(listener);
    }
    let outsider = connect(&hub);
    let start = push(&hub, &token, 0, To::Everybody).unwrap();
    let mut picked: Vec<_> = all.iter().step_by(7).map(|l| l.client.id()).collect();
    // One twice, one who is not in the room, and one whom nobody knows.
    let nobody: ClientId =
        serde_json::from_str(r#""6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0c""#).unwrap();
    picked.extend([picked[0], outsider.client.id(), nobody]);
    push(&hub, &token, 1, these(&picked)).unwrap();
    push(&hub, &token, 2, these(&[nobody])).unwrap();
    let end = push(&hub, &token, 3, To::Everybody).unwrap();
    assert_eq!(
        end.number,
        start.number + 1,
        "what is for some has no offset"
    );
    for (place, listener) in all.iter_mut().enumerate() {
        let expected: &[&str] = if place % 7 == 0 {
            &["0", "1", "3"]
        } else {
            &["0", "3"]
        };
        assert_eq!(listener.messages(expected.len()).await, expected, "{place}");
    }
    let mut late = connect(&hub);
    let since = Offset { number: 0, ..start };
    join(&hub, &late, Some(since)).await;
    assert_eq!(late.messages(2).await, ["0", "3"]);
}

#[tokio::test]
async fn members_learn_the_end_behind_the_last_event_and_may_come_to_the_next_one() {
    let (hub, token) = created_hub();
    let mut listener = connect(&hub);
    join(&hub, &listener, None).await;
    push(&hub, &token, 1, To::Everybody).unwrap();
    delete(&hub, Some(token.reveal())).unwrap();
    assert_eq!(listener.messages(1).await, ["1"]);
    assert_eq!(listener.told.recv().await, Some(Told::Lost(room("r"))));
    assert_eq!(listener.client.room(), None);

    let token = create(&hub, "r", Wanted::default()).unwrap();
    join(&hub, &listener, None).await;
    push(&hub, &token, 2, To::Everybody).unwrap();
    assert_eq!(listener.messages(1).await, ["2"]);
}

#[tokio::test]
async fn who_is_in_the_next_room_of_the_name_does_not_lose_it() {
    for _ in 0..100 {
        let (hub, token) = created_hub();
        let mut listener = connect(&hub);
        join(&hub, &listener, None).await;
        // The end of the first is still to be told when the second is joined.
        delete(&hub, Some(token.reveal())).unwrap();
        let token = create(&hub, "r", Wanted::default()).unwrap();
        join(&hub, &listener, None).await;
        push(&hub, &token, 1, To::Everybody).unwrap();
        let told = listener.told.recv().await.unwrap();
        let told = match told {
            Told::Lost(_) => listener.told.recv().await.unwrap(),
            other => other,
        };
        assert_eq!(told, Told::Event("1".into()));
        assert_eq!(listener.client.room(), Some(room("r")));
    }
}

#[tokio::test]
async fn what_a_store_gives_back_has_its_terms() {
    let durable = Namespace {
        durable: true,
        ..spec()
    };
    let hub = Hub::new(vec![durable.clone()], Memory);
    let wanted = Wanted {
        retain: Some(true),
        history: Some(1),
    };
    let token = create(&hub, "r", wanted).unwrap();
    push(&hub, &token, 1, To::Everybody).unwrap();
    let stored = hub.snapshot(&name(), &room("r")).unwrap();
    let without = roomcast::core::durable::Snapshot {
        terms: None,
        ..stored.clone()
    };

    let again = Hub::new(vec![durable], Memory);
    again.restore(vec![without]);
    assert_eq!(code(authorise(&again, None)), "unknown_room");
    again.restore(vec![stored]);
    authorise(&again, Some(&token)).unwrap();
    let mut listener = connect(&again);
    join(&again, &listener, None).await;
    assert_eq!(listener.messages(1).await, ["1"]);
}

#[tokio::test]
async fn what_may_be_published_in_a_room_may_not_in_the_next_one_of_its_name() {
    let (hub, token) = created_hub();
    let granted = authorise(&hub, Some(&token)).unwrap();
    delete(&hub, Some(token.reveal())).unwrap();
    assert_eq!(
        code(push_as(&hub, granted, 1, To::Everybody)),
        "unknown_room"
    );
    create(&hub, "r", Wanted::default()).unwrap();
    for to in [To::Everybody, these(&[])] {
        assert_eq!(code(push_as(&hub, granted, 1, to)), "wrong_token");
    }
}

/// A disk that could not be read at the start is read later.
#[tokio::test]
async fn a_room_that_was_created_meanwhile_gets_nothing_of_the_stored_one() {
    let durable = Namespace {
        durable: true,
        ..spec()
    };
    let wanted = Wanted {
        retain: Some(true),
        history: None,
    };
    let before = Hub::new(vec![durable.clone()], Memory);
    let old = create(&before, "r", wanted).unwrap();
    push(&before, &old, 1, To::Everybody).unwrap();
    let stored = before.snapshot(&name(), &room("r")).unwrap();

    let hub = Hub::new(vec![durable], Memory);
    let new = create(&hub, "r", wanted).unwrap();
    hub.restore(vec![stored.clone()]);
    let mine = hub.snapshot(&name(), &room("r")).unwrap();
    assert_ne!(mine.epoch, stored.epoch);
    assert!(mine.contents.history.is_empty() && mine.contents.retained.is_empty());
    assert_eq!(code(authorise(&hub, Some(&old))), "wrong_token");
    assert_eq!(code(authorise(&hub, Some(&new))), "ok");
}

#[tokio::test]
async fn who_leaves_a_room_that_is_deleted_hears_nothing_behind_the_answer() {
    let (hub, token) = created_hub();
    let mut listener = connect(&hub);
    join(&hub, &listener, None).await;
    push(&hub, &token, 1, To::Everybody).unwrap();
    delete(&hub, Some(token.reveal())).unwrap();
    let (tell, told) = oneshot::channel();
    let farewell = || tell.send(()).unwrap();
    hub.leave(&listener.client, &room("r"), farewell).unwrap();
    told.await.unwrap();
    assert_eq!(listener.told.try_recv().unwrap(), Told::Event("1".into()));
    assert!(listener.told.try_recv().is_err(), "nor that it is lost");
}

#[tokio::test]
async fn the_operator_deletes_what_nobody_has_the_token_of() {
    let (hub, _) = created_hub();
    let delete = || at_once(hub.delete(&name(), &room("r"), Deleter::Operator));
    delete().unwrap();
    assert_eq!(code(delete()), "unknown_room");
}
