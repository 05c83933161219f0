//! Who may do what, and how big it may be: the rules of a namespace, checked.
//! Knows what is asked for and by whom; what then happens is the hub's matter.

use serde_json::value::RawValue;

use super::client::{Client, State};
use super::error::Error;
use super::name::{Nickname, RoomName};
use super::namespace::{Namespace, Protocol, Publisher, Rooms, Verb};
use super::source::MEMBERSHIP;
use super::token::TokenHash;

/// How deeply a message may be nested: what serde_json itself reads.
///
/// Some SDKs' parsers recurse, and a message must not end those who get it.
const DEPTH_MOST: usize = 128;

/// Checks that the client is connected and within its event rate, and charges `cost` events.
pub(super) fn may_send(client: &Client, cost: u32) -> Result<(), Error> {
    let limits = &client.area.spec.limits;
    if client.is_closed() || client.lock().gone {
        return Err(Error::Closing);
    }
    let area = &client.area;
    let takes = |source| area.sources.take_event(source, limits.pace(), cost);
    if !client.origin.budget.take_event(limits.pace(), cost)
        || !client.origin.source.is_none_or(takes)
    {
        return Err(Error::TooFast(limits.events_per_second));
    }
    Ok(())
}

/// Checks that the client may send this verb now, and charges `cost` events.
pub(super) fn admit(client: &Client, verb: Verb, cost: u32) -> Result<(), Error> {
    may_send(client, cost)?;
    let spec = &client.area.spec;
    let is_membership = matches!(verb, Verb::Join | Verb::Leave);
    if spec.protocol == Protocol::Lobby && is_membership {
        let takes = |source| client.area.sources.take_membership(source);
        if !client.origin.budget.take_membership() || !client.origin.source.is_none_or(takes) {
            return Err(Error::TooRestless(MEMBERSHIP.per_second));
        }
    }
    // The other protocols have verbs of their own, which all of their clients may.
    if spec.protocol == Protocol::Room && !spec.verbs.contains(&verb) {
        return Err(not_allowed(verb.as_str(), spec));
    }
    Ok(())
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

/// Whether a client may publish this in a room, provided that it is in it.
pub(super) fn may_notify(spec: &Namespace, message: &RawValue) -> Result<(), Error> {
    if !spec.publishers.contains(&Publisher::Clients) {
        return Err(not_allowed(Verb::Notify.as_str(), spec));
    }
    check_message(message, spec)
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
    use std::time::Duration;

    use super::*;
    use crate::core::area::Area;
    use crate::core::client::ClientKey;
    use crate::core::durable::{Forgetful, Keeper};
    use crate::core::event::Event;
    use crate::core::name::NamespaceName;
    use crate::core::outlet::{CloseReason, Outlet};
    use crate::core::source::{ClientOrigin, SourceKey};

    /// One session after the other gains nothing: the clients of an address share a budget.
    #[tokio::test(start_paused = true)]
    async fn clients_of_one_address_share_a_budget() {
        let spec = Namespace::new(NamespaceName::parse("/n").unwrap());
        let pace = spec.limits.pace();
        let keeper: Arc<dyn Keeper> = Arc::new(Forgetful);
        let area = Arc::new(Area::new(spec, &keeper, false));
        let sent_by = |source: u64, clients: u64| {
            let client = |number| {
                let outlet = Arc::new(Deaf);
                let origin = ClientOrigin::from(Some(SourceKey(source)));
                Client::new(ClientKey(number), area.clone(), outlet, origin)
            };
            let sent = |client: Client| (0..100).filter(|_| may_send(&client, 1).is_ok()).count();
            (0..clients).map(client).map(sent).sum::<usize>()
        };
        let burst = pace.burst as usize;
        assert_eq!(sent_by(1, 10), 10 * burst);
        assert_eq!(sent_by(1, 90), 40 * burst, "50 clients' budget is used up");
        assert_eq!(sent_by(2, 1), burst, "another address has its own");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sent_by(1, 90), 50 * pace.per_second as usize);
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
