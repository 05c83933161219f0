//! The room protocol: JOIN, LEAVE, NOTIFY, CLIENTS, and their answers.
//! Translates only: what is allowed is the hub's matter.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::name::{Nickname, RoomName};
use crate::core::presence::{Clients, Page};
use crate::core::room::Joined;

use super::answer::{Answer, Invalid};
use super::request::{Arguments, object};

/// Handles one event that a client sent.
pub(super) fn handle(arguments: &Arguments<'_>, answer: &Answer) -> Result<(), Invalid> {
    let argument = arguments.first();
    match answer.event.as_str() {
        "JOIN" => join(object(argument, "{room, name?, since?}")?, answer),
        "LEAVE" => leave(object(argument, "{room}")?, answer),
        "NOTIFY" => notify(object(argument, "{room, message}")?, answer),
        "CLIENTS" => clients(object(argument, CLIENTS_REQUEST)?, answer),
        _ => Err(Invalid::Event("JOIN, LEAVE, NOTIFY and CLIENTS")),
    }
}

#[derive(Deserialize)]
struct Join {
    room: String,
    name: Option<String>,
    since: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    room: String,
}

const CLIENTS_REQUEST: &str = "{room, limit?, after?}";

#[derive(Deserialize)]
struct ClientsRequest {
    room: String,
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Deserialize)]
struct Notify {
    room: String,
    message: Box<RawValue>,
}

fn join(asked: Join, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
    let name = asked.name.as_deref().map(Nickname::parse).transpose()?;
    let since: Option<Offset> = asked.since.as_deref().map(str::parse).transpose()?;
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

fn leave(asked: Named, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
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

fn notify(asked: Notify, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
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
        .notify(&answer.client, room, asked.message.into(), done);
    Ok(())
}

fn clients(asked: ClientsRequest, answer: &Answer) -> Result<(), Invalid> {
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
    let room = RoomName::parse(&asked.room)?;
    let after = asked.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| Invalid::Argument {
        form: CLIENTS_REQUEST,
        why: "`after` must be the `next` of the previous page".into(),
    })?;
    let page = Page::new(asked.limit, after);
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
