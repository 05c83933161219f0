//! The trigger protocol: rooms whose programs pass events, updates and status on.
//! Translates only: what is allowed is the hub's matter.

use serde::Serialize;

use super::answer::{Answer, Invalid};
use super::request::Arguments;
use crate::core::error::Error;
use crate::core::event::{Kind, Offset};
use crate::core::hub::Notice;
use crate::core::name::RoomName;
use crate::core::room::Joined;
use crate::doors::FieldError;

/// Handles one event that a client sent.
pub(super) fn handle(arguments: &Arguments<'_>, answer: &Answer) -> Result<(), Invalid> {
    match answer.event.as_str() {
        "JOIN" => join(&arguments.room("the room's id")?, answer),
        "LEAVE" => leave(arguments.room("the room's id")?, answer),
        "BROADCAST_EVENTS" => broadcast(Kind::Message, arguments, answer),
        "BROADCAST_UPDATES" => broadcast(Kind::Update, arguments, answer),
        "BROADCAST_STATUS" => broadcast(Kind::Status, arguments, answer),
        _ => Err(Invalid::Event(
            "JOIN, LEAVE, BROADCAST_EVENTS, BROADCAST_UPDATES and BROADCAST_STATUS",
        )),
    }
}

#[derive(Serialize)]
struct Done<'a> {
    status: &'static str,
    room: &'a RoomName,
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<usize>,
}

fn done(room: &RoomName, clients: Option<usize>) -> Done<'_> {
    Done {
        status: "ok",
        room,
        clients,
    }
}

fn join(room: &RoomName, answer: &Answer) -> Result<(), Invalid> {
    let welcome = {
        let answer = answer.clone();
        move |joined: Result<Joined, Error>| {
            answer.tell(joined, |joined| {
                answer.accept(&done(&joined.room, Some(joined.clients)));
            });
        }
    };
    Ok(answer.hub.join(&answer.client, room, None, None, welcome)?)
}

fn leave(room: RoomName, answer: &Answer) -> Result<(), Invalid> {
    let farewell = {
        let (answer, room) = (answer.clone(), room.clone());
        move || answer.accept(&done(&room, None))
    };
    Ok(answer.hub.leave(&answer.client, &room, farewell)?)
}

fn broadcast(kind: Kind, arguments: &Arguments<'_>, answer: &Answer) -> Result<(), Invalid> {
    const FORM: &str = "the room's id, data";
    let room = arguments.room(FORM)?;
    let data = arguments.get(1).ok_or_else(|| Invalid::Argument {
        form: FORM,
        why: FieldError::missing("the second argument", "any JSON"),
    })?;
    let notice = Notice {
        kind,
        to: None,
        message: data.to_owned(),
    };
    let done = {
        let (answer, room) = (answer.clone(), room.clone());
        Box::new(move |sent: Result<Offset, Error>| match sent {
            Ok(_) => answer.accept(&done(&room, None)),
            Err(error) => answer.refuse(&error.into()),
        })
    };
    answer.hub.notify(&answer.client, room, notice, done);
    Ok(())
}
