//! Who may do what, and how big it may be: the rules of a namespace, checked.
//! Knows what is asked for and by whom; what then happens is the hub's matter.

use std::time::Duration;

use serde_json::value::RawValue;

use super::client::{Client, State};
use super::error::Error;
use super::name::{Nickname, RoomName};
use super::namespace::{Namespace, Protocol, PublishFrom, Publisher, Rooms, Verb};
use super::source::Charge;
use super::token::TokenHash;

/// How deeply a message may be nested: what serde_json itself reads.
///
/// Some SDKs' parsers recurse, and a message must not end those who get it.
const DEPTH_MOST: usize = 128;

/// The bytes of a message that count as one event: a bigger message costs its receivers more.
const BYTES_PER_EVENT: usize = 16 * 1024;

/// The longest pause of a publisher whose room has many events left to deliver.
const PRESSURE_PAUSE: Duration = Duration::from_secs(2);

/// Checks that the client is connected, and charges it one event. No verb is checked.
pub(super) fn may_send(client: &Client) -> Result<(), Error> {
    if client.is_closed() || client.lock().gone {
        return Err(Error::Closing);
    }
    charge(client, Charge::events(client.area.spec.limits.pace(), 1));
    Ok(())
}

/// Checks that the client may send this verb, and charges `cost` events. A client above its
/// rate is not refused: its transport reads the next message later.
pub(super) fn admit(client: &Client, verb: Verb, cost: u32) -> Result<(), Error> {
    may_send(client)?;
    let spec = &client.area.spec;
    if cost > 1 {
        charge(client, Charge::events(spec.limits.pace(), cost - 1));
    }
    let is_membership = matches!(verb, Verb::Join | Verb::Leave);
    if spec.protocol == Protocol::Lobby && is_membership {
        charge(client, Charge::membership());
    }
    // The other protocols have verbs of their own, which all of their clients may.
    if spec.protocol == Protocol::Room && !spec.verbs.contains(&verb) {
        return Err(not_allowed(verb.as_str(), spec));
    }
    Ok(())
}

/// Charges an answer that is as costly as so many events.
pub(super) fn charge_answer(client: &Client, events: u32) {
    charge(
        client,
        Charge::events(client.area.spec.limits.pace(), events),
    );
}

fn charge(client: &Client, charge: Charge) {
    let of_address = |source| client.area.sources.charge(source, charge);
    let address_ready = client.origin.source.map(of_address);
    client.origin.budget.charge(charge, address_ready);
}

/// The number of events that a message counts as.
pub(super) fn message_cost(message: &RawValue) -> u32 {
    let events = message.get().len().div_ceil(BYTES_PER_EVENT);
    u32::try_from(events).unwrap_or(u32::MAX).max(1)
}

/// Slows down a publisher whose room has many events left to deliver, before the room is full
/// and refuses events. `pressure` is the used share of the room's queue.
pub(super) fn relieve(client: &Client, pressure: f32) {
    let above_half = (pressure - 0.5).max(0.0) * 2.0;
    if above_half > 0.0 {
        let pause = PRESSURE_PAUSE.mul_f32(above_half.min(1.0));
        client
            .origin
            .budget
            .hold(client.area.spec.limits.pace(), pause);
    }
}

/// What the client is called in a room that it may join by its name.
pub(super) fn joins_as(
    client: &Client,
    room: &RoomName,
    name: Option<Nickname>,
) -> Result<Nickname, Error> {
    let spec = &client.area.spec;
    check_length("name of the room", room.as_str(), spec.limits.room_chars)?;
    let name = match name {
        Some(name) => name,
        None if spec.nickname_required => {
            return Err(Error::NameRequired(spec.name.to_string()));
        }
        None => client.id().guest_name(),
    };
    check_length("nickname", name.as_str(), spec.limits.nickname_chars)?;
    Ok(name)
}

/// Whether the client is still there, and may be in this room beside its others.
pub(super) fn has_place(state: &State, room: &RoomName, spec: &Namespace) -> Result<(), Error> {
    let most = spec.limits.rooms_per_client;
    if state.gone {
        return Err(Error::Closing);
    }
    if !state.rooms.contains_key(room) && state.rooms.len() >= most {
        return Err(Error::TooManyRooms(most));
    }
    Ok(())
}

/// Checks that a client may publish this message in a room; returns the name to publish it under.
/// `member` is the client's name in the room, if it is a member.
pub(super) fn may_notify(
    client: &Client,
    room: &RoomName,
    member: Option<Nickname>,
    message: &RawValue,
) -> Result<Nickname, Error> {
    let spec = &client.area.spec;
    if !spec.publishers.contains(&Publisher::Clients) {
        return Err(not_allowed(Verb::Notify.as_str(), spec));
    }
    check_message(message, spec)?;
    match (member, spec.publish_from) {
        (Some(name), _) => Ok(name),
        (None, PublishFrom::Members) => Err(Error::NotInRoom(room.to_string())),
        (None, PublishFrom::Anyone) => {
            check_length("name of the room", room.as_str(), spec.limits.room_chars)?;
            Ok(client.last_name())
        }
    }
}

/// Whether what is not a client may publish this in a room.
pub(super) fn may_publish(
    spec: &Namespace,
    publisher: Publisher,
    room: &RoomName,
    message: &RawValue,
) -> Result<(), Error> {
    if !spec.publishers.contains(&publisher) {
        return Err(not_allowed("publish", spec));
    }
    check_length("name of the room", room.as_str(), spec.limits.room_chars)?;
    check_message(message, spec)
}

/// Whether what a backend offers is the token that it publishes with.
pub(super) fn may_publish_with(spec: &Namespace, offered: Option<&str>) -> Result<(), Error> {
    if !spec.publishers.contains(&Publisher::Http) {
        return Err(not_allowed("publish", spec));
    }
    let Some(token) = &spec.publish_token else {
        return Err(Error::NoToken(spec.name.to_string()));
    };
    match offered {
        None => Err(Error::TokenNeeded(spec.name.to_string())),
        Some(offered) if token.is(offered) => Ok(()),
        Some(_) => Err(Error::WrongToken(spec.name.to_string())),
    }
}

/// Whether backends create rooms here, and may call one so.
pub(super) fn may_create(spec: &Namespace, room: &RoomName) -> Result<(), Error> {
    if spec.rooms != Rooms::Created {
        return Err(not_allowed("creating and deleting rooms", spec));
    }
    check_length("name of the room", room.as_str(), spec.limits.room_chars)
}

/// Whether what a backend offers is the token of a room that was created.
pub(super) fn is_token_of(
    room: &RoomName,
    token: TokenHash,
    offered: Option<&str>,
) -> Result<(), Error> {
    match offered {
        None => Err(Error::TokenNeeded(room.to_string())),
        Some(offered) if token.is_of(offered) => Ok(()),
        Some(_) => Err(Error::WrongToken(room.to_string())),
    }
}

/// Whether clients have rooms to themselves here, and this one has none yet.
pub(super) fn may_settle(state: &State, spec: &Namespace) -> Result<(), Error> {
    if spec.rooms != Rooms::Own {
        return Err(not_allowed("having a room to oneself", spec));
    }
    if state.gone {
        return Err(Error::Closing);
    }
    if !state.rooms.is_empty() {
        return Err(Error::TooManyRooms(1));
    }
    Ok(())
}

/// Whether clients may know who else is there.
pub(super) fn shows_clients(spec: &Namespace) -> Result<(), Error> {
    if !spec.presence {
        return Err(not_allowed(Verb::Clients.as_str(), spec));
    }
    Ok(())
}

fn not_allowed(verb: &'static str, spec: &Namespace) -> Error {
    Error::NotAllowed {
        verb,
        namespace: spec.name.to_string(),
    }
}

fn check_length(what: &'static str, name: &str, most: usize) -> Result<(), Error> {
    if name.chars().count() > most {
        return Err(Error::NameTooLong { what, most });
    }
    Ok(())
}

fn check_message(message: &RawValue, spec: &Namespace) -> Result<(), Error> {
    let most = spec.limits.message_bytes;
    if message.get().len() > most {
        return Err(Error::TooBig(most));
    }
    if depth(message) > DEPTH_MOST {
        return Err(Error::TooDeep(DEPTH_MOST));
    }
    Ok(())
}

/// How deeply arrays and objects are nested in a message.
fn depth(message: &RawValue) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in message.get().bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::core::area::Area;
    use crate::core::client::ClientKey;
    use crate::core::durable::{Forgetful, Keeper};
    use crate::core::event::Event;
    use crate::core::name::NamespaceName;
    use crate::core::outlet::{CloseReason, Outlet};
    use crate::core::pace::Pace;
    use crate::core::source::{ClientOrigin, SourceKey};

    /// One session after the other gains nothing: the clients of an address share a budget.
    #[tokio::test(start_paused = true)]
    async fn clients_of_one_address_share_a_budget() {
        let spec = Namespace::new(NamespaceName::parse("/n").unwrap());
        let pace = spec.limits.pace();
        let keeper: Arc<dyn Keeper> = Arc::new(Forgetful);
        let area = Arc::new(Area::new(spec, &keeper, false));
        // The pause of the last of these clients, each of which sends this many events.
        let pause_after = |source: u64, clients: u32, events: u32| {
            let mut longest = Duration::ZERO;
            for number in 0..clients {
                let origin = ClientOrigin::from(Some(SourceKey(source)));
                let outlet = Arc::new(Deaf);
                let client = Client::new(ClientKey(number.into()), area.clone(), outlet, origin);
                (0..events).for_each(|_| may_send(&client).unwrap());
                let ready = client.ready_at().unwrap_or_else(Instant::now);
                longest = longest.max(ready - Instant::now());
            }
            longest
        };
        let shared = pace.times(50);
        let events = |count: u32, pace: Pace| Duration::from_secs(count.into()) / pace.per_second;
        assert_eq!(pause_after(1, shared.burst - 1, 1), Duration::ZERO);
        assert_eq!(pause_after(1, 100, 1), events(100, shared));
        let own = pause_after(2, 1, pace.burst);
        assert_eq!(own, events(1, pace), "another address has its own");
        let longest = pause_after(1, 20_000, 1);
        let most = Duration::from_secs(10);
        assert_eq!(longest, most, "strangers may share an address");
        // The sender of a burst may have left since.
        tokio::time::advance(most).await;
        assert_eq!(pause_after(1, 1, 1), events(1, shared));
    }

    struct Deaf;

    impl Outlet for Deaf {
        fn deliver(&self, _: &Arc<Event>) -> Result<(), CloseReason> {
            Ok(())
        }

        fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
            Ok(())
        }

        fn close(&self, _: CloseReason) {}
    }

    #[test]
    fn depth_counts_what_is_nested_and_no_text() {
        let cases = [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#""\"[[[\\""#, 0),
            ("[]", 1),
            (r#"[{"a":[1]},[]]"#, 3),
        ];
        for (json, expected) in cases {
            let message = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(depth(&message), expected, "{json}");
        }
    }
}
