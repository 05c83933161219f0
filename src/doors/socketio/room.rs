//! The room protocol: JOIN, LEAVE, NOTIFY, CLIENTS, and their answers.
//! Translates only: what is allowed is the hub's matter.

use serde::Serialize;

use super::answer::{Answer, Invalid};
use super::request::{Arguments, ObjectArgument};
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::name::{Nickname, RoomName};
use crate::core::presence::{Clients, Page};
use crate::core::room::Joined;
use crate::doors::FieldError;

/// What `after` of CLIENTS must be.
const NEXT: &str = "the `next` of the previous page";

/// Handles one event that a client sent.
pub(super) fn handle(arguments: &Arguments<'_>, answer: &Answer) -> Result<(), Invalid> {
    let parse = |form| ObjectArgument::parse(arguments.first(), form);
    match answer.event.as_str() {
        "JOIN" => join(parse("{room, name?, since?}")?, answer),
        "LEAVE" => leave(parse("{room}")?, answer),
        "NOTIFY" => notify(parse("{room, message}")?, answer),
        "CLIENTS" => clients(parse("{room, limit?, after?}")?, answer),
        _ => Err(Invalid::Event("JOIN, LEAVE, NOTIFY and CLIENTS")),
    }
}

fn join(mut argument: ObjectArgument<'_>, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&argument.text("room")?)?;
    let name: Option<String> = argument.optional("name", "a string")?;
    let since: Option<String> = argument.optional("since", "the `offset` of an event")?;
    let name = name.as_deref().map(Nickname::parse).transpose()?;
    let since: Option<Offset> = since.as_deref().map(str::parse).transpose()?;
    let welcome = {
        let answer = answer.clone();
        move |joined: Result<Joined, Error>| {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
                clients: usize,
                offset: Offset,
                recovered: bool,
            }
            answer.tell(joined, |joined| {
                answer.accept(&Shown {
                    status: "ok",
                    room: &joined.room,
                    clients: joined.clients,
                    offset: joined.offset,
                    recovered: joined.recovered,
                });
            });
        }
    };
    Ok(answer
        .hub
        .join(&answer.client, &room, name, since, welcome)?)
}

fn leave(mut argument: ObjectArgument<'_>, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&argument.text("room")?)?;
    let farewell = {
        let (answer, room) = (answer.clone(), room.clone());
        move || {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
            }
            answer.accept(&Shown {
                status: "ok",
                room: &room,
            });
        }
    };
    Ok(answer.hub.leave(&answer.client, &room, farewell)?)
}

fn notify(mut argument: ObjectArgument<'_>, answer: &Answer) -> Result<(), Invalid> {
    let room = argument.text("room")?;
    let message = argument.any("message")?;
    let room = RoomName::parse(&room)?;
    let done = {
        let (answer, room) = (answer.clone(), room.clone());
        Box::new(move |published: Result<Offset, Error>| {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
                offset: Offset,
            }
            answer.tell(published, |offset| {
                answer.accept(&Shown {
                    status: "ok",
                    room: &room,
                    offset,
                });
            });
        })
    };
    answer
        .hub
        .notify(&answer.client, room, message.into(), done);
    Ok(())
}

fn clients(mut argument: ObjectArgument<'_>, answer: &Answer) -> Result<(), Invalid> {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
        room: &'a RoomName,
        clients: &'a [Nickname],
        total: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    let room = RoomName::parse(&argument.text("room")?)?;
    let limit = argument.optional("limit", "a number of names")?;
    let after: Option<String> = argument.optional("after", NEXT)?;
    let after = match after.map(|after| after.parse().map_err(|_| after)) {
        Some(Err(after)) => {
            return Err(argument.invalid(FieldError::wrong("`after`", NEXT, &after)));
        }
        Some(Ok(after)) => Some(after),
        None => None,
    };
    let page = Page::new(limit, after);
    let told = {
        let (answer, room) = (answer.clone(), room.clone());
        move |found: Result<Clients, Error>| {
            answer.tell(found, |found| {
                let shown = |status| Shown {
                    status,
                    room: &room,
                    clients: &found.names,
                    total: found.total,
                    next: found.next.map(|next| next.to_string()),
                };
                // Answer once, as an ack or as an event: the list may be long.
                match answer.wants_ack() {
                    true => answer.accept(&shown(Some("ok"))),
                    false => answer.emit("CLIENTS", &shown(None)),
                }
            });
        }
    };
    Ok(answer
        .hub
        .clients_of(&answer.client, &room, page, Box::new(told))?)
}
